"""The product that programmed arrays compute, as the network asks for it; and the ranges of their converters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.grid import current_step
from hwsim.kernels.analog import Analog, Events, events_of, histogram_currents, layer_psums, plain_psums
from hwsim.machines.crossbar.mapping import Placed
from hwsim.machines.crossbar.programmed import ArrayModel, CalibrationReads, LayerArrays
from hwsim.machines.crossbar.tile import shape_of
from hwsim.network.engine import run_sample
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.kernels import list_events
from hwsim.network.numerics import Numerics
from hwsim.network.walk import advance, start
from hwsim.physics.cache import remember
from hwsim.rng import draw_key
from hwsim.workload.model import Samples, Workload

BINS = 4096
"""Resolution of the histogram that a range is read from."""
WORKERS = 2
"""Threads that calibration images are shared by; the ranges do not depend on it."""


def stream_of(layer: str) -> str:
    """Name of the draws of a layer's arrays."""
    return f"crossbar.{layer}"


def draw_keys(seed: int, layer: str, sample: int, t: int, planes: int) -> np.ndarray:
    """uint64 [planes]: keys of the read noise of a timestep."""
    name = f"{stream_of(layer)}.read"
    return np.array([draw_key(seed, name, sample, t, plane) for plane in range(planes)], dtype=np.uint64)


