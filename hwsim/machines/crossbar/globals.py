"""The global node: adder, neuron module, pooling, the keeper of the global buffer, layers declared digital."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.components.memory import Process
from hwsim.kernels.neuron_row import exact_psums, finish_rows
from hwsim.machines.crossbar.build import pool_actions
from hwsim.machines.crossbar.chip import Chip, LayerData, Row
from hwsim.machines.crossbar.feeder import Ready, Sent, Stop, feed_port, tile_port
from hwsim.machines.crossbar.flow import Consumer, window
from hwsim.machines.crossbar.mapping import Placed
from hwsim.machines.crossbar.tile import Psums, Released, shape_of
from hwsim.network import kernels
from hwsim.workload.model import Layer

_KINDS = {"lif": kernels.KIND_LIF, "if": kernels.KIND_LIF, "relu": kernels.KIND_RELU}


class Made(NamedTuple):
    """A row of an edge has been made."""

    edge: str
    row: Row


class Sums(NamedTuple):
    """Finished sums [F, M] of an output row."""

    layer: str
    row: Row
    psum: np.ndarray


class Joined(NamedTuple):
    """A row of an operation without weights whose results meet neurons (an addition of residual currents)."""

    layer: Layer
    row: Row


class Gather:
    """The global adder: sums of a row from several tiles become one; rows leave in order.

    Copies of a layer overtake each other, and with sample-and-hold so do rows without any spike: a row that is
    complete too early waits here.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "gather"
        self.port = chip.board.port(self.path)
        self.lanes = int(chip.machine.parameter("global_adder", "lanes"))
        self.open: dict[tuple[str, Row], tuple[np.ndarray, np.ndarray, int]] = {}
        self.complete: dict[tuple[str, int], Sums] = {}
        self.next: dict[str, int] = {}

    def serve(self) -> Process:
        """Add what comes; a complete row goes to the neurons when all before it have gone."""
        while True:
            psums: Psums = yield self.port.next()
            added = self._add(psums)
            ticks = -(-added // self.lanes)
            if ticks:
                self.chip.count(psums.layer, psums.row.t, "global_adder", "add", added)
                self.chip.spend(psums.layer, "global_adder", "busy", ticks)
                yield self.chip.env.timeout(ticks)
            self._finish(psums)

    def _add(self, psums: Psums) -> int:
        """Additions beyond the first part of each column."""
        g = self.chip.flow.placed[psums.layer].geometry
        key = (psums.layer, psums.row)
        total, seen, parts = self.open.get(key) or (np.zeros((g.F, g.M)), np.zeros(g.M, dtype=bool), 0)
        added = 0
        for (m0, m1), part in psums.parts.items():
            total[:, m0:m1] += part
            added += int(seen[m0:m1].sum()) * g.F
            seen[m0:m1] = True
        self.open[key] = (total, seen, parts + 1)
        return added

    def _finish(self, psums: Psums) -> None:
        placed, key = self.chip.flow.placed[psums.layer], (psums.layer, psums.row)
        tiles = sum(tile.copy == psums.row.y % placed.copies for tile in placed.tiles)
        if self.open[key][2] < tiles:
            return
        total = self.open.pop(key)[0]
        self.complete[psums.layer, psums.row.t * placed.geometry.E + psums.row.y] = Sums(*key, total)
        due = self.next.get(psums.layer, 0)
        while (psums.layer, due) in self.complete:
            self.chip.touch(psums.layer)
            self.chip.board.send(self.path, "neuron", self.complete.pop((psums.layer, due)))
            due += 1
        self.next[psums.layer] = due


class Neurons:
    """The neuron module: rows of sums become rows of spikes, ``lanes`` neurons at a time."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "neuron"
        self.port = chip.board.port(self.path)
        self.lanes = int(chip.machine.parameter("neuron", "lanes"))
        self.bits = int(chip.machine.parameter("neuron", "membrane_bits"))
        self.line = int(chip.machine.parameter("membranes", "line"))

    def serve(self) -> Process:
        """Update the neurons of a row, in the order in which rows come."""
        while True:
            message: Sums | Joined = yield self.port.next()
            if isinstance(message, Sums):
                self._compute(self.chip.data[message.layer], message)
                placed = self.chip.flow.placed[message.layer]
                yield from self._update(placed.layer, message.row, message.layer)
            else:
                origin = next(iter(self.chip.flow.origins(message.layer.name, message.row.y)))
                yield from self._update(message.layer, message.row, origin)

    def _update(self, layer: Layer, row: Row, cause: str) -> Process:
        """Count and time the neurons of a row of ``layer``, for the weighted layer ``cause``; hand the row on."""
        chip, t = self.chip, row.t
        channels, _, width = chip.flow.shapes[layer.name]
        neurons = channels * width
        ticks = -(-neurons // self.lanes) * chip.machine.timing.update
        if layer.neuron.spiking:
            lines = -(-width * -(-channels // chip.machine.share) * self.bits // self.line)
            chip.count(cause, t, "neuron", "update", neurons)
            chip.count(cause, t, "membranes", "read", lines if t else 0)
            chip.count(cause, t, "membranes", "write", lines if t + 1 < chip.timesteps else 0)
        elif layer.neuron.type == "relu":
            chip.count(cause, t, "neuron", "activate", neurons)
        else:
            chip.count(cause, t, "global_adder", "add", neurons)
        if layer.bn is not None and layer.bn.per_timestep:
            chip.count(cause, t, "neuron", "scale", neurons)
        chip.spend(cause, "neuron", "busy", ticks)
        chip.touch(cause, ticks)
        yield chip.env.timeout(ticks)
        chip.board.send(self.path, "pool", Made(layer.name, row))

    def _compute(self, data: LayerData, sums: Sums) -> None:
        """The same function as the network's; what comes out is compared with it at the end."""
        frozen, outputs = data.frozen, data.outputs
        if frozen is None or outputs is None:
            return
        g = data.placed.geometry
        scale, offset, threshold = frozen.at(sums.row.t)
        neuron = neuron_of(frozen)
        pixels = slice(sums.row.y * g.F, (sums.row.y + 1) * g.F)
        spikes, currents = np.empty((g.F, g.M), dtype=np.int32), np.empty((0, g.M))
        if neuron.kind == kernels.KIND_NONE:
            spikes, currents = np.empty((0, g.M), dtype=np.int32), np.empty((g.F, g.M))
        assert data.membranes is not None
        finish_rows(sums.psum, data.membranes[pixels], scale, offset, threshold, frozen.current_step, neuron, spikes,
                    currents)  # fmt: skip
        outputs[sums.row.t, pixels] = currents if neuron.kind == kernels.KIND_NONE else spikes


def neuron_of(frozen: Any) -> kernels.Neuron:
    """A layer's neuron as kernels take it."""
    neuron = frozen.layer.neuron
    return kernels.Neuron(
        _KINDS.get(neuron.type, kernels.KIND_NONE),
        frozen.lif,
        frozen.start,
        float(neuron.scale),
        float(2**neuron.bits - 1),
    )


class Pool:
    """Turns rows of edges into rows of edges (pools, adds, address changes) and hands finished ones to the feeders."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "pool"
        self.port = chip.board.port(self.path)
        self.word = int(chip.machine.parameter("pool", "word_bits"))
        self.line = int(chip.machine.parameter("global_buffer", "line"))
        self.got: dict[tuple[str, int, int], int] = {}
        """(layer, place, t) -> rows of that input that are there, from the top."""
        self.next: dict[tuple[str, int], int] = {}
        self.fires: list[Joined] = []
        """Rows made just now that go to the neuron module before anything follows from them."""

    def serve(self) -> Process:
        """Take a row, make what can be made of it, write what tiles will read."""
        chip = self.chip
        while True:
            made: Made = yield self.port.next()
            done: list[Made] = []
            ticks = self._follow(made, done)
            if ticks:
                yield chip.env.timeout(ticks)
            for item in done:
                self._hand_on(item)
            for row in self.fires:
                chip.board.send(self.path, "neuron", row)
            self.fires.clear()

    def _follow(self, made: Made, done: list[Made]) -> int:
        """Ticks that the pool unit works for a row and everything that follows from it at once."""
        done.append(made)
        return sum(self._take(consumer, made, done) for consumer in self.chip.flow.takers.get(made.edge, []))

    def _take(self, consumer: Consumer, made: Made, done: list[Made]) -> int:
        flow, layer, t = self.chip.flow, consumer.layer, made.row.t
        self.got[layer.name, consumer.place, t] = made.row.y + 1
        ticks = 0
        while True:
            y = self.next.get((layer.name, t), 0)
            if y >= flow.rows(layer.name) or not self._complete(layer, t, y):
                return ticks
            self.next[layer.name, t] = y + 1
            ticks += self._count(layer, t, y)
            if layer.neuron.type == "none":
                ticks += self._follow(Made(layer.name, Row(t, y)), done)
            else:  # comes back as a row that the neurons have made
                self.fires.append(Joined(layer, Row(t, y)))

    def _complete(self, layer: Layer, t: int, y: int) -> bool:
        flow = self.chip.flow
        return all(
            self.got.get((layer.name, place, t), 0) >= flow.needed(layer, y, place)[1]
            for place in range(len(layer.inputs))
        )

    def _count(self, layer: Layer, t: int, y: int) -> int:
        """Count the words of one row; returns the ticks, one a word."""
        chip, flow = self.chip, self.chip.flow
        edge = chip.flow.workload.edge(layer.inputs[0])
        channels, _, width = flow.shapes[layer.inputs[0]]
        origin = next(iter(flow.origins(layer.name, y)), None)
        words = 0
        for component, action in sorted(pool_actions(layer.op, edge.bits)):
            rows = sum(
                last - first for first, last in (flow.needed(layer, y, place) for place in range(len(layer.inputs)))
            )
            if component == "pool":
                words = -(-channels * width * rows * max(1, edge.bits) // self.word)
            else:  # pairs of values are added
                words = channels * width * (rows - 1)
            chip.count(origin, t, component, action, words)
            words = words if component == "pool" else -(-words // int(chip.machine.parameter("digital", "lanes")))
        return words

    def _hand_on(self, made: Made) -> None:
        chip, flow = self.chip, self.chip.flow
        readers = flow.readers.get(made.edge, [])
        origin = next(iter(flow.origins(made.edge, made.row.y)), None)
        if readers:
            channels, _, width = flow.shapes[made.edge]
            bits = channels * width * readers[0].planes
            chip.count(origin, made.row.t, "global_buffer", "write", -(-bits // self.line))
        for placed in readers:
            chip.board.send(self.path, feed_port(placed), Ready(made.row))
        if made.edge in chip.flow.placed:
            chip.board.send(self.path, "controller", made)
            if not self._used(made.edge):
                chip.board.send(self.path, "room", Sent(made.edge, -1 - self._place(made)))

    def _used(self, edge: str) -> bool:
        """Whether any simulated layer reads what comes of a layer."""
        flow = self.chip.flow
        return any(edge in flow.origins(name, flow.rows(name) - 1) for name in flow.readers if name in flow.made)

    def _place(self, made: Made) -> int:
        return made.row.t * self.chip.flow.rows(made.edge) + made.row.y


class Keeper:
    """Keeps the room of the global buffer: rows of a layer's output leave it when all readers have them."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "room"
        self.port = chip.board.port(self.path)
        self.used: dict[str, dict[str, int]] = {name: {} for name in chip.flow.placed}
        for edge, readers in chip.flow.readers.items():
            for origin in chip.flow.origins(edge, chip.flow.rows(edge) - 1) if edge in chip.flow.made else ():
                self.used[origin] |= {placed.name: 0 for placed in readers}
        self.released: dict[str, int] = dict.fromkeys(chip.flow.placed, 0)

    def serve(self) -> Process:
        """Tell the tiles of a layer when rows of its output have left."""
        while True:
            sent: Sent = yield self.port.next()
            if sent.upto < 0:  # nobody reads that layer: its rows leave as they come
                self._release(sent.layer, -sent.upto)
                continue
            placed = self.chip.flow.placed[sent.layer]
            edge = self.chip.flow.source(placed)
            if edge not in self.chip.flow.made:
                continue
            height = self.chip.flow.rows(edge)
            t, y = divmod(sent.upto - 1, height)
            for origin, count in self.chip.flow.origins(edge, y).items():
                rows = self.chip.flow.rows(origin)  # the last ones may be read by nobody (a pool that leaves a rest)
                self.used[origin][sent.layer] = t * rows + (rows if y == height - 1 else count)
                self._release(origin, min(self.used[origin].values()))

    def _release(self, layer: str, upto: int) -> None:
        if upto <= self.released[layer]:
            return
        self.released[layer] = upto
        placed: Placed = self.chip.flow.placed[layer]
        for number in range(max(1, len(placed.tiles))):
            self.chip.board.send(self.path, tile_port(placed, number), Released(upto))


class Digital:
    """The digital unit's share of one layer: takes its input rows from the feeder, computes row after row exactly."""

    def __init__(self, chip: Chip, placed: Placed, room: int) -> None:
        self.chip, self.placed, self.room = chip, placed, room
        self.path = tile_port(placed, 0)
        self.port = chip.board.port(self.path)
        self.received = self.started = self.released = 0
        self.limit = placed.geometry.E * chip.timesteps

    def serve(self) -> Process:
        """Compute a row as soon as its inputs are there and its output has room."""
        g = self.placed.geometry
        while True:
            message = yield self.port.next()
            if isinstance(message, Ready):
                self.received = message.row.t * g.H + message.row.y + 1
            elif isinstance(message, Stop):
                self.limit = min(self.limit, message.t * g.E)
            else:
                self.released = max(self.released, message.upto)
            while self.started < self.limit and self._may_start():
                row = Row(*divmod(self.started, g.E))
                self.started += 1
                self.chip.board.send(self.path, "digital", (self.placed.name, row))

    def waits(self) -> str:
        """What keeps the next row from starting; empty if all have run."""
        if self.started >= self.limit:
            return ""
        return f"{self.path} waits for input rows or room (output row {self.started})"

    def _may_start(self) -> bool:
        g = self.placed.geometry
        t, y = divmod(self.started, g.E)
        return self.received >= t * g.H + window(g, y)[1] and self.started < self.released + self.room


class DigitalUnit:
    """Multiply-accumulate lanes that all layers declared digital share, row after row."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, "digital"
        self.port = chip.board.port(self.path)

    def serve(self) -> Process:
        """Compute the rows in the order in which they come."""
        chip = self.chip
        lanes = int(chip.machine.parameter("digital", "lanes"))
        while True:
            name, row = yield self.port.next()
            data = chip.data[name]
            g = data.placed.geometry
            psum = np.zeros((g.F, g.M))
            first, channel, value = data.events(row.t)
            weight = np.zeros((g.R * g.S * g.C, g.M)) if data.frozen is None else data.frozen.packed.astype(np.float64)
            done = exact_psums(
                first, channel, value, weight, shape_of(data.placed), row.y * g.F, (row.y + 1) * g.F, psum
            )
            chip.count(name, row.t, "digital", "accumulate", done)
            chip.activity.operations[chip.sample, data.placed.index] += done
            ticks = max(1, -(-done // lanes))
            chip.spend(name, "digital", "busy", ticks)
            chip.touch(name, ticks)
            yield chip.env.timeout(ticks)
            chip.board.send(self.path, "neuron", Sums(name, row, psum))
