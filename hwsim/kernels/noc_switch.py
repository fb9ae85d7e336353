"""The last stages of a router of a network on chip, SA and ST, and what its cores send. See ``noc_channels``."""

from __future__ import annotations

from hwsim.kernels.bits import first_bit, next_bit, part
from hwsim.kernels.noc_channels import CHANNEL_MASK, TARGET_BITS, channel_of, mark, port_of, queue_routing
from hwsim.kernels.noc_state import (
    BRANCHES,
    CHANNEL,
    CHANNEL_BITS,
    CORE,
    CORES,
    COUNT,
    CREDIT_CYCLES,
    CREDITED,
    CREDITS,
    DESTINATION,
    ENTERED,
    ENTRIES,
    FLIT_CYCLES,
    FREE,
    HASH,
    HEAD,
    LEFT,
    MOST_PACKETS,
    MOVING,
    NAME,
    NEXT,
    NEXT_PORT,
    NEXT_ROUTER,
    OFFERS,
    OPEN,
    OWNER,
    PACKET_ROW,
    QUEUE_FIRST,
    QUEUE_LENGTH,
    READY,
    SENDERS,
    SENDING,
    SINK_ROOM,
    SWITCH_ACCEPT,
    SWITCH_CHANNEL,
    SWITCH_GRANT,
    TAILS,
    THERE,
    TURN,
    WAITING,
    WORD_BITS,
    WORD_MASK,
    Layout,
    Pointers,
)  # fmt: skip


@part
def closed_outputs(t: Layout, a: Pointers, r):  # type: ignore[no-untyped-def]
    """Of the outputs for which a flit is ready, those to cores that take no further packet."""
    outs, closed = a.m[r * t.block + READY] >> t.network_ports << t.network_ports, 0
    while outs != 0:
        o = first_bit(outs)
        outs &= outs - 1
        if a.m[a.m[port_of(t, r, o) + CORE] + SINK_ROOM] == 0:
            closed |= 1 << o
    return closed


@part
def begun(t: Layout, a: Pointers, r, p, ready):  # type: ignore[no-untyped-def]
    """Of some channels of input ``p``, those whose first packet has begun to leave."""
    found = 0
    while ready != 0:
        v = first_bit(ready)
        ready &= ready - 1
        if a.m[channel_of(t, r, p << t.shift | v) + LEFT] < t.flits:
            found |= 1 << v
    return found


@part
def able_inputs(t: Layout, a: Pointers, r, o, closed):  # type: ignore[no-untyped-def]
    """Inputs that may take the switch to output ``o``; ``closed``: only with packets that have begun."""
    row = port_of(t, r, o) + t.ready_at
    inputs = a.m[row + t.ports]
    if closed == 0:
        return inputs
    found = 0
    while inputs != 0:
        p = first_bit(inputs)
        inputs &= inputs - 1
        if begun(t, a, r, p, a.m[row + p]) != 0:
            found |= 1 << p
    return found


@part
def pop(t: Layout, a: Pointers, r, p, v, now):  # type: ignore[no-untyped-def]
    """The first flit of a buffer has left by its last branch: a credit, and perhaps a new first packet."""
    i, q = p << t.shift | v, port_of(t, r, p)
    x = channel_of(t, r, i)
    head, count, left = a.m[x + HEAD] + 1, a.m[x + COUNT] - 1, a.m[x + LEFT] - 1
    a.m[x + HEAD] = head if head < t.buffer else 0
    a.m[x + COUNT], a.m[x + LEFT] = count, left
    if left == 0 and count > 0:
        queue_routing(t, a, r, i, x, now + 1 + t.routing)
    due = now + a.m[q + CREDIT_CYCLES]
    other, at = a.m[q + NEXT_ROUTER], due & t.wheel
    a.m[a.m[q + NEXT_PORT] + t.credit_at + at] = v
    a.m[other * t.block + t.credits_due_at + at] |= 1 << a.m[q + THERE]
    mark(t, a, other, due)
    a.m[r * t.block + CREDITED] |= 1 << p


