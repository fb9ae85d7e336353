"""The plan of one sample: which tile runs when, and which blocks each tile needs fetched before and may free after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from hwsim.machines.systolic.layers import LayerWork
from hwsim.machines.systolic.nest import (
    Nest,
    NestShape,
    blocks_of,
    ceil_div,
    channels_of,
    choose,
    footprint_elements,
    scratch_bits,
    units,
)  # fmt: skip

OPERANDS = ("weights", "inputs", "outputs")


@dataclass
class Tile:
    """One buffer fill's work.

    fetch[operand]   room in bits that the operand's block needs before it; absent: the block is there already
    free[operand]    bits of the block that may be overwritten after it
    lasting          operands whose block, fetched for this tile, serves tiles of later timesteps too
    scratch_bits     psums, and membranes that wait in the buffer: held from the first tile of a segment to its last

    The block of 'outputs' holds the outputs and, where membranes wait in DRAM, their membranes.
    """

    layer: int
    group: int
    t0: int
    t1: int
    m0: int
    m1: int
    p0: int
    p1: int
    k0: int
    k1: int
    first_k: bool
    last_k: bool
    block: dict[str, tuple[int, ...]]
    bits: dict[str, int]
    resident: tuple[str, ...] = ()
    fetch: dict[str, int] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)
    lasting: set[str] = field(default_factory=set)
    membrane_in: bool = False
    membrane_out: bool = False
    membrane_dram: bool = False
    membrane_bits: int = 0
    output_bits: int = 0
    output_dram_bits: int = 0
    scratch_bits: int = 0
    first_of_segment: bool = False
    last_of_segment: bool = False
    last_of_layer: bool = False

    @property
    def timestep(self) -> int:
        """The timestep that alone causes this tile, or -1 when it serves several."""
        return self.t0 if self.t1 - self.t0 == 1 else -1


@dataclass(frozen=True)
class Schedule:
    """The layer's place in time: ``outer`` timesteps loop outside the nest, ``inner`` ones inside each tile."""

    work: LayerWork
    nest: Nest
    shape: NestShape
    per_fold: int
    membranes: str
    """'pe', 'buffer' or 'dram': where the membrane waits between tiles of different timesteps."""
    scratch_bits: int
    exits: bool = False
    """Whether the run may stop early, so that outputs are needed at every look."""


def segments(schedules: list[Schedule], timesteps: int, time: str, block: int) -> Iterator[list[Tile]]:
    """Lists of tiles that belong to one layer and one stretch of time, in the order in which the machine runs them."""
    stretch = block if time == "block" else (1 if time == "network" else timesteps)
    for start in range(0, timesteps, stretch):
        end = min(timesteps, start + stretch)
        for schedule in schedules:
            tiles = _segment(schedule, start, end, timesteps, inner=time in ("inner", "block"))
            if schedule.shape.keep_weights:
                _keep_weights(tiles, first=start == 0, last=end == timesteps)
            yield tiles


def _keep_weights(tiles: list[Tile], first: bool, last: bool) -> None:
    """Weights that stay for the whole run are fetched in its first stretch and given up in its last."""
    for tile in tiles:
        if first and "weights" in tile.fetch and not last:
            tile.lasting.add("weights")
        if not first:
            tile.fetch.pop("weights", None)
        if not last:
            tile.free.pop("weights", None)


def _segment(schedule: Schedule, start: int, end: int, timesteps: int, inner: bool) -> list[Tile]:
    """All tiles of one layer for timesteps start:end."""
    spans = [(start, end)] if inner else [(t, t + 1) for t in range(start, end)]
    tiles = [
        tile
        for group in range(schedule.work.groups)
        for t0, t1 in spans
        for tile in _one_pass(schedule, group, t0, t1, timesteps)
    ]
    nest = schedule.nest
    for operand in OPERANDS:
        resident = {"weights": nest.weights_resident, "inputs": nest.inputs_resident}.get(operand, False)
        _mark(tiles, operand, resident)
        if resident:
            for tile in tiles:
                tile.resident += (operand,)
    tiles[0].first_of_segment = tiles[-1].last_of_segment = True
    tiles[0].scratch_bits = tiles[-1].scratch_bits = schedule.scratch_bits
    tiles[-1].last_of_layer = end == timesteps
    return tiles


