"""Policies and spike queues: the order against sorting, keys of one's own, draws that are those of ``hwsim.rng``."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import neuromorphic
from hwsim.errors import SpecError
from hwsim.kernels import scheduling
from hwsim.machines.neuromorphic.plain import run_plain
from hwsim.rng import draw_key, uniform
from tests.neuromorphic.ideal.networks import random_inputs, random_network

SLOTS, INPUTS = 12, 3
NEURONS = np.arange(SLOTS) - INPUTS
LAYERS = np.concatenate([np.full(INPUTS, -1), np.arange(SLOTS - INPUTS) // 3])


@numba.njit(scheduling.KEY)
def shortest_way_to_five(potential, neuron, layer, arrival, last, draw):
    return abs(neuron - 5.0)


class Five:
    """A user's policy: two attributes."""

    name = "five"
    key = shortest_way_to_five


@numba.njit(scheduling.KEY)
def undefined(potential, neuron, layer, arrival, last, draw):
    return np.nan if neuron % 2 else draw


class Undefined:
    name = "undefined"
    key = undefined


@pytest.mark.parametrize("seed", [0, 5, -3, 2**70])
def test_draws_are_those_of_rng(seed):
    key = scheduling.sample_key(seed, "chip/core[3]", 7)
    assert scheduling.step_key(key, 3, 9) == int(draw_key(seed, "chip/core[3]", 7, 3, 9))


POLICIES = {
    "random": scheduling.Random(),
    "momentum": scheduling.Momentum(),
    "noisy": scheduling.Momentum(0.5),
    "fifo": scheduling.Fifo(),
    "round_robin": scheduling.RoundRobin(),
    "layer_order": scheduling.LayerOrder(),
    "own": Five(),
    "undefined": Undefined(),
}
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, SLOTS - 1), st.sampled_from([0.25, 0.5, 0.5, 1.0])),
        st.tuples(st.just("select"), st.integers(1, 6), st.just(0.0)),
        st.tuples(st.sampled_from(["age", "age", "clear"]), st.just(0), st.just(0.0)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("name", POLICIES)
@given(ACTIONS)
@settings(max_examples=40, deadline=None)
def test_queue_against_sorting(name, actions):
    policy = POLICIES[name]
    key_of, rule = type(policy).key.py_func, scheduling.rule_of(policy)
    queue, chosen = scheduling.new_queue(NEURONS, LAYERS), np.zeros(SLOTS, dtype=np.int64)
    sample = scheduling.sample_key(1, scheduling.STREAM, 2)
    waiting, arrived, last = {}, 0, -1
    for step, (action, number, potential) in enumerate(actions):
        if action == "insert":
            scheduling.insert(queue, rule, number, 1, potential)
            before = waiting.get(number, (0, 0.0, arrived))
            arrived += number not in waiting
            waiting[number] = (before[0] + 1, potential, before[2])
        elif action == "age":
            scheduling.age(queue, rule)
            waiting = {slot: (count, 0.0, arrival) for slot, (count, _, arrival) in waiting.items()}
        elif action == "clear":
            scheduling.clear(queue)
            waiting = {}
        else:
            draws = rule.scale * uniform(1, scheduling.STREAM, 2, 4, step, np.arange(SLOTS))
            keys = {}
            for slot, (_, crossing, arrival) in waiting.items():
                key = key_of(crossing, NEURONS[slot], LAYERS[slot], arrival, last, draws[slot])
                keys[slot] = np.inf if np.isnan(key) else key
            expected = sorted(waiting, key=lambda slot: (keys[slot], slot))[:number]
            count = scheduling.select(queue, rule, number, sample, 4, step, INPUTS, chosen)
            assert chosen[:count].tolist() == expected
            assert queue.key[expected].tolist() == [keys[slot] for slot in expected]
            assert queue.multiplicity[expected].tolist() == [waiting.pop(slot)[0] for slot in expected]
            last = NEURONS[expected[-1]] if expected else last
        assert scheduling.length(queue) == len(waiting)
        assert sorted(queue.waiting[: len(waiting)].tolist()) == sorted(waiting)
        assert np.flatnonzero(queue.place >= 0).tolist() == sorted(waiting)


def test_random_is_uniform():
    """Each of five that wait is first equally often: within four standard deviations of 4000 draws."""
    rule, chosen, first = scheduling.rule_of(scheduling.Random()), np.zeros(5, dtype=np.int64), np.zeros(5)
    for sample in range(4000):
        queue = scheduling.new_queue(np.arange(5), np.zeros(5, dtype=np.int64))
        for slot in range(5):
            scheduling.insert(queue, rule, slot, 1, 0.0)
        scheduling.select(queue, rule, 2, scheduling.sample_key(0, "x", sample), 0, 1, 0, chosen)
        first[chosen[0]] += 1
    assert np.all(np.abs(first - 800) < 4 * np.sqrt(4000 * 0.2 * 0.8))


def test_momentum_with_noise():
    """Noise below the gap of two potentials never turns them round; noise far above it often does."""
    weights = [np.array([[1.0], [1.25]]), np.ones((1, 2))]

    def turned(noise):
        runs = [
            neuromorphic.run(weights, [[1]], group=1, policy="momentum", noise=noise, threshold=0.5, seed=seed)
            for seed in range(200)
        ]
        return sum(int(trace.propagated["neuron"][0] == 0) for trace in runs)

    assert turned(0.25) == 0
    assert 60 < turned(5.0) < 140


def test_a_policy_of_ones_own():
    """By object, by class and by name; the witness follows it too."""
    weights, inputs = random_network([6, 6, 6, 3], 4), random_inputs(3, 6, 4)
    chosen = {"group": 2, "threshold": 0.25}
    trace = neuromorphic.run(weights, inputs, policy=Five(), **chosen)
    assert trace.propagated["priority"].tolist() == np.abs(trace.propagated["neuron"] - 5).tolist()
    neuromorphic.register_policy(Five)
    try:
        for policy in (Five, "five"):
            again = neuromorphic.run(weights, inputs, policy=policy, **chosen)
            np.testing.assert_array_equal(again.propagated, trace.propagated)
    finally:
        del scheduling.POLICIES["five"]
    np.testing.assert_array_equal(run_plain(weights, inputs, policy=Five(), **chosen).propagated, trace.propagated)


def test_bad_policies():
    class NoKey:
        name = "none"

    class Python:
        name = "python"
        key = staticmethod(lambda potential, neuron, layer, arrival, last, draw: draw)

    class Short:
        name = "short"
        key = numba.njit(lambda potential: potential)

    class Whole:
        name = "whole"
        key = numba.njit(numba.int64(*scheduling.KEY.args))(
            lambda potential, neuron, layer, arrival, last, draw: neuron
        )

    for kind in (NoKey, Python):
        with pytest.raises(SpecError, match=f"policy: '{kind.name}' has no compiled key"):
            scheduling.rule_of(kind())
    for kind in (Short, Whole):
        with pytest.raises(SpecError, match=f"policy: the key of '{kind.name}' must have the signature .* -> float64"):
            neuromorphic.register_policy(kind)
    assert not {"none", "python", "short", "whole"} & set(scheduling.POLICIES)
