"""Sparse layers and convolutions on the ideal machine: the same as their dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from hwsim.machines.neuromorphic.plain import run_plain
from hwsim.neuromorphic import SpecError, freeze, run, run_many
from tests.neuromorphic.ideal.networks import networks, random_inputs, random_network, settings_of
from tests.neuromorphic.ideal.test_ideal_witness import assert_equal

KINDS = (np.asarray, sparse.csr_array, sparse.csc_array, sparse.coo_array)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_settings(data):
    weights, inputs = data.draw(networks())
    chosen = data.draw(settings_of(sum(map(len, weights))))
    if chosen.get("prioritise_input", True) and data.draw(st.booleans()):
        inputs = inputs * np.float64(1 / 3)  # multiplicities that are not whole
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=len(weights), max_size=len(weights)))
    mixed = [kind(matrix) for kind, matrix in zip(kinds, weights, strict=True)]
    try:
        expected = run(weights, inputs, **chosen)
    except SpecError as error:
        with pytest.raises(SpecError) as found:
            run(mixed, inputs, **chosen)
        assert str(found.value) == str(error)
        return
    assert_equal(run(mixed, inputs, **chosen), expected)
    assert_equal(run_plain(mixed, inputs, **chosen), expected)


def test_frozen_layers_are_the_dense_ones():
    weights = random_network([5, 6, 4], seed=3)
    weights[0][2] = 0  # a neuron without synapses
    weights[1][:, 1] = 0  # a sender without targets
    dense, thin = (
        freeze([kind(matrix) for matrix in weights], threshold=0.3) for kind in (np.asarray, sparse.coo_array)
    )
    for number, matrix in enumerate(weights):
        assert np.array_equal(thin.layer(number), matrix) and np.array_equal(dense.layer(number), matrix)
    for name in ("fan_out", "threshold", "grid", "layer", "begin"):
        assert np.array_equal(getattr(thin.network, name), getattr(dense.network, name)), name
    assert np.array_equal(thin.fan_in, dense.fan_in)
    assert thin.network.weights.size == sum(np.count_nonzero(matrix) for matrix in weights)


def test_doubled_entries_are_added():
    twice = sparse.coo_array((np.array([0.5, 0.25]), (np.array([1, 1]), np.array([0, 0]))), (2, 1))
    assert freeze([twice], threshold=1.0).layer(0).tolist() == [[0.0], [0.75]]


def test_bad_entries_are_named():
    broken = random_network([3, 4], seed=1)[0]
    broken[2, 1] = np.nan
    with pytest.raises(SpecError, match=r"weights\[0\]: must be finite \(found nan at \[2, 1\]\)"):
        freeze([sparse.csr_array(broken)], threshold=1.0)
    with pytest.raises(SpecError, match=r"weights\[1\]: must have fan-in 4"):
        freeze([sparse.csr_array((4, 3)), sparse.csr_array((2, 3))], threshold=1.0)


def test_neurons_with_an_infinite_threshold_add_up():
    weights = random_network([6, 8, 3], seed=5)
    inputs = random_inputs(8, 6, seed=5)
    threshold = np.r_[np.full(8, 0.3), np.full(3, np.inf)]
    chosen = {"group": 2, "policy": "random", "drain": "all", "threshold": threshold, "leak": 0.5}
    trace = run(weights, inputs, **chosen)
    assert_equal(trace, run_plain(weights, inputs, **chosen))
    assert trace.counts[:, 8:].sum() == 0 and trace.counts[:, :8].sum() > 5
    expected = np.zeros(3)
    for t in range(8):
        expected = expected * 0.5 + weights[1] @ trace.counts[t, :8]
        assert np.allclose(trace.potentials[t, 8:], expected, atol=1e-9)
    many = run_many(weights, inputs[None], **chosen)
    assert np.array_equal(many.potentials[0], trace.potentials[-1, 8:])
