"""Mean and variance of many values that are never held together, the same for any number of threads.

Each part (one image) is reduced by one thread in a fixed order, and parts are joined in the order of the images, by
the update of Chan, Golub and LeVeque (The American Statistician 37(3), 1983): no large sums of squares are subtracted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hwsim.jit import njit


@dataclass(frozen=True)
class Moments:
    """What is known of a set of values, elementwise for arrays of one shape."""

    count: int
    """Values in the set."""
    mean: np.ndarray
    """float64."""
    squares: np.ndarray
    """Sum of the squared differences to the mean, float64."""

    @property
    def variance(self) -> np.ndarray:
        """Population variance: the one that BN divides by when it is trained."""
        return self.squares / self.count


@njit(nogil=True)
def _reduce(x: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> None:
    """mean, squares [T, M] of x [T, P, M] float64 over P."""
    times, pixels, channels = x.shape
    for t in range(times):
        mean[t] = 0.0
        squares[t] = 0.0
        for p in range(pixels):
            for m in range(channels):
                mean[t, m] += x[t, p, m]
        for m in range(channels):
            mean[t, m] /= pixels
        for p in range(pixels):
            for m in range(channels):
                difference = x[t, p, m] - mean[t, m]
                squares[t, m] += difference * difference


def over_pixels(x: np.ndarray) -> Moments:
    """Moments [T, M] of x [T, P, M] float64 over its P > 0 pixels."""
    mean, squares = np.empty((len(x), x.shape[2])), np.empty((len(x), x.shape[2]))
    _reduce(np.ascontiguousarray(x), mean, squares)
    return Moments(x.shape[1], mean, squares)


def join(parts: Iterable[Moments]) -> Moments:
    """Moments of all parts (at least one, of one shape) together, joined one after the other."""
    known = None
    for part in parts:
        known = part if known is None else _join(known, part)
    assert known is not None
    return known


def _join(a: Moments, b: Moments) -> Moments:
    count = a.count + b.count
    difference = b.mean - a.mean
    mean = a.mean + difference * (b.count / count)
    return Moments(count, mean, a.squares + b.squares + difference * difference * (a.count * b.count / count))
