"""The array's controller: waits for operands and room, runs tile calls, and books what they counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from hwsim.activity import Activity
from hwsim.components.memory import Process, Room
from hwsim.components.ports import Environment, Switchboard
from hwsim.kernels.tile import TileNeuron, TileResult, TileState, TileWork, pack_weight
from hwsim.machines.systolic.build import Machine
from hwsim.machines.systolic.plan import OPERANDS, Schedule, Tile
from hwsim.network.freeze import FrozenLayer

PE_ACTIONS = {
    "shifts": "shift",
    "weight_spad_reads": "weight_spad_read", "weight_spad_writes": "weight_spad_write",
    "spike_spad_reads": "spike_spad_read", "spike_spad_writes": "spike_spad_write",
    "psum_spad_reads": "psum_spad_read", "psum_spad_writes": "psum_spad_write", "activations": "activate",
}  # fmt: skip


def pack_groups(schedule: Schedule, frozen: FrozenLayer | None) -> list[np.ndarray | None]:
    """The weights [M, K] of each group, as tile calls read them; the same for all samples."""
    filters, groups = schedule.work.geometry.M, schedule.work.groups
    if frozen is None:
        return [None] * groups
    return [pack_weight(frozen.matrix[group * filters : (group + 1) * filters]) for group in range(groups)]


class LayerData:
    """Operands and state of one layer during a sample. Without ``frozen`` (shape tables, traces) nothing is computed.

    ``inputs(t0, t1)`` gives integers [T, C, H, W]; ``weights`` from ``pack_groups``; outputs [T, P, M]; membrane
    [P, units] as stored between tiles.
    """

    def __init__(
        self,
        schedule: Schedule,
        inputs: Callable[[int, int], np.ndarray],
        frozen: FrozenLayer | None,
        weights: list[np.ndarray | None],
        timesteps: int,
    ) -> None:
        self.schedule, self.frozen, self.weights = schedule, frozen, weights
        self.inputs = lru_cache(maxsize=1)(inputs)  # the tiles of a timestep follow each other
        work, g = schedule.work, schedule.work.geometry
        filters = g.M * work.groups
        self.outputs: np.ndarray | None = None
        self.membrane: np.ndarray | None = None
        self.psum: np.ndarray | None = None
        if frozen is not None:
            kind = np.int32 if work.spiking or work.neuron == "relu" else np.float64
            self.outputs = np.zeros((timesteps, g.P, filters), kind)
            if work.spiking:
                self.membrane = np.full((g.P, -(-filters // frozen.lif.share)), frozen.start)

    def units(self, tile: Tile) -> slice:
        """The tile's LIF units among those of the layer."""
        assert self.frozen is not None
        first, share = tile.group * self.schedule.work.geometry.M, self.frozen.lif.share
        return slice((first + tile.m0) // share, -(-(first + tile.m1) // share))


class Controller:
    """The process that owns the array. It is the only one that calls tiles, in the order of the plan."""

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        machine: Machine,
        sample: int,
        activity: Activity,
        layers: dict[int, LayerData],
        call: Callable[..., TileResult],
    ) -> None:
        self.env, self.board, self.machine, self.sample, self.activity = env, board, machine, sample, activity
        self.layers, self.call = layers, call
        self._commands = board.port("array")
        self._ready = {operand: board.port(f"array.{operand}") for operand in OPERANDS}
        self._backlog = 0
        self._busy_until = 0

    def serve(self) -> Process:
        """Run tile after tile; time spent waiting is booked as a stall of what was missing."""
        while True:
            tile = yield self._commands.next()
            asked = self.env.tick
            if self._busy_until and asked > self._busy_until:
                self.activity.spend(self.sample, tile.layer, "array", "stall:control", asked - self._busy_until)
            for operand in OPERANDS:
                if operand in tile.fetch or (operand == "outputs" and tile.first_of_segment):
                    yield from self._wait(operand, tile)
            result = self._run(tile)
            start = self.env.tick
            self._span(tile, start)
            yield self.env.timeout(result.cycles)
            self._book(tile, result)
            emitted = start + int(result.emissions[-1]) if len(result.emissions) else self.env.tick
            if tile.last_of_segment and self._backlog:
                self.activity.spend(self.sample, tile.layer, "array", "stall:lif", self._backlog)
                yield self.env.timeout(self._backlog)
                self._backlog = 0
            self._busy_until = self.env.tick
            self._release(tile)
            self.board.send("array", "writer", (tile, emitted))

    def _wait(self, operand: str, tile: Tile) -> Process:
        if operand == "outputs" and operand not in tile.fetch:
            return
        asked = self.env.tick
        yield self._ready[operand].next()
        if operand == "outputs":
            operand = "membranes" if tile.membrane_in and tile.membrane_bits else "room"
        if self._busy_until:
            self.activity.spend(self.sample, tile.layer, "array", f"stall:{operand}", self.env.tick - asked)

    def _span(self, tile: Tile, start: int) -> None:
        key = (self.sample, tile.layer)
        first, last = self.activity.span.get(key, (start, start))
        self.activity.span[key] = (min(first, start), last)

    def _run(self, tile: Tile) -> TileResult:
        """One tile call: the only place where the array's work is computed."""
        data = self.layers[tile.layer]
        schedule, work = data.schedule, data.schedule.work
        gap = self.env.tick - self._busy_until
        channels, filters = work.geometry.C, work.geometry.M
        inputs = data.inputs(tile.t0, tile.t1)[:, tile.group * channels : (tile.group + 1) * channels]
        neuron = None
        if data.frozen is not None and tile.last_k:
            first = tile.group * filters
            neuron = TileNeuron.of(data.frozen, first + tile.m0, first + tile.m1, tile.t0, tile.t1)
        result = self.call(
            tile_work(schedule, tile),
            self.machine.array_config(schedule),
            inputs,
            data.weights[tile.group],
            neuron,
            self._entry_state(tile, data, max(0, self._backlog - gap)),
        )
        self._backlog = result.state.lif_backlog
        self._keep_state(tile, data, result)
        return result

    def _entry_state(self, tile: Tile, data: LayerData, backlog: int) -> TileState:
        membrane = None
        if data.membrane is not None and tile.last_k:
            membrane = data.membrane[tile.p0 : tile.p1, data.units(tile)]
        return TileState(backlog, membrane, None if tile.first_k else data.psum)

    def _keep_state(self, tile: Tile, data: LayerData, result: TileResult) -> None:
        data.psum = result.state.psum
        if data.frozen is None or not tile.last_k:
            return
        if data.membrane is not None:
            data.membrane[tile.p0 : tile.p1, data.units(tile)] = result.state.membrane
        assert data.outputs is not None
        first = tile.group * data.schedule.work.geometry.M
        data.outputs[tile.t0 : tile.t1, tile.p0 : tile.p1, first + tile.m0 : first + tile.m1] = result.outputs

    def _book(self, tile: Tile, result: TileResult) -> None:
        """Counts of a tile call, under the component that did them."""
        counts, at = result.counts, tile.timestep
        machine, activity = self.machine, self.activity

        def book(component: str, action: str, times: int, timestep: int = at) -> None:
            activity.count(self.sample, tile.layer, timestep, component, action, times)

        book(machine.buffers["weights"], "read", counts["weight_lines"])
        book(machine.buffers["inputs"], "read", counts["input_lines"])
        book(machine.buffers["outputs"], "read", counts["psum_line_reads"] + counts["membrane_line_reads"])
        book(
            machine.buffers["outputs"],
            "write",
            counts["psum_line_writes"] + counts["membrane_line_writes"] + counts["output_lines"],
        )
        for name, action in PE_ACTIONS.items():
            book("pe", action, counts[name])
        self._book_sums(tile, result)
        book("zero_detector", "detect", counts["detects"])
        per_timestep = counts["lif_updates"] // (tile.t1 - tile.t0)
        for t in range(tile.t0, tile.t1):
            book("lif", "update", per_timestep, t)
            book("lif", "scale", per_timestep * self.layers[tile.layer].schedule.work.scaled, t)
        self._book_cycles(tile, result)

    def _book_sums(self, tile: Tile, result: TileResult) -> None:
        """Accumulates exist because of the spikes of their timestep, also where the tile serves several timesteps."""
        for timestep, times in enumerate(result.charged_per_timestep.tolist(), start=tile.t0):
            self.activity.count(self.sample, tile.layer, timestep, "pe", "accumulate", times)
            if result.counts["multiplies"]:
                self.activity.count(self.sample, tile.layer, timestep, "multiplier", "multiply", times)

    def _book_cycles(self, tile: Tile, result: TileResult) -> None:
        spend = self.activity.spend
        spend(self.sample, tile.layer, "array", "busy", result.array_busy)
        spend(self.sample, tile.layer, "array", "stall:port", result.stall_port)
        spend(self.sample, tile.layer, "array", "stall:lif", result.stall_lif)
        spend(self.sample, tile.layer, "pe", "busy", result.pe_busy)
        spend(self.sample, tile.layer, "pe", "idle", result.array_busy * self.machine.pes - result.pe_busy)
        spend(self.sample, tile.layer, "lif", "busy", result.lif_busy)
        self.activity.operations[self.sample, tile.layer] += result.counts["synaptic_operations"]

    def _release(self, tile: Tile) -> None:
        """Give back the room of blocks that no later tile uses."""
        for operand in ("weights", "inputs"):
            if operand in tile.free:
                self.board.send("array", f"{self.machine.buffers[operand]}.room", Room(-tile.free[operand]))
                self.board.send("array", f"load.{operand}.freed", tile.free[operand])
        if tile.last_of_segment:
            if tile.scratch_bits:
                self.board.send("array", f"{self.machine.buffers['outputs']}.room", Room(-tile.scratch_bits))
            for operand in OPERANDS:
                self.board.send("array", f"load.{operand}.ended", tile.layer)


def tile_work(schedule: Schedule, tile: Tile) -> TileWork:
    """The tile in the terms of the tile call."""
    work = schedule.work
    stationary = schedule.shape.stationary
    assert stationary in ("output", "weight", "input") and work.neuron in ("lif", "if", "relu", "none")
    return TileWork(
        stationary=stationary, geometry=work.geometry, m0=tile.m0, m1=tile.m1, p0=tile.p0, p1=tile.p1,  # type: ignore[arg-type]
        k0=tile.k0, k1=tile.k1, first_k=tile.first_k, last_k=tile.last_k, timesteps=tile.t1 - tile.t0,
        planes=work.planes, word_bits=work.input_bits, constant_input=work.constant_input,
        output_bits=work.output_bits if tile.output_bits else 0, membrane_in=tile.membrane_in,
        membrane_out=tile.membrane_out, neuron=work.neuron,  # type: ignore[arg-type]
        hold_current=schedule.shape.hold_current,
    )  # fmt: skip
