"""Sums on a power-of-two grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.grid import current_step, grid_step, on_grid, power_of_two_above, to_grid, width_bits


@given(st.floats(1e-200, 1e200))
def test_power_of_two_above_is_the_smallest(value: float) -> None:
    power = power_of_two_above(value)
    assert math.frexp(power)[0] == 0.5
    assert power / 2 < value <= power


def test_rounding_is_half_to_even_and_symmetric() -> None:
    values = np.array([0.125, 0.375, 0.625, -0.125, -0.375, 0.126])
    np.testing.assert_array_equal(to_grid(values, 0.25), [0.0, 0.5, 0.5, 0.0, -0.5, 0.25])
    assert to_grid(0.375, 0.25) == 0.5


@given(st.integers(0, 2**32), st.integers(1, 3000), st.floats(1e-6, 1e6))
def test_gridded_sums_do_not_depend_on_order(seed: int, terms: int, size: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(0, size, terms)
    step = grid_step(float(np.abs(values).max()) * terms)
    gridded = to_grid(values, step)
    assert on_grid(gridded, step)
    exact = math.fsum(gridded)
    for _ in range(3):
        random.shuffle(gridded)
        assert float(np.add.accumulate(gridded)[-1]) == exact
    np.testing.assert_allclose(np.sort(gridded), np.sort(values), rtol=0, atol=step / 2)


def test_the_grid_is_the_finest_power_of_two_but_one() -> None:
    assert grid_step(1.0) == 2.0**-52
    assert grid_step(1.0 + 2.0**-52) == 2.0**-51  # 2^52 multiples and half a step: still below 2^53
    assert grid_step(0.0) == 2.0**-52
    assert not on_grid(np.array([2.0**54]), 1.0)
    assert not on_grid(np.array([0.5]), 1.0)


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        (0, 0, 8),
        (-128, 127, 8),
        (0, 128, 16),
        (-129, 0, 16),
        (-874395, 874395, 24),
        (-(2**31), 2**31 - 1, 32),
        (0, 2**31, 40),
    ],
)
def test_width_bits(low: int, high: int, bits: int) -> None:
    assert width_bits(low, high) == bits


def test_currents_keep_forty_bits() -> None:
    assert current_step(3.0) == 4.0 * 2.0**-40
    assert current_step(0.0) == 2.0**-40
