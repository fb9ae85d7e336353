"""Runs of a network on chip at all depths, with what came when, and random networks and traffic to run."""

from typing import Any, NamedTuple

import numpy as np

from hwsim.components import topology
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.vc_network import ENTRY_TICKS, VcNetwork
from hwsim.components.vc_plain import Arrival, Packet
from hwsim.kernels import noc
from hwsim.kernels.noc_state import MOVING, WAITING, channel_flits, new_state
from hwsim.kernels.noc_tables import NocParameters, noc_tables


class Case(NamedTuple):
    """A network, packets (cycle, number, source, target) and rooms (cycle, core, packets), both in order of cycles."""

    tables: Any
    packets: list
    rooms: Any = ()
    sink_room: Any = -1


class Result(NamedTuple):
    """(cycle, core, packet) of arrivals and of entries into the network; flits per output and channel; what is left."""

    arrivals: list
    entries: list
    flits: list
    left: int


def run_pass(case: Case, *, every_cycle=False) -> Result:
    """All routers by ``noc_tick``, in the cycles in which something happens or (to a limit) in all."""
    tables, packets, rooms, sink_room = case
    state = new_state(tables, 1 + max((packet[1] for packet in packets), default=0), sink_room)
    arrivals, entries, cycle, p, r = [], [], 0, 0, 0
    while True:
        coming = [noc.next_cycle(state, cycle)]
        coming += [packets[p][0]] if p < len(packets) else []
        coming += [rooms[r][0]] if r < len(rooms) else []
        coming = [at for at in coming if at >= 0]
        if not coming:
            break
        cycle = cycle if every_cycle else min(coming)
        while p < len(packets) and packets[p][0] == cycle:
            noc.inject(state, packets[p][1], packets[p][2], packets[p][3], cycle)
            p += 1
        while r < len(rooms) and rooms[r][0] == cycle:
            noc.add_room(state, rooms[r][1], rooms[r][2], cycle)
            r += 1
        count = noc.noc_tick(state, cycle)
        arrivals += [(cycle, *row) for row in state.ejected[:count].tolist()]
        entries += [(cycle, *row) for row in state.entered[: noc.entries(state)].tolist()]
        cycle += 1
    left = int(state.total[WAITING] + state.total[MOVING])
    assert (left == 0) == noc.is_idle(state)
    return Result(arrivals, entries, channel_flits(state).tolist(), left)


class SimpyRun:
    """A ``VcNetwork`` with cores that send at given cycles and note what comes."""

    def __init__(self, case: Case, depth: str, *, order=None, cycle_ticks=1):
        self.case, self.cycle_ticks = case, cycle_ticks
        self.env = Environment()
        self.board = Switchboard(self.env)
        self.network = VcNetwork(self.env, self.board, case.tables, self._port, depth=depth, cycle_ticks=cycle_ticks,
                                 sink_room=case.sink_room)  # fmt: skip
        self.arrivals, self.entries = [], []
        processes = [*self.network.processes(), self._send(), self._make_room()]
        processes += [self._read(core) for core in range(case.tables.cores)]
        for index in range(len(processes)) if order is None else order.permutation(len(processes)):
            self.env.process(processes[index])
        self.env.run()

    def _port(self, core):
        return f"core.{core:04d}"

    def _until(self, cycle):
        """What is sent one tick before a cycle is seen in it."""
        ticks = cycle * self.cycle_ticks - 1 - self.env.tick
        assert ticks >= 0 or not self.env.tick
        if ticks > 0:
            yield self.env.timeout(ticks)

    def _send(self):
        for cycle, number, source, target in self.case.packets:
            yield from self._until(cycle)
            self.network.inject(self._port(source), Packet(number, source, target))

    def _make_room(self):
        for cycle, core, packets in self.case.rooms:
            yield from self._until(cycle)
            self.network.add_room(self._port(core), core, packets)

    def _read(self, core):
        while True:
            message = yield self.board.port(self._port(core)).next()
            if type(message) is Arrival:
                cycle, late = divmod(self.env.tick, self.cycle_ticks)
                assert late == 0
                self.arrivals.append((cycle, message.core, message.packet))
            else:
                cycle, late = divmod(self.env.tick - ENTRY_TICKS, self.cycle_ticks)
                assert late == 0
                self.entries.append((cycle, message.core, message.packet))

    @property
    def result(self) -> Result:
        """Of cores in one cycle, the lower one first, as in a pass."""
        flits = self.network.channel_flits().tolist()
        return Result(sorted(self.arrivals), sorted(self.entries), flits, self.network.waiting())


