"""Layer synchronisation: table 3 row by row, statements on networks and on evaluations made by hand, seeds, groups."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from hwsim import reproduce
from hwsim.reproduce import (
    hashing,
    layer_sync,
    layer_sync_cifar,
    layer_sync_groups,
    layer_sync_runs,
    layer_sync_trainings,
)
from hwsim.reproduce.layer_sync_cifar import CLAIMS
from hwsim.reproduce.layer_sync_claims import ROWS, STATEMENTS
from hwsim.reproduce.layer_sync_runs import DATA, LAYERED, METHODS, MS, RS, Evaluation, Inference, Study, Traced
from hwsim.reproduce.layer_sync_seen import difference, median, medians_below
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import NOT_REPRODUCED, REPRODUCED, TREND_ONLY, Measured, verdict
from hwsim.workload import load

TARGETS = {target.id: target for target in layer_sync.targets()}
ENERGIES = sorted(name for name in TARGETS if ".energy." in name)
BY_KEY = {statement.key: statement for statement in STATEMENTS}
SMALL = Study("events_digits", samples=12, seeds=(0,), traced=3)


# --- table 3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENERGIES)
def test_energy_row(name: str) -> None:
    target, found = TARGETS[name], TARGETS[name].run()
    assert target.quick and verdict(target, found) == REPRODUCED
    assert found.value == pytest.approx(target.published, rel=3.5e-4)
    operations, per_operation = found.beside
    assert operations.ours == pytest.approx(operations.theirs, rel=1e-3)
    assert (per_operation.theirs, per_operation.ours) == (pytest.approx(26, abs=0.02), pytest.approx(26))


def test_energy_rows_are_those_of_the_table() -> None:
    assert len(ENERGIES) == 12
    shd = layer_sync.energy("shd", "rs-rs")
    assert shd.value == pytest.approx(5.100 * 384 * (128 + 128 + 20) / 3 * 26e-6)
    worse = dataclasses.replace(shd, value=shd.value * 1.0012)  # type: ignore[operator]
    assert verdict(TARGETS["layer-sync.energy.shd.rs-rs"], worse) == NOT_REPRODUCED


def test_a_wrong_price_or_fan_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(published("layer_sync")["sets"]["n-mnist"], "sizes", [64, 64, 64, 11])
    name = "layer-sync.energy.n-mnist.ms-ms"
    assert verdict(TARGETS[name], TARGETS[name].run()) == NOT_REPRODUCED


# --- CIFAR-10 --------------------------------------------------------------------------------------------------------


def test_cifar_numbers_are_those_printed() -> None:
    rows = {row.what: row for row in layer_sync_cifar.overview(4).beside}
    printed = {"layered -> layered": (80.5, 0.0089), "layered -> RS": (18.3, 0.0111), "RS -> RS": (71.2, 0.0026)}
    for words, (accuracy, density) in printed.items():
        assert rows[f"accuracy, {words}"].theirs == pytest.approx(accuracy)
        assert rows[f"density, {words}"].theirs == density
        assert 0 < rows[f"density, {words}"].ours < 1  # type: ignore[operator]
    assert rows["accuracy, MS -> MS"].theirs is None
    assert rows["hidden neurons; of theirs assumed"].theirs == 2 * 2**17 + 2 * 2**16 + 2 * 2**15 + 1024
    assert rows["that density x neurons, layered -> layered"].theirs == pytest.approx(0.0089 * 459_776)
    assert rows["density x neurons, SHD, layered -> layered"].theirs == pytest.approx(14.386 * 384)
    published_claims = {claim.key: TARGETS[f"layer-sync.cifar10.{claim.key}"].published for claim in CLAIMS}
    assert published_claims["loss"] == pytest.approx(62.2) and published_claims["recovery"] == pytest.approx(52.9)


def test_cifar_runs_are_those_the_files_state() -> None:
    for training, inference in (("layered", "layered"), ("layered", "rs"), ("ms", "ms")):
        stated = load(f"vgg7_{training}").training["inferences"][inference]
        found = layer_sync_cifar.evaluate(training, inference, 500)
        assert round(float(found.right.mean()), 4) == stated["accuracy"]
        assert round(float(found.density.mean()), 4) == stated["density"]
        assert round(float(found.operations.mean()), 4) == stated["synaptic_operations"]


def test_cifar_claims_are_answered_from_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(right: float, density: float) -> layer_sync_cifar.Run:
        hits = np.arange(100) < 100 * right
        return layer_sync_cifar.Run(hits * 1.0, np.full(100, density), np.ones(100), np.ones(100))

    runs = {("layered", "layered"): made(0.8, 0.2), ("layered", "rs"): made(0.3, 0.3), ("rs", "rs"): made(0.7, 0.1)}
    monkeypatch.setattr(layer_sync_cifar, "evaluate", lambda training, inference, samples: runs[training, inference])
    found = {claim.key: layer_sync_cifar.ask(claim, 100) for claim in CLAIMS}
    assert {key: round(one.value, 6) for key, one in found.items()} == {  # type: ignore[arg-type]
        "loss": 50, "more-spikes": 1.5, "recovery": 40, "sparser": 0.5,
    }  # fmt: skip
    assert all(one.trend for one in found.values())
    runs["rs", "rs"] = made(0.31, 0.21)
    found = {claim.key: layer_sync_cifar.ask(claim, 100) for claim in CLAIMS}
    assert [found[key].trend for key in ("loss", "more-spikes", "recovery", "sparser")] == [True, True, False, False]


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_file_s_own_accuracy_and_density() -> None:
    for method, inference in zip(METHODS, (LAYERED, RS, MS), strict=True):
        stated = load("events_digits_layered").training["inferences"][method]
        found = layer_sync_runs.evaluate("events_digits", "layered", 0, inference, 500)
        assert round(float(found.right.mean()), 4) == stated["accuracy"]
        assert round(float(found.density.mean()), 4) == stated["density"]
        for field in ("propagated", "steps", "operations"):
            key = {"steps": "forward_steps", "operations": "synaptic_operations"}.get(field, field)
            assert round(float(getattr(found, field).mean()), 4) == stated[key]


def test_added_runs_are_right_at_least_as_often() -> None:
    study = Study("sequences", samples=60)
    (added,), (once,) = study.added("rs", RS), study.runs("rs", RS)
    assert (
        added.shape == once.right.shape and added.mean() >= once.right.mean() and not np.array_equal(added, once.right)
    )
    layered = study.added("rs", LAYERED)[0]
    assert np.array_equal(layered, study.runs("rs", LAYERED)[0].right), "no chance, no difference"


def test_seeds_are_those_with_all_three_trainings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    monkeypatch.setattr(layer_sync_runs, "folder", lambda kind: tmp_path)
    for method in METHODS:
        (seeds / f"sequences_{method}_s12.npz").touch()
    for name in ("sequences_rs_s3", "sequences_ms_s3", "sequences_rs_f4_s3", "sequences_rs_s1x"):
        (seeds / f"{name}.npz").touch()
    assert layer_sync_runs.seeds_of("sequences") == (0, 12)
    assert layer_sync_runs.seeds_of("gestures") == (0,)
    assert layer_sync_runs.seeds_of("sequences", ("rs", "rs_f4")) == (0, 3)
    (seeds / "sequences_ms_noise0_s12.npz").touch()
    assert layer_sync_runs.seeds_of("sequences", ("ms", "ms_noise0")) == (12,), "a variant's seed 0 is there, too"
    assert layer_sync_runs.file_of("sequences", "ms_noise0") == "seeds/sequences_ms_noise0_s0"
    seeds.rename(tmp_path / "elsewhere")
    assert layer_sync_runs.seeds_of("sequences") == (0,), "a wheel has no seeds"


def test_settings_of_an_inference() -> None:
    assert LAYERED.settings(202) == {"group": 202, "policy": "layer_order", "stop": "done", "drain": "all"}
    assert RS.settings(202) == {"group": 8, "policy": "random", "stop": "output", "steps_after": 1}
    assert Inference("ms", layer_sync_runs.ALL, None).settings(202) == {
        "group": 202,
        "policy": "momentum",
        "stop": "done",
    }


def test_traces_agree_with_counts() -> None:
    traced = layer_sync_runs.trace("events_digits", "rs", 0, RS, 3)
    counted = layer_sync_runs.evaluate("events_digits", "rs", 0, RS, 3)
    assert len(traced.processed) == len(counted.first_output) > 10
    assert (traced.processed < counted.first_output).all(), "what was sent before is less than what was emitted by then"
    layered = layer_sync_runs.trace("events_digits", "rs", 0, LAYERED, 3)
    assert np.median(traced.currents) < np.median(layered.currents) <= 64
    whole = layer_sync_runs.evaluate("events_digits", "rs", 0, LAYERED, 3)
    outputs = whole.emitted.sum() - whole.density.sum() * 192
    assert layered.processed.sum() == whole.first_output.sum() - outputs, "layered: all hidden spikes, then the outputs"


# --- statements ------------------------------------------------------------------------------------------------------


def test_difference_and_its_error() -> None:
    one, other = [np.array([1.0, 1, 0, 1])], [np.array([0.0, 1, 0, 0])]
    found = difference(one, other)
    assert found.mean == 0.5 and found.error == pytest.approx(np.std([1, 0, 0, 1], ddof=1) / 2)
    assert not found.more and not found.less
    sure = difference([np.full(50, 1.0)], [np.full(50, 0.9)])
    assert sure.more and not sure.less and difference([np.full(50, 0.9)], [np.full(50, 1.0)]).less
    seeds = difference([np.full(50, 1.0), np.full(50, 0.0)], [np.full(50, 0.5)] * 2)
    assert seeds.mean == 0 and seeds.error == pytest.approx(np.std([0.5, -0.5], ddof=1) / np.sqrt(2))
    assert medians_below([np.array([1, 2, 9])], [np.array([3])]) and not medians_below([np.array([3])], [np.array([3])])
    assert median([np.array([1.0]), np.array([2.0, 3.0])]) == 2


@pytest.mark.parametrize("key", sorted(BY_KEY))
def test_statement_on_a_few_samples(key: str) -> None:
    found = layer_sync.ask(SMALL, BY_KEY[key])
    assert found.value is not None and np.isfinite(found.value) and found.trend in (True, False)
    assert all(row.ours is None or np.isfinite(row.ours) for row in found.beside)


def made_up(accuracy: float, density: float, latency: float, samples: int = 200) -> Evaluation:
    right = (np.arange(samples) < accuracy * samples).astype(float)
    spikes = np.full(samples, density) + np.arange(samples) * 1e-6
    latencies = np.full(samples, latency)
    return Evaluation(right, spikes, 100 * spikes, 50 * spikes, 5e3 * spikes, spikes, latencies, latencies + 1)


PAPER = {"layered-layered": (0.80, 4.0, 100.0), "layered-rs": (0.60, 3.8, 90.0), "layered-ms": (0.65, 3.8, 90.0),
         "rs-rs": (0.90, 2.0, 60.0), "ms-ms": (0.97, 1.5, 50.0), "rs-layered": (0.80, 2.1, 90.0),
         "ms-layered": (0.80, 2.0, 90.0)}  # fmt: skip
"""Accuracy, density and latency with which everything holds, but a drained network is the stopped one's double."""
NOTHING = {name: (0.80, 4.0, 100.0) for name in PAPER}


