"""What the forward steps of the ideal machine work on: network, options, state and record, as tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PROPAGATED = np.dtype(
    [
        ("timestep", np.int64),
        ("step", np.int64),
        ("neuron", np.int64),
        ("multiplicity", np.int64),
        ("key", np.float64),
        ("priority", np.float64),
    ]
)
EMITTED = np.dtype(
    [
        ("timestep", np.int64),
        ("step", np.int64),
        ("neuron", np.int64),
        ("potential", np.float64),
        ("masked", np.bool_),
    ]
)

DONE, TOO_LARGE = range(2)
"""What ``run_sample`` returns: the sample is done; a potential outgrew exact sums."""

TOTALS = (
    "steps",
    "counted",
    "propagated",
    "delivered",
    "synaptic",
    "inputs",
    "input_synaptic",
    "first_output",
    "first_correct",
)
"""Columns of ``Record.totals``; the constants below are their numbers.

counted       spikes emitted and not masked
propagated    spikes chosen, of neurons; ``inputs`` likewise, of inputs
delivered     spikes of neurons with targets whose currents have arrived
synaptic      propagated spikes x fan-out of the sender; ``input_synaptic`` likewise
first_output  counted spikes up to and with the step in which an output neuron first fires, 0 if none does;
              ``first_correct`` likewise for the right one
"""
STEPS, COUNTED, CHOSEN, DELIVERED, SYNAPTIC, INPUTS, INPUT_SYNAPTIC, FIRST_OUTPUT, FIRST_CORRECT = range(len(TOTALS))


class Network(NamedTuple):
    """Feed-forward layers, every sender's weights in one run. A slot is an input, or a neuron plus ``inputs``."""

    weights: np.ndarray
    """float64: the rows of all senders."""
    row: np.ndarray
    """int64 [slots]: where the sender's row begins."""
    width: np.ndarray
    """int64 [slots]: length of that row; 0 for output neurons."""
    first: np.ndarray
    """int64 [slots]: the neuron that the row begins with; of a sparse row the first neuron of its layer."""
    scatter: np.ndarray
    """int64 [slots]: where in ``target`` the targets of a sparse row begin; -1: they stand side by side."""
    target: np.ndarray
    """int64: neurons that sparse rows lead to, ascending in each."""
    fan_out: np.ndarray
    """int64 [slots]: weights other than 0."""
    layer: np.ndarray
    """int64 [neurons]."""
    begin: np.ndarray
    """int64 [layers + 1]: the first neuron of every layer."""
    threshold: np.ndarray
    leak: np.ndarray
    """float64 [neurons]: factor on the potential, once per timestep."""
    grid: np.ndarray
    """float64 [neurons]: power of two of which weights, threshold and potential are multiples."""
    sync: np.ndarray
    """float64 [neurons]: currents to be exceeded before a neuron may fire, if ``Options.counted``."""


class Options(NamedTuple):
    """The parameters of a run; 0 and 1 for no and yes."""

    inputs: int
    group: int
    refractory: int
    refractory_dropout: float
    subtract: int
    prioritise: int
    stop: int
    steps_after: int
    carry: int
    drain: int
    """1: deliver a last group whatever the sign of its currents."""
    counted: int
    """1: currents are counted, ``Network.sync`` holds."""
    barriers: int
    input_dropout: float
    network_dropout: float
    label: int
    """Index of the right output; -1: not known."""


class Keys(NamedTuple):
    """``sample_key`` of the streams of a sample, uint64."""

    scheduling: np.uint64
    refractory: np.uint64
    inputs: np.uint64
    network: np.uint64


class State(NamedTuple):
    """A sample between two steps. All zero at its start."""

    potential: np.ndarray
    """float64 [neurons]; minus infinity while refractory."""
    held: np.ndarray
    """float64 [neurons]: the potential of a refractory neuron."""
    look: np.ndarray
    """int64 [layers]: 1 where a neuron may be above its threshold."""
    current: np.ndarray
    """float64 [neurons]: sum of currents on their way."""
    heard: np.ndarray
    """float64 [neurons]: currents on their way."""
    received: np.ndarray
    """float64 [neurons]: currents received in this timestep."""
    reported: np.ndarray
    """int64 [neurons]: 1 if the neuron has sent its barrier message or its first spike in this timestep."""
    told: np.ndarray
    """int64 [slots]: 1 if that message has been chosen."""
    chosen: np.ndarray
    """int64 [slots]: the slots chosen last."""
    sent: np.ndarray
    """int64 [slots]: their multiplicities."""
    scalars: np.ndarray
    """int64 [3]: first step of this timestep in which an output neuron fires (0: none yet), slots chosen last, first
    step in which the right output neuron fires."""


class Record(NamedTuple):
    """What a run leaves behind: written by ``run_sample``, all zero before."""

    propagated: np.ndarray
    """``PROPAGATED`` rows; what has no room is only counted."""
    emitted: np.ndarray
    """``EMITTED`` rows, likewise."""
    rows: np.ndarray
    """int64 [2]: propagated and emitted rows there would be."""
    counts: np.ndarray
    """int64 [T, neurons]: spikes, without masked ones."""
    masked: np.ndarray
    """int64 [T, neurons]."""
    potentials: np.ndarray
    """float64 [T, neurons], at the end of the timestep."""
    queue: np.ndarray
    """int64 [T, neurons]: spikes left in the queue at the end of the timestep."""
    input_queue: np.ndarray
    """int64 [T, inputs]."""
    totals: np.ndarray
    """int64 [T, len(TOTALS)]."""
