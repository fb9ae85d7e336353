"""RESPARC's targets: ratios by hand, verdicts that need both baselines, utilisation, a small network."""

from __future__ import annotations

import math

import pytest

from hwsim.reproduce import registry, resparc
from hwsim.reproduce.resparc import Cost, Part
from hwsim.reproduce.target import NOT_REPRODUCED, TREND_ONLY, Measured, verdict

DIGITS = Part("digits_mlp", "mlp", "digits_mlp")
SMALL = (DIGITS, Part("fc2", "cnn", "digits_mlp", (1, 2)))
"""A part stands for a kind here: what is tested is the arithmetic."""


def beside(measured: Measured) -> dict[str, float | None]:
    return {row.what: row.ours for row in measured.beside}


def test_targets_carry_the_four_numbers_of_the_abstract_and_no_tolerance() -> None:
    found = {name: target for name, target in registry().items() if target.group == "resparc"}
    published = {name.removeprefix("resparc."): target.published for name, target in found.items() if target.published}
    assert published == {
        "energy-mlp": 500, "throughput-mlp": 300, "energy-cnn": 15, "throughput-cnn": 60,
        "mlp-over-cnn-energy": 500 / 15, "mlp-over-cnn-throughput": 5,
    }  # fmt: skip
    assert len(found) == 6 + 2 + 3
    for target in found.values():
        if target.published:  # near by chance is not reproduced
            assert verdict(target, Measured(target.published * 1.001, False)) == NOT_REPRODUCED
        assert target.quick is (target.id == "resparc.utilisation")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Cost]:
    """Costs by (architecture, kind): crossbars need 1 J and 1 s for an MLP, 2 J and 2 s for a CNN."""

    def of(energy: float, latency: float, leakage: float = 0.0) -> Cost:
        return Cost(energy, leakage, latency, {}, 100, 100, 1000)

    costs = {
        ("resparc", "mlp"): of(1, 1), ("resparc", "cnn"): of(2, 2, leakage=1), ("sata", "mlp"): of(100, 10, leakage=50),
        ("sata", "cnn"): of(40, 8), ("resparc_cmos", "mlp"): of(30, 20), ("resparc_cmos", "cnn"): of(20, 4),
    }  # fmt: skip
    monkeypatch.setattr(resparc, "cost", lambda architecture, part, overrides=(): costs[architecture, part.kind])
    return costs


def run(name: str) -> tuple[Measured, str]:
    target = registry()[name]
    measured = target.run()
    return measured, verdict(target, measured)


def test_gains_are_ratios_of_the_baseline_to_the_crossbars(made_up: dict[tuple[str, str], Cost]) -> None:
    energy, what = run("resparc.energy-mlp")
    assert (energy.value, what) == (pytest.approx(100), TREND_ONLY)
    rows = beside(energy)
    assert rows["vgg5 linear: gain against resparc_cmos"] == 30
    assert rows["all MLPs, against sata, without leakage"] == pytest.approx(50)
    assert rows["digits_mlp: energy of a synaptic operation"] == pytest.approx(1e12 / 1000)
    assert run("resparc.throughput-cnn")[0].value == pytest.approx(4)
    assert beside(run("resparc.energy-cnn")[0])["all CNNs, against sata, without leakage"] == pytest.approx(40)


def test_a_gain_that_one_baseline_lacks_is_no_trend(made_up: dict[tuple[str, str], Cost]) -> None:
    made_up["resparc_cmos", "mlp"] = made_up["resparc", "mlp"]
    assert run("resparc.energy-mlp")[1] == NOT_REPRODUCED
    assert run("resparc.energy-cnn")[1] == TREND_ONLY
    over, what = run("resparc.mlp-over-cnn-energy")
    assert (over.value, what) == (pytest.approx(100 / 20), NOT_REPRODUCED)
    assert beside(over)["against resparc_cmos"] == pytest.approx(1 / 10)


@pytest.mark.parametrize(
    ("energies", "best", "trend"), [((3, 2, 4), 64, True), ((4, 3, 2), 128, False), ((2, 3, 4), 32, False)]
)
def test_an_optimum_at_an_end_is_no_interior_optimum(
    energies: tuple[float, ...], best: int, trend: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = dict.fromkeys(("router", "link", "crossbar", "driver", "pe_adder"), 0.25)
    by_size = dict(zip(map(resparc.sized, resparc.SIZES), energies, strict=True))
    monkeypatch.setattr(resparc, "cost", lambda _, part, overrides=(): Cost(by_size[overrides], 0, 1, parts, 1, 1, 1))
    monkeypatch.setattr(resparc, "IMAGES", {})
    measured, _ = run("resparc.size-vgg5-conv")
    assert (measured.value, measured.trend) == (best, trend)
    assert beside(measured)["vgg5 conv, 32 x 32: the rest"] == pytest.approx((energies[0] - 1.25) * 1e6)
    assert run("resparc.sizes-differ")[0].trend is False, "one size for all"


def test_utilisation_is_weights_over_cells() -> None:
    """digits_mlp: 64 x 64 and 64 x 10 weights, two cells of a pair in two slices each."""
    cells = 4 * (64 * 64 + 64 * 10)
    for size, arrays in zip(resparc.SIZES, (20, 6, 4), strict=True):
        assert resparc.utilisation(DIGITS, size) == pytest.approx(cells / (arrays * size * size), rel=1e-12)
    conv = next(part for part in resparc.PARTS if part.name == "vgg9 conv")
    assert resparc.utilisation(conv, 32) == 1, "576 rows and 128 columns: whole arrays"
    assert resparc.utilisation(conv, 128) < 1


def test_a_small_network_on_both_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way once: simulation, prices, ratios, checks for zeros."""
    monkeypatch.setattr(resparc, "PARTS", SMALL)
    ours = resparc.cost("resparc", DIGITS)
    assert ours.energy_J == pytest.approx(math.fsum(ours.parts_J.values()), rel=1e-9)
    assert 0 < ours.leakage_J < ours.energy_J and ours.flits > 0 and ours.integrations > 0
    sata = resparc.cost("sata", DIGITS)
    assert sata.flits == 0 and sata.leakage_J > ours.leakage_J
    assert resparc.cost("resparc", DIGITS, resparc.sized(64)) is ours, "simulated once"
    assert resparc.gain(DIGITS, "throughput", "sata") == sata.latency_s / ours.latency_s
    assert resparc.saved(DIGITS, (resparc.NO_READS,)) >= 0
    assert resparc.saved(DIGITS, (resparc.NO_PACKETS,)) == 0, "its rows fit one packet"
    monkeypatch.setattr(resparc, "IMAGES", {"digits_mlp": 20})
    differ = beside(resparc._sizes_differ())
    assert differ["best size, digits_mlp"] == resparc.best_size(DIGITS)
    shares = [differ[f"accuracy of digits_mlp (20 images): {size} x {size}"] for size in resparc.SIZES]
    assert all(share is not None and share * 20 % 100 == 0 and share > 50 for share in shares)
