"""Effective conductance against others' solvers, against a dense network, and against the laws of networks."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
from dense_network import MASKS, dense_conductance, random_array

from hwsim import crossbar
from hwsim.crossbar import SpecError, effective_conductance

DATA = np.load(Path(__file__).parents[1] / "data" / "crossbar.npz")
PAPER = (1e3, 5.0, 10.0, 1e3)
"""driver, row, column, sense in ohm of an array whose terminals dominate."""


def relative(found, expected):
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def close(found, expected, tolerance=1e-9):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * 1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("case", ["bc_3x5", "bc_4x4", "bc_8x8", "bc_32x32"])
def test_badcrossbar(case):
    row, column = DATA[f"{case}/r_row_r_col"]
    found = effective_conductance(1.0 / DATA[f"{case}/R"], 0, row, column, 0, terminals="segment")
    np.testing.assert_allclose(found, DATA[f"{case}/G_eff"], rtol=1e-9)
    np.testing.assert_allclose(DATA[f"{case}/V"].T @ found, DATA[f"{case}/I"], rtol=1e-9)


@pytest.mark.parametrize("case", ["sp_4x3", "sp_8x8", "sp_32x32"])
def test_ngspice(case):
    found = effective_conductance(DATA[f"{case}/G"], *DATA[f"{case}/Rdriver_Rrow_Rcol_Rsense"])
    np.testing.assert_allclose(found, DATA[f"{case}/G_eff"], rtol=1e-9)
    np.testing.assert_allclose(DATA[f"{case}/V"].T @ found, DATA[f"{case}/I_ngspice"], rtol=1e-9)


@pytest.mark.parametrize("block", range(10))
def test_random_arrays_against_a_dense_network(block):
    for seed in range(20 * block, 20 * block + 20):
        cells, ohm = random_array(seed)
        close(effective_conductance(cells, *ohm), dense_conductance(cells, *ohm))


@pytest.mark.parametrize("mask", MASKS)
def test_each_case_of_zero_resistances_in_both_orientations(mask):
    rng = np.random.default_rng(3)
    for shape in ((7, 3), (3, 7), (5, 5), (1, 6), (6, 1), (1, 1)):
        cells, ohm = rng.uniform(1e-5, 1e-3, shape), np.array(mask) * [900.0, 30.0, 50.0, 400.0]
        close(effective_conductance(cells, *ohm), dense_conductance(cells, *ohm), 1e-11)


def test_a_resistor_by_hand():
    assert effective_conductance([[1e-3]], 200, 7, 7, 300)[0, 0] == pytest.approx(1 / 1500, rel=1e-15)
    found = effective_conductance([[1e-3, 1e-3]], 500, 0, 0, 0)  # two cells in parallel behind the driver
    np.testing.assert_allclose(found, [[5e-4, 5e-4]], rtol=1e-15)


def test_no_resistance_gives_the_cells_themselves():
    cells = np.random.default_rng(0).uniform(0, 1e-3, (9, 5))
    assert np.array_equal(effective_conductance(cells, 0, 0, 0, 0), cells)


@pytest.mark.parametrize("ohm", [(1e-9,) * 4, (0, 1e-9, 0, 1e-12), (1e-12, 0, 1e-9, 0)])
def test_small_resistances_go_to_the_limit(ohm):
    cells = np.random.default_rng(0).uniform(1e-6, 1e-3, (8, 11))
    np.testing.assert_allclose(effective_conductance(cells, *ohm), cells, rtol=1e-9)


def test_small_wires_beside_a_large_driver_keep_their_digits():
    cells = np.random.default_rng(0).uniform(1e-6, 1e-4, (8, 8))
    limit = effective_conductance(cells, 1e4, 0, 0, 1e4)
    np.testing.assert_allclose(effective_conductance(cells, 1e4, 1e-7, 1e-7, 1e4), limit, rtol=1e-8)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_both_ways_to_close_a_column_agree(ratio):
    """Either side of the ratio of driver to wire from which on the more careful formula is taken."""
    cells = np.random.default_rng(1).uniform(1e-5, 1e-3, (6, 6))
    ohm = (2.0 * 1e3 * ratio, 2.0, 3.0, 100.0)
    close(effective_conductance(cells, *ohm), dense_conductance(cells, *ohm), 1e-10)


def test_reciprocity():
    rng = np.random.default_rng(5)
    for shape in ((12, 12), (9, 17), (17, 9)):
        cells = rng.uniform(5e-6, 5e-5, shape)
        turned = effective_conductance(cells[::-1, ::-1].T, 300, 10, 5, 1e3)
        close(effective_conductance(cells, 1e3, 5, 10, 300), turned[::-1, ::-1].T, 1e-12)


@pytest.mark.parametrize("ohm", [PAPER, (0, 5, 10, 0), (100, 1, 1, 100)])
def test_currents_never_exceed_the_ideal(ohm):
    """Rayleigh: more resistance anywhere, less current from a source; but a single path may gain (sneak currents)."""
    cells = np.random.default_rng(6).uniform(5e-6, 5e-5, (3, 20, 14))
    cells[:, 4, 3] = 0.0
    found = effective_conductance(cells, *ohm)
    assert (found.sum(axis=2) < cells.sum(axis=2)).all()
    assert (found > 0.0).all()
    more = effective_conductance(cells, *(1.5 * np.array(ohm)))
    assert (more.sum(axis=2) < found.sum(axis=2)).all()


def test_loss_grows_with_size_and_conductance():
    def loss(size, siemens):
        return 1.0 - effective_conductance(np.full((size, size), siemens), *PAPER).sum() / (size * size * siemens)

    assert [round(loss(32, 5e-5), 3), round(loss(64, 5e-5), 3)] == [0.775, 0.881]  # all cells at 20 kohm, published
    assert loss(8, 1e-5) < loss(16, 1e-5) < loss(32, 1e-5) < loss(48, 1e-5)
    assert loss(16, 5e-6) < loss(16, 1e-5) < loss(16, 5e-5)


def test_open_rows_and_columns():
    cells = np.random.default_rng(7).uniform(1e-5, 1e-4, (6, 5))
    cells[2] = 0.0
    cells[:, 3] = 0.0
    for mask in MASKS:
        found = effective_conductance(cells, *(np.array(mask) * PAPER))
        assert (found[2] == 0.0).all() and (found[:, 3] == 0.0).all() and (found >= 0.0).all()
    assert (effective_conductance(np.zeros((4, 4)), *PAPER) == 0.0).all()
    assert effective_conductance(np.zeros((0, 4, 4)), *PAPER).shape == (0, 4, 4)


def test_an_array_does_not_know_its_batch():
    cells = np.random.default_rng(8).uniform(5e-6, 5e-5, (2, 9, 13, 10))
    whole = effective_conductance(cells, *PAPER, threads=1)
    assert whole.shape == cells.shape
    assert np.array_equal(whole, effective_conductance(cells, *PAPER, threads=5))
    assert np.array_equal(whole[1, 4], effective_conductance(cells[1, 4], *PAPER))
    strided = np.moveaxis(np.moveaxis(cells, -1, 0).copy(), 0, -1)
    assert np.array_equal(whole[:, ::-2], effective_conductance(strided[:, ::-2], *PAPER, threads=2))


@pytest.mark.parametrize(
    ("conductance", "ohm", "where"),
    [
        ([[1e-5, -1e-9]], PAPER, r"conductance\[0, 1\].*-1e-09"),
        ([[np.nan]], PAPER, r"conductance\[0, 0\].*nan"),
        ([[np.inf]], PAPER, "inf"),
        ([1e-5, 1e-5], PAPER, r"expected \[\.\.\., rows, columns\].*\(2,\)"),
        (np.zeros((3, 0)), PAPER, r"\(3, 0\)"),
        ([["a"]], PAPER, "array of numbers"),
        ([[1e-5]], (-1.0, 5, 10, 1e3), "driver: expected finite ohm >= 0"),
        ([[1e-5]], (1e3, np.nan, 10, 1e3), "row: .*nan"),
        ([[1e-5]], (1e3, 5, np.inf, 1e3), "column: .*inf"),
        ([[1e-5]], (1e3, 5, 10, "1 kohm"), "sense: .*'1 kohm'"),
        ([[1e-5]], (1e3, 5, 10, None), "sense: .*None"),
    ],
)
def test_mistakes(conductance, ohm, where):
    with pytest.raises(SpecError, match=where):
        effective_conductance(conductance, *ohm)


def test_numbers_beyond_double_precision():
    with pytest.raises(SpecError, match="times the largest resistance is inf"):
        effective_conductance(np.full((3, 3), 1e200), 5, 1e200, 5, 5)


def test_conventions_of_terminals():
    cells = np.random.default_rng(9).uniform(1e-5, 1e-4, (4, 4))
    segment = effective_conductance(cells, 1e6, 5, 10, 1e6, terminals="segment")
    assert np.array_equal(segment, effective_conductance(cells, 5, 5, 10, 10))
    both = effective_conductance(cells, *PAPER, terminals="terminal_and_segment")
    assert np.array_equal(both, effective_conductance(cells, 1005, 5, 10, 1010))
    with pytest.raises(SpecError, match="did you mean 'segment'"):
        effective_conductance(cells, *PAPER, terminals="segments")


def test_public_module():
    assert all(hasattr(crossbar, name) for name in crossbar.__all__)
    assert doctest.testmod(crossbar) == (0, 3)
