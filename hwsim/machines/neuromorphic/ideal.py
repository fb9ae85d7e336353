"""The ideal machine: an asynchronous network on one core, without a network on chip, and without time.

One timestep, after Koopman et al. (TMLR 2025) and its simulator asynctorch: potentials decay once; the input frame's
currents are added; then forward steps until nothing is left to do:

    V += I (not while refractory); every V > threshold fires, is reset, and rests until the timestep ends
    the policy takes the first ``group`` neurons of the queue, with all the spikes they have waiting
    I = the currents of these

``group`` at least as large as any layer is layered inference; ``group=1`` lets every single spike take effect at once.
``hwsim.machines.neuromorphic.plain`` is the same, written from the definition.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Unpack

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.kernels.forward_state import (
    CHOSEN,
    COUNTED,
    DELIVERED,
    EMITTED,
    FIRST_CORRECT,
    FIRST_OUTPUT,
    INPUT_SYNAPTIC,
    PROPAGATED,
    STEPS,
    SYNAPTIC,
    TOO_LARGE,
    TOTALS,
    Record,
    State,
)
from hwsim.kernels.forward_steps import run_sample
from hwsim.kernels.scheduling import Queue, new_queue
from hwsim.machines.neuromorphic.frozen import Frozen, Weights
from hwsim.machines.neuromorphic.options import Job, Settings, check_whole, frames_of, job_of
from hwsim.machines.neuromorphic.trace import Counts, Trace

_ROOM = 2**20
"""Rows that a first attempt has room for at most; a sample with more is run again with as many as it took."""


def run(weights: Weights | Frozen, inputs: Any, *, sample: int = 0, **settings: Unpack[Settings]) -> Trace:
    """One sample through the network, from rest.

    weights             one array [fan-out, fan-in] per layer of neurons, 0 for no synapse, or a sparse one of scipy;
                        or what ``freeze`` returned
    inputs              [T, inputs]: event counts, or real multiplicities of the input's currents; at least 0
    group               neurons chosen per forward step, F
    policy              ``random``, ``momentum``, ``fifo``, ``round_robin``, ``layer_order``, or a policy of one's own
    threshold, leak     a number, or one per neuron; V > threshold fires, V x leak once per timestep (default 1);
                        a neuron with an infinite threshold only adds up
    reset               ``zero``, or ``subtract`` the threshold once
    refractory          a neuron that fired stays at its reset potential until the timestep ends
    refractory_dropout  probability that a spike leaves its neuron as it is instead
    prioritise_input    the input frame comes first and at once; else its events compete with the network's spikes
    stop                ``done``: when no spike is left. ``output``: ``steps_after`` steps after the first output spike;
                        one more step is run, whose spikes are masked
    carry               what a stop leaves in the queue is sent in the next timestep, after its own potential (else it
                        is dropped)
    sync_threshold      a neuron fires only in a step that brings it current other than 0, and after more currents (of
                        weights other than 0) than this in the timestep; a number, or one per neuron
    barriers            every neuron sends one message per timestep, a spike or a barrier message, when it has heard of
                        ``sync_threshold`` senders (exceeded; default: of all). The first layer does in step 1
    drain               ``positive``: a last group of spikes without a positive current is dropped, as asynctorch does;
                        ``all``: it is delivered
    noise               of policy ``momentum``: uniform in [0, noise), added to the potential at crossing
    input_dropout       probability that an input's events of a timestep are dropped
    network_dropout     probability that a spike is masked
    grid                a power of two per layer; default as in ``freeze``
    seed, sample        of all draws

    Errors: ``SpecError`` with every problem found in the settings, or where a potential outgrows exact sums.
    """
    job = job_of(weights, settings)
    frames = frames_of(inputs, job)
    check_whole("sample", sample)
    most = frames.shape[0] * job.frozen.neurons * (1 + job.options.barriers)
    room = min(most + (0 if job.options.prioritise else int(np.count_nonzero(frames))), _ROOM)
    record = _run(job, frames, sample, -1, (room, room))
    rows = (int(record.rows[0]), int(record.rows[1]))
    if max(rows) > room:
        record = _run(job, frames, sample, -1, rows)
    totals = record.totals
    return Trace(
        propagated=record.propagated[: rows[0]].copy(),
        emitted=record.emitted[: rows[1]].copy(),
        counts=record.counts,
        potentials=record.potentials,
        steps=totals[:, STEPS].copy(),
        queue=record.queue,
        masked=record.masked,
        input_queue=record.input_queue,
        delivered=totals[:, DELIVERED].copy(),
        synaptic=totals[:, SYNAPTIC].copy(),
        input_synaptic=totals[:, INPUT_SYNAPTIC].copy(),
    )


def run_many(
    weights: Weights | Frozen,
    inputs: Any,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    workers: int | None = None,
    first_sample: int = 0,
    **settings: Unpack[Settings],
) -> Counts:
    """Many samples, each as ``run(weights, inputs[s], sample=first_sample + s, ...)`` has it, counted only.

    inputs   [S, T, inputs]
    labels   index of the right output of each sample [S], for ``first_correct``
    workers  threads; default one per core. The result does not depend on it

    Errors: as ``run``.
    """
    job = job_of(weights, settings)
    if np.ndim(inputs) != 3:
        expected = f"must be an array [samples, timesteps, {job.frozen.inputs}] of event counts"
        raise SpecError(Problem("inputs", f"{expected}, not shape {list(np.shape(inputs))}"))
    samples, timesteps = np.shape(inputs)[:2]
    right = _labels(labels, samples, job.frozen.sizes[-1])
    check_whole("first_sample", first_sample)
    threads = min(os.cpu_count() or 1 if workers is None else check_whole("workers", workers, 1), max(samples, 1))
    counts = _empty_counts(samples, timesteps, job.frozen)

    def part(numbers: range) -> None:
        for s in numbers:
            record = _run(job, frames_of(inputs[s], job, f"inputs[{s}]"), first_sample + s, int(right[s]), (0, 0))
            _reduce(counts, s, record, job)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, (range(thread, samples, threads) for thread in range(threads))))
    return counts


def _run(job: Job, frames: np.ndarray, sample: int, label: int, room: tuple[int, int]) -> Record:
    frozen, timesteps = job.frozen, frames.shape[0]
    record = Record(
        propagated=np.empty(room[0], dtype=PROPAGATED),
        emitted=np.empty(room[1], dtype=EMITTED),
        rows=np.zeros(2, dtype=np.int64),
        counts=np.zeros((timesteps, frozen.neurons), dtype=np.int64),
        masked=np.zeros((timesteps, frozen.neurons), dtype=np.int64),
        potentials=np.zeros((timesteps, frozen.neurons)),
        queue=np.zeros((timesteps, frozen.neurons), dtype=np.int64),
        input_queue=np.zeros((timesteps, frozen.inputs), dtype=np.int64),
        totals=np.zeros((timesteps, len(TOTALS)), dtype=np.int64),
    )
    options = job.options._replace(label=label)
    queue, state = _queue(frozen), _state(frozen)
    status = run_sample(job.network, options, job.keys(sample), job.rule, queue, state, record, frames)
    if status == TOO_LARGE:
        t = int(np.flatnonzero(record.totals[:, STEPS])[-1])
        outgrown = np.abs(record.potentials[t]) > 2.0**53 * job.network.grid
        text = f"the potential of neuron {np.flatnonzero(outgrown)[0]} outgrows exact sums in timestep {t}"
        raise SpecError(Problem("inputs", f"{text}: fewer or smaller inputs, or a leak below 1, keep it small"))
    return record


def _queue(frozen: Frozen) -> Queue:
    layer = np.concatenate([np.full(frozen.inputs, -1), frozen.network.layer])
    return new_queue(np.arange(-frozen.inputs, frozen.neurons), layer)


def _state(frozen: Frozen) -> State:
    neurons, slots = frozen.neurons, frozen.neurons + frozen.inputs
    real = [np.zeros(neurons) for _ in range(5)]
    return State(
        potential=real[0],
        held=real[1],
        look=np.zeros(len(frozen.sizes), dtype=np.int64),
        current=real[2],
        heard=real[3],
        received=real[4],
        reported=np.zeros(neurons, dtype=np.int64),
        told=np.zeros(slots, dtype=np.int64),
        chosen=np.zeros(slots, dtype=np.int64),
        sent=np.zeros(slots, dtype=np.int64),
        scalars=np.zeros(3, dtype=np.int64),
    )


def _labels(labels: Sequence[int] | np.ndarray | None, samples: int, outputs: int) -> np.ndarray:
    """int64 [S]; -1 without labels."""
    if labels is None:
        return np.full(samples, -1)
    right = np.asarray(labels)
    if right.shape != (samples,) or not np.issubdtype(right.dtype, np.integer):
        raise SpecError(Problem("labels", f"must be one whole number per sample [{samples}]"))
    if right.size and not (right.min() >= 0 and right.max() < outputs):
        raise SpecError(Problem("labels", f"must be 0 to {outputs - 1} (found {right.min()} to {right.max()})"))
    return right.astype(np.int64)


def _empty_counts(samples: int, timesteps: int, frozen: Frozen) -> Counts:
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((samples, *shape), dtype=np.int64)

    return Counts(
        counts=zeros(frozen.neurons),
        outputs=zeros(timesteps, frozen.sizes[-1]),
        steps=zeros(timesteps),
        emitted=zeros(),
        propagated=zeros(),
        masked=zeros(),
        left=zeros(),
        synaptic=zeros(),
        input_synaptic=zeros(),
        first_output=zeros(timesteps),
        first_correct=zeros(timesteps),
        potentials=np.zeros((samples, frozen.sizes[-1])),
    )


def _reduce(counts: Counts, s: int, record: Record, job: Job) -> None:
    """Row ``s`` of ``counts``."""
    totals = record.totals
    counts.counts[s] = record.counts.sum(axis=0)
    counts.outputs[s] = record.counts[:, job.frozen.neurons - job.frozen.sizes[-1] :]
    counts.potentials[s] = record.potentials[-1:, job.frozen.neurons - job.frozen.sizes[-1] :].sum(axis=0)
    counts.steps[s] = totals[:, STEPS]
    counts.masked[s] = record.masked.sum()
    counts.emitted[s] = totals[:, COUNTED].sum() + counts.masked[s]
    counts.propagated[s] = totals[:, CHOSEN].sum()
    counts.left[s] = record.queue[-1:].sum() if job.options.carry else record.queue.sum()
    counts.synaptic[s] = totals[:, SYNAPTIC].sum()
    counts.input_synaptic[s] = totals[:, INPUT_SYNAPTIC].sum()
    for column, out in ((FIRST_OUTPUT, counts.first_output), (FIRST_CORRECT, counts.first_correct)):
        out[s] = np.where(totals[:, column] > 0, totals[:, column], -1)


__all__ = ["Counts", "Trace", "run", "run_many"]
