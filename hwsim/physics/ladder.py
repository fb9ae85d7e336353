"""A crossbar as ladders: one column eliminated in closed form, the columns joined by the row wires.

Only resistances of wires enter, never their reciprocals, so a wire, driver or sense resistance of zero needs no case of
its own: it is the same formula with a zero in it, and nothing cancels.

Column j with cells g, and ``below[a]`` the wire from node a to node a + 1 (to ground at the last node), rows at 0 V:
admittance up the wire F_{a+1} = (F_a + g_a) / (1 + below_a (F_a + g_a)), F_0 = 0; impedance down the wire
Z_a = below_a + Z_{a+1} / (1 + g_{a+1} Z_{a+1}), Z_{m-1} = below_{m-1}. With z_a = Z_a / (1 + (F_a + g_a) Z_a) the
inverse of the column's tridiagonal nodal matrix is (K^-1)_{aa} = z_a and, for b < a,
(K^-1)_{ba} = z_a prod_{q=b}^{a-1} 1 / (1 + below_q (F_q + g_q)). The cell currents are D v with v the voltages of the
row nodes and D = diag(g) - diag(g) K^-1 diag(g); the column current is s . v with
s_a = g_a / (1 + (F_a + g_a) Z_a) prod_{q > a} 1 / (1 + g_q Z_q).

Rows: with Y the admittance matrix of columns j .. n-1 seen from the row nodes of column j, and r the row wire (at
column 0 the driver) before them, v = P v_left with P = (I + r Y)^-1; seen from the left of the wires Y becomes Y P.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.physics.sweep import padded, sweep


@njit(nogil=True)
def add_column(g, below, y, s):  # type: ignore[no-untyped-def]
    """Add D of one column to the lower triangle of y [m, m] siemens; write s [m] siemens.

    g [m] siemens, below [m] ohm (last: to ground, the sense resistance included).
    """
    m = g.size
    up, down = np.empty(m), np.empty(m)  # F_a + g_a, and Z_a
    impedance = below[m - 1]
    for a in range(m - 1, -1, -1):
        if a < m - 1:
            impedance = below[a] + impedance / (1.0 + g[a + 1] * impedance)
        down[a] = impedance
    admittance = 0.0
    for a in range(m):
        up[a] = admittance + g[a]
        admittance = up[a] / (1.0 + below[a] * up[a])
        total = 1.0 + up[a] * down[a]
        y[a, a] += g[a] * ((1.0 + (up[a] - g[a]) * down[a]) / total)
        s[a] = g[a] / total
    passed = 1.0
    for a in range(m - 1, -1, -1):
        s[a] *= passed
        passed /= 1.0 + g[a] * down[a]
    ratio = np.empty(m)  # g_b times the share of node a's voltage that is seen at node b above it
    for a in range(1, m):
        share = 1.0 / (1.0 + below[a - 1] * up[a - 1])
        ratio[a - 1] = g[a - 1]
        factor = g[a] * (down[a] / (1.0 + up[a] * down[a]))
        for b in range(a):
            ratio[b] *= share
            y[a, b] -= factor * ratio[b]


@njit(nogil=True)
def prepare(y, r, x, exact):  # type: ignore[no-untyped-def]
    """x[:size] = I + r Y, lower triangle; with ``exact`` also x[-size:] = Y, both triangles."""
    m, size = y.shape[0], x.shape[1]
    base = x.shape[0] - size
    for a in range(size):
        for b in range(a + 1):
            value = y[a, b] if a < m else 0.0
            if exact:
                x[base + a, b] = value
                x[base + b, a] = value
            x[a, b] = r * value
        x[a, a] += 1.0


@njit(nogil=True)
def seen_from_left(y, r, x, exact):  # type: ignore[no-untyped-def]
    """The lower triangle of Y becomes Y P, after the sweep of x.

    Y P = (I - P) / r costs nothing but loses the digits that r Y is below 1; ``exact`` takes the swept rows of Y.
    """
    base = x.shape[0] - x.shape[1]
    for a in range(y.shape[0]):
        for b in range(a + 1):
            y[a, b] = x[base + a, b] if exact else x[a, b] / r
        if not exact:
            y[a, a] += 1.0 / r


@njit(nogil=True)
def must_be_exact(driver, row):  # type: ignore[no-untyped-def]
    """Whether (I - P) / row is too coarse: its error, relative to the result, is about 1e-16 n driver / row."""
    return 0.0 < row < 1e-3 * driver


@njit(nogil=True)
def transfer(g, below, driver, row, out):  # type: ignore[no-untyped-def]
    """out[i, j] = current out of column j per volt at the source of row i, the other sources grounded, in siemens.

    g [m, n] siemens; below [m] ohm along a column, last to ground; driver and row ohm along a row.
    """
    m, n = g.shape
    exact = must_be_exact(driver, row)
    size = padded(m)
    x = np.zeros((size + n + (size if exact else 0), size))
    y, column = np.zeros((m, m)), np.empty(m)
    for j in range(n - 1, -1, -1):
        for a in range(m):
            column[a] = g[a, j]
        add_column(column, below, y, x[size + n - 1 - j])
        r = row if j > 0 else driver
        if r > 0.0:
            prepare(y, r, x, exact)
            sweep(x, size, x.shape[0] if exact else size + n - j)
            seen_from_left(y, r, x, exact)
    for j in range(n):
        for i in range(m):
            out[i, j] = x[size + n - 1 - j, i]


@njit(nogil=True)
def eliminate(g, below, driver, row, loads, shares, s):  # type: ignore[no-untyped-def]
    """The recursion of ``transfer`` with all that is needed to go back from left to right.

    Writes D into loads[j] and P into shares[j] (lower triangles [m, m]; without wires before column j P is I and not
    written), and the column current per volt at the row nodes into s[j] [m].
    """
    m, n = g.shape
    exact = must_be_exact(driver, row)
    size = padded(m)
    x = np.zeros((size + (size if exact else 0), size))
    y, column = np.zeros((m, m)), np.empty(m)
    loads[:] = 0.0
    for j in range(n - 1, -1, -1):
        for a in range(m):
            column[a] = g[a, j]
        add_column(column, below, loads[j], s[j])
        for a in range(m):
            for b in range(a + 1):
                y[a, b] += loads[j, a, b]
        r = row if j > 0 else driver
        if r > 0.0:
            prepare(y, r, x, exact)
            sweep(x, size, x.shape[0])
            seen_from_left(y, r, x, exact)
            for a in range(m):
                for b in range(a + 1):
                    shares[j, a, b] = -x[a, b]


@njit(nogil=True)
def symmetric_product(lower, v, out):  # type: ignore[no-untyped-def]
    """out = A v of a symmetric matrix of which the lower triangle is given."""
    for a in range(v.size):
        total = lower[a, a] * v[a]
        for b in range(a):
            total += lower[a, b] * v[b]
            out[b] += lower[a, b] * v[a]
        out[a] = total
