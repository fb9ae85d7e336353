"""Profile ``islped-2022``: weights of arrays against a nodal solution, gains, whole runs, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import SpecError
from hwsim.machines.crossbar.programmed import ArrayModel
from hwsim.network.engine import accuracy
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.physics.nodal import node_voltages
from hwsim.profiles.islped_arrays import (
    SolvedChip,
    array_model,
    current_lost,
    placed,
    split_change,
    study,
    weight_change,
)
from hwsim.report.tables import report
from hwsim.workload import load

G_MIN, G_MAX = 1 / 200e3, 1 / 20e3
OHM: dict[str, Any] = {"driver": 1e3, "row": 5.0, "column": 10.0, "sense": 1e3}
NET = "digits_mlp"


def chip(encoding: str = "differential_pair", size: int = 64, seed: int = 3, **changes: Any) -> SolvedChip:
    net = load(NET)
    model = replace(array_model(net, size, size, encoding=encoding), **changes)
    return SolvedChip(net, freeze(net, Numerics()), placed(net, model), model, seed)


def still(model: ArrayModel) -> dict[str, Any]:
    return {"device": model.device.with_variation(0.0, "test")}


def ideal_wires(model: ArrayModel) -> dict[str, Any]:
    return still(model) | {"resistances": (0.0, 0.0, 0.0, 0.0)}


def own(name: str) -> np.ndarray:
    net = load(NET)
    return net.weight(net.layer(name)).astype(np.float64)


def test_set_up_is_that_of_the_paper() -> None:
    model = array_model(load(NET), 64, 64, encoding="differential_pair")
    assert model.resistances == (1e3, 5.0, 10.0, 1e3) and (model.rows, model.columns) == (64, 64)
    assert (model.device.g_min_S, model.device.g_max_S) == pytest.approx((G_MIN, G_MAX), rel=1e-12)
    assert model.device.levels is None and model.codes == 0 and not model.read_noise and not model.gated
    assert model.device.variation is not None and model.device.variation.fraction == pytest.approx(0.1)  # type: ignore[union-attr]
    assert study()["array"] == {"rows": 64, "columns": 64}


@pytest.mark.parametrize(
    ("encoding", "bits"), [("differential_pair", 7), ("diff", 7), ("offset_binary", 8), ("twos_complement", 8)]
)
def test_without_disturbance_the_weights_are_the_network_s_own(encoding: str, bits: int) -> None:
    base = array_model(load(NET), 64, 64, encoding=encoding)
    assert base.cell_bits == bits
    for name, made in chip(encoding, **ideal_wires(base)).network("off").weights().items():
        np.testing.assert_allclose(made, own(name), rtol=0, atol=1e-9)


def test_the_largest_weight_has_the_largest_conductance() -> None:
    base = array_model(load(NET), 64, 64, encoding="differential_pair")
    arrays = chip(**still(base)).network("off").arrays["fc2"]
    assert np.abs(own("fc2")).max() == 127
    stored = arrays.stored()
    assert (stored.min(), stored.max()) == pytest.approx((G_MIN, G_MAX), rel=1e-12)


@pytest.mark.parametrize(("name", "size"), [("fc2", 64), ("fc1", 32)])
def test_weights_are_those_of_a_nodal_solution(name: str, size: int) -> None:
    """Arrays laid out by hand: row blocks of ``size``, the two columns of a weight side by side, G_min elsewhere."""
    base = array_model(load(NET), size, size, encoding="differential_pair")
    made = chip(size=size, **still(base)).network("off").weights()[name]
    weights, unit = own(name), (G_MAX - G_MIN) / 127
    expected = np.zeros_like(weights)
    each = size // 2
    for top in range(0, weights.shape[1], size):
        for left in range(0, weights.shape[0], each):
            part = weights[left : left + each, top : top + size].T
            cells = np.full((size, size), G_MIN)
            cells[: part.shape[0], 0 : 2 * part.shape[1] : 2] += np.maximum(part, 0) * unit
            cells[: part.shape[0], 1 : 2 * part.shape[1] : 2] += np.maximum(-part, 0) * unit
            currents = node_voltages(cells, np.eye(size), **OHM).currents.T  # [row driven with 1 V, column]
            pairs = currents[: part.shape[0], : 2 * part.shape[1]]
            expected[left : left + each, top : top + size] = ((pairs[:, 0::2] - pairs[:, 1::2]) / unit).T
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-9 * 127)
    assert weight_change(weights, made)[0] < 0.75  # the wires do something


def test_gain_per_column_restores_the_sum_of_a_column() -> None:
    """With all rows on, each column of an array gives what it should; fc2 has one row block of 64."""
    one = chip()
    sums = {gain: one.network(gain).weights()["fc2"].sum(axis=1) for gain in ("off", "global", "per_column")}
    wanted = own("fc2").sum(axis=1)
    np.testing.assert_allclose(sums["per_column"], wanted, rtol=0, atol=1e-8)
    errors = {gain: np.abs(found - wanted).max() for gain, found in sums.items()}
    assert errors["off"] > 10 and errors["global"] > 1
    off, layer = (one.network(gain).weights()["fc2"] for gain in ("off", "global"))
    factor = layer / off
    np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-9)  # one factor, more than one
    assert factor[0, 0] == pytest.approx(1 / (1 - current_lost(one.network("off").arrays["fc2"])), rel=1e-9)


def test_chips_differ_by_their_seed_alone() -> None:
    first, again, other = (chip(seed=seed).network("off").weights()["fc1"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_weight_change_and_its_two_parts() -> None:
    given = np.array([[1, -2], [3, 0]])
    rest = np.array([[0.2, 0.1], [0.0, 0.5]])  # orthogonal to the weights
    factor, residual = weight_change(given, 0.5 * given + rest)
    assert factor == pytest.approx(0.5) and residual == pytest.approx(np.sqrt(0.30 / 14) / 0.5)
    one = chip()
    weights = one.network("off").weights()
    shrunk, restored = split_change(weights, one.ideal)
    for name, matrix in weights.items():
        factor, residual = weight_change(own(name), matrix)
        assert weight_change(own(name), shrunk[name]) == pytest.approx((factor, 0.0), abs=1e-9)
        assert weight_change(own(name), restored[name]) == pytest.approx((1.0, residual), abs=1e-9)
        np.testing.assert_allclose(restored[name] * factor, matrix, rtol=1e-12)


def test_a_whole_run() -> None:
    options: dict[str, Any] = {"profile": "islped-2022", "accuracy": 60, "seed": 4}
    result = hwsim.simulate("spikesim", NET, overrides=["profile.chips=2", "profile.gain=per_column"], **options)
    found = {row.component: row.value for row in result.rows if row.metric == "accuracy"}
    net = load(NET)
    for seed in (4, 5):
        frozen = freeze(net, Numerics(weights=chip(seed=seed).network("per_column").weights()))
        assert found[f"chip {seed}"] == accuracy(frozen, net.samples("test"), 60).fraction
    assert found["software"] == accuracy(freeze(net), net.samples("test"), 60).fraction
    assert result.accuracy is not None and (result.accuracy.images, result.accuracy.kind) == (60, "measured")
    assert result.accuracy.value == result.totals["accuracy"] == pytest.approx((found["chip 4"] + found["chip 5"]) / 2)
    spread = next(row.value for row in result.rows if row.metric == "accuracy_spread")
    assert spread == pytest.approx(abs(found["chip 4"] - found["chip 5"]) / np.sqrt(2))
    assert not {"energy_J", "latency_s", "cycles", "area_m2"} & set(result.totals)
    assert not [row for row in result.rows if row.metric in ("energy", "cycles")]
    assert any("no energy" in note for note in result.notes)
    assert {row.phase for row in result.rows} == {"accuracy"}
    text = report(result)
    assert text.startswith(f"{NET} on spikesim, inference by islped-2022: accuracy ") and "cycles" not in text


def test_smaller_arrays_and_a_gain_lose_less() -> None:
    def lost(*overrides: str) -> float:
        result = hwsim.simulate("spikesim", NET, profile="islped-2022", accuracy=0, overrides=overrides)
        assert result.accuracy is None
        return next(row.value for row in result.rows if (row.metric, row.layer) == ("current_lost", "fc1"))

    assert 0.5 < lost() < 0.7 and 0.3 < lost("crossbar.rows=32", "crossbar.columns=32") < 0.5


def test_written_and_read_back(tmp_path: Path) -> None:
    result = hwsim.simulate("spikesim", NET, profile="islped-2022", accuracy=8)
    again = hwsim.Result.read(result.write(tmp_path / "run"))
    assert again.rows == result.rows and again.accuracy == result.accuracy and again.totals == result.totals


def test_one_width_of_weights() -> None:
    net = load(NET)
    first = net.weighted[0]
    assert first.weights is not None
    narrow = replace(first, weights=replace(first.weights, bits=4))
    mixed = replace(net, layers=tuple(narrow if layer.name == first.name else layer for layer in net.layers))
    with pytest.raises(SpecError, match="one width from 2 to 16 bits in all layers, found fc1 4, fc2 8"):
        array_model(mixed, 64, 64, encoding="diff")


@pytest.mark.parametrize(
    ("workload", "options", "message"),
    [
        (NET, {"layers": (0, 1)}, "a whole network with weights"),
        ("vgg9_cifar10", {}, "a whole network with weights"),
        (NET, {"overrides": ["profile.gain=per_colum"]}, "did you mean 'per_column'"),
        (NET, {"overrides": ["profile.encoding=dif"]}, "did you mean 'diff'"),
        (NET, {"overrides": ["profile.chips=0"]}, "chips must be a whole number of at least 1"),
        (NET, {"overrides": ["profile.adapt=x"]}, "adapt must be a whole number of at least 0"),
        (NET, {"overrides": ["profile.adapt=8"]}, "no BN to adapt"),
        (NET, {"overrides": ["profile.adapt=8", "profile.adapt_what=median"]}, "unknown adapt_what 'median'"),
        (NET, {"overrides": ["crossbar.driver=2 kohm"]}, "reads crossbar.rows and crossbar.columns"),
        (NET, {"overrides": ["profile.images=3"]}, "has no setting 'images'"),
        (NET, {"dataflow": "ws"}, "one dataflow, 'inference'"),
    ],
)
def test_refusals(workload: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        hwsim.simulate("spikesim", workload, profile="islped-2022", **options)
