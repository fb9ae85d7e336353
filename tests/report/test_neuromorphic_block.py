"""The block of neuromorphic machines in the terminal report, and the same in result.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hwsim
from hwsim.comparison import Comparison
from hwsim.components.registry import load
from hwsim.errors import SpecError
from hwsim.report import numbers
from hwsim.report.neuromorphic import DISTRIBUTIONS, neuromorphic
from hwsim.report.tables import report
from tests.neuromorphic.chips.networks import random_network

CHIP = ("core.count=16", "core.neurons=8", "core.group=2")
STOPPING = (*CHIP, "sync={class: asynchronous}", "options.stop=output")
BARRIER, NONE = "barrier", "none"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_network(tmp_path_factory.mktemp("net") / "small.npz")


@pytest.fixture(scope="module")
def results(network: str) -> dict[str, hwsim.Result]:
    settings = {BARRIER: CHIP, NONE: STOPPING}
    return {name: hwsim.simulate("seneca", network, overrides=own, depth="pass", samples=2, accuracy=2)
            for name, own in settings.items()}  # fmt: skip


def line(result: hwsim.Result, start: str) -> str:
    return next(text for text in neuromorphic(result).splitlines() if text.startswith(start))


@pytest.mark.parametrize("name", [BARRIER, NONE])
def test_it_fits_and_stands_in_the_report(results: dict[str, hwsim.Result], name: str) -> None:
    block = neuromorphic(results[name])
    assert max(map(len, block.splitlines())) <= 80
    assert block in report(results[name]) and "PE busy" not in report(results[name])


def test_other_families_have_none() -> None:
    result = hwsim.simulate("sata", "digits_mlp", accuracy=0)
    assert neuromorphic(result) == "" and "behaviour" not in result.as_dict()
    assert "PE busy" in report(result)


@pytest.mark.parametrize("name", [BARRIER, NONE])
def test_dynamic_and_static_energy_are_the_whole(results: dict[str, hwsim.Result], name: str) -> None:
    result = results[name]
    static = sum(row.value for row in result.rows if row.metric == "energy" and row.action == "leakage") / 2
    shown = line(result, "dynamic energy")
    assert numbers.si(result.totals["energy_J"] - static, "J") in shown and numbers.si(static, "J") in shown
    assert 0 < static < result.totals["energy_J"]
    assert sum(result.as_dict()["behaviour"]["energy_J"].values()) == pytest.approx(result.totals["energy_J"])


@pytest.mark.parametrize("name", [BARRIER, NONE])
def test_spikes_add_up_layer_by_layer(results: dict[str, hwsim.Result], name: str) -> None:
    told = results[name].behaviour()
    for layer in results[name].layers:
        parts = sum(told[f"spikes_{word}"][layer] for word in ("propagated", "masked", "left"))
        assert told["spikes_emitted"][layer] == parts
    whole = {word: sum(told[f"spikes_{word}"].values()) for word in ("emitted", "masked")}
    assert whole["emitted"] > 0 and (whole["masked"] > 0) == (name == NONE)
    assert f"{whole['emitted']:.0f}" in line(results[name], "spikes fired")


def test_what_synchronises_is_counted(results: dict[str, hwsim.Result]) -> None:
    told = {name: result.behaviour() for name, result in results.items()}
    phases, cores = 3 * 3, 2 + 2 + 1
    assert told[BARRIER]["signals"] == phases * cores
    assert 0 < told[NONE]["signals"] <= 3 * (cores - 1)
    assert told[BARRIER]["elapsed"]["synchronising"] > 0 == told[NONE]["elapsed"]["synchronising"]
    for name in results:
        assert sum(told[name]["core_time"].values()) == pytest.approx(1)
        latency = told[name]["sample_latency"]["mean"]
        assert sum(told[name]["elapsed"].values()) == pytest.approx(latency)


def test_latencies_of_layers_add_up(results: dict[str, hwsim.Result]) -> None:
    for result in results.values():
        parts = [row.value for row in result.rows if row.metric == "latency" and row.layer]
        assert sum(parts) / 2 == pytest.approx(result.totals["latency_s"])


def test_accuracy_over_extra_steps_where_a_timestep_stops_on_output(results: dict[str, hwsim.Result]) -> None:
    steps = {row.action for row in results[NONE].rows if row.metric == "accuracy" and row.action}
    assert steps == {f"{count} steps after" for count in (0, 1, 2, 4, 8)}
    assert "0 steps after the first output" in line(results[NONE], "accuracy by stop")
    assert " 1 step after the first output" in neuromorphic(results[NONE])
    assert not [row for row in results[BARRIER].rows if row.metric == "accuracy" and row.action]
    one = next(row.value for row in results[NONE].rows if row.action == "1 steps after")
    assert one == results[NONE].totals["accuracy"], "options.steps_after is 1"


def test_every_distribution_is_there(results: dict[str, hwsim.Result]) -> None:
    block = neuromorphic(results[NONE])
    assert all(f"\n{label} " in block for *_, label in DISTRIBUTIONS)
    told = results[NONE].behaviour()["currents_to_spike"]
    assert 1 <= told["minimum"] <= told["median"] <= told["maximum"] <= 16


def test_it_is_in_the_json_and_survives_the_folder(results: dict[str, hwsim.Result], tmp_path: Path) -> None:
    result = results[NONE]
    assert json.loads(result.to_json())["behaviour"] == result.behaviour()
    again = hwsim.Result.read(result.write(tmp_path / "run"))
    assert again.behaviour() == result.behaviour() and again.to_json() == result.to_json()
    assert neuromorphic(again) == neuromorphic(result)


def test_runs_that_differ_in_the_synchronisation_are_named_by_it(results: dict[str, hwsim.Result]) -> None:
    assert Comparison([results[BARRIER], results[NONE]]).labels == ["barrier", "asynchronous"]


def test_how_to_switch_the_synchronisation_is_said_where_it_goes_wrong() -> None:
    with pytest.raises(SpecError, match=r"replace it whole: --set 'sync=\{class: asynchronous\}'"):
        load("seneca", ["sync.class=asynchronous"])
    assert load("seneca", ["sync={class: asynchronous}"]).components["sync"].class_name == "asynchronous"


def test_groups_are_said_where_they_act(results: dict[str, hwsim.Result]) -> None:
    assert any("core.group acts without synchronisation only" in text for text in results[BARRIER].schedule)
    assert any(text.startswith("F: 2; spikes are chosen by a fifo") for text in results[NONE].schedule)
