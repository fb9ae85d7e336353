"""Hands rows of feature maps from the global buffer to the tiles of a layer, as their buffers have room."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hwsim.components.memory import Process
from hwsim.machines.crossbar.chip import Chip, Row
from hwsim.machines.crossbar.flow import window
from hwsim.machines.crossbar.mapping import Placed, Tile
from hwsim.machines.crossbar.reader import READER, Fetch, Fetched


class Ready(NamedTuple):
    """A row of the layer's input stands in the global buffer."""

    row: Row


class Freed(NamedTuple):
    """Tile number ``tile`` of the layer has done with its input rows before ``upto`` (counted over all timesteps)."""

    tile: int
    upto: int


class Stop(NamedTuple):
    """Rows of timesteps from ``t`` on are not sent any more."""

    t: int


class Sent(NamedTuple):
    """To the keeper of the global buffer: all of the layer's tiles have the rows before ``upto``."""

    layer: str
    upto: int


@dataclass
class Lane:
    """One tile as a feeder sees it: rows [sent, ready) wait, rows [freed, sent) stand in its buffer or come to it.

    A layer declared digital has one lane instead, which ends beside the global buffer and takes every row.
    """

    tile: Tile | None
    port: str
    channels: tuple[int, int]
    rows: int
    """Rows that its buffer holds."""
    wanted: np.ndarray
    """bool [H]: which rows of a map this tile needs (a copy of a layer does not need all)."""
    sent: int = 0
    freed: int = 0
    asked: deque[int] = field(default_factory=deque)
    """Rows that the reader of the global buffer is to send, and has not yet."""

    @property
    def left(self) -> int:
        """Rows before this one have left the global buffer, or are not wanted."""
        return self.asked[0] if self.asked else self.sent

    def held(self, height: int) -> int:
        """Rows in the buffer, or on their way to it."""
        return sum(bool(self.wanted[row % height]) for row in range(self.freed, self.sent))


def tile_port(placed: Placed, number: int) -> str:
    """Port of tile number ``number`` of a layer."""
    return f"tile.{placed.name}.{number:04d}"


def feed_port(placed: Placed) -> str:
    """Port of a layer's feeder."""
    return f"feed.{placed.name}"


