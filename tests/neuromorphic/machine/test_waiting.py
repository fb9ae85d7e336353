"""Where time goes: parts add up on random machines, and are what a count tick by tick says; a case by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.kernels.core_state import ASYNCHRONOUS, PER_LAYER
from hwsim.machines.neuromorphic.behaviour import behaviour
from hwsim.machines.neuromorphic.calendar import BARRIER, TIMER, phase_cores
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.waiting import (
    CoreTime,
    core_time,
    core_times,
    elapsed,
    layer_latencies,
    phase_ends,
    phase_starts,
)
from tests.neuromorphic.machine.cases import Case, draw_case

TURN, INPUT, SLOWEST, EXCLUDED, SYNCHRONISING, IDLE = range(6)


def draw(number: int) -> tuple[Case, Record] | None:
    """A random machine that ends, and what a sample did."""
    case = draw_case(number, routed=number % 2 == 1)
    if not case.rules.refractory and case.reset == "subtract":
        return None  # a neuron that fires for ever
    return case, run_sample(case.setup, case.inputs, len(case.inputs), sample=number, depth="pass")


def runs(first: int, last: int) -> list[tuple[int, Case, Record]]:
    made = [(number, draw(number)) for number in range(first, last)]
    return [(number, *found) for number, found in made if found is not None]


@pytest.mark.parametrize("block", range(4))
def test_parts_add_up(block: int) -> None:
    for number, case, made in runs(700 + 40 * block, 740 + 40 * block):
        spent, times, where = core_time(case.setup, made), core_times(case.setup, made), elapsed(case.setup, made)
        assert spent.total == made.ticks * case.setup.cores, number
        assert (times.sum(axis=1) == made.ticks).all() and (times >= 0).all(), number
        assert min(vars(where).values()) >= 0 and sum(vars(where).values()) == made.ticks, number
        latencies = layer_latencies(case.setup, made)
        assert (latencies >= 0).all() and latencies.sum() == made.ticks, number


def busy(made: Record, cores: int) -> np.ndarray:
    """bool [C, ticks]: which core had a turn when."""
    found = np.zeros((cores, made.ticks + 1), dtype=bool)
    for core, start, end in zip(made.column("core"), made.column("start"), made.column("end"), strict=True):
        found[core, start:end] = True
    return found[:, : made.ticks]


def test_working_is_any_core_at_work_tick_by_tick() -> None:
    for number, case, made in runs(900, 960):
        slow = busy(made, case.setup.cores)
        assert elapsed(case.setup, made).working == slow.any(axis=0).sum(), number
        assert (core_times(case.setup, made)[:, TURN] == slow.sum(axis=1)).all(), number


def counted(setup: Setup, made: Record) -> np.ndarray:
    """int64 [C, 6] tick by tick, with barriers: from the starts of phases, which the turns do not tell."""
    starts = phase_starts(setup, made)
    ends = np.append(starts[1:] - setup.latency - 1, made.ticks)
    begun, slow = {}, busy(made, setup.cores)
    for core, phase, start in zip(made.column("core"), made.column("time"), made.column("start"), strict=True):
        begun[int(core), int(phase)] = int(start)
    found = np.zeros((setup.cores, 6), dtype=np.int64)
    for tick in range(made.ticks):
        phase = int(np.searchsorted(starts, tick, side="right")) - 1
        for core in range(setup.cores):
            if slow[core, tick]:
                state = TURN
            elif phase < 0 or tick >= ends[phase]:
                state = SYNCHRONISING
            else:
                low, high = phase_cores(setup.chip, made.counts.shape[1], phase)
                taking_part = low <= core < high
                state = EXCLUDED if not taking_part else INPUT if tick < begun[core, phase] else SLOWEST
            found[core, state] += 1
    return found


def test_waiting_with_barriers_tick_by_tick() -> None:
    seen = 0
    for number, case, made in runs(1000, 1140):
        if case.setup.kind == BARRIER:
            assert (core_times(case.setup, made) == counted(case.setup, made)).all(), number
            seen += 1
    assert seen > 20


def test_a_barrier_s_latency_is_all_that_synchronising_is() -> None:
    for number, case, made in runs(1200, 1260):
        where = elapsed(case.setup, made)
        if case.setup.kind == BARRIER:
            assert where.synchronising == 1 + (made.phases - 1) * (case.setup.latency + 1), number
            longer = replace(case.setup, latency=case.setup.latency + 5)
            more = run_sample(longer, case.inputs, len(case.inputs), sample=number, depth="pass")
            assert elapsed(longer, more).synchronising == where.synchronising + 5 * (made.phases - 1), number
            if case.setup.routing is None:  # routers have cycles of their own
                assert elapsed(longer, more).working == where.working, number
        elif case.setup.kind != TIMER:
            assert where.synchronising == 0 == core_time(case.setup, made).synchronising, number


def test_phases_begin_and_end_in_order() -> None:
    for number, case, made in runs(1300, 1360):
        if made.phases:
            starts = phase_starts(case.setup, made)
            ends = phase_ends(case.setup, made, starts)
            assert (np.diff(starts) > 0).all() and (ends >= starts).all(), number
            assert (ends[:-1] <= starts[1:]).all() and starts[0] == 1, number


def test_layers_between_barriers_own_their_phases() -> None:
    """One layer is evaluated in each phase: it is waited for from the last one's end to its own."""
    seen = 0
    for number, case, made in runs(1400, 1500):
        if case.setup.chip.order != PER_LAYER:
            continue
        layers, seen = case.setup.chip.layers, seen + 1
        last = [int(made.column("end")[made.column("time") == phase].max()) for phase in range(made.phases)]
        last[-1] = made.ticks
        wanted = np.zeros(layers, dtype=np.int64)
        np.add.at(wanted, np.arange(made.phases) % layers, np.diff(last, prepend=0))
        assert (layer_latencies(case.setup, made) == wanted).all(), number
    assert seen > 8


def test_signals_are_barriers_of_all_cores_and_stops_to_the_others() -> None:
    for _, case, made in runs(1500, 1560):
        cores, masked = case.setup.cores, int(made.column("masked").sum())
        signals = behaviour(case.setup, made).signals
        expected = masked * (cores - 1) if case.setup.chip.order == ASYNCHRONOUS else made.phases * cores
        assert signals == expected


def test_the_fields_of_core_time_are_the_columns() -> None:
    assert tuple(CoreTime.__dataclass_fields__) == ("turn", "input", "slowest", "excluded", "synchronising", "idle")