@dataclass(frozen=True)
class ArrayProduct:
    """A layer on programmed arrays (``hwsim.network.product.Product``)."""

    placed: Placed
    analog: Analog
    limit: float
    seed: int

    @property
    def full_scale(self) -> float:
        """Largest magnitude of a psum."""
        return self.limit

    @property
    def step(self) -> float:
        """Grid of the psums."""
        return current_step(self.limit)

    @property
    def fresh(self) -> bool:
        """Whether reads of the same input differ."""
        return self.analog.noise.size > 0

    def psums(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """[T or 1, P, M] from integers [T or 1, H, W, C]."""
        first, channel, value, out, keys = self._operands(x, timesteps, sample)
        layer_psums(self.analog, first, channel, value, shape_of(self.placed), self.placed.planes, out, keys)
        return out

    def plain(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """The same by plain NumPy."""
        first, channel, value, out, keys = self._operands(x, timesteps, sample)
        plain_psums(self.analog, first, channel, value, shape_of(self.placed), self.placed.planes, out, keys)
        return out

    def _operands(self, x, timesteps, sample):  # type: ignore[no-untyped-def]
        g = self.placed.geometry
        times = timesteps if len(x) > 1 or self.fresh else 1
        first, channel, value = _events(self.placed, x)
        keys = np.stack(
            [draw_keys(self.seed, self.placed.name, sample, t, self.placed.planes) for t in range(times)]
            if self.fresh
            else [np.zeros(self.placed.planes, dtype=np.uint64)] * times
        )
        return first, channel, value, np.empty((times, g.E * g.F, g.M)), keys


class Calibration(NamedTuple):
    """What gains are measured with: the first ``images`` of ``samples``, ``timesteps`` each, as the exact network has
    them (the chip's own spikes need the gains)."""

    samples: Samples
    images: int
    timesteps: int


class ProgrammedNetwork:
    """All layers of one chip (``seed``): their arrays, and with the ranges of the converters their products.

    ``calibration`` is needed where ``model.gain_reads`` is ``calibration``.
    """

    def __init__(
        self, workload: Workload, ideal: Frozen, placed: tuple[Placed, ...], model: ArrayModel, seed: int,
        calibration: Calibration | None = None,
    ) -> None:  # fmt: skip
        self.calibration = calibration
        self.workload, self.ideal, self.model, self.seed = workload, ideal, model, seed
        self.placed = {item.name: item for item in placed if not item.digital}
        self.arrays = {
            name: LayerArrays(item, ideal.layers[name], model, seed, stream_of(name), self._reads())
            for name, item in self.placed.items()
        }

    def _reads(self) -> CalibrationReads | None:
        if self.calibration is None:
            return None
        return CalibrationReads(
            self._reads_key, lambda name: (shape_of(self.placed[name]), self._calibration_events[name])
        )

    @property
    def _reads_key(self) -> tuple[str, ...]:
        """What decides the calibration reads; empty without."""
        given = self.calibration
        return () if given is None else (self.workload.sha256, str(given.images), str(given.timesteps))

    @cached_property
    def _calibration_events(self) -> dict[str, list[Events]]:
        """By layer, its inputs for each calibration image."""
        assert self.calibration is not None
        samples, images, timesteps = self.calibration
        found: dict[str, list[Events]] = {name: [] for name in self.placed}
        for number in range(min(images, len(samples))):
            spikes = run_sample(self.ideal, samples, number, timesteps)
            for name, placed in self.placed.items():
                found[name].append(_events(placed, spikes.inputs.channel_last(name)))  # type: ignore[attr-defined]
        return found

    def encodings(self) -> None:
        """Encode all layers. Raises SpecError where weights or device do not fit, before anything long is done."""
        problems: list[Problem] = []
        for layer in self.arrays.values():
            try:
                _ = layer.encoded
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)

    def ranges(
        self, samples: Samples | None, count: int, quantile: float, numerics: Numerics
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """By layer, code units of one ADC step for each slice and polarity, so that the full scale is the ``quantile``
        of the currents that the layer's columns carry for ``count`` calibration samples (of reads with an active row).

        Layers are ranged in order, each on the inputs that this chip itself gives it: from the layers before, on their
        arrays and with the ranges found, and the digital part as ``numerics`` has it (before any adaptation of BN).
        Without samples (shape tables) the largest current that can occur is the full scale.
        """
        assert not (numerics.products or numerics.weights or numerics.statistics), "these are not part of the key"
        count = 0 if samples is None else min(count, len(samples))
        decisive = (self.workload.sha256, numerics, self.model, quantile, count, self._reads_key)
        parts = (*decisive, *(part for layer in self.arrays.values() for part in layer.key))

        def make() -> dict[str, np.ndarray]:
            found = self._measure(samples, count, quantile, numerics)
            return {str(place): found[name] for place, name in enumerate(self.arrays)}

        key = ("adc ranges on the chip", *(part if isinstance(part, bytes) else repr(part) for part in parts))
        kept = remember(key, make)
        return {name: kept[str(place)] for place, name in enumerate(self.arrays)}

    def _measure(
        self, samples: Samples | None, count: int, quantile: float, numerics: Numerics
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """What ``ranges`` keeps. A layer runs once per image, when its converters are ranged; the last one does not."""
        steps: dict[str, np.ndarray] = {}
        products: dict[str, ArrayProduct] = {}
        frozen = freeze(self.workload, numerics)
        walkers = start(frozen, samples, count) if samples is not None else []
        with ThreadPoolExecutor(WORKERS) as pool:
            for layer in self.workload.layers:
                if layer.name in self.arrays:
                    inputs = [walker.peek(frozen.layers[layer.name])[0] for walker in walkers]
                    steps[layer.name] = self._layer_steps(pool, layer.name, inputs, quantile)
                    if len(steps) == len(self.arrays):
                        break
                    products[layer.name] = self._product(layer.name, steps[layer.name])
                    frozen = freeze(self.workload, replace(numerics, products=products))
                advance(pool, frozen.layers[layer.name], walkers)
        return steps

    def _layer_steps(self, pool: Executor, name: str, inputs: Iterable[np.ndarray], quantile: float) -> np.ndarray:
        """Code units of an ADC step of one layer, [slices x polarities], by its inputs [T or 1, H, W, C] by image."""
        layer, placed = self.arrays[name], self.placed[name]
        groups = layer.largest_currents.reshape(layer.rows, layer.groups, -1)
        blocks = np.zeros((placed.blocks, *groups.shape[1:]))
        np.add.at(blocks, placed.block_of, groups)
        tops, unscaled = blocks.max(axis=(0, 2)), layer.analog(np.ones(layer.groups))

        def counted(x: np.ndarray) -> np.ndarray:
            counts = np.zeros((layer.groups, BINS), dtype=np.int64)
            histogram_currents(unscaled, *_events(placed, x), shape_of(placed), placed.planes, tops, counts)
            return counts

        counts = sum(pool.map(counted, inputs), np.zeros((layer.groups, BINS), dtype=np.int64))
        return _steps(counts, tops, quantile, self.model.codes)

    def products(self, steps: Mapping[str, np.ndarray] | None) -> dict[str, ArrayProduct]:
        """By layer; ``steps`` as ``ranges`` gives them, None without converters."""
        return {name: self._product(name, None if steps is None else steps[name]) for name in self.arrays}

    def _product(self, name: str, step: np.ndarray | None) -> ArrayProduct:
        layer = self.arrays[name]
        analog = layer.analog(step)
        return ArrayProduct(self.placed[name], analog, layer.limit(analog), self.seed)

    def weights(self) -> dict[str, np.ndarray]:
        """By layer, real weights [M, K] in the order (c, r, s): what arrays without converters multiply by."""
        return {name: layer.effective_weights() for name, layer in self.arrays.items()}

    @cached_property
    def shares(self) -> tuple[float, float]:
        """(share of cells at the highest resistance, mean code) over all layers; (0, 0) without any."""
        codes = [layer.encoded.codes for layer in self.arrays.values()]
        cells = max(1, sum(item.size for item in codes))
        return sum(int((item == 0).sum()) for item in codes) / cells, sum(float(item.sum()) for item in codes) / cells


def _events(placed: Placed, x: np.ndarray) -> Events:
    """Of a layer's input [T or 1, H, W, C]."""
    g = placed.geometry
    return events_of(*list_events(np.ascontiguousarray(x).reshape(len(x), g.H * g.W, g.C), np.empty(0, np.int32)))


def _steps(counts: np.ndarray, tops: np.ndarray, quantile: float, codes: int) -> np.ndarray:
    """Code units of one ADC step: the upper edge of the bin in which the quantile lies, over the number of steps."""
    steps = np.empty(len(counts))
    for group, (bins, top) in enumerate(zip(counts, tops, strict=True)):
        total = int(bins.sum())
        last = int(np.searchsorted(np.cumsum(bins), quantile * total)) if total else BINS - 1
        steps[group] = max(top * (min(last, BINS - 1) + 1) / BINS / max(codes, 1), 1e-12)
    return steps


__all__ = ["ArrayProduct", "Calibration", "ProgrammedNetwork", "draw_keys", "stream_of"]
