"""The measures of Koopman et al. (TMLR 2025): their table 3 from their table 2, and small cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.machines.neuromorphic.measures import (
    currents_to_spike,
    operation_energy,
    published_operations,
    spike_density,
    spikes_to_output,
)
from hwsim.neuromorphic import SpecError, freeze, run, run_many
from tests.neuromorphic.ideal.networks import CASES, drawn, networks, random_inputs, settings_of

NETWORKS = {"N-MNIST": (64, 64, 64, 10), "SHD": (128, 128, 128, 20), "DVS gesture": (128, 128, 128, 11)}
PUBLISHED = [
    ("N-MNIST", 3.987, 3.521, 0.9155),
    ("N-MNIST", 3.652, 3.225, 0.8386),
    ("N-MNIST", 1.504, 1.328, 0.3454),
    ("N-MNIST", 1.476, 1.304, 0.3389),
    ("SHD", 14.386, 50.82, 13.21),
    ("SHD", 13.905, 49.12, 12.77),
    ("SHD", 5.100, 18.02, 4.684),
    ("SHD", 6.224, 21.99, 5.717),
    ("DVS gesture", 46.473, 158.8, 41.29),
    ("DVS gesture", 44.140, 150.9, 39.22),
    ("DVS gesture", 25.140, 85.92, 22.34),
    ("DVS gesture", 26.686, 91.2, 23.71),
]
"""Data set, density, synaptic operations in 10^4 and energy in uJ per sample: their tables 2 and 3."""


@pytest.mark.parametrize(("name", "density", "operations", "energy"), PUBLISHED)
def test_table_3_from_table_2(name, density, operations, energy):
    found = published_operations(density, NETWORKS[name])
    assert found == pytest.approx(operations * 1e4, rel=1e-3)
    assert operation_energy(found, 26e-12) == pytest.approx(energy * 1e-6, rel=1e-3)


def test_density_of_a_run():
    """Hidden spikes only, over samples and hidden neurons."""
    weights, inputs = drawn("shd_F8_done")
    found = run_many(weights, inputs[None], group=8, policy="momentum", threshold=0.3125)
    hidden = found.counts[0, :384].sum()
    assert spike_density(found.counts, CASES["shd_F8_done"]["neurons_per_layer"]) == hidden / 384
    assert spike_density(np.array([[1, 2, 9], [3, 0, 9]]), (2, 1)) == 1.5
    assert np.isnan(spike_density(np.zeros((0, 3)), (2, 1))) and np.isnan(spike_density(np.ones((1, 3)), (3,)))


def test_operations_of_a_trace():
    """Fan-out of what was sent, zeros not counted; published: as if all were alike."""
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])]
    trace = run(weights, [[1]], group=1, policy="fifo", threshold=0.5)
    assert (trace.synaptic.tolist(), trace.input_synaptic.tolist()) == ([3], [2])
    stopped = run(weights, [[1]], group=1, policy="fifo", threshold=0.5, stop="output")
    assert stopped.synaptic.tolist() == [3] and stopped.delivered.tolist() == [2]


def test_spikes_to_output():
    """Three fire in step 1, two outputs cross in step 2, the third in step 3."""
    weights = [np.ones((3, 1)), np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])]
    trace = run(weights, [[1], [0]], group=1, policy="fifo", threshold=0.5)
    assert spikes_to_output(trace, (3, 3)).tolist() == [5, -1]
    assert [spikes_to_output(trace, (3, 3), label)[0] for label in range(3)] == [5, 5, 6]
    stopped = run(weights, [[1]], group=1, policy="fifo", threshold=0.5, stop="output")
    assert spikes_to_output(stopped, (3, 3), 2).tolist() == [-1]  # its spike was masked


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_latency_of_many_is_that_of_each(data):
    weights, _ = data.draw(networks())
    sizes = [len(matrix) for matrix in weights]
    chosen = data.draw(settings_of(sum(sizes)))
    inputs = np.array([random_inputs(3, weights[0].shape[1], seed) for seed in range(2)])
    labels = np.arange(2) % sizes[-1]
    try:
        found = run_many(weights, inputs, labels=labels, workers=1, **chosen)
    except SpecError:
        return
    for s in range(2):
        trace = run(weights, inputs[s], sample=s, **chosen)
        assert found.first_output[s].tolist() == spikes_to_output(trace, sizes).tolist()
        assert found.first_correct[s].tolist() == spikes_to_output(trace, sizes, labels[s]).tolist()


def test_currents_to_spike_by_hand():
    """The output hears 0.25, -0.5 and 1 one by one, and fires at the third; taken together, it hears three as well."""
    weights = [np.ones((4, 1)), np.array([[0.25, -0.5, 1.0, 1.0]])]
    frozen = freeze(weights, threshold=0.5)
    for group, currents, positive in ((1, 3, 1.25), (2, 4, 2.25)):
        trace = run(frozen, [[1]], group=group, policy="fifo")
        found = currents_to_spike(trace, frozen)
        assert [array.tolist() for array in found] == [[0], [4], [currents], [positive], [-0.5]]


def test_asynchronous_neurons_fire_after_fewer_currents():
    """Their figure 4: the median is below that of layered inference."""
    weights, inputs = drawn("shd_F1_done")
    frozen = freeze(weights, threshold=0.3125)
    medians = [
        np.median(currents_to_spike(run(frozen, inputs, group=group, policy="random"), frozen).currents)
        for group in (1, 128)
    ]
    assert medians[0] < medians[1]


@given(networks(), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_currents_to_spike_against_a_replay(network, group):
    """Spike by spike, in Python."""
    weights, inputs = network
    frozen = freeze(weights, threshold=0.25)
    trace = run(frozen, inputs, group=group, policy="random", refractory=False)
    begin = np.cumsum([0, *map(len, weights)])
    expected = {}
    for row in trace.emitted:
        layer = int(np.searchsorted(begin, row["neuron"], side="right")) - 1
        place = (int(row["timestep"]), int(row["neuron"]))
        if layer == 0 or place in expected:
            continue
        sent = [
            (weights[layer][row["neuron"] - begin[layer], spike["neuron"] - begin[layer - 1]], spike["multiplicity"])
            for spike in trace.propagated
            if spike["timestep"] == row["timestep"]
            and spike["step"] < row["step"]
            and begin[layer - 1] <= spike["neuron"] < begin[layer]
        ]
        expected[place] = (
            sum(times for weight, times in sent if weight),
            sum(weight * times for weight, times in sent if weight > 0),
            sum(weight * times for weight, times in sent if weight < 0),
        )
    found = currents_to_spike(trace, frozen)
    rows = zip(*(array.tolist() for array in found), strict=True)
    assert {(t, n): (count, plus, minus) for t, n, count, plus, minus in rows} == expected
