"""What one sample did, in the numbers by which asynchronous networks are compared.

Spikes are those of the network, without events of the input. A timestep's first output is that of the turn that began
first among those in which an output neuron fired (and was not masked); what other cores fired in turns that began in
the same tick does not count before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwsim.kernels.core_state import LOG, PART_CORE
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.waiting import CoreTime, Elapsed, core_time, elapsed, timesteps_of


@dataclass(frozen=True)
class Behaviour:
    """Of one sample; L layers, T timesteps, C mapped cores.

    spikes      int64 [N], those not masked
    emitted, propagated, masked, left    int64 [L]; emitted = propagated + masked + left
    synaptic, input_synaptic    synapses read for spikes of the network, and for events of the input
    steps       int64 [T, C]: turns that each core had in each timestep (with phases: one each at most)
    first_spikes, first_steps, first_ticks    int64 [outputs]: spikes, steps of the output core and ticks from the start
                of the timestep to the first output, for every timestep that has one
    utilisation float64 [C]: share of the time in which a core had a turn
    spike_queue, input_queue    int64 [turns]: lengths when turns began
    late, dropped, messages, ticks
    signals     what synchronises: barriers or ticks of a timer, and stops, once per core that gets one
    layer_busy  float64 [L]: share of the time in which cores that hold a layer had a turn
    elapsed, core_time    where the time of the sample and of its cores went
    """

    spikes: np.ndarray
    emitted: np.ndarray
    propagated: np.ndarray
    masked: np.ndarray
    left: np.ndarray
    synaptic: int
    input_synaptic: int
    steps: np.ndarray
    first_spikes: np.ndarray
    first_steps: np.ndarray
    first_ticks: np.ndarray
    utilisation: np.ndarray
    spike_queue: np.ndarray
    input_queue: np.ndarray
    late: int
    dropped: int
    messages: int
    ticks: int
    signals: int
    layer_busy: np.ndarray
    elapsed: Elapsed
    core_time: CoreTime


def behaviour(setup: Setup, made: Record) -> Behaviour:
    """What a sample did."""
    network, timesteps = setup.network, made.counts.shape[1]
    turn, neuron = made.emitted[:, 0].astype(np.int64), made.emitted[:, 1].astype(np.int64)
    layer = np.searchsorted(network.first, neuron, side="right") - 1
    kept = made.column("masked")[turn] == 0
    when = timesteps_of(setup, made.column("time")[turn], layer)
    spikes = np.bincount(neuron[kept], minlength=network.neurons)
    synapses = made.count("synapse").sum(axis=1)
    steps = np.zeros((timesteps, setup.cores), dtype=np.int64)
    begun = np.clip(timesteps_of(setup, made.column("time"), 0), 0, timesteps - 1)
    np.add.at(steps, (begun, made.column("core")), 1)
    firsts = _firsts(setup, made, (turn[kept], layer[kept], when[kept]), timesteps)
    return Behaviour(
        spikes=spikes, emitted=made.count("spike").sum(axis=1), propagated=made.count("propagated").sum(axis=1),
        masked=made.count("masked").sum(axis=1), left=made.count("left").sum(axis=1),
        synaptic=int(synapses[1:].sum()), input_synaptic=int(synapses[0]), steps=steps,
        first_spikes=firsts[0], first_steps=firsts[1], first_ticks=firsts[2],
        utilisation=made.running / max(made.ticks, 1), spike_queue=made.column("waiting"),
        input_queue=made.column("queued"), late=int(made.count("late").sum()), dropped=int(made.count("dropped").sum()),
        messages=int(made.column("messages").sum()), ticks=made.ticks, signals=_signals(setup, made),
        layer_busy=_layer_busy(setup, made), elapsed=elapsed(setup, made), core_time=core_time(setup, made),
    )  # fmt: skip


def _signals(setup: Setup, made: Record) -> int:
    return made.phases * setup.cores + int(made.column("masked").sum()) * (setup.cores - 1)


def _layer_busy(setup: Setup, made: Record) -> np.ndarray:
    running, chip = made.running, setup.chip
    ends = chip.layer_part
    holders = [np.unique(chip.part[a:b, PART_CORE]) for a, b in pairwise(ends.tolist())]
    return np.array([running[cores].mean() for cores in holders]) / max(made.ticks, 1)


def _firsts(
    setup: Setup, made: Record, emitted: tuple[np.ndarray, np.ndarray, np.ndarray], timesteps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spikes, steps and ticks to the first output of each timestep that has one."""
    turn, layer, when = emitted
    start, end, step = (made.turns[:, LOG.index(name)] for name in ("start", "end", "step"))
    begun = timesteps_of(setup, made.column("time"), 0)
    rows = []
    for t in range(timesteps):
        now = when == t
        outputs = turn[now & (layer == setup.chip.layers - 1)]
        if not len(outputs):
            continue
        first = outputs[np.argmin(start[outputs])]
        before = np.count_nonzero(now & ((start[turn] < start[first]) | (turn == first)))
        rows.append((before, step[first], end[first] - start[begun == t].min()))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
