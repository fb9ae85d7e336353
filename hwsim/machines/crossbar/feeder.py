"""Hands rows of feature maps from the global buffer to the tiles of a layer, as their buffers have room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwsim.components.memory import Process
from hwsim.machines.crossbar.chip import Chip, Row
from hwsim.machines.crossbar.flow import window
from hwsim.machines.crossbar.mapping import Placed, Tile


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
    """One tile as a feeder sees it: rows [sent, ready) wait, rows [freed, sent) stand in its buffer."""

    tile: Tile
    port: str
    rows: int
    """Rows that its buffer holds."""
    wanted: np.ndarray
    """bool [H]: which rows of a map this tile needs (a copy of a layer does not need all)."""
    sent: int = 0
    freed: int = 0

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
    """Sends input rows in order (timestep by timestep, top to bottom) to every tile of a layer that needs them."""

    def __init__(self, chip: Chip, placed: Placed) -> None:
        self.chip, self.placed, self.path = chip, placed, feed_port(placed)
        self.height = placed.geometry.H
        self.port = chip.board.port(self.path)
        self.lanes = [self._lane(number, tile) for number, tile in enumerate(placed.tiles)]
        self.ready = 0
        self.limit = chip.timesteps * self.height
        self.told = 0

    def serve(self) -> Process:
        """React to rows that come and room that is given back."""
        while True:
            message = yield self.port.next()
            if isinstance(message, Stop):
                self.limit = min(self.limit, message.t * self.height)
            elif isinstance(message, Freed):
                self.lanes[message.tile].freed = max(self.lanes[message.tile].freed, message.upto)
            else:
                self._arrive(message.row)
            lines = self._send()
            if lines:
                yield self.chip.env.timeout(lines)

    def waits(self) -> str:
        """For whom a feeder waits that has not sent everything; empty if it has."""
        if self.placed.digital:
            return f"{self.path} waits for row {self.ready}" if self.ready < self.limit else ""
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

    def _send(self) -> int:
        """Send what can be sent; returns the lines read from the global buffer, one a tick."""
        available, lines = self._available(), 0
        if self.placed.digital:
            return self._send_digital(available)
        if self.chip.machine.architecture.noc["multicast"]:
            while self.lanes and self._all_can(available):
                lines += self._send_together()
        else:
            for lane in self.lanes:
                while lane.sent < available and self._fits(lane):
                    lines += self._send_row(lane)
        upto = min((lane.sent for lane in self.lanes), default=self.ready)
        if upto > self.told:
            self.told = upto
            self.chip.board.send(self.path, "room", Sent(self.placed.name, upto))
        return lines

    def _send_digital(self, available: int) -> int:
        """A layer declared digital is computed at the global node: its rows are read there, without a packet."""
        g, lines = self.placed.geometry, 0
        while self.told < available:
            t, y = divmod(self.told, self.height)
            lines += self._read(t, g.C * g.W * self.placed.planes)
            self.told += 1
            self.chip.board.send(self.path, tile_port(self.placed, 0), Ready(Row(t, y)))
            self.chip.board.send(self.path, "room", Sent(self.placed.name, self.told))
        return lines

    def _fits(self, lane: Lane) -> bool:
        return not lane.wanted[lane.sent % self.height] or lane.held(self.height) < lane.rows

    def _all_can(self, available: int) -> bool:
        return all(lane.sent < available and self._fits(lane) for lane in self.lanes)

    def _send_row(self, lane: Lane) -> int:
        t, y = divmod(lane.sent, self.height)
        lane.sent += 1
        if not lane.wanted[y]:
            return 0
        chip, cause = self.chip, self.chip.cause(self.placed.name, t)
        bits = self._bits(lane.tile)
        flits = self._flits(t, y, lane.tile.channels)
        chip.to_tile(lane.tile.node, lane.port, Ready(Row(t, y)), flits, cause, self.path)
        return self._read(t, bits)

    def _send_together(self) -> int:
        t, y = divmod(self.lanes[0].sent, self.height)
        lanes = [lane for lane in self.lanes if lane.wanted[y]]
        for lane in self.lanes:
            lane.sent += 1
        if not lanes:
            return 0
        low, high = (pick(lane.tile.channels[end] for lane in lanes) for end, pick in ((0, min), (1, max)))
        targets = [(lane.tile.node, lane.port) for lane in lanes]
        cause = self.chip.cause(self.placed.name, t)
        self.chip.to_tiles(targets, Ready(Row(t, y)), self._flits(t, y, (low, high)), cause, self.path)
        return self._read(t, (high - low) * self.placed.geometry.W * self.placed.planes)

    def _read(self, t: int, bits: int) -> int:
        lines = -(-bits // int(self.chip.machine.parameter("global_buffer", "line")))
        self.chip.count(self.placed.name, t, "global_buffer", "read", lines)
        return lines

    def _bits(self, tile: Tile) -> int:
        return (tile.channels[1] - tile.channels[0]) * self.placed.geometry.W * self.placed.planes

    def _flits(self, t: int, y: int, channels: tuple[int, int]) -> int:
        """Flits of a row; where packets are checked for zeros, only those with something in them, and one at least."""
        g, planes = self.placed.geometry, self.placed.planes
        flits = self.chip.flits((channels[1] - channels[0]) * g.W * planes)
        if self.chip.machine.architecture.noc["packets"] == "bitmap":
            return flits
        row = self.chip.data[self.placed.name].at(t)[0, y * g.W : (y + 1) * g.W, channels[0] : channels[1]].reshape(-1)
        values = max(1, int(self.chip.machine.parameter("router", "flit")) // planes)
        return max(1, int(np.unique(np.flatnonzero(row) // values).size))

    def _lane(self, number: int, tile: Tile) -> Lane:
        wanted = np.zeros(self.height, dtype=bool)
        for e in range(tile.copy, self.placed.geometry.E, self.placed.copies):
            first, last = window(self.placed.geometry, e)
            wanted[first:last] = True
        return Lane(tile, tile_port(self.placed, number), buffer_rows(self.chip.machine, self.placed, tile), wanted)


def buffer_rows(machine, placed: Placed, tile: Tile) -> int:  # type: ignore[no-untyped-def]
    """Input rows that a tile's buffer holds."""
    bits = (tile.channels[1] - tile.channels[0]) * placed.geometry.W * placed.planes
    return int(machine.parameter("tile_buffer", "capacity")) // tile.share // bits
