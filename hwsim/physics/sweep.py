"""The inverse of a symmetric positive definite matrix, and rows times that inverse, in one pass (the sweep operator).

Sweeping the leading block of [[X, A^T], [A, 0]] gives [[-X^-1, ...], [A X^-1, ...]] (Beaton 1964, Goodnight 1979). Four
pivots at a time, one row after the other: no sum is reordered, so the same numbers give the same bits whatever the
processor's vector width, the memory alignment or the number of threads. At the sizes of crossbar arrays it keeps up
with the tuned BLAS, of which none of this can be said. No pivoting: the matrices here are I + r Y with Y positive
semidefinite, and their pivots are >= 1.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit

BLOCK = 4
"""Pivots swept together."""


@njit(nogil=True, inline="always")
def padded(size: int) -> int:
    """The next multiple of ``BLOCK``."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


@njit(nogil=True)
def _sweep_block(t: np.ndarray) -> None:
    """The pivot block t [BLOCK, BLOCK] becomes minus its inverse."""
    for q in range(BLOCK):
        pivot = 1.0 / t[q, q]
        for a in range(BLOCK):
            if a != q:
                factor = t[a, q] * pivot
                for b in range(BLOCK):
                    if b != q:
                        t[a, b] -= factor * t[q, b]
        for a in range(BLOCK):
            if a != q:
                t[a, q] *= pivot
                t[q, a] *= pivot
        t[q, q] = -pivot


@njit(nogil=True)
def _subtract(row, length, w, f0, f1, f2, f3):  # type: ignore[no-untyped-def]
    """row[:length] -= f . w, four rows of w at once so that ``row`` is loaded and stored once."""
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    for j in range(length):
        row[j] -= (f0 * w0[j] + f1 * w1[j]) + (f2 * w2[j] + f3 * w3[j])


@njit(nogil=True)
def _pivot_rows(x: np.ndarray, size: int, p: int, t: np.ndarray, w: np.ndarray) -> None:
    """t becomes minus the inverse of the pivot block at p, w [BLOCK, size] that inverse times the pivot rows of x."""
    for a in range(BLOCK):
        for b in range(a + 1):
            t[a, b] = x[p + a, p + b]
            t[b, a] = t[a, b]
    _sweep_block(t)
    for b in range(BLOCK):
        for j in range(p):
            w[b, j] = -(t[b, 0] * x[p, j] + t[b, 1] * x[p + 1, j] + t[b, 2] * x[p + 2, j] + t[b, 3] * x[p + 3, j])
        for j in range(p + BLOCK, size):  # only the lower triangle of x is kept
            w[b, j] = -(t[b, 0] * x[j, p] + t[b, 1] * x[j, p + 1] + t[b, 2] * x[j, p + 2] + t[b, 3] * x[j, p + 3])


@njit(nogil=True)
def sweep(x: np.ndarray, size: int, rows: int) -> None:
    """In place: the lower triangle of x[:size] becomes minus the inverse, x[size:rows] that block times the inverse.

    x [>= rows, size] float64 contiguous; size a multiple of ``BLOCK`` (unused rows and columns: those of the identity);
    above the diagonal nothing is read and rubbish is left.
    """
    t = np.empty((BLOCK, BLOCK))
    w = np.zeros((BLOCK, size))  # in the pivots' own columns nothing that stands there comes into a result
    for p in range(0, size, BLOCK):
        _pivot_rows(x, size, p, t, w)
        for i in range(p):
            _subtract(x[i], (i // BLOCK + 1) * BLOCK, w, x[p, i], x[p + 1, i], x[p + 2, i], x[p + 3, i])
        for i in range(p + BLOCK, size):
            _subtract(x[i], (i // BLOCK + 1) * BLOCK, w, x[i, p], x[i, p + 1], x[i, p + 2], x[i, p + 3])
            for b in range(BLOCK):
                x[i, p + b] = w[b, i]
        for i in range(size, rows):
            f0, f1, f2, f3 = x[i, p], x[i, p + 1], x[i, p + 2], x[i, p + 3]
            _subtract(x[i], size, w, f0, f1, f2, f3)
            for b in range(BLOCK):
                x[i, p + b] = -(f0 * t[0, b] + f1 * t[1, b] + f2 * t[2, b] + f3 * t[3, b])
        for b in range(BLOCK):
            for j in range(p):
                x[p + b, j] = w[b, j]
            for j in range(BLOCK):
                x[p + b, p + j] = t[b, j]