@part
def put_on_wire(t: Layout, a: Pointers, r, o, w, flit, left, now):  # type: ignore[no-untyped-def]
    """ST and the link behind it; ``left``: flits of the packet, this one included."""
    q = port_of(t, r, o)
    due = now + a.m[q + FLIT_CYCLES]
    at = due & t.wheel
    if o < t.network_ports:
        a.m[channel_of(t, r, o << t.shift | w) + CREDITS] -= 1
        other, there = a.m[q + NEXT_ROUTER], a.m[q + THERE]
        a.flit_wire[(other * t.ports + there) * (t.wheel + 1) + at] = (flit & ~CHANNEL_MASK) | w
        a.m[other * t.block + t.flits_due_at + at] |= 1 << there
        mark(t, a, other, due)
        return
    a.total[MOVING] -= 1
    c = a.m[q + CORE]
    if left == t.flits and a.m[c + SINK_ROOM] > 0:
        a.m[c + SINK_ROOM] -= 1
    if left == 1:
        a.m[r * t.block + TAILS] |= 1 << o
        core, row = a.m[c + NAME], at * (1 + t.router_words + t.core_words)
        a.flit_wire[(t.routers * t.ports + core) * (t.wheel + 1) + at] = flit >> CHANNEL_BITS & (MOST_PACKETS - 1)
        a.calendar[row] = 1
        a.calendar[row + 1 + t.router_words + (core >> WORD_BITS)] |= 1 << (core & WORD_MASK)


@part
def depart(t: Layout, a: Pointers, r, p, o, closed, now):  # type: ignore[no-untyped-def]
    """A flit of input ``p`` takes the switch to output ``o``: of the next channel there in its round robin."""
    b, q, origin = r * t.block, port_of(t, r, o), port_of(t, r, p)
    row = q + t.ready_at
    ready = a.m[row + p]
    v = next_bit(begun(t, a, r, p, ready) if closed else ready, a.m[origin + SWITCH_CHANNEL])
    a.m[origin + SWITCH_CHANNEL] = v + 1
    i = p << t.shift | v
    x = channel_of(t, r, i)
    w, left = a.m[x + t.out_at + o], a.m[x + LEFT]
    y = channel_of(t, r, o << t.shift | w)
    put_on_wire(t, a, r, o, w, a.buffer[(r * t.slots + i) * t.buffer + a.m[x + HEAD]], left, now)
    a.sent[r * t.slots + (o << t.shift | w)] += 1
    branches = a.m[x + BRANCHES]
    if left == 1:
        a.m[y + OWNER] = -1
        if t.wait_for_tail_credit == 0 or o >= t.network_ports:
            a.m[q + FREE] |= 1 << w
        branches &= ~(1 << o)
        a.m[x + BRANCHES] = branches
    if left > 1 or branches == 0:
        pop(t, a, r, p, v, now)
    else:
        a.total[MOVING] += 1
    stays = left > 1 and a.m[x + COUNT] > 0 and a.m[y + CREDITS] > 0
    ready &= ~((not stays) << v)
    inputs = a.m[row + t.ports] & ~((ready == 0) << p)
    a.m[row + p], a.m[row + t.ports] = ready, inputs
    a.m[b + READY] &= ~((inputs == 0) << o)


