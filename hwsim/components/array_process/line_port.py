"""A port of a buffer: moves a few lines per cycle beside the array's work."""

from __future__ import annotations

from collections import Counter, deque

from hwsim.components.array_process.clock import EXECUTE, Clock, Process


class LinePort:
    """``width`` lines per cycle. ``order`` gives it lines of a fold; it is done when none are left.

    It moves them in the order in which they were ordered. The operands of one buffer share a port: weights first, then
    inputs, then partial sums and membranes.
    """

    def __init__(self, clock: Clock, width: int) -> None:
        self.clock, self.width = clock, width
        self.counts: Counter[str] = Counter()
        self._waiting: deque[str] = deque()

    @property
    def done(self) -> bool:
        """Whether all lines have been moved."""
        return not self._waiting

    def order(self, lines: Counter[str]) -> None:
        """Take on an operand's lines of the next fold, by what they are counted as."""
        self._waiting.extend(lines.elements())

    def run(self) -> Process:
        """Move lines for ever."""
        while True:
            yield self.clock.phase(EXECUTE)
            for _ in range(min(self.width, len(self._waiting))):
                self.counts[self._waiting.popleft()] += 1
