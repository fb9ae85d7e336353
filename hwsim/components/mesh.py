"""The network between tiles: routers as processes that meet at ports, links of one flit per tick, virtual cut-through.

What happens to a packet of F flits (Kermani and Kleinrock, Computer Networks 3(4), 1979):

1.  ``TileNetwork.send`` at tick t: the head is at the router of its source at t + 1. The tile's port into the router
    takes one flit per tick; a packet that finds it taken enters after the tail before it, in order of arrival.
2.  In each router the head is ready for its output ``router_ticks`` after it arrived. An output serves whole packets
    in the order in which their heads arrived in the router (in one tick: in the order of the Switchboard, by the name
    of who sent the head here; for a packet that waited at the tile's port this is the router itself). A packet starts
    at the latest of: its head is ready; the predecessor's tail has left (predecessor's start + its flits); where
    buffers are limited, a credit has come.
3.  Flit i leaves in tick start + i; the head arrives ``link_ticks`` after the start. Flits stay together, so the link
    is busy for exactly F ticks, and only the destination waits for the tail.
4.  At the destination the tile's port out of the router is an output like the others, one flit per tick; a flit that
    leaves is seen by the tile one tick later. The payload is delivered with the tail. A packet of a node to itself goes
    the same way, without links.

So a packet with nothing in its way takes ``zero_load_latency``.

Limited buffers: every input from another router has room for B packets. A packet starts on a link only with a credit
for room behind it. The room is free when the tail (of the last copy) has left; the credit is sent with that flit and
seen upstream ``link_ticks`` later. The queue between a tile and its router is not limited. A waiting packet waits only
for links after its own, whole packets have room, and topologies on whose paths links follow each other in a ring are
refused: so nothing waits for ever.

A multicast is one packet on every link of the union of its paths. Copies leave a router each as soon as its own output
lets it.

A packet-hop costs at most two SimPy events (a delivery, a waking of the router), four where buffers are limited.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from hwsim.activity import Activity
from hwsim.components import registry
from hwsim.components.memory import Cause, Process
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.registry import Action, Bits, Count, Seconds, component
from hwsim.components.topology import Link, Topology, dependency_cycle
from hwsim.errors import Problem, SpecError

FAMILIES = ("crossbar",)
SEND_TICKS = 1
"""From a tile to its router: the least that a message takes."""
EJECT_TICKS = 1
"""From a router to its tile."""

Target = tuple[int, str]
"""A node, and the port there."""


@dataclass(frozen=True, slots=True)
class Packet:
    """``payload`` for ``port`` at node ``destination``, as ``flits`` >= 1 flits, counted for ``cause``."""

    source: int
    destination: int
    port: str
    payload: Any
    flits: int
    cause: Cause

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where it goes."""
        return ((self.destination, self.port),)


@dataclass(frozen=True, slots=True)
class Multicast:
    """``payload`` for each of ``targets`` (node, port), all different; ports of one node get it in the same tick."""

    source: int
    targets: tuple[Target, ...]
    payload: Any
    flits: int
    cause: Cause


class Head(NamedTuple):
    """The head of a packet or of a copy of it with its own share of targets; it came from router ``origin``."""

    packet: Packet | Multicast
    targets: tuple[Target, ...]
    origin: int


class Credit(NamedTuple):
    """Room for one more packet behind the link to node ``neighbour``."""

    neighbour: int


@dataclass(slots=True)
class Load:
    """What went over one link or tile port.

    waited_ticks  ticks from when heads were ready to when they started, summed over packets
    """

    packets: int = 0
    flits: int = 0
    waited_ticks: int = 0

    @property
    def busy_ticks(self) -> int:
        """Ticks in which a flit went over it: one each."""
        return self.flits

    def add(self, flits: int, waited: int) -> None:
        """One packet."""
        self.packets += 1
        self.flits += flits
        self.waited_ticks += waited


@dataclass(slots=True)
class _Room:
    """The room of one packet in an input buffer, until ``copies`` copies have left it."""

    origin: int
    copies: int
    end: int = 0


class _Output:
    """One output of a router: the tick from which it is free, the credits it has (None: no limit), who waits."""

    __slots__ = ("credits", "free", "load", "neighbour", "port", "waiting")

    def __init__(self, neighbour: int, port: str, credit: int | None) -> None:
        self.neighbour, self.port, self.credits = neighbour, port, credit
        self.free = 0
        self.load = Load()
        self.waiting: deque[tuple[Head, int, _Room | None]] = deque()


