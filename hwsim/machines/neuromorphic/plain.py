"""The ideal machine by plain Python and NumPy, from its definition: every neuron looked at in every step.

The witness of ``hwsim.machines.neuromorphic.ideal``, equal to it in every field, and some hundred times slower.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from hwsim.kernels.forward_state import EMITTED, PROPAGATED
from hwsim.kernels.scheduling import STREAM
from hwsim.machines.neuromorphic.frozen import Frozen, Weights
from hwsim.machines.neuromorphic.options import INPUT, NETWORK, REFRACTORY, Job, Settings, frames_of, job_of
from hwsim.machines.neuromorphic.trace import Trace
from hwsim.rng import uniform


def run_plain(weights: Weights | Frozen, inputs: Any, *, sample: int = 0, **settings: Unpack[Settings]) -> Trace:
    """The same as ``run``."""
    job = job_of(weights, settings)
    core = _Core(job, sample)
    rows = [core.timestep(t, frame) for t, frame in enumerate(frames_of(inputs, job))]
    neurons, width = job.frozen.neurons, job.frozen.inputs

    def column(name: str, length: int | None = None, kind: type = np.int64) -> np.ndarray:
        shape = (len(rows),) if length is None else (len(rows), length)
        return np.array([row[name] for row in rows], dtype=kind).reshape(shape)

    return Trace(
        propagated=np.array(core.propagated, dtype=PROPAGATED),
        emitted=np.array(core.emitted, dtype=EMITTED),
        counts=column("counts", neurons),
        potentials=column("potentials", neurons, np.float64),
        steps=column("steps"),
        queue=column("queue", neurons),
        masked=column("masked", neurons),
        input_queue=column("input_queue", width),
        delivered=column("delivered"),
        synaptic=column("synaptic"),
        input_synaptic=column("input_synaptic"),
    )


class _Core:
    """One sample. The queue is a dictionary from neuron to multiplicity; inputs are neurons -inputs .. -1."""

    def __init__(self, job: Job, sample: int) -> None:
        self.job, self.sample, self.options = job, sample, job.options
        frozen, network = job.frozen, job.network
        self.threshold, self.leak, self.grid, self.sync = network.threshold, network.leak, network.grid, network.sync
        self.matrices = [frozen.layer(number) for number in range(len(frozen.sizes))]
        self.begin = np.concatenate([[0], np.cumsum(frozen.sizes)])
        self.outputs = int(self.begin[-2])
        self.potential = np.zeros(frozen.neurons)
        self.queue: dict[int, int] = {}
        self.arrival: dict[int, int] = {}
        self.arrived, self.last = 0, -1
        self.propagated: list[tuple[Any, ...]] = []
        self.emitted: list[tuple[Any, ...]] = []

    def layer_of(self, neuron: int) -> int:
        return -1 if neuron < 0 else int(np.searchsorted(self.begin, neuron, side="right")) - 1

    def row(self, neuron: int) -> np.ndarray:
        """Weights [neurons] from a sender to everyone."""
        weights, layer = np.zeros(len(self.potential)), self.layer_of(neuron)
        if layer + 1 < len(self.matrices):
            sender = neuron + self.options.inputs if layer < 0 else neuron - self.begin[layer]
            weights[self.begin[layer + 1] : self.begin[layer + 2]] = self.matrices[layer + 1][:, sender]
        return weights

    def draw(self, stream: str, t: int, step: int, neuron: int) -> float:
        index = np.array(neuron + self.options.inputs)
        return float(uniform(self.job.seed, stream, self.sample, t, step, index))

    def put(self, neuron: int, multiplicity: int) -> None:
        if neuron not in self.queue:
            self.queue[neuron], self.arrival[neuron] = 0, self.arrived
            self.arrived += 1
        self.queue[neuron] += multiplicity

    def timestep(self, t: int, frame: np.ndarray) -> dict[str, Any]:
        neurons, options = len(self.potential), self.options
        self.potential = np.rint(self.potential * self.leak / self.grid) * self.grid
        self.resting, self.key = np.zeros(neurons, dtype=bool), np.zeros(neurons)
        self.received, self.reported, self.heard_from = np.zeros(neurons), np.zeros(neurons, dtype=bool), set[int]()
        self.first_output = 0
        self.done: dict[str, Any] = {
            "counts": np.zeros(neurons, dtype=np.int64),
            "masked": np.zeros(neurons, dtype=np.int64),
            "delivered": 0,
            "synaptic": 0,
            "input_synaptic": 0,
        }
        if not options.carry:
            self.queue = {}
        current, heard = self.take_frame(t, frame)
        step, chosen = 0, dict[int, int]()
        if not options.prioritise:
            current, heard, chosen = self.choose(t, 0)
        while True:
            step += 1
            self.done["delivered"] += sum(n for i, n in chosen.items() if i >= 0 and np.any(self.row(i)))
            masking = bool(options.stop and self.first_output and step > self.first_output + options.steps_after)
            self.evaluate(t, step, current, heard, masking)
            current, heard, chosen = self.choose(t, step)
            waiting = any(np.any(self.row(i)) for i in chosen) if options.drain else bool(np.any(current > 0))
            if masking or not (self.queue or waiting):
                break
        left = {name: np.zeros(size, dtype=np.int64) for name, size in (("q", neurons), ("i", options.inputs))}
        for neuron, multiplicity in self.queue.items():
            left["q" if neuron >= 0 else "i"][neuron] = multiplicity
        ends = {"steps": step, "potentials": self.potential, "queue": left["q"], "input_queue": left["i"]}
        return self.done | ends

    def take_frame(self, t: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        current, heard = np.zeros(len(self.potential)), np.zeros(len(self.potential))
        for i in np.flatnonzero(frame):
            neuron, value = int(i) - self.options.inputs, frame[i]
            if self.draw(INPUT, t, 0, neuron) < self.options.input_dropout:
                continue
            if not self.options.prioritise:
                self.put(neuron, int(value))
                continue
            row = self.row(neuron)
            current += np.rint(row * value / self.grid) * self.grid
            heard += (row != 0) * value
            self.done["input_synaptic"] += np.count_nonzero(row) * int(value if value == int(value) else 1)
        return current, heard

    def evaluate(self, t: int, step: int, current: np.ndarray, heard: np.ndarray, masking: bool) -> None:
        self.potential = np.where(self.resting, self.potential, self.potential + current)
        self.received = self.received + heard
        fires = ~self.resting & (self.potential > self.threshold)
        ready = self.received > self.sync if self.options.counted else np.ones(len(fires), dtype=bool)
        if self.options.counted and not self.options.barriers:
            ready &= current != 0
        for j in (int(j) for j in np.flatnonzero(ready)):
            spoke = self.fire(t, step, j, masking) if fires[j] else False
            if self.options.barriers and not self.reported[j]:
                self.reported[j] = True
                if not spoke and not masking:
                    self.put(j, 0)

    def fire(self, t: int, step: int, j: int, masking: bool) -> bool:
        """Whether the spike is not masked."""
        options, potential = self.options, float(self.potential[j])
        masked = masking or self.draw(NETWORK, t, step, j) < options.network_dropout
        self.emitted.append((t, step, j, potential, masked))
        self.key[j] = potential
        self.potential[j] = potential - self.threshold[j] if options.subtract else 0.0
        spared = self.draw(REFRACTORY, t, step, j) < options.refractory_dropout
        self.resting[j] = bool(options.refractory) and not spared
        self.done["masked" if masked else "counts"][j] += 1
        if masked:
            return False
        self.put(j, 1)
        if j >= self.outputs:
            self.first_output = self.first_output or step
        return True

    def choose(self, t: int, step: int) -> tuple[np.ndarray, np.ndarray, dict[int, int]]:
        """Takes F neurons out of the queue: currents on their way, their number, and the chosen in order."""
        rule, policy = self.job.rule, self.job.policy
        key_of = getattr(policy.key, "__func__", policy.key).py_func
        keys = {}
        for neuron in self.queue:
            draw = rule.scale * self.draw(STREAM, t, step, neuron) if rule.draws else 0.0
            potential = float(self.key[neuron]) if neuron >= 0 else 0.0
            key = float(key_of(potential, neuron, self.layer_of(neuron), self.arrival[neuron], self.last, draw))
            keys[neuron] = (np.inf if np.isnan(key) else key, neuron)
        order = sorted(self.queue, key=lambda neuron: keys[neuron])[: self.options.group]
        current, heard = np.zeros(len(self.potential)), np.zeros(len(self.potential))
        chosen = {neuron: self.queue.pop(neuron) for neuron in order}
        for neuron, multiplicity in chosen.items():
            row = self.row(neuron)
            potential = float(self.key[neuron]) if neuron >= 0 else 0.0
            self.propagated.append((t, step, neuron, multiplicity, potential, keys[neuron][0]))
            self.done["synaptic" if neuron >= 0 else "input_synaptic"] += multiplicity * np.count_nonzero(row)
            current += row * multiplicity
            heard += (row != 0) * (int(neuron not in self.heard_from) if self.options.barriers else multiplicity)
            self.heard_from.add(neuron)
            self.last = neuron
        return current, heard, chosen
