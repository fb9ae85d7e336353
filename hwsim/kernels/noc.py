"""The network on chip as kernels: the tick of one router, and of all that have work.

What a router does in a cycle is said in ``hwsim.components.vc_router``, whose plain processes are the witness of these
kernels. A router's tick reads its own state and what the wires bring it in this cycle, and writes its own state and
places on wires that are read one cycle later or more: so the order of routers cannot matter. Routers without work are
not looked at: a calendar of sets says who has to be, for as many cycles as the slowest wire takes.

For whoever embeds a network (all of it callable from Python and from kernels; ``s`` is a ``NocState``)::

    s = new_state(noc_tables(topology, parameters), packets)
    room(s, core)                              places free in the source queue of a core
    inject(s, packet, source, target, cycle)   a packet comes to the source queue; its first flit leaves in that cycle
    add_room(s, core, packets, cycle)          a core takes so many packets more
    count = noc_tick(s, cycle)                 one cycle; rows of ``s.ejected`` (core, packet) that reach their core in
                                               it, in order of cores; ``entries(s)`` of ``s.entered`` (core, packet)
                                               have left a source queue
    next_cycle(s, cycle)                       the first cycle from ``cycle`` on in which anything happens, -1: none
    is_idle(s)                                 whether there is no packet in queues, routers or on wires

``inject`` and ``add_room`` are called before that tick, and after all ticks of cycles before it. Cycles in which
nothing happens need not be ticked. Where ``next_cycle`` is -1 and ``is_idle`` false, everything waits, for cores that
take nothing or for each other (``hwsim.components.noc_waits`` says who for whom).
"""

from __future__ import annotations

from hwsim.jit import njit
from hwsim.kernels.bits import first_bit, part, pointer
from hwsim.kernels.noc_channels import (
    DUE_BITS,
    allocate_channels,
    ask,
    connect,
    mark,
    port_of,
    take_credits,
    take_flits,
)  # fmt: skip
from hwsim.kernels.noc_state import (
    ASKED,
    ASKED_GROUPS,
    CREDITED,
    DESTINATION,
    EJECTIONS,
    ENTRIES,
    FREE,
    GRANTED_COUNT,
    GRANTED_FIRST,
    HASH,
    INJECTED,
    MOVING,
    NEXT,
    PACKET_ROW,
    QUEUE_FIRST,
    QUEUE_LAST,
    QUEUE_LENGTH,
    READY,
    ROUTE_COUNT,
    ROUTE_FIRST,
    ROUTER,
    SENDERS,
    SINK_ROOM,
    SOURCE,
    TAILS,
    WAITING,
    WORD_BITS,
    Layout,
    Pointers,
    pointers,
)  # fmt: skip
from hwsim.kernels.noc_switch import able_inputs, allocate_switch, closed_outputs, send_all
from hwsim.kernels.noc_tables import pair_hash

UNLIMITED = 1 << 40
"""Places free in a source queue without limit."""


@part
def can_act(t: Layout, a: Pointers, r):  # type: ignore[no-untyped-def]
    """Whether a flit may take the switch, or a packet be given a channel, in the next cycle."""
    outs = a.m[r * t.block + READY]
    closed = closed_outputs(t, a, r)
    while outs != 0:
        o = first_bit(outs)
        outs &= outs - 1
        if able_inputs(t, a, r, o, closed >> o & 1) != 0:
            return True
    outs = a.m[r * t.block + ASKED]
    while outs != 0:
        o = first_bit(outs)
        outs &= outs - 1
        q = port_of(t, r, o)
        groups = a.m[q + ASKED_GROUPS]
        while groups != 0:
            group = first_bit(groups)
            groups &= groups - 1
            if a.m[q + FREE] & a.group_mask[o * t.groups + group] != 0:
                return True
    return False


@part
def next_look(t: Layout, a: Pointers, r, more, slot):  # type: ignore[no-untyped-def]
    """In how many cycles a router has work if nothing comes before; 0: in none."""
    b, wait = r * t.block, 0
    if more:
        return 1
    if a.m[b + ROUTE_COUNT] > 0:
        wait = ((a.m[b + t.route_at + a.m[b + ROUTE_FIRST]] >> DUE_BITS) - slot) & t.wheel
    if a.m[b + GRANTED_COUNT] > 0:
        due = ((a.m[b + t.granted_at + a.m[b + GRANTED_FIRST]] >> DUE_BITS) - slot) & t.wheel
        wait = due if wait == 0 or due < wait else wait
    return 1 if wait != 1 and can_act(t, a, r) else wait


@part
def tick(t: Layout, a: Pointers, r, now):  # type: ignore[no-untyped-def]
    """One cycle of a router: (outputs that sent a flit, cycles until it has to be looked at again or 0)."""
    slot = now & t.wheel
    b = r * t.block
    a.m[b + CREDITED], a.m[b + TAILS], a.m[b + SENDERS] = 0, 0, 0
    take_credits(t, a, r, slot)
    take_flits(t, a, r, now, slot)
    ask(t, a, r, slot)
    allocate_channels(t, a, r, now)
    connect(t, a, r, slot)
    sent = allocate_switch(t, a, r, now)
    more = send_all(t, a, r, now)
    return sent, next_look(t, a, r, more, slot)


