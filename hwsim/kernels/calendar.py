"""A calendar of events for kernels: what happens at which tick, as a heap over (tick, order)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.compiled import inner, small

TICK, ORDER, KIND, CORE, VALUE = range(5)
"""Columns of ``Calendar.event``. ``ORDER``: what is smaller comes first in a tick."""


class Calendar(NamedTuple):
    """Events to come."""

    event: np.ndarray
    """int64 [*, 5]: a heap."""
    number: np.ndarray
    """int64 [2]: events in it; events that it ever had."""


def new_calendar(room: int) -> Calendar:
    """An empty one with room for so many events at a time."""
    return Calendar(np.zeros((room, 5), dtype=np.int64), np.zeros(2, dtype=np.int64))


@small
def _earlier(one, other):  # type: ignore[no-untyped-def]
    return one[TICK] < other[TICK] or (one[TICK] == other[TICK] and one[ORDER] < other[ORDER])


@small
def _swap(event, one, other):  # type: ignore[no-untyped-def]
    for column in range(5):
        event[one, column], event[other, column] = event[other, column], event[one, column]


@inner
def schedule(calendar: Calendar, tick: int, order: int, kind: int, core: int, value: int) -> None:
    """Put an event in. There must be room for it."""
    event, at = calendar.event, calendar.number[0]
    row = event[at]
    row[TICK], row[ORDER], row[KIND], row[CORE], row[VALUE] = tick, order, kind, core, value
    calendar.number[0] += 1
    calendar.number[1] += 1
    while at > 0 and _earlier(event[at], event[(at - 1) >> 1]):
        _swap(event, at, (at - 1) >> 1)
        at = (at - 1) >> 1


@inner
def drop_first(calendar: Calendar) -> None:
    """Take the first event (``event[0]``, to be read before) out."""
    event = calendar.event
    calendar.number[0] -= 1
    size, at = calendar.number[0], 0
    for column in range(5):
        event[0, column] = event[size, column]
    while True:
        below = 2 * at + 1
        if below >= size:
            return
        if below + 1 < size and _earlier(event[below + 1], event[below]):
            below += 1
        if not _earlier(event[below], event[at]):
            return
        _swap(event, at, below)
        at = below