def play(monkeypatch: pytest.MonkeyPatch, cells: dict[str, tuple[float, float, float]], currents: float) -> Study:
    """A study whose evaluations are made up: everything follows from the training and the policy of inference."""

    def runs(self: Study, method: str, inference: Inference) -> list[Evaluation]:
        accuracy, density, latency = cells[f"{method}-{inference.policy}"]
        if inference.policy != "layered" and inference.after is None:
            density *= 3 if cells is PAPER else 1
        late = inference.after is not None and inference.after > 1 and cells is not PAPER
        return [made_up(accuracy + 0.1 * late, density, latency)] * len(self.seeds)

    def traces(self: Study, method: str, inference: Inference) -> list[Traced]:
        fewer = 1.0 if inference.policy == "layered" else currents
        return [Traced(np.full(5, 10 * fewer), np.full(5, 3))] * len(self.seeds)

    def added(self: Study, method: str, inference: Inference) -> list[np.ndarray]:
        return [run.right for run in runs(self, method, inference)]

    whole = {f"{method}-{policy}" for method in METHODS for policy in METHODS}
    cells |= {name: cells["layered-layered"] for name in whole - set(cells)}
    monkeypatch.setattr(Study, "runs", runs)
    monkeypatch.setattr(Study, "added", added)
    monkeypatch.setattr(Study, "traces", traces)
    return Study("events_digits", 200, (0, 1))


