"""How layers are laid onto arrays, PEs and tiles.

A layer's matrix has K rows in packed order (kernel tap x channel) and M columns. Row blocks and column blocks of at
most X make arrays, one per slice of a weight; a PE is what reads one output pixel at a time: all kernel taps of one
channel block (scheme ``kernel``), or one row block (``im2col``, linear layers), of one column block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.physics.encoding import WEIGHT_BITS, slices_of
from hwsim.workload.model import Geometry, Layer, Workload

MAXIMUM_PLANES = 16


@dataclass(frozen=True)
class Pe:
    """One analog tile: the row blocks ``blocks`` of columns m0 .. m1, all slices."""

    blocks: tuple[int, ...]
    m0: int
    m1: int
    channels: tuple[int, int]
    """Input channels [first, last) that it reads."""


@dataclass(frozen=True)
class Tile:
    """The PEs ``pes`` (indices into the layer's) of one copy of a layer; ``node`` is the tile's number on the chip."""

    node: int
    copy: int
    pes: tuple[int, ...]
    channels: tuple[int, int]
    share: int = 1
    """How many layers' PEs share the tile and so its buffer."""


@dataclass(frozen=True)
class Placed:
    """One weighted layer on the machine. ``index`` counts weighted layers; ``tiles`` is empty where it is digital."""

    index: int
    layer: Layer
    geometry: Geometry
    planes: int
    block_of: np.ndarray = field(repr=False)
    """[K] int32, packed order."""
    position_of: np.ndarray = field(repr=False)
    """[K] int32: row inside the array."""
    blocks: int
    pes: tuple[Pe, ...] = field(repr=False)
    tiles: tuple[Tile, ...] = field(repr=False)
    copies: int
    weight_bits: int
    slices: int

    @property
    def name(self) -> str:
        """Name of the layer in the workload."""
        return self.layer.name

    @property
    def digital(self) -> bool:
        """Whether it is computed by the digital unit."""
        return not self.tiles

    @property
    def column_blocks(self) -> int:
        """Column blocks of the layer."""
        return len({pe.m0 for pe in self.pes})

    @property
    def arrays(self) -> int:
        """Crossbars of all copies."""
        return self.copies * self.slices * sum(len(pe.blocks) for pe in self.pes)

    def rows_of_block(self) -> np.ndarray:
        """[blocks] int64: rows in use."""
        return np.bincount(self.block_of, minlength=self.blocks).astype(np.int64)


def row_blocks(geometry: Geometry, size: int, scheme: str) -> tuple[np.ndarray, np.ndarray, int]:
    """(block of each row, position in its array, blocks) of the rows in packed order, for arrays of ``size`` rows."""
    g = geometry
    taps, channels = g.R * g.S, g.C
    tap, channel = np.divmod(np.arange(taps * channels), channels)
    if scheme == "kernel":
        per_tap = -(-channels // size)
        block, position = tap * per_tap + channel // size, channel % size
        return block.astype(np.int32), position.astype(np.int32), taps * per_tap
    order = channel * taps + tap
    return (order // size).astype(np.int32), (order % size).astype(np.int32), -(-taps * channels // size)


def make_pes(
    geometry: Geometry, rows: int, weights_per_array: int, scheme: str, block_of: np.ndarray
) -> tuple[Pe, ...]:
    """The PEs of one copy of a layer, column block by column block."""
    g = geometry
    columns = [(m, min(m + weights_per_array, g.M)) for m in range(0, g.M, weights_per_array)]
    if scheme == "kernel" and g.R * g.S > 1:
        per_tap = -(-g.C // rows)
        groups = [
            (tuple(tap * per_tap + part for tap in range(g.R * g.S)), (part * rows, min((part + 1) * rows, g.C)))
            for part in range(per_tap)
        ]
    else:
        groups = []
        for block in range(int(block_of.max()) + 1):
            used = np.flatnonzero(block_of == block) % g.C
            groups.append(((block,), (int(used.min()), int(used.max()) + 1)))
    return tuple(Pe(blocks, m0, m1, channels) for m0, m1 in columns for blocks, channels in groups)


@dataclass
class Room:
    """Hands out tiles; PEs of different layers meet in one only where tiles are shared."""

    pes_per_tile: int
    shared: bool
    tiles: int = 0
    free: int = 0
    users: dict[int, int] = field(default_factory=dict)

    def place(self, pes: tuple[Pe, ...], copy: int) -> list[Tile]:
        """Tiles for one copy of a layer."""
        if not self.shared:
            self.free = 0
        made, start = [], 0
        while start < len(pes):
            if self.free == 0:
                self.tiles, self.free = self.tiles + 1, self.pes_per_tile
            taken = tuple(range(start, min(start + self.free, len(pes))))
            self.free -= len(taken)
            start += len(taken)
            node = self.tiles - 1
            self.users[node] = self.users.get(node, 0) + 1
            low = min(pes[index].channels[0] for index in taken)
            made.append(Tile(node, copy, taken, (low, max(pes[index].channels[1] for index in taken))))
        return made


@dataclass(frozen=True)
class Plan:
    """All layers of a workload on a machine, and how many tiles they take."""

    layers: tuple[Placed, ...]
    tiles: int


def plan(
    workload: Workload,
    mapping: Mapping[str, object],
    *,
    rows: int,
    columns: int,
    polarities: int,
    cell_bits: int,
    layers: tuple[int, int] | None,
    where: str,
) -> Plan:
    """Lay out the weighted layers [A, B). Raises SpecError for all that the machine cannot take."""
    problems: list[Problem] = []
    room = Room(int(mapping["pes_per_tile"]), bool(mapping["share_tiles"]))  # type: ignore[call-overload]
    replication: Mapping[str, int] = mapping["replication"]  # type: ignore[assignment]
    _check_replication(workload, replication, where, problems)
    first, last = layers or (0, len(workload.weighted))
    placed: list[Placed] = []
    for index, layer in enumerate(workload.weighted[first:last], start=first):
        edge = workload.input_edge(layer)
        place = f"{workload.name}: layer {layer.name}"
        planes = max(1, edge.bits)
        if edge.signed or edge.kind == "current" or planes > MAXIMUM_PLANES:
            problems.append(
                Problem(place, f"input is a {edge.kind} edge of {edge.bits} bits{', signed' * edge.signed}; "
                        f"row drivers take unsigned integers of 1 to {MAXIMUM_PLANES} bits")
            )  # fmt: skip
        if layer.geometry.groups > 1:
            problems.append(Problem(place, "grouped convolutions are not mapped onto crossbars",
                                    "Each group would need arrays of its own, mostly empty."))  # fmt: skip
        bits = layer.weights.bits if layer.weights is not None else 8
        item = _place(index, layer, planes, bits, mapping, room, (rows, columns, polarities, cell_bits))
        placed.append(item)
        if bits > WEIGHT_BITS[1] and not item.digital:
            problems.append(Problem(place, f"has float weights; cells hold integers of {WEIGHT_BITS[0]} to "
                                    f"{WEIGHT_BITS[1]} bits", "Export the network with quantised weights, such as int8 "
                                    "and a scale per channel."))  # fmt: skip
    if problems:
        raise SpecError(problems)
    return Plan(tuple(_with_shares(placed, room)), room.tiles)


def _place(index, layer, planes, bits, mapping, room, array) -> Placed:  # type: ignore[no-untyped-def]
    rows, columns, polarities, cell_bits = array
    g = layer.geometry
    scheme = mapping["scheme"]
    block_of, position_of, blocks = row_blocks(g, rows, scheme)
    pes = make_pes(g, rows, columns // polarities, scheme, block_of)
    copies = mapping["replication"].get(layer.name, 1)
    digital = (index == 0 and mapping["first_layer"] == "digital") or (
        layer.op == "linear" and mapping["linear"] == "digital"
    )
    tiles = [] if digital else [tile for copy in range(copies) for tile in room.place(pes, copy)]
    slices = slices_of(bits, cell_bits, mapping["encoding"])
    return Placed(index, layer, g, planes, block_of, position_of, blocks, pes, tuple(tiles), copies, bits, slices)


def _with_shares(placed: list[Placed], room: Room) -> Iterator[Placed]:
    for item in placed:
        tiles = tuple(Tile(t.node, t.copy, t.pes, t.channels, room.users[t.node]) for t in item.tiles)
        yield Placed(**(vars(item) | {"tiles": tiles}))


def _check_replication(workload: Workload, replication: Mapping[str, int], where: str, problems: list[Problem]) -> None:
    names = [layer.name for layer in workload.weighted]
    for name in replication:
        if name not in names:
            problems.append(
                Problem(
                    where, f"replication of unknown layer '{name}'", did_you_mean(name, names, "Layers with weights")
                )
            )
