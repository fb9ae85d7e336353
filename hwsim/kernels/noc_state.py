"""The state of a network on chip as arrays: rows that a router finds by address.

An address is an index into ``m``. Router r has a block at ``r * block``: its own row, then one row per port, then one
row per channel. A channel's row is both the buffer of an input and what packets are given of an output; a channel of a
router is ``port << shift | channel``. Rows of cores follow. A row holds first what has a name here, then what
``Layout`` says where. Sets of ports, channels and routers are bits. Everything is small (32 bits), for the cache's
sake, but cycles, packets and counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.kernels.bits import pointer
from hwsim.kernels.noc_tables import INJECT_CYCLES, LOCAL, NocTables

ASKED, READY, ROUTE_FIRST, ROUTE_COUNT, GRANTED_FIRST, GRANTED_COUNT, CREDITED, TAILS, SENDERS, CORES = range(10)
"""Of a router: outputs of which channels are asked for; outputs for which a flit is ready; the two queues of what
becomes due; of its last tick, the inputs that sent a credit, the outputs to cores that a last flit left by, and the
inputs whose core sent a flit; how many cores are at it."""
(NEXT_ROUTER, NEXT_PORT, THERE, FLIT_CYCLES, CREDIT_CYCLES, DIRECTION, DATELINE, CORE, FREE, ASKED_GROUPS, SWITCH_GRANT,
 SWITCH_ACCEPT, SWITCH_CHANNEL, OFFERS) = range(14)  # fmt: skip
"""Of a port: number of the router behind the link, address of the port there, and its number; as in ``NocTables.link``;
address of the core. Of an output: FREE channels without a packet, ASKED_GROUPS groups with buffers that ask for a
channel, SWITCH_GRANT where its round robin over inputs starts. Of an input: SWITCH_ACCEPT where its round robin over
granting outputs starts, SWITCH_CHANNEL the one over its channels, OFFERS room for the outputs that grant."""
HEAD, COUNT, LEFT, BRANCHES, ACCEPT, CREDITS, OWNER, GRANT = range(8)
"""Of the buffer of an input: HEAD the slot of its first flit, COUNT flits in it, LEFT flits of the first packet that
have not left (0: no packet), BRANCHES outputs that the first packet still has to leave by, ACCEPT where its round robin
over granted channels of outputs starts. Of a channel of an output: CREDITS, OWNER the buffer that may send on it or -1,
GRANT where its round robin over buffers starts."""
QUEUE_FIRST, QUEUE_LAST, QUEUE_LENGTH, SENDING, CHANNEL, TURN, OPEN, SINK_ROOM, ROUTER, NAME = range(10)
"""Of a core: the source queue (packets, -1: none), flits of its first packet still to be sent (0: not begun), their
channel, where the round robin over channels starts, channels with room behind them, packets that the core takes (-1:
any number), its router's number, its own."""
SOURCE, DESTINATION, INJECTED, ENTERED, NEXT, HASH = range(6)
"""Columns of ``NocState.packet``: two cores (multicast: the number of a set), the cycles in which it came to the source
queue and in which its last flit left it, the next in that queue, what chooses its channel (``pair_hash``)."""
PACKET_ROW = 6
WAITING, MOVING, EJECTIONS, ENTRIES = range(4)
"""Entries of ``NocState.total``: packets in source queues; flits (of a multicast: its branches) in the network; rows of
``ejected`` and ``entered`` in use."""
CHANNEL_BITS, PACKET_BITS = 5, 31
"""A flit is a number: target << 36 | packet << 5 | channel. The target is a core (multicast: a set)."""
MOST_PACKETS = 1 << PACKET_BITS
WORD_BITS, WORD_MASK = 5, 31
"""Routers and cores in a word of the calendar: 32."""


