"""Barriers compute layered inference: spikes and membranes are those of ``hwsim.network``, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.kernels.core_state import PER_LAYER, PER_TIMESTEP
from hwsim.kernels.policies import Fifo
from hwsim.machines.neuromorphic.behaviour import timesteps_of
from hwsim.machines.neuromorphic.calendar import BARRIER, TIMER
from hwsim.machines.neuromorphic.connect import connect
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.stored import Stored, store
from hwsim.machines.neuromorphic.tables import Rules, make_chip
from hwsim.network.encode import encode
from hwsim.network.engine import run
from hwsim.workload.model import Workload
from tests.network.snn_builder import Builder
from tests.neuromorphic.machine.cases import draw_ticks


class Chain(Builder):
    """A random chain of layers that cores take: convolutions, pools, linear layers; bias and batch normalisation."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        shape = self.rng.choice(((2, 6, 6), (3, 5, 4), (1, 7, 6), (5, 9), (12,)))
        super().__init__(shape, self.rng.randint(1, 4), seed, bits=self.rng.choice((1, 3)), scale=1.0,
                         encoding=self.rng.choice(("direct", "counts")))  # fmt: skip
        self.input["kind"] = "spike" if self.input["bits"] == 1 else "count"
        self.at = shape
        for _ in range(self.rng.randint(0, 2) if len(shape) > 1 else 0):
            self.convolve()
            if self.rng.random() < 0.6:
                self.pool()
        self.add("flatten")
        features = int(np.prod(self.at))
        if self.rng.random() < 0.6:
            self.linear(features, 9)
            features = 9
        end = self.neuron("out", 4) if self.rng.random() < 0.5 else {"type": "none"}
        self.weighted("linear", (4, features), end, name="out", floats=self.rng.random() < 0.5)

    def made(self) -> Workload:
        """The workload; an output layer that fires decides by its spikes."""
        return self.build("accumulate" if self.layers[-1]["neuron"]["type"] == "none" else "fire", 4)

    def neuron(self, name: str, channels: int) -> dict[str, Any]:
        rng, made = self.rng, {"type": "lif", "leak": self.rng.choice((0.5, 0.9)), "threshold": 0.4}
        if rng.random() < 0.3:
            made["threshold"] = self.member(f"{name}.threshold", self.random.uniform(0.2, 0.9, channels))
        return made | {"compare": rng.choice((">", ">=")), "reset": rng.choice(("zero", "subtract"))}

    def more(self, name: str, channels: int) -> dict[str, Any]:
        keys: dict[str, Any] = {"floats": self.rng.random() < 0.5}
        if self.rng.random() < 0.4:
            keys["bias"] = self.member(f"{name}.bias", self.random.normal(0, 0.1, channels).astype(np.float32))
        if self.rng.random() < 0.4:
            drawn = {key: self.random.uniform(low, high, channels).astype(np.float32) for key, low, high in (
                ("gamma", 0.7, 1.5), ("beta", -0.2, 0.3), ("mean", -0.2, 0.2), ("var", 0.3, 1.5))}  # fmt: skip
            keys["bn"] = {"eps": 1e-5} | {key: self.member(f"{name}.{key}", v)["member"] for key, v in drawn.items()}
        return keys

    def convolve(self) -> None:
        rng, filters = self.rng, self.rng.choice((2, 4))
        op = "conv2d" if len(self.at) == 3 else "conv1d"
        kernel = [rng.randint(1, min(3, length)) for length in self.at[1:]]
        stride, padding = [rng.choice((1, 1, 2)) for _ in kernel], [rng.randint(0, 1) for _ in kernel]
        name = f"{op}{len(self.layers)}"
        groups = 2 if self.at[0] % 2 == 0 and rng.random() < 0.3 else 1
        keys = {"stride": stride, "padding": padding, "kernel": kernel, "groups": groups} | self.more(name, filters)
        shape = (filters, self.at[0] // groups, *kernel)
        self.weighted(op, shape, self.neuron(name, filters), name=name, **keys)
        self.at = (filters, *((n + 2 * p - k) // s + 1 for n, p, k, s in
                              zip(self.at[1:], padding, kernel, stride, strict=True)))  # fmt: skip

    def pool(self) -> None:
        kernel = [min(2, length) for length in self.at[1:]]
        stride = [self.rng.choice((1, 2)) for _ in kernel]
        self.add(self.rng.choice(("maxpool", "avgpool", "sumpool")), kernel=kernel, stride=stride)
        self.at = (self.at[0], *((n - k) // s + 1 for n, k, s in zip(self.at[1:], kernel, stride, strict=True)))

    def linear(self, features: int, neurons: int) -> None:
        name = f"linear{len(self.layers)}"
        self.weighted("linear", (neurons, features), self.neuron(name, neurons), name=name,
                      **self.more(name, neurons))  # fmt: skip


def machine(seed: int, stored: Stored, kind: int, order: int, interval: int = 0) -> Setup:
    """Random cores and times around a stored network."""
    rng, network = np.random.default_rng(seed), connect(stored)
    cuts = rng.choice(np.arange(1, network.neurons), min(4, network.neurons - 1), replace=False)
    first = np.array([0, *sorted(cuts), network.neurons])
    rules = Rules(order=order, processed=bool(rng.random() < 0.3), multicast=bool(rng.random() < 0.5))
    return Setup(network, make_chip(network, first, draw_ticks(rng), rules), Fifo(), kind=kind, interval=interval,
                 latency=3, channel_ticks=2)  # fmt: skip


def draw_input(workload: Workload, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = workload.input.shape
    if workload.input.encoding == "counts":
        shape = (workload.timesteps, *shape)
    return rng.integers(0, 2**workload.input.bits, shape) * (rng.random(shape) < 0.6)


def check(stored: Stored, setup: Setup, made: Record, raw: np.ndarray) -> int:
    """Spikes and membranes of the record are the engine's; returns the number of spikes."""
    workload, network = stored.workload, setup.network
    expected = run(stored.frozen, raw, workload.timesteps, membranes=True)
    turn, neuron = made.emitted[:, 0].astype(int), made.emitted[:, 1].astype(int)
    layer = np.searchsorted(network.first, neuron, side="right") - 1
    spikes = np.zeros((workload.timesteps, network.neurons), dtype=int)
    np.add.at(spikes, (timesteps_of(setup, made.column("time")[turn], layer), neuron), 1)
    for number, item in enumerate(stored.layers):
        own = slice(int(network.first[number]), int(network.first[number + 1]))
        if not item.neuron.spiking:
            assert np.array_equal(made.potential[own], expected.logits[-1]), item.name
            continue
        given = np.broadcast_to(expected.outputs[item.name].reshape(-1, own.stop - own.start), spikes[:, own].shape)
        assert np.array_equal(spikes[:, own], given), item.name
        membranes = expected.membranes[item.name][-1].reshape(-1)
        assert np.array_equal(made.potential[own], membranes), item.name
    return len(made.emitted)


@pytest.mark.parametrize(("kind", "order"), [(BARRIER, PER_LAYER), (BARRIER, PER_TIMESTEP), (TIMER, PER_TIMESTEP)])
def test_phases_are_layered_inference(kind, order):
    fired = 0
    for seed in range(60):
        workload = Chain(seed).made()
        stored = store(workload, None, workload.timesteps)
        raw = draw_input(workload, seed)
        setup = machine(seed, stored, kind, order, interval=10**6)
        inputs = encode(workload.input, raw, workload.timesteps).reshape(-1, setup.network.inputs)
        made = run_sample(setup, inputs, workload.timesteps, depth="pass")
        assert made.count("late").sum() == 0
        fired += check(stored, setup, made, raw)
    assert fired > 1000


def test_plain_cores_see_convolutions_and_pools_as_kernels_do():
    for seed in range(40):
        workload = Chain(seed).made()
        stored = store(workload, None, workload.timesteps)
        setup = machine(seed, stored, BARRIER, PER_TIMESTEP)
        inputs = encode(workload.input, draw_input(workload, seed), workload.timesteps).reshape(
            -1, setup.network.inputs
        )
        plain, fast = (run_sample(setup, inputs, workload.timesteps, depth=depth) for depth in ("process", "pass"))
        assert np.array_equal(plain.counts, fast.counts), seed
        assert np.array_equal(plain.potential, fast.potential), seed
        assert np.array_equal(plain.turns, fast.turns), seed


def test_a_short_timer_changes_the_function():
    """What comes late is taken in the next phase, and counted."""
    late = 0
    for seed in range(20):
        workload = Chain(seed).made()
        stored = store(workload, None, workload.timesteps)
        setup = machine(seed, stored, TIMER, PER_TIMESTEP, interval=3)
        inputs = encode(workload.input, draw_input(workload, seed), workload.timesteps).reshape(
            -1, setup.network.inputs
        )
        made = run_sample(setup, inputs, workload.timesteps, depth="pass")
        late += int(made.count("late").sum() + made.count("dropped").sum())
    assert late > 20


def test_weights_are_narrowed_to_the_chip():
    workload = Chain(3).made()
    whole, narrow = store(workload, None, 2), store(workload, 3, 2)
    assert not whole.requantised and set(narrow.requantised) == {layer.name for layer in workload.weighted}
    for layer in workload.weighted:
        steps = narrow.frozen.layers[layer.name].matrix / narrow.steps[layer.name]
        if layer.bn is None:
            assert np.allclose(steps, np.rint(steps)) and np.abs(np.rint(steps)).max() == 3


@pytest.mark.parametrize(("change", "text"), [
    ({"type": "lif", "leak": 0.5, "threshold": 1.0, "max_spikes": 3}, "graded or signed spikes are not sent by cores"),
    ({"type": "relu", "bits": 4, "scale": 0.1}, "neurons of type 'relu' send no spikes"),
])  # fmt: skip
def test_neurons_that_cores_do_not_have_are_refused(change, text):
    b = Builder((6,), 2, bits=1, scale=1.0, kind="spike")
    b.weighted("linear", (5, 6), change, name="fc1")
    b.weighted("linear", (4, 5), {"type": "none"}, name="out")
    with pytest.raises(SpecError, match=text):
        store(b.build(classes=4), None, 2)
