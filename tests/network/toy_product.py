"""Products made of plain matrix products, for tests: weights may be any, and noise may be added."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.grid import grid_step, to_grid
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.rng import uniform
from hwsim.workload.model import Geometry


@dataclass
class Toy:
    """Sums over ``matrix`` [M, K] (K as in the file), plus a uniform draw of +-``noise`` per psum where ``fresh``."""

    name: str
    geometry: Geometry
    matrix: np.ndarray
    largest_input: int
    fresh: bool = False
    noise: float = 0.0
    signed: bool = False
    """Whether inputs may be negative."""
    calls: list[int] = field(default_factory=list)
    """Rows of each call of ``psums``."""

    def __post_init__(self) -> None:
        self.step = grid_step(np.abs(self.matrix).max() * self.geometry.K * self.largest_input + self.noise)
        self.matrix = to_grid(self.matrix, self.step)
        positive, negative = np.maximum(self.matrix, 0).sum(axis=1), np.maximum(-self.matrix, 0).sum(axis=1)
        sums = positive + negative if self.signed else np.maximum(positive, negative)
        self.full_scale = sums * self.largest_input + self.noise

    @property
    def dense(self) -> np.ndarray:
        """[M, C, R, S], groups filled up with zeros."""
        g = self.geometry
        full = np.zeros((g.M, g.C, g.R, g.S))
        own, filters = g.C // g.groups, g.M // g.groups
        for m in range(g.M):
            first = m // filters * own
            full[m, first : first + own] = self.matrix[m].reshape(own, g.R, g.S)
        return full

    def _noise(self, t: int, sample: int) -> np.ndarray:
        index = np.arange(self.geometry.P * self.geometry.M).reshape(self.geometry.P, self.geometry.M)
        return to_grid((2 * uniform(7, self.name, sample, t, 0, index) - 1) * self.noise, self.step)

    def psums(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """Tap by tap, all pixels at once."""
        g, times = self.geometry, timesteps if len(x) > 1 or self.fresh else 1
        self.calls.append(times)
        padded = np.pad(x.astype(np.float64), ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x), (0, 0)))
        out = np.zeros((len(x), g.E, g.F, g.M))
        for r in range(g.R):
            for s in range(g.S):
                y, z = r * g.dilation_y, s * g.dilation_x
                part = padded[:, y : y + (g.E - 1) * g.stride_y + 1 : g.stride_y]
                part = part[:, :, z : z + (g.F - 1) * g.stride_x + 1 : g.stride_x]
                out += part @ self.dense[:, :, r, s].T
        out = np.broadcast_to(out.reshape(len(x), g.P, g.M), (times, g.P, g.M)).copy()
        for t in range(times if self.fresh else 0):
            out[t] += self._noise(t, sample)
        return out

    def plain(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """Pixel by pixel, all taps at once."""
        g = self.geometry
        padded = np.pad(x, ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x), (0, 0)))
        out = np.empty((timesteps, g.P, g.M))
        for t in range(timesteps):
            image = padded[min(t, len(x) - 1)].transpose(2, 0, 1)
            for p in range(g.P):
                y, z = p // g.F * g.stride_y, p % g.F * g.stride_x
                window = image[:, y : y + g.R * g.dilation_y : g.dilation_y, z : z + g.S * g.dilation_x : g.dilation_x]
                out[t, p] = (self.dense * window).sum(axis=(1, 2, 3))
            if self.fresh:
                out[t] += self._noise(t, sample)
        return out


def toy(
    frozen: Frozen,
    item: FrozenLayer,
    *,
    factor: float = 1.0,
    spread: float = 0.0,
    fresh: bool = False,
    noise: float = 0,
) -> Toy:
    """The weights of ``item`` times ``factor``, each changed by up to the share ``spread``."""
    edge = frozen.workload.edge(item.layer.inputs[0])
    change = 1 + spread * np.random.default_rng(len(item.name)).uniform(-1, 1, item.weight.shape)
    largest = max(-edge.low, edge.high)
    return Toy(item.name, item.geometry, item.weight * change * factor, largest, fresh, noise, edge.signed)


def toys(frozen: Frozen, **changes: float) -> dict[str, Toy]:
    """A toy for every weighted layer."""
    return {item.name: toy(frozen, item, **changes) for item in frozen.weighted}  # type: ignore[arg-type]
