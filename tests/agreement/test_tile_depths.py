"""The systolic tile call gives the same at both depths, in every field, whatever order its processes start in."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

from hwsim.components.array import SystolicTile, call_process, estimate_process_seconds
from hwsim.components.array_process import folds
from hwsim.kernels.call import dense_cycles
from hwsim.kernels.counters import COUNTS
from hwsim.kernels.tile import ArrayConfig, TileResult, TileWork, call_kernel
from hwsim.testing import agree, differences
from hwsim.workload.model import Geometry
from tests.agreement.tile_cases import STATIONARY, Case, small_cases

CASES = 105
CYCLES = 2000


@pytest.mark.parametrize("stationary", STATIONARY)
def test_kernel_equals_processes(stationary: str) -> None:
    assert agree(SystolicTile, small_cases(20, stationary, CASES, CYCLES)) == CASES


@pytest.mark.parametrize("stationary", STATIONARY)
def test_cases_reach_everything(stationary: str) -> None:
    """The random cases would be worth little if they never stalled, skipped, fired or used a state."""
    results = [(case, call_kernel(*case)) for case in small_cases(20, stationary, CASES, CYCLES)]
    nowhere = {"output": {"never"}, "weight": {"spike_spad_reads", "spike_spad_writes"},
               "input": {"weight_spad_reads", "weight_spad_writes"}}[stationary]  # fmt: skip
    if stationary != "output":
        nowhere |= {"psum_spad_reads", "psum_spad_writes"}
    for name in COUNTS:
        assert any(result.counts[name] for _, result in results) == (name not in nowhere), name
    assert any(result.stall_port for _, result in results)
    assert any(result.stall_lif for _, result in results)
    assert any(result.state.lif_backlog for _, result in results)
    assert any(len(result.emissions) > 1 for _, result in results)
    for field in ("first_k", "last_k", "membrane_in", "membrane_out", "constant_input", "signed_input"):
        assert {getattr(case[0], field) for case, _ in results} == {False, True}, field
    assert {case[0].hold_current for case, _ in results} == {False, stationary == "output"}
    for field in ("zero_spikes", "zero_weights", "fold_overlap", "lif_sharing", "mac", "timesteps_per_fold",
                  "buffer_of"):  # fmt: skip
        assert len({getattr(case[1], field) for case, _ in results}) > 1, field
    assert {case[0].neuron for case, _ in results} == {"lif", "if", "relu", "none"}
    assert any(case[5].psum is not None for case, _ in results)
    assert any(case[5].membrane is not None for case, _ in results)
    assert {case[3] is None for case, _ in results} == {False, True}


def held_cases() -> list[Case]:
    """Calls whose current is held, the same calls recomputing it are one ``replace`` away."""
    return [case for case in small_cases(26, "output", 300, 600) if case[0].hold_current]


def test_held_currents_agree() -> None:
    cases = held_cases()
    assert agree(SystolicTile, cases) == len(cases) >= 30
    assert any(case[0].timesteps > case[1].timesteps_per_fold for case in cases)
    assert {case[0].last_k for case in cases} == {False, True}


def test_holding_a_current_changes_no_output() -> None:
    """Outputs, states and LIF work are those of recomputing it; what the PEs do is what one timestep costs."""
    for job, *rest in held_cases():
        held, again = (call_kernel(replace(job, hold_current=hold), *rest) for hold in (True, False))
        for name in ("outputs", "state.membrane", "state.psum"):
            assert differences(attrgetter(name)(again), attrgetter(name)(held), name) == []
        for name in ("accumulates", "multiplies", "synaptic_operations", "spike_spad_reads", "shifts"):
            assert held.counts[name] * job.timesteps == again.counts[name], name
        for name in ("lif_updates", "activations", "fires", "membrane_line_reads", "membrane_line_writes"):
            assert held.counts[name] == again.counts[name], name
        assert held.counts["psum_spad_reads"] == held.counts["psum_spad_writes"] == 0
        assert held.array_busy <= again.array_busy


@pytest.mark.parametrize("stationary", STATIONARY)
def test_what_timesteps_are_charged_adds_up(stationary: str) -> None:
    for case in small_cases(27, stationary, 100, 2000):
        result = call_kernel(*case)
        assert int(result.charged_per_timestep.sum()) == result.counts["accumulates"] + result.counts["multiplies"]
        assert int(result.operations_per_timestep.sum()) == result.counts["synaptic_operations"]
        if case[1].zero_spikes != "ignored":
            assert (result.charged_per_timestep <= result.operations_per_timestep).all()


@pytest.mark.parametrize("stationary", STATIONARY)
def test_start_order_changes_nothing(stationary: str) -> None:
    for case in small_cases(21, stationary, 6, 300):
        expected = call_process(*case)
        for seed in range(4):
            assert differences(expected, call_process(*case, order=np.random.default_rng(seed))) == []


@pytest.mark.parametrize("stationary", STATIONARY)
def test_arguments_are_left_alone(stationary: str) -> None:
    for case in small_cases(22, stationary, 10, 300):
        before = deepcopy(case)
        call_kernel(*case)
        call_process(*case)
        for old, new in zip(before, case, strict=True):
            assert differences(old, new) == []


def perturbations() -> list[tuple[str, str]]:
    """Every scalar field of a result and every count."""
    fields = ["cycles", "array_busy", "stall_port", "stall_lif", "pe_busy", "lif_busy"]
    return [("field", name) for name in fields] + [("count", name) for name in COUNTS]


@pytest.mark.parametrize(("kind", "name"), perturbations())
def test_agree_finds_a_wrong_number(kind: str, name: str) -> None:
    class Wrong:
        processes = staticmethod(call_process)

        @staticmethod
        def kernel(*case: object) -> TileResult:
            result = call_kernel(*case)  # type: ignore[arg-type]
            if kind == "count":
                result.counts[name] += 1
            else:
                setattr(result, name, getattr(result, name) + 1)
            return result

    with pytest.raises(AssertionError, match=name):
        agree(Wrong, small_cases(23, "output", 1, 200))


def test_agree_finds_a_wrong_array() -> None:
    case = next(c for c in small_cases(20, "weight", CASES, CYCLES) if call_kernel(*c).outputs is not None)
    for path in ("outputs", "emissions", "operations_per_timestep", "charged_per_timestep", "membrane"):
        expected, wrong = call_kernel(*case), call_kernel(*case)
        changed = wrong.state.membrane if path == "membrane" else getattr(wrong, path)
        if changed is None:
            continue
        changed.flat[0] += 1
        assert [line.split(":")[0] for line in differences(expected, wrong)] == [
            "result.state.membrane" if path == "membrane" else f"result.{path}"
        ]


def test_agree_finds_a_bug_in_the_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line register that is forgotten at every word is found."""
    monkeypatch.setattr(folds, "accesses", lambda words, word_bits, _: sum(1 for _ in words) if word_bits else 0)
    with pytest.raises(AssertionError, match="_line"):
        agree(SystolicTile, small_cases(20, "output", 10, 300))


