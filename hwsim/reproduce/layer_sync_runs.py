"""Runs behind the layer synchronisation report: the shipped event networks, their seeds, what every inference gave.

All on the ideal machine (one core, no time), as in Koopman et al. (TMLR 2025). Evaluations are kept for the process.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwsim.shipped import folder

if TYPE_CHECKING:
    from hwsim.machines.neuromorphic.frozen import Frozen

METHODS = ("layered", "rs", "ms")
DATA = ("events_digits", "sequences", "gestures")
VARIANTS = ("rs_f2", "ms_f2", "ms_noise0", "rs_refractory0", "ms_refractory0", "rs_refractory1", "ms_refractory1")
"""Trainings of sequences with one thing changed; all their files are in workloads/seeds."""
SAMPLES = 500
"""Of the test set: all."""
TRACED = 40
"""Samples whose spikes are looked at one by one."""
ADDED = 4
"""Runs of a sample that are added up; with 20 timesteps each, as many draws of the order as 80 timesteps have."""
POLICIES = {"rs": "random", "ms": "momentum"}
GROUP = 8
ALL = 0
"""A group with room for every neuron."""


class Inference(NamedTuple):
    """How a network is run. ``policy``: layered, rs or ms; ``group``: F, 0 for all; ``after``: forward steps after the
    first output spike, None to run until done. Layered inference has neither."""

    policy: str
    group: int = GROUP
    after: int | None = 1

    def settings(self, neurons: int) -> dict[str, Any]:
        """As ``hwsim.neuromorphic.run`` takes them."""
        if self.policy == "layered":
            return {"group": neurons, "policy": "layer_order", "stop": "done", "drain": "all"}
        stop = {"stop": "done"} if self.after is None else {"stop": "output", "steps_after": self.after}
        return {"group": self.group or neurons, "policy": POLICIES[self.policy], **stop}


LAYERED, RS, MS = (Inference(policy) for policy in METHODS)


class Study(NamedTuple):
    """What is evaluated: a data set, how many of its test samples, which seeds of the training."""

    data: str
    samples: int = SAMPLES
    seeds: tuple[int, ...] = (0,)
    traced: int = TRACED

    def runs(self, method: str, inference: Inference) -> list[Evaluation]:
        """One evaluation per seed of the networks trained by ``method``."""
        return [evaluate(self.data, method, seed, inference, self.samples) for seed in self.seeds]

    def added(self, method: str, inference: Inference) -> list[np.ndarray]:
        """1.0 where the class was found [S], from the output spikes of ``ADDED`` runs in other random orders."""
        return [_added(self.data, method, seed, inference, self.samples) for seed in self.seeds]

    def traces(self, method: str, inference: Inference) -> list[Traced]:
        """The same spike by spike, on fewer samples."""
        return [trace(self.data, method, seed, inference, min(self.traced, self.samples)) for seed in self.seeds]


class Evaluation(NamedTuple):
    """A network on test samples [S], all spikes per sample over all timesteps."""

    right: np.ndarray
    """1.0 where the class was found."""
    density: np.ndarray
    """Hidden spikes emitted per hidden neuron."""
    emitted: np.ndarray
    propagated: np.ndarray
    operations: np.ndarray
    """Synaptic operations of propagated spikes; input events left out, as in the paper."""
    steps: np.ndarray
    """Forward steps per timestep."""
    first_output: np.ndarray
    """Latency in spikes (emitted), one value per sample and timestep in which an output neuron fires."""
    first_correct: np.ndarray
    """The same for the output neuron of the label."""


class Traced(NamedTuple):
    """One value per first spike of a neuron in a timestep, or per sample and timestep with an output spike."""

    currents: np.ndarray
    """Synaptic currents that a neuron behind the first layer had received when it first fired."""
    processed: np.ndarray
    """Spikes that had been sent when an output neuron first fired."""


def seeds_of(data: str, methods: tuple[str, ...] = METHODS) -> tuple[int, ...]:
    """Seeds of which all of ``methods`` are there: seed 0 of what stands beside the data, others in workloads/seeds."""
    place = folder("workloads") / "seeds"
    names = [path.stem for path in place.glob(f"{data}_*.npz")] if place.is_dir() else []
    found = [re.fullmatch(rf"{data}_({'|'.join(methods)})_s(\d+)", name) for name in names]
    by_seed: dict[int, set[str]] = {0: {method for method in methods if method not in VARIANTS}}
    for match in found:
        if match:
            by_seed.setdefault(int(match[2]), set()).add(match[1])
    return tuple(sorted(seed for seed, there in by_seed.items() if there == set(methods)))


def file_of(data: str, method: str, seed: int = 0) -> str:
    """Name of a network below the folder of workloads, without ending."""
    return f"seeds/{data}_{method}_s{seed}" if seed or method in VARIANTS else f"{data}_{method}"


@functools.cache
def network(data: str, method: str, seed: int = 0) -> Frozen:
    """The network, ready to run."""
    from hwsim.machines.neuromorphic.frozen import freeze  # lazy: kernels
    from hwsim.workload import load

    workload = load(folder("workloads") / f"{file_of(data, method, seed)}.npz")
    matrices = [workload.weight(layer).astype(np.float64) for layer in workload.weighted]  # stored as float32
    neuron = workload.weighted[0].neuron
    return freeze(matrices, threshold=neuron.threshold, leak=neuron.leak)


@functools.cache
def frames(data: str, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Event counts of the first test samples [S, T, inputs] and their labels [S]."""
    from hwsim.network.encode import encode, take
    from hwsim.workload import load

    workload = load(file_of(data, METHODS[0]))
    test = workload.samples("test")
    encoded = [encode(workload.input, take(test, number), workload.timesteps) for number in range(samples)]
    return np.stack(encoded).reshape(samples, workload.timesteps, -1), np.asarray(test.labels)[:samples]