class Layout(NamedTuple):
    """Sizes (as in ``NocTables``), and where things are.

    In a block: rows of ports from ``port_at``, of channels from ``channel_at``. In rows, by what they belong to:

    router    ``flits_due_at``, ``credits_due_at`` + cycle & wheel: ports where something comes; ``route_at``,
              ``granted_at``: queues of buffers whose routing is done, that were given a channel
    port      ``asking_at`` + group * (ports + 1) + input: channels of the input whose first packet asks for a channel
              of the group of this output; ``ready_at`` + input: channels whose first flit may take the switch to this
              output; both with the set of such inputs at the end. ``credit_at`` + cycle & wheel: the channel whose
              credit comes to this output (towards a core: to the core)
    channel   ``out_at`` + output: the channel there that the buffer was given
    core      ``credits_at`` + channel
    """

    routers: int
    network_ports: int
    ports: int
    cores: int
    channels: int
    shift: int
    slots: int
    buffer: int
    flits: int
    groups: int
    by_pair: int
    first_class: int
    iterations: int
    wait_for_tail_credit: int
    routing: int
    allocation: int
    inject_cycles: int
    wheel: int
    source_queue: int
    multicast: int
    router_words: int
    core_words: int
    block: int
    port_at: int
    port_row: int
    channel_at: int
    channel_row: int
    cores_at: int
    core_row: int
    flits_due_at: int
    credits_due_at: int
    route_at: int
    granted_at: int
    asking_at: int
    ready_at: int
    credit_at: int
    out_at: int
    credits_at: int


class NocState(NamedTuple):
    """All that changes, and the tables. Arrays are contiguous; int64 but ``m`` (int32) and ``next_port`` (int8).

    buffer      [routers, slots, buffer]: flits
    flit_wire   [routers * ports + cores, wheel + 1]: flits, that come to an input, and packets, that come to a core,
                at cycle & wheel
    sent        [routers, slots]: flits that have left on each channel of an output
    calendar    [wheel + 1, words]: at cycle & wheel, whether there is anything; routers to look at; cores to which
                something comes
    packet      [packets, 6]
    ejected, entered  [cores, 2]: (core, packet) of the last tick
    scratch     [2, slots], of the channel allocator
    """

    t: Layout
    m: np.ndarray
    buffer: np.ndarray
    flit_wire: np.ndarray
    sent: np.ndarray
    calendar: np.ndarray
    packet: np.ndarray
    next_port: np.ndarray
    fan: np.ndarray
    group_mask: np.ndarray
    scratch: np.ndarray
    ejected: np.ndarray
    entered: np.ndarray
    total: np.ndarray


class Pointers(NamedTuple):
    """The starts of the arrays of a ``NocState``, for kernels."""

    m: Any
    buffer: Any
    flit_wire: Any
    sent: Any
    calendar: Any
    packet: Any
    next_port: Any
    fan: Any
    group_mask: Any
    scratch: Any
    ejected: Any
    entered: Any
    total: Any


@njit(nogil=True, inline="always")
def pointers(s):  # type: ignore[no-untyped-def]
    """The ``Pointers`` of a state that the caller keeps alive."""
    return Pointers(
        pointer(s.m), pointer(s.buffer), pointer(s.flit_wire), pointer(s.sent), pointer(s.calendar),
        pointer(s.packet), pointer(s.next_port), pointer(s.fan), pointer(s.group_mask), pointer(s.scratch),
        pointer(s.ejected), pointer(s.entered), pointer(s.total),
    )  # fmt: skip


def new_state(n: NocTables, packets: int = 1024, sink_room: int | np.ndarray = -1) -> NocState:
    """An empty network with room for packets 0 .. ``packets`` - 1; ``sink_room`` packets that every core, or each of
    them, takes at first (-1: any number)."""
    t = _layout(n)
    assert packets < MOST_PACKETS and t.cores_at + t.cores * t.core_row < 2**31, (packets, n)
    wide: Any = lambda *shape: np.zeros(shape, np.int64)  # noqa: E731
    state = NocState(
        t, np.zeros(t.cores_at + t.cores * t.core_row, np.int32), wide(t.routers, t.slots, t.buffer),
        wide(t.routers * t.ports + t.cores, t.wheel + 1), wide(t.routers, t.slots),
        wide(t.wheel + 1, 1 + t.router_words + t.core_words), wide(packets, PACKET_ROW), n.next_port, n.fan,
        n.group_mask, wide(2, t.slots), wide(t.cores, 2), wide(t.cores, 2), wide(4),
    )  # fmt: skip
    _fill_routers(state, n)
    core, every = core_rows(state), (1 << t.channels) - 1
    core[:, (QUEUE_FIRST, QUEUE_LAST)], core[:, SINK_ROOM] = -1, sink_room
    core[:, OPEN], core[:, t.credits_at :] = every, t.buffer
    core[:, ROUTER], core[:, NAME] = n.home, np.arange(t.cores)
    return state


