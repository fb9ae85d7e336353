"""Time of all tile calls of one vgg9 sample (CIFAR-10 size, T = 4, time inside the folds), function included."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileState, TileWork, call_kernel, pack_weight
from hwsim.network.neuron import LifParameters
from hwsim.workload.model import Geometry

TIMESTEPS = 4
DENSITY = 0.13
"""Of 620 M dense synaptic operations about 80 M are real."""

GOAL_SECONDS = 0.060
BUFFER_BITS = 144 * 1024 * 8 // 2
"""One of two blocks of weights in the weight buffer."""


def convolution(channels: int, size: int, filters: int) -> Geometry:
    return Geometry(channels, size, size, filters, 3, 3, 1, 1, 1, 1, 1, 1, 1, size, size)


def linear(inputs: int, outputs: int) -> Geometry:
    return Geometry(inputs, 1, 1, outputs, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)


VGG9 = [convolution(3, 32, 64), convolution(64, 32, 64), convolution(64, 16, 128), convolution(128, 16, 128),
        convolution(128, 8, 256), convolution(256, 8, 256), convolution(256, 8, 256), linear(4096, 1024),
        linear(1024, 10)]  # fmt: skip


def tile_calls(stationary: str) -> Iterator[tuple]:
    """All calls of a sample: each layer cut by filters so that its weights fit a block of the buffer."""
    rng = np.random.default_rng(0)
    config = ArrayConfig(16, 8, timesteps_per_fold=TIMESTEPS)
    lif = LifParameters(0.5, -1, 2.0**-20, False, False, 1, False, 1 / 32, -128.0, 127.0, 0, True, 1)
    for index, g in enumerate(VGG9):
        direct = index == 0
        x = (rng.random((TIMESTEPS, g.C, g.H, g.W)) < DENSITY).astype(np.uint8)
        if direct:
            x = rng.integers(0, 256, (1, g.C, g.H, g.W)).astype(np.uint8)
        weight = pack_weight(rng.integers(-127, 128, (g.M, g.K)))
        block = max(8, BUFFER_BITS // (8 * g.K) // 8 * 8)
        for m0 in range(0, g.M, block):
            m1 = min(g.M, m0 + block)
            rows = (np.full((1, m1 - m0), value) for value in (2.0**-10, 0.0, 1.0))
            neuron = TileNeuron(*rows, lif, 2.0**-20)
            work = TileWork(stationary, g, m0, m1, 0, g.P, 0, g.K, timesteps=TIMESTEPS, planes=8 if direct else 1,
                            word_bits=8 if direct else 1, constant_input=direct)  # type: ignore[arg-type]  # fmt: skip
            yield work, config, x, weight, neuron, TileState()


@pytest.mark.perf
@pytest.mark.parametrize("stationary", ["output", "weight", "input"])
def test_tile_calls_of_a_sample(stationary: str) -> None:
    """CPU time of the best of five samples."""
    calls = list(tile_calls(stationary))
    times = []
    for _ in range(6):
        start = time.process_time()
        for call in calls:
            call_kernel(*call)
        times.append(time.process_time() - start)
    assert min(times[1:]) < GOAL_SECONDS, f"{min(times[1:]):.3f} s for {len(calls)} calls"
