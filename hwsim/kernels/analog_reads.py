"""Reads of analog arrays: numba kernels behind ``hwsim.kernels.analog`` and the analog tile call.

The active rows of every (timestep, output pixel) are first sorted by row block; then block after block is read for all
timesteps and pixels, so that its cells stay in the cache. All sums are exact (``hwsim.grid``): their order is free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.kernels.gaussian import fill_gaussians

ROOM = 3
"""Rows of float64 that a read works in: current, variance (then uniform), draw."""


class Columns(NamedTuple):
    """What a read needs of an ``Analog``; see there."""

    g: np.ndarray
    unit: np.ndarray
    correction: np.ndarray
    noise: np.ndarray
    blocks: int
    groups: int
    codes: float
    current_grid: float


class Window(NamedTuple):
    """Which part of a layer is read: output pixels p0 .. p1, filters m0 .. m1. All int."""

    p0: int
    p1: int
    m0: int
    m1: int


@njit(nogil=True)
def active_rows(first, channel, value, shape, pixel, plane, found):  # type: ignore[no-untyped-def]
    """Packed rows (tap x C + c), ascending, under the kernel at output ``pixel`` whose bit ``plane`` is set; their
    number. first [pixels + 1] of one timestep; writes ``found``."""
    n = 0
    e, f = pixel // shape.out_width, pixel % shape.out_width
    for r in range(shape.rows):
        y = e * shape.stride_y - shape.pad_y + r * shape.dilation_y
        if y < 0 or y >= shape.height:
            continue
        for s in range(shape.columns):
            x = f * shape.stride_x - shape.pad_x + s * shape.dilation_x
            if x < 0 or x >= shape.width:
                continue
            base = (r * shape.columns + s) * shape.channels
            place = y * shape.width + x
            for i in range(first[place], first[place + 1]):
                found[n] = base + channel[i]
                n += (value[i] >> plane) & 1
    return n


@njit(nogil=True)
def bucket_rows(first, channel, value, shape, plane, block_of, slot_of, slots, p0, p1):  # type: ignore[no-untyped-def]
    """Active rows of bit ``plane``, by timestep, output pixel p0 .. p1 and slot of their block: (starts, rows).

    first [T, pixels + 1], channel, value int32: events (``hwsim.network.kernels.list_events``)
    block_of [K] int32; slot_of [blocks] int32: slot 0 .. ``slots`` of a block, -1 where it is not wanted
    starts [T (p1 - p0) slots + 1] int64, rows int32, ascending within a slot
    """
    times, pixels = first.shape[0], p1 - p0
    taps = shape.rows * shape.columns
    events = 0
    for t in range(times):
        events += first[t, first.shape[1] - 1] - first[t, 0]
    starts = np.empty(times * pixels * slots + 1, dtype=np.int64)
    rows = np.empty(min(events * taps, times * pixels * block_of.size) + 1, dtype=np.int32)
    found = np.empty(block_of.size + 1, dtype=np.int32)
    ends = np.empty(slots, dtype=np.int64)
    at, cell = 0, 0
    for t in range(times):
        for p in range(p0, p1):
            n = active_rows(first[t], channel, value, shape, p, plane, found)
            ends[:] = 0
            for i in range(n):
                slot = slot_of[block_of[found[i]]]
                if slot >= 0:
                    ends[slot] += 1
            for slot in range(slots):
                starts[cell + slot] = at
                size = ends[slot]
                ends[slot] = at
                at += size
            cell += slots
            for i in range(n):
                slot = slot_of[block_of[found[i]]]
                if slot >= 0:
                    rows[ends[slot]] = found[i]
                    ends[slot] += 1
    starts[cell] = at
    return starts, rows


@njit(nogil=True)
def sum_rows(matrix, rows, column, total):  # type: ignore[no-untyped-def]
    """total[m] = sum over ``rows`` (at least one) of matrix[row, column + m]; four rows at a time, as ``add_rows``.

    Unsigned indices and no slices: runs of 64 columns are short enough for their overhead to double the time.
    """
    n, left = rows.size, np.uint64(column)
    odd = n % 4
    a, b, c, d = (np.uint64(rows[0]), np.uint64(rows[min(1, n - 1)]), np.uint64(rows[min(2, n - 1)]),
                  np.uint64(rows[min(3, n - 1)]))  # fmt: skip
    if odd == 1:
        for m in range(total.size):
            total[m] = matrix[a, left + np.uint64(m)]
    elif odd == 2:
        for m in range(total.size):
            q = left + np.uint64(m)
            total[m] = matrix[a, q] + matrix[b, q]
    elif odd == 3:
        for m in range(total.size):
            q = left + np.uint64(m)
            total[m] = (matrix[a, q] + matrix[b, q]) + matrix[c, q]
    else:
        odd = 4
        for m in range(total.size):
            q = left + np.uint64(m)
            total[m] = (matrix[a, q] + matrix[b, q]) + (matrix[c, q] + matrix[d, q])
    for i in range(odd, n, 4):
        a, b, c, d = np.uint64(rows[i]), np.uint64(rows[i + 1]), np.uint64(rows[i + 2]), np.uint64(rows[i + 3])
        for m in range(total.size):
            q = left + np.uint64(m)
            total[m] += (matrix[a, q] + matrix[b, q]) + (matrix[c, q] + matrix[d, q])


@njit(nogil=True, error_model="numpy")
def add_noise(columns, rows, column, key, index, current, variance, draw):  # type: ignore[no-untyped-def]
    """current += sqrt(sum of variances) x draw, one draw per column; ``index`` is that of the first column. variance
    and draw are room."""
    inverse = 1.0 / columns.current_grid
    fill_gaussians(key, index, draw, variance)
    sum_rows(columns.noise, rows, column, variance)
    for m in range(current.size):
        current[m] = np.rint((current[m] + np.sqrt(variance[m]) * draw[m]) * inverse) * columns.current_grid


@njit(nogil=True, error_model="numpy")
def convert(current, at, unit, column, codes, current_grid, weight, psum):  # type: ignore[no-untyped-def]
    """psum[m] += weight x code x unit[column + m], the code of current[at + m] (LSB, half to even, clipped); how many
    were clipped. ``codes`` 0: no converter, the current rounded to its grid takes the code's place."""
    clipped = 0
    i, q = np.uint64(at), np.uint64(column)
    if codes == 0.0:
        inverse = 1.0 / current_grid
        for m in range(psum.size):
            value = np.rint(current[i + np.uint64(m)] * inverse) * current_grid
            psum[m] += weight * (value * unit[q + np.uint64(m)])
        return clipped
    for m in range(psum.size):
        level = np.rint(current[i + np.uint64(m)])
        code = min(max(level, 0.0), codes)
        psum[m] += weight * (code * unit[q + np.uint64(m)])
        clipped += code != level
    return clipped


