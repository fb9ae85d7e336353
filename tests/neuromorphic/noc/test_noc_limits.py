"""Limits: queues and cores without room, standstill and who waits for whom, networks that are refused."""

import itertools

import networkx
import noc_runs
import numpy as np
import pytest

from hwsim.components import topology
from hwsim.components.noc_waits import snapshot_of_plain, snapshot_of_state, standstill, wait_graph
from hwsim.components.registry import catalogue
from hwsim.components.vc_router import NocWire, VcRouter, noc_parameters
from hwsim.errors import SpecError
from hwsim.kernels import noc
from hwsim.kernels.noc_state import SINK_ROOM, core_rows, new_state, with_packets
from hwsim.kernels.noc_tables import NocParameters, noc_tables

RING = topology.torus(1, 6)


def round_and_round(count=10):
    """Every core of a ring of six sends two further, all at once and again."""
    return [(1 + n, 6 * n + core, core, (core + 2) % 6) for n in range(count) for core in range(6)]


@pytest.mark.parametrize("flits", [1, 3])
@pytest.mark.parametrize("vc", ["dynamic", "by_pair"])
def test_a_ring_without_classes_stands_still_and_with_classes_does_not(flits, vc):
    packets = round_and_round()
    for classes in (False, True):
        parameters = NocParameters(virtual_channels=1 + classes, buffer=1, flits=flits, vc=vc, deadlock_free=classes)
        state = new_state(noc_tables(RING, parameters), len(packets))
        noc_runs.drain(state, packets)
        assert noc.is_idle(state) == classes


def test_a_deadlock_names_who_waits_for_whom():
    tables = noc_tables(RING, NocParameters(virtual_channels=1, buffer=1, deadlock_free=False))
    packets = round_and_round()
    state = new_state(tables, len(packets))
    noc_runs.drain(state, packets)
    error = standstill(tables, snapshot_of_state(tables, state))
    text = str(error)
    assert "packets wait for each other for ever" in text
    for core in range(6):
        before, after = (core - 1) % 6, (core + 1) % 6
        assert f"channel 0 of router {core} from router {before} (packet {before}, {before} -> {after}) waits for " \
               f"channel 0 of router {after} from router {core}" in text  # fmt: skip
    # the same at depth process
    run = noc_runs.SimpyRun(noc_runs.Case(tables, packets), "process")
    assert run.network.waiting() == noc_runs.run_simpy(noc_runs.Case(tables, packets), "kernel").left > 0
    graphs = [wait_graph(tables, snapshot) for snapshot in
              (snapshot_of_state(tables, state), snapshot_of_plain(tables, run.network.plain))]  # fmt: skip
    assert set(graphs[0].edges) == set(graphs[1].edges)


@pytest.mark.parametrize("seed", range(6))
def test_waits_of_all_depths_are_equal(seed):
    """Random networks whose cores take no more than they do at first."""
    seeds = iter(range(3000 + 50 * seed, 3050 + 50 * seed))
    while True:
        case = noc_runs.random_case(next(seeds))
        case = case._replace(rooms=[], sink_room=np.ones(case.tables.cores, np.int64))
        run = noc_runs.SimpyRun(case, "process")
        if run.network.waiting():
            break
    tables = case.tables
    state = new_state(tables, len(case.packets), case.sink_room)
    noc_runs.drain(state, case.packets)
    snapshots = snapshot_of_state(tables, state), snapshot_of_plain(tables, run.network.plain)
    graphs = [wait_graph(tables, snapshot) for snapshot in snapshots]
    assert {(*edge, graphs[0].edges[edge]["packet"]) for edge in graphs[0].edges} == {
        (*edge, graphs[1].edges[edge]["packet"]) for edge in graphs[1].edges
    }
    assert networkx.is_directed_acyclic_graph(graphs[0])
    assert "takes no more" in str(standstill(tables, snapshots[0]))


