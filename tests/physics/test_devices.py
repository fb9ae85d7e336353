"""Device files: the shipped ones against the values their sources give, laws, overrides."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hwsim.physics import device_laws as laws
from hwsim.physics.devices import Device, load_device, shipped_devices

UNITS = {"S", "ohm", "J", "s", "V", "1"}


@pytest.mark.parametrize("name", shipped_devices())
def test_every_number_of_a_shipped_device_has_source_and_error(name: str) -> None:
    device = load_device(name)
    assert device.name == name and device.description
    assert 0 <= device.g_min_S < device.g_max_S < 1e-3
    for path, quantity in device.quantities.items():
        assert quantity.source in device.sources or quantity.source == f"assumed:{path}"
        assert quantity.sigma > 0 or quantity.log_sigma > 0 or quantity.value == 0, path
        assert quantity.unit in UNITS
    assert device.program_energy_J.value > 0 and device.program_time_s.value > 0
    assert device.sha256 == load_device(shipped_devices()[name]).sha256


def test_the_shipped_devices() -> None:
    assert list(shipped_devices()) == ["pcm", "rram", "rram-milo", "rram-wan", "sonos"]


def test_rram_is_the_cell_of_the_paper() -> None:
    device = load_device("rram")
    assert (1 / device.g_max_S, 1 / device.g_min_S) == pytest.approx((20e3, 200e3), rel=1e-15)
    np.testing.assert_allclose(device.variation.sigma_S(np.array([5e-6, 50e-6]), device.g_max_S), [0.5e-6, 5e-6])
    assert (device.iv, device.v0_V, device.levels) == ("linear", math.inf, 16)
    np.testing.assert_array_equal(device.read_noise_std(np.array([5e-6, 50e-6])), 0)


@pytest.mark.parametrize(
    ("share", "sigma_uS", "nu", "nu_sigma", "noise"),
    [(1.0, 1.06, 0.049, 0.008, (0.042, 0.045, 0.050)), (0.1, 0.448, 0.060, 0.023, (0.19, 0.20, 0.22))],
)
def test_pcm_gives_the_worked_values_of_its_model(
    share: float, sigma_uS: float, nu: float, nu_sigma: float, noise: tuple
) -> None:
    device = load_device("pcm")
    target = np.array([share * 25e-6])
    assert device.programming_noise.sigma_S(target, device.g_max_S)[0] * 1e6 == pytest.approx(sigma_uS, abs=0.006)
    mean, spread = device.drift.exponents(target, device.g_max_S)
    assert (mean[0], spread[0]) == pytest.approx((nu, nu_sigma), abs=5e-4)
    for elapsed, expected in zip((3600.0, 86400.0, 365 * 86400.0), noise, strict=True):
        assert device.read_noise_std(target, elapsed)[0] == pytest.approx(expected, rel=0.02)


def test_time_counts_from_the_reference_time_of_the_drift() -> None:
    device = load_device("pcm")
    expected = 0.0088 * math.sqrt(math.log((20 + 250e-9) / 500e-9))
    assert device.read_noise_std(np.array([25e-6]))[0] == pytest.approx(expected, rel=1e-12)


def test_pcm_drifts_as_its_model_does() -> None:
    device = load_device("pcm")
    for share, factors in ((1.0, (0.775, 0.664, 0.497)), (0.1, (0.732, 0.605, 0.424))):
        mean = device.drift.exponents(np.array([share * 25e-6]), device.g_max_S)[0][0]
        for elapsed, factor in zip((3600.0, 86400.0, 365 * 86400.0), factors, strict=True):
            assert (1 + elapsed / 20.0) ** -mean == pytest.approx(factor, abs=6e-4)


def test_a_cell_at_zero_has_drift_and_noise_that_are_numbers() -> None:
    device = load_device("pcm")
    zero = np.zeros(2)
    assert np.all(np.isfinite(device.drift.exponents(zero, device.g_max_S)))
    np.testing.assert_array_equal(device.read_noise_std(zero, 3600.0), 0)
    np.testing.assert_array_equal(load_device("sonos").read_noise_std(zero), 0)


def test_polynomials_of_wan_and_milo() -> None:
    wan, milo = load_device("rram-wan"), load_device("rram-milo")
    G = 20.0
    expected = 1.053 + 0.2374 * G - 0.01167 * G**2 + 1.536e-4 * G**3
    assert wan.programming_noise.sigma_S(np.array([G * 1e-6]), wan.g_max_S)[0] == pytest.approx(expected * 1e-6)
    assert milo.programming_noise.sigma_S(np.array([100e-6]), milo.g_max_S)[0] == pytest.approx(3.871621e-6)
    assert (milo.iv, milo.v0_V) == ("cubic", 4.6)


def test_sonos_saturates() -> None:
    device = load_device("sonos")
    current = np.array([50.0, 1600.0])  # nA at 0.1 V
    conductance = current * 1e-9 / 0.1
    sigma = device.programming_noise.sigma_S(conductance, device.g_max_S) * 0.1 * 1e9
    np.testing.assert_allclose(sigma, 19.88665 * (1 - np.exp(-current / 176.3115)), rtol=1e-12)
    noise = device.read_noise_std(conductance) * current
    np.testing.assert_allclose(noise, 12.58037 * (1 - np.exp(-current / 215.36557)), rtol=1e-7)


def test_flicker_noise_grows_with_time_and_is_cut_off() -> None:
    law = laws.Flicker(factor=0.0088, exponent=0.65, largest=0.2, read_time=250e-9)
    g = np.array([1e-6, 25e-6])
    assert np.all(law.relative(g, 25e-6, 10.0) < law.relative(g, 25e-6, 1000.0))
    np.testing.assert_array_equal(law.relative(g, 25e-6, 0.0), 0)
    small = law.relative(np.array([1e-12]), 25e-6, 1.0)[0]
    assert small == pytest.approx(0.2 * math.sqrt(math.log((1 + 250e-9) / 500e-9)))


def test_proportional_read_noise_is_the_same_for_every_cell(tmp_path: Path) -> None:
    device = load_device("rram", ["read_noise={law: proportional, fraction: 3 %}"])
    np.testing.assert_allclose(device.read_noise_std(np.array([5e-6, 50e-6])), 0.03, rtol=1e-12)


def test_overrides_replace_values_and_are_their_source() -> None:
    plain = load_device("rram")
    device = load_device("rram", ["variation.fraction=5 %", "resistance.high=400 kohm", "levels=continuous"])
    assert device.variation.sigma_S(np.array([1.0]), 1.0)[0] == pytest.approx(0.05)
    assert (device.g_min_S, device.levels) == (1 / 400e3, None)
    assert device.quantities["variation"].source == "set:variation"
    assert device.quantities["programming.energy"].source == "assumed:programming.energy"
    assert device.sha256 != plain.sha256
    assert load_device("rram", ["variation=none"]).variation is None
    faulty = load_device("rram", ["stuck={low: 1 %, high: 0 %}", "current_voltage={law: sinh, v0: 0.4 V}"])
    assert (faulty.stuck_low, faulty.stuck_high, faulty.iv, faulty.v0_V) == (0.01, 0.0, "sinh", 0.4)


def test_a_variation_of_ones_own() -> None:
    plain = load_device("rram")
    device = plain.with_variation(0.2, "handbook")
    assert device.variation.sigma_S(np.array([10e-6]), 50e-6)[0] == pytest.approx(2e-6)
    assert device.quantities["variation"].value == pytest.approx(10e-6)
    assert device.quantities["variation"].source == "handbook"
    none = plain.with_variation(0.0, "handbook")
    assert none.variation is None
    assert len({plain.sha256, device.sha256, none.sha256}) == 3
    cell = load_device("pcm").with_variation(0.0, "handbook")
    assert cell.programming_noise is None and "programming_noise" not in cell.quantities


def test_a_range_in_siemens_is_the_range_in_ohms() -> None:
    device = load_device("rram", ["resistance={low: 40 kohm, high: unlimited}"])
    assert (device.g_min_S, device.g_max_S) == (0.0, 25e-6)


def test_a_device_needs_no_file() -> None:
    device = Device("ideal", g_min_S=0.0, g_max_S=1e-6)
    assert (device.iv, device.assumed, device.reference_time_s) == ("linear", (), 0.0)
    assert device.program_energy_J.source == "not modelled"
