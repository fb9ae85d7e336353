"""Depths ``process``, ``kernel`` and ``pass`` agree in every field, whoever starts first."""

import noc_runs
import numpy as np
import pytest

from hwsim.components import topology
from hwsim.kernels import noc
from hwsim.kernels.noc_state import channel_flits, new_state
from hwsim.kernels.noc_tables import FLIT_COLUMN, NocParameters, noc_tables

GROUPS, EACH = 8, 13


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_networks_agree(group):
    for seed in range(group * EACH, (group + 1) * EACH):
        case = noc_runs.random_case(seed)
        passed = noc_runs.run_pass(case)
        rng = np.random.default_rng(seed)
        for depth in ("kernel", "process"):
            result = noc_runs.run_simpy(case, depth, order=rng)
            for name, value in result._asdict().items():
                assert value == getattr(passed, name), (seed, depth, name)


def test_random_cases_have_everything_in_them():
    cases = [noc_runs.random_case(seed) for seed in range(GROUPS * EACH)]
    tables = [case.tables for case in cases]
    assert {t.channels for t in tables} == set(range(1, 9)) and {t.flits for t in tables} == set(range(1, 6))
    for field in ("by_pair", "multicast", "wait_for_tail_credit", "iterations", "cores_per_router"):
        assert len({getattr(t, field) for t in tables}) == 2, field
    assert sum(t.first_class > 0 for t in tables) > 5
    assert sum(bool(t.first_class) and bool(t.by_pair) for t in tables) > 2
    assert sum(bool(case.rooms) for case in cases) > 20
    waiting = [noc_runs.run_pass(case).left > 0 for case in cases]
    assert 10 < sum(waiting) < GROUPS * EACH / 2


@pytest.mark.parametrize("seed", range(2))
def test_start_order_and_machine_ticks_change_nothing(seed):
    case = noc_runs.random_case(1000 + seed)
    expected = noc_runs.run_pass(case)
    for depth in ("kernel", "process"):
        for order in range(3):
            result = noc_runs.run_simpy(case, depth, order=np.random.default_rng(order), cycle_ticks=1 + 2 * order)
            assert result == expected


@pytest.mark.parametrize("seed", range(12))
def test_cycles_in_which_nothing_happens_need_no_tick(seed):
    case = noc_runs.random_case(2000 + seed)
    assert noc_runs.run_pass(case) == noc_runs.run_pass(case, every_cycle=True)


@pytest.mark.parametrize("made", [topology.mesh(3, 4), topology.torus(4, 4)], ids=["mesh", "torus"])
def test_order_of_routers_cannot_matter(made):
    """All routers in every cycle, in an order of their own in each, against ``noc_tick``."""
    tables = noc_tables(made, NocParameters(virtual_channels=3, buffer=2, flits=2))
    rng = np.random.default_rng(3)
    cycles = np.sort(rng.integers(0, 150, 400)).tolist()
    packets = [(cycle, n, int(rng.integers(12)), int(rng.integers(12))) for n, cycle in enumerate(cycles)]
    expected = noc_runs.run_pass(noc_runs.Case(tables, packets))
    state, arrivals = new_state(tables, len(packets)), []
    for cycle in range(expected.arrivals[-1][0]):
        for _, number, source, target in [packet for packet in packets if packet[0] == cycle]:
            noc.inject(state, number, source, target, cycle)
        for router in rng.permutation(tables.routers).tolist():
            _, tails, *_ = noc.router_tick(state, router, cycle)
            if tails:
                port = tails.bit_length() - 1
                at = cycle + int(tables.link[router * tables.ports + port, FLIT_COLUMN])
                row = tables.routers * tables.ports + router
                arrivals.append((at, router, int(state.flit_wire[row, at & state.t.wheel])))
    assert sorted(arrivals) == expected.arrivals
    assert channel_flits(state).tolist() == expected.flits


def test_an_injection_between_cycles_waits_for_the_next_one():
    tables = noc_tables(topology.mesh(1, 2), NocParameters())
    case = noc_runs.Case(tables, [(3, 0, 0, 1)])
    assert noc_runs.run_simpy(case, "kernel", cycle_ticks=7) == noc_runs.run_pass(case)
    assert noc_runs.run_simpy(case, "process", cycle_ticks=7) == noc_runs.run_pass(case)
