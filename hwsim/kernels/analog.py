"""Psums of analog arrays: the one place where a vector is read (converted currents, digital correction).

A layer has K rows in packed order (k = tap x C + c) and M filters; a filter's weight has slices x polarities cells,
each in a column of its own that is converted by itself: column q = (slice x polarities + polarity) x M + m. Rows are
cut into blocks of at most one array's rows. A read takes the active rows of one block, for one output pixel and one
bit plane of the input: per column

    current = sum of g over the active rows  (+ sqrt(sum of variances) x draw, rounded to the current's grid)
    code    = rint(current), half to even, clipped to 0 .. codes
    psum   += 2^plane x code x unit;   psum -= 2^plane x sum of the correction over the active rows

A block without active rows adds nothing and draws nothing. The draw of a read stands at the index
(pixel x blocks + block) x Q + q of the key of (sample, timestep, plane). Where the current is no sum over rows (silent
rows open, cells that are not ohmic), every read of an array is solved (``hwsim.kernels.analog_solved``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.grid import to_grid
from hwsim.kernels import analog_reads as reads
from hwsim.kernels import analog_solved as solved
from hwsim.kernels.gaussian import plain_gaussians
from hwsim.network.kernels import Shape

NOTHING = np.zeros((0, 0))


class Analog(NamedTuple):
    """One layer's programmed arrays, all columns. Arrays are C-contiguous and writeable; float64 where not said.

    Everything stands on its grid: sums of K currents, and all psums, are exact.
    """

    g: np.ndarray
    """[K, Q] column current of one active row, in LSB of its ADC (without ADC: in units that ``unit`` turns into
    weights); gain, read voltage and LSB included. Shape (0, 0): reads are solved, or, without ``solve``, the cells are
    unknown and no psums can be had."""
    unit: np.ndarray
    """[blocks, Q] weight units that one code is worth, sign included."""
    correction: np.ndarray
    """[K, M] weight units subtracted per active row (encoding, cells at g_min); shape (0, 0) where there is nothing."""
    block_of: np.ndarray
    """[K] int32 row block of each row."""
    blocks: int
    polarities_slices: int
    """Converted columns per filter, Q / M."""
    codes: int
    """Largest ADC code; 0: no converter, the current is used as it is, rounded to ``current_grid``."""
    noise: np.ndarray
    """[K, Q] variance of the read noise per active row, LSB^2; shape (0, 0) where there is none."""
    current_grid: float
    """Power of two to which a noisy, unconverted or solved current is rounded."""
    position_of: np.ndarray
    """[K] int32 row inside its array."""
    polarities: int
    """Columns of one weight in one array: 2 for a differential pair, else 1."""
    solve: solved.Solve | None
    """Arrays that are solved read by read; None: the silent rows of linear arrays are grounded, currents are sums of
    ``g``."""

    @property
    def filters(self) -> int:
        """M."""
        return self.unit.shape[1] // self.polarities_slices

    @property
    def slices(self) -> int:
        """Arrays that hold a weight."""
        return self.polarities_slices // self.polarities

    @property
    def columns(self) -> reads.Columns:
        """What numba kernels read."""
        return reads.Columns(self.g, self.unit, self.correction, self.noise, self.blocks, self.polarities_slices,
                             float(self.codes), float(self.current_grid))  # fmt: skip


class Events(NamedTuple):
    """Nonzero inputs of a layer (``hwsim.network.kernels.list_events``), of the dtypes that kernels know."""

    first: np.ndarray
    """[T, pixels + 1] int64."""
    channel: np.ndarray
    """int32."""
    value: np.ndarray
    """int32, >= 0."""


def events_of(first: np.ndarray, channel: np.ndarray, value: np.ndarray) -> Events:
    """Events as kernels take them; ``first`` may be of one timestep."""
    as_int32 = (np.ascontiguousarray(part, dtype=np.int32) for part in (channel, value))
    return Events(np.ascontiguousarray(np.atleast_2d(first), dtype=np.int64), *as_int32)


def check_analog(analog: Analog, shape: Shape) -> None:
    """Our own mistakes: shapes that do not fit, dtypes and layouts for which kernels would be compiled once more."""
    rows, columns = len(analog.block_of), analog.unit.shape[1]
    assert shape.groups == 1 and rows == shape.rows * shape.columns * shape.channels, (shape, rows)
    assert analog.filters == shape.filters and columns == analog.polarities_slices * shape.filters, shape
    assert analog.polarities_slices % analog.polarities == 0, analog.polarities
    wanted = {"g": (rows, columns), "unit": (analog.blocks, columns), "correction": (rows, shape.filters),
              "noise": (rows, columns)}  # fmt: skip
    if analog.solve is not None:
        solved.check_solve(analog, shape.filters)
    for name, size in wanted.items():
        part = getattr(analog, name)
        assert part.shape == size or (name != "unit" and part.shape == (0, 0)), (name, part.shape, size)
        assert part.dtype == np.float64 and part.flags.c_contiguous and part.flags.writeable, name
    assert analog.block_of.dtype == np.int32 and analog.block_of.flags.writeable, "block_of"


def layer_psums(analog: Analog, first: np.ndarray, channel: np.ndarray, value: np.ndarray, shape: Shape, planes: int,
                out: np.ndarray, keys: np.ndarray) -> int:  # fmt: skip
    """Psums of a layer, all pixels and timesteps; returns how many conversions were clipped. Releases the GIL.

    first, channel, value   ``list_events`` of the input; one timestep stands for all where it is constant
    planes  bits of the input values, fed one after the other
    out     [T, P, M] float64, overwritten
    keys    [T, planes] uint64 (``hwsim.rng.draw_key``); not looked at without noise
    """
    check_analog(analog, shape)
    assert analog.g.size or analog.solve is not None, "the cells of this layer are not known"
    window = reads.Window(0, shape.out_height * shape.out_width, 0, shape.filters)
    out[:] = 0.0
    every = np.arange(analog.blocks, dtype=np.int32)
    return read_window(analog, events_of(first, channel, value), shape, planes, keys, window, every, out)[0]


def read_window(analog: Analog, events: Events, shape: Shape, planes: int, keys: np.ndarray, window: reads.Window,
                wanted: np.ndarray, out: np.ndarray) -> tuple[int, np.ndarray]:  # fmt: skip
    """Read the blocks ``wanted`` (int32, ascending) of the pixels and filters of ``window``, added to ``out``
    [T, p1 - p0, m1 - m0] (left alone where the cells are not known).

    Returns (conversions clipped, active rows int64 [planes, T, p1 - p0, wanted] with T of the input).
    """
    given, pixels, slots = len(events.first), window.p1 - window.p0, len(wanted)
    slot_of = np.full(analog.blocks, -1, dtype=np.int32)
    slot_of[wanted] = np.arange(slots, dtype=np.int32)
    active = np.empty((planes, given, pixels, slots), dtype=np.int64)
    draws = _plane_keys(keys, planes, len(out), analog.noise.size > 0)
    clipped = 0
    for plane in range(planes):
        starts, rows = reads.bucket_rows(*events, shape, plane, analog.block_of, slot_of, slots, window.p0, window.p1)
        active[plane] = (starts[1:] - starts[:-1]).reshape(given, pixels, slots)
        rest = starts, rows, given, wanted, window, 2.0**plane, draws[plane], out
        if analog.solve is not None:
            clipped += solved.read_all(analog, *rest)
        elif analog.g.size:
            clipped += reads.read_all(analog.columns, *rest)
    return int(clipped), active


def _plane_keys(keys: np.ndarray, planes: int, times: int, needed: bool) -> np.ndarray:
    """[planes, T] uint64, contiguous."""
    if not needed:
        return np.zeros((planes, times), dtype=np.uint64)
    assert keys.shape == (times, planes) and keys.dtype == np.uint64, (keys.shape, keys.dtype)
    return np.ascontiguousarray(keys.T)


def histogram_currents(analog: Analog, first: np.ndarray, channel: np.ndarray, value: np.ndarray, shape: Shape,
                       planes: int, top: np.ndarray, counts: np.ndarray) -> None:  # fmt: skip
    """Add the column currents, free of noise, of all reads with active rows to a histogram, for choosing ADC ranges.

    top     [slices x polarities] float64 > 0, in the unit of ``g``: the bins share 0 .. top; what lies above is
            counted in the last bin
    counts  [slices x polarities, bins] int64, added to
    """
    check_analog(analog, shape)
    events, pixels = events_of(first, channel, value), shape.out_height * shape.out_width
    every = np.arange(analog.blocks, dtype=np.int32)
    for plane in range(planes):
        starts, rows = reads.bucket_rows(*events, shape, plane, analog.block_of, every, analog.blocks, 0, pixels)
        cells = len(events.first) * pixels
        if analog.solve is not None:
            solved.count_all(analog, starts, rows, every, top, counts)
        else:
            reads.count_all(analog.columns, starts, rows, cells, every, top, counts)


def row_activations(block_of: np.ndarray, events: Events, shape: Shape, planes: int) -> np.ndarray:
    """int64 [K]: in how many reads of a layer's ``events`` each row is active."""
    pixels, total = shape.out_height * shape.out_width, np.zeros(len(block_of), dtype=np.int64)
    one, slot = np.zeros_like(block_of), np.zeros(1, dtype=np.int32)
    for plane in range(planes):
        starts, rows = reads.bucket_rows(*events, shape, plane, one, slot, 1, 0, pixels)
        total += np.bincount(rows[: starts[-1]], minlength=len(total))
    return total


