"""The first stages of a router of a network on chip: what comes in, RC and VA (see ``hwsim.components.vc_router``).

Each function is a stage of router ``r`` in the cycle ``now``, or a part of one; ``t`` is the ``Layout`` and ``a`` are
the ``Pointers`` of a ``NocState``, ``slot`` is ``now & wheel``. ``b`` is the address of the router's block, ``q`` of a
port, ``x`` of a channel as a buffer of an input, ``y`` of one of an output; ``i`` is a buffer as ``port << shift |
channel``.
"""

from __future__ import annotations

from hwsim.kernels.bits import first_bit, next_bit, part
from hwsim.kernels.noc_state import (
    ACCEPT,
    ASKED,
    ASKED_GROUPS,
    BRANCHES,
    CHANNEL_BITS,
    CORE,
    COUNT,
    CREDITS,
    DATELINE,
    DIRECTION,
    FREE,
    GRANT,
    GRANTED_COUNT,
    GRANTED_FIRST,
    HASH,
    HEAD,
    LEFT,
    MOST_PACKETS,
    OPEN,
    OWNER,
    PACKET_BITS,
    PACKET_ROW,
    READY,
    ROUTE_COUNT,
    ROUTE_FIRST,
    WORD_BITS,
    WORD_MASK,
    Layout,
    Pointers,
)  # fmt: skip

CHANNEL_MASK = (1 << CHANNEL_BITS) - 1
TARGET_BITS = CHANNEL_BITS + PACKET_BITS
BUFFER_BITS, DUE_BITS = 10, 16
"""Of an entry of a queue: due & wheel << 16 | output << 10 | buffer."""
BUFFER_MASK, OUTPUT_MASK = (1 << BUFFER_BITS) - 1, (1 << (DUE_BITS - BUFFER_BITS)) - 1


@part
def port_of(t: Layout, r, p):  # type: ignore[no-untyped-def]
    """Address of a port."""
    return r * t.block + t.port_at + p * t.port_row


@part
def channel_of(t: Layout, r, i):  # type: ignore[no-untyped-def]
    """Address of a channel."""
    return r * t.block + t.channel_at + i * t.channel_row


@part
def mark(t: Layout, a: Pointers, r, cycle):  # type: ignore[no-untyped-def]
    """Router ``r`` has to be looked at in a cycle."""
    row = (cycle & t.wheel) * (1 + t.router_words + t.core_words)
    a.calendar[row] = 1
    a.calendar[row + 1 + (r >> WORD_BITS)] |= 1 << (r & WORD_MASK)


@part
def make_ready(t: Layout, a: Pointers, r, o, i):  # type: ignore[no-untyped-def]
    """The first flit of buffer ``i`` may take the switch to output ``o``."""
    p, row = i >> t.shift, port_of(t, r, o) + t.ready_at
    a.m[row + p] |= 1 << (i & ((1 << t.shift) - 1))
    a.m[row + t.ports] |= 1 << p
    a.m[r * t.block + READY] |= 1 << o


@part
def queue_routing(t: Layout, a: Pointers, r, i, x, due):  # type: ignore[no-untyped-def]
    """Buffer ``i`` has a new first packet, whose route is known at cycle ``due``."""
    b = r * t.block
    a.m[x + LEFT] = t.flits
    at = a.m[b + ROUTE_FIRST] + a.m[b + ROUTE_COUNT]
    a.m[b + t.route_at + (at if at < t.slots else at - t.slots)] = (due & t.wheel) << DUE_BITS | i
    a.m[b + ROUTE_COUNT] += 1


@part
def take_credits(t: Layout, a: Pointers, r, slot):  # type: ignore[no-untyped-def]
    """Credits that come in this cycle, for outputs and for the cores here."""
    b = r * t.block
    due = a.m[b + t.credits_due_at + slot]
    a.m[b + t.credits_due_at + slot] = 0
    while due != 0:
        o = first_bit(due)
        due &= due - 1
        q = port_of(t, r, o)
        w = a.m[q + t.credit_at + slot]
        if o >= t.network_ports:
            c = a.m[q + CORE]
            a.m[c + t.credits_at + w] += 1
            a.m[c + OPEN] |= 1 << w
            continue
        y = channel_of(t, r, o << t.shift | w)
        credits, owner = a.m[y + CREDITS] + 1, a.m[y + OWNER]
        a.m[y + CREDITS] = credits
        if owner >= 0:
            if credits == 1 and a.m[channel_of(t, r, owner) + COUNT] > 0:
                make_ready(t, a, r, o, owner)
        elif t.wait_for_tail_credit and credits == t.buffer:
            a.m[q + FREE] |= 1 << w


