"""Lets samples in, timestep by timestep, and decides when a sample is done."""

from __future__ import annotations

import math
from collections.abc import Callable

from hwsim.components.memory import Process
from hwsim.machines.crossbar.chip import Chip, Row
from hwsim.machines.crossbar.feeder import Ready, Stop, feed_port, tile_port
from hwsim.machines.crossbar.globals import Made
from hwsim.workload.model import INPUT

Decision = Callable[[int], bool]
"""Given the timesteps done, whether the sample stops there."""


class Controller:
    """Hands rows that nothing on the chip makes (the image) to the operations that need them; waits for the output.

    Timesteps enter at once where all may overlap; else the next one enters when the last layer has finished the one
    before, and, where early exits wait, when the decision has fallen.
    """

    def __init__(self, chip: Chip, decide: Decision | None, classes: int) -> None:
        self.chip, self.decide, self.classes, self.path = chip, decide, classes, "controller"
        self.port = chip.board.port(self.path)
        self.answer = chip.board.port("sequencer.exit")
        self.entered = 0
        self.stopped: int | None = None
        self.decided_tick = 0
        self.rows: dict[tuple[str, int], int] = {}
        early = chip.machine.options["early_exit"]
        self.speculates = early is None or decide is None or early["pipeline"] == "speculate"

    @property
    def together(self) -> bool:
        """Whether timesteps enter without waiting for each other."""
        return self.chip.machine.overlap == "all" and self.speculates

    def serve(self) -> Process:
        """Let timesteps in; take finished rows; decide; stop."""
        self._enter(self.chip.timesteps if self.together else 1)
        while True:
            made: Made = yield self.port.next()
            finished = self._finishes(made)
            if made.edge in self.chip.flow.after and self.rows[made.edge, made.row.t] == self.chip.flow.rows(made.edge):
                self._hand_in(self.chip.flow.after[made.edge], made.row.t)
            if not finished:
                continue
            t = made.row.t
            if self.stopped is not None:
                continue
            if self.decide is not None and (t + 1) % self._block == 0 and t + 1 < self.chip.timesteps:
                self.chip.board.send(self.path, "entropy", (self.decide, t + 1))
                stop = yield self.answer.next()
                self.chip.touch(made.edge)
                if stop:
                    self._stop(t + 1)
                    continue
            self._enter(t + 2)

    @property
    def _block(self) -> int:
        rule = self.chip.machine.exit_rule
        return rule.block if rule is not None else 1

    def _finishes(self, made: Made) -> bool:
        """Whether a row completes a timestep of all last layers."""
        flow, t = self.chip.flow, made.row.t
        self.rows[made.edge, t] = self.rows.get((made.edge, t), 0) + 1
        last = list(flow.placed)[-1]
        return made.edge == last and self.rows[last, t] == flow.rows(last)

    def _stop(self, t: int) -> None:
        self.stopped, self.decided_tick = t, self.chip.env.tick
        for placed in self.chip.flow.placed.values():
            self.chip.board.send(self.path, feed_port(placed), Stop(t))
            for number in range(max(1, len(placed.tiles))):
                self.chip.board.send(self.path, tile_port(placed, number), Stop(t))

    def _enter(self, upto: int) -> None:
        """Timesteps before ``upto`` may enter."""
        flow = self.chip.flow
        for t in range(self.entered, min(upto, self.chip.timesteps)):
            for edge in flow.given():
                if edge not in flow.after.values():
                    self._hand_in(edge, t)
            self.entered = t + 1

    def _hand_in(self, edge: str, t: int) -> None:
        chip, flow = self.chip, self.chip.flow
        first = next(iter(flow.readers.get(edge, [])), None)
        if first is None:  # an operation without weights takes it, such as the short way round some layers
            bits = max(1, flow.workload.edge(edge).bits) * math.prod(flow.shapes[edge])
            constant = edge == INPUT and flow.workload.input.encoding == "direct"
        else:
            bits = first.planes * first.geometry.C * first.geometry.W * first.geometry.H
            constant = chip.data[first.name].inputs.constant(first.name)
        if t == 0 or not constant:
            line = int(chip.machine.parameter("global_buffer", "line"))
            chip.count(None if first is None else first.name, t, "global_buffer", "write", -(-bits // line))
        for y in range(flow.rows(edge)):
            chip.board.send(self.path, "input", Made(edge, Row(t, y)))


class Inlet:
    """Passes rows that were there from the start to the feeders and to operations without weights."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "input"
        self.port = chip.board.port(self.path)

    def serve(self) -> Process:
        """Hand rows on as they come."""
        while True:
            made: Made = yield self.port.next()
            for placed in self.chip.flow.readers.get(made.edge, []):
                self.chip.board.send(self.path, feed_port(placed), Ready(made.row))
            if self.chip.flow.takers.get(made.edge):
                self.chip.board.send(self.path, "pool", made)
