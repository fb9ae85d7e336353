"""Fig. 6b: rounding to 4 bits, what encodings do to the cells, and chips that are kept one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.reproduce import encoding, registry, report
from hwsim.reproduce.encoding import Chip, Found
from hwsim.run import simulate
from hwsim.workload import load, save
from tests.machines.tiny import network

IMAGES = 6


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small network of 8-bit weights, its chips kept in a folder of this test."""
    path = str(network(tmp_path / "tiny.npz", timesteps=2, samples=IMAGES, classes=3))
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(encoding, "TIMESTEPS", {path: 2})
    monkeypatch.setattr(encoding, "IMAGES", IMAGES)
    encoding.runner.cache_clear()
    yield path
    encoding.runner.cache_clear()


def test_rounding_by_hand() -> None:
    weights = np.array([[10, -127, 64], [0, 0, 0], [4, 4, -6]], dtype=np.int8)
    codes, scale = encoding.quantise(weights, np.array([0.5, 0.5, 2.0]), 4)
    assert codes.tolist() == [[1, -7, 4], [0, 0, 0], [5, 5, -7]], "5 / 9.07, 63.5 / 9.07, 32 / 9.07; 8 / 1.71"
    assert scale == pytest.approx([63.5 / 7, 1.0, 12 / 7])
    assert codes.dtype == np.int8 and scale.dtype == np.float32
    again, _ = encoding.quantise(codes, scale.astype(np.float64), 4)
    assert (again == codes).all(), "rounding twice changes nothing"


def test_derived_network_is_the_same_but_for_its_weights(tiny: str, tmp_path: Path) -> None:
    before = Path(tiny).read_bytes()
    spec, arrays = encoding.requantised(tiny, 4, 4, 9)
    save(tmp_path / "derived.npz", spec, arrays)
    old, new = load(tiny), load(tmp_path / "derived.npz")
    assert Path(tiny).read_bytes() == before and new.name == f"{old.name}_4bit"
    assert len(new.samples("test")) == 4 and (new.samples("test").inputs == old.samples("test").inputs[:4]).all()
    for one, other in zip(old.weighted, new.weighted, strict=True):
        assert one.weights is not None and other.weights is not None and other.weights.bits == 4
        scale = new.values(other.weights.scale)
        codes = new.weight(other).reshape(len(scale), -1)
        real = old.weight(one).reshape(len(scale), -1) * old.values(one.weights.scale)
        assert np.abs(codes).max(axis=1).tolist() == [7] * len(scale), "every filter uses the whole range"
        assert (np.abs(codes * scale[:, None] - real) <= scale[:, None] * 0.5001).all()
        assert (one.neuron, one.bn, one.geometry) == (other.neuron, other.bn, other.geometry)


@pytest.mark.parametrize("name", ["vgg9", "vgg5"])
def test_shipped_networks_can_be_rounded(name: str) -> None:
    spec, arrays = encoding.requantised(name, 4, 3, 2)
    assert spec["name"] == f"{name}_4bit" and len(arrays["test.labels"]) == 3 and len(arrays["calibration.labels"]) == 2
    own = load(name)
    for layer in spec["layers"]:
        if "weights" in layer:
            member = arrays[layer["weights"]["member"]]
            assert int(np.abs(member).max()) == 7 and member.shape == own.weight(own.layer(layer["name"])).shape
            assert layer["weights"]["bits"] == 4


def test_improvement_by_hand() -> None:
    before, after = (Found(np.array(right, dtype=bool), 0.0, 0.0) for right in ([1, 0, 0, 0], [1, 1, 0, 0]))
    points, error, relative = encoding.improvement(before, after)
    assert (points, error, relative) == pytest.approx((25.0, 25.0, 100.0))
    assert encoding.improvement(after, before)[0] == -25.0
    none = Found(np.zeros(4, dtype=bool), 0.0, 0.0)
    assert encoding.improvement(none, after)[2] == 0.0, "no relative gain over nothing"


def test_chips_are_those_of_a_simulation(tiny: str) -> None:
    """Accuracy, cells and codes as ``hwsim simulate`` gives them for the same machine."""
    chips = (Chip("twos_complement", False, "off"), Chip("diff", True, "per_column"))
    found = encoding.measured.__wrapped__(tiny, chips)
    with encoding.derived(tiny) as path:
        for chip, one in found.items():
            options = [*chip.overrides, f"options.gain={chip.gain}"]
            whole = simulate("spikesim", path, overrides=options, accuracy=IMAGES)
            assert one.accuracy == pytest.approx(100 * whole.totals["accuracy"]), chip
            assert f"cells at highest resistance {one.high:.1%}, mean code {one.code:.2f} of 15" in whole.notes, chip


