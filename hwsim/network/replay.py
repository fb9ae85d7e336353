"""Layer inputs of workloads without weights: recorded ones, and those of shape tables, drawn when asked for.

Both come as ``Spikes`` like those of a network, so that a machine treats all alike; nothing is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.errors import SpecError
from hwsim.network.numerics import check_timesteps
from hwsim.network.spikes import Spikes
from hwsim.rng import bernoulli, uniform
from hwsim.workload.drawn import layer_inputs
from hwsim.workload.model import INPUT, Layer, Workload

DENSITY_STREAM = "shapes.density"
VALUE_STREAM = "shapes.value"


def replay(workload: Workload, sample: int = 0, timesteps: int | None = None, seed: int = 0) -> Spikes:
    """The layer inputs of a trace (one sample) or of a shape table (``seed`` and ``sample`` name its draws).

    Raises ``SpecError`` for a network (it computes its own), and where a trace has recorded fewer timesteps.
    """
    if workload.kind == "network":
        raise SpecError(f"workload {workload.name} is a network: its spikes are computed, not replayed")
    times = check_timesteps(timesteps or workload.timesteps)
    if workload.kind == "shapes":
        return Spikes(times, Drawn(workload, seed, sample, times))
    for layer in workload.weighted:
        if layer.timesteps is not None and layer.timesteps != 1 and layer.timesteps < times:
            raise SpecError(f"layer '{layer.name}': {layer.timesteps} timesteps were recorded, not {times}")
    return Spikes(times, Replayed(workload, times))


class _Inputs:
    """What both have in common: names, and the view [T, C, H, W] of a layer's input."""

    def __init__(self, workload: Workload, timesteps: int) -> None:
        self.workload = workload
        self.timesteps = timesteps
        self.layers = {layer.name: layer for layer in workload.weighted}

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __contains__(self, name: object) -> bool:
        return name in self.layers

    def _shape(self, name: str) -> tuple[int, int, int]:
        g = self.layers[name].geometry
        return (g.C, g.H, g.W)


class Replayed(_Inputs):
    """Recorded inputs, unpacked when asked for; the layer asked for last stays unpacked."""

    def __init__(self, workload: Workload, timesteps: int) -> None:
        super().__init__(workload, timesteps)
        self._last: tuple[str, np.ndarray] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        """[T or 1, C, H, W] as recorded."""
        if self._last is None or self._last[0] != name:
            recorded = layer_inputs(self.workload, self.layers[name], 0, 0, self.timesteps)
            self._last = (name, recorded.reshape(len(recorded), *self._shape(name)))
        return self._last[1]

    def at(self, name: str, t: int) -> np.ndarray:
        """[C, H, W] of timestep ``t``."""
        array = self[name]
        return array[min(t, len(array) - 1)]

    def constant(self, name: str) -> bool:
        """Whether one recorded timestep stands for all."""
        return self.layers[name].timesteps == 1


class Drawn(_Inputs):
    """Independent draws by density. Each timestep of each layer can be drawn alone, and is the same each time."""

    def __init__(self, workload: Workload, seed: int, sample: int, timesteps: int) -> None:
        super().__init__(workload, timesteps)
        self.seed = seed
        self.sample = sample
        self._steps = {layer.name: number for number, layer in enumerate(workload.layers)}

    def __getitem__(self, name: str) -> np.ndarray:
        """[T or 1, C, H, W], all timesteps together: not for large layers."""
        return np.stack([self.at(name, t) for t in range(1 if self.constant(name) else self.timesteps)])

    def at(self, name: str, t: int) -> np.ndarray:
        """[C, H, W] of timestep ``t``: nonzero where a draw is below the density; wider inputs uniform in 1..high."""
        layer = self.layers[name]
        shape = self._shape(name)
        key = (self.seed, self.sample, 0 if self.constant(name) else t, self._steps[name])
        density = 1.0 if layer.density is None else layer.density
        used = bernoulli(key[0], DENSITY_STREAM, *key[1:], int(np.prod(shape)), density)
        return self._valued(layer, used, key).reshape(shape)

    def _valued(self, layer: Layer, used: np.ndarray, key: tuple[int, int, int, int]) -> np.ndarray:
        high = self.workload.input_edge(layer).high
        if high == 1:
            return used
        index = np.flatnonzero(used)
        draws = uniform(key[0], VALUE_STREAM, *key[1:], index)
        out = np.zeros(used.size, dtype=np.uint8 if high <= 255 else np.uint16)
        out[index] = 1 + np.floor(draws * high)
        return out

    def constant(self, name: str) -> bool:
        """Whether every timestep sees the same: the directly coded input of the network."""
        return self.layers[name].inputs == (INPUT,) and self.workload.input.encoding == "direct"
