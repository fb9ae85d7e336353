"""The parts of a PE: row drivers, arrays, ADCs with their mux. A part counts what it does when it does it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from hwsim.components.analog_process.vectors import Vector
from hwsim.components.analog_process.wiring import BACKLOG, Bench, Code, Currents, Empty, Process, Voltage
from hwsim.grid import to_grid
from hwsim.kernels.analog_solved import block_currents
from hwsim.kernels.gaussian import plain_gaussians


class RowDriver:
    """Drives one row of one array with its bit of vector after vector; all drivers of a PE go in step.

    The drivers of an array's first row stand for its input register too: in the first slice they fetch the block's
    input lines and look whether it has active rows; that of the first block tells the combiner of empty pixels.
    """

    def __init__(self, bench: Bench, block: int, slice_: int, row: int) -> None:
        self.bench, self.block, self.row = bench, block, row
        self.path = f"driver.{block:06d}.{slice_:02d}.{row:06d}"
        self.array = array_path(block, slice_)
        self.registers = slice_ == 0 and row == 0
        self.leads = self.registers and block == bench.vectors.blocks[0]
        self.k = bench.vectors.rows[block][row]
        self.counts: Counter[str] = Counter()
        self.busy = self.stall = self.end = 0

    def run(self) -> Process:
        """All vectors of the call."""
        for vector in self.bench.vectors.all:
            if self.registers:
                self._look_at(vector)
            if vector.reading:
                yield from self._read(vector)
            else:
                if self.leads and self.bench.vectors.closing[vector.pixel] == vector.index:
                    self.bench.board.send(self.path, "combiner", Empty(vector.pixel))
                self.busy += 1
                yield self.bench.env.timeout(1)
        self.end = self.bench.env.tick

    def _look_at(self, vector: Vector) -> None:
        if vector.plane == 0:
            self.counts["input_lines"] += self.bench.vectors.lines(self.block, vector.pixel)
        self.counts["detect"] += self.bench.config.zero_vectors == "skipped"

    def _read(self, vector: Vector) -> Process:
        bench = self.bench
        start, config = bench.env.tick, bench.config
        if self.block in vector.reading:
            on = self.k in vector.active[self.block]
            self.counts["drive"] += on
            bench.board.send(self.path, self.array, Voltage(vector.index, self.row, on), config.drive_ticks)
        arrays = bench.vectors.arrays(vector.index)
        if not config.sample_hold:
            yield bench.released.all_of(vector.index, arrays)
            self.busy += bench.env.tick - start
            return
        yield bench.settled.all_of(vector.index, arrays)
        settled = bench.env.tick
        yield bench.conversions_before(vector.index)
        self.busy += settled - start
        self.stall += bench.env.tick - settled


def array_path(block: int, slice_: int) -> str:
    """Port of the array of a row block and a slice."""
    return f"array.{block:06d}.{slice_:02d}"


class Array:
    """The cells: row voltages become column currents."""

    def __init__(self, bench: Bench, block: int, slice_: int) -> None:
        self.bench, self.block, self.slice = bench, block, slice_
        self.path = array_path(block, slice_)
        self.port = bench.board.port(self.path)
        self.rows = bench.vectors.rows[block]
        filters = range(bench.work.m0, bench.work.m1)
        pair = range(slice_ * bench.analog.polarities, (slice_ + 1) * bench.analog.polarities)
        self.columns = [group * bench.analog.filters + m for m in filters for group in pair]
        """Converted column q of each column of the array: a weight's polarities side by side."""
        self.counts: Counter[str] = Counter()

    def run(self) -> Process:
        """Read whenever all rows have their voltage."""
        bench = self.bench
        while True:
            voltages: list[Voltage] = []
            for _ in self.rows:
                voltages.append((yield self.port.next()))
            index = voltages[0].vector
            assert {voltage.vector for voltage in voltages} == {index}, "rows are not in step"
            active = sorted(self.rows[voltage.row] for voltage in voltages if voltage.on)
            self.counts["read"] += 1
            self.counts["read_row"] += len(active)
            if self.slice == 0:
                self.counts["synaptic_operations"] += len(active) * (bench.work.m1 - bench.work.m0)
            if bench.config.sample_hold:
                bench.board.send(self.path, "settled", index, bench.config.read_ticks)
            currents = self._currents(active, bench.vectors.all[index])
            for number in range(min(bench.config.adcs, len(currents))):
                columns = list(enumerate(currents))[number :: bench.config.adcs]
                bench.board.send(self.path, adc_path(self.path, number), Currents(index, columns),
                                 bench.config.read_ticks)  # fmt: skip

    def _currents(self, active: list[int], vector: Vector) -> list[float]:
        """Current of each column in LSB."""
        analog, work = self.bench.analog, self.bench.work
        if not active:
            return [0.0] * len(self.columns)
        if analog.solve is not None:
            every = block_currents(analog, np.array(active), self.block, work.m0, work.m1)
            own = every.reshape(analog.slices, analog.polarities, -1)[self.slice]
            currents = own.T.reshape(-1).tolist()
        elif analog.g.size:
            currents = [sum(float(analog.g[k, q]) for k in active) for q in self.columns]
        else:
            currents = [0.0] * len(self.columns)
        return currents if not analog.noise.size else self._noisy(currents, active, vector)

    def _noisy(self, currents: list[float], active: list[int], vector: Vector) -> list[float]:
        analog, work = self.bench.analog, self.bench.work
        read = (work.p0 + vector.pixel) * analog.blocks + self.block
        index = read * analog.unit.shape[1] + np.array(self.columns)
        draws = plain_gaussians(work.keys[vector.plane], index).tolist()
        noisy = []
        for q, current, draw in zip(self.columns, currents, draws, strict=True):
            variance = sum(float(analog.noise[k, q]) for k in active)
            noisy.append(float(to_grid(current + math.sqrt(variance) * draw, analog.current_grid)))
        return noisy


