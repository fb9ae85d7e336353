"""A network programmed onto crossbars: cell codes, conductances, exact effective conductances, gains, ADC ranges.

Everything here happens before the run, once per chip (device seed), and is kept in the content cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from hwsim.grid import current_step, grid_step, to_grid
from hwsim.kernels.analog import Analog, Events, row_activations
from hwsim.kernels.analog_solved import OHMIC, Solve, names_of, total_currents
from hwsim.machines.crossbar.mapping import Placed
from hwsim.network.freeze import FrozenLayer
from hwsim.network.kernels import Shape
from hwsim.physics.cache import remember
from hwsim.physics.devices import Device
from hwsim.physics.encoding import Encoded, encode
from hwsim.physics.programming import program
from hwsim.physics.resistive import Terminals, effective_conductance, terminal_ohm

VERSION = "1"
"""Of what the cache holds; changed whenever the same inputs would give other numbers."""


@dataclass(frozen=True)
class ArrayModel:
    """What decides the currents of an array, apart from its codes. Resistances in ohm, age in s."""

    rows: int
    columns: int
    polarities: int
    device: Device
    cell_bits: int
    resistances: tuple[float, float, float, float]
    terminals: Terminals
    scheme: str
    inversion: bool
    age_s: float
    gain: str
    gated: bool
    read_noise: bool
    codes: int
    """Largest ADC code; 0: no converters."""
    law: str = OHMIC
    """Of a cell's current, where every read is solved with it; ``v0`` volt is its scale, ``volts`` the read voltage."""
    v0: float = 0.0
    volts: float = 0.0
    gain_reads: str = "all_rows"
    """Reads that gains are measured with: ``all_rows``, or those of the ``calibration`` images."""

    @property
    def levels(self) -> int:
        """Levels that the codes use."""
        return 2**self.cell_bits

    @property
    def unit_S(self) -> float:
        """Conductance of one code unit."""
        return (self.device.g_max_S - self.device.g_min_S) / (self.levels - 1)

    @property
    def floor(self) -> float:
        """Conductance of code 0 in code units."""
        return self.device.g_min_S / self.unit_S

    @property
    def solved_per_read(self) -> bool:
        """Whether column currents are no sums over rows."""
        return self.gated or self.law != OHMIC

    @property
    def steepest(self) -> float:
        """Largest current of a cell over that of an ohmic one: it has the whole read voltage."""
        if self.law == OHMIC:
            return 1.0
        ratio = self.volts / self.v0
        return math.sinh(ratio) / ratio if self.law == "sinh" else 1.0 + ratio**2


class CalibrationReads(NamedTuple):
    """What the layers receive for the calibration images."""

    key: tuple[str, ...]
    """What decides it."""
    of: Callable[[str], tuple[Shape, list[Events]]]
    """A layer's shape and its inputs, image by image."""


