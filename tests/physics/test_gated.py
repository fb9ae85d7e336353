"""Currents with the cells of silent rows open."""

from __future__ import annotations

import numpy as np
import pytest
from dense_network import MASKS, dense_voltages

from hwsim.crossbar import SpecError, active_row_currents, effective_conductance
from hwsim.physics.gated import gated_currents

OHM = np.array([900.0, 30.0, 50.0, 400.0])


@pytest.mark.parametrize("mask", MASKS)
def test_against_a_dense_network_with_open_cells(mask):
    rng = np.random.default_rng(2)
    ohm = tuple(np.array(mask) * OHM)
    for m, n in ((6, 4), (3, 7), (1, 3), (4, 1)):
        cells = rng.uniform(1e-5, 1e-3, (m, n)) * (rng.random((m, n)) < 0.9)
        for active in (rng.random(m) < 0.5, np.arange(m) == m - 1, np.arange(m) == 0, np.ones(m, dtype=bool)):
            expected = dense_voltages(cells * active[:, None], active.astype(float), *ohm)[2]
            np.testing.assert_allclose(active_row_currents(cells, active, *ohm), expected, rtol=1e-11, atol=1e-20)


def test_is_the_linear_array_with_those_rows_only():
    rng = np.random.default_rng(4)
    cells, active = rng.uniform(5e-6, 5e-5, (40, 24)), rng.random(40) < 0.3
    whole = effective_conductance(cells * active[:, None], 1e3, 5, 10, 1e3)
    np.testing.assert_allclose(active_row_currents(cells, active, 1e3, 5, 10, 1e3), active @ whole, rtol=1e-11)


def test_open_cells_cost_less_than_grounded_rows():
    """Rows at ground draw current out of the columns; published: 1.34 of the current at 64 x 64 and 20 % spikes."""
    rng = np.random.default_rng(5)
    cells, active = 5e-6 + 4.5e-5 * np.abs(rng.normal(0, 0.15, (64, 64))), np.zeros(64, dtype=bool)
    active[rng.permutation(64)[:13]] = True
    grounded = active @ effective_conductance(cells, 1e3, 5, 10, 1e3)
    ratio = active_row_currents(cells, active, 1e3, 5, 10, 1e3).sum() / grounded.sum()
    assert 1.2 < ratio < 1.5


def test_no_active_row():
    nothing = gated_currents(np.empty((0, 5)), np.empty(0, dtype=np.int64), 8, 1e3, 5.0, 10.0, 1e3)
    assert np.array_equal(nothing, np.zeros(5))


def test_small_wires_beside_a_large_driver_keep_their_digits():
    cells = np.random.default_rng(0).uniform(1e-6, 1e-4, (8, 8))
    active = np.arange(8) % 2 == 0
    limit = active_row_currents(cells, active, 1e4, 0, 0, 1e4)
    np.testing.assert_allclose(active_row_currents(cells, active, 1e4, 1e-7, 1e-7, 1e4), limit, rtol=1e-8)


@pytest.mark.parametrize("active", [[True, False], [1, 0, 1], [[True, True, False]]])
def test_mistakes(active):
    with pytest.raises(SpecError, match="active: expected bool"):
        active_row_currents(np.full((3, 2), 1e-5), active, 1, 1, 1, 1)
