"""Programmed conductances: target, stuck cells, variation and programming noise, drift; drawn once, before a run.

Every draw belongs to a cell by its index, so that arrays may be programmed in any order and in any parts.
"""

from __future__ import annotations

import math

import numpy as np

from hwsim import rng
from hwsim.errors import Problem, SpecError
from hwsim.jit import njit
from hwsim.physics.devices import Device
from hwsim.physics.encoding import high_resistance_share

__all__ = ["check_levels", "gaussian", "high_resistance_share", "program", "target_conductance"]

_TURN = 2.0 * math.pi


def target_conductance(device: Device, codes: np.ndarray, levels: int) -> np.ndarray:
    """Conductances in siemens that codes 0 .. levels - 1 ask for, evenly spaced over the device's range."""
    share = np.asarray(codes, dtype=np.float64) / (levels - 1)
    return device.g_min_S + share * (device.g_max_S - device.g_min_S)


def program(
    device: Device,
    codes: np.ndarray,
    levels: int,
    *,
    seed: int,
    stream: str,
    elapsed_s: float = 0.0,
    index: np.ndarray | None = None,
    variation: bool = True,
    stuck: bool = True,
    drift: bool = True,
) -> np.ndarray:
    """Conductances in siemens, float64 in the shape of ``codes`` (integers 0 .. levels - 1), ``elapsed_s`` after they
    were read first (which is the drift law's t0 after programming).

    A stuck cell has the end of the range as its target. Variation and programming noise are Gaussian with the laws'
    sigma of that target, added and cut off at 0; they may leave the range. Drift multiplies by
    ((t0 + elapsed) / t0)^-nu with nu of the cell.

    index      integers in the shape of ``codes``: which cell each is, for its draws; else its position in C order
    variation, stuck, drift   whether these are applied; ``variation`` includes programming noise

    Draws come from the streams ``<stream>/stuck``, ``/variation``, ``/programming``, ``/drift``. Raises ``SpecError``
    where the device does not hold ``levels``.
    """
    codes = np.asarray(codes)
    check_levels(device, levels)
    assert levels >= 2 and elapsed_s >= 0, (levels, elapsed_s)
    assert not codes.size or (codes.min() >= 0 and codes.max() < levels), "codes are 0 .. levels - 1"
    cells = np.arange(codes.size).reshape(codes.shape) if index is None else np.asarray(index)
    assert cells.shape == codes.shape, "one index per code"
    target = target_conductance(device, codes, levels)
    if stuck and device.stuck_low + device.stuck_high > 0:
        draw = rng.uniform(seed, f"{stream}/stuck", 0, 0, 0, cells)
        target = np.where(draw < device.stuck_low + device.stuck_high, device.g_max_S, target)
        target = np.where(draw < device.stuck_low, device.g_min_S, target)
    conductance = target
    for name, law in (("variation", device.variation), ("programming", device.programming_noise)):
        if variation and law is not None:
            sigma = law.sigma_S(target, device.g_max_S)
            conductance = conductance + sigma * gaussian(seed, f"{stream}/{name}", cells)
    conductance = np.maximum(conductance, 0.0)
    if drift and device.drift is not None and elapsed_s > 0:
        mean, spread = device.drift.exponents(target, device.g_max_S)
        nu = np.abs(mean + spread * gaussian(seed, f"{stream}/drift", cells))
        conductance = conductance * ((device.drift.t0 + elapsed_s) / device.drift.t0) ** -nu
    return conductance


def check_levels(device: Device, levels: int, where: str = "") -> None:
    """Raise ``SpecError`` at ``where`` if the device does not hold that many levels."""
    if device.levels is not None and levels > device.levels:
        message = f"needs cells of {levels} levels, the device '{device.name}' holds {device.levels}"
        raise SpecError(Problem(where, message, "Take fewer bits per cell, or another device."))


def gaussian(seed: int, stream: str, index: np.ndarray) -> np.ndarray:
    """Standard normal draws, one per entry of ``index`` (integers >= 0), in its shape: the cosine branch of Box and
    Muller (Annals of Mathematical Statistics 29(2), 1958) from the uniforms at 2 index and 2 index + 1."""
    index = np.asarray(index)
    flat = np.ascontiguousarray(index, dtype=np.int64).reshape(-1)
    out = np.empty(flat.size)
    _fill_gaussian(rng.draw_key(seed, stream), flat, out)
    return out.reshape(index.shape)


@njit(nogil=True)
def _fill_gaussian(key: np.uint64, index: np.ndarray, out: np.ndarray) -> None:
    # a scalar loop: array functions may round the last elements of an array differently from the others
    for i in range(index.size):
        first = rng.draw_uniform(key, np.uint64(2 * index[i]))
        second = rng.draw_uniform(key, np.uint64(2 * index[i] + 1))
        out[i] = math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(_TURN * second)