class LayerArrays:
    """One layer of one chip: from codes to an ``Analog`` that kernels read.

    ``reads`` is asked only where gains are measured with the calibration images.
    """

    def __init__(
        self, placed: Placed, frozen: FrozenLayer, model: ArrayModel, seed: int, stream: str,
        reads: CalibrationReads | None = None,
    ) -> None:  # fmt: skip
        self.placed, self.frozen, self.model, self.seed, self.stream = placed, frozen, model, seed, stream
        self.reads = reads
        g = placed.geometry
        self.rows, self.filters = g.R * g.S * g.C, g.M
        self.groups = placed.slices * model.polarities
        """Slices times polarities: converted columns per filter."""

    @cached_property
    def weights(self) -> np.ndarray:
        """[K, M] int64 in packed order."""
        g = self.placed.geometry
        shaped = np.asarray(self.frozen.matrix).reshape(g.M, g.C, g.R, g.S)
        return np.ascontiguousarray(shaped.transpose(2, 3, 1, 0)).reshape(self.rows, g.M).astype(np.int64)

    @cached_property
    def encoded(self) -> Encoded:
        """Codes of all cells. Raises SpecError where weights or device do not fit the encoding."""
        return encode(
            self.weights,
            self.placed.weight_bits,
            self.model.cell_bits,
            self.model.scheme,
            inversion=self.model.inversion,
            block_of=self.placed.block_of,
            levels=self.model.device.levels,
            where=f"layer {self.placed.name}",
        )

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where the cell of (slice, polarity, row, filter) stands: array number without slice, row, column."""
        model, placed = self.model, self.placed
        width = model.columns // model.polarities
        filters = np.arange(self.filters)
        column_block, within = np.divmod(filters, width)
        array = column_block[None, :] * placed.blocks + placed.block_of[:, None]
        return array, placed.position_of, within, filters

    def layout(self, values: np.ndarray) -> np.ndarray:
        """[slices, polarities, K, M] -> [arrays, rows, columns]; cells that hold no weight are 0."""
        model, placed = self.model, self.placed
        array, position, within, _ = self.places
        blocks = placed.blocks * placed.column_blocks
        out = np.zeros((blocks, placed.slices, model.rows, model.columns), dtype=values.dtype)
        for s in range(placed.slices):
            for p in range(model.polarities):
                out[array, s, position[:, None], within[None, :] * model.polarities + p] = values[s, p]
        return out.reshape(-1, model.rows, model.columns)

    def gather(self, arrays: np.ndarray) -> np.ndarray:
        """[arrays, rows, columns] -> [K, Q], the columns of all filters side by side."""
        model, placed = self.model, self.placed
        array, position, within, _ = self.places
        shaped = arrays.reshape(-1, placed.slices, model.rows, model.columns)
        out = np.empty((self.rows, self.groups, self.filters))
        for s in range(placed.slices):
            for p in range(model.polarities):
                columns = within[None, :] * model.polarities + p
                out[:, s * model.polarities + p] = shaped[array, s, position[:, None], columns]
        return out.reshape(self.rows, -1)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What decides the effective conductances."""
        m = self.model
        return (
            VERSION, repr(m.device), m.rows, m.columns, m.polarities, m.cell_bits, m.resistances,
            m.terminals, m.scheme, m.inversion, repr(m.age_s), self.seed, self.stream, self.placed.weight_bits,
            self.placed.block_of.tobytes(), self.weights.tobytes(),
        )  # fmt: skip

    def stored(self) -> np.ndarray:
        """Conductances of the cells in S, [arrays, rows, columns], as programmed on this chip."""
        return program(
            self.model.device,
            self.layout(self.encoded.codes),
            self.model.levels,
            seed=self.seed,
            stream=self.stream,
            elapsed_s=self.model.age_s,
        )

    @cached_property
    def cells(self) -> np.ndarray:
        """``stored``, kept."""
        return self.stored()

    @cached_property
    def _names(self) -> tuple[bytes, ...]:
        return names_of(self.cells)

    def _solve(self, lsb: np.ndarray) -> Solve:
        """The arrays as they are solved read by read."""
        model = self.model
        cells = self.cells.reshape(-1, self.placed.slices, model.rows, model.columns)
        ohm = terminal_ohm(model.resistances, model.terminals)
        return Solve(cells, self._names, ohm, lsb, model.gated, model.law, model.v0, model.volts)

    def _effective(self) -> dict[str, np.ndarray]:
        driver, row, column, sense = self.model.resistances
        solved = effective_conductance(self.stored(), driver, row, column, sense, terminals=self.model.terminals)
        return {"solved": solved}

    @cached_property
    def solved(self) -> np.ndarray:
        """[arrays, rows, columns] effective conductances in S of linear cells, silent rows grounded."""
        return remember(("effective conductance", *map(_part, self.key)), self._effective)["solved"]

    @cached_property
    def gains(self) -> np.ndarray:
        """[arrays, 1, columns]: what a column current is multiplied by, so that a read gives what it should.

        That is the sum of the active rows' target conductances. ``all_rows``: one read with all rows in use on, of
        linear cells, whatever the law of the cells is in later reads. Rows without weights stay off: with their few
        microsiemens they lose less than the others and would spoil the measurement. ``calibration``: all reads of the
        calibration images, summed, with the cells and the silent rows of later reads. A column that they do not read
        keeps the gain of ``all_rows``.
        """
        if self.model.gain == "off":
            return np.ones((len(self.solved), 1, self.model.columns))
        used = self.used_rows[:, :, None]
        wanted, found = ((part * used).sum(axis=1, keepdims=True) for part in (self.targets, self.solved))
        if self.model.gain_reads == "calibration":
            assert self.reads is not None, "no calibration images"
            m = self.model
            key = (*self.key, m.gated, m.law, repr(m.v0), repr(m.volts), *self.reads.key)
            sums = remember(("calibration currents", *map(_part, key)), self._calibrated)
            read = sums["found"] > 0
            wanted, found = np.where(read, sums["wanted"], wanted), np.where(read, sums["found"], found)
        if self.model.gain == "global":
            return np.full_like(found, wanted.sum() / found.sum())
        return wanted / np.where(found > 0, found, 1.0)

    @property
    def targets(self) -> np.ndarray:
        """[arrays, rows, columns] conductances that programming aims at, in S."""
        return self.model.device.g_min_S + self.layout(self.encoded.codes) * self.model.unit_S

    def _calibrated(self) -> dict[str, np.ndarray]:
        """Column currents [arrays, 1, columns] summed over the reads of the calibration images, in A for 1 V drive."""
        assert self.reads is not None
        placed, on = self.placed, np.zeros((self.placed.blocks, self.model.rows))
        shape, inputs = self.reads.of(placed.name)
        for events in inputs:
            on[placed.block_of, placed.position_of] += row_activations(placed.block_of, events, shape, placed.planes)
        times = np.repeat(np.tile(on, (placed.column_blocks, 1)), placed.slices, axis=0)[:, :, None]
        wanted, found = ((part * times).sum(axis=1, keepdims=True) for part in (self.targets, self.solved))
        if self.model.solved_per_read:
            solve = self._solve(np.zeros((0, 0)))
            found = np.zeros((len(solve.stored), solve.slices, solve.columns))
            for events in inputs:
                found += total_currents(solve, placed.block_of, placed.position_of, events, shape, placed.planes)
            found = found.reshape(wanted.shape)
        return {"wanted": wanted, "found": found}

    @cached_property
    def used_rows(self) -> np.ndarray:
        """bool [arrays, rows]: which rows hold weights."""
        placed = self.placed
        rows = np.arange(self.model.rows)[None, :] < placed.rows_of_block()[:, None]
        return np.repeat(np.tile(rows, (placed.column_blocks, 1)), placed.slices, axis=0)

    @cached_property
    def code_currents(self) -> np.ndarray:
        """[K, Q]: current of one active row in code units, gain included; linear cells, silent rows grounded."""
        return self.gather(self.solved * self.gains) / self.model.unit_S

    @cached_property
    def largest_currents(self) -> np.ndarray:
        """[K, Q] code units: what an active row adds to a column current at most, gain included.

        Where reads are solved, that is the current of the cell with the whole read voltage on it: no node of the array
        leaves the range from ground to the read voltage.
        """
        if not self.model.solved_per_read:
            return np.abs(self.code_currents)
        return self.gather(self.cells * self.gains) * (self.model.steepest / self.model.unit_S)

    def analog(self, lsb: np.ndarray | None) -> Analog:
        """The layer as kernels read it. ``lsb`` [slices x polarities]: code units of an ADC step; None: no ADC."""
        placed, model, factor = self.placed, self.model, self._factor()
        step_of = np.ones(self.groups) if lsb is None else np.asarray(lsb, dtype=np.float64)
        steps = np.repeat(step_of, self.filters)
        unit = factor * steps
        correction = self._correction(factor)
        psum_step = current_step(self._limit(unit, correction, model.codes))
        largest = float((self.largest_currents / steps).sum(axis=0).max())
        g_step = grid_step(max(largest, 1.0)) if model.codes else psum_step  # factors are whole powers of two
        return Analog(
            g=self._sums(steps, g_step),
            unit=np.ascontiguousarray(to_grid(unit, psum_step)),
            correction=np.ascontiguousarray(to_grid(correction, psum_step)) if correction.any() else np.zeros((0, 0)),
            block_of=placed.block_of,
            blocks=placed.blocks,
            polarities_slices=self.groups,
            codes=model.codes,
            noise=self._noise(steps),
            current_grid=g_step,
            position_of=placed.position_of,
            polarities=model.polarities,
            solve=self._solve(self._sensitivity(steps)) if model.solved_per_read else None,
        )

    def _sums(self, steps: np.ndarray, g_step: float) -> np.ndarray:
        """[K, Q] ADC steps per active row; empty where reads are solved."""
        if self.model.solved_per_read:
            return np.zeros((0, 0))
        return np.ascontiguousarray(to_grid(self.code_currents / steps, g_step))

    def limit(self, analog: Analog) -> float:
        """Largest magnitude of a psum that ``analog`` (made by this layer) can give, in weight units."""
        correction = analog.correction if analog.correction.size else np.zeros((self.rows, self.filters))
        return self._limit(analog.unit, correction, analog.codes)

    def effective_weights(self) -> np.ndarray:
        """Real weights [M, K], K in the order (c, r, s), that the arrays multiply by without converters and noise, if
        cells are linear and silent rows grounded."""
        factor = self._factor()
        currents = self.code_currents.reshape(self.rows, self.groups, self.filters)
        spread = factor[self.placed.block_of].reshape(currents.shape)
        packed = (currents * spread).sum(axis=1) - self._correction(factor)
        g = self.placed.geometry
        return np.ascontiguousarray(packed.reshape(g.R, g.S, g.C, g.M).transpose(3, 2, 0, 1)).reshape(g.M, -1)

    def _factor(self) -> np.ndarray:
        """[blocks, Q] weight units of one code unit."""
        shaped = self.encoded.factor.transpose(2, 0, 1, 3).reshape(self.encoded.factor.shape[2], -1)
        return np.broadcast_to(shaped, (self.placed.blocks, shaped.shape[1]))

    def _correction(self, factor: np.ndarray) -> np.ndarray:
        """[K, M] weight units subtracted per active row: of the encoding, and for cells that conduct at code 0."""
        floor = factor.reshape(self.placed.blocks, self.groups, self.filters).sum(axis=1) * self.model.floor
        return self.encoded.correction + floor[self.placed.block_of]

    def _limit(self, unit: np.ndarray, correction: np.ndarray, codes: int) -> float:
        """Largest magnitude of a psum, in weight units."""
        scale = 2.0**self.placed.planes - 1
        if codes:
            converted = np.abs(unit).reshape(self.placed.blocks, self.groups, self.filters).sum(axis=(0, 1)) * codes
        else:
            spread = self.largest_currents.reshape(self.rows, self.groups, self.filters)
            converted = (spread * np.abs(unit[self.placed.block_of]).reshape(spread.shape)).sum(axis=(0, 1))
        return float((converted + np.abs(correction).sum(axis=0)).max() * scale)

    def _noise(self, steps: np.ndarray) -> np.ndarray:
        """[K, Q] variance of a read's noise per active row, in squared ADC steps; on its grid. Of the linear current
        with silent rows grounded, also where reads are solved."""
        law = self.model.device
        if not self.model.read_noise or law.read_noise is None:
            return np.zeros((0, 0))
        stored = self.gather(self.stored())
        relative = law.read_noise_std(stored, self.model.age_s) / np.where(stored > 0, stored, 1.0)
        variance = (relative * self.code_currents / steps) ** 2
        return np.ascontiguousarray(to_grid(variance, grid_step(float(variance.sum(axis=0).max()))))

    def _sensitivity(self, steps: np.ndarray) -> np.ndarray:
        """[blocks, Q] ADC steps per siemens of each converted column, gain included."""
        first = np.unique(self.placed.block_of, return_index=True)[1]
        gains = self.gather(np.broadcast_to(self.gains, self.solved.shape))[first]
        return np.ascontiguousarray(gains / (self.model.unit_S * steps))


def unknown(placed: Placed, model: ArrayModel) -> Analog:
    """Arrays whose cells nobody knows (shape tables, recorded spikes): reads are counted, psums are not had."""
    groups = placed.slices * model.polarities
    none = np.zeros((0, 0))
    return Analog(
        g=none, unit=np.zeros((placed.blocks, groups * placed.geometry.M)), correction=none, block_of=placed.block_of,
        blocks=placed.blocks, polarities_slices=groups, codes=model.codes, noise=none, current_grid=1.0,
        position_of=placed.position_of, polarities=model.polarities, solve=None,
    )  # fmt: skip


def _part(value: Any) -> bytes | str:
    return value if isinstance(value, bytes) else repr(value)
