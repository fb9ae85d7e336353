"""A network programmed onto crossbars: cell codes, conductances, exact effective conductances, gains, ADC ranges.

Everything here happens before the run, once per chip (device seed), and is kept in the content cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.grid import current_step, grid_step, to_grid
from hwsim.kernels.analog import Analog
from hwsim.machines.crossbar.mapping import Placed
from hwsim.network.freeze import FrozenLayer
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


class LayerArrays:
    """One layer of one chip: from codes to an ``Analog`` that kernels read."""

    def __init__(self, placed: Placed, frozen: FrozenLayer, model: ArrayModel, seed: int, stream: str) -> None:
        self.placed, self.frozen, self.model, self.seed, self.stream = placed, frozen, model, seed, stream
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

    def _solve(self) -> dict[str, np.ndarray]:
        stored = self.stored()
        driver, row, column, sense = self.model.resistances
        solved = effective_conductance(stored, driver, row, column, sense, terminals=self.model.terminals)
        return {"solved": solved}

    @cached_property
    def solved(self) -> np.ndarray:
        """[arrays, rows, columns] effective conductances in S, silent rows grounded."""
        return remember(("effective conductance", *map(_part, self.key)), self._solve)["solved"]

    @cached_property
    def gains(self) -> np.ndarray:
        """[arrays, 1, columns]: what a column current is multiplied by; from a read with all rows in use on.

        The calibration knows what the column should give: the sum of its target conductances. Rows without weights
        stay off: with their few microsiemens they lose less than the others and would spoil the measurement.
        """
        ideal = self.model.device.g_min_S + self.layout(self.encoded.codes) * self.model.unit_S
        used = self.used_rows[:, :, None]
        wanted, found = ((part * used).sum(axis=1, keepdims=True) for part in (ideal, self.solved))
        if self.model.gain == "off":
            return np.ones_like(found)
        if self.model.gain == "global":
            return np.full_like(found, wanted.sum() / found.sum())
        return wanted / np.where(found > 0, found, 1.0)

    @cached_property
    def used_rows(self) -> np.ndarray:
        """bool [arrays, rows]: which rows hold weights."""
        placed = self.placed
        rows = np.arange(self.model.rows)[None, :] < placed.rows_of_block()[:, None]
        return np.repeat(np.tile(rows, (placed.column_blocks, 1)), placed.slices, axis=0)

    @cached_property
    def code_currents(self) -> np.ndarray:
        """[K, Q]: current of one active row in code units, gain included."""
        return self.gather(self.solved * self.gains) / self.model.unit_S

    def analog(self, lsb: np.ndarray | None) -> Analog:
        """The layer as kernels read it. ``lsb`` [slices x polarities]: code units of an ADC step; None: no ADC."""
        placed, model, factor = self.placed, self.model, self._factor()
        step_of = np.ones(self.groups) if lsb is None else np.asarray(lsb, dtype=np.float64)
        steps = np.repeat(step_of, self.filters)
        unit = factor * steps
        correction = self._correction(factor)
        psum_step = current_step(self._limit(unit, correction, model.codes))
        currents = self.code_currents / steps
        largest = float(np.abs(currents).sum(axis=0).max())
        g_step = grid_step(max(largest, 1.0)) if model.codes else psum_step  # factors are whole powers of two
        return Analog(
            g=np.ascontiguousarray(to_grid(currents, g_step)),
            unit=np.ascontiguousarray(to_grid(unit, psum_step)),
            correction=np.ascontiguousarray(to_grid(correction, psum_step)) if correction.any() else np.zeros((0, 0)),
            block_of=placed.block_of,
            blocks=placed.blocks,
            polarities_slices=self.groups,
            codes=model.codes,
            noise=self._noise(steps),
            current_grid=g_step,
            gated=model.gated,
            cells=np.ascontiguousarray(self.gather(self.stored())) if model.gated else np.zeros((0, 0)),
            resistances=np.asarray(terminal_ohm(model.resistances, model.terminals), dtype=np.float64),
            lsb=self._sensitivity(steps) if model.gated else np.zeros((0, 0)),
            position_of=placed.position_of,
            array_rows=model.rows,
            array_columns=model.columns,
            polarities=model.polarities,
        )

    def limit(self, analog: Analog) -> float:
        """Largest magnitude of a psum that ``analog`` (made by this layer) can give, in weight units."""
        correction = analog.correction if analog.correction.size else np.zeros((self.rows, self.filters))
        return self._limit(analog.unit, correction, analog.codes)

    def effective_weights(self) -> np.ndarray:
        """Real weights [M, K], K in the order (c, r, s), that the arrays multiply by without converters and noise."""
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
            spread = np.abs(self.code_currents).reshape(self.rows, self.groups, self.filters)
            converted = (spread * np.abs(unit[self.placed.block_of]).reshape(spread.shape)).sum(axis=(0, 1))
        return float((converted + np.abs(correction).sum(axis=0)).max() * scale)

    def _noise(self, steps: np.ndarray) -> np.ndarray:
        """[K, Q] variance of a read's noise per active row, in squared ADC steps; on its grid."""
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
        blocks=placed.blocks, polarities_slices=groups, codes=model.codes, noise=none, current_grid=1.0, gated=False,
        cells=none, resistances=np.zeros(4), lsb=none, position_of=placed.position_of, array_rows=model.rows,
        array_columns=model.columns, polarities=model.polarities,
    )  # fmt: skip


def _part(value: Any) -> bytes | str:
    return value if isinstance(value, bytes) else repr(value)
