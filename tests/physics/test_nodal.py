"""Node voltages by sparse LU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dense_network import dense_voltages, random_array

from hwsim.crossbar import SpecError, effective_conductance, ir_drop, node_voltages

DATA = np.load(Path(__file__).parents[1] / "data" / "crossbar.npz")


@pytest.mark.parametrize("case", ["bc_3x5", "bc_4x4", "bc_8x8"])
def test_badcrossbar(case):
    row, column = DATA[f"{case}/r_row_r_col"]
    found = node_voltages(1.0 / DATA[f"{case}/R"], DATA[f"{case}/V"], 0, row, column, 0, terminals="segment")
    np.testing.assert_allclose(found.row, DATA[f"{case}/v_row"], rtol=1e-9)
    np.testing.assert_allclose(found.column, DATA[f"{case}/v_col"], rtol=1e-9)
    np.testing.assert_allclose(found.currents.T, DATA[f"{case}/I"], rtol=1e-9)


@pytest.mark.parametrize("case", ["sp_4x3", "sp_8x8", "sp_32x32"])
def test_ngspice(case):
    found = node_voltages(DATA[f"{case}/G"], DATA[f"{case}/V"], *DATA[f"{case}/Rdriver_Rrow_Rcol_Rsense"])
    np.testing.assert_allclose(found.currents.T, DATA[f"{case}/I_ngspice"], rtol=1e-9)


@pytest.mark.parametrize("block", range(4))
def test_random_arrays_against_a_dense_network(block):
    for seed in range(1000 + 16 * block, 1016 + 16 * block):
        cells, ohm = random_array(seed)
        volts = np.random.default_rng(seed).uniform(-0.3, 0.3, len(cells))
        found = node_voltages(cells, volts, *ohm)
        v, u, currents = dense_voltages(cells, volts, *ohm)
        np.testing.assert_allclose(found.row, v, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.column, u, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.currents, currents, rtol=1e-8, atol=1e-9 * cells.max())


def test_superposition_and_the_effective_conductance():
    rng = np.random.default_rng(3)
    cells, ohm = rng.uniform(5e-6, 5e-5, (20, 12)), (1e3, 5, 10, 1e3)
    patterns = rng.uniform(-0.2, 0.2, (20, 3))
    found = node_voltages(cells, patterns, *ohm)
    assert found.row.shape == (20, 12, 3) and found.currents.shape == (12, 3)
    for summed, parts in zip(node_voltages(cells, patterns.sum(axis=1), *ohm), found, strict=True):
        np.testing.assert_allclose(summed, parts.sum(axis=-1), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found.currents, effective_conductance(cells, *ohm).T @ patterns, rtol=1e-9, atol=1e-15)


def test_ir_drop():
    cells = np.full((8, 8), 5e-5)
    drop = ir_drop(cells, np.full(8, 0.2), 1e3, 5, 10, 1e3)
    assert (drop > 0.0).all() and (drop < 0.2).all()
    assert (np.diff(drop[-1]) > 0.0).all()  # further along the wire, less is left
    assert (ir_drop(cells, np.full(8, 0.2), 0, 0, 0, 0) == 0.0).all()


@pytest.mark.parametrize(
    ("conductance", "voltages", "message"),
    [
        (np.ones((2, 3, 3)), np.ones(3), r"conductance: expected \[rows, columns\]"),
        (np.ones((3, 3)), np.ones(2), r"voltages: expected \[3\] or \[3, patterns\], found shape \(2,\)"),
        (np.ones((3, 3)), [0.1, np.nan, 0.1], "voltages: expected finite volt, found nan"),
        (np.ones((3, 3)), ["a", "b", "c"], "voltages: expected an array of numbers"),
    ],
)
def test_mistakes(conductance, voltages, message):
    with pytest.raises(SpecError, match=message):
        node_voltages(conductance, voltages, 1, 1, 1, 1)
