"""A tile at work: its control starts blocks (an output row at a timestep), its PEs read, its root adds up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.components.memory import Process
from hwsim.kernels.analog_tile import TileConfig, TileResult, TileState, TileWork
from hwsim.machines.crossbar.chip import Chip, LayerData, Row
from hwsim.machines.crossbar.feeder import Freed, Ready, Stop, feed_port, tile_port
from hwsim.machines.crossbar.flow import window
from hwsim.machines.crossbar.mapping import Pe, Placed, Tile
from hwsim.network.kernels import Shape


class Released(NamedTuple):
    """Output rows before ``upto`` (over all timesteps) have left the global buffer."""

    upto: int


class Done(NamedTuple):
    """A PE has finished its part of block number ``block``."""

    block: int


class Part(NamedTuple):
    """Psums [F, m1 - m0] of the columns (m0, m1) that a PE gives for an output row."""

    layer: str
    row: Row
    columns: tuple[int, int]
    psum: np.ndarray


class Psums(NamedTuple):
    """Psums of an output row from one tile: by column block, (m0, m1) -> [F, m1 - m0]."""

    layer: str
    row: Row
    parts: dict[tuple[int, int], np.ndarray]


QUEUED = 2
"""Blocks that a PE has at most: one that it reads, one that waits, so that it never idles between them."""


class TileControl:
    """Starts the blocks of one layer's share of a tile: inputs there, room for the output row promised."""

    def __init__(self, chip: Chip, placed: Placed, number: int, room: int) -> None:
        self.chip, self.placed, self.tile = chip, placed, placed.tiles[number]
        self.number, self.path = number, tile_port(placed, number)
        self.port = chip.board.port(self.path)
        self.rows = range(self.tile.copy, placed.geometry.E, placed.copies)
        self.room = room
        self.received = 0
        self.started = 0
        self.finished = [0] * len(self.tile.pes)
        self.freed = 0
        self.released = 0
        self.limit = len(self.rows) * chip.timesteps
        """Blocks that will be started; fewer after an early exit."""

    def block(self, number: int) -> Row:
        """The output row of block number ``number``."""
        t, place = divmod(number, len(self.rows))
        return Row(t, self.rows[place])

    def serve(self) -> Process:
        """React to rows, releases and finished blocks."""
        pes = {index: place for place, index in enumerate(self.tile.pes)}
        while True:
            message = yield self.port.next()
            if isinstance(message, Ready):
                self._receive(message.row)
            elif isinstance(message, Released):
                self.released = max(self.released, message.upto)
            elif isinstance(message, Stop):
                self.limit = min(self.limit, message.t * len(self.rows))
            else:
                number, block = message
                self.finished[pes[number]] = block.block + 1
                self._free()
            self._start()

    def waits(self) -> str:
        """What keeps the next block from starting; empty if all have run."""
        if self.started >= self.limit:
            return ""
        row = self.block(self.started)
        if not self._has_inputs(row):
            return f"{self.path} waits for input row {window(self.placed.geometry, row.y)[1] - 1} of timestep {row.t}"
        return f"{self.path} waits for room in the global buffer (output row {row.y} of timestep {row.t})"

    def _receive(self, row: Row) -> None:
        g, placed = self.placed.geometry, self.placed
        self.received = row.t * g.H + row.y + 1
        bits = (self.tile.channels[1] - self.tile.channels[0]) * g.W * placed.planes
        lines = -(-bits // int(self.chip.machine.parameter("tile_buffer", "line")))
        self.chip.count(placed.name, row.t, "tile_buffer", "write", lines)

    def _has_inputs(self, row: Row) -> bool:
        return self.received >= row.t * self.placed.geometry.H + window(self.placed.geometry, row.y)[1]

    def _start(self) -> None:
        while self.started < min(self.limit, min(self.finished) + QUEUED):
            row = self.block(self.started)
            place = row.t * self.placed.geometry.E + row.y
            if not self._has_inputs(row) or place >= self.released + self.room:
                return
            for index in self.tile.pes:
                self.chip.board.send(self.path, pe_port(self.placed, self.tile, index), (row, self.started))
            self.started += 1

    def _free(self) -> None:
        block = min(self.finished)
        if block >= len(self.rows) * self.chip.timesteps:
            return
        row = self.block(block)
        upto = row.t * self.placed.geometry.H + window(self.placed.geometry, row.y)[0]
        if upto > self.freed:
            self.freed = upto
            self.chip.board.send(self.path, feed_port(self.placed), Freed(self.number, upto))


def pe_port(placed: Placed, tile: Tile, index: int) -> str:
    """Port of PE number ``index`` of a copy of a layer."""
    return f"pe.{placed.name}.{tile.copy}.{index:05d}"


def root_port(node: int) -> str:
    """Port of the root of a tile's H-tree."""
    return f"root.{node:05d}"


class PeProcess:
    """One PE: tile calls one after the other."""

    def __init__(self, chip: Chip, placed: Placed, number: int, index: int) -> None:
        self.chip, self.placed, self.index = chip, placed, index
        self.tile, self.number = placed.tiles[number], number
        self.pe: Pe = placed.pes[index]
        self.path = pe_port(placed, self.tile, index)
        self.port = chip.board.port(self.path)
        self.data: LayerData = chip.data[placed.name]
        self.config = tile_config(chip.machine)
        self.blocks = np.asarray(self.pe.blocks, dtype=np.int32)
        self.rows_in_block = placed.rows_of_block()
        self.state = TileState(0)

    def serve(self) -> Process:
        """Take a block, read it, send what it gives to the tile's root when its last pixel is complete."""
        chip, root, control = self.chip, root_port(self.tile.node), tile_port(self.placed, self.number)
        columns = (self.pe.m0, self.pe.m1)
        while True:
            row, block = yield self.port.next()
            result = self._call(row)
            self._book(row, result)
            ready = int(result.emissions[-1])
            chip.board.send(self.path, root, Part(self.placed.name, row, columns, result.psum), max(1, ready))
            chip.touch(self.placed.name, max(ready, result.cycles))
            yield chip.env.timeout(result.cycles)
            chip.board.send(self.path, control, (self.index, Done(block)))

    def _call(self, row: Row) -> TileResult:
        g = self.placed.geometry
        first, channel, value = self.data.events(row.t)
        work = TileWork(
            shape=shape_of(self.placed),
            first=first,
            channel=channel,
            value=value,
            planes=self.placed.planes,
            p0=row.y * g.F,
            p1=(row.y + 1) * g.F,
            blocks=self.blocks,
            rows_in_block=self.rows_in_block,
            m0=self.pe.m0,
            m1=self.pe.m1,
            keys=self.data.keys(row.t),
            has_correction=self.chip.machine.architecture.mapping["encoding"] != "differential_pair",
        )
        result = self.chip.call(work, self.config, self.data.analog, self.state)
        self.state = result.state
        return result

    def _book(self, row: Row, result: TileResult) -> None:
        chip, name, counts = self.chip, self.placed.name, result.counts
        for component, action, key in COUNTED:
            chip.count(name, row.t, component, action, counts[key])
        if chip.machine.options["converters"]:
            chip.count(name, row.t, "mux", "select", counts["select"])
            chip.count(name, row.t, "adc", "convert", counts["convert"])
            chip.count(name, row.t, "adc", "clipped", counts["clipped"])
        chip.activity.operations[chip.sample, self.placed.index] += counts["synaptic_operations"]
        arrays = len(self.pe.blocks) * self.placed.slices
        chip.spend(name, "crossbar", "busy", result.array_busy * arrays)
        chip.spend(name, "crossbar", "stall:adc", result.array_stall_adc * arrays)
        chip.spend(name, "adc", "busy", result.adc_busy * arrays * chip.machine.adcs)


COUNTED = (
    ("crossbar", "read", "read"),
    ("crossbar", "read_row", "read_row"),
    ("driver", "drive", "drive"),
    ("pe_adder", "add", "add"),
    ("diff", "subtract", "subtract"),
    ("tile_buffer", "read", "input_lines"),
)
"""Component, action, and the count of a tile call that it is."""


def shape_of(placed: Placed) -> Shape:
    """The layer's geometry as kernels take it."""
    g: Any = placed.geometry
    return Shape(g.C, g.H, g.W, g.M, g.R, g.S, g.stride_y, g.stride_x, g.pad_y, g.pad_x, g.dilation_y, g.dilation_x,
                 g.groups, g.E, g.F)  # fmt: skip


def tile_config(machine: Any) -> TileConfig:
    """A PE as its tile calls see it."""
    timing = machine.timing
    return TileConfig(
        drive_ticks=timing.drive,
        read_ticks=timing.read,
        step_ticks=timing.convert,
        combine_ticks=timing.combine,
        adcs=machine.adcs,
        sample_hold=machine.options["sample_hold"],
        zero_vectors=machine.options["zero_vectors"],
        line_bits=machine.parameter("tile_buffer", "line"),
    )


class TileRoot:
    """The H-tree of a tile and the adder at its root: one word of its width a tick, parts in the order they come.

    ``expected`` (layer, copy) -> PEs in this tile.
    """

    def __init__(self, chip: Chip, node: int, expected: dict[tuple[str, int], int]) -> None:
        self.chip, self.node, self.expected = chip, node, expected
        self.path = root_port(node)
        self.port = chip.board.port(self.path)
        self.psum_bits = int(chip.machine.parameter("tile_adder", "psum_bits"))
        self.width = int(chip.machine.parameter("h_tree", "width"))
        self.lanes = int(chip.machine.parameter("tile_adder", "lanes"))
        self.open: dict[tuple[str, Row], dict[tuple[int, int], np.ndarray]] = {}
        self.arrived: dict[tuple[str, Row], int] = {}

    def serve(self) -> Process:
        """Move a part to the root, add it to those of the same columns; a complete row goes on."""
        chip = self.chip
        while True:
            part = yield self.port.next()
            words = -(-part.psum.size * self.psum_bits // self.width)
            chip.count(part.layer, part.row.t, "h_tree", "move", words)
            parts = self.open.setdefault((part.layer, part.row), {})
            ticks = words
            if part.columns in parts:
                parts[part.columns] = parts[part.columns] + part.psum
                chip.count(part.layer, part.row.t, "tile_adder", "add", part.psum.size)
                ticks = max(words, -(-part.psum.size // self.lanes))
            else:
                parts[part.columns] = part.psum
            chip.spend(part.layer, "h_tree", "busy", words)
            yield chip.env.timeout(ticks)
            self._finish(part.layer, part.row)

    def _finish(self, layer: str, row: Row) -> None:
        key = (layer, row)
        self.arrived[key] = self.arrived.get(key, 0) + 1
        if self.arrived[key] < self.expected[layer, row.y % self.chip.flow.placed[layer].copies]:
            return
        del self.arrived[key]
        latency = self.chip.machine.timing.h_tree
        self.chip.touch(layer, latency)
        self.chip.board.send(self.path, f"{self.path}.out", Psums(layer, row, self.open.pop(key)), latency)

    def forward(self) -> Process:
        """Hand complete rows to the network, after the latency of the tree."""
        port = self.chip.board.port(f"{self.path}.out")
        while True:
            psums = yield port.next()
            cause = self.chip.cause(psums.layer, psums.row.t)
            bits = sum(part.size for part in psums.parts.values()) * self.psum_bits
            self.chip.to_global(self.node, "gather", psums, bits, cause, self.path)