@pytest.mark.parametrize("key", sorted(BY_KEY))
def test_statement_holds_where_it_should_and_only_there(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert layer_sync.ask(play(monkeypatch, PAPER, 0.5), BY_KEY[key]).trend is True
    seen = layer_sync.ask(play(monkeypatch, NOTHING, 1.0), BY_KEY[key])
    assert seen.trend is (key == "density-kept"), "asynchrony without any effect"


def test_recovery_needs_a_loss_that_was_won_back(monkeypatch: pytest.MonkeyPatch) -> None:
    short = PAPER | {"rs-rs": (0.70, 2.0, 60.0)}
    found = layer_sync.ask(play(monkeypatch, short, 0.5), BY_KEY["recovery"])
    assert found.value == pytest.approx(50) and found.trend is False
    dense = PAPER | {"layered-rs": (0.60, 3.5, 90.0)}
    assert layer_sync.ask(play(monkeypatch, dense, 0.5), BY_KEY["density-kept"]).trend is False


def test_their_sizes_follow_from_table_2() -> None:
    theirs = {key: TARGETS[f"layer-sync.{key}.events_digits"].published for key in BY_KEY}
    assert theirs["loss"] == pytest.approx(-32.4) and theirs["recovery"] == pytest.approx(100 * 331 / 324)
    assert theirs["superior-rs"] == pytest.approx(0.7) and theirs["superior-ms"] == pytest.approx(1.4)
    assert theirs["momentum"] == pytest.approx(0.7) and theirs["density-kept"] == pytest.approx(3.652 / 3.987)
    assert theirs["sparsity-ms"] == pytest.approx(1.476 / 3.987) and theirs["latency-rs"] is None


def test_overview_counts_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = layer_sync.overview("n-mnist", play(monkeypatch, PAPER, 0.5))
    assert found.value == len(STATEMENTS) == TARGETS["layer-sync.overview.events_digits"].published
    rows = {row.what: row for row in found.beside}
    assert (rows["accuracy, RS -> RS"].theirs, rows["accuracy, RS -> RS"].ours) == (95.6, 90.0)
    assert rows["layered -> RS: accuracy"].ours == 60.0 and rows["layered -> RS: spread of seeds"].ours == 0
    assert layer_sync.overview("n-mnist", play(monkeypatch, NOTHING, 1.0)).value == 1


@pytest.mark.parametrize(("name", "best"), [("spikes", 62.5), ("latency", 2.0), ("accuracy", 17.0)])
def test_headlines(name: str, best: float, monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS[f"layer-sync.headline-{name}"]
    found = layer_sync.headline(name, (play(monkeypatch, PAPER, 0.5),))
    assert found.value == pytest.approx(best, abs=0.01) and found.trend is True
    nothing = layer_sync.headline(name, (play(monkeypatch, NOTHING, 1.0),))
    assert nothing.trend is False and verdict(target, nothing) == NOT_REPRODUCED


# --- groups ----------------------------------------------------------------------------------------------------------


def by_group(monkeypatch: pytest.MonkeyPatch, accuracies: dict[int, float], steps: dict[int, float]) -> Study:
    groups = {name: g for names in layer_sync_groups.TRAINED.values() for g, name in names.items()}

    def runs(self: Study, method: str, inference: Inference) -> list[Evaluation]:
        group = groups.get(method, 8)
        return [made_up(accuracies[group], steps[group], 1.0)]

    monkeypatch.setattr(Study, "runs", runs)
    return Study("sequences", 200)


def test_smaller_groups_must_be_better_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {4: 4.0, 8: 2.0, 16: 1.0}
    for accuracies, holds in (
        ({4: 0.95, 8: 0.9, 16: 0.8}, True),
        ({4: 0.95, 8: 0.97, 16: 0.8}, False),
        ({4: 0.8, 8: 0.8, 16: 0.8}, False),
    ):
        study = by_group(monkeypatch, accuracies, steps)
        assert layer_sync_groups.group_accuracy(study, "rs").trend is holds
    assert layer_sync_groups.group_cost(study).value == pytest.approx(2, abs=1e-3)
    assert layer_sync_groups.group_cost(study).trend is True
    assert layer_sync_groups.group_cost(by_group(monkeypatch, accuracies, steps | {16: 1.5})).trend is False


def test_groups_on_a_few_samples() -> None:
    study = Study("sequences", samples=6)
    rows = {row.what: row.ours for row in layer_sync_groups.group_accuracy(study, "ms").beside}
    for trained in ("layered", "MS F 4", "MS F 8", "MS F 16"):
        assert 0 <= rows[f"accuracy, trained {trained}: run at F 1"] <= 100
        assert rows[f"density, trained {trained}: run at F all"] > 0.5
    cost = {row.what: row.ours for row in layer_sync_groups.group_cost(study).beside}
    assert (
        cost["RS, F 4: steps per timestep"] > cost["RS, F 8: steps per timestep"] > cost["RS, F 16: steps per timestep"]
    )


# --- what the training is changed by ---------------------------------------------------------------------------------


def changed(monkeypatch: pytest.MonkeyPatch, one: float, other: float, change: layer_sync_trainings.Change) -> Measured:
    """Of accuracies made up; without the histories."""

    def runs(self: Study, method: str, inference: Inference) -> list[Evaluation]:
        return [made_up(one if method == change.one else other, 1.0, 1.0)] * len(self.seeds)

    monkeypatch.setattr(Study, "runs", runs)
    monkeypatch.setattr(layer_sync_trainings, "_course", lambda study, label, name: [])
    return layer_sync_trainings.compare(Study("sequences", 200, (0, 1)), change)


@pytest.mark.parametrize("change", layer_sync_trainings.CHANGES, ids=lambda change: change.key)
def test_a_change_of_training_is_better_or_worse(
    change: layer_sync_trainings.Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, same, down = (changed(monkeypatch, one, 0.8, change) for one in (0.9, 0.8, 0.6))
    assert up.value == pytest.approx(10) and down.value == pytest.approx(-20)
    assert (up.trend, same.trend, down.trend) == (change.better, False, not change.better)


def test_changes_on_a_few_samples() -> None:
    for change in layer_sync_trainings.CHANGES:
        target = TARGETS[f"layer-sync.{change.key}"]
        assert change.one in target.workload and change.other in target.workload
        assert {change.one, change.other} & set(layer_sync_runs.VARIANTS)
    change = layer_sync_trainings.CHANGES[0]
    found = layer_sync_trainings.compare(Study("sequences", 6, (0,)), change)
    rows = {row.what: row.ours for row in found.beside}
    assert 0 <= rows["RS F 2: run at F 2"] <= 100 and rows["RS F 8: last loss"] > 0
    assert layer_sync_trainings.compare(Study("sequences", 6, ()), change).value is None, "a wheel may lack the files"


# --- registry --------------------------------------------------------------------------------------------------------


def test_targets_are_registered_with_a_hash_that_sees_seeds() -> None:
    known = reproduce.registry()
    assert [name for name in known if name.startswith("layer-sync.")] == list(TARGETS)
    assert len([name for name in TARGETS if name.split(".")[-1] in DATA]) == 3 * (len(STATEMENTS) + 1)
    target = TARGETS["layer-sync.loss.events_digits"]
    assert not target.quick and "events_digits_rs" in target.workload.split(" and ")
    seeded = dataclasses.replace(target, workload="seeds/events_digits_rs_s1")
    other = dataclasses.replace(target, workload="events_digits_rs")
    assert hashing.digest(seeded) != hashing.digest(other)
    assert {"hwsim.machines.neuromorphic.ideal", "hwsim.kernels.forward_steps"} <= hashing.modules_behind(
        (layer_sync.__name__,)
    )
    assert "published_layer_sync.yaml" in {file.name for file in hashing._files(target)}


def test_verdicts_can_be_trend_only() -> None:
    target = TARGETS["layer-sync.sparsity-rs.gestures"]
    measured = reproduce.Measured(0.7, trend=True)
    assert verdict(target, measured) == TREND_ONLY
    assert ROWS["rs-rs"] == ("rs", RS)
