"""The engine's numba kernels: events of each input pixel gathered into psums, then the neuron.

Arrays are channel-last inside the engine: an input is [T, pixels, C], a weight matrix has one row of M consecutive
values for each (kernel tap, input channel). For an output pixel the rows of all active inputs under the kernel are
added; four rows at a time, so that the psums are loaded and stored once for four. Sums are exact (``hwsim.grid``), so
the order does not matter. Only two kinds of sums exist: int8 weights into int32, and float64 into float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.network.neuron import LifParameters, current_row, lif_step, relu_step

KIND_NONE, KIND_LIF, KIND_RELU = range(3)


class Shape(NamedTuple):
    """``hwsim.workload.model.Geometry`` in its order, as kernels take it. All int."""

    channels: int
    height: int
    width: int
    filters: int
    rows: int
    columns: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    dilation_y: int
    dilation_x: int
    groups: int
    out_height: int
    out_width: int


class Neuron(NamedTuple):
    """The end of a layer: what becomes of a finished row of sums."""

    kind: int
    lif: LifParameters
    start: float
    relu_scale: float
    relu_high: float


class Outputs(NamedTuple):
    """Channel-last results; those not wanted have no timesteps."""

    spikes: np.ndarray
    """[T, pixels, M] uint8 or int32: spikes, or activations of a relu."""
    currents: np.ndarray
    """[T, pixels, M] float64, of a layer without neuron."""
    membranes: np.ndarray
    """[T, pixels, units] float64, as stored at the end of each timestep."""


@njit(nogil=True)
def list_events(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nonzero channels of every pixel: (first [T, pixels + 1], channel [N], value [N] of ``values``' type).

    x [T, pixels, C]. Events of pixel p at timestep t stand at first[t, p] .. first[t, p + 1].
    """
    times, pixels, channels = x.shape
    first = np.empty((times, pixels + 1), dtype=np.int64)
    count = 0
    for t in range(times):
        for p in range(pixels):
            for c in range(channels):
                count += x[t, p, c] != 0
    channel = np.empty(count + 1, dtype=np.int32)
    value = np.empty(count + 1, dtype=values.dtype)
    n = 0
    for t in range(times):
        for p in range(pixels):
            first[t, p] = n
            for c in range(channels):
                channel[n] = c
                value[n] = x[t, p, c]
                n += x[t, p, c] != 0
        first[t, pixels] = n
    return first, channel, value


@njit(nogil=True, inline="always")
def finish_row(psum, u, scale, offset, threshold, step, neuron, out, t, p, current):  # type: ignore[no-untyped-def]
    """Row p of timestep t: finished sums become spikes, activations or currents."""
    if neuron.kind == KIND_LIF:
        lif_step(psum, u, out.spikes[t, p], scale, offset, threshold, neuron.lif)
        if out.membranes.shape[0] > 0:
            out.membranes[t, p, :] = u
    elif neuron.kind == KIND_RELU:
        relu_step(psum, current, scale, offset, step, neuron.relu_scale, neuron.relu_high)
        for m in range(current.size):
            out.spikes[t, p, m] = current[m]
    else:
        current_row(psum, out.currents[t, p], scale, offset, step)


@njit(nogil=True)
def collect_rows(first, channel, value, shape, e, f, rows, values):  # type: ignore[no-untyped-def]
    """Weight rows (tap x C + c) and values of the active inputs under the kernel at pixel (e, f); their number."""
    n = 0
    for r in range(shape.rows):
        y = e * shape.stride_y - shape.pad_y + r * shape.dilation_y
        if y < 0 or y >= shape.height:
            continue
        for s in range(shape.columns):
            x = f * shape.stride_x - shape.pad_x + s * shape.dilation_x
            if x < 0 or x >= shape.width:
                continue
            base = (r * shape.columns + s) * shape.channels
            pixel = y * shape.width + x
            for i in range(first[pixel], first[pixel + 1]):
                rows[n] = base + channel[i]
                values[n] = value[i]
                n += 1
    return n