@functools.cache
def evaluate(data: str, method: str, seed: int, inference: Inference, samples: int) -> Evaluation:
    """One network under one inference."""
    from hwsim.machines.neuromorphic.ideal import run_many  # lazy: kernels

    frozen = network(data, method, seed)
    inputs, labels = frames(data, samples)
    counts = run_many(frozen, inputs, labels=labels, **inference.settings(frozen.neurons))
    hidden = sum(frozen.sizes[:-1])
    return Evaluation(
        right=(counts.counts[:, hidden:].argmax(axis=1) == labels).astype(np.float64),
        density=counts.counts[:, :hidden].sum(axis=1) / hidden,
        emitted=counts.emitted.astype(np.float64),
        propagated=counts.propagated.astype(np.float64),
        operations=counts.synaptic.astype(np.float64),
        steps=counts.steps.mean(axis=1),
        first_output=counts.first_output[counts.first_output >= 0],
        first_correct=counts.first_correct[counts.first_correct >= 0],
    )


@functools.cache
def _added(data: str, method: str, seed: int, inference: Inference, samples: int) -> np.ndarray:
    from hwsim.machines.neuromorphic.ideal import run_many  # lazy: kernels

    frozen = network(data, method, seed)
    inputs, labels = frames(data, samples)
    settings, hidden = inference.settings(frozen.neurons), sum(frozen.sizes[:-1])
    spikes = sum(run_many(frozen, inputs, seed=draw, **settings).counts[:, hidden:] for draw in range(ADDED))
    return (np.asarray(spikes).argmax(axis=1) == labels).astype(np.float64)


@functools.cache
def trace(data: str, method: str, seed: int, inference: Inference, samples: int) -> Traced:
    """The first samples, spike by spike."""
    from hwsim.machines.neuromorphic.ideal import run  # lazy: kernels
    from hwsim.machines.neuromorphic.measures import currents_to_spike

    frozen = network(data, method, seed)
    first_output = sum(frozen.sizes[:-1])
    currents, processed = [], []
    for number, inputs in enumerate(frames(data, samples)[0]):
        found = run(frozen, inputs, sample=number, **inference.settings(frozen.neurons))
        currents.append(currents_to_spike(found, frozen).currents)
        outputs = found.emitted[found.emitted["neuron"] >= first_output]
        timesteps, places = np.unique(outputs["timestep"], return_index=True)  # the first in each timestep
        for t, step in zip(timesteps, outputs["step"][places], strict=True):
            sent = found.propagated[(found.propagated["timestep"] == t) & (found.propagated["step"] < step)]
            processed.append(int(sent["multiplicity"].sum()))
    return Traced(np.concatenate(currents), np.array(processed))
