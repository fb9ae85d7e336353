"""The function of a tile: events gathered into exact sums, filters contiguous, then the neuron.

For each output pixel and timestep the weight rows of all active inputs under the kernel are added, four at a time so
that the sums are loaded and stored once for four. Sums are exact (``hwsim.grid``): int8 weights into int32 where
K max|x| 128 stays below 2^31, else into int64; float64 into float64; order cannot matter.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.network.neuron import current_row, lif_step, relu_step


@njit(nogil=True)
def sort_events(places, words, channels, pixels, times, c0, first, channel, value):  # type: ignore[no-untyped-def]
    """Sort the nonzero words of [T, channels, pixels], given by flat ``places``, by pixel; see ``list_events``."""
    for place in places:
        first[place // (channels * pixels), place % pixels + 1] += 1
    total = 0
    for t in range(times):
        first[t, 0] = total
        for i in range(pixels):
            first[t, i + 1] += first[t, i]
        total = first[t, pixels]
    free = first.copy()
    for place in places:
        t, c, i = place // (channels * pixels), place // pixels % channels, place % pixels
        channel[free[t, i]] = c0 + c
        value[free[t, i]] = words[t, c, i]
        free[t, i] += 1


def list_events(x: np.ndarray, c0: int, c1: int, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nonzero channels c0:c1 of the pixels of rows y0:y1: (first [T, pixels + 1], channel [N], value [N] int32).

    x [T, C, H, W]. Events of pixel i (row y0 + i // W) at timestep t stand at first[t, i] : first[t, i + 1].
    """
    times, pixels = len(x), (y1 - y0) * x.shape[3]
    words = np.ascontiguousarray(x[:, c0:c1, y0:y1]).reshape(times, c1 - c0, pixels)
    places = np.flatnonzero(words != 0)
    first = np.zeros((times, pixels + 1), dtype=np.int64)
    channel, value = (np.empty(len(places), dtype=np.int32) for _ in range(2))
    sort_events(places, words, c1 - c0, pixels, times, c0, first, channel, value)
    return first, channel, value


@njit(nogil=True)
def collect_rows(call, first, channel, value, y0, pixel, rows, values):  # type: ignore[no-untyped-def]
    """Reduction elements and values of all active inputs of one output pixel; their number."""
    count = 0
    window = call.R * call.S
    for r in range(call.R):
        y = pixel // call.F * call.stride_y - call.pad_y + r * call.dilation_y
        if y < 0 or y >= call.H:
            continue
        for s in range(call.S):
            at = pixel % call.F * call.stride_x - call.pad_x + s * call.dilation_x
            if at < 0 or at >= call.W:
                continue
            base = r * call.S + s
            place = (y - y0) * call.W + at
            for i in range(first[place], first[place + 1]):
                k = channel[i] * window + base
                if call.k0 <= k < call.k0 + call.depth:
                    rows[count] = k
                    values[count] = value[i]
                    count += 1
    return count


@njit(nogil=True)
def add_rows(psum, weight, m0, rows, count):  # type: ignore[no-untyped-def]
    """psum[m] += sum of weight[row, m0 + m] over the first ``count`` rows."""
    m1 = m0 + psum.size
    i = 0
    while i + 3 < count:
        a, b = weight[rows[i], m0:m1], weight[rows[i + 1], m0:m1]
        c, d = weight[rows[i + 2], m0:m1], weight[rows[i + 3], m0:m1]
        for m in range(psum.size):
            psum[m] += (a[m] + b[m]) + (c[m] + d[m])
        i += 4
    while i < count:
        a = weight[rows[i], m0:m1]
        for m in range(psum.size):
            psum[m] += a[m]
        i += 1


@njit(nogil=True)
def add_scaled_rows(psum, weight, m0, rows, values, count):  # type: ignore[no-untyped-def]
    """psum[m] += value x weight[row, m0 + m]."""
    for i in range(count):
        row, value = weight[rows[i], m0 : m0 + psum.size], values[i]
        for m in range(psum.size):
            psum[m] += row[m] * value


@njit(nogil=True)
def gather(packed, events, y0, unit, weight, nonzero, psum, operations):  # type: ignore[no-untyped-def]
    """Add all events to psum [T or 1, P', M'] and count them.

    events      from ``list_events``;  ``unit``: all values are 1
    weight      [K, M] int8 or float64 of the whole layer, read where it is; empty where there are none: then events
                are only counted
    nonzero     [K'] weights of each row that are not zero
    operations  [T or 1, 2] written: input bits that are 1 (words where a slot takes words), and the nonzero weights
                that they meet
    """
    call = packed[0]
    first, channel, value = events
    mask = (1 << call.planes) - 1
    rows = np.empty(call.depth + 1, dtype=np.int64)
    values = np.empty(call.depth + 1, dtype=psum.dtype)
    for t in range(first.shape[0]):
        for i in range(call.pixels):
            count = collect_rows(call, first[t], channel, value, y0, call.p0 + i, rows, values)
            for j in range(count):
                bits = 1
                if call.planes > 1:
                    bits = 0
                    word = int(values[j]) & mask
                    while word:
                        bits += word & 1
                        word >>= 1
                operations[t, 0] += bits
                operations[t, 1] += bits * nonzero[rows[j] - call.k0]
            if weight.size == 0:
                continue
            if unit:
                add_rows(psum[t, i], weight, call.m0, rows, count)
            else:
                add_scaled_rows(psum[t, i], weight, call.m0, rows, values, count)


@njit(nogil=True)
def fire(psum, u, scale, offset, threshold, lif, spikes):  # type: ignore[no-untyped-def]
    """LIF units: psum [T, P', M'], u [P', units] updated, spikes [T, P', M'] written; rows [T or 1, M']."""
    for i in range(psum.shape[1]):
        for t in range(psum.shape[0]):
            at, above = min(t, scale.shape[0] - 1), min(t, threshold.shape[0] - 1)
            lif_step(psum[t, i], u[i], spikes[t, i], scale[at], offset[min(t, offset.shape[0] - 1)],
                     threshold[above], lif)  # fmt: skip


@njit(nogil=True)
def activate(psum, scale, offset, step, relu_scale, relu_high, out):  # type: ignore[no-untyped-def]
    """Activations out [T, P', M'] int32 of psum [T, P', M']."""
    row = np.empty(psum.shape[2])
    for i in range(psum.shape[1]):
        for t in range(psum.shape[0]):
            at = min(t, scale.shape[0] - 1)
            relu_step(psum[t, i], row, scale[at], offset[min(t, offset.shape[0] - 1)], step, relu_scale, relu_high)
            for m in range(row.size):
                out[t, i, m] = row[m]


@njit(nogil=True)
def pass_on(psum, scale, offset, step, out):  # type: ignore[no-untyped-def]
    """Currents out [T, P', M'] float64 of psum [T, P', M']."""
    for i in range(psum.shape[1]):
        for t in range(psum.shape[0]):
            at = min(t, scale.shape[0] - 1)
            current_row(psum[t, i], out[t, i], scale[at], offset[min(t, offset.shape[0] - 1)], step)