def zero_load_latency(hops: int, flits: int, router_ticks: int, link_ticks: int) -> int:
    """Ticks from ``send`` to the delivery of the payload where no other packet is in the way.

    hops * (router + link) + (flits - 1), and for the two tile ports and the last router 1 + router + 1.
    """
    return hops * (router_ticks + link_ticks) + flits - 1 + SEND_TICKS + router_ticks + EJECT_TICKS


@component("noc_link", families=FAMILIES)
class NocLink:
    """A link between two routers, in one direction. Area and leakage are those of one link."""

    class Parameters(registry.Parameters):
        flit: Bits
        latency: Seconds

    actions: ClassVar = {"flit": Action("a flit moved over a link", granule="flit")}


@component("noc_router", families=FAMILIES)
class Router:
    """A router with an output to each neighbour and one to its tile (see the module for when a packet may start)."""

    class Parameters(registry.Parameters):
        flit: Bits
        latency: Seconds
        buffer: Count | None = None
        """Packets that each input from another router has room for; none: no limit."""

    actions: ClassVar = {"flit": Action("a flit taken through a router", granule="flit")}

    def __init__(self, network: TileNetwork, node: int) -> None:
        self.network, self.node, self.path = network, node, network.path_of(node)
        self.board, self.env, self.activity = network.board, network.env, network.activity
        self.port = network.board.port(self.path)
        # a row of the table that yields int, which a NumPy array would not
        self._next_hop = memoryview(network.topology.next_hop[node])
        self._local = _Output(node, "", None)
        neighbours = sorted(network.topology.graph[node])
        self.outputs = {at: _Output(at, network.path_of(at), network.buffer_packets) for at in neighbours}
        self.outputs[node] = self._local
        self.entered = Load()
        self._entry_free = 0

    def serve(self) -> Process:
        """Take what arrives: packets of the tile, heads from other routers, credits."""
        while True:
            message = yield self.port.next()
            if type(message) is Head:
                self._arrive(message)
            elif type(message) is Credit:
                self._take_credit(self.outputs[message.neighbour])
            else:
                self._enter(message)

    def _enter(self, packet: Packet | Multicast) -> None:
        """The tile's port takes one flit per tick: what finds it taken comes back when it is free."""
        now = self.env.tick
        start = max(now, self._entry_free)
        self._entry_free = start + packet.flits
        self.entered.add(packet.flits, start - now)
        head = Head(packet, packet.targets, self.node)
        if start == now:
            self._arrive(head)
        else:
            self.board.send(self.path, self.path, head, start - now)

    def _arrive(self, head: Head) -> None:
        """Count the packet, split it by outputs and start what may start."""
        packet, targets, origin = head
        cause = packet.cause
        name = self.network.router
        self.activity.count(cause.sample, cause.layer, cause.timestep, name, "flit", packet.flits)
        ready = self.env.tick + self.network.router_ticks
        copies = self._split(head) if len(targets) > 1 else {self._next_hop[targets[0][0]]: head}
        limited = self.network.buffer_packets is not None and origin != self.node
        room = _Room(origin, len(copies)) if limited else None
        for neighbour, copy in copies.items():
            output = self.outputs[neighbour]
            if output.credits == 0:  # so it is wherever one waits
                output.waiting.append((copy, ready, room))
            else:
                self._start(output, copy, ready, room)

    def _split(self, head: Head) -> dict[int, Head]:
        """One copy for each output, with the targets behind it."""
        shares: dict[int, list[Target]] = {}
        for target in head.targets:
            shares.setdefault(self._next_hop[target[0]], []).append(target)
        return {at: Head(head.packet, tuple(shares[at]), head.origin) for at in shares}

    def _start(self, output: _Output, head: Head, ready: int, room: _Room | None) -> None:
        """Fix when the packet starts on an output for which it is the next one, and with a credit where needed."""
        now = self.env.tick
        packet, flits = head.packet, head.packet.flits
        start = max(ready, output.free, now)
        output.free = start + flits
        output.load.add(flits, start - ready)
        if output is self._local:
            latency = start - now + flits - 1 + EJECT_TICKS
            for _, port in head.targets:
                self.board.send(self.path, port, packet.payload, latency)
        else:
            if output.credits is not None:
                output.credits -= 1
            self._count_link(packet)
            sent = Head(packet, head.targets, self.node)
            self.board.send(self.path, output.port, sent, start - now + self.network.link_ticks)
        if room is not None:
            self._leave(room, start + flits)

    def _count_link(self, packet: Packet | Multicast) -> None:
        cause, name = packet.cause, self.network.link
        self.activity.count(cause.sample, cause.layer, cause.timestep, name, "flit", packet.flits)
        self.activity.spend(cause.sample, cause.layer, name, "busy", packet.flits)

    def _leave(self, room: _Room, end: int) -> None:
        """A copy's tail has left before tick ``end``; after the last one the credit goes back with that tail."""
        room.copies -= 1
        room.end = max(room.end, end)
        if not room.copies:
            latency = room.end - 1 - self.env.tick + self.network.link_ticks
            self.board.send(self.path, self.network.path_of(room.origin), Credit(self.node), latency)

    def _take_credit(self, output: _Output) -> None:
        assert output.credits is not None
        output.credits += 1
        if output.waiting:
            self._start(output, *output.waiting.popleft())


