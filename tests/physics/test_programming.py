"""Programmed conductances: statistics within their sampling error, and draws that belong to cells."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.physics import device_laws as laws
from hwsim.physics.devices import Device, load_device
from hwsim.physics.programming import gaussian, program, target_conductance

CELLS = 40_000
CODES = np.random.default_rng(3).integers(0, 16, CELLS)
IDEAL = Device("ideal", g_min_S=5e-6, g_max_S=50e-6)


def device(**changes: object) -> Device:
    return dataclasses.replace(IDEAL, **changes)  # type: ignore[arg-type]


def programmed(part: Device, codes: np.ndarray = CODES, **named: object) -> np.ndarray:
    return program(part, codes, 16, **({"seed": 1, "stream": "layer"} | named))  # type: ignore[arg-type]


def sampling_error(sigma: float, count: int) -> float:
    """Five standard deviations of the standard deviation of ``count`` Gaussian draws."""
    return 5 * sigma / math.sqrt(2 * count)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_an_ideal_device_gets_its_targets() -> None:
    np.testing.assert_array_equal(programmed(IDEAL), target_conductance(IDEAL, CODES, 16))
    ends = program(IDEAL, np.array([0, 15]), 16, seed=0, stream="x")
    np.testing.assert_allclose(ends, [5e-6, 50e-6], rtol=1e-15)
    np.testing.assert_allclose(program(IDEAL, np.array([1]), 4, seed=0, stream="x"), 20e-6, rtol=1e-15)


def test_gaussian_draws_are_gaussian() -> None:
    from scipy import stats

    draws = gaussian(7, "x", np.arange(CELLS))
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    assert abs(draws.mean()) < 5 / math.sqrt(CELLS)
    assert abs(correlation(draws[:-1], draws[1:])) < 5 / math.sqrt(CELLS)
    assert np.all(np.isfinite(draws))


def test_rram_varies_by_ten_percent() -> None:
    part = load_device("rram")
    ratio = programmed(part) / target_conductance(part, CODES, 16)
    assert abs(ratio.mean() - 1) < 5 * 0.1 / math.sqrt(CELLS)
    assert abs(ratio.std() - 0.1) < sampling_error(0.1, CELLS)


@pytest.mark.parametrize("code", [0, 7, 15])
@pytest.mark.parametrize(
    "law",
    [
        laws.Independent(fraction=0.01),
        laws.Polynomial(unit=1e-6, reference=1e-6, coefficients=[0.2, 0.01]),
        laws.Saturating(height=1e-6, scale=20e-6),
    ],
)
def test_the_spread_is_that_of_the_law(law: laws.Spread, code: int) -> None:
    codes = np.full(CELLS, code)
    target = 5e-6 + code * 3e-6
    sigma = {
        "Independent": 0.5e-6,
        "Polynomial": (0.2 + 0.01 * target * 1e6) * 1e-6,
        "Saturating": 1e-6 * (1 - math.exp(-target / 20e-6)),
    }[type(law).__name__]
    for field in ("variation", "programming_noise"):
        found = programmed(device(**{field: law}), codes)
        assert abs(found.std() - sigma) < sampling_error(sigma, CELLS)
        assert abs(found.mean() - target) < 5 * sigma / math.sqrt(CELLS)


def test_variation_and_programming_noise_are_independent_and_add() -> None:
    law = laws.Proportional(fraction=0.01)
    target = target_conductance(IDEAL, CODES, 16)
    one = programmed(device(variation=law)) - target
    other = programmed(device(programming_noise=law)) - target
    assert abs(correlation(one, other)) < 5 / math.sqrt(CELLS)
    both = programmed(device(variation=law, programming_noise=law)) - target
    np.testing.assert_allclose(both, one + other, atol=1e-20)


def test_seeds_and_streams_are_independent() -> None:
    part = load_device("rram")
    first = programmed(part)
    for other in (programmed(part, seed=2), programmed(part, stream="other")):
        target = target_conductance(part, CODES, 16)
        assert abs(correlation(first / target, other / target)) < 5 / math.sqrt(CELLS)
    np.testing.assert_array_equal(first, programmed(part))


FULL = device(
    variation=laws.Proportional(fraction=0.1),
    programming_noise=laws.Saturating(height=1e-6, scale=20e-6),
    stuck_low=0.05,
    stuck_high=0.02,
    drift=laws.LogarithmicDrift(
        nu=laws.Clipped(slope=-0.0155, intercept=0.0244, low=0.049, high=0.1),
        nu_sigma=laws.Clipped(slope=-0.0125, intercept=-0.0059, low=0.008, high=0.045),
        t0=20.0,
    ),
)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_part_gets_what_it_gets_in_the_whole(data: st.DataObject) -> None:
    codes = CODES[:600].reshape(20, 30)
    whole = programmed(FULL, codes, elapsed_s=3600.0)
    rows = data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=20, unique=True).map(np.array))
    columns = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=30, unique=True).map(np.array))
    part = np.ix_(rows, columns)
    index = np.arange(600).reshape(20, 30)[part]
    np.testing.assert_array_equal(programmed(FULL, codes[part], elapsed_s=3600.0, index=index), whole[part])


def test_the_index_counts_in_c_order() -> None:
    codes = CODES[:12].reshape(3, 4)
    expected = programmed(FULL, CODES[:12]).reshape(3, 4)
    np.testing.assert_array_equal(programmed(FULL, codes), expected)
    np.testing.assert_array_equal(programmed(FULL, np.asfortranarray(codes)), expected)


def test_shares_of_stuck_cells() -> None:
    found = programmed(device(stuck_low=0.05, stuck_high=0.02))
    target = target_conductance(IDEAL, CODES, 16)
    middle = (CODES > 0) & (CODES < 15)
    for probability, end in ((0.05, found.min()), (0.02, found.max())):
        share = np.mean(found[middle] == end)
        assert abs(share - probability) < 5 * math.sqrt(probability / middle.sum())
    moved = found != target
    assert set(np.round(found[moved] * 1e6, 9)) == {5.0, 50.0}
    np.testing.assert_array_equal(programmed(device(stuck_low=1.0)), 5e-6)
    np.testing.assert_array_equal(programmed(device(stuck_high=1.0)), 50e-6)


def test_a_stuck_cell_has_the_spread_of_its_end() -> None:
    part = device(stuck_high=1.0, variation=laws.Proportional(fraction=0.1))
    assert abs(programmed(part).std() - 5e-6) < sampling_error(5e-6, CELLS)


def test_conductances_are_never_negative() -> None:
    found = programmed(device(variation=laws.Proportional(fraction=2.0)))
    assert found.min() == 0.0 and 0.25 < np.mean(found == 0) < 0.35  # Phi(-1/2) = 0.309


def test_drift_is_the_power_law_with_one_exponent_per_cell() -> None:
    part = device(drift=laws.ConstantDrift(nu=0.05, nu_sigma=0.01, t0=20.0))
    target = programmed(part)
    np.testing.assert_array_equal(target, target_conductance(IDEAL, CODES, 16))
    exponents = [
        -np.log(programmed(part, elapsed_s=elapsed) / target) / np.log((20.0 + elapsed) / 20.0)
        for elapsed in (3600.0, 86400.0)
    ]
    np.testing.assert_allclose(exponents[0], exponents[1], rtol=1e-9)
    assert abs(exponents[0].mean() - 0.05) < 5 * 0.01 / math.sqrt(CELLS)
    assert abs(exponents[0].std() - 0.01) < sampling_error(0.01, CELLS)
    exact = device(drift=laws.ConstantDrift(nu=0.05, nu_sigma=0.0, t0=20.0))
    np.testing.assert_allclose(programmed(exact, elapsed_s=3580.0), target * 180.0**-0.05, rtol=1e-14)


def test_no_exponent_lets_a_conductance_grow() -> None:
    part = device(drift=laws.ConstantDrift(nu=0.01, nu_sigma=0.05, t0=20.0))
    assert np.all(programmed(part, elapsed_s=100.0) <= programmed(part))


def test_switches_leave_the_other_draws_alone() -> None:
    target = target_conductance(FULL, CODES, 16)
    assert np.array_equal(programmed(FULL, variation=False, stuck=False, drift=False, elapsed_s=60.0), target)
    with_drift = programmed(FULL, elapsed_s=60.0)
    assert np.array_equal(programmed(FULL), programmed(FULL, drift=False, elapsed_s=60.0))
    assert not np.array_equal(with_drift, programmed(FULL))
    free = (programmed(FULL, variation=False) == target) & (CODES > 0) & (CODES < 15)
    np.testing.assert_array_equal(programmed(FULL)[free], programmed(FULL, stuck=False)[free])
