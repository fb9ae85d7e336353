"""What runs of the ideal machine leave behind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Trace(NamedTuple):
    """One sample, spike by spike. Neurons are numbered over all layers, from 0; timesteps from 0, steps from 1.

    Spikes are kept: carried over + emitted = propagated + masked + left in the queue, in every timestep, where carried
    over is the queue of the timestep before (0 unless ``carry``).
    """

    propagated: np.ndarray
    """Rows (timestep, step, neuron, multiplicity, key, priority) in the order chosen: so many spikes of a neuron were
    sent. ``key`` is the potential at the neuron's last crossing, ``priority`` what the policy made of it: smallest
    first. Multiplicity 0 is a barrier message. Inputs that compete are neurons -inputs .. -1, and can be chosen before
    step 1, in step 0."""
    emitted: np.ndarray
    """Rows (timestep, step, neuron, potential, masked) in order: a neuron crossed its threshold at that potential. A
    masked spike has reset its neuron, and is neither counted nor queued."""
    counts: np.ndarray
    """int64 [T, neurons]: spikes emitted and not masked."""
    potentials: np.ndarray
    """float64 [T, neurons] at the end of each timestep."""
    steps: np.ndarray
    """int64 [T]: forward steps."""
    queue: np.ndarray
    """int64 [T, neurons]: spikes left in the queue at the end of each timestep."""
    masked: np.ndarray
    """int64 [T, neurons]: masked spikes."""
    input_queue: np.ndarray
    """int64 [T, inputs]: input events left in the queue at the end of each timestep."""
    delivered: np.ndarray
    """int64 [T]: spikes of neurons with targets whose currents have reached these; the others propagated were chosen in
    the last step."""
    synaptic: np.ndarray
    """int64 [T]: synaptic operations of propagated spikes: spikes x fan-out (weights other than 0) of the sender."""
    input_synaptic: np.ndarray
    """int64 [T]: the same of input events."""


class Counts(NamedTuple):
    """Many samples [S], counted."""

    counts: np.ndarray
    """int64 [S, neurons]: spikes emitted and not masked."""
    outputs: np.ndarray
    """int64 [S, T, outputs]: those of the output layer, by timestep."""
    steps: np.ndarray
    """int64 [S, T]: forward steps."""
    emitted: np.ndarray
    """int64 [S]: with masked ones. emitted = propagated + masked + left."""
    propagated: np.ndarray
    """int64 [S]."""
    masked: np.ndarray
    """int64 [S]."""
    left: np.ndarray
    """int64 [S]: never sent: dropped from the queue at the end of a timestep, or waiting at the end of the sample."""
    synaptic: np.ndarray
    """int64 [S]: synaptic operations of propagated spikes, see ``Trace``."""
    input_synaptic: np.ndarray
    """int64 [S]: the same of input events."""
    first_output: np.ndarray
    """int64 [S, T]: spikes counted in that timestep up to and with the step in which an output neuron first fires; -1
    if none does."""
    first_correct: np.ndarray
    """int64 [S, T]: the same for the output neuron of the sample's label; -1 also without labels."""
    potentials: np.ndarray
    """float64 [S, outputs]: potentials of the output layer at the end of the sample."""
