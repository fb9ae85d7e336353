"""The engines that bring operands in and take outputs away, one process each; they run ahead by at most two blocks."""

from __future__ import annotations

from typing import Any

from hwsim.activity import SHARED
from hwsim.components.memory import Cause, Process, Room, Transfer
from hwsim.components.ports import Environment, Switchboard
from hwsim.machines.systolic.nest import ceil_div
from hwsim.machines.systolic.plan import Schedule, Tile

POOL_WORD_BITS = 8
"""Bits that a pool unit joins at once: a spike word, as in the spike scratchpad."""


class Loader:
    """Brings the blocks of one operand into its buffer, in the order of the tiles.

    ``blocks``: how many blocks of a streamed operand may be in the buffer at once (two with double buffering); resident
    ones stay, as the nest has made sure that they fit. ``shared``: the buffer also holds other
    operands, so nothing of a later layer is fetched before the layer in work has ended. ``quota``: bits that the
    operand's blocks may take of a shared buffer, by layer (absent: all that is free): an operand that runs ahead must
    not take the room that the tile in work waits for.
    """

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        operand: str,
        buffer: str,
        dram: str,
        sample: int,
        *,
        blocks: int,
        shared: bool,
        schedules: dict[int, Schedule],
        quota: dict[int, int],
    ) -> None:
        self.env, self.board, self.operand, self.buffer, self.dram = env, board, operand, buffer, dram
        self.quota, self._held_bits = quota, 0
        self.sample, self.blocks, self.shared, self.schedules = sample, blocks, shared, schedules
        self.path = f"load.{operand}"
        port = board.port
        self._commands, self._granted, self._data = (
            port(self.path),
            port(f"{self.path}.room"),
            port(f"{self.path}.data"),
        )
        self._freed, self._ended = port(f"{self.path}.freed"), port(f"{self.path}.ended")
        self._produced = port(f"{self.path}.produced")
        self._known: set[tuple[int, int]] = set()

    def serve(self) -> Process:
        """Fetch block after block; say 'ready' to the array for each."""
        held = segments_seen = segments_ended = 0
        while True:
            tile = yield self._commands.next()
            if tile.first_of_segment:
                segments_seen += 1
            while self.shared and segments_ended < segments_seen - 1:
                yield self._ended.next()
                segments_ended += 1
            if self.operand == "outputs" and tile.first_of_segment and tile.scratch_bits:
                yield from self._reserve(tile.scratch_bits)
            bits = tile.fetch.get(self.operand)
            if bits is None:
                continue
            while len(self._freed) or self._full(tile, held, bits):
                self._held_bits -= yield self._freed.next()
                held -= 1
            yield from self._await_producer(tile)
            yield from self._reserve(bits)
            held += 1
            self._held_bits += bits
            yield from self._fetch(tile, bits)
            self.board.send(self.path, f"array.{self.operand}", tile)

    def _full(self, tile: Tile, held: int, bits: int) -> bool:
        """Whether a block must be freed before the next one may be fetched."""
        if self._held_bits + bits > self.quota.get(tile.layer, self._held_bits + bits):
            return True
        return held >= self.blocks and self.operand not in tile.resident

    def _await_producer(self, tile: Tile) -> Process:
        """Inputs made by an earlier layer exist only once that layer has written them."""
        producer = self.schedules[tile.layer].work.producer
        if self.operand != "inputs" or producer is None or producer not in self.schedules:
            return
        while (producer, tile.t1) not in self._known:
            layer, end = yield self._produced.next()
            self._known.update((layer, t) for t in range(end + 1))

    def _reserve(self, bits: int) -> Process:
        self.board.send(self.path, f"{self.buffer}.room", Room(bits, self._granted.name))
        yield self._granted.next()

    def _fetch(self, tile: Tile, bits: int) -> Process:
        if self.operand == "outputs":
            if not (tile.membrane_in and tile.membrane_bits):
                return
            bits = tile.membrane_bits
        cause = Cause(self.sample, tile.layer, _timestep(self.operand, tile))
        self.board.send(self.path, self.dram, Transfer(bits, self._data.name, cause))
        ticks = yield self._data.next()
        fill = Transfer(bits, self._data.name, cause, overlapped_ticks=ticks)
        self.board.send(self.path, f"{self.buffer}.fill", fill)
        yield self._data.next()


def _timestep(operand: str, tile: Tile) -> int:
    """A fetch has a timestep only if it happens because of it: blocks that stay for other timesteps are shared."""
    return SHARED if operand in tile.lasting else tile.timestep


class Writer:
    """Drains finished blocks through the pool unit to DRAM and gives their room back."""

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        buffer: str,
        dram: str,
        sample: int,
        activity: Any,
        schedules: dict[int, Schedule],
        readers: set[int],
    ) -> None:
        self.env, self.board, self.buffer, self.dram, self.sample = env, board, buffer, dram, sample
        self.activity, self.schedules, self.readers = activity, schedules, readers
        self.path = "writer"
        self._port, self._data = board.port("writer"), board.port("writer.data")

    def serve(self) -> Process:
        """Take tiles as the array ends them; the last of a segment releases the layer that waits for it."""
        while True:
            tile, available_tick = yield self._port.next()
            if available_tick > self.env.tick:
                yield self.env.timeout(available_tick - self.env.tick)
            cause = Cause(self.sample, tile.layer, tile.timestep)
            if tile.last_k:
                yield from self._write_outputs(tile, cause)
                if tile.membrane_out and tile.membrane_bits:
                    yield from self._move(tile.membrane_bits, tile.membrane_bits, cause)
            if "outputs" in tile.free:
                self.board.send(self.path, f"{self.buffer}.room", Room(-tile.free["outputs"]))
                self.board.send(self.path, "load.outputs.freed", tile.free["outputs"])
            if tile.last_of_segment:
                self._announce(tile)

    def _write_outputs(self, tile: Tile, cause: Cause) -> Process:
        if not tile.output_bits:
            return
        work = self.schedules[tile.layer].work
        behind = zip(work.pool, work.pooled(tile.p0), work.pooled(tile.p1), strict=True) if work.pool else ()
        for (kind, window_y, window_x, *_), before, after in behind:
            each = (tile.m1 - tile.m0) * (after - before) * (window_y * window_x - 1)
            if kind == "maxpool" and work.output_bits > 1:
                for timestep in range(tile.t0, tile.t1):
                    self.activity.count(self.sample, tile.layer, timestep, "pool", "compare", each)
            elif kind == "maxpool":  # words of spikes of several timesteps are joined at once
                words = ceil_div(tile.output_bits // ((tile.m1 - tile.m0) * (tile.p1 - tile.p0)), POOL_WORD_BITS)
                self.activity.count(self.sample, tile.layer, cause.timestep, "pool", "or", each * words)
            else:
                for timestep in range(tile.t0, tile.t1):
                    self.activity.count(self.sample, tile.layer, timestep, "pool", "add", each)
        yield from self._move(tile.output_bits, tile.output_dram_bits, cause)

    def _move(self, read_bits: int, write_bits: int, cause: Cause) -> Process:
        self.board.send(self.path, f"{self.buffer}.drain", Transfer(read_bits, self._data.name, cause))
        yield self._data.next()
        if not write_bits:
            return
        self.board.send(self.path, self.dram, Transfer(write_bits, self._data.name, cause, write=True))
        yield self._data.next()

    def _announce(self, tile: Tile) -> None:
        if tile.layer in self.readers:
            self.board.send(self.path, "load.inputs.produced", (tile.layer, tile.t1))
        self.board.send(self.path, "sequencer.written", tile)