def test_cores_that_wait_for_their_own_queues_close_the_ring():
    """Two cores that each want to send before they take: the network alone has no ring, with them there is one."""
    tables = noc_tables(topology.mesh(1, 2), NocParameters(virtual_channels=1, buffer=1, source_queue=1))
    state = new_state(tables, 20, sink_room=0)
    cycle = number = 0
    while noc.next_cycle(state, cycle) >= 0 or cycle == 0:
        for core in (0, 1):
            if noc.room(state, core):
                noc.inject(state, number, core, 1 - core, cycle)
                number += 1
        noc.noc_tick(state, cycle)
        cycle += 1
    snapshot = snapshot_of_state(tables, state)
    error = standstill(tables, snapshot)
    assert "takes no more of them: core 0, core 1" in str(error)
    own = [(f"core {core}", f"the source queue of core {core}") for core in (0, 1)]
    text = str(standstill(tables, snapshot, own, "noc.router"))
    assert text.startswith("noc.router: packets wait for each other for ever")
    assert "core 1 waits for the source queue of core 1" in text
    assert "the source queue of core 1 (packet" in text


def test_a_source_queue_is_limited():
    tables = noc_tables(topology.mesh(1, 2), NocParameters(source_queue=2, virtual_channels=1, buffer=2))
    state = new_state(tables, 10)
    assert noc.room(state, 0) == 2
    noc.inject(state, 0, 0, 1, 5)
    noc.inject(state, 1, 0, 1, 5)
    assert (noc.room(state, 0), noc.room(state, 1)) == (0, 2)
    noc.noc_tick(state, 5)
    assert noc.room(state, 0) == 1 and noc.entries(state) == 1 and state.entered[0].tolist() == [0, 0]
    free = noc_tables(topology.mesh(1, 2), NocParameters())
    assert noc.room(new_state(free, 1), 0) > 1 << 32


def test_a_core_takes_as_many_packets_as_it_has_room_for():
    tables = noc_tables(topology.mesh(2, 2), NocParameters())
    packets = [(n, n, n % 4, 3) for n in range(40)]
    state = new_state(tables, 40, np.array([-1, -1, -1, 7]))
    cycle = noc_runs.drain(state, packets)
    assert core_rows(state)[:, SINK_ROOM].tolist() == [-1, -1, -1, 0] and not noc.is_idle(state)
    assert noc.next_cycle(state, cycle) == -1, "nothing is to be done while all wait"
    later = cycle + 99
    noc.add_room(state, 3, 40, later)
    assert noc.next_cycle(state, later) == later
    noc_runs.drain(state, [], later)
    assert noc.is_idle(state) and core_rows(state)[3, SINK_ROOM] == 7


def test_an_idle_network_has_nothing_to_do():
    tables = noc_tables(topology.mesh(8, 8), NocParameters())
    state = new_state(tables, 2)
    assert noc.next_cycle(state, 0) == -1 and noc.is_idle(state)
    noc.inject(state, 0, 0, 63, 10**12)
    assert noc.next_cycle(state, 10**12) == 10**12 and not noc.is_idle(state)
    ticks = [10**12]
    while not noc.is_idle(state):
        if noc.noc_tick(state, ticks[-1]):
            assert state.ejected[0].tolist() == [63, 0]
        ticks.append(noc.next_cycle(state, ticks[-1] + 1))
    assert ticks[-2] == 10**12 + 15 * 5 + 2
    # of 5 cycles per router at most one is without work: flit, VA, SA, credit
    assert len(ticks) <= 2 + 15 * 4


def test_more_packets():
    state = new_state(noc_tables(topology.mesh(1, 2), NocParameters()), 1)
    noc.inject(state, 0, 0, 1, 0)
    state = with_packets(state, 5)
    noc.inject(state, 4, 0, 1, 0)
    noc_runs.drain(state, [])
    assert len(state.packet) == 5 and noc.is_idle(state) and state.ejected[0].tolist() == [1, 4]


def edited(made, change):
    """A topology with another graph or other next hops."""
    graph, next_hop = made.graph.copy(), made.next_hop.copy()
    change(graph, next_hop)
    return topology.Topology("own", graph, next_hop, made.terminals, made.centre, made.corner)


