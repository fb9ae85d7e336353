"""Ports: the only way in which components meet (deliveries first, then processes; their order is fixed).

A message sent at tick t is seen at t + latency, latency >= 1. All messages that arrive in one tick are delivered
before any process of that tick runs, ordered by (port, sender, sequence). So nothing that a process does in a tick can
be seen by another one in the same tick, and the order in which processes start cannot matter.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import simpy
from simpy.events import NORMAL, URGENT, Event


class Environment(simpy.Environment):
    """SimPy's environment, which also counts its events: their number is what a simulation costs."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduled = 0

    @property
    def tick(self) -> int:
        """Now. Time is an integer."""
        return int(self.now)

    def schedule(self, event: Event, priority: Any = NORMAL, delay: Any = 0) -> None:
        """See SimPy."""
        self.scheduled += 1
        super().schedule(event, priority, delay)


class Port:
    """A queue of delivered messages with one reader. ``yield port.next()`` gives the oldest one."""

    def __init__(self, env: Environment, name: str) -> None:
        self.env = env
        self.name = name
        self._queue: deque[Any] = deque()
        self._waiting: Event | None = None

    def next(self) -> Event:
        """An event that carries the oldest undelivered message; fires at once if one is there."""
        assert self._waiting is None, f"two readers on port {self.name}"
        event = Event(self.env)
        if self._queue:
            event.succeed(self._queue.popleft())
        else:
            self._waiting = event
        return event

    def _deliver(self, message: Any) -> None:
        if self._waiting is None:
            self._queue.append(message)
        else:
            waiting, self._waiting = self._waiting, None
            waiting.succeed(message)

    def __len__(self) -> int:
        return len(self._queue)


class Switchboard:
    """Carries every message of a simulation; the one place that decides the order of deliveries."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.ports: dict[str, Port] = {}
        self._sequence = 0
        self._calendar: dict[int, list[tuple[str, str, int, Any]]] = {}

    def port(self, name: str) -> Port:
        """The port of that name, made on first use."""
        if name not in self.ports:
            self.ports[name] = Port(self.env, name)
        return self.ports[name]

    def send(self, sender: str, port: str, message: Any, latency: int = 1) -> None:
        """Send a message; it is seen ``latency`` >= 1 ticks later."""
        assert latency >= 1, f"{sender} -> {port}: a message takes at least one tick"
        tick = self.env.tick + latency
        self._sequence += 1
        entry = (port, sender, self._sequence, message)
        if tick in self._calendar:
            self._calendar[tick].append(entry)
            return
        self._calendar[tick] = [entry]
        event = Event(self.env)
        event._ok, event._value = True, tick
        assert event.callbacks is not None
        event.callbacks.append(self._deliver)
        self.env.schedule(event, priority=URGENT, delay=latency)

    def _deliver(self, event: Event) -> None:
        for port, _, _, message in sorted(self._calendar.pop(event._value), key=lambda entry: entry[:3]):
            self.port(port)._deliver(message)
