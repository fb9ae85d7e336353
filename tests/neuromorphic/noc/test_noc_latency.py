"""Exact times: every pair alone, and small cases by hand."""

import itertools
from dataclasses import replace

import networkx
import noc_runs
import numpy as np
import pytest

from hwsim.components import topology
from hwsim.kernels.noc_tables import NocParameters, noc_tables

MADE = [topology.mesh(4, 3), topology.torus(4, 4), topology.torus(1, 7), topology.tree(2, 3)]
DEPTHS = {
    "pass": noc_runs.run_pass,
    "kernel": lambda case: noc_runs.run_simpy(case, "kernel"),
    "process": lambda case: noc_runs.run_simpy(case, "process"),
}


ALL_SOURCES = range(10_000)


def alone(made, parameters, run, sources=ALL_SOURCES):
    """Latency of every pair, each packet in an empty network: [(source, target, cycles)]."""
    tables = noc_tables(made, parameters)
    pairs = [(a, b) for a in range(tables.cores) for b in range(tables.cores) if a in sources]
    apart = 200
    packets = [(1 + apart * number, number, a, b) for number, (a, b) in enumerate(pairs)]
    result = run(noc_runs.Case(tables, packets))
    assert [number for _, _, number in result.arrivals] == list(range(len(pairs)))
    assert [core for _, core, _ in result.arrivals] == [b for _, b in pairs]
    return [(a, b, at - packets[n][0]) for (a, b), (at, _, n) in zip(pairs, result.arrivals, strict=True)]


@pytest.mark.parametrize("made", MADE, ids=lambda made: f"{made.kind}{made.nodes}")
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "parameters",
    [NocParameters(), NocParameters(virtual_channels=2, buffer=2, flits=5, vc="by_pair", routing=0, ew_cycles=2,
                                    ns_cycles=2)],
    ids=["B", "long"],
)  # fmt: skip
def test_zero_load_latency_of_every_pair(made, depth, parameters):
    router = parameters.routing + parameters.vc_allocation + parameters.switch_allocation + parameters.traversal
    for a, b, cycles in alone(made, parameters, DEPTHS[depth]):
        ends = made.terminals[a], made.terminals[b]
        visited = networkx.shortest_path_length(made.graph, *ends) + 1
        # a buffer of 2 holds the flits of a long packet apart: 1 + 2 + 2 cycles for a credit, 3 for a flit
        if parameters.flits == 1:
            assert cycles == visited * (router + parameters.ew_cycles) + 2
        else:
            assert cycles >= visited * (router + parameters.ew_cycles) + 2 + parameters.flits - 1


@pytest.mark.parametrize("seed", range(8))
def test_zero_load_latency_of_any_stages(seed):
    """With buffers that cover the way of a credit, the formula holds for packets of any length."""
    rng = np.random.default_rng(seed)
    made = MADE[seed % len(MADE)]
    stage = {name: int(rng.integers(1, 4)) for name in ("vc_allocation", "switch_allocation", "traversal")}
    parameters = NocParameters(
        virtual_channels=int(rng.integers(2, 6)), buffer=24, flits=int(rng.integers(1, 7)),
        routing=int(rng.integers(0, 3)), ew_cycles=int(rng.integers(1, 4)), ns_cycles=int(rng.integers(1, 4)),
        local_cycles=int(rng.integers(1, 4)), vc=("dynamic", "by_pair")[seed % 2], **stage,
    )  # fmt: skip
    depth = tuple(DEPTHS.values())[seed % 3]
    for a, b, cycles in alone(made, parameters, depth):
        path = topology.route(made, made.terminals[a], made.terminals[b])
        router = parameters.routing + sum(stage.values())
        links = sum(_cycles(made, parameters, *ends) for ends in itertools.pairwise(path))
        assert cycles == len(path) * router + links + parameters.local_cycles + 2 + parameters.flits - 1


def _cycles(made, parameters, a, b):
    """Of a link: along a row unless both ends are in one column; of a tree in turns, along a row below the root's."""
    if made.kind == "tree":
        level = max(made.graph.nodes[node]["row"] for node in (a, b))
        return (parameters.ew_cycles, parameters.ns_cycles)[level % 2]
    same_column = made.graph.nodes[a]["column"] == made.graph.nodes[b]["column"]
    return parameters.ns_cycles if same_column else parameters.ew_cycles


@pytest.mark.parametrize("sources", [(0, 28, 63), pytest.param(ALL_SOURCES, marks=pytest.mark.slow)],
                         ids=["some", "all"])  # fmt: skip
