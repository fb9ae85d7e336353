"""Dynamic timesteps."""

from __future__ import annotations

import numpy as np
import pytest
from snn_builder import LIF, Builder

from hwsim.errors import SpecError
from hwsim.network import engine
from hwsim.network.exit import ExitRule, entropy, exit_timesteps, exits
from hwsim.network.freeze import freeze
from hwsim.workload.model import Samples, Workload


def test_entropy_is_relative_to_equal_probabilities() -> None:
    assert entropy(np.zeros(10), 3) == pytest.approx(1.0, abs=1e-15)
    assert entropy(np.array([2000.0, 0.0]), 2) == 0.0
    # softmax([log 3, 0]) = (3/4, 1/4)
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert entropy(np.array([2 * np.log(3), 0.0]), 2) == pytest.approx(expected, rel=1e-14)


def test_only_multiples_of_the_block_are_looked_at() -> None:
    sure = np.array([100.0, 0.0])
    assert [exits(ExitRule(0.5, 2), sure, t) for t in (1, 2, 3, 4)] == [False, True, False, True]
    assert not exits(None, sure, 2)
    assert not exits(ExitRule(0.0), sure * 100, 1)  # never below zero


def test_first_exit_counts() -> None:
    logits = np.cumsum(np.array([[0.1, 0], [0.1, 0], [9, 0], [-9, 0], [0, 0]]), axis=0)
    assert exit_timesteps(None, logits) == 5
    assert exit_timesteps(ExitRule(0.5), logits) == 3
    assert exit_timesteps(ExitRule(0.5, 2), logits) == 5
    assert exit_timesteps(ExitRule(1.0), logits) == 1


@pytest.mark.parametrize("given", [{"threshold": 1.5}, {"threshold": 0.5, "block": 0}])
def test_impossible_rules_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        ExitRule(**given)  # type: ignore[arg-type]


def network() -> tuple[Workload, Samples]:
    """A small network with direct coding, and samples for it."""
    b = Builder((2, 6, 6), 6, seed=3)
    b.weighted("conv2d", (8, 2, 3, 3), LIF | {"threshold": 0.6}, kernel=[3, 3])
    b.add("flatten")
    b.weighted("linear", (10, 128), {"type": "none"}, scale=0.004)
    samples = np.random.default_rng(0).integers(0, 256, (24, 2, 6, 6)).astype(np.uint8)
    return b.build(), Samples(samples, np.arange(24) % 10)


def test_engine_stops_where_the_rule_says_and_forgets_the_rest() -> None:
    workload, samples = network()
    frozen = freeze(workload)
    rule = ExitRule(0.7, 2)
    stops = set()
    for number in range(len(samples)):
        whole = engine.run_sample(frozen, samples, number)
        short = engine.run_sample(frozen, samples, number, exit_rule=rule)
        stop = exit_timesteps(rule, whole.logits)
        stops.add(stop)
        assert short.timesteps == stop and len(short.logits) == stop
        assert short.prediction == int(np.argmax(whole.logits[stop - 1]))
        np.testing.assert_array_equal(short.outputs["conv2d0"], whole.outputs["conv2d0"][:stop])
    assert stops == {2, 4, 6}


def test_accuracy_does_not_depend_on_workers() -> None:
    workload, samples = network()
    frozen = freeze(workload)
    one = engine.accuracy(frozen, samples, workers=1, exit_rule=ExitRule(0.7))
    two = engine.accuracy(frozen, samples, workers=3, exit_rule=ExitRule(0.7))
    np.testing.assert_array_equal(one.predictions, two.predictions)
    np.testing.assert_array_equal(one.timesteps, two.timesteps)
    assert one.correct == sum(one.predictions == one.labels) == round(one.fraction * 24)
    part = engine.accuracy(frozen, samples, 5, first=21)
    assert part.labels.tolist() == [1, 2, 3]
