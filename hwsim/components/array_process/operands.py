"""Operands of a tile call, one value at a time, and the lines that a stream of words touches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hwsim.kernels.tile import ArrayConfig, TileWork


class Operands:
    """Looks up inputs and weights of a call as a PE sees them."""

    def __init__(self, work: TileWork, config: ArrayConfig, x: np.ndarray, weight: np.ndarray | None) -> None:
        low, high = (0, 2**work.planes - 1) if work.planes > 1 else (-(2**31), 2**31 - 1)
        if work.signed_input and work.planes > 1:
            low, high = -(2 ** (work.planes - 1)), 2 ** (work.planes - 1) - 1
        assert low <= int(x.min()) and int(x.max()) <= high, "an input does not fit its bit planes"
        self.work, self.config, self.x, self.matrix = work, config, x, weight

    def position(self, k: int, pixel: int) -> tuple[int, int, int] | None:
        """(channel, row, column) of the input that output ``pixel`` meets at element k; None in the padding."""
        g = self.work.geometry
        c, rest = divmod(k, g.R * g.S)
        r, s = divmod(rest, g.S)
        e, f = divmod(pixel, g.F)
        y, at = e * g.stride_y - g.pad_y + r * g.dilation_y, f * g.stride_x - g.pad_x + s * g.dilation_x
        return (c, y, at) if 0 <= y < g.H and 0 <= at < g.W else None

    def word_address(self, k: int, pixel: int) -> int | None:
        """Index of the stored word, or None in the padding."""
        place = self.position(k, pixel)
        g = self.work.geometry
        return None if place is None else (place[0] * g.H + place[1]) * g.W + place[2]

    def value(self, t: int, k: int, pixel: int) -> int:
        """The input at timestep t; 0 in the padding."""
        place = self.position(k, pixel)
        return 0 if place is None else int(self.x[min(t, len(self.x) - 1)][place])

    def bit(self, value: int, plane: int) -> int:
        """What a slot of this plane takes of a value: one bit, or the whole word where there is one plane."""
        return value if self.work.planes == 1 else value >> plane & 1

    def plane_weight(self, plane: int) -> int:
        """What a 1 in this plane is worth; the highest plane of signed inputs subtracts."""
        negative = self.work.signed_input and plane == self.work.planes - 1 and plane > 0
        return -(1 << plane) if negative else 1 << plane

    def weight(self, m: int, k: int) -> Any:
        """A weight as a Python number; 1 stands for weights that are not known."""
        return 1 if self.matrix is None else self.matrix[m, k].item()


def touched(words: Iterable[int], word_bits: int, line_bits: int) -> Iterator[int]:
    """Lines that a stream of words reads or writes through one line register, in order."""
    register = None
    for word in words:
        for line in range(word * word_bits // line_bits, ((word + 1) * word_bits - 1) // line_bits + 1):
            if line != register:
                register = line
                yield line


def accesses(words: Iterable[int], word_bits: int, line_bits: int) -> int:
    """How many accesses that stream makes."""
    return sum(1 for _ in touched(words, word_bits, line_bits)) if word_bits else 0


def input_words(work: TileWork, elements: Iterable[tuple[int, int]], pixels: range) -> list[int]:
    """The words that are read for (plane, k) elements and output pixels, in the order of the walk.

    For each plane, channel, kernel row and output row: every word from the leftmost used column to the rightmost one.
    """
    g = work.geometry
    columns: dict[tuple[int, int, int], list[int]] = {}
    for plane, k in elements:
        c, rest = divmod(k, g.R * g.S)
        columns.setdefault((plane, c, rest // g.S), []).append(rest % g.S)
    output_rows: dict[int, list[int]] = {}
    for pixel in pixels:
        output_rows.setdefault(pixel // g.F, []).append(pixel % g.F)
    words = []
    for (_, c, r), used in columns.items():
        for e, places in output_rows.items():
            y = e * g.stride_y - g.pad_y + r * g.dilation_y
            if 0 <= y < g.H:
                left = max(0, min(places) * g.stride_x - g.pad_x + min(used) * g.dilation_x)
                right = min(g.W - 1, max(places) * g.stride_x - g.pad_x + max(used) * g.dilation_x)
                words += [(c * g.H + y) * g.W + at for at in range(left, right + 1)]
    return words
