"""Currents of an array whose cells do not follow Ohm's law, by Newton's method.

The unknowns are the currents c of the cells, so that Kirchhoff's current law always holds and a wire of zero resistance
is nothing special; what is solved is the voltage law x(c) + R c = V with x the cell's law turned round and R the wires.
It is the gradient of a convex function (Duffin 1947), so the solution is the only one. For sinh, x(c) is concave for
c > 0 and the linear solution lies below the true one, so Newton's steps climb to it without overshoot; steps of mixed
signs are halved while the function's slope along the step has turned round.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.jit import njit
from hwsim.physics.ladder import eliminate, symmetric_product
from hwsim.physics.resistive import (
    FloatArray,
    Terminals,
    check_range,
    checked_conductance,
    checked_ohm,
    checked_voltages,
    in_threads,
    terminal_ohm,
)

Law = Literal["sinh", "cubic"]

TOLERANCE = 1e-12
"""Largest violation of the voltage law round any cell, relative to the largest source voltage plus the largest drop
that the wires would have if no two currents in them cancelled (which is below the former for any real array)."""

STEPS = 200
"""Newton steps. A current grows at most by about V / v0 per step, so this is enough for V / v0 of several hundred."""

_SINH, _CUBIC = range(2)


class OperatingPoint(NamedTuple):
    """Of one array, for p patterns of voltages; without the last axis if there was one pattern."""

    currents: FloatArray
    """[columns, p] ampere out of the columns."""
    cells: FloatArray
    """[rows, columns, p] ampere through the cells."""
    drops: FloatArray
    """[rows, columns, p] volt over the cells; for open cells too."""
    steps: npt.NDArray[np.int64]
    """[p] Newton steps."""


def nonlinear_currents(
    conductance: npt.ArrayLike,
    voltages: npt.ArrayLike,
    driver: float,
    row: float,
    column: float,
    sense: float,
    *,
    law: Law = "sinh",
    v0: float,
    terminals: Terminals = "terminal",
    threads: int | None = None,
) -> OperatingPoint:
    """Operating point of one array of non-linear cells.

    conductance [rows, columns] siemens at small voltage (0 = open); voltages [rows] or [rows, p] volt at the row
    sources; resistances in ohm as in ``effective_conductance``. The current of a cell at v volt is g v0 sinh(v / v0)
    ("sinh") or g (v + v^3 / v0^2) ("cubic"), ``v0`` > 0 in volt. The voltage law holds to ``TOLERANCE``, the current
    law to rounding. SpecError for values that make no sense, and where cells are so steep that Newton's method needs
    more than ``STEPS`` steps.
    """
    cells = checked_conductance(conductance, dimensions=2)
    ohm = terminal_ohm(checked_ohm(driver, row, column, sense), terminals)
    volts = checked_voltages(voltages, cells.shape[0])
    check_range(cells, ohm)
    kind = _checked_law(law, v0)
    patterns = np.ascontiguousarray(volts.reshape(cells.shape[0], -1).T)
    through, steps = np.zeros((len(patterns), *cells.shape)), np.zeros(len(patterns), dtype=np.int64)

    def solve(first: int, last: int) -> None:
        for p in range(first, last):
            steps[p] = newton(cells, patterns[p], *ohm, kind, float(v0), through[p])

    in_threads(solve, len(patterns), threads)
    if (steps < 0).any():
        largest = float(np.abs(volts).max())
        message = f"no solution to {TOLERANCE} in {STEPS} Newton steps with cells of v0 = {v0} V at {largest} V"
        raise SpecError(Problem("v0", message, "The cells are too steep for this method; a larger v0 converges."))
    drops = np.stack([patterns[p][:, None] - _wire_drops(through[p], *ohm) for p in range(len(patterns))], axis=-1)
    tail = volts.shape[1:]
    return OperatingPoint(through.sum(axis=1).T.reshape(cells.shape[1], *tail),
                          np.moveaxis(through, 0, -1).reshape(*cells.shape, *tail),
                          drops.reshape(*cells.shape, *tail), steps.reshape(tail))  # fmt: skip


def _checked_law(law: str, v0: float) -> int:
    if law not in get_args(Law):
        raise SpecError(Problem("law", f"unknown law '{law}'", did_you_mean(str(law), get_args(Law), "Laws")))
    if not (np.isfinite(v0) and v0 > 0.0):
        raise SpecError(Problem("v0", f"expected finite volt > 0, found {v0!r}"))
    return get_args(Law).index(law)


@njit(nogil=True)
def _voltage(current, g, kind, v0):  # type: ignore[no-untyped-def]
    """(volt over a cell of g > 0 that carries ``current``, its slope dI/dv there)."""
    if kind == _SINH:
        y = current / (g * v0)
        return v0 * np.arcsinh(y), g * np.sqrt(1.0 + y * y)
    y = current / (g * v0)  # w + w^3 = y with w = 2 / sqrt(3) sinh(z): sinh(3 z) = 3 sinh(z) + 4 sinh(z)^3
    w = 2.0 / np.sqrt(3.0) * np.sinh(np.arcsinh(1.5 * np.sqrt(3.0) * y) / 3.0)
    return v0 * w, g * (1.0 + 3.0 * w * w)


@njit(nogil=True)
def _wire_drops(c, driver, row, column, sense):  # type: ignore[no-untyped-def]
    """Volt lost in the wires on the way through each cell, of cell currents c [m, n]."""
    m, n = c.shape
    drops, through = np.empty((m, n)), np.empty(max(m, n))  # sums from the open end: a small current is never what
    for i in range(m):  # is left of two large ones
        total = 0.0
        for j in range(n - 1, -1, -1):
            total += c[i, j]
            through[j] = total
        total = 0.0
        for j in range(n):
            total += (row if j > 0 else driver) * through[j]
            drops[i, j] = total
    for j in range(n):
        total = 0.0
        for i in range(m):
            total += c[i, j]
            through[i] = total
        total = 0.0
        for i in range(m - 1, -1, -1):
            total += (column if i < m - 1 else sense) * through[i]
            drops[i, j] += total
    return drops


@njit(nogil=True)
def _residual(c, g, volts, ohm, kind, v0, residual, slope):  # type: ignore[no-untyped-def]
    """residual = V - R c - x(c) in volt, 0 at open cells; slope = dI/dv. Returns the largest |residual|."""
    drops = _wire_drops(c, ohm[0], ohm[1], ohm[2], ohm[3])
    largest = 0.0
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            residual[i, j] = slope[i, j] = 0.0
            if g[i, j] > 0.0:
                v, slope[i, j] = _voltage(c[i, j], g[i, j], kind, v0)
                residual[i, j] = volts[i] - drops[i, j] - v
                largest = max(largest, abs(residual[i, j]))
    return largest


@njit(nogil=True)
def cell_currents(g, ohm, pushed, out):  # type: ignore[no-untyped-def]
    """out[i, j] = current in ampere through cell g[i, j] in series with a source of pushed[i, j] volt, all [m, n].

    The row sources are at 0 V. With q_j = D_j e_j + P_{j+1} q_{j+1} the current that column j and those beyond draw is
    Y_j v_j + q_j, so v_j = P_j (v_{j-1} - r q_j).
    """
    m, n = g.shape
    driver, row, column, sense = ohm
    below = np.full(m, column)
    below[m - 1] = sense
    loads, shares, s = np.empty((n, m, m)), np.empty((n, m, m)), np.empty((n, m))
    eliminate(g, below, driver, row, loads, shares, s)
    q, v, work, e = np.zeros((n, m)), np.zeros(m), np.zeros(m), np.empty(m)
    for j in range(n - 1, -1, -1):
        e[:] = pushed[:, j]
        symmetric_product(loads[j], e, q[j])
        q[j] += work
        work[:] = q[j]
        if (row if j > 0 else driver) > 0.0:
            symmetric_product(shares[j], q[j], work)
    for j in range(n):
        r = row if j > 0 else driver
        if r > 0.0:
            work[:] = v - r * q[j]
            symmetric_product(shares[j], work, v)
        e[:] = pushed[:, j] + v
        symmetric_product(loads[j], e, work)
        out[:, j] = work


@njit(nogil=True)
def newton(g, volts, driver, row, column, sense, kind, v0, c):  # type: ignore[no-untyped-def]
    """The currents c [m, n] of the cells for source voltages ``volts`` [m]; returns the steps, -1 without success."""
    ohm = (driver, row, column, sense)
    residual, slope, step = np.empty_like(g), np.empty_like(g), np.empty_like(g)
    turned, ahead = np.empty_like(g), np.empty_like(g)
    c[:] = 0.0  # the first step from here gives the linear solution
    largest = _residual(c, g, volts, ohm, kind, v0, residual, slope)
    for count in range(STEPS):
        if largest <= TOLERANCE * (np.abs(volts).max() + _wire_drops(np.abs(c), driver, row, column, sense).max()):
            return count
        cell_currents(slope, ohm, residual, step)
        before = np.sum(residual * step)
        for _ in range(40):
            ahead[:] = c + step
            largest = _residual(ahead, g, volts, ohm, kind, v0, turned, slope)
            if -np.sum(turned * step) <= 0.5 * before:
                break
            step *= 0.5
            before *= 0.5
        c[:] = ahead
        residual[:] = turned
    return -1
