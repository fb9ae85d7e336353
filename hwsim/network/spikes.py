"""What a network did with one sample: the inputs of its weighted layers, its outputs, its decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class LayerInputs(Protocol):
    """Integer tensors by layer, each [T, C, H, W] or [1, C, H, W] where every timestep sees the same."""

    def __getitem__(self, name: str) -> np.ndarray:
        """The whole tensor of one layer."""
        ...

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, name: object) -> bool: ...

    def at(self, name: str, t: int) -> np.ndarray:
        """[C, H, W] of one timestep."""
        ...

    def constant(self, name: str) -> bool:
        """Whether every timestep sees the same."""
        ...


class Recorded(Mapping[str, np.ndarray]):
    """Tensors kept channel-last, as the engine makes them; turned into [T, C, H, W] when first asked for."""

    def __init__(self, timesteps: int) -> None:
        self._timesteps = timesteps
        self._last: dict[str, np.ndarray] = {}
        self._first: dict[str, np.ndarray] = {}

    def keep(self, name: str, channel_last: np.ndarray) -> None:
        """Remember [T or 1, H, W, C] under ``name``."""
        self._last[name] = channel_last

    def channel_last(self, name: str) -> np.ndarray:
        """[T or 1, H, W, C], without a copy."""
        array = self._last[name]
        return array if len(array) == 1 else array[: self._timesteps]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._first:
            self._first[name] = np.ascontiguousarray(self.channel_last(name).transpose(0, 3, 1, 2))
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def at(self, name: str, t: int) -> np.ndarray:
        """[C, H, W] of timestep ``t``."""
        array = self[name]
        return array[min(t, len(array) - 1)]

    def constant(self, name: str) -> bool:
        """Whether every timestep sees the same (one timestep is kept)."""
        return len(self._last[name]) == 1

    def stop_after(self, timesteps: int) -> None:
        """Forget what came after the first ``timesteps`` timesteps."""
        self._timesteps = timesteps
        self._first.clear()


@dataclass(frozen=True)
class Spikes:
    """One sample's way through the network. Without weights, outputs are empty and nothing is decided."""

    timesteps: int
    """Timesteps that were run: fewer than asked for after an early exit."""
    inputs: LayerInputs
    """Of each weighted layer, the integers it receives: uint8, or int32 where they need it."""
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    """[T or 1, M, E, F] of each weighted layer: spikes or activations (uint8, int32), or currents (float64)."""
    membranes: Mapping[str, np.ndarray] = field(default_factory=dict)
    """[T, units, E, F] float64 as stored at the end of each timestep, if asked for."""
    logits: np.ndarray | None = None
    """[T, classes] float64: the output accumulated up to and including each timestep."""
    prediction: int | None = None

    def at(self, layer: str, t: int) -> np.ndarray:
        """Input [C, H, W] of a weighted layer at timestep ``t``."""
        assert 0 <= t < self.timesteps, t
        return self.inputs.at(layer, t)

    def block(self, layer: str, first: int, last: int) -> np.ndarray:
        """Input [last - first, C, H, W] of a weighted layer at timesteps ``first`` .. ``last`` - 1."""
        assert 0 <= first <= last <= self.timesteps, (first, last)
        return np.stack([self.inputs.at(layer, t) for t in range(first, last)])
