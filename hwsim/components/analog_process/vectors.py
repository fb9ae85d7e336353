"""What a tile call reads, vector by vector: operands that the parts of a PE look at, looked up the plain way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwsim.kernels.analog import Analog, plain_patch
from hwsim.kernels.analog_tile import TileConfig, TileWork, skips


@dataclass(frozen=True)
class Vector:
    """One bit plane of one pixel's input."""

    index: int
    pixel: int
    plane: int
    active: dict[int, list[int]]
    """Row block -> rows k whose bit is set."""
    reading: tuple[int, ...]
    """Row blocks that are read; none: the vector is found empty and skipped."""


class Vectors:
    """All vectors of a call in order, and what the lines between the parts make known about them."""

    def __init__(self, work: TileWork, config: TileConfig, analog: Analog) -> None:
        self.work, self.config, self.analog = work, config, analog
        self.blocks: list[int] = work.blocks.tolist()
        self.rows = {block: np.flatnonzero(analog.block_of == block).tolist() for block in self.blocks}
        for block, rows in self.rows.items():
            assert len(rows) == work.rows_in_block[block], f"block {block} has {len(rows)} rows"
        x = self._dense()
        self.patches = [plain_patch(x, work.shape, pixel).tolist() for pixel in range(work.p0, work.p1)]
        self.all = [
            self._vector(number, *divmod(number, work.planes)) for number in range(len(self.patches) * work.planes)
        ]
        read = [vector for vector in self.all if vector.reading]
        self.before = {after.index: before.index for before, after in pairwise(read)}
        """Index of a vector -> that of the one read before it."""
        self.closing = {vector.pixel: vector.index for vector in [*self.all, *read]}
        """Pixel -> its last vector that is read, or if none is, its last vector."""

    def arrays(self, index: int) -> int:
        """How many arrays a vector is read in."""
        return len(self.all[index].reading) * self.analog.slices

    def lines(self, block: int, pixel: int) -> int:
        """Buffer lines that hold the input of a block at a pixel; none where its only kernel tap is in the padding."""
        work = self.work
        taps = {k // work.shape.channels for k in self.rows[block]}
        if len(taps) == 1 and not self._inside(taps.pop(), work.p0 + pixel):
            return 0
        return len({bit // self.config.line_bits for bit in range(len(self.rows[block]) * work.planes)})

    def _vector(self, index: int, pixel: int, plane: int) -> Vector:
        patch = self.patches[pixel]
        active = {block: [k for k in rows if patch[k] >> plane & 1] for block, rows in self.rows.items()}
        skipped = self.config.zero_vectors == "skipped"
        if skips(skipped, sum(len(rows) for rows in active.values())):
            return Vector(index, pixel, plane, active, ())
        reading = tuple(block for block, rows in active.items() if not skips(skipped, len(rows)))
        return Vector(index, pixel, plane, active, reading)

    def _dense(self) -> np.ndarray:
        """The timestep's input [H W, C]."""
        work = self.work
        x = np.zeros((work.shape.height * work.shape.width, work.shape.channels), dtype=np.int64)
        for pixel in range(len(x)):
            for i in range(work.first[pixel], work.first[pixel + 1]):
                x[pixel, work.channel[i]] = work.value[i]
        return x

    def _inside(self, tap: int, pixel: int) -> bool:
        shape = self.work.shape
        e, f = divmod(pixel, shape.out_width)
        r, s = divmod(tap, shape.columns)
        y = e * shape.stride_y - shape.pad_y + r * shape.dilation_y
        x = f * shape.stride_x - shape.pad_x + s * shape.dilation_x
        return 0 <= y < shape.height and 0 <= x < shape.width
