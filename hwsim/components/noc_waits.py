"""Who waits for whom in a network on chip in which nothing moves any more.

For use when packets are left and no router has work: then every packet waits for a channel that another one holds, for
room behind a channel, or for a core. If these waits form a ring, nothing will ever move (Dally and Towles, Principles
and Practices of Interconnection Networks, 2004, chapter 14); otherwise they end at cores that take no packets.

Things that wait have names: "channel 1 of router 4 from router 3" (the buffer of an input), "channel 0 of router 4 from
core 4", "the source queue of core 4", "core 4". Whoever embeds a network adds waits of its own between such names, e.g.
from a core to its source queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hwsim.components.vc_plain import Packet, PlainRouter, allowed_channels
from hwsim.errors import Problem, SpecError
from hwsim.kernels.noc_state import (
    BRANCHES,
    CHANNEL,
    CHANNEL_BITS,
    COUNT,
    CREDITS,
    DESTINATION,
    HEAD,
    MOST_PACKETS,
    OWNER,
    QUEUE_FIRST,
    SENDING,
    SINK_ROOM,
    SOURCE,
    NocState,
    channel_rows,
    core_rows,
)  # fmt: skip
from hwsim.kernels.noc_tables import PORT_COLUMN, ROUTER_COLUMN, NocTables, pair_hash

if TYPE_CHECKING:
    import networkx

Place = tuple[int, int, int]
"""A router, a port and a virtual channel there: as a buffer of an input, or of an output."""
CORE, QUEUE = "core {}", "the source queue of core {}"


class Held(NamedTuple):
    """The first packet of a buffer, or of a source queue, and what it needs: outputs with a channel (-1: none yet)."""

    packet: Packet
    branches: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Snapshot:
    """What is where: first packets by buffer, holders of channels of outputs, credits, room at cores, and by core the
    first packet of the source queue with the channels that it may take but that have no room."""

    held: dict[Place, Held]
    holder: dict[Place, Place]
    credits: dict[Place, int]
    room: dict[int, int]
    queued: dict[int, tuple[Packet, tuple[int, ...]]]


def snapshot_of_state(tables: NocTables, state: NocState) -> Snapshot:
    """Of the arrays, in which no router has work."""
    rows, low = channel_rows(state), (1 << tables.shift) - 1
    holder = {
        (r, o, w): (r, owner >> tables.shift, owner & low)
        for r, o, w, owner in _entries(tables, rows[..., OWNER])
        if owner >= 0
    }
    held = {}
    for r, p, v, count in _entries(tables, rows[..., COUNT]):
        if count:
            slot = int(rows[r, p, v, HEAD])
            flit = int(state.buffer[r, p << tables.shift | v, slot])
            outs = [o for o in range(tables.ports) if int(rows[r, p, v, BRANCHES]) >> o & 1]
            given = {o: w for (router, o, w), buffer in holder.items() if router == r and buffer == (r, p, v)}
            packet = _packet(state, flit >> CHANNEL_BITS & (MOST_PACKETS - 1))
            held[r, p, v] = Held(packet, tuple((o, given.get(o, -1)) for o in outs))
    credits = {(r, o, w): value for r, o, w, value in _entries(tables, rows[..., CREDITS])}
    core = core_rows(state).tolist()
    queued = {}
    for number, row in enumerate(core):
        if row[QUEUE_FIRST] >= 0:
            packet = _packet(state, row[QUEUE_FIRST])
            able = (row[CHANNEL],) if row[SENDING] else _first_channels(tables, packet)
            queued[number] = packet, able
    return Snapshot(held, holder, credits, {number: row[SINK_ROOM] for number, row in enumerate(core)}, queued)


def snapshot_of_plain(tables: NocTables, routers: list[PlainRouter]) -> Snapshot:
    """Of plain routers, none of which has work."""
    snapshot = Snapshot({}, {}, {}, {}, {})
    for router in routers:
        r = router.node
        for p, buffers in enumerate(router.buffers):
            for v, buffer in enumerate(buffers):
                if buffer.flits:
                    branches = ((b.output, -1 if b.channel is None else b.channel) for b in buffer.branches or ())
                    snapshot.held[r, p, v] = Held(buffer.flits[0].packet, tuple(branches))
        for o, outputs in enumerate(router.outputs):
            for w, output in enumerate(outputs):
                snapshot.credits[r, o, w] = output.credits
                if output.holder is not None:
                    snapshot.holder[r, o, w] = (r, *output.holder)
        snapshot.room.update(router.sink_room)
        for core, source in router.sources.items():
            if source.queue:
                able = (source.channel,) if source.position else _first_channels(tables, source.queue[0])
                snapshot.queued[core] = source.queue[0], able
    return snapshot


def wait_graph(tables: NocTables, snapshot: Snapshot, extra: Iterable[tuple[str, str]] = ()) -> networkx.DiGraph:
    """An edge from whoever waits to each for whom it waits, by name, with the packet as attribute (None: ``extra``)."""
    import networkx

    graph = networkx.DiGraph()
    for place, (packet, branches) in snapshot.held.items():
        for output, channel in branches:
            for other in _awaited(tables, snapshot, place, packet, output, channel):
                graph.add_edge(place_name(tables, place), other, packet=packet)
    for core, (packet, channels) in snapshot.queued.items():
        port = tables.network_ports + core % tables.cores_per_router
        for channel in channels:
            place = (int(tables.home[core]), port, channel)
            graph.add_edge(QUEUE.format(core), place_name(tables, place), packet=packet)
    graph.add_edges_from(extra, packet=None)
    return graph


def packet_name(packet: Packet) -> str:
    """By its number."""
    return f"packet {packet.number}, {packet.source} -> {packet.target}"


HINT = "Use a mesh, a tree, or a torus with two classes of virtual channels; give cores more room."


def standstill(
    tables: NocTables, snapshot: Snapshot, extra: Iterable[tuple[str, str]] = (), where: str = "noc", *,
    name: Callable[[Packet], str] = packet_name, hint: str = HINT,
) -> SpecError:  # fmt: skip
    """The error that says who waits for whom; ``where`` names the place in the architecture, ``name`` a packet."""
    import networkx

    graph = wait_graph(tables, snapshot, extra)
    try:
        ring = networkx.find_cycle(graph)
    except networkx.NetworkXNoCycle:
        ends = sorted({end for _, end in graph.edges if not graph.out_degree(end)})
        some = ", ".join(ends[:8]) + (", ..." if len(ends) > 8 else "")
        found = f"packets wait for ever for what takes no more of them: {some}"
        return SpecError(Problem(where, found, "Let the cores take packets, or give them more room."))
    steps = [f"{_waiter(graph, a, b, name)} waits for {b}" for a, b in ring]
    return SpecError(Problem(where, "packets wait for each other for ever: " + "; ".join(steps), hint))


def _awaited(tables: NocTables, snapshot: Snapshot, place: Place, packet: Packet, output: int,
             channel: int) -> list[str]:  # fmt: skip
    """For whom a packet in a buffer waits at an output."""
    router, port, own = place
    if output >= tables.network_ports and channel >= 0:
        core = int(tables.first_core[router]) + output - tables.network_ports
        return [CORE.format(core)] if snapshot.room[core] == 0 else []
    found = []
    wanted = [channel] if channel >= 0 else allowed_channels(tables, router, port, own, output, packet)
    for w in wanted:
        at = (router, output, w)
        if channel < 0 and at in snapshot.holder:
            found.append(place_name(tables, snapshot.holder[at]))
        elif snapshot.credits[at] == 0 or channel < 0:
            link = tables.link[router * tables.ports + output]
            found.append(place_name(tables, (int(link[ROUTER_COLUMN]), int(link[PORT_COLUMN]), w)))
    return found


def _first_channels(tables: NocTables, packet: Packet) -> tuple[int, ...]:
    channels = range(tables.channels)
    if not tables.by_pair:
        return tuple(channels)
    return (channels[pair_hash(packet.source, packet.target, tables.cores) % len(channels)],)


def _packet(state: NocState, number: int) -> Packet:
    return Packet(number, int(state.packet[number, SOURCE]), int(state.packet[number, DESTINATION]))


def _entries(tables: NocTables, values):  # type: ignore[no-untyped-def]
    """(router, port, channel, value) of an array [routers, ports, channels or more]."""
    for r, ports in enumerate(values.tolist()):
        for p, channels in enumerate(ports):
            for v in range(tables.channels):
                yield r, p, v, channels[v]


def place_name(tables: NocTables, place: Place) -> str:
    """Of the buffer of an input."""
    router, port, channel = place
    if port >= tables.network_ports:
        origin = f"core {int(tables.first_core[router]) + port - tables.network_ports}"
    else:
        origin = f"router {int(tables.link[router * tables.ports + port, ROUTER_COLUMN])}"
    return f"channel {channel} of router {router} from {origin}"


def _waiter(graph: networkx.DiGraph, a: str, b: str, name: Callable[[Packet], str]) -> str:
    packet = graph.edges[a, b]["packet"]
    return a if packet is None else f"{a} ({name(packet)})"
