"""Random programmed layers, events and tile calls, small enough for the depth ``process``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.grid import to_grid
from hwsim.kernels.analog import Analog
from hwsim.kernels.analog_solved import OHMIC, Solve, names_of
from hwsim.kernels.analog_tile import TileConfig, TileState, TileWork
from hwsim.network.kernels import Shape, list_events
from hwsim.rng import draw_key

NONE = np.zeros((0, 0))
GRID = 2.0**-30
OHM = (1e3, 5.0, 10.0, 1e3)
KINDS = ((True, OHMIC), (False, "sinh"), (True, "cubic"))
"""(gated, law) of arrays that are solved per read."""
Case = tuple[TileWork, TileConfig, Analog, TileState]


@dataclass
class Layer:
    """A layer in its arrays and an input for it; ``pes``: (blocks, m0, m1) of each PE."""

    shape: Shape
    analog: Analog
    planes: int
    x: np.ndarray
    """[T, H W, C]."""
    keys: np.ndarray
    """[T, planes] uint64."""
    pes: list[tuple[np.ndarray, int, int]]

    @property
    def events(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return list_events(self.x, np.empty(0, dtype=np.int32))

    @property
    def pixels(self) -> int:
        return self.shape.out_height * self.shape.out_width

    def work(self, pe: tuple[np.ndarray, int, int], t: int, p0: int, p1: int) -> TileWork:
        first, channel, value = self.events
        blocks, m0, m1 = pe
        rows = np.bincount(self.analog.block_of, minlength=self.analog.blocks).astype(np.int64)
        return TileWork(self.shape, first[min(t, len(first) - 1)], channel, value, self.planes, p0, p1, blocks, rows,
                        m0, m1, self.keys[t], bool(self.analog.correction.size))  # fmt: skip


def random_shape(rng: np.random.Generator) -> Shape:
    def small(high: int) -> int:
        return int(rng.integers(1, high + 1))

    c, m, rows, columns = small(6), small(5), small(3), small(3)
    stride, dilation = (small(2), small(2)), (small(2), small(2))
    pad = int(rng.integers(0, 2)), int(rng.integers(0, 2))
    height, width = (1 + (kernel - 1) * d + int(rng.integers(0, 3)) for kernel, d in
                     zip((rows, columns), dilation, strict=True))  # fmt: skip
    out = [(size + 2 * p - d * (kernel - 1) - 1) // s + 1 for size, p, d, kernel, s in
           zip((height, width), pad, dilation, (rows, columns), stride, strict=True)]  # fmt: skip
    return Shape(c, height, width, m, rows, columns, *stride, *pad, *dilation, 1, *out)


def row_blocks(shape: Shape, size: int, by_tap: bool) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """(block of each row, position in its array, blocks of each PE), both mappings written out row by row."""
    taps, channels = shape.rows * shape.columns, shape.channels
    per_tap = -(-channels // size)
    block_of, position = np.empty(taps * channels, np.int32), np.empty(taps * channels, np.int32)
    for tap in range(taps):
        for c in range(channels):
            place = c if by_tap else c * taps + tap
            block_of[tap * channels + c] = (tap * per_tap if by_tap else 0) + place // size
            position[tap * channels + c] = place % size
    if not by_tap:
        return block_of, position, [[block] for block in range(int(block_of.max()) + 1)]
    return block_of, position, [[tap * per_tap + part for tap in range(taps)] for part in range(per_tap)]


def random_solve(rng: np.random.Generator, kind: tuple[bool, str], shape: Shape, blocks: int, size: int, groups: int,
                 polarities: int) -> Solve:  # fmt: skip
    """Whole arrays of cells that are far from linear at the voltage they are read with; unused cells conduct too."""
    arrays = blocks * -(-shape.filters // (size // polarities))
    stored = rng.uniform(5e-6, 5e-5, (arrays, groups // polarities, size, size))
    lsb = rng.uniform(2e4, 1e5, (blocks, groups * shape.filters))
    gated, law = kind
    return Solve(stored, names_of(stored), OHM, lsb, gated, law, v0=0.0 if law == OHMIC else 0.3, volts=0.4)


def random_layer(rng: np.random.Generator, solved: float = 0.2) -> Layer:
    """A layer with every option drawn; all its numbers are on grids. ``solved``: share of layers solved per read."""
    shape, size = random_shape(rng), int(rng.integers(2, 6))
    polarities = int(rng.integers(1, 3))
    groups, planes, times = polarities * int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    block_of, position, parts = row_blocks(shape, size, bool(rng.random() < 0.6))
    rows, blocks, columns = len(block_of), int(block_of.max()) + 1, groups * shape.filters
    codes = int(rng.choice([0, 3, 7, 40]))
    kind = KINDS[int(rng.integers(0, len(KINDS)))] if rng.random() < solved else None
    noisy = bool(rng.random() < 0.5)
    g = to_grid(rng.uniform(-0.1, 5, (rows, columns)), float(rng.choice([GRID, 0.5])))  # 0.5: ties in rounding
    analog = Analog(
        g=g if kind is None else NONE,
        unit=to_grid(rng.normal(size=(blocks, columns)), 2.0**-16),
        correction=to_grid(rng.normal(size=(rows, shape.filters)), 2.0**-20) if rng.random() < 0.6 else NONE,
        block_of=block_of, blocks=blocks, polarities_slices=groups, codes=codes,
        noise=to_grid(rng.uniform(0, 1, (rows, columns)), GRID) if noisy else NONE, current_grid=2.0**-20,
        position_of=position, polarities=polarities,
        solve=None if kind is None else random_solve(rng, kind, shape, blocks, size, groups, polarities),
    )  # fmt: skip
    density = rng.choice([0.05, 0.2, 0.6])
    x = rng.integers(1, 2**planes, (times, shape.height * shape.width, shape.channels))
    x[rng.random(x.shape) > density] = 0
    keys = np.array([[draw_key(5, "read", 0, t, plane) for plane in range(planes)] for t in range(times)])
    width = size // polarities
    spans = [(m, min(m + width, shape.filters)) for m in range(0, shape.filters, width)]
    pes = [(np.array(part, dtype=np.int32), m0, m1) for part in parts for m0, m1 in spans]
    return Layer(shape, analog, planes, x, keys, pes)


def random_config(rng: np.random.Generator) -> TileConfig:
    ticks = [int(rng.integers(1, 5)) for _ in range(4)]
    return TileConfig(*ticks, adcs=int(rng.integers(1, 5)), sample_hold=bool(rng.integers(0, 2)),
                      zero_vectors=["read", "skipped"][int(rng.integers(0, 2))], line_bits=int(rng.integers(1, 9)))  # type: ignore[arg-type]  # fmt: skip


def random_cases(seed: int, number: int) -> Iterator[Case]:
    """Tile calls with random entry states."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        layer = random_layer(rng)
        p0 = int(rng.integers(0, layer.pixels))
        p1 = int(rng.integers(p0 + 1, min(layer.pixels, p0 + 6) + 1))
        pe = layer.pes[int(rng.integers(0, len(layer.pes)))]
        state = TileState(int(rng.integers(0, 30)) * int(rng.integers(0, 2)))
        yield layer.work(pe, int(rng.integers(0, len(layer.x))), p0, p1), random_config(rng), layer.analog, state