def adc_path(array: str, number: int) -> str:
    """Port of an array's ADC."""
    return f"adc.{array}.{number:03d}"


class Adc:
    """One ADC and the mux that hands it column after column; the first ADC of an array never has fewer than others."""

    def __init__(self, bench: Bench, array: Array, number: int) -> None:
        self.bench, self.array, self.number = bench, array, number
        self.path = adc_path(array.path, number)
        self.port = bench.board.port(self.path)
        self.counts: Counter[str] = Counter()
        self.spans: dict[int, tuple[int, int]] = {}
        """Vector -> first and last tick of its conversions."""
        self.free = 0

    def run(self) -> Process:
        """Convert what comes."""
        bench = self.bench
        if bench.backlog:
            self._release(BACKLOG, bench.backlog)
            self.free = bench.backlog
            yield bench.env.timeout(bench.backlog)
        while True:
            currents = yield self.port.next()
            if bench.config.sample_hold:
                yield bench.conversions_before(currents.vector)
            start = bench.env.tick
            yield from self._convert(currents)
            self.spans[currents.vector] = (start, bench.env.tick)
            self.free = bench.env.tick

    def _release(self, vector: int, ticks: int) -> None:
        """Say when the conversions of a vector are over; the ADC with most columns speaks for its array."""
        if self.number == 0:
            self.bench.board.send(self.path, "released", vector, ticks)

    def _convert(self, currents: Currents) -> Process:
        step = self.bench.config.step_ticks
        for done, (column, current) in enumerate(currents.columns, start=1):
            self.counts["select"] += 1
            code = Code(currents.vector, self.array.block, self.array.slice, column, self._code(current))
            self.bench.board.send(self.path, "combiner", code, step)
            if done == len(currents.columns):
                self._release(currents.vector, step)
            yield self.bench.env.timeout(step)

    def _code(self, current: float) -> float:
        """The nearest code, half to even; without a converter the current on its grid."""
        analog = self.bench.analog
        self.counts["convert"] += 1
        if analog.codes == 0:
            return float(to_grid(current, analog.current_grid))
        level = round(current)
        self.counts["clipped"] += not 0 <= level <= analog.codes
        return float(min(max(level, 0), analog.codes))
