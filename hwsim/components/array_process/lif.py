"""LIF units: n channels take turns in each timestep on one unit, one update per cycle, beside the array's next fold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hwsim.components.array_process.clock import EXECUTE, Clock, Process
from hwsim.components.array_process.folds import Fold
from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileState, TileWork
from hwsim.network.neuron import lif_step

SumOf = Callable[[Fold, int, int, int], Any]
"""(fold, timestep of the call, pixel, filter) -> finished sum."""


class Turn(NamedTuple):
    """One cycle of a unit: channel ``turn`` of a group, at one timestep and pixel."""

    fold: Fold
    t: int
    pixel: int
    group: int
    turn: int


class LifUnit:
    """One unit. ``backlog``: cycles of work of an earlier call that it has to end first."""

    def __init__(self, clock: Clock, bank: LifBank, backlog: int) -> None:
        self.clock, self.bank, self.backlog = clock, bank, backlog
        self.jobs: deque[tuple[int, deque[Turn]]] = deque()
        self.updates = 0

    def free_at(self) -> int:
        """The first cycle in which this unit has nothing to do."""
        if self.jobs:
            return self.jobs[-1][0] + len(self.jobs[-1][1]) if self.jobs[-1][0] > self.clock.cycle else self._left()
        return self.clock.cycle + 1 + self.backlog

    def _left(self) -> int:
        return self.clock.cycle + 1 + len(self.jobs[-1][1])

    def run(self) -> Process:
        """Work for ever, one turn per cycle."""
        while True:
            yield self.clock.phase(EXECUTE)
            if self.backlog:
                self.backlog -= 1
            elif self.jobs and self.jobs[0][0] <= self.clock.cycle:
                turns = self.jobs[0][1]
                turn = turns.popleft()
                self.updates += self.bank.take(turn)
                if not turns:
                    self.jobs.popleft()
                    self.bank.finished(turn.fold, self.clock.cycle + 1)


class LifBank:
    """All units with their membranes; hands out the work of finished folds and collects spikes and emission cycles."""

    def __init__(self, clock: Clock, work: TileWork, config: ArrayConfig, neuron: TileNeuron | None, state: TileState,
                 sum_of: SumOf) -> None:  # fmt: skip
        self.clock, self.work, self.config, self.neuron, self.sum_of = clock, work, config, neuron, sum_of
        self.share = config.lif_sharing
        count = -(-config.rows * config.columns // self.share)
        self.units = [LifUnit(clock, self, state.lif_backlog) for _ in range(count)]
        self.emissions: dict[int, int] = {}
        filters, pixels = work.m1 - work.m0, work.p1 - work.p0
        self.fires: np.ndarray | None = None
        self.membranes: np.ndarray | None = None
        if neuron is not None and work.spiking:
            binary = neuron.lif.max_spikes == 1 and not neuron.lif.signed
            self.fires = np.zeros((work.timesteps, pixels, filters), dtype=np.uint8 if binary else np.int32)
            entry = np.full((pixels, -(-filters // self.share)), neuron.start)
            self.membranes = entry if state.membrane is None else np.array(state.membrane, dtype=np.float64)

    def free_at(self) -> int:
        """The first cycle in which all units are free."""
        return max(unit.free_at() for unit in self.units)

    def hand_over(self, fold: Fold, start: int) -> None:
        """Give the sums of a fold to the units; they begin in cycle ``start``."""
        jobs: dict[int, deque[Turn]] = {}
        for unit, pixel, group in self._pairs(fold):
            turns = jobs.setdefault(unit, deque())
            for t in range(fold.t0, fold.t0 + fold.timesteps):
                turns.extend(Turn(fold, t, pixel, group, turn) for turn in range(self.share))
        for unit, turns in jobs.items():
            self.units[unit].jobs.append((start, turns))

    def _pairs(self, fold: Fold) -> list[tuple[int, int, int]]:
        """(unit, pixel, group of channels) of all sums.

        Output stationary: a unit serves one row of n columns. Weight stationary: n columns share Ra units, pixels in
        turn. Input stationary: a column has Ra / n units, groups in turn.
        """
        first = self.work.m0 // self.share
        groups = sorted({m // self.share - first for m in fold.filters})
        rows, base = self.config.rows, fold.filters[0] // self.share - first
        if self.work.stationary == "input":
            each = rows // self.share
            return [(column * each + at % each, pixel, group)
                    for column, pixel in enumerate(fold.pixels) for at, group in enumerate(groups)]  # fmt: skip
        return [((group - base) * rows + at % rows, pixel, group)
                for group in groups for at, pixel in enumerate(fold.pixels)]  # fmt: skip

    def take(self, turn: Turn) -> int:
        """Do one turn; the group's spikes exist after its last turn. Returns 1 if the turn had a channel."""
        first = self.work.m0 + turn.group * self.share
        if turn.turn == self.share - 1 and self.neuron is not None:
            self._fire(turn, first, min(first + self.share, self.work.m1))
        return int(first + turn.turn < self.work.m1)

    def _fire(self, turn: Turn, m0: int, m1: int) -> None:
        assert self.neuron is not None and self.fires is not None and self.membranes is not None
        neuron, a, b = self.neuron, m0 - self.work.m0, m1 - self.work.m0
        row = np.array([self.sum_of(turn.fold, turn.t, turn.pixel, m) for m in range(m0, m1)], dtype=np.float64)
        at = turn.pixel - self.work.p0
        scale, offset, threshold = (part[min(turn.t, len(part) - 1), a:b]
                                    for part in (neuron.scale, neuron.offset, neuron.threshold))  # fmt: skip
        lif_step(row, self.membranes[at, turn.group : turn.group + 1], self.fires[turn.t, at, a:b], scale, offset,
                 threshold, neuron.lif)  # fmt: skip

    def finished(self, fold: Fold, cycle: int) -> None:
        """A unit has ended its part of a fold; the fold's outputs exist when the last one has."""
        self.emissions[fold.index] = max(self.emissions.get(fold.index, 0), cycle)
