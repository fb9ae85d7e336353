"""Targets that run the crossbar machine: schedules over timesteps, early exit, area of the neuron module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwsim.components.registry import load as load_architecture
from hwsim.errors import SpecError
from hwsim.machines import prepare
from hwsim.machines.request import Request
from hwsim.reproduce import crossbar_machine, dynamic_crossbar, registry, report
from hwsim.reproduce.crossbar_machine import Spent
from hwsim.reproduce.dynamic_crossbar import Case, Mean, Study
from hwsim.run import simulate
from hwsim.workload import load
from tests.machines.tiny import network

SAMPLES = 5


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small network whose samples stop at different timesteps; costs kept in a folder of this test."""
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    crossbar_machine.runner.cache_clear()
    yield str(network(tmp_path / "tiny.npz", timesteps=4, samples=SAMPLES))
    crossbar_machine.runner.cache_clear()


# --- one sample ------------------------------------------------------------------------------------------------------


def test_shares_by_hand() -> None:
    energy = np.array([[6.0, 1.0, 1.0], [2.0, 3.0, 1.0], [0.0, 0.0, 2.0]])  # two layers, and what belongs to none
    spent = Spent(("adc", "neuron", "pool"), energy, np.array([3.0, 1.0]), 4)
    assert (spent.energy_J, spent.latency_s, spent.edp_Js) == (16.0, 4.0, 64.0)
    assert (spent.first_energy, spent.first_latency, spent.repeated_J) == (0.5, 0.75, 6.0)


def test_costs_are_those_of_a_simulation(tiny: str) -> None:
    for overrides in ((), ("dataflow=sequential",), ("mapping.first_layer=digital",)):
        spent = crossbar_machine.run(tiny, 3, overrides, 2)
        whole = simulate("spikesim", tiny, timesteps=3, samples=3, accuracy=0, overrides=overrides)
        third = [row for row in whole.rows if row.sample == 2]
        energy = {name: 0.0 for name in ("conv1", "fc2")}
        for row in third:
            if row.metric == "energy" and row.layer in energy:
                energy[row.layer] += row.value
        assert spent.energy_J == pytest.approx(sum(row.value for row in third if row.metric == "energy"), rel=1e-12)
        assert spent.latency_s == pytest.approx(sum(row.value for row in third if row.metric == "latency"), rel=1e-12)
        assert spent.first_energy * spent.energy_J == pytest.approx(energy["conv1"], rel=1e-12)
        assert float(spent.energy[-2].sum()) == pytest.approx(energy["fc2"], rel=1e-12)