def test_every_pair_of_the_large_mesh(sources):
    for a, b, cycles in alone(topology.mesh(8, 8), NocParameters(), noc_runs.run_pass, sources):
        assert cycles == 5 * (abs(a // 8 - b // 8) + abs(a % 8 - b % 8) + 1) + 2


def arrivals(parameters, packets, made=None, **options):
    """{packet: cycle}, the same at all depths."""
    case = noc_runs.Case(noc_tables(made or topology.mesh(1, 3), parameters), packets, **options)
    results = [run(case) for run in DEPTHS.values()]
    assert results[0] == results[1] == results[2]
    return {number: cycle for cycle, _, number in results[0].arrivals}


def test_one_packet_by_hand():
    # 10 at the core, 12 in buffer 0: RC 12, VA 13, SA 14, ST 15, link 16; 17 in buffer 1: RC 17, VA 18, SA 19, ST 20,
    # wire 21, at core 1 in 22. With RC 0 one cycle less in each router.
    assert arrivals(NocParameters(), [(10, 0, 0, 1)]) == {0: 22}
    assert arrivals(NocParameters(routing=0), [(10, 0, 0, 1)]) == {0: 20}


def test_packets_of_one_core_by_hand():
    # one flit per cycle enters; with two channels both packets are routed side by side
    assert arrivals(NocParameters(virtual_channels=2), [(10, 0, 0, 1), (10, 1, 0, 1)]) == {0: 22, 1: 23}
    # with one channel the second packet is routed when the first has left in 14: RC 15, VA 16, SA 17, three cycles
    # later; in router 1 it waits for nothing
    assert arrivals(NocParameters(virtual_channels=1), [(10, 0, 0, 1), (10, 1, 0, 1)]) == {0: 22, 1: 25}
    # flits of one packet follow each other without RC and VA
    assert arrivals(NocParameters(virtual_channels=1, flits=2), [(10, 0, 0, 1)]) == {0: 23}


def test_two_packets_for_one_channel_by_hand():
    # Core 0 to 2 is in buffer 1 in 17, and so is core 1 to 2, sent in 15: both ask for the link to router 2 in 18. The
    # first is at the lower input: VA 18, SA 19, in buffer 2 in 22, VA 23, SA 24, at the core in 27.
    packets = [(10, 0, 0, 2), (15, 1, 1, 2)]
    # With one channel, that is free again from 20 on: VA 20, SA 21, in buffer 2 in 24, behind the first, which leaves
    # in that cycle: RC 25, VA 26, SA 27, at the core in 30.
    assert arrivals(NocParameters(virtual_channels=1), packets) == {0: 27, 1: 30}
    # With two channels both grant the first packet in 18, which accepts one: the second has its own in 19, SA 20, in a
    # buffer of its own in router 2 in 23, SA 25.
    assert arrivals(NocParameters(virtual_channels=2), packets) == {0: 27, 1: 28}
    # A second iteration gives it that in 18; both ask for the switch in 19, and the first has it.
    assert arrivals(NocParameters(virtual_channels=2, iterations=2), packets) == {0: 27, 1: 28}


def test_round_robins_by_hand():
    # Two packets from each side of router 1 to its core, each on its own channel: 0 and 1 are there in 17, 2 and 3 in
    # 18. Buffers in order: packet 0, 2 (from router 0), 1, 3 (from router 2). VA in 18: both channels grant the first
    # that asks, 0, which accepts channel 0; that stands behind 0 then. 19: channel 1, still at the start, grants 2.
    # 20: channel 0 is free again and grants the next behind 0 that asks: 1. 21: channel 1 grants 3. SA one cycle later,
    # at the core three more.
    packets = [(10, n, core, 1) for n, core in enumerate((0, 2, 0, 2))]
    assert arrivals(NocParameters(virtual_channels=2), packets) == {0: 22, 2: 23, 1: 24, 3: 25}


def test_credits_by_hand():
    # One flit of room behind each channel, two flits: SA of the head in router 0 in 14; it is in buffer 1 in 17, SA 19;
    # its credit is back in 19 + 1 + 1 + 2 = 23: SA of the tail 23 instead of 15, in buffer 1 in 26, SA 26, core 29.
    # The core has room for one flit as well: tail sent in 10 + 2 + 2 + 2 = 16, in buffer 0 in 18, long before 23.
    assert arrivals(NocParameters(virtual_channels=1, buffer=1, flits=2), [(10, 0, 0, 1)]) == {0: 29}
    assert arrivals(NocParameters(virtual_channels=1, buffer=2, flits=2), [(10, 0, 0, 1)]) == {0: 23}
    assert arrivals(NocParameters(virtual_channels=1, buffer=1, flits=2, credit_delay=0), [(10, 0, 0, 1)]) == {0: 27}


def test_credits_of_a_core_by_hand():
    # In buffer 0 in 12, SA 14, at the core in 17; the core may use the room from 16 on: in the buffer in 18, SA 20, 23.
    one = NocParameters(virtual_channels=1, buffer=1)
    assert arrivals(one, [(10, 0, 0, 0), (10, 1, 0, 0)]) == {0: 17, 1: 23}
    # whatever routers take to take up credits of each other
    assert arrivals(replace(one, credit_delay=9), [(10, 0, 0, 0), (10, 1, 0, 0)]) == {0: 17, 1: 23}


def test_a_core_without_room_by_hand():
    # the packet asks for the switch from 19 on; room comes in 30: SA 30, at the core in 33; a second one waits longer
    packets = [(10, 0, 0, 1), (11, 1, 0, 1)]
    late = dict(rooms=[(30, 1, 1), (40, 1, 1)], sink_room=0)
    assert arrivals(NocParameters(), packets, **late) == {0: 33, 1: 43}
    assert arrivals(NocParameters(), packets, rooms=[(30, 1, 2)], sink_room=0) == {0: 33, 1: 34}
    # a packet that has begun goes on
    assert arrivals(NocParameters(flits=3), [(10, 0, 0, 1)], sink_room=1) == {0: 24}