@njit(nogil=True)
def add_rows(psum, weight, rows, count):  # type: ignore[no-untyped-def]
    """psum[m] += sum of weight[row, m] over the first ``count`` rows."""
    i = 0
    while i + 3 < count:
        a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for m in range(psum.size):
            psum[m] += (weight[a, m] + weight[b, m]) + (weight[c, m] + weight[d, m])
        i += 4
    while i < count:
        a = rows[i]
        for m in range(psum.size):
            psum[m] += weight[a, m]
        i += 1


@njit(nogil=True)
def add_scaled_rows(psum, weight, rows, values, count):  # type: ignore[no-untyped-def]
    """psum[m] += sum of value x weight[row, m] over the first ``count`` rows."""
    i = 0
    while i + 3 < count:
        a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        w, x, y, z = values[i], values[i + 1], values[i + 2], values[i + 3]
        for m in range(psum.size):
            psum[m] += (weight[a, m] * w + weight[b, m] * x) + (weight[c, m] * y + weight[d, m] * z)
        i += 4
    while i < count:
        a = rows[i]
        w = values[i]
        for m in range(psum.size):
            psum[m] += weight[a, m] * w
        i += 1


@njit(nogil=True)
def add_group_rows(psum, weight, rows, values, count, shape):  # type: ignore[no-untyped-def]
    """psum += value x weight row, for the filters of the group that the row's channel belongs to."""
    per_group = shape.filters // shape.groups
    channels_per_group = shape.channels // shape.groups
    for i in range(count):
        row = rows[i]
        base = row % shape.channels // channels_per_group * per_group
        for j in range(per_group):
            psum[base + j] += weight[row, j] * values[i]


@njit(nogil=True)
def weighted_layer(  # type: ignore[no-untyped-def]
    first, channel, value, unit, weight, shape, scale, offset, threshold, step, neuron, psum, u, out
):
    """All pixels and timesteps of one weighted layer.

    first, channel, value   the input's events (``list_events``); one timestep stands for all where it is constant
    unit      all values are 1
    weight    [R S C, M / groups] int8 or float64
    scale, offset, threshold   [1 or T, M]
    psum [M] int32 or float64, u [units] float64: room to work in
    """
    times = max(out.spikes.shape[0], out.currents.shape[0])
    given = first.shape[0]
    rows = np.empty(shape.rows * shape.columns * shape.channels + 1, dtype=np.int64)
    values = np.empty(rows.size, dtype=psum.dtype)
    current = np.empty(shape.filters)
    for p in range(shape.out_height * shape.out_width):
        u[:] = neuron.start
        for t in range(times):
            if t < given:
                count = collect_rows(
                    first[t], channel, value, shape, p // shape.out_width, p % shape.out_width, rows, values
                )
                psum[:] = 0
                if shape.groups > 1:
                    add_group_rows(psum, weight, rows, values, count, shape)
                elif unit:
                    add_rows(psum, weight, rows, count)
                else:
                    add_scaled_rows(psum, weight, rows, values, count)
            at, above = min(t, scale.shape[0] - 1), min(t, threshold.shape[0] - 1)
            finish_row(psum, u, scale[at], offset[at], threshold[above], step, neuron, out, t, p, current)


@njit(nogil=True)
def plain_layer(x, scale, offset, threshold, step, neuron, u, out):  # type: ignore[no-untyped-def]
    """The end of a layer without weights: x [T or 1, pixels, M] float64 takes the place of its sums."""
    times = max(out.spikes.shape[0], out.currents.shape[0])
    current = np.empty(x.shape[2])
    for p in range(x.shape[1]):
        u[:] = neuron.start
        for t in range(times):
            at, above = min(t, scale.shape[0] - 1), min(t, threshold.shape[0] - 1)
            row = x[min(t, x.shape[0] - 1), p]
            finish_row(row, u, scale[at], offset[at], threshold[above], step, neuron, out, t, p, current)