@njit(nogil=True)
def router_tick(s, r, now):  # type: ignore[no-untyped-def]
    """One cycle of a router whose process looks after the rest. Sets of ports: outputs that sent a flit, those to cores
    by which a last one left, inputs that sent a credit, inputs whose core sent a flit. Then rows of ``entered`` in use,
    and cycles until it has to be looked at again even if nothing comes, or 0."""
    t, a = s.t, pointers(s)
    a.total[ENTRIES] = 0
    sent, wait = tick(t, a, r, now)
    b = r * t.block
    return sent, a.m[b + TAILS], a.m[b + CREDITED], a.m[b + SENDERS], a.total[ENTRIES], wait


@njit(nogil=True)
def noc_tick(s, now):  # type: ignore[no-untyped-def]
    """One cycle of all routers that have work; the number of packets in ``s.ejected`` that reach their core in it."""
    t, a = s.t, pointers(s)
    a.total[EJECTIONS], a.total[ENTRIES] = 0, 0
    slot, count, cores_at = now & t.wheel, 0, 1 + t.router_words
    row = slot * (cores_at + t.core_words)
    if a.calendar[row] == 0:
        return 0
    a.calendar[row] = 0
    for word in range(t.core_words):
        due = a.calendar[row + cores_at + word]
        a.calendar[row + cores_at + word] = 0
        while due != 0:
            core = word << WORD_BITS | first_bit(due)
            due &= due - 1
            a.ejected[2 * count] = core
            a.ejected[2 * count + 1] = a.flit_wire[(t.routers * t.ports + core) * (t.wheel + 1) + slot]
            count += 1
    a.total[EJECTIONS] = count
    for word in range(t.router_words):
        due = a.calendar[row + 1 + word]
        a.calendar[row + 1 + word] = 0
        while due != 0:
            r = word << WORD_BITS | first_bit(due)
            due &= due - 1
            _, wait = tick(t, a, r, now)
            if wait > 0:
                mark(t, a, r, now + wait)
    return count


@njit(nogil=True)
def room(s, core):  # type: ignore[no-untyped-def]
    """Places free in the source queue of a core."""
    if s.t.source_queue < 0:
        return UNLIMITED
    return s.t.source_queue - pointer(s.m)[s.t.cores_at + core * s.t.core_row + QUEUE_LENGTH]


@part
def queue_packet(t: Layout, a: Pointers, packet, source, target, cycle):  # type: ignore[no-untyped-def]
    """``inject`` as a part of another kernel."""
    c, row = t.cores_at + source * t.core_row, packet * PACKET_ROW
    a.packet[row + SOURCE], a.packet[row + DESTINATION] = source, target
    a.packet[row + INJECTED], a.packet[row + NEXT] = cycle, -1
    if t.by_pair:
        a.packet[row + HASH] = pair_hash(source, target, t.cores)
    if a.m[c + QUEUE_FIRST] < 0:
        a.m[c + QUEUE_FIRST] = packet
    else:
        a.packet[a.m[c + QUEUE_LAST] * PACKET_ROW + NEXT] = packet
    a.m[c + QUEUE_LAST] = packet
    a.m[c + QUEUE_LENGTH] += 1
    a.total[WAITING] += 1
    mark(t, a, a.m[c + ROUTER], cycle)


@njit(nogil=True)
def inject(s, packet, source, target, cycle):  # type: ignore[no-untyped-def]
    """A packet to core ``target`` (multicast: to the set of that number) comes to the source queue of a core, where
    there is ``room``, and may leave it in ``cycle``, the next that is ticked."""
    queue_packet(s.t, pointers(s), packet, source, target, cycle)


@njit(nogil=True)
def add_room(s, core, packets, cycle):  # type: ignore[no-untyped-def]
    """A core whose room is limited takes so many packets more from ``cycle`` on, the next that is ticked."""
    t, a = s.t, pointers(s)
    c = t.cores_at + core * t.core_row
    a.m[c + SINK_ROOM] += packets
    mark(t, a, a.m[c + ROUTER], cycle)


@njit(nogil=True)
def entries(s):  # type: ignore[no-untyped-def]
    """Rows of ``s.entered`` that the last tick filled."""
    return s.total[ENTRIES]


@njit(nogil=True)
def next_cycle(s, cycle):  # type: ignore[no-untyped-def]
    """The first cycle from ``cycle`` on, the next to be ticked, in which anything happens; -1: none if nothing
    comes."""
    t, a = s.t, pointers(s)
    for wait in range(t.wheel + 1):
        if a.calendar[((cycle + wait) & t.wheel) * (1 + t.router_words + t.core_words)] != 0:
            return cycle + wait
    return -1


@njit(nogil=True)
def is_idle(s):  # type: ignore[no-untyped-def]
    """Whether no packet is in queues, routers or on wires."""
    t, a = s.t, pointers(s)
    if a.total[WAITING] != 0 or a.total[MOVING] != 0:
        return False
    for slot in range(t.wheel + 1):
        row = slot * (1 + t.router_words + t.core_words)
        for word in range(t.core_words):
            if a.calendar[row + 1 + t.router_words + word] != 0:
                return False
    return True
