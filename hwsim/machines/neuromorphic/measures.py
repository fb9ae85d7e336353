"""What asynchronous networks are compared by, as Koopman et al. (TMLR 2025) define it, beside counts of our own.

Spikes are those of the network, input events excluded. ``sizes`` are the neurons of each layer, the output layer last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hwsim.machines.neuromorphic.frozen import Frozen
from hwsim.machines.neuromorphic.trace import Trace


def spike_density(counts: np.ndarray, sizes: Sequence[int]) -> float:
    """Spikes of the hidden neurons per hidden neuron and sample, summed over the timesteps (their equation 10).

    counts  [S, neurons] spikes of each sample. Nan without samples or without hidden neurons.
    """
    hidden = sum(sizes[:-1])
    counts = np.asarray(counts)
    if not len(counts) or not hidden:
        return float("nan")
    return float(counts[:, :hidden].sum() / (len(counts) * hidden))


def published_operations(density: float, sizes: Sequence[int]) -> float:
    """Synaptic operations per sample as their table 3 has them: density x hidden neurons x mean fan-out of the hidden
    layers. Input events are left out, and every hidden layer is taken to be equally active. ``Trace.synaptic`` counts
    what was really sent."""
    fan_out = sum(sizes[1:]) / (len(sizes) - 1)
    return density * sum(sizes[:-1]) * fan_out


def operation_energy(operations: float, energy_per_operation_J: float) -> float:
    """Joule of so many synaptic operations at a price from outside. Nothing else that costs energy is in it."""
    return operations * energy_per_operation_J


def spikes_to_output(trace: Trace, sizes: Sequence[int], label: int | None = None) -> np.ndarray:
    """int64 [T]: latency in spikes, those counted in the timestep up to and with the step in which an output neuron (or
    output ``label``) first fires; -1 where none does."""
    first = sum(sizes[:-1])
    heard = trace.emitted[~trace.emitted["masked"]]
    output = heard["neuron"] >= first if label is None else heard["neuron"] == first + label
    found = np.full(len(trace.steps), -1, dtype=np.int64)
    for t in np.unique(heard["timestep"][output]):
        now = heard["timestep"] == t
        found[t] = np.count_nonzero(heard["step"][now] <= heard["step"][now & output].min())
    return found


class FirstSpikes(NamedTuple):
    """The first spike of a neuron in a timestep, of all neurons but those of the first layer; one entry each."""

    timestep: np.ndarray
    neuron: np.ndarray
    currents: np.ndarray
    """int64: synaptic currents that the neuron had received in this timestep."""
    positive: np.ndarray
    """float64: sum of those above 0."""
    negative: np.ndarray
    """float64: sum of those below 0."""


def currents_to_spike(trace: Trace, frozen: Frozen) -> FirstSpikes:
    """How much a neuron had heard when it fired (their figure 4). ``frozen``: the network that made ``trace``."""
    begin = np.concatenate([[0], np.cumsum(frozen.sizes)])
    heard = trace.emitted[~trace.emitted["masked"] & (trace.emitted["neuron"] >= begin[1])]
    _, first = np.unique(heard["timestep"] * frozen.neurons + heard["neuron"], return_index=True)
    first_spikes = heard[first]
    found = np.zeros((len(first_spikes), 3))
    sent = trace.propagated[trace.propagated["multiplicity"] > 0]
    for layer in range(1, len(frozen.sizes)):
        weights = frozen.layer(layer)
        from_below = sent[(sent["neuron"] >= begin[layer - 1]) & (sent["neuron"] < begin[layer])]
        mine = np.flatnonzero((first_spikes["neuron"] >= begin[layer]) & (first_spikes["neuron"] < begin[layer + 1]))
        for t in np.unique(first_spikes["timestep"][mine]):
            rows = from_below[from_below["timestep"] == t]
            now = mine[first_spikes["timestep"][mine] == t]
            before = np.searchsorted(rows["step"], first_spikes["step"][now])
            target = first_spikes["neuron"][now] - begin[layer]
            arrived = weights[:, rows["neuron"] - begin[layer - 1]] * rows["multiplicity"]
            present = (arrived != 0) * rows["multiplicity"]
            for column, value in enumerate((present, np.maximum(arrived, 0), np.minimum(arrived, 0))):
                total = np.concatenate([np.zeros((len(value), 1)), np.cumsum(value, axis=1)], axis=1)
                found[now, column] = total[target, before]
    return FirstSpikes(
        first_spikes["timestep"], first_spikes["neuron"], found[:, 0].astype(np.int64), found[:, 1], found[:, 2]
    )