def plain_psums(analog: Analog, first: np.ndarray, channel: np.ndarray, value: np.ndarray, shape: Shape, planes: int,
                out: np.ndarray, keys: np.ndarray) -> int:  # fmt: skip
    """``layer_psums`` by plain NumPy, read after read: its witness, equal bit for bit."""
    out[:] = 0.0
    first, clipped = np.atleast_2d(first), 0
    for t in range(len(out)):
        x = np.zeros((shape.height * shape.width, shape.channels), dtype=np.int64)
        own = first[min(t, len(first) - 1)]
        for pixel in range(len(x)):
            x[pixel, channel[own[pixel] : own[pixel + 1]]] = value[own[pixel] : own[pixel + 1]]
        for pixel in range(shape.out_height * shape.out_width):
            patch = plain_patch(x, shape, pixel)
            for plane in range(planes):
                active = np.flatnonzero(patch >> plane & 1)
                for block in np.unique(analog.block_of[active]):
                    rows = active[analog.block_of[active] == block]
                    key = keys[t, plane] if analog.noise.size else np.uint64(0)
                    psum, over = plain_read(analog, rows, int(block), pixel, key)
                    out[t, pixel] += 2.0**plane * psum
                    clipped += over
    return clipped


def plain_patch(x: np.ndarray, shape: Shape, pixel: int) -> np.ndarray:
    """Inputs [K] under the kernel at an output pixel, in packed order; 0 in the padding. x [H W, C] integers."""
    e, f = divmod(pixel, shape.out_width)
    patch = np.zeros((shape.rows * shape.columns, shape.channels), dtype=np.int64)
    for tap in range(len(patch)):
        y = e * shape.stride_y - shape.pad_y + tap // shape.columns * shape.dilation_y
        column = f * shape.stride_x - shape.pad_x + tap % shape.columns * shape.dilation_x
        if 0 <= y < shape.height and 0 <= column < shape.width:
            patch[tap] = x[y * shape.width + column]
    return patch.reshape(-1)


def plain_read(analog: Analog, rows: np.ndarray, block: int, pixel: int, key: np.uint64) -> tuple[np.ndarray, int]:
    """(psum [M] of one read, conversions clipped)."""
    current = plain_currents(analog, rows, block)
    if analog.noise.size:
        index = (pixel * analog.blocks + block) * current.size + np.arange(current.size)
        deviation = np.sqrt(analog.noise[rows].sum(axis=0))
        current = to_grid(current + deviation * plain_gaussians(key, index), analog.current_grid)
    code, over = to_grid(current, analog.current_grid), 0
    if analog.codes:
        code = np.clip(np.rint(current), 0, analog.codes)
        over = int((code != np.rint(current)).sum())
    psum = (code * analog.unit[block]).reshape(analog.polarities_slices, -1).sum(axis=0)
    return psum - analog.correction[rows].sum(axis=0) if analog.correction.size else psum, over


def plain_currents(analog: Analog, rows: np.ndarray, block: int) -> np.ndarray:
    """[Q] column currents of one read, free of noise."""
    if analog.solve is None:
        return np.asarray(analog.g[rows].sum(axis=0))
    return solved.block_currents(analog, rows, block, 0, analog.filters).reshape(-1)