def _one_pass(schedule: Schedule, group: int, t0: int, t1: int, timesteps: int) -> Iterator[Tile]:
    """The tiles of one pass through the nest, outermost loop first."""
    g, nest = schedule.work.geometry, schedule.nest
    loops = {"m": blocks_of(g.M, nest.m_block), "p": blocks_of(g.P, nest.p_block), "k": blocks_of(g.K, nest.k_block)}
    for ranges in product(*(loops[name] for name in nest.order)):
        yield _tile(schedule, group, t0, t1, timesteps, dict(zip(nest.order, ranges, strict=True)))


def _tile(schedule: Schedule, group: int, t0: int, t1: int, timesteps: int, at: dict[str, tuple[int, int]]) -> Tile:
    work, g = schedule.work, schedule.work.geometry
    (m0, m1), (p0, p1), (k0, k1) = at["m"], at["p"], at["k"]
    stored_once = work.constant_input
    weight_key = (group, m0, k0)
    word = work.word_bits(t1 - t0)
    input_key: tuple[int, ...] = (group,) if stored_once else (group, t0)
    input_bits = g.C * g.H * g.W * word
    if not schedule.nest.inputs_resident:
        input_key = (*input_key, p0, k0)
        input_bits = footprint_elements(g, p0, p1) * channels_of(g, k0, k1) * word
    tile = Tile(
        work.index,
        group,
        t0,
        t1,
        m0,
        m1,
        p0,
        p1,
        k0,
        k1,
        k0 == 0,
        k1 == g.K,
        {"weights": weight_key, "inputs": input_key, "outputs": (group, m0, p0, t0)},
        {"weights": (m1 - m0) * (k1 - k0) * work.weight_bits, "inputs": input_bits, "outputs": 0},
    )
    _outputs(schedule, tile, timesteps)
    return tile


def _outputs(schedule: Schedule, tile: Tile, timesteps: int) -> None:
    """What the tile's block of outputs holds and writes, and the membranes it moves."""
    work, size = schedule.work, (tile.m1 - tile.m0) * (tile.p1 - tile.p0)
    spans = (tile.t1 - tile.t0) if work.neuron != "none" else 1
    # an accumulated output stays in the PEs until the last timestep
    kept = work.neuron == "none" and tile.t1 < timesteps and not schedule.exits
    pixels = work.pooled(tile.p1)[-1] - work.pooled(tile.p0)[-1]
    tile.output_bits = 0 if kept else size * work.output_bits * spans
    tile.output_dram_bits = 0 if kept else (tile.m1 - tile.m0) * pixels * work.drained_bits * spans
    if work.spiking and schedule.membranes != "pe":
        tile.membrane_in, tile.membrane_out = tile.t0 > 0, tile.t1 < timesteps
        if schedule.membranes == "dram":
            held = units(schedule.shape, tile.m1) - units(schedule.shape, tile.m0)
            tile.membrane_bits = held * (tile.p1 - tile.p0) * schedule.shape.membrane_bits
    tile.bits["outputs"] = tile.output_bits + tile.membrane_bits


def _mark(tiles: list[Tile], operand: str, resident: bool) -> None:
    """A streamed block is fetched by the first of the consecutive tiles that use it and freed by the last; a resident
    one by the first and last of all tiles that use it."""
    last: dict[tuple[int, ...], Tile] = {}
    fetcher: dict[tuple[int, ...], Tile] = {}
    previous: Tile | None = None
    for tile in tiles:
        key = tile.block[operand]
        new = key not in last if resident else previous is None or previous.block[operand] != key
        if new:
            tile.fetch[operand] = tile.bits[operand]
            fetcher[key] = tile
        elif fetcher[key].t0 != tile.t0:
            fetcher[key].lasting.add(operand)
        if resident:
            last[key] = tile
        elif new and previous is not None:
            previous.free[operand] = previous.bits[operand]
        previous = tile
    if previous is not None and not resident:
        last = {(): previous}
    for tile in last.values():
        tile.free[operand] = tile.free.get(operand, 0) + tile.bits[operand]


def schedule_layer(
    work: LayerWork, shape: NestShape, per_fold: int, membranes: str, where: str, exits: bool
) -> Schedule:
    """Choose the nest of one layer and say where its membranes wait ('move': in the buffer if the nest holds them)."""
    nest = choose(shape, where)
    scratch = int(
        scratch_bits(
            shape, np.array(nest.m_block), np.array(nest.p_block), np.array(ceil_div(work.geometry.K, nest.k_block))
        )
    )
    if membranes == "move":
        membranes = "buffer" if nest.membranes_in_buffer else "dram"
        if nest.membranes_in_buffer:
            scratch += units(shape, work.geometry.M) * work.geometry.P * shape.membrane_bits
    return Schedule(work, nest, shape, per_fold, membranes, scratch, exits)
