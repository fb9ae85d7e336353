"""What the parts of a PE share and how they meet: messages at ports, and wires that all of them see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any, NamedTuple

from simpy.events import Event

from hwsim.components.analog_process.vectors import Vectors
from hwsim.components.ports import Environment, Port, Switchboard

Process = Generator[Event, Any, None]

BACKLOG = -1
"""Stands for the vector whose conversions the call before left running."""


class Voltage(NamedTuple):
    """Row ``row`` of an array is driven for a vector, or kept at ground."""

    vector: int
    row: int
    on: bool


class Currents(NamedTuple):
    """Column currents for one ADC: (column, current in LSB), in the order of its mux."""

    vector: int
    columns: list[tuple[int, float]]


class Code(NamedTuple):
    """A converted column."""

    vector: int
    block: int
    slice: int
    column: int
    code: float


class Empty(NamedTuple):
    """A pixel none of whose vectors was read has come to its end."""

    pixel: int


class Wire(Port):
    """A port that everybody sees: what is delivered is counted by vector, not taken away."""

    def __init__(self, env: Environment, name: str) -> None:
        super().__init__(env, name)
        self._seen: Counter[int] = Counter()
        self._watched: dict[int, tuple[int, Event]] = {}

    def all_of(self, vector: int, number: int) -> Event:
        """An event that fires when ``number`` messages for a vector have been delivered."""
        if vector in self._watched:
            return self._watched[vector][1]
        event = Event(self.env)
        if self._seen[vector] >= number:
            return event.succeed()
        self._watched[vector] = (number, event)
        return event

    def _deliver(self, message: Any) -> None:
        self._seen[message] += 1
        if message in self._watched and self._seen[message] >= self._watched[message][0]:
            self._watched.pop(message)[1].succeed()


class Bench:
    """Clock, switchboard and wires of one call.

    settled   array -> row drivers: the column lines of a read have settled (with sample-and-hold)
    released  ADCs -> row drivers and ADCs: the conversions of a vector are over
    """

    def __init__(self, vectors: Vectors, backlog: int) -> None:
        self.vectors, self.work, self.config, self.analog = vectors, vectors.work, vectors.config, vectors.analog
        self.env = Environment()
        self.board = Switchboard(self.env)
        self.settled, self.released = self._wire("settled"), self._wire("released")
        self.backlog = backlog

    def _wire(self, name: str) -> Wire:
        wire = Wire(self.env, name)
        self.board.ports[name] = wire
        return wire

    def conversions_before(self, vector: int) -> Event:
        """Fires when no conversion of an earlier vector is running."""
        if vector in self.vectors.before:
            before = self.vectors.before[vector]
            return self.released.all_of(before, self.vectors.arrays(before))
        arrays = len(self.vectors.blocks) * self.analog.slices
        return self.released.all_of(BACKLOG, arrays if self.backlog else 0)
