"""The combiner of a PE, which makes psums of codes, and the register in which they leave in order."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hwsim.components.analog_process.wiring import Bench, Code, Empty, Process


class Combiner:
    """Adds codes as they come (slices, polarities, blocks, planes), and subtracts the correction of a vector's rows."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.path = "combiner"
        self.port = bench.board.port(self.path)
        work, analog = bench.work, bench.analog
        self.psum = np.zeros((work.p1 - work.p0, work.m1 - work.m0))
        self.codes_per_array = (work.m1 - work.m0) * analog.polarities
        self.counts: Counter[str] = Counter()
        self._added: Counter[int] = Counter()

    def run(self) -> Process:
        """Take codes; send a pixel on when it is complete."""
        bench, vectors = self.bench, self.bench.vectors
        while True:
            message = yield self.port.next()
            if isinstance(message, Empty):
                self._complete(message.pixel)
                continue
            self._add(message)
            if self._added[message.vector] < vectors.arrays(message.vector) * self.codes_per_array:
                continue
            vector = bench.vectors.all[message.vector]
            for block in vector.reading:
                self._correct(vector.pixel, 2.0**vector.plane, vector.active[block])
            if vectors.closing[vector.pixel] == vector.index:
                self._complete(vector.pixel)

    def _add(self, message: Code) -> None:
        analog, work = self.bench.analog, self.bench.work
        vector = self.bench.vectors.all[message.vector]
        m, polarity = divmod(message.column, analog.polarities)
        q = (message.slice * analog.polarities + polarity) * analog.filters + work.m0 + m
        value = message.code * analog.unit[message.block, q]
        self.psum[vector.pixel, m] += 2.0**vector.plane * value
        self.counts["add"] += 1
        self._added[message.vector] += 1

    def _correct(self, pixel: int, weight: float, active: list[int]) -> None:
        analog, work = self.bench.analog, self.bench.work
        for m in range(work.m0, work.m1):
            self.counts["subtract"] += work.has_correction
            if analog.correction.size:
                self.psum[pixel, m - work.m0] -= weight * sum(float(analog.correction[k, m]) for k in active)

    def _complete(self, pixel: int) -> None:
        self.bench.board.send(self.path, "output", pixel, self.bench.config.combine_ticks)


class Output:
    """Where psums leave, pixel after pixel; one that is complete before its predecessor waits."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.port = bench.board.port("output")
        self.emissions: list[int] = []
        self._waiting: set[int] = set()

    def run(self) -> Process:
        """Note when each pixel leaves."""
        while True:
            self._waiting.add((yield self.port.next()))
            while len(self.emissions) in self._waiting:
                self._waiting.remove(len(self.emissions))
                self.emissions.append(self.bench.env.tick)
