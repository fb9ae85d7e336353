"""The sequencer: issues folds to the feeders and ports, and waits for what is slowest."""

from __future__ import annotations

from collections import deque

from hwsim.components.array_process.clock import CONTROL, Clock, Process
from hwsim.components.array_process.feeder import Command
from hwsim.components.array_process.folds import Fold, Issue
from hwsim.components.array_process.lif import LifBank
from hwsim.components.array_process.line_port import LinePort
from hwsim.components.array_process.pe import Pe
from hwsim.kernels.tile import ArrayConfig, TileWork


class Sequencer:
    """Runs the folds one after the other; ``end`` is the cycle after the last one."""

    def __init__(self, clock: Clock, work: TileWork, config: ArrayConfig, folds: list[Fold], command: Command,
                 ports: dict[str, LinePort], corner: Pe, bank: LifBank) -> None:  # fmt: skip
        self.clock, self.work, self.config, self.folds = clock, work, config, folds
        self.command, self.ports, self.corner, self.bank = command, ports, corner, bank
        self.busy = self.stall_port = self.stall_lif = 0
        self.end = 0
        self.backlog = 0
        self._stream: deque[Issue] = deque()
        self._before: deque[tuple[Fold, int]] = deque()
        self._beside: deque[tuple[Fold, int]] = deque()

    def run(self) -> Process:
        """Run all folds, then wait until the LIF units have ended their work."""
        yield self.clock.phase(CONTROL)
        for fold in self.folds:
            yield from self._run_fold(fold)
        self.command.stream = self.command.load = None
        self.end = self.clock.cycle + 1
        self.backlog = max(0, self.bank.free_at() - self.end)
        while self.bank.free_at() > self.clock.cycle + 1:
            yield self.clock.phase(CONTROL)

    def _run_fold(self, fold: Fold) -> Process:
        """One fold; begins and ends in a CONTROL phase."""
        self._begin(fold)
        array_done, ports_done = self._array_done(fold), False
        while True:
            self._issue(fold)
            yield self.clock.phase(CONTROL)
            if not array_done:
                self.busy += 1
            elif not ports_done:
                self.stall_port += 1
            else:
                self.stall_lif += 1
            array_done = array_done or self._array_done(fold)
            ports_done = all(port.done for port in self.ports.values())
            if array_done and ports_done and self._handed_over(fold):
                return

    def _begin(self, fold: Fold) -> None:
        """Order the fold's lines, and queue what has to be issued."""
        for name, port in self.ports.items():
            port.order(fold.ports[name])
        self._stream.extend(fold.issues)
        if self.work.stationary == "output":
            return
        if not self.config.fold_overlap or fold.index == 0:
            self._before.extend(self._loads(fold))
        if self.config.fold_overlap and not fold.last:
            self._beside.extend(self._loads(self.folds[fold.index + 1]))

    def _loads(self, fold: Fold) -> list[tuple[Fold, int]]:
        """The steps that load a stationary operand: the lowest row's goes in first."""
        return [] if fold.vanished else [(fold, row) for row in reversed(range(self.config.rows))]

    def _issue(self, fold: Fold) -> None:
        """The command for the next cycle."""
        self.command.stream = self.command.load = None
        if self._before:
            self.command.load = self._before.popleft()
            return
        if self._stream:
            self.command.stream = (fold, self._stream.popleft())
        if self._beside:
            self.command.load = self._beside.popleft()

    def _array_done(self, fold: Fold) -> bool:
        """Whether the array may begin the next fold."""
        if self._stream or self._before or self._beside:
            return False
        apart = self.config.fold_overlap and not fold.last
        return not fold.issues or apart or self.corner.ended == fold.index

    def _handed_over(self, fold: Fold) -> bool:
        """Give finished sums to the LIF units if they are free when the last sum has left the array."""
        if not fold.produces:
            return True
        skew = self.config.rows + self.config.columns - 2
        start = self.clock.cycle + 1 + (skew if self.config.fold_overlap and not fold.last else 0)
        if not self.work.spiking:
            self.bank.emissions[fold.index] = start
            return True
        if self.bank.free_at() > start:
            return False
        self.bank.hand_over(fold, start)
        return True