@njit(nogil=True)
def convert_block(columns, rows, block, m0, weight, key, index0, room, psum):  # type: ignore[no-untyped-def]
    """Noise, converters and correction of one read whose currents stand in room[0], group after group; see
    ``read_block``."""
    clipped, width = 0, psum.size
    filters = columns.unit.shape[1] // columns.groups
    runs = 1 if width == filters else columns.groups  # neighbouring groups are done in one go
    if columns.noise.size > 0:
        wide = columns.groups // runs * width
        for run in range(runs):
            column, part = run * filters + m0, slice(run * wide, (run + 1) * wide)
            index = index0 + np.uint64(column)
            add_noise(columns, rows, column, key, index, room[0, part], room[1, part], room[2, part])
    unit = columns.unit[block]
    for group in range(columns.groups):
        clipped += convert(
            room[0], group * width, unit, group * filters + m0, columns.codes, columns.current_grid, weight, psum
        )
    if columns.correction.size > 0:
        total = room[0, :width]
        sum_rows(columns.correction, rows, m0, total)
        for m in range(width):
            psum[m] -= weight * total[m]
    return clipped


@njit(nogil=True)
def read_block(columns, rows, block, m0, weight, key, index0, room, psum):  # type: ignore[no-untyped-def]
    """Read one row block once and add what it gives to psum [m1 - m0]; returns how many conversions were clipped.

    rows    int32, the active rows of the block; none: nothing is read, added or drawn
    weight  2^plane, a power of two: exact
    index0  uint64, draw index of the block's column 0 (``hwsim.kernels.analog``)
    room    [ROOM, groups x (m1 - m0)] float64
    """
    if rows.size == 0:
        return 0
    width, filters = psum.size, columns.unit.shape[1] // columns.groups
    if width == filters:
        sum_rows(columns.g, rows, 0, room[0])
    else:
        for group in range(columns.groups):
            sum_rows(columns.g, rows, group * filters + m0, room[0, group * width : (group + 1) * width])
    return convert_block(columns, rows, block, m0, weight, key, index0, room, psum)


@njit(nogil=True)
def read_all(columns, starts, rows, given, wanted, window, weight, keys, out):  # type: ignore[no-untyped-def]
    """Read the blocks ``wanted`` (slot by slot) for all timesteps and pixels; returns how many were clipped.

    given   timesteps that ``starts`` has; the last stands for those that follow
    keys    [T] uint64, of this bit plane
    out     [T, p1 - p0, m1 - m0] float64, added to
    """
    times, pixels, slots = out.shape[0], window.p1 - window.p0, wanted.size
    room = np.empty((ROOM, columns.groups * (window.m1 - window.m0)))
    clipped = 0
    for slot in range(slots):
        block = wanted[slot]
        for t in range(times):
            base = min(t, given - 1) * pixels
            for p in range(pixels):
                cell = (base + p) * slots + slot
                first, last = starts[cell], starts[cell + 1]
                if first < last:
                    index0 = np.uint64(((window.p0 + p) * columns.blocks + block) * columns.unit.shape[1])
                    clipped += read_block(
                        columns, rows[first:last], block, window.m0, weight, keys[t], index0, room, out[t, p]
                    )
    return clipped


@njit(nogil=True)
def count_currents(current, group, scale, counts):  # type: ignore[no-untyped-def]
    """counts[group, bin] += 1 per current; bins of 1 / scale from 0, the first and the last open-ended."""
    high = counts.shape[1] - 1
    for m in range(current.size):
        counts[group, int(min(max(current[m] * scale, 0.0), high))] += 1


@njit(nogil=True)
def count_all(columns, starts, rows, given, wanted, top, counts):  # type: ignore[no-untyped-def]
    """``count_currents`` of every read of an active block, all pixels and filters, without noise."""
    slots = wanted.size
    filters = columns.unit.shape[1] // columns.groups
    current = np.empty(filters)
    for slot in range(slots):
        for cell in range(slot, given * slots, slots):
            first, last = starts[cell], starts[cell + 1]
            if first < last:
                for group in range(columns.groups):
                    sum_rows(columns.g, rows[first:last], group * filters, current)
                    count_currents(current, group, counts.shape[1] / top[group], counts)