def test_inputs_that_no_line_brought_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk that forgets the last word of each run is found by the feeders."""
    honest = folds.input_words
    monkeypatch.setattr(folds, "input_words", lambda *arguments: honest(*arguments)[:-1])
    with pytest.raises(AssertionError, match="no line access brought"):
        for case in small_cases(20, "output", 10, 300):
            call_process(*case)


def test_estimate() -> None:
    """Refusing slow runs needs an estimate without running: conv2 of vgg9 takes minutes, a small call no second."""
    g = Geometry(64, 32, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, 32, 32)
    for stationary in STATIONARY:
        work = TileWork(stationary, g, 0, 64, 0, 1024, 0, 576, timesteps=4)
        assert 60 < estimate_process_seconds(work, ArrayConfig(16, 8, timesteps_per_fold=4)) < 3600
        small = small_cases(24, stationary, 1, 100)[0]
        assert 0 < estimate_process_seconds(small[0], small[1]) < 1


@pytest.mark.parametrize("stationary", STATIONARY)
def test_dense_cycles_are_those_of_a_call_that_skips_nothing(stationary: str) -> None:
    for case in small_cases(25, stationary, 60, 2000):
        if case[1].zero_spikes != "skipped" and case[1].zero_weights != "skipped" and case[5].lif_backlog == 0:
            assert dense_cycles(case[0], case[1]) == call_kernel(*case).cycles
