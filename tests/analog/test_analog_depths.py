"""The analog tile call gives the same at both depths, in every field, whatever order its processes start in."""

from __future__ import annotations

import numpy as np

from hwsim.components.analog_process import AnalogTile, call_process, estimate_process_seconds
from hwsim.kernels.analog_tile import COUNTS, call_kernel
from hwsim.testing import agree, differences
from tests.analog.cases import KINDS, random_cases

CASES = 240


def test_kernel_equals_processes() -> None:
    assert agree(AnalogTile, random_cases(3, CASES)) == CASES


def test_start_order_cannot_matter() -> None:
    for case in random_cases(4, 12):
        results = [call_process(*case, order=np.random.default_rng(seed)) for seed in range(3)]
        assert not differences(results[0], results[1]) and not differences(results[0], results[2])


def test_cases_reach_everything() -> None:
    """The random cases would be worth little if they never waited, skipped, clipped or used a state."""
    cases = list(random_cases(3, CASES))
    results = [call_kernel(*case) for case in cases]
    for name in COUNTS:
        assert sum(result.counts[name] > 0 for result in results) > 20, name
    assert sum(result.array_stall_adc > 0 for result in results) > 20
    assert sum(result.state.adc_backlog > 0 for result in results) > 20
    assert {case[0].planes for case in cases} == {1, 2, 3, 4}
    assert {case[2].polarities for case in cases} == {1, 2}
    assert {case[2].slices for case in cases} == {1, 2, 3}
    for reached in (
        {(case[1].sample_hold, case[1].zero_vectors, case[2].codes > 0) for case in cases},
        {(case[2].noise.size > 0, case[2].correction.size > 0, case[2].solve is not None) for case in cases},
        {(case[0].shape.pad_y > 0, case[0].shape.stride_x > 1, len(case[0].blocks) > 1) for case in cases},
    ):
        assert len(reached) == 8, reached
    solved = [(case[2].solve, result) for case, result in zip(cases, results, strict=True) if case[2].solve]
    for kind in KINDS:
        read = [result for solve, result in solved if (solve.gated, solve.law) == kind and result.psum.any()]
        assert len(read) > 5, kind
    assert any(case[3].adc_backlog and case[1].sample_hold for case in cases)
    skipped = [(case, result) for case, result in zip(cases, results, strict=True)
               if case[1].zero_vectors == "skipped" and result.counts["read"]]  # fmt: skip
    blocks = [len(case[0].blocks) * case[2].slices * case[0].planes * (case[0].p1 - case[0].p0) for case, _ in skipped]
    assert sum(result.counts["read"] < every for (_, result), every in zip(skipped, blocks, strict=True)) > 20


def test_time_is_busy_or_waiting() -> None:
    for case in random_cases(6, 100):
        work, config, analog, _ = case
        result = call_kernel(*case)
        steps = -(-(work.m1 - work.m0) * analog.polarities // config.adcs)
        assert result.cycles == result.array_busy + result.array_stall_adc
        assert np.all(np.diff(result.emissions) >= 0)
        assert config.sample_hold or not result.state.adc_backlog
        vectors_read, rest = divmod(result.adc_busy, steps * config.step_ticks)
        assert rest == 0 and vectors_read <= (work.p1 - work.p0) * work.planes


def test_estimate_grows_with_the_work() -> None:
    case = next(random_cases(9, 1))
    work, config, analog, _ = case
    assert 0 < estimate_process_seconds(work, config, analog) < 60
