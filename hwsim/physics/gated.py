"""Currents of an array whose silent rows are open: word lines gate the cells (1T1R), so each set of active rows is
a network of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwsim.errors import Problem, SpecError
from hwsim.jit import njit
from hwsim.physics.ladder import eliminate, symmetric_product
from hwsim.physics.resistive import FloatArray, Terminals, check_range, checked_conductance, checked_ohm, terminal_ohm


def active_row_currents(
    conductance: npt.ArrayLike,
    active: npt.ArrayLike,
    driver: float,
    row: float,
    column: float,
    sense: float,
    *,
    terminals: Terminals = "terminal",
) -> FloatArray:
    """Currents [columns] in ampere for 1 V on the ``active`` rows [rows] bool, with the cells of all other rows open.

    conductance [rows, columns] siemens, resistances in ohm, as in ``effective_conductance``; SpecError as there.
    """
    cells = checked_conductance(conductance, dimensions=2)
    ohm = terminal_ohm(checked_ohm(driver, row, column, sense), terminals)
    check_range(cells, ohm)
    chosen = np.asarray(active)
    if chosen.shape != cells.shape[:1] or chosen.dtype != np.bool_:
        message = f"expected bool [{len(cells)}], found {chosen.dtype} {list(chosen.shape)}"
        raise SpecError(Problem("active", message))
    position = np.flatnonzero(chosen)
    return np.asarray(gated_currents(cells[position], position, len(cells), *ohm))


@njit(nogil=True)
def gated_currents(g, position, rows, driver, row, column, sense):  # type: ignore[no-untyped-def]
    """Currents [n] in ampere out of the columns for 1 V on every active row; the cells of all others are open.

    g [a, n] siemens: the cells of the a active rows; position [a] int64, ascending: which of the array's ``rows`` rows
    they are (the column wire keeps its length); resistances in ohm, 0 allowed, as in ``resistive``. a may be 0.
    """
    m, n = g.shape
    currents = np.zeros(n)
    if m == 0:
        return currents
    below = np.empty(m)
    for a in range(m - 1):
        below[a] = column * (position[a + 1] - position[a])
    below[m - 1] = column * (rows - 1 - position[m - 1]) + sense
    loads, shares, s = np.empty((n, m, m)), np.empty((n, m, m)), np.empty((n, m))
    eliminate(g, below, driver, row, loads, shares, s)
    v, left = np.ones(m), np.empty(m)
    for j in range(n):
        if (row if j > 0 else driver) > 0.0:
            left[:] = v
            symmetric_product(shares[j], left, v)
        for a in range(m):
            currents[j] += s[j, a] * v[a]
    return currents
