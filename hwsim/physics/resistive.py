"""The effective conductance of a crossbar with resistive wires: exact, one matrix per programmed array.

A crossbar of fixed linear cells whose row sources are tied to a voltage or to ground is a linear network: the column
currents are I = V^T G_eff. Nodes v_ij (rows) and u_ij (columns), cell g_ij between them; source V_i - driver - v_i0;
row wire between v_ij and v_i,j+1; column wire between u_ij and u_i+1,j; u_m-1,j - sense - virtual ground. No
approximation is made and no resistance is too small: zero merges nodes (the recursion of ``ladder``). About
n (m^3 + m^2 n) multiplications and additions for m rows and n columns, in whichever orientation is cheaper
(reciprocity: an array turned by 180 degrees and transposed, sources and ground exchanged, has the transposed G_eff).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.jit import njit
from hwsim.physics.ladder import transfer

Terminals = Literal["terminal", "segment", "terminal_and_segment"]

FloatArray = npt.NDArray[np.float64]


def effective_conductance(
    conductance: npt.ArrayLike,
    driver: float,
    row: float,
    column: float,
    sense: float,
    *,
    terminals: Terminals = "terminal",
    threads: int | None = None,
) -> FloatArray:
    """The matrix G_eff [..., rows, columns] in siemens with I_j = sum_i V_i G_eff[i, j], per array of a batch.

    conductance [..., rows, columns] siemens (0 = open cell); resistances in ohm (0 allowed, merges nodes): ``driver``
    per row source, ``row`` and ``column`` per wire segment, ``sense`` per column. ``terminals``: see ``terminal_ohm``.
    ``threads``: at most so many arrays at once (default: one per processor); the result does not depend on it, nor on
    the other arrays of the batch. SpecError for negative, infinite or NaN values and wrong shapes.
    Currents differ from an exact solution by rounding only, about 1e-12 relative.
    """
    cells = checked_conductance(conductance)
    ohm = terminal_ohm(checked_ohm(driver, row, column, sense), terminals)
    check_range(cells, ohm)
    arrays = cells.reshape(-1, *cells.shape[-2:])
    out = np.empty_like(arrays)

    def solve(first: int, last: int) -> None:
        transfer_batch(arrays[first:last], *ohm, out[first:last])

    in_threads(solve, len(arrays), threads)
    return out.reshape(cells.shape)


def in_threads(work: Callable[[int, int], None], count: int, threads: int | None) -> None:
    """Call ``work(first, last)`` for ranges that cover 0 .. count, on several threads."""
    threads = min(threads or os.cpu_count() or 1, count)
    if threads <= 1:
        return work(0, count)
    bounds = np.linspace(0, count, min(count, 4 * threads) + 1).astype(int)  # several each: threads end together
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1].tolist(), bounds[1:].tolist()))
    return None


def terminal_ohm(ohm: tuple[float, float, float, float], terminals: Terminals) -> tuple[float, float, float, float]:
    """(driver, row, column, sense) as the solver takes them, of three conventions of what stands at a wire's end.

    "terminal": source - driver - first node, last node - sense - ground. "segment": a wire segment stands there instead
    (``driver`` and ``sense`` are not used; badcrossbar). "terminal_and_segment": both in series (CrossSim).
    """
    driver, row, column, sense = ohm
    if terminals == "terminal":
        return ohm
    if terminals == "segment":
        return row, row, column, column
    if terminals not in get_args(Terminals):
        hint = did_you_mean(str(terminals), get_args(Terminals), "Conventions")
        raise SpecError(Problem("terminals", f"unknown convention '{terminals}'", hint))
    return driver + row, row, column, sense + column


def checked_conductance(conductance: npt.ArrayLike, dimensions: int | None = None) -> FloatArray:
    """As contiguous float64 [..., rows, columns], or of just so many dimensions. SpecError names the first bad cell."""
    try:
        cells = np.ascontiguousarray(conductance, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(Problem("conductance", f"expected an array of numbers: {error}")) from None
    shape = np.shape(conductance)
    if len(shape) < 2 or 0 in shape[-2:] or len(shape) != (dimensions or len(shape)):
        expected = "[rows, columns]" if dimensions == 2 else "[..., rows, columns]"
        raise SpecError(Problem("conductance", f"expected {expected}, both at least 1; found shape {shape}"))
    wrong = ~(np.isfinite(cells) & (cells >= 0.0))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        message = f"expected finite siemens >= 0, found {cells[place]} ({np.count_nonzero(wrong)} such cells)"
        raise SpecError(Problem(f"conductance{list(place)}", message))
    return cells


def checked_ohm(driver: float, row: float, column: float, sense: float) -> tuple[float, float, float, float]:
    """The four resistances as floats. SpecError names each that is not a finite number >= 0."""
    problems, values = [], []
    for name, value in (("driver", driver), ("row", row), ("column", column), ("sense", sense)):
        number = float(value) if np.isscalar(value) and not isinstance(value, str | bytes) else np.nan
        values.append(number)
        if not (np.isfinite(number) and number >= 0.0):
            problems.append(Problem(name, f"expected finite ohm >= 0 (0: no resistance), found {value!r}"))
    if problems:
        raise SpecError(problems)
    return values[0], values[1], values[2], values[3]


def check_range(cells: FloatArray, ohm: tuple[float, float, float, float]) -> None:
    """SpecError where products of conductance and resistance could overflow on the way."""
    largest = float(cells.max(initial=0.0)) * max(ohm)
    if largest > 1e100:
        message = f"the largest conductance times the largest resistance is {largest:.3g}, out of any array's range"
        raise SpecError(Problem("conductance", message, "Conductances are in siemens, resistances in ohm."))


def checked_voltages(voltages: npt.ArrayLike, rows: int) -> FloatArray:
    """As float64 [rows] or [rows, p]. SpecError for other shapes and for what is not finite."""
    try:
        volts = np.asarray(voltages, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(Problem("voltages", f"expected an array of numbers: {error}")) from None
    if volts.ndim not in (1, 2) or volts.shape[0] != rows or volts.size == 0:
        raise SpecError(Problem("voltages", f"expected [{rows}] or [{rows}, patterns], found shape {volts.shape}"))
    if not np.isfinite(volts).all():
        raise SpecError(Problem("voltages", f"expected finite volt, found {volts[~np.isfinite(volts)][0]}"))
    return volts


@njit(nogil=True)
def _steps(m, n, row):  # type: ignore[no-untyped-def]
    """Multiplications, about, of the recursion over n columns of m rows; without row wires only the driver is left."""
    return (n if row > 0.0 else 1) * m * m * m + n * n * m * m


@njit(nogil=True)
def transfer_batch(arrays, driver, row, column, sense, out):  # type: ignore[no-untyped-def]
    """``effective_conductance`` of arrays [N, m, n] into out, one after the other."""
    count, m, n = arrays.shape
    turned = _steps(n, m, column) < _steps(m, n, row)
    if turned:
        m, n, driver, row, column, sense = n, m, sense, column, row, driver
    below = np.full(m, column)
    below[m - 1] = sense
    g, result = np.empty((m, n)), np.empty((m, n))
    for index in range(count):
        if turned:
            for i in range(m):
                for j in range(n):
                    g[i, j] = arrays[index, n - 1 - j, m - 1 - i]
            transfer(g, below, driver, row, result)
            for i in range(m):
                for j in range(n):
                    out[index, n - 1 - j, m - 1 - i] = result[i, j]
        else:
            transfer(arrays[index], below, driver, row, out[index])