def test_a_sample_is_simulated_once(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = crossbar_machine.run(tiny, 2)
    monkeypatch.setattr(crossbar_machine, "_simulate", lambda *_: pytest.fail("simulated again"))
    again = crossbar_machine.run(tiny, 2)
    assert (again.energy == first.energy).all() and (again.latency == first.latency).all()
    assert again.components == first.components and again.timesteps == 2
    for change in ({"number": 1}, {"overrides": ("dataflow=sequential",)}, {"timesteps": 3}):
        with pytest.raises(pytest.fail.Exception):
            crossbar_machine.run(tiny, **({"timesteps": 2} | change))
    monkeypatch.setattr(crossbar_machine, "sources", lambda: "other code")
    with pytest.raises(pytest.fail.Exception):
        crossbar_machine.run(tiny, 2)


# --- schedules -------------------------------------------------------------------------------------------------------


def test_schedules_report(tiny: str) -> None:
    measured = crossbar_machine._schedules(tiny, ())
    ends = [crossbar_machine.run(tiny, timesteps) for timesteps in (1, 4)]
    assert measured.value == pytest.approx(ends[1].edp_Js / ends[0].edp_Js)
    target = registry()["spikesim-edp.schedules-vgg9"]
    (header, cells), *_ = report.pivot(report.rows_of(target, measured, "x")[1:])[0]
    table = {line[0]: dict(zip(header[1:], map(float, line[1:]), strict=True)) for line in cells}
    assert list(table) == list(crossbar_machine.VARIANTS)
    for line in table.values():
        assert line["EDP growth"] == pytest.approx(line["energy growth"] * line["latency growth"], rel=1e-3)
        assert line["of the energy at T=1, not of T (%)"] == pytest.approx(
            100 * (1 - (line["energy growth"] - 1) / 3), abs=0.02
        )
    assert table["sequential"]["latency growth"] == pytest.approx(4, rel=2e-3), "no timestep overlaps another"
    assert table["pipelined (default)"]["latency growth"] < table["by-timestep"]["latency growth"] <= 4.01
    copies = table["pipelined, 8 copies of the first layer"]
    assert copies["latency at T=1 (ms)"] < table["pipelined (default)"]["latency at T=1 (ms)"]


def test_first_layer_once_by_hand() -> None:
    """10 J of 16 a timestep make the first layer's psums: 16 at T=1; 64 - 30 at T=4."""
    series = {}
    for timesteps in (1, 4):
        energy = timesteps * np.array([[10.0, 2.0], [3.0, 1.0]])
        series[timesteps] = Spent(("adc", "neuron"), energy, np.array([1.0]), timesteps)
    rows = {row.what: (row.theirs, row.ours) for row in crossbar_machine._dominant_rows(series)}
    assert rows["psums of the first layer once an image, energy growth"][1] == pytest.approx(34 / 16)
    assert rows["psums of the first layer once an image, EDP growth if latency goes as T"] == (
        10.4, pytest.approx(4 * 34 / 16),
    )  # fmt: skip
    assert rows["share of the energy at T=1, adc"][1] == pytest.approx(100 * 13 / 16)


def test_the_published_network_needs_the_room_that_the_report_names() -> None:
    target = registry()["spikesim-edp.machine"]
    assert all(f"--set '{text}'" in target.options for text in crossbar_machine.ROOM)
    net = load(target.workload)
    assert prepare(load_architecture("spikesim", crossbar_machine.ROOM), net, Request()).timesteps == 4
    for part, less in (("tile", crossbar_machine.ROOM[1:]), ("global", crossbar_machine.ROOM[:1])):
        with pytest.raises(SpecError, match=rf"Set {part}_buffer\.capacity"):
            prepare(load_architecture("spikesim", (*less, "dataflow=sequential")), net, Request())


# --- early exit ------------------------------------------------------------------------------------------------------


def test_means_by_hand() -> None:
    first, second = Mean(1.0, 2.0, 2.0), Mean(3.0, 4.0, 12.0)
    assert Mean.weighted({1: 0.75, 4: 0.25}, {1: first, 4: second}) == Mean(1.5, 2.5, 4.5)
    spent = [Spent(("adc",), np.array([[e]]), np.array([s]), 1) for e, s in ((1.0, 2.0), (3.0, 4.0))]
    assert Mean.of(spent) == Mean(2.0, 3.0, 7.0), "7 is not 2 times 3"
    case = Case(0.5, {1: 0.5, 4: 0.5}, 90.0, Mean(2.0, 3.0, 7.0), Mean(4.0, 4.0, 21.0))
    assert (case.mean_timesteps, case.saved, case.product_of_means) == pytest.approx((2.5, 3.0, 16 / 6))


def test_exits_add_up_to_the_whole_run(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of stopping times from the network, costs from the machine: with all images in both, no difference."""
    monkeypatch.setattr(dynamic_crossbar, "THRESHOLDS", (0.9,))
    whole = simulate("spikesim", tiny, samples=SAMPLES, accuracy=SAMPLES)
    saved = {}
    for pipeline in dynamic_crossbar.PIPELINES:
        found = dynamic_crossbar.study.__wrapped__(pipeline, tiny, SAMPLES, SAMPLES)
        rule = f"options.early_exit={{threshold: 0.9, block: 1, pipeline: {pipeline}}}"
        run = simulate("spikesim", tiny, overrides=[rule], samples=SAMPLES, accuracy=SAMPLES)
        (case,) = found.cases
        steps = [row.value for row in run.rows if row.metric == "timesteps"]
        assert case.mean_timesteps == pytest.approx(sum(steps) / SAMPLES) and 1 < case.mean_timesteps < 4
        assert case.accuracy == pytest.approx(100 * run.totals["accuracy"])
        assert found.accuracies[-1] == pytest.approx(100 * whole.totals["accuracy"])
        for mean, result in ((case.exit, run), (case.whole, whole)):
            assert mean.energy_J == pytest.approx(result.totals["energy_J"], rel=1e-9)
            assert mean.latency_s == pytest.approx(result.totals["latency_s"], rel=1e-9)
            assert mean.edp_Js == pytest.approx(result.totals["edp_Js"], rel=1e-9)
        saved[pipeline] = case
    assert saved["wait"].exit.energy_J < saved["speculate"].exit.energy_J, "nothing is begun in vain"


def study(*accuracies: float) -> Study:
    mean = Mean(1.0, 1.0, 1.0)
    thresholds = dynamic_crossbar.THRESHOLDS[: len(accuracies)]
    cases = (
        Case(t, {2: 1.0}, share, mean, Mean(2.0, 2.0, 4.0)) for t, share in zip(thresholds, accuracies, strict=True)
    )
    return Study(tuple(cases), (80.0, 85.0, 89.0, 90.0), 95.0)


def test_the_point_is_the_largest_threshold_within_the_slack() -> None:
    first, second, third = dynamic_crossbar.THRESHOLDS[:3]
    for found, expected in (((80, 89, 90), second), ((89.5, 88, 90), first), ((80, 88.9, 89), third)):
        case = dynamic_crossbar.chosen(study(*found))
        assert case is not None and case.threshold == expected
    assert dynamic_crossbar.chosen(study(80, 85, 88)) is None


def test_early_exit_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic_crossbar, "study", lambda pipeline: study(80, 89, 90))
    target = registry()["spikesim-edp.dt-snn-wait"]
    measured = target.run()
    assert (measured.value, measured.trend, target.published) == (4.0, True, 2.54)
    rows = {row.what: (row.theirs, row.ours) for row in measured.beside}
    assert rows["mean T at the chosen threshold"] == (2.14, 2.0)
    assert rows["threshold 0.9, whose mean T is nearest the published, EDP saved"] == (2.54, 4.0)
    grids, _ = report.pivot(report.rows_of(target, measured, "x")[1:])
    assert grids[0][0][1:3] == ["mean T", "accuracy (%)"] and len(grids[0][1]) == 3
    monkeypatch.setattr(dynamic_crossbar, "study", lambda pipeline: study(80, 85, 88))
    assert registry()["spikesim-edp.dt-snn-wait"].run().value is None


# --- area ------------------------------------------------------------------------------------------------------------


def test_area_of_the_machine_for_the_published_network() -> None:
    """64 lanes of 1500 um2; 22 bits a neuron: five layers of 64 x 64 x 64, four or five of half that, and so on."""
    neurons = 5 * 262144 + 5 * (131072 + 65536 + 32768)
    for n in (1, 2, 4):
        expected = neurons / n * 22 * 0.7391e-12 + 64 * 1500e-12
        assert crossbar_machine.neuron_area(n) == pytest.approx(expected, rel=1e-9)
    for n, ratio in ((2, 1.995), (4, 3.971)):
        target = registry()[f"spikesim-lif.machine-c{n}"]
        assert target.run().value == pytest.approx(ratio, abs=1e-3)
        assert any("1 x 1 shortcuts among them" in text for text in target.assumptions)


def test_all_crossbar_targets_are_registered_once() -> None:
    names = [name for name in registry() if name.startswith(("spikesim-edp", "spikesim-fig6b", "spikesim-lif"))]
    assert {"spikesim-edp.machine", "spikesim-edp.schedules-vgg9", "spikesim-edp.schedules-vgg16_tinyimagenet",
            "spikesim-edp.dt-snn-wait", "spikesim-edp.dt-snn-speculate", "spikesim-fig6b.diff-vgg5-off",
            "spikesim-fig6b.adaptation-per_column"} <= set(names)  # fmt: skip
    assert all(not registry()[name].quick for name in names if "dt-snn-" in name or "schedules" in name)