def test_adaptation_is_that_of_a_simulation(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(network(tmp_path / "bn.npz", timesteps=2, samples=IMAGES, classes=3, normalise="layer"))
    monkeypatch.setattr(encoding, "TIMESTEPS", {path: 2})
    chip = Chip("diff", True, "off", "mean_variance", 4)
    (one,) = encoding.measured.__wrapped__(path, (chip,)).values()
    with encoding.derived(path) as rounded:
        options = [*chip.overrides, "options.gain=off", "options.adaptation={images: 4, what: mean_variance}"]
        whole = simulate("spikesim", rounded, overrides=options, accuracy=IMAGES)
        frozen = encoding._frozen(rounded, chip, 2)
        plain = encoding._frozen(rounded, Chip("diff", True, "off"), 2)
        encoding.runner.cache_clear()
    assert one.accuracy == pytest.approx(100 * whole.totals["accuracy"])
    assert (frozen.layers["conv1"].scale != plain.layers["conv1"].scale).any(), "BN has other statistics"


def test_inversion_and_encodings_raise_the_resistance(tiny: str) -> None:
    chips = tuple(encoding.table_chips("per_column"))
    found = encoding.measured.__wrapped__(tiny, chips)
    assert len(found) == 8
    code = {
        chip.encoding: [found[Chip(chip.encoding, on, "per_column")].code for on in (False, True)] for chip in chips
    }
    assert all(after <= before for before, after in code.values())
    assert code["twos_complement"][1] < code["twos_complement"][0] and code["diff"][1] < code["diff"][0]
    plain = {name: before for name, (before, _) in code.items()}
    assert sorted(plain, key=lambda name: plain[name])[:2] == ["differential_pair", "diff"]
    high = {name: found[Chip(name, False, "per_column")].high for name in encoding.ENCODINGS}
    assert max(high, key=lambda name: high[name]) == "differential_pair"
    assert high["twos_complement"] == high["diff"], "the cells of zero weights"


def test_a_stopped_row_goes_on_where_it_was(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = tuple(encoding.table_chips("off"))[:4]
    made: list[Chip] = []
    real = encoding._frozen

    def frozen(path: str, chip: Chip, timesteps: int):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(chip)
        return real(path, chip, timesteps)

    monkeypatch.setattr(encoding, "_frozen", frozen)
    with pytest.raises(KeyboardInterrupt):
        encoding.measured.__wrapped__(tiny, chips)
    assert made == list(chips[:2])
    monkeypatch.setattr(encoding, "_frozen", lambda *args: (made.append(args[1]), real(*args))[1])
    found = encoding.measured.__wrapped__(tiny, chips)
    assert made == list(chips) == list(found), "each chip once"
    again = encoding.measured.__wrapped__(tiny, chips)
    assert made == list(chips)
    for chip in chips:
        assert (again[chip].right == found[chip].right).all() and again[chip].code == found[chip].code


def test_software_accuracy_is_of_both_weights(tiny: str) -> None:
    shares = encoding.software.__wrapped__(tiny)
    with encoding.derived(tiny) as path:
        for bits, name in ((8, tiny), (4, path)):
            right = encoding._right(freeze(load(name), Numerics(timesteps=2)))
            assert shares[bits] == pytest.approx(100 * right.mean())


def test_reports_have_both_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight chips decide 10, 20 ... 80 of 100 images rightly."""
    found = {chip: Found(np.arange(100) < 10 * (place + 1), 0.2, 3.0)
             for place, chip in enumerate(encoding.table_chips("per_column"))}  # fmt: skip
    monkeypatch.setattr(encoding, "measured", lambda name, chips: found)
    monkeypatch.setattr(encoding, "software", lambda name: {8: 99.0, 4: 98.0})
    columns = ["accuracy (%)", "lost to software (points)", "cells at highest resistance (%)", "mean code"]
    expected = {
        "inversion": (10, "diff -> with inversion, relative", 100 / 3, 8),
        "diff": (20, "twos_complement -> diff with inversion, gained", 30, 3),
    }
    for reading, (points, label, other, lines) in expected.items():
        target = registry()[f"spikesim-fig6b.{reading}-vgg9-per_column"]
        measured = target.run()
        assert target.published == 40.13 and measured.value == pytest.approx(points) and measured.trend is True
        rows = {row.what: (row.theirs, row.ours) for row in measured.beside}
        assert rows[label] == (40.13, pytest.approx(other))
        (header, cells), *_ = report.pivot(report.rows_of(target, measured, "x")[1:])[0]
        assert header[1:] == columns and len(cells) == lines
        assert cells[0][:3] == ["twos_complement", "10", "88"]


def test_a_gain_within_its_error_is_no_trend(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    found = {chip: Found(rng.random(100) < 0.5, 0.2, 3.0) for chip in encoding.table_chips("off")}
    monkeypatch.setattr(encoding, "measured", lambda name, chips: found)
    monkeypatch.setattr(encoding, "software", lambda name: {8: 99.0, 4: 98.0})
    for reading in encoding.READINGS:
        assert registry()[f"spikesim-fig6b.{reading}-vgg5-off"].run().trend is False


def test_adaptation_is_held_against_the_same_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = encoding.adapted_chips("off")
    accuracy = dict(zip(chips, (10, 20, 30, 40, 90, 50, 60), strict=True))
    found = {chip: Found(np.arange(100) < share, 0.2, 3.0) for chip, share in accuracy.items()}
    monkeypatch.setattr(encoding, "measured", lambda name, chosen: found)
    monkeypatch.setattr(encoding, "software", lambda name: {8: 99.0, 4: 95.0})
    measured = registry()["spikesim-fig6b.adaptation-off"].run()
    assert measured.value == pytest.approx(5) and measured.trend is True
    rows = {row.what: row.ours for row in measured.beside}
    assert rows["diff + inversion, mean on 16 images: gained by adaptation"] == pytest.approx(10)
    assert rows["differential_pair, mean_variance on 64 images: gained by adaptation"] == pytest.approx(10)
    assert rows["diff + inversion, mean_variance on 64 images: lost to software"] == pytest.approx(5)