class Feeder:
    """Has input rows sent in order (timestep by timestep, top to bottom) to every tile of a layer that needs them."""

    def __init__(self, chip: Chip, placed: Placed) -> None:
        self.chip, self.placed, self.path = chip, placed, feed_port(placed)
        self.height = placed.geometry.H
        self.port = chip.board.port(self.path)
        self.lanes = [self._lane(number, tile) for number, tile in enumerate(placed.tiles)] or [self._beside()]
        noc = chip.machine.architecture.noc
        self.together, self.checked = bool(noc["multicast"]), noc["packets"] == "zero_checked"
        self.flit, self.line = (
            int(chip.machine.parameter(*name)) for name in (("router", "flit"), ("global_buffer", "line"))
        )
        self.ready = 0
        self.limit = chip.timesteps * self.height
        self.told = 0

    def serve(self) -> Process:
        """React to rows that come, rows that have left, and room that is given back."""
        while True:
            message = yield self.port.next()
            if isinstance(message, Stop):
                self.limit = min(self.limit, message.t * self.height)
            elif isinstance(message, Freed):
                self.lanes[message.tile].freed = max(self.lanes[message.tile].freed, message.upto)
            elif isinstance(message, Fetched):
                for number in message.lanes:
                    self.lanes[number].asked.popleft()
            else:
                self._arrive(message.row)
            self._send()

    def waits(self) -> str:
        """For whom a feeder waits that has not sent everything; empty if it has."""
        behind = [lane for lane in self.lanes if lane.sent < min(self.ready, self.limit)]
        if behind:
            return f"{self.path} waits for room in {behind[0].port} (row {behind[0].sent})"
        return f"{self.path} waits for row {self.ready}" if self.ready < self.limit else ""

    def _arrive(self, row: Row) -> None:
        place = row.t * self.height + row.y
        assert place == self.ready, f"{self.path}: row {place} came where {self.ready} was due"
        self.ready += 1

    def _available(self) -> int:
        """Rows that may be sent now: whole maps only where layers do not overlap."""
        ready = self.ready
        if self.chip.machine.overlap == "none":
            ready = ready // self.height * self.height
        return min(ready, self.limit)

    def _send(self) -> None:
        """Ask for all rows that can be sent, row by row; tell the keeper which ones have left for all tiles."""
        available = self._available()
        while numbers := self._can(available):
            rows: dict[int, list[int]] = {}
            for number in numbers:
                lane = self.lanes[number]
                if lane.wanted[lane.sent % self.height]:
                    lane.asked.append(lane.sent)
                    rows.setdefault(lane.sent, []).append(number)
                lane.sent += 1
            for place, wanting in rows.items():
                for lanes in [wanting] if self.together else [[number] for number in wanting]:
                    self._ask(place, tuple(lanes))
        upto = min(lane.left for lane in self.lanes)
        if upto > self.told:
            self.told = upto
            self.chip.board.send(self.path, "room", Sent(self.placed.name, upto))

    def _can(self, available: int) -> list[int]:
        """Lanes that can take their next row; all or none where a row goes to all of them together."""
        numbers = [number for number, lane in enumerate(self.lanes) if lane.sent < available and self._fits(lane)]
        return numbers if not self.together or len(numbers) == len(self.lanes) else []

    def _fits(self, lane: Lane) -> bool:
        return not lane.wanted[lane.sent % self.height] or lane.held(self.height) < lane.rows

    def _ask(self, place: int, numbers: tuple[int, ...]) -> None:
        """Row ``place`` is to be read once and sent to these lanes."""
        chip, g, (t, y) = self.chip, self.placed.geometry, divmod(place, self.height)
        lanes = [self.lanes[number] for number in numbers]
        channels = min(lane.channels[0] for lane in lanes), max(lane.channels[1] for lane in lanes)
        lines = -(-(channels[1] - channels[0]) * g.W * self.placed.planes // self.line)
        ready = Ready(Row(t, y))
        send: Any = (lanes[0].port, ready)
        if self.placed.tiles:
            targets = [(lane.tile.node, lane.port) for lane in lanes if lane.tile is not None]
            send = chip.from_global(targets, ready, self._flits(t, y, channels), chip.cause(self.placed.name, t))
        chip.board.send(self.path, READER, Fetch(self.placed.name, t, lines, send, numbers, self.path))

    def _flits(self, t: int, y: int, channels: tuple[int, int]) -> int:
        """Flits of a row; where packets are checked for zeros, only those with something in them, and one at least."""
        g, planes = self.placed.geometry, self.placed.planes
        if not self.checked:
            return self.chip.flits((channels[1] - channels[0]) * g.W * planes)
        row = self.chip.data[self.placed.name].at(t)[0, y * g.W : (y + 1) * g.W, channels[0] : channels[1]].reshape(-1)
        return flits_in_use(row, planes, self.flit)

    def _lane(self, number: int, tile: Tile) -> Lane:
        rows, wanted = buffer_rows(self.chip.machine, self.placed, tile), wanted_rows(self.placed, tile)
        return Lane(tile, tile_port(self.placed, number), tile.channels, rows, wanted)

    def _beside(self) -> Lane:
        """Where a layer declared digital is computed, which reads the rows as it needs them."""
        g = self.placed.geometry
        everything = self.chip.timesteps * g.H
        return Lane(None, tile_port(self.placed, 0), (0, g.C), everything, np.ones(g.H, dtype=bool))


def buffer_rows(machine, placed: Placed, tile: Tile) -> int:  # type: ignore[no-untyped-def]
    """Input rows that a tile's buffer holds."""
    bits = (tile.channels[1] - tile.channels[0]) * placed.geometry.W * placed.planes
    return int(machine.parameter("tile_buffer", "capacity")) // tile.share // bits


def wanted_rows(placed: Placed, tile: Tile) -> np.ndarray:
    """bool [H]: the input rows under the kernels of a tile's output rows; copies of a layer take these in turn."""
    wanted = np.zeros(placed.geometry.H, dtype=bool)
    for e in range(tile.copy, placed.geometry.E, placed.copies):
        first, last = window(placed.geometry, e)
        wanted[first:last] = True
    return wanted


def flits_in_use(values: np.ndarray, planes: int, flit: int) -> int:
    """Flits of ``flit`` bits with (a part of) a value that is not zero, one at least; values of ``planes`` bits."""
    bits = np.flatnonzero(values)[:, None] * planes + np.arange(planes)
    return max(1, int(np.unique(bits // flit).size))
