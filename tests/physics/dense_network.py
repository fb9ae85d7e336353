"""The witness: Kirchhoff's current law of a crossbar written out node by node and solved densely.

Nothing is shared with the product: nodes have names, a zero resistance unites two of them (union-find), every other
element is stamped into a dense matrix.
"""

from __future__ import annotations

import itertools

import numpy as np

MASKS = list(itertools.product((0.0, 1.0), repeat=4))
"""Which of driver, row, column, sense are there: all 16 cases."""


class Network:
    """Resistors between named nodes, some of which have a given voltage."""

    def __init__(self):
        self.parent = {}
        self.elements = []

    def find(self, node):
        self.parent.setdefault(node, node)
        while self.parent[node] != node:
            node = self.parent[node]
        return node

    def resistor(self, a, b, ohm):
        if ohm == 0.0:
            self.parent[self.find(a)] = self.find(b)
        else:
            self.conductor(a, b, 1.0 / ohm)

    def conductor(self, a, b, siemens):
        self.elements.append((a, b, siemens))

    def solve(self, given):
        """Voltage of every node, as a dict; ``given``: the voltages that are known."""
        known = {self.find(node): volt for node, volt in given.items()}
        free = sorted({self.find(node) for pair in self.elements for node in pair[:2]} - known.keys())
        place = {node: k for k, node in enumerate(free)}
        matrix, right = np.zeros((len(free), len(free))), np.zeros(len(free))
        for a, b, siemens in self.elements:
            for one, other in ((self.find(a), self.find(b)), (self.find(b), self.find(a))):
                if one in known or one == other:
                    continue
                matrix[place[one], place[one]] += siemens
                if other in known:
                    right[place[one]] += siemens * known[other]
                else:
                    matrix[place[one], place[other]] -= siemens
        volts = dict(zip(free, np.linalg.solve(matrix, right), strict=True)) | known
        return {node: volts[self.find(node)] for node in self.parent}


def dense_voltages(cells, voltages, driver, row, column, sense):
    """(row nodes [m, n], column nodes [m, n], currents [n]) of one pattern of source voltages [m]."""
    m, n = cells.shape
    network = Network()
    for i in range(m):
        network.resistor(("source", i), ("row", i, 0), driver)
        for j in range(n - 1):
            network.resistor(("row", i, j), ("row", i, j + 1), row)
    for j in range(n):
        network.resistor(("column", m - 1, j), ("ground",), sense)
        for i in range(m - 1):
            network.resistor(("column", i, j), ("column", i + 1, j), column)
    for i, j in np.ndindex(m, n):
        network.find(("row", i, j))
        network.find(("column", i, j))
        network.conductor(("row", i, j), ("column", i, j), cells[i, j])
    volts = network.solve({("source", i): voltages[i] for i in range(m)} | {("ground",): 0.0})
    v, u = (np.array([[volts[side, i, j] for j in range(n)] for i in range(m)]) for side in ("row", "column"))
    return v, u, (cells * (v - u)).sum(axis=0)


def dense_conductance(cells, *ohm):
    """G_eff [m, n]: one solution per source."""
    return np.array([dense_voltages(cells, unit, *ohm)[2] for unit in np.eye(len(cells))])


def random_array(seed):
    """(cells, four resistances) of a small array; 16 consecutive seeds go through all cases of zero resistances."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 7, 2)
    cells = 10.0 ** rng.uniform(-6, -3, (m, n)) * (rng.random((m, n)) < 0.8)
    return cells, tuple(np.array(MASKS[seed % 16]) * 10.0 ** rng.uniform(-1, 4, 4))
