"""Node voltages of a crossbar by sparse LU (SuperLU): the plain way to the same currents, and maps of where volts go.

All elements between distinct nodes are stamped into the nodal admittance matrix; a wire of zero resistance is no
element but makes its two nodes one. Nodes tied to a source or to ground are known and move to the right-hand side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.physics.resistive import (
    FloatArray,
    Terminals,
    checked_conductance,
    checked_ohm,
    checked_voltages,
    terminal_ohm,
)

Numbers = npt.NDArray[np.int64]


class NodeVoltages(NamedTuple):
    """Of one array, for p patterns of voltages; without the last axis if there was one pattern."""

    row: FloatArray
    """[rows, columns, p] volt at the row side of each cell."""
    column: FloatArray
    """[rows, columns, p] volt at the column side."""
    currents: FloatArray
    """[columns, p] ampere out of the columns."""


def node_voltages(
    conductance: npt.ArrayLike,
    voltages: npt.ArrayLike,
    driver: float,
    row: float,
    column: float,
    sense: float,
    *,
    terminals: Terminals = "terminal",
) -> NodeVoltages:
    """Voltages of all nodes for source voltages [rows] or [rows, p] volt.

    conductance [rows, columns] siemens, resistances in ohm as in ``effective_conductance``; SpecError as there. Where a
    resistance is not zero but 1e10 times smaller than others, digits are lost that ``effective_conductance`` keeps.
    """
    cells = checked_conductance(conductance, dimensions=2)
    ohm = terminal_ohm(checked_ohm(driver, row, column, sense), terminals)
    volts = checked_voltages(voltages, cells.shape[0])
    patterns = volts.reshape(cells.shape[0], -1)
    above, under, unknown = number_nodes(cells.shape, ohm)
    known = np.vstack([patterns, np.zeros((1, patterns.shape[1]))])  # the sources, then ground
    potential = np.vstack([known, _solve(_elements(cells, ohm, above, under), known, unknown)])
    v, u = potential[above], potential[under]
    currents = np.einsum("ij,ijp->jp", cells, v - u)  # what enters a column leaves it, merged nodes or not
    tail = volts.shape[1:]
    return NodeVoltages(*(x.reshape(*x.shape[:-1], *tail) for x in (v, u, currents)))


def ir_drop(
    conductance: npt.ArrayLike,
    voltages: npt.ArrayLike,
    driver: float,
    row: float,
    column: float,
    sense: float,
    *,
    terminals: Terminals = "terminal",
) -> FloatArray:
    """Volt that each cell lacks: V_i - (v_ij - u_ij), [rows, columns] or [rows, columns, p]. As ``node_voltages``."""
    nodes = node_voltages(conductance, voltages, driver, row, column, sense, terminals=terminals)
    return np.asarray(voltages, dtype=np.float64)[:, None] - (nodes.row - nodes.column)


def number_nodes(shape: tuple[int, ...], ohm: tuple[float, float, float, float]) -> tuple[Numbers, Numbers, int]:
    """Node numbers of the row side and of the column side [m, n] each, and how many voltages are unknown.

    Numbers 0 .. m - 1 are the sources, m is ground, the unknown nodes follow.
    """
    (m, n), (driver, row, column, sense) = shape, ohm
    sources = np.arange(m)[:, None]
    above = np.arange(m * n).reshape(m, n) if row > 0.0 else np.repeat(sources, n, axis=1)
    above = above + m + 1
    if driver == 0.0:
        above[:, : n if row == 0.0 else 1] = sources
    under = np.arange(m * n).reshape(m, n) if column > 0.0 else np.repeat(np.arange(n)[None], m, axis=0)
    under = under + m + 1 + m * n
    if sense == 0.0:
        under[0 if column == 0.0 else m - 1 :] = m
    free = np.unique(np.concatenate([above[above > m], under[under > m]]))
    dense = np.concatenate([np.arange(m + 1), np.zeros(2 * m * n, dtype=np.int64)])
    dense[free] = m + 1 + np.arange(free.size)
    return dense[above], dense[under], int(free.size)


def _elements(
    cells: FloatArray, ohm: tuple[float, float, float, float], above: Numbers, under: Numbers
) -> tuple[Numbers, Numbers, FloatArray]:
    """All conductances as (node, other node, siemens), one entry each."""
    m, n = cells.shape
    driver, row, column, sense = ohm
    parts: list[tuple[npt.NDArray, npt.NDArray, npt.NDArray]] = [(above, under, cells)]
    if driver > 0.0:
        parts.append((np.arange(m), above[:, 0], np.full(m, 1.0 / driver)))
    if row > 0.0:
        parts.append((above[:, :-1], above[:, 1:], np.full((m, n - 1), 1.0 / row)))
    if column > 0.0:
        parts.append((under[:-1], under[1:], np.full((m - 1, n), 1.0 / column)))
    if sense > 0.0:
        parts.append((under[-1], np.full(n, m), np.full(n, 1.0 / sense)))
    first, second, siemens = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in range(3))
    return first, second, siemens


def _solve(elements: tuple[Numbers, Numbers, FloatArray], known: FloatArray, unknown: int) -> FloatArray:
    """Voltages [unknown, p] of the unknown nodes."""
    if unknown == 0:
        return np.empty((0, known.shape[1]))
    from scipy import sparse  # not at the top: only those who ask for node voltages pay for the import
    from scipy.sparse.linalg import splu

    first, second, siemens = elements
    count = len(known) + unknown
    places = (np.concatenate([first, second, first, second]), np.concatenate([first, second, second, first]))
    stamps = np.concatenate([siemens, siemens, -siemens, -siemens])
    matrix = sparse.csc_matrix((stamps, places), shape=(count, count))
    inner = matrix[len(known) :, len(known) :].tocsc()
    pushed = -(matrix[len(known) :, : len(known)] @ known)
    factor = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.asarray(factor.solve(pushed))
