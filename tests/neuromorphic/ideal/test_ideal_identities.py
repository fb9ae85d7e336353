"""What must hold for any network: layered inference as a special case, conservation, independence of samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.neuromorphic import SpecError, run, run_many
from tests.neuromorphic.ideal.networks import (
    CASES,
    POLICIES,
    drawn,
    layered,
    networks,
    random_inputs,
    random_network,
    settings_of,
)


def assert_layered(trace, weights, inputs, **parameters):
    counts, potentials = layered(weights, inputs, **parameters)
    np.testing.assert_array_equal(trace.counts, counts.reshape(trace.counts.shape))
    np.testing.assert_array_equal(trace.potentials, potentials.reshape(trace.potentials.shape))


@given(networks(), st.sampled_from(POLICIES), st.sampled_from([1.0, 0.5]), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_groups_as_large_as_a_layer_are_layered(network, policy, leak, more):
    """One step per layer at most, whatever the order. (With reset by subtraction a neuron may be above its threshold
    before it hears anything, and does not wait.)"""
    weights, inputs = network
    group = max(map(len, weights)) + more
    parameters = {"threshold": 0.25, "leak": leak}
    trace = run(weights, inputs, group=group, policy=policy, drain="all", **parameters)
    assert_layered(trace, weights, inputs, **parameters)
    assert np.all(trace.steps <= len(weights))


@given(
    networks(),
    st.sampled_from(POLICIES),
    st.integers(1, 9),
    st.sampled_from([1.0, 0.5]),
    st.sampled_from(["zero", "subtract"]),
)
@settings(max_examples=60, deadline=None)
def test_barriers_are_layered(network, policy, group, leak, reset):
    """Any group, any order: one message per neuron and timestep."""
    weights, inputs = network
    parameters = {"threshold": 0.25, "leak": leak, "reset": reset}
    trace = run(weights, inputs, group=group, policy=policy, barriers=True, **parameters)
    assert_layered(trace, weights, inputs, **parameters)
    neurons = sum(map(len, weights))
    for t in range(len(inputs)):
        senders = trace.propagated["neuron"][trace.propagated["timestep"] == t]
        assert sorted(senders) == list(range(neurons))


@pytest.mark.parametrize(("group", "steps"), [(1, 3232), (8, 408), (64, 56)])
@pytest.mark.parametrize("policy", ["random", "momentum"])
def test_messages_of_barriers(group, steps, policy):
    """404 neurons x 8 timesteps instead of 453 spikes."""
    weights, inputs = drawn("shd_F1_done")
    trace = run(weights, inputs, group=group, policy=policy, threshold=CASES["shd_F1_done"]["threshold"], barriers=True)
    assert (len(trace.propagated), trace.counts.sum(), trace.steps.sum()) == (3232, 453, steps)


def assert_conserved(trace, carry):
    for t in range(len(trace.steps)):
        emitted, propagated = (rows[rows["timestep"] == t] for rows in (trace.emitted, trace.propagated))
        sent = propagated["multiplicity"][propagated["neuron"] >= 0].sum()
        before = trace.queue[t - 1].sum() if carry and t else 0
        assert before + len(emitted) == sent + trace.masked[t].sum() + trace.queue[t].sum()
        assert trace.masked[t].sum() == emitted["masked"].sum()
        assert trace.counts[t].sum() == len(emitted) - emitted["masked"].sum()
        assert trace.delivered[t] <= sent


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_spikes_are_kept(data):
    """Emitted = propagated + masked + left, in every timestep; steps take the groups that they say."""
    weights, inputs = data.draw(networks())
    chosen = data.draw(settings_of(sum(map(len, weights))))
    try:
        trace = run(weights, inputs, **chosen)
    except SpecError:
        return
    assert_conserved(trace, chosen["carry"])
    for t in range(len(inputs)):
        steps = trace.propagated["step"][trace.propagated["timestep"] == t]
        assert np.all(np.diff(steps) >= 0)
        assert np.all(np.unique(steps, return_counts=True)[1] <= chosen["group"])
        assert steps.max(initial=1) <= trace.steps[t]
    if chosen["stop"] == "done" and not chosen["carry"]:
        assert not trace.queue.any() and not trace.input_queue.any()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_sample_is_alone(data):
    """A sample among many is the sample run alone, for any number of workers."""
    weights, _ = data.draw(networks())
    chosen = data.draw(settings_of(sum(map(len, weights))))
    timesteps, outputs = data.draw(st.integers(0, 3)), len(weights[-1])
    inputs = np.array([random_inputs(timesteps, weights[0].shape[1], seed) for seed in range(4)])
    labels = np.arange(4) % outputs
    try:
        found = run_many(weights, inputs, labels=labels, workers=data.draw(st.integers(1, 3)), **chosen)
    except SpecError:
        return
    for s in range(4):
        trace = run(weights, inputs[s], sample=s, **chosen)
        np.testing.assert_array_equal(found.counts[s], trace.counts.sum(axis=0))
        np.testing.assert_array_equal(found.outputs[s], trace.counts[:, -outputs:])
        np.testing.assert_array_equal(found.steps[s], trace.steps)
        network = trace.propagated[trace.propagated["neuron"] >= 0]
        assert found.propagated[s] == network["multiplicity"].sum()
        assert found.emitted[s] == len(trace.emitted) == found.propagated[s] + found.masked[s] + found.left[s]
        assert (found.synaptic[s], found.input_synaptic[s]) == (trace.synaptic.sum(), trace.input_synaptic.sum())


def test_more_rows_than_room(monkeypatch):
    """A sample that does not fit its first record is run again, with the same result."""
    weights, inputs = random_network([6, 8, 8, 4], 3), random_inputs(5, 6, 3)
    chosen = {"group": 1, "policy": "random", "threshold": 0.25, "refractory": False}
    whole = run(weights, inputs, **chosen)
    monkeypatch.setattr("hwsim.machines.neuromorphic.ideal._ROOM", 3)
    for ours, theirs in zip(run(weights, inputs, **chosen), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(whole.propagated) > 3


def test_draws_depend_on_seed_and_sample():
    weights, inputs = drawn("shd_F1_done")
    orders = [
        run(weights, inputs, group=1, policy="random", threshold=0.3125, seed=seed, sample=sample).propagated["neuron"]
        for seed, sample in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2]) and not np.array_equal(orders[0], orders[3])
