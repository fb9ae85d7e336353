"""The neurons: what happens to one row of psums in one timestep. The one definition that engine and tile kernels call.

A row is all channels (or a run of them) of one output pixel. All arithmetic is float64, elementwise, in the written
order; currents, thresholds and decayed membranes lie on the grid of the layer's current (``current_step``, a power of
two), so that u + I is exact and its grouping cannot matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit

ROUND_NEAREST_EVEN, ROUND_FLOOR, ROUND_TOWARD_ZERO = range(3)
ROUNDINGS = {
    "nearest_even": ROUND_NEAREST_EVEN,
    "floor": ROUND_FLOOR,
    "toward_zero": ROUND_TOWARD_ZERO,
}


class LifParameters(NamedTuple):
    """What all channels of a layer's LIF units have in common. Passed to kernels as it is."""

    leak: float
    """Factor on the membrane before the current is added (1 for IF); unused where ``shift`` >= 0."""
    shift: int
    """Decay u - (u >> shift) on the stored integer membrane; -1: by ``leak``."""
    current_step: float
    """Grid of currents and membranes, a power of two."""
    compare_ge: bool
    """Fire at u >= threshold (else u > threshold)."""
    reset_subtract: bool
    """Subtract threshold x spikes when firing (else reset to zero)."""
    max_spikes: int
    """Largest number of spikes of one neuron in one timestep (the value of a graded spike)."""
    signed: bool
    """Also fire negative spikes at -threshold."""
    quant_step: float
    """Step of the stored membrane; 0: stored on the current's grid."""
    quant_low: float
    """Lowest membrane code."""
    quant_high: float
    """Highest membrane code."""
    quant_rounding: int
    """One of ``ROUNDINGS``."""
    quant_saturate: bool
    """Clip codes to [low, high] (else they wrap around, two's complement)."""
    share: int
    """Consecutive channels that share one membrane and take turns in a timestep (C#n of EfficientLIF-Net)."""


@njit(nogil=True, error_model="numpy")
def current_row(
    psum: np.ndarray, current: np.ndarray, scale: np.ndarray, offset: np.ndarray, current_step: float
) -> None:
    """current[m] = psum[m] * scale[m] + offset[m], rounded to the grid (half to even). All [M]; writes ``current``."""
    inverse = 1.0 / current_step
    for m in range(current.size):
        current[m] = np.rint((psum[m] * scale[m] + offset[m]) * inverse) * current_step


@njit(nogil=True, error_model="numpy")
def relu_step(
    psum: np.ndarray,
    out: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    current_step: float,
    relu_scale: float,
    relu_high: float,
) -> None:
    """out[m] = clip(round_half_even(I / relu_scale), 0, relu_high), integer. All [M]; writes ``out``."""
    inverse = 1.0 / current_step
    for m in range(out.size):
        current = np.rint((psum[m] * scale[m] + offset[m]) * inverse) * current_step
        out[m] = min(max(np.rint(current / relu_scale), 0.0), relu_high)


@njit(nogil=True, error_model="numpy")
def store_row(u: np.ndarray, lif: LifParameters) -> None:
    """Membranes as they are stored at the end of a timestep: quantised where the layer says so, else unchanged."""
    if lif.quant_step <= 0.0:
        return
    if lif.quant_rounding == ROUND_NEAREST_EVEN and lif.quant_saturate:
        for i in range(u.size):
            u[i] = min(max(np.rint(u[i] / lif.quant_step), lif.quant_low), lif.quant_high) * lif.quant_step
        return
    span = lif.quant_high - lif.quant_low + 1.0
    for i in range(u.size):
        code = u[i] / lif.quant_step
        if lif.quant_rounding == ROUND_NEAREST_EVEN:
            code = np.rint(code)
        elif lif.quant_rounding == ROUND_FLOOR:
            code = np.floor(code)
        else:
            code = np.trunc(code)
        if lif.quant_saturate:
            code = min(max(code, lif.quant_low), lif.quant_high)
        else:
            code = code - span * np.floor((code - lif.quant_low) / span)
        u[i] = code * lif.quant_step


@njit(nogil=True, error_model="numpy")
def _plain_row(
    psum: np.ndarray,
    u: np.ndarray,
    spikes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    threshold: np.ndarray,
    lif: LifParameters,
) -> None:
    """One binary unsigned spike per unshared neuron. Three loops without branches inside become vector code."""
    step, leak = lif.current_step, lif.leak
    inverse = 1.0 / step
    for m in range(u.size):
        current = np.rint((psum[m] * scale[m] + offset[m]) * inverse) * step
        u[m] = np.rint(leak * u[m] * inverse) * step + current
    for m in range(u.size):
        spikes[m] = u[m] >= threshold[m] if lif.compare_ge else u[m] > threshold[m]
    for m in range(u.size):
        u[m] = u[m] - spikes[m] * threshold[m] if lif.reset_subtract else u[m] * (1 - spikes[m])


@njit(nogil=True, error_model="numpy")
def _spike_count(membrane: float, threshold: float, lif: LifParameters) -> int:
    """How many multiples of the threshold the membrane has passed, up to ``max_spikes``; negative for signed spikes."""
    count = 0
    size = membrane
    sign = 1
    if lif.signed and membrane < 0.0:
        size = -membrane
        sign = -1
    while count < lif.max_spikes and (
        size > (count + 1) * threshold or (lif.compare_ge and size == (count + 1) * threshold)
    ):
        count += 1
    return sign * count


@njit(nogil=True, error_model="numpy")
def _general_row(
    psum: np.ndarray,
    u: np.ndarray,
    spikes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    threshold: np.ndarray,
    lif: LifParameters,
) -> None:
    """Any neuron. Channels i n .. i n + n - 1 take turns on membrane i, each with its own decay, current and reset."""
    step = lif.current_step
    inverse = 1.0 / step
    register = lif.quant_step if lif.quant_step > 0.0 else step
    for i in range(u.size):
        membrane = u[i]
        for m in range(i * lif.share, min((i + 1) * lif.share, spikes.size)):
            if lif.shift >= 0:
                decayed = membrane - np.floor(membrane / register * 0.5**lif.shift) * register
            else:
                decayed = lif.leak * membrane
            current = np.rint((psum[m] * scale[m] + offset[m]) * inverse) * step
            membrane = np.rint(decayed * inverse) * step + current
            count = _spike_count(membrane, threshold[m], lif)
            if count != 0:
                membrane = membrane - count * threshold[m] if lif.reset_subtract else 0.0
            spikes[m] = count
        u[i] = membrane


@njit(nogil=True, error_model="numpy")
def lif_step(
    psum: np.ndarray,
    u: np.ndarray,
    spikes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    threshold: np.ndarray,
    lif: LifParameters,
) -> None:
    """One timestep of one pixel's LIF units: decay, add the current, fire, reset, store.

    psum       [M'] int32, int64 or float64 with integer (or gridded) values: the finished sums of this timestep
    u          [ceil(M' / share)] float64, the stored membranes; updated
    spikes     [M'] uint8 or int32, written: 0 or 1, or up to max_spikes, or negative where signed
    scale, offset, threshold   [M'] float64 of this timestep (``FrozenLayer.at(t)``)
    A run of channels of a layer may be given if it begins at a multiple of ``share``.
    """
    if lif.share == 1 and lif.shift < 0 and lif.max_spikes == 1 and not lif.signed:
        _plain_row(psum, u, spikes, scale, offset, threshold, lif)
    else:
        _general_row(psum, u, spikes, scale, offset, threshold, lif)
    store_row(u, lif)