@part
def take_flits(t: Layout, a: Pointers, r, now, slot):  # type: ignore[no-untyped-def]
    """Flits that come in this cycle: into their buffers, and where they are the first one there, further."""
    b = r * t.block
    due = a.m[b + t.flits_due_at + slot]
    a.m[b + t.flits_due_at + slot] = 0
    while due != 0:
        p = first_bit(due)
        due &= due - 1
        flit = a.flit_wire[(r * t.ports + p) * (t.wheel + 1) + slot]
        i = p << t.shift | (flit & CHANNEL_MASK)
        x = channel_of(t, r, i)
        count = a.m[x + COUNT]
        at = a.m[x + HEAD] + count
        a.buffer[(r * t.slots + i) * t.buffer + (at if at < t.buffer else at - t.buffer)] = flit
        a.m[x + COUNT] = count + 1
        if count > 0:
            continue
        if a.m[x + LEFT] == 0:
            queue_routing(t, a, r, i, x, now + t.routing)
        else:  # its head has left before
            o = first_bit(a.m[x + BRANCHES])
            if a.m[channel_of(t, r, o << t.shift | a.m[x + t.out_at + o]) + CREDITS] > 0:
                make_ready(t, a, r, o, i)


@part
def group_of(t: Layout, a: Pointers, r, i, o, packet):  # type: ignore[no-untyped-def]
    """The group of channels of output ``o`` that a packet in buffer ``i`` may take (``noc_tables``)."""
    if o >= t.network_ports or (t.first_class == 0 and t.by_pair == 0):
        return 0
    chosen = a.packet[packet * PACKET_ROW + HASH]
    if t.first_class == 0:
        return chosen % t.channels
    p, q = i >> t.shift, port_of(t, r, o)
    same = p < t.network_ports and a.m[port_of(t, r, p) + DIRECTION] == a.m[q + DIRECTION]
    upper = a.m[q + DATELINE] == 1 or (same and i & ((1 << t.shift) - 1) >= t.first_class)
    if t.by_pair == 0:
        return 1 if upper else 0
    return t.first_class + chosen % (t.channels - t.first_class) if upper else chosen % t.first_class


@part
def ask(t: Layout, a: Pointers, r, slot):  # type: ignore[no-untyped-def]
    """RC: buffers whose first packet is routed by now ask for a channel of each of its outputs."""
    b = r * t.block
    count, first = a.m[b + ROUTE_COUNT], a.m[b + ROUTE_FIRST]
    while count > 0:
        entry = a.m[b + t.route_at + first]
        if entry >> DUE_BITS != slot:
            break
        count -= 1
        first = 0 if count == 0 or first + 1 == t.slots else first + 1
        i = entry & BUFFER_MASK
        x, v = channel_of(t, r, i), i & ((1 << t.shift) - 1)
        flit = a.buffer[(r * t.slots + i) * t.buffer + a.m[x + HEAD]]
        target = flit >> TARGET_BITS
        outs = a.fan[target * t.routers + r] if t.multicast else 1 << a.next_port[r * t.cores + target]
        a.m[x + BRANCHES] = outs
        a.m[b + ASKED] |= outs
        while outs != 0:
            o = first_bit(outs)
            outs &= outs - 1
            group = group_of(t, a, r, i, o, flit >> CHANNEL_BITS & (MOST_PACKETS - 1))
            q = port_of(t, r, o)
            row = q + t.asking_at + group * (t.ports + 1)
            a.m[row + (i >> t.shift)] |= 1 << v
            a.m[row + t.ports] |= 1 << (i >> t.shift)
            a.m[q + ASKED_GROUPS] |= 1 << group
    a.m[b + ROUTE_COUNT], a.m[b + ROUTE_FIRST] = count, first


@part
def first_asking(t: Layout, a: Pointers, row, start):  # type: ignore[no-untyped-def]
    """The first buffer at or after ``start``, in a ring, that asks for a channel of the group with sets at ``row``."""
    p = start >> t.shift
    inputs = a.m[row + t.ports]
    if inputs >> p & 1:
        after = a.m[row + p] & (-1 << (start & ((1 << t.shift) - 1)))
        if after != 0:
            return p << t.shift | first_bit(after)
    p = next_bit(inputs, p + 1)
    return p << t.shift | first_bit(a.m[row + p])


