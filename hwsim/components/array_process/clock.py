"""The array's clock and its registers. Everything inside a tile call moves by them.

A cycle has three phases, which are three ticks of simulated time: EXECUTE (PEs, LIF units and ports work), CONTROL
(the sequencer looks at what happened and decides) and FEED (feeders set the edge registers for the next cycle). What is
written in one phase is read in a later one, or through a ``Register`` in the next cycle; so the order of processes
within a phase cannot matter.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]

CONTROL, FEED, EXECUTE = range(3)
PHASES = 3


class Clock:
    """Ticks all processes. ``cycle`` is the one whose EXECUTE phase came last; it starts at -1, before cycle 0."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.cycle = -1
        self._next = [env.event() for _ in range(PHASES)]

    def phase(self, which: int) -> simpy.Event:
        """The next occurrence of a phase."""
        return self._next[which]

    def run(self) -> Process:
        """Fire the phases one after the other, for ever."""
        while True:
            for which in range(PHASES):
                if which == EXECUTE:
                    self.cycle += 1
                fired, self._next[which] = self._next[which], self.env.event()
                fired.succeed()
                yield self.env.timeout(1)


class Register:
    """A pipeline register: what is put in cycle c is there in cycle c + 1, and only then."""

    __slots__ = ("_cycle", "_value")

    def __init__(self) -> None:
        self._value: list[Any] = [None, None]
        self._cycle = [-1, -1]

    def put(self, cycle: int, value: Any) -> None:
        """Set the value for the cycle after ``cycle``."""
        place = (cycle + 1) & 1
        assert self._cycle[place] != cycle + 1, "a register was written twice in one cycle"
        self._value[place] = value
        self._cycle[place] = cycle + 1

    def get(self, cycle: int) -> Any:
        """The value in ``cycle``, None where nothing was put."""
        place = cycle & 1
        return self._value[place] if self._cycle[place] == cycle else None
