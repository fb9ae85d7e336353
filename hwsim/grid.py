"""Exact sums: numbers are put on a power-of-two grid before they enter a sum.

A sum of integer multiples of one power of two is exact in float64, in any order, as long as every partial sum stays
below 2^53 multiples (Goldberg, ACM Computing Surveys 23(1), 1991). A result that entered such a sum no longer depends
on the order of the additions, on the thread count or on the library.
"""

from __future__ import annotations

import math
from typing import TypeVar, overload

import numpy as np

EXACT_BITS = 53
"""Integers up to 2^53 are exact in float64."""

CURRENT_BITS = 40
"""An elementwise result is kept to 2^-40 of its layer's full scale; 13 bits remain for sums over time."""

Floats = TypeVar("Floats", bound=np.ndarray)


def power_of_two_above(value: float) -> float:
    """The smallest power of two that is at least ``value`` (> 0, finite)."""
    assert value > 0 and math.isfinite(value), value
    mantissa, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


def grid_step(largest_sum: float) -> float:
    """The finest power of two on which sums up to ``largest_sum`` in magnitude are exact (< 2^53 multiples).

    Zero gives 2^-52: any grid is exact then.
    """
    return power_of_two_above(largest_sum or 1.0) * 2.0 ** (1 - EXACT_BITS)


def current_step(full_scale: float) -> float:
    """The grid of a layer's currents: 2^-40 of ``full_scale``, its largest magnitude, rounded up to a power of two."""
    return power_of_two_above(full_scale or 1.0) * 2.0**-CURRENT_BITS


@overload
def to_grid(values: Floats, step: float) -> Floats: ...
@overload
def to_grid(values: float, step: float) -> float: ...
def to_grid(values, step):  # type: ignore[no-untyped-def]
    """``values`` rounded to multiples of ``step`` (a power of two), half to even.

    Kernels write the same as ``np.rint(x * (1 / step)) * step``: scaling by a power of two is exact, so both agree.
    """
    return np.rint(values / step) * step


def on_grid(values: np.ndarray, step: float) -> bool:
    """Whether all ``values`` are integer multiples of ``step`` below 2^53 multiples."""
    multiples = np.asarray(values, dtype=np.float64) / step
    return bool(np.all(multiples == np.rint(multiples)) and np.all(np.abs(multiples) <= 2.0**EXACT_BITS))


def width_bits(low: int, high: int) -> int:
    """The least multiple of 8 whose two's complement holds all integers from ``low`` to ``high``."""
    needed = 1 + max(high, -low - 1, 0).bit_length()
    return 8 * -(-needed // 8)
