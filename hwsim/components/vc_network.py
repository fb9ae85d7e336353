"""A network of virtual-channel routers as SimPy processes, one per router, at depths ``process`` and ``kernel``.

Routers, and routers and cores, meet only at ports. Cycle n of the network is tick ``n * cycle_ticks``; what a core
sends at a tick is looked at in the first cycle after it. At depth ``process`` a router is a ``PlainRouter`` and its
messages are flits and credits. At depth ``kernel`` it is a part of a ``NocState`` on which ``router_tick`` works, wires
are arrays of that state, and a message says that there is something on one. A router without work waits for a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from hwsim.components.memory import Process
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.vc_plain import Arrival, Credit, Entry, Flit, Packet, PlainRouter
from hwsim.kernels import noc
from hwsim.kernels.noc_state import MOVING, WAITING, channel_flits, new_state, with_packets
from hwsim.kernels.noc_tables import CREDIT_COLUMN, FLIT_COLUMN, INJECT_CYCLES, ROUTER_COLUMN, NocTables

Depth = Literal["process", "kernel"]
ENTRY_TICKS = 1
"""From the cycle in which a packet has left a source queue to the tick in which its core sees that."""


class Injection(NamedTuple):
    """A core's packet for its source queue."""

    packet: Packet


class Room(NamedTuple):
    """A core takes so many packets more."""

    core: int
    packets: int


class Look(NamedTuple):
    """There is work in this cycle; from another router, at depth ``kernel``: something has come on a wire."""


LOOK = Look()


class VcNetwork:
    """The routers of a network.

    core_port    name of the port at which a core gets ``Arrival`` and ``Entry``
    cycle_ticks  of the simulation in a cycle of the network
    sink_room    packets that every core, or each of them, takes at first (-1: any number)
    """

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        tables: NocTables,
        core_port: Callable[[int], str],
        *,
        depth: Depth = "kernel",
        cycle_ticks: int = 1,
        sink_room: int | np.ndarray = -1,
        name: str = "router",
    ) -> None:
        assert cycle_ticks >= 1, cycle_ticks
        self.env, self.board, self.tables, self.core_port = env, board, tables, core_port
        self.cycle_ticks = cycle_ticks
        digits = len(str(tables.routers - 1))
        self._paths = [f"{name}.{node:0{digits}d}" for node in range(tables.routers)]
        # rows of the table that yield int, which a NumPy array would not
        self.link = [[int(value) for value in row] for row in tables.link]
        nodes = range(tables.routers)
        rooms = np.broadcast_to(sink_room, tables.cores).tolist()
        self.state = new_state(tables, sink_room=sink_room) if depth == "kernel" else None
        self.plain = [] if self.state else [PlainRouter(tables, node, rooms) for node in nodes]
        kind = _KernelProcess if self.state else _PlainProcess
        self._routers = [kind(self, node) for node in nodes]

    def path_of(self, node: int) -> str:
        """The name of a router and of its port; padded, so that the order of names is that of nodes."""
        return self._paths[node]

    def processes(self) -> list[Process]:
        """One process per router."""
        return [router.serve() for router in self._routers]

    def inject(self, sender: str, packet: Packet) -> None:
        """Hand a packet to the source queue of its core, where there must be room; ``sender`` is who does it."""
        self.board.send(sender, self._path_of_core(packet.source), Injection(packet), 1)

    def add_room(self, sender: str, core: int, packets: int) -> None:
        """Let a core whose room is limited take so many packets more."""
        self.board.send(sender, self._path_of_core(core), Room(core, packets), 1)

    def channel_flits(self) -> np.ndarray:
        """int64 [routers, ports, channels]: flits that have left each router, by output and channel there."""
        if self.state is not None:
            return channel_flits(self.state)
        return np.array([[[c.sent for c in row] for row in router.outputs] for router in self.plain], np.int64)

    def waiting(self) -> int:
        """Packets in source queues and flits in routers (of a multicast: one for all its branches there)."""
        if self.state is not None:
            return int(self.state.total[WAITING] + self.state.total[MOVING])
        buffers = [buffer for router in self.plain for row in router.buffers for buffer in row]
        sources = [source for router in self.plain for source in router.sources.values()]
        return sum(len(buffer.flits) for buffer in buffers) + sum(len(source.queue) for source in sources)

    def _path_of_core(self, core: int) -> str:
        return self.path_of(int(self.tables.home[core]))


