"""Processing elements. Each is a process that reads its registers once per cycle and writes those of its neighbours."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from hwsim.components.array_process.clock import CONTROL, EXECUTE, Clock, Process, Register
from hwsim.components.array_process.folds import Fold, Slot
from hwsim.components.array_process.operands import Operands


class RowToken(NamedTuple):
    """What enters a row at the left and moves right. ``used``: the row has work in this fold."""

    fold: Fold
    slot: Slot | None
    end: bool
    used: bool
    data: Any
    """Output stationary: [(position in k, values of the pass)] for the spike spad. Else: the operand of the slot."""
    late: Any = ()
    """Words that are stored after the slot."""


class ColumnToken(NamedTuple):
    """What enters a column at the top and moves down: words for the spads, or the operand that a row will hold."""

    fold: Fold
    row: int
    """Destination (stationary operands)."""
    used: bool
    data: Any
    late: Any = ()


class Pe:
    """What both kinds of PE have: place, registers and counters."""

    def __init__(self, clock: Clock, operands: Operands, row: int, column: int) -> None:
        self.clock, self.operands, self.row, self.column = clock, operands, row, column
        self.work, self.config = operands.work, operands.config
        self.left, self.right, self.top, self.below = (Register() for _ in range(4))
        self.counts: Counter[str] = Counter()
        self.busy = 0
        self.operations: Counter[int] = Counter()
        """Synaptic operations by timestep of the call."""
        self.charged: Counter[int] = Counter()
        """Pairs for which the adder was clocked, by timestep of the call."""
        self.ended = -1
        """Index of the last fold whose end passed through here."""

    def run(self) -> Process:
        """Work for ever."""
        while True:
            yield self.clock.phase(EXECUTE)
            self.step(self.clock.cycle)

    def step(self, cycle: int) -> None:
        """One cycle."""
        raise AssertionError("a PE has a dataflow")

    def charge(self, bit: int, weight: Any, t: int) -> bool:
        """Count one pair of input and weight; whether the adder is clocked for it."""
        self.busy += 1
        if bit:
            self.operations[t] += 1
        if bit == 0 and self.config.zero_spikes != "ignored":
            return False
        if weight == 0 and self.config.zero_weights != "ignored":
            return False
        self.counts["multiplies" if self.config.mac else "accumulates"] += 1
        self.charged[t] += 1
        return True


class OutputStationaryPe(Pe):
    """Holds one output's sums: an accumulator, a psum spad word per timestep of the pass, and a slice of operands."""

    def __init__(self, clock: Clock, operands: Operands, row: int, column: int) -> None:
        super().__init__(clock, operands, row, column)
        self.spikes: dict[int, tuple[int, ...]] = {}
        self.weights: dict[int, Any] = {}
        self.psums: dict[int, Any] = {}
        self.accumulator: Any = 0
        self.visiting: tuple[int, int] | None = None
        self.finished: dict[int, dict[int, Any]] = {}
        """Sums by fold and timestep of the pass, for the column bus."""

    def step(self, cycle: int) -> None:
        """Take what is in the input registers, compute, and pass it on."""
        row = self.left.get(cycle)
        if row is None:
            return
        column = self.top.get(cycle)
        assert column is not None and column.fold is row.fold, "operands of different folds met"
        self.right.put(cycle, row)
        self.below.put(cycle, column)
        if row.used and column.used:
            self._store(row.data, column.data)
            if row.slot is not None:
                self._compute(row.fold, *row.slot)
            self._store(row.late, column.late)
            if row.end:
                self._finish(row.fold)
        if row.end:
            self.ended = row.fold.index

    def _store(self, words: list[tuple[int, tuple[int, ...]]], weights: list[tuple[int, Any]]) -> None:
        """Words that arrive replace those of the slice before; the spads never hold more than one slice."""
        slice_length = self.config.spad_slice
        for at, values in words:
            self.spikes[at % slice_length] = values
            self.counts["spike_spad_writes"] += 1
        for at, weight in weights:
            self.weights[at % slice_length] = weight
            self.counts["weight_spad_writes"] += 1

    def _compute(self, fold: Fold, at: int, t: int, plane: int) -> None:
        self._visit(fold, at // self.config.spad_slice, t)
        place = at % self.config.spad_slice
        bit = self.operands.bit(self.spikes[place][t], plane)
        self.counts["spike_spad_reads"] += 1
        self.counts["shifts"] += plane > 0
        weight = self.weights[place]
        if self.charge(bit, weight, fold.t0 + t):
            self.counts["weight_spad_reads"] += 1
            self.accumulator += bit * weight * self.operands.plane_weight(plane)

    def _visit(self, fold: Fold, part: int, t: int) -> None:
        """Bring the psum of timestep t into the accumulator if that of another visit is there."""
        if self.visiting == (part, t):
            return
        self._leave(fold)
        self.visiting = (part, t)
        self.accumulator = self.psums.get(t, 0)
        self.counts["psum_spad_reads"] += fold.summed > 1

    def _leave(self, fold: Fold) -> None:
        if self.visiting is not None:
            self.psums[self.visiting[1]] = self.accumulator
            self.counts["psum_spad_writes"] += fold.summed > 1

    def _finish(self, fold: Fold) -> None:
        self._leave(fold)
        if self.work.hold_current:
            if fold.number == 0:
                self.accumulator = self.psums.get(0, 0)  # and stays for the passes that follow
            self.psums = dict.fromkeys(range(fold.timesteps), self.accumulator)
        self.finished[fold.index], self.psums, self.visiting = self.psums, {}, None


class Held(NamedTuple):
    """A stationary operand in a PE: the weight (shifted by its plane), or the bits of one element."""

    fold: Fold
    data: Any


class StationaryPe(Pe):
    """Holds a weight or the bits of an input; the other operand streams from the left, sums move down."""

    def __init__(self, clock: Clock, operands: Operands, row: int, column: int) -> None:
        super().__init__(clock, operands, row, column)
        self.weight_held = operands.work.stationary == "weight"
        self.sum_in, self.sum_out = Register(), Register()
        self.held: Held | None = None
        self.shadow: Held | None = None

    def step(self, cycle: int) -> None:
        """Take what is in the input registers, compute, and pass it on."""
        row = self.left.get(cycle)
        if row is not None:
            self._stream(cycle, row)
        column = self.top.get(cycle)
        if column is not None:
            self.below.put(cycle, column)
            if column.row == self.row:
                self._latch(column)

    def _latch(self, column: ColumnToken) -> None:
        """Keep the operand for the fold that follows; its shift is set once."""
        self.shadow = Held(column.fold, column.data)
        if column.used:
            self.counts["weight_spad_writes" if self.weight_held else "spike_spad_writes"] += 1
            self.counts["shifts"] += column.fold.elements[self.row][0] > 0

    def _stream(self, cycle: int, row: RowToken) -> None:
        if row.slot is not None and (self.held is None or self.held.fold is not row.fold):
            self.held = self.shadow
            assert self.held is not None and self.held.fold is row.fold, "the operand of the fold is not here"
        self.right.put(cycle, row)
        total = self.sum_in.get(cycle)
        if self.row > 0:
            assert total is not None and total[:2] == (row.fold, row.slot), "a sum met the wrong slot"
        partial = 0 if total is None else total[2]
        if row.slot is not None and row.used and self.column < row.fold.columns:
            partial = partial + self._multiply(row)
        self.sum_out.put(cycle, (row.fold, row.slot, partial))
        if row.end:
            self.ended = row.fold.index

    def _multiply(self, row: RowToken) -> Any:
        assert row.slot is not None and self.held is not None
        t = row.slot[1]
        plane = row.fold.elements[self.row][0]
        if self.weight_held:
            bit, weight = row.data, self.held.data
        else:
            bit, weight = self.held.data[t], row.data
            self.counts["spike_spad_reads"] += 1
        if not self.charge(bit, weight, row.fold.t0 + t):
            return 0
        self.counts["weight_spad_reads"] += self.weight_held
        return bit * weight * self.operands.plane_weight(plane)


class Accumulators:
    """The accumulators below the columns: add what leaves the array to the sums in the output buffer."""

    def __init__(self, clock: Clock, operands: Operands, bottom: list[StationaryPe]) -> None:
        self.clock, self.operands, self.bottom = clock, operands, bottom
        self.sums: defaultdict[tuple[int, int, int], Any] = defaultdict(int)
        """Sums by (timestep, pixel, filter)."""

    def run(self) -> Process:
        """Take the sums that the lowest PEs made in this cycle."""
        weight_held = self.operands.work.stationary == "weight"
        while True:
            yield self.clock.phase(CONTROL)
            for column, pe in enumerate(self.bottom):
                leaving = pe.sum_out.get(self.clock.cycle + 1)
                if leaving is None or leaving[1] is None or column >= leaving[0].columns:
                    continue
                fold, (at, t, _), value = leaving
                pixel = fold.pixels[at] if weight_held else fold.pixels[column]
                m = fold.filters[column] if weight_held else fold.filters[at]
                self.sums[fold.t0 + t, pixel, m] += value