def run_simpy(case: Case, depth: str, **options) -> Result:
    return SimpyRun(case, depth, **options).result


def random_topology(rng):
    kind = int(rng.integers(3))
    if kind == 2:
        return topology.tree(int(rng.integers(1, 3)), int(rng.integers(2, 4)))
    if kind == 1:  # rings of four and more need classes of channels
        return topology.torus(int(rng.integers(1, 3)), int(rng.integers(2, 7)))
    return topology.mesh(int(rng.integers(1, 4)), int(rng.integers(1, 4)))


def random_parameters(rng, made, *, multicast):
    least = 2 if made.kind == "torus" else 1
    low = dict(routing=0, vc_allocation=1, switch_allocation=1, traversal=1, credit_delay=0, ew_cycles=1, ns_cycles=1)
    stages = {name: int(rng.integers(least_of, least_of + 3)) for name, least_of in low.items()}
    return NocParameters(
        virtual_channels=int(rng.integers(least, 9)),
        buffer=int(rng.integers(1, 7)),
        flits=1 if multicast else int(rng.integers(1, 6)),
        vc=("dynamic", "by_pair")[int(rng.integers(2))],
        iterations=int(rng.integers(1, 3)),
        wait_for_tail_credit=bool(rng.random() < 0.3),
        local_cycles=None if rng.random() < 0.5 else int(rng.integers(1, 4)),
        cores_per_router=int(rng.integers(1, 3)),
        multicast=multicast,
        **stages,
    )


def random_case(seed) -> Case:
    """A small network under traffic that fills it for a while; every third one multicast, every third with cores that
    take few packets."""
    rng = np.random.default_rng(seed)
    multicast, limited = bool(rng.random() < 1 / 3), bool(rng.random() < 1 / 3)
    made = random_topology(rng)
    parameters = random_parameters(rng, made, multicast=multicast)
    cores = len(made.terminals) * parameters.cores_per_router
    sets = []
    for _ in range(12 if multicast else 0):
        size = int(rng.integers(1, cores + 1))
        sets.append((int(rng.integers(cores)), rng.choice(cores, size, replace=False).tolist()))
    tables = noc_tables(made, parameters, sets)
    count = int(rng.integers(1, 50 if multicast else 80))
    cycles = np.sort(rng.integers(1, int(rng.integers(2, 90)), count)).tolist()
    packets = []
    for number, cycle in enumerate(cycles):
        target = int(rng.integers(12 if multicast else cores))
        source = sets[target][0] if multicast else int(rng.integers(cores))
        packets.append((cycle, number, source, target))
    if not limited:
        return Case(tables, packets)
    times = np.sort(rng.integers(1, 250, int(rng.integers(0, 3 * cores)))).tolist()
    rooms = [(at, int(rng.integers(cores)), int(rng.integers(1, 4))) for at in times]
    return Case(tables, packets, rooms, rng.integers(-1, 4, cores))


def drain(state, packets, cycle=0) -> int:
    """Send packets (cycle, number, source, target) and tick until nothing happens any more; the cycle then."""
    last = max((at for at, *_ in packets), default=cycle)
    while cycle <= last or noc.next_cycle(state, cycle) >= 0:
        for _, number, source, target in [packet for packet in packets if packet[0] == cycle]:
            noc.inject(state, number, source, target, cycle)
        noc.noc_tick(state, cycle)
        cycle += 1
    return cycle