def test_topologies_that_cannot_work_are_refused():
    def cut(graph, next_hop):
        graph.remove_edge(0, 1)
        graph.remove_edge(0, 2)

    def detour(graph, next_hop):
        next_hop[0, 3] = 3

    def astray(graph, next_hop):
        next_hop[1, 3] = 0
        next_hop[0, 3] = 1

    said = {cut: "not connected: 2 parts", detour: "router 0 has no link to 3", astray: "does not arrive"}
    for change, message in said.items():
        with pytest.raises(SpecError, match=message):
            noc_tables(edited(topology.mesh(2, 2), change), NocParameters())
    cut_kind = edited(topology.mesh(2, 2), cut)
    with pytest.raises(SpecError, match="not connected"):
        noc_tables(topology.Topology("mesh", cut_kind.graph, cut_kind.next_hop, (0, 1, 2, 3), 0, 0), NocParameters())
    same = noc_tables(edited(topology.mesh(2, 2), lambda *_: None), NocParameters())
    assert (same.next_port == noc_tables(topology.mesh(2, 2), NocParameters()).next_port).all()


def test_rings_are_refused():
    with pytest.raises(SpecError, match=r"at least 2 on a torus, found 1.*0 -> 1"):
        noc_tables(RING, NocParameters(virtual_channels=1))
    noc_tables(topology.torus(3, 3), NocParameters(virtual_channels=1))  # nobody goes two links along a ring of three
    own = topology.Topology("own", RING.graph, RING.next_hop, RING.terminals, 0, 0)
    with pytest.raises(SpecError, match="wait for each other for ever: links"):
        noc_tables(own, NocParameters(virtual_channels=2))


@pytest.mark.parametrize("shape", [(1, 4), (1, 7), (4, 4), (5, 6), (2, 8), (3, 4)])
@pytest.mark.parametrize("channels", [2, 3, 8])
def test_classes_of_a_torus_leave_no_ring(shape, channels):
    """Channels, as they may be taken one after the other on any path, depend on each other without a ring."""
    made = topology.torus(*shape)
    tables = noc_tables(made, NocParameters(virtual_channels=channels))
    dependencies = networkx.DiGraph()
    for a in made.graph:
        for b in made.graph:
            for before, after in _classes(tables, topology.route(made, a, b)):
                dependencies.add_edge(before, after)
    assert networkx.is_directed_acyclic_graph(dependencies)
    assert tables.first_class == (channels + 1) // 2


def _classes(tables, path):
    """Pairs of (link, class) that a packet takes one after the other, by ``allowed_channels``."""
    from hwsim.components.vc_plain import Packet, allowed_channels

    place, taken = (tables.network_ports, 0), []
    for a, b in itertools.pairwise(path):
        port = int(tables.next_port[a, path[-1]])
        channels = allowed_channels(tables, a, *place, port, Packet(0, path[0], path[-1]))
        taken.append(((a, b), channels))
        back = int(tables.link[a * tables.ports + port, 1])
        place = (back, channels[-1])
    return itertools.pairwise(taken)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"virtual_channels": 0}, "noc.virtual_channels: expected at least 1, found 0"),
        ({"virtual_channels": 31}, "at most 30, found 31"),
        ({"buffer": 0}, "noc.buffer"),
        ({"routing": -1}, "noc.routing: expected at least 0"),
        ({"multicast": True, "flits": 2}, "a multicast has one flit, found 2"),
        ({"cores_per_router": 40}, "at most 30 ports, found 4"),
        ({"ns_cycles": 10_000}, "at most 8192 cycles"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, said):
    with pytest.raises(SpecError, match=said):
        noc_tables(topology.mesh(2, 2), NocParameters(**parameters))


def test_components_are_declared():
    known = catalogue().components
    assert known["vc_router"].implementation is VcRouter and known["noc_wire"].implementation is NocWire
    router = VcRouter.Parameters(cycle=1e-9, virtual_channels=4, buffer=8, flit=32, message=40)
    link = NocWire.Parameters(ns_cycles=2)
    found = noc_parameters(router.model_dump(), link.model_dump(), cores_per_router=4)
    assert (found.flits, found.vc, found.ns_cycles, found.router_cycles, found.cores_per_router) == (
        2,
        "by_pair",
        2,
        4,
        4,
    )