def _fill_routers(state: NocState, n: NocTables) -> None:
    t = state.t
    router, port, channel = router_rows(state), port_rows(state), channel_rows(state)
    router[:, CORES] = (n.first_core >= 0) * n.cores_per_router
    channel[..., CREDITS], channel[..., OWNER] = t.buffer, -1
    link = n.link.reshape(t.routers, t.ports, -1)
    port[..., NEXT_ROUTER] = link[..., 0]
    port[..., NEXT_PORT] = link[..., 0] * t.block + t.port_at + link[..., 1] * t.port_row
    port[..., THERE : DATELINE + 1] = link[..., 1:]
    port[..., FREE] = (1 << t.channels) - 1
    local = t.network_ports + np.arange(t.cores) % n.cores_per_router
    port[n.home, local, CORE] = t.cores_at + np.arange(t.cores) * t.core_row


def _layout(n: NocTables) -> Layout:
    """Rows are as long as they need be, channels' rows whole cache lines of 16 numbers."""
    cycles, flits_due_at, asking_at = n.wheel + 1, CORES + 1, OFFERS + 1
    route_at = flits_due_at + 2 * cycles
    ready_at = asking_at + n.groups * (n.ports + 1)
    credit_at = ready_at + n.ports + 1
    port_at, port_row = _lines(route_at + 2 * n.slots), credit_at + cycles
    channel_at, channel_row = _lines(port_at + n.ports * port_row), _lines(GRANT + 1 + n.ports)
    block = channel_at + n.slots * channel_row
    return Layout(
        n.routers, n.network_ports, n.ports, n.cores, n.channels, n.shift, n.slots, n.buffer, n.flits, n.groups,
        int(n.by_pair), n.first_class, n.iterations, int(n.wait_for_tail_credit), n.routing, n.allocation,
        INJECT_CYCLES, n.wheel,
        n.source_queue, int(n.multicast), router_words=_words(n.routers), core_words=_words(n.cores), block=block,
        port_at=port_at, port_row=port_row, channel_at=channel_at, channel_row=channel_row,
        cores_at=n.routers * block, core_row=NAME + 1 + n.channels, flits_due_at=flits_due_at,
        credits_due_at=flits_due_at + cycles, route_at=route_at, granted_at=route_at + n.slots, asking_at=asking_at,
        ready_at=ready_at, credit_at=credit_at, out_at=GRANT + 1, credits_at=NAME + 1,
    )  # fmt: skip


def router_rows(state: NocState) -> np.ndarray:
    """int32 [routers, columns]: a view."""
    t = state.t
    return state.m[: t.cores_at].reshape(t.routers, t.block)[:, : t.port_at]


def port_rows(state: NocState) -> np.ndarray:
    """int32 [routers, ports, columns]: a view."""
    t = state.t
    part = state.m[: t.cores_at].reshape(t.routers, t.block)
    return part[:, t.port_at : t.port_at + t.ports * t.port_row].reshape(t.routers, t.ports, t.port_row)


def channel_rows(state: NocState) -> np.ndarray:
    """int32 [routers, ports, 1 << shift, columns]: a view."""
    t = state.t
    part = state.m[: t.cores_at].reshape(t.routers, t.block)[:, t.channel_at :]
    return part.reshape(t.routers, t.ports, 1 << t.shift, t.channel_row)


def core_rows(state: NocState) -> np.ndarray:
    """int32 [cores, columns]: a view."""
    return state.m[state.t.cores_at :].reshape(state.t.cores, state.t.core_row)


def with_packets(state: NocState, packets: int) -> NocState:
    """The same network with room for at least so many packets; it shares all other arrays with ``state``."""
    assert packets < MOST_PACKETS, packets
    table = np.zeros((max(packets, len(state.packet)), PACKET_ROW), np.int64)
    table[: len(state.packet)] = state.packet
    return state._replace(packet=table)


def channel_flits(state: NocState) -> np.ndarray:
    """int64 [routers, ports, channels]: flits that have left each router, by output and channel there."""
    t = state.t
    return state.sent.reshape(t.routers, t.ports, -1)[:, :, : t.channels].copy()


def router_flits(state: NocState) -> np.ndarray:
    """int64 [routers]: flits that have left each router (flit-hops)."""
    return state.sent.sum(axis=1)


def direction_flits(state: NocState) -> tuple[int, int, int]:
    """Flits that went over links of each direction: EW, NS, LOCAL (from routers to cores)."""
    flits, direction = channel_flits(state).sum(axis=2), port_rows(state)[..., DIRECTION]
    return tuple(int(flits[direction == side].sum()) for side in range(LOCAL + 1))  # type: ignore[return-value]


def _words(members: int) -> int:
    return (members + WORD_MASK) >> WORD_BITS


def _lines(columns: int) -> int:
    return -(-columns // 16) * 16
