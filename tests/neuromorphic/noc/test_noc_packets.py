"""Nothing is lost, doubled, led astray or, with channels by pair, reordered; counts are those of the paths."""

import itertools

import noc_runs
import numpy as np
import pytest

from hwsim.components import topology
from hwsim.kernels.noc_state import direction_flits, new_state, router_flits
from hwsim.kernels.noc_tables import EW, LOCAL, NS, NocParameters, noc_tables
from hwsim.machines.neuromorphic.traffic import audit

MADE = {"mesh": topology.mesh(4, 4), "torus": topology.torus(5, 4), "tree": topology.tree(2, 4)}


def clean(found, *, in_order):
    assert (found.lost, found.doubled, found.astray) == (0, 0, 0), found
    assert not in_order or found.reordered == 0, found


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("vc", ["dynamic", "by_pair"])
@pytest.mark.parametrize(("flits", "buffer", "rate"), [(1, 8, 0.2), (1, 1, 1.0), (5, 2, 1.0)])
def test_all_arrive(kind, vc, flits, buffer, rate):
    parameters = NocParameters(virtual_channels=3, buffer=buffer, flits=flits, vc=vc)
    clean(audit(MADE[kind], parameters, 3000, rate), in_order=vc == "by_pair")


def test_more_than_one_path_in_time_reorders():
    """Otherwise the counter of reordered packets would show nothing."""
    assert audit(topology.mesh(8, 8), NocParameters(), 20_000, 0.4).reordered > 0


@pytest.mark.parametrize("vc", ["dynamic", "by_pair"])
def test_many_packets(vc):
    found = audit(topology.mesh(8, 8), NocParameters(vc=vc), 200_000, 0.33)
    assert 200_000 <= found.made < 201_000
    clean(found, in_order=vc == "by_pair")


@pytest.mark.slow
@pytest.mark.parametrize("vc", ["dynamic", "by_pair"])
def test_ten_million_packets(vc):
    found = audit(topology.mesh(8, 8), NocParameters(vc=vc), 10_000_000, 0.33)
    assert found.made >= 10_000_000
    clean(found, in_order=vc == "by_pair")


def many_packets(cores, seed, count=300, cycles=200):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, cycles, count)).tolist()
    return [(at, n, int(rng.integers(cores)), int(rng.integers(cores))) for n, at in enumerate(times)]


@pytest.mark.parametrize("kind", MADE)
def test_flits_are_counted_on_the_links_of_the_paths(kind):
    made, flits = MADE[kind], 3
    tables = noc_tables(made, NocParameters(flits=flits))
    packets = many_packets(tables.cores, 4)
    found = np.array(noc_runs.run_pass(noc_runs.Case(tables, packets)).flits).sum(axis=2)
    expected = np.zeros_like(found)
    for _, _, source, target in packets:
        path = topology.route(made, made.terminals[source], made.terminals[target])
        for a, b in itertools.pairwise(path):
            expected[a, sorted(made.graph[a]).index(b)] += flits
        expected[path[-1], tables.network_ports] += flits
    assert (found == expected).all()


def test_directions():
    made = topology.mesh(3, 4)
    tables = noc_tables(made, NocParameters())
    packets = many_packets(12, 5)
    state = new_state(tables, len(packets))
    noc_runs.drain(state, packets)
    row, column = np.divmod(np.array(packets)[:, 2:], 4)
    found = direction_flits(state)
    assert found[EW] == np.abs(np.diff(column)).sum() and found[NS] == np.abs(np.diff(row)).sum()
    assert found[LOCAL] == len(packets)
    assert router_flits(state).sum() == sum(found)


@pytest.mark.parametrize("made", [topology.mesh(4, 4), topology.torus(3, 5), topology.tree(2, 3)],
                         ids=lambda made: made.kind)  # fmt: skip
@pytest.mark.parametrize("vc", ["dynamic", "by_pair"])
def test_multicast_uses_each_link_of_the_union_once(made, vc):
    rng = np.random.default_rng(6)
    cores = 2 * len(made.terminals)
    sets = [(int(rng.integers(cores)), rng.choice(cores, int(rng.integers(1, cores)), replace=False).tolist())
            for _ in range(40)]  # fmt: skip
    parameters = NocParameters(multicast=True, cores_per_router=2, vc=vc, virtual_channels=2, buffer=1)
    tables = noc_tables(made, parameters, sets)
    times = np.sort(rng.integers(0, 100, 200)).tolist()
    packets = [(at, n, sets[n % 40][0], n % 40) for n, at in enumerate(times)]
    result = noc_runs.run_pass(noc_runs.Case(tables, packets))
    assert result.left == 0
    expected = sorted((core, n) for _, n, _, number in packets for core in sets[number][1])
    assert sorted((core, n) for _, core, n in result.arrivals) == expected
    flits = np.array(result.flits).sum(axis=2)
    counted = np.zeros_like(flits)
    for _, _, source, number in packets:
        ends = {made.terminals[core // 2] for core in sets[number][1]}
        for a, b in topology.path_links(made, made.terminals[source // 2], ends):
            counted[a, sorted(made.graph[a]).index(b)] += 1
        for core in sets[number][1]:
            counted[made.terminals[core // 2], tables.network_ports + core % 2] += 1
    assert (flits == counted).all()
    last = {}
    for _, core, n in result.arrivals if vc == "by_pair" else ():
        assert n > last.get((core, n % 40), -1), "reordered"
        last[core, n % 40] = n


def test_a_multicast_alone_is_as_fast_as_its_packets():
    made, far = topology.mesh(4, 4), [0, 3, 5, 12, 15]
    tables = noc_tables(made, NocParameters(multicast=True), [(5, far)])
    arrivals = noc_runs.run_pass(noc_runs.Case(tables, [(0, 0, 5, 0)])).arrivals
    hops = topology.hop_counts(made)[5]
    # copies that leave one input in one cycle do so one after the other
    late = {core: at - (5 * (int(hops[core]) + 1) + 2) for at, core, _ in arrivals}
    assert set(late) == set(far) and min(late.values()) == 0 and max(late.values()) <= 4