@part
def grant_channel(t: Layout, a: Pointers, r, row, o, group, i, w, first, due):  # type: ignore[no-untyped-def]
    """Channel ``w`` of output ``o`` is the one of buffer ``i``, which may send on it from cycle ``due``."""
    b, p, q = r * t.block, i >> t.shift, port_of(t, r, o)
    # without branches, which no processor could predict
    rest = a.m[row + p] & ~(1 << (i & ((1 << t.shift) - 1)))
    inputs = a.m[row + t.ports] & ~((rest == 0) << p)
    groups = a.m[q + ASKED_GROUPS] & ~((inputs == 0) << group)
    a.m[row + p], a.m[row + t.ports], a.m[q + ASKED_GROUPS] = rest, inputs, groups
    a.m[b + ASKED] &= ~((groups == 0) << o)
    a.m[q + FREE] &= ~(1 << w)
    x, c = channel_of(t, r, i), o << t.shift | w
    a.m[x + t.out_at + o] = w
    if first:
        a.m[x + ACCEPT] = c + 1
        a.m[channel_of(t, r, c) + GRANT] = i + 1
    at = a.m[b + GRANTED_FIRST] + a.m[b + GRANTED_COUNT]
    at = b + t.granted_at + (at if at < t.slots else at - t.slots)
    a.m[at] = (due & t.wheel) << DUE_BITS | o << BUFFER_BITS | i
    a.m[b + GRANTED_COUNT] += 1


@part
def accepted(t: Layout, a: Pointers, r, i, o, offers):  # type: ignore[no-untyped-def]
    """Which of the offered channels of output ``o`` buffer ``i`` takes."""
    start = a.m[channel_of(t, r, i) + ACCEPT]
    return next_bit(offers, start & ((1 << t.shift) - 1) if start >> t.shift == o else 0)


@part
def allocate_group(t: Layout, a: Pointers, r, o, group, free, due):  # type: ignore[no-untyped-def]
    """VA in one group of channels of one output: iSLIP between the buffers that ask and the channels that are free."""
    row = port_of(t, r, o) + t.asking_at + group * (t.ports + 1)
    inputs = a.m[row + t.ports]
    p = first_bit(inputs)
    only = a.m[row + p]
    if inputs & (inputs - 1) == 0 and only & (only - 1) == 0:  # nobody to share with
        i = p << t.shift | first_bit(only)
        grant_channel(t, a, r, row, o, group, i, accepted(t, a, r, i, o, free), True, due)
        return
    offered, touched = 0, t.slots  # two parts of the scratch
    for iteration in range(t.iterations):
        count, channels = 0, free
        while channels != 0 and a.m[row + t.ports] != 0:
            w = first_bit(channels)
            channels &= channels - 1
            i = first_asking(t, a, row, a.m[channel_of(t, r, o << t.shift | w) + GRANT])
            if a.scratch[offered + i] == 0:
                a.scratch[touched + count] = i
                count += 1
            a.scratch[offered + i] |= 1 << w
        for k in range(count):
            i = a.scratch[touched + k]
            w = accepted(t, a, r, i, o, a.scratch[offered + i])
            a.scratch[offered + i] = 0
            free &= ~(1 << w)
            grant_channel(t, a, r, row, o, group, i, w, iteration == 0, due)


@part
def allocate_channels(t: Layout, a: Pointers, r, now):  # type: ignore[no-untyped-def]
    """VA: every output and group on its own."""
    outs = a.m[r * t.block + ASKED]
    while outs != 0:
        o = first_bit(outs)
        outs &= outs - 1
        q = port_of(t, r, o)
        groups = a.m[q + ASKED_GROUPS]
        while groups != 0:
            group = first_bit(groups)
            groups &= groups - 1
            free = a.m[q + FREE] & a.group_mask[o * t.groups + group]
            if free != 0:
                allocate_group(t, a, r, o, group, free, now + t.allocation)


@part
def connect(t: Layout, a: Pointers, r, slot):  # type: ignore[no-untyped-def]
    """What was granted a channel ``vc_allocation`` cycles ago may now send on it."""
    b = r * t.block
    count, first = a.m[b + GRANTED_COUNT], a.m[b + GRANTED_FIRST]
    while count > 0:
        entry = a.m[b + t.granted_at + first]
        if entry >> DUE_BITS != slot:
            break
        count -= 1
        first = 0 if count == 0 or first + 1 == t.slots else first + 1
        i, o = entry & BUFFER_MASK, entry >> BUFFER_BITS & OUTPUT_MASK
        y = channel_of(t, r, o << t.shift | a.m[channel_of(t, r, i) + t.out_at + o])
        a.m[y + OWNER] = i
        if a.m[y + CREDITS] > 0:
            make_ready(t, a, r, o, i)
    a.m[b + GRANTED_COUNT], a.m[b + GRANTED_FIRST] = count, first
