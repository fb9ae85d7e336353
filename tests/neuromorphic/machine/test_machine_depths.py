"""Depths process, kernel and pass give the same in every field, whatever the machine and the order of processes."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.kernels.core_state import COUNTS
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.simulate import run_sample
from tests.neuromorphic.machine.cases import Case, draw_case, unlike
from tests.neuromorphic.machine.wide_cases import Wide, draw_wide


def attempt(case: Case | Wide, depth: str, number: int, shuffle: bool = False) -> Record | str:
    """The record, or the message of a deadlock."""
    order = np.random.default_rng(number) if shuffle else None
    timesteps = case.timesteps if isinstance(case, Wide) else len(case.inputs)
    try:
        return run_sample(case.setup, case.inputs, timesteps, seed=3, sample=number, depth=depth, order=order)
    except SpecError as error:
        return str(error)


def compare(case: Case | Wide, number: int) -> Record | str:
    """All depths give the same; the processes of two of them start in shuffled order."""
    expected = attempt(case, "process", number, shuffle=True)
    for depth in ("kernel", "pass"):
        found = attempt(case, depth, number, shuffle=depth == "kernel")
        if isinstance(expected, str) or isinstance(found, str):
            assert expected == found, (number, depth)
        else:
            assert unlike(expected, found) == [], (number, depth)
    return expected


def agree(number: int, routed: bool) -> Record | str:
    """Of one of the usual machines."""
    return compare(draw_case(number, routed=routed), number)


@pytest.mark.parametrize("block", range(8))
def test_without_a_network(block):
    records = [agree(number, routed=False) for number in range(30 * block, 30 * block + 30)]
    assert sum(len(made.turns) for made in records) > 100


@pytest.mark.parametrize("block", range(8))
def test_with_a_network(block):
    records = [agree(number, routed=True) for number in range(20 * block, 20 * block + 20)]
    assert sum(made.flits.sum() for made in records if isinstance(made, Record)) > 20


@pytest.mark.parametrize("block", range(4))
def test_with_more_variety(block):
    records = [compare(draw_wide(number), number) for number in range(20 * block, 20 * block + 20)]
    assert sum(len(made.turns) for made in records if isinstance(made, Record)) > 100


def test_machines_that_once_differed():
    """A stop's row of the table was used again before the core knew that it had left; a stop that came in the middle of
    a turn made room at once, instead of at its end."""
    agree(1922, routed=True)
    compare(draw_wide(3113), 3113)
    compare(draw_wide(4010), 4010)
    compare(draw_wide(325), 325)  # not yet, but does where a stop frees an output slot


def test_the_cases_have_everything():
    """What is compared happens at all: stops, late and dropped messages, spikes left behind."""
    total = np.zeros(len(COUNTS), dtype=np.int64)
    for number in range(240):
        made = attempt(draw_case(number), "pass", number)
        assert isinstance(made, Record)
        total += made.counts.sum(axis=(0, 1))
    assert total.min() > 0, dict(zip(COUNTS, total.tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("routed", [False, True])
def test_many_more(routed):
    for number in range(1000, 3000):
        agree(number, routed)


@pytest.mark.slow
def test_many_more_with_more_variety():
    ends = [compare(draw_wide(number), number) for number in range(1000, 1400)]
    assert 5 < sum(isinstance(end, str) for end in ends) < 200