class _RouterProcess:
    """What both depths share: collect the messages of a tick, then do one cycle."""

    def __init__(self, network: VcNetwork, node: int) -> None:
        self.network, self.node, self.path = network, node, network.path_of(node)
        self.env, self.board = network.env, network.board
        self.port = network.board.port(self.path)
        self.cycle_ticks = network.cycle_ticks
        tables = network.tables
        first = node * tables.ports
        self.links = network.link[first : first + tables.ports]
        self.network_ports = tables.network_ports
        self.first_core = int(tables.first_core[node])
        self._planned = -1

    def serve(self) -> Process:
        """All messages of a tick are there before this runs in it; one cycle follows, or is planned."""
        while True:
            message = yield self.port.next()
            now = self.env.tick
            cycle = -(-now // self.cycle_ticks)
            self.take(message, cycle)
            while len(self.port):
                message = yield self.port.next()
                self.take(message, cycle)
            if cycle * self.cycle_ticks == now:
                self.step(cycle)
            else:
                self.look_in(cycle, now)

    def look_in(self, cycle: int, now: int) -> None:
        """There will be work in a cycle to come."""
        if self._planned != cycle:
            self._planned = cycle
            self.board.send(self.path, self.path, LOOK, cycle * self.cycle_ticks - now)

    def send(self, port: int, message: Any, cycles: int) -> None:
        """To the router behind a port; to oneself behind the port of a core."""
        node = self.links[port][ROUTER_COLUMN]
        self.board.send(self.path, self.network.path_of(node), message, cycles * self.cycle_ticks)

    def arrive(self, arrival: Arrival, port: int) -> None:
        """A packet reaches its core."""
        latency = self.links[port][FLIT_COLUMN] * self.cycle_ticks
        self.board.send(self.path, self.network.core_port(arrival.core), arrival, latency)

    def entered(self, entry: Entry) -> None:
        """A packet has left its source queue."""
        self.board.send(self.path, self.network.core_port(entry.core), entry, ENTRY_TICKS)

    def take(self, message: Any, cycle: int) -> None:
        """A message for a cycle."""
        raise AssertionError(message)

    def step(self, cycle: int) -> None:
        """One cycle."""
        raise AssertionError(cycle)


class _PlainProcess(_RouterProcess):
    """Depth ``process``."""

    def __init__(self, network: VcNetwork, node: int) -> None:
        super().__init__(network, node)
        self.router = network.plain[node]

    def take(self, message: Any, cycle: int) -> None:
        """Flits, credits, and what cores send."""
        router = self.router
        if type(message) is Flit:
            router.flit(message, cycle)
        elif type(message) is Credit:
            router.credit(message)
        elif type(message) is Injection:
            queue = router.sources[message.packet.source].queue
            assert self.network.tables.source_queue < 0 or len(queue) < self.network.tables.source_queue, message
            queue.append(message.packet)
        elif type(message) is Room:
            router.sink_room[message.core] += message.packets

    def step(self, cycle: int) -> None:
        """Whatever leaves goes as a message of its own."""
        sent, again = self.router.tick(cycle)
        for port, message in sent:
            if type(message) is Flit:
                cycles = self.links[port][FLIT_COLUMN] if port < self.network_ports else INJECT_CYCLES
                self.send(port, message, cycles)
            elif type(message) is Credit:
                self.send(port, message, self.links[port][CREDIT_COLUMN])
            elif type(message) is Arrival:
                self.arrive(message, port)
            elif type(message) is Entry:
                self.entered(message)
        if again:
            self.look_in(cycle + 1, cycle * self.cycle_ticks)


class _KernelProcess(_RouterProcess):
    """Depth ``kernel``."""

    def take(self, message: Any, cycle: int) -> None:
        """What cores send; anything else is on a wire of the state."""
        network = self.network
        assert network.state is not None
        if type(message) is Injection:
            number, source, target = message.packet
            if number >= len(network.state.packet):
                network.state = with_packets(network.state, 2 * number)
            assert noc.room(network.state, source) > 0, message
            noc.inject(network.state, number, source, target, cycle)
        elif type(message) is Room:
            noc.add_room(network.state, message.core, message.packets, cycle)

    def step(self, cycle: int) -> None:
        """Tell those to whom something goes."""
        state = self.network.state
        assert state is not None
        sent, tails, credited, senders, entries, wait = noc.router_tick(state, self.node, cycle)
        for port in _members(sent):
            if port < self.network_ports:
                self.send(port, LOOK, self.links[port][FLIT_COLUMN])
            elif tails >> port & 1:
                core = self.first_core + port - self.network_ports
                row = state.t.routers * state.t.ports + core
                packet = state.flit_wire[row, (cycle + self.links[port][FLIT_COLUMN]) & state.t.wheel]
                self.arrive(Arrival(core, int(packet)), port)
        for port in _members(credited):
            self.send(port, LOOK, self.links[port][CREDIT_COLUMN])
        for port in _members(senders):
            self.send(port, LOOK, INJECT_CYCLES)
        for core, packet in state.entered[:entries].tolist():
            self.entered(Entry(core, packet))
        if wait:
            self.look_in(cycle + wait, cycle * self.cycle_ticks)


def _members(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