class TileNetwork:
    """Routers and links of a topology. ``router`` and ``link`` are the components under which flits are counted.

    Raises ``SpecError`` where limited buffers could wait for each other for ever.
    """

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        activity: Activity,
        topology: Topology,
        *,
        router_ticks: int,
        link_ticks: int,
        buffer_packets: int | None = None,
        router: str = "router",
        link: str = "link",
    ) -> None:
        assert router_ticks >= 1 and link_ticks >= 1, (router_ticks, link_ticks)
        assert buffer_packets is None or buffer_packets >= 1, buffer_packets
        self.env, self.board, self.activity, self.topology = env, board, activity, topology
        self.router_ticks, self.link_ticks, self.buffer_packets = router_ticks, link_ticks, buffer_packets
        self.router, self.link = router, link
        self._digits = len(str(topology.nodes - 1))
        if buffer_packets is not None:
            refuse_rings(topology, f"components.{router}.buffer")
        self.routers = [Router(self, node) for node in range(topology.nodes)]

    def path_of(self, node: int) -> str:
        """The name of a router and of its port; padded, so that the order of names is that of nodes."""
        return f"{self.router}.{node:0{self._digits}d}"

    def processes(self) -> list[Process]:
        """One process per router."""
        return [router.serve() for router in self.routers]

    def send(self, sender: str, packet: Packet | Multicast) -> None:
        """Hand a packet to the router of its source; ``sender`` is the path of the component that does it."""
        assert packet.flits >= 1, packet
        assert len(set(packet.targets)) == len(packet.targets) > 0, packet
        self.board.send(sender, self.path_of(packet.source), packet, SEND_TICKS)

    def latency(self, hops: int, flits: int) -> int:
        """``zero_load_latency`` of this network."""
        return zero_load_latency(hops, flits, self.router_ticks, self.link_ticks)

    def loads(self) -> dict[Link, Load]:
        """What went over each link between routers; links without packets are there too."""
        return {
            (router.node, at): output.load
            for router in self.routers
            for at, output in router.outputs.items()
            if at != router.node
        }

    def entered(self) -> list[Load]:
        """What went from each tile into its router."""
        return [router.entered for router in self.routers]

    def left(self) -> list[Load]:
        """What went from each router to its tile."""
        return [router.outputs[router.node].load for router in self.routers]

    def waiting(self) -> int:
        """Packets (copies) that wait for a credit now; none when the network is quiet."""
        return sum(len(output.waiting) for router in self.routers for output in router.outputs.values())


def refuse_rings(topology: Topology, where: str) -> None:
    """SpecError, at the place ``where``, if packets in limited buffers could wait for each other in a ring."""
    ring = dependency_cycle(topology)
    if ring is not None:
        found = ", ".join(f"{a} -> {b}" for a, b in ring)
        raise SpecError(
            Problem(
                where,
                f"limited buffers on a {topology.kind} can wait for each other for ever: links {found}",
                "Leave the buffers without limit, or use a mesh or a tree.",
            )
        )