@part
def allocate_switch(t: Layout, a: Pointers, r, now):  # type: ignore[no-untyped-def]
    """SA: iSLIP between inputs and outputs; the outputs that send."""
    outs, busy, sent = a.m[r * t.block + READY], 0, 0
    closed = closed_outputs(t, a, r)
    for iteration in range(t.iterations):
        inputs, rest = 0, outs & ~sent
        while rest != 0:
            o = first_bit(rest)
            rest &= rest - 1
            able = able_inputs(t, a, r, o, closed >> o & 1) & ~busy
            if able != 0:
                p = next_bit(able, a.m[port_of(t, r, o) + SWITCH_GRANT])
                a.m[port_of(t, r, p) + OFFERS] |= 1 << o
                inputs |= 1 << p
        while inputs != 0:
            p = first_bit(inputs)
            inputs &= inputs - 1
            q = port_of(t, r, p)
            o = next_bit(a.m[q + OFFERS], a.m[q + SWITCH_ACCEPT])
            a.m[q + OFFERS] = 0
            if iteration == 0:
                a.m[q + SWITCH_ACCEPT] = o + 1
                a.m[port_of(t, r, o) + SWITCH_GRANT] = p + 1
            busy |= 1 << p
            sent |= 1 << o
            depart(t, a, r, p, o, closed >> o & 1, now)
    return sent


@part
def choose_channel(t: Layout, a: Pointers, c, packet):  # type: ignore[no-untyped-def]
    """The channel on which core ``c`` sends a packet, -1 while there is no room."""
    able = a.m[c + OPEN]
    if t.by_pair:
        able &= 1 << (a.packet[packet * PACKET_ROW + HASH] % t.channels)
    if t.wait_for_tail_credit:
        for w in range(t.channels):
            if a.m[c + t.credits_at + w] < t.buffer:
                able &= ~(1 << w)
    return next_bit(able, a.m[c + TURN]) if able != 0 else -1


@part
def send(t: Layout, a: Pointers, r, p, now):  # type: ignore[no-untyped-def]
    """A flit of the core at port ``p`` on its way into the router; whether the core has more to send then."""
    c = a.m[port_of(t, r, p) + CORE]
    packet = a.m[c + QUEUE_FIRST]
    if packet < 0:
        return 0
    if a.m[c + SENDING] == 0:
        w = choose_channel(t, a, c, packet)
        if w < 0:
            return 0
        a.m[c + TURN], a.m[c + CHANNEL], a.m[c + SENDING] = w + 1, w, t.flits
    w = a.m[c + CHANNEL]
    room = a.m[c + t.credits_at + w] - 1
    if room < 0:
        return 0
    a.m[c + t.credits_at + w] = room
    a.m[c + OPEN] &= ~((room == 0) << w)
    at = (now + t.inject_cycles) & t.wheel
    target = a.packet[packet * PACKET_ROW + DESTINATION]
    a.flit_wire[(r * t.ports + p) * (t.wheel + 1) + at] = target << TARGET_BITS | packet << CHANNEL_BITS | w
    a.m[r * t.block + t.flits_due_at + at] |= 1 << p
    mark(t, a, r, now + t.inject_cycles)
    a.m[r * t.block + SENDERS] |= 1 << p
    a.total[MOVING] += 1
    a.m[c + SENDING] -= 1
    if a.m[c + SENDING] == 0:
        leave_queue(t, a, c, packet, now)
    return a.m[c + QUEUE_LENGTH]


@part
def leave_queue(t: Layout, a: Pointers, c, packet, now):  # type: ignore[no-untyped-def]
    """The last flit of a packet has left the source queue of core ``c``."""
    a.m[c + QUEUE_FIRST] = a.packet[packet * PACKET_ROW + NEXT]
    a.m[c + QUEUE_LENGTH] -= 1
    a.packet[packet * PACKET_ROW + ENTERED] = now
    a.total[WAITING] -= 1
    row = 2 * a.total[ENTRIES]
    a.entered[row], a.entered[row + 1] = a.m[c + NAME], packet
    a.total[ENTRIES] += 1


@part
def send_all(t: Layout, a: Pointers, r, now):  # type: ignore[no-untyped-def]
    """A flit of each core here that has one; whether one of them has more to send."""
    more = 0
    for k in range(a.m[r * t.block + CORES]):
        more |= send(t, a, r, t.network_ports + k, now)
    return more
