"""Samples on their way through a network whose layers come about one after the other.

For what can be said of a layer only once its inputs are known, and then decides those of the next: BN that is adapted,
converters that are ranged. Each layer is run once per sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from hwsim.network.encode import encode, take
from hwsim.network.engine import checked_timesteps
from hwsim.network.forward import Call, Values, forward
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.workload.model import Samples


@dataclass
class Walker:
    """One sample on its way."""

    call: Call
    values: Values

    def peek(self, item: FrozenLayer) -> list[np.ndarray]:
        """The layer's inputs [T or 1, H, W, C], left where they are."""
        return [self.values[name] for name in item.layer.inputs]


def start(frozen: Frozen, samples: Samples, count: int, timesteps: int | None = None, seed: int = 0) -> list[Walker]:
    """The first ``count`` samples in front of the first layer; ``seed`` names the Poisson draws."""
    times, workload = checked_timesteps(frozen, timesteps), frozen.workload
    walkers = []
    for sample in range(count):
        encoded = encode(workload.input, take(samples, sample), times, seed, sample)
        walkers.append(Walker(Call(workload, times, sample), Values(workload, encoded)))
    return walkers


def advance(pool: Executor, item: FrozenLayer, walkers: Sequence[Walker]) -> None:
    """All of them through one layer, whose inputs go after their last reader."""

    def one(walker: Walker) -> None:
        walker.values[item.name], _ = forward(item, walker.values.take(item.layer), walker.call)

    list(pool.map(one, walkers))
