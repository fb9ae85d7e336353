"""Feeders at the edges of the array: they turn what the sequencer issues into tokens, delayed so that operands meet."""

from __future__ import annotations

from collections import deque
from typing import Any

from hwsim.components.array_process.clock import FEED, Clock, Process, Register
from hwsim.components.array_process.folds import Fold, Issue
from hwsim.components.array_process.operands import Operands
from hwsim.components.array_process.pe import ColumnToken, RowToken


class Command:
    """What the sequencer orders for the next cycle: a step of the stream, and a row of a stationary operand to load."""

    def __init__(self) -> None:
        self.stream: tuple[Fold, Issue] | None = None
        self.load: tuple[Fold, int] | None = None


class Feeder:
    """One edge of the array: ``index`` cycles of delay in front of the register of its row or column."""

    def __init__(self, clock: Clock, operands: Operands, command: Command, index: int, edge: Register) -> None:
        self.clock, self.operands, self.command, self.index, self.edge = clock, operands, command, index, edge
        self._delay: deque[Any] = deque([None] * index)

    def run(self) -> Process:
        """Feed for ever."""
        while True:
            yield self.clock.phase(FEED)
            self._delay.append(self.token())
            token = self._delay.popleft()
            if token is not None:
                self.edge.put(self.clock.cycle, token)

    def token(self) -> Any:
        """What this edge takes of the command, or None."""
        raise AssertionError("an edge has a direction")

    def read(self, fold: Fold, t: int, k: int, pixel: int) -> int:
        """An input value; it must lie in a word that the fold has fetched, or in the padding."""
        word = self.operands.word_address(k, pixel)
        assert word is None or word in fold.words, "an input was used that no line access brought"
        return self.operands.value(fold.t0 + t, k, pixel)

    def bits(self, fold: Fold, element: tuple[int, int], pixel: int) -> tuple[int, ...]:
        """The bits of one (plane, k) element for all timesteps of the pass."""
        plane, k = element
        return tuple(self.operands.bit(self.read(fold, t, k, pixel), plane) for t in range(fold.timesteps))


class RowFeeder(Feeder):
    """The left edge of a row."""

    def token(self) -> RowToken | None:
        """Output stationary: words of the row's pixel. Else: the operand that the row's element takes in this slot."""
        if self.command.stream is None:
            return None
        fold, issue = self.command.stream
        used = self.index < fold.rows
        data: Any = None
        if self.operands.work.stationary == "output":
            words, late = (
                [(at, self._word(fold, at)) for at in part] if used else [] for part in (issue.loads, issue.late)
            )
            return RowToken(fold, issue.slot, issue.end, used, words, late)
        if used and issue.slot is not None and not fold.vanished:
            at, t, _ = issue.slot
            plane, k = fold.elements[self.index]
            if self.operands.work.stationary == "weight":
                data = self.operands.bit(self.read(fold, t, k, fold.pixels[at]), plane)
            else:
                data = self.operands.weight(fold.filters[at], k)
        return RowToken(fold, issue.slot, issue.end, used, data)

    def _word(self, fold: Fold, at: int) -> tuple[int, ...]:
        k = fold.elements[at][1]
        return tuple(self.read(fold, t, k, fold.pixels[self.index]) for t in range(fold.timesteps))


class ColumnFeeder(Feeder):
    """The top edge of a column."""

    def token(self) -> ColumnToken | None:
        """Output stationary: the weights of the column's filter. Else: what a PE of this column will hold."""
        if self.operands.work.stationary == "output":
            if self.command.stream is None:
                return None
            fold, issue = self.command.stream
            used = self.index < fold.columns
            m = fold.filters[self.index] if used else 0
            words, late = ([(at, self.operands.weight(m, fold.elements[at][1])) for at in part] if used else []
                           for part in (issue.loads, issue.late))  # fmt: skip
            return ColumnToken(fold, 0, used, words, late)
        if self.command.load is None:
            return None
        fold, row = self.command.load
        used = row < fold.rows and self.index < fold.columns
        return ColumnToken(fold, row, used, self._held(fold, row) if used else None)

    def _held(self, fold: Fold, row: int) -> Any:
        if self.operands.work.stationary == "weight":
            return self.operands.weight(fold.filters[self.index], fold.elements[row][1])
        return self.bits(fold, fold.elements[row], fold.pixels[self.index])
