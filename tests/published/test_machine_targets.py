"""Targets that run the machine: what the papers say in words must hold on executable schedules."""

from __future__ import annotations

import math

import pytest

from hwsim.components.registry import load
from hwsim.components.systolic import ACROSS_LAYERS
from hwsim.reproduce import exit_machine, figures, lif, machine, measure, registry, report
from hwsim.reproduce.target import NOT_REPRODUCIBLE, REPRODUCED, TREND_ONLY, Measured, verdict
from hwsim.run import simulate
from tests.machines.tiny import network


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(network(tmp_path_factory.mktemp("w") / "tiny.npz", timesteps=4, samples=6))


def grid(name: str, measured: Measured) -> tuple[list[str], dict[str, list[str]]]:
    """(columns, cells by row) of the first table that a target's page has beside it."""
    rows = report.rows_of(registry()[name], measured, "x")[1:]
    (header, cells), *_ = report.pivot(rows)[0]
    return header[1:], {line[0]: line[1:] for line in cells}


def test_movement_and_computation_are_the_whole_energy() -> None:
    run = measure.measure("digits_mlp", dataflow="os")
    buffers = [name for name in run.parts_J if name.endswith("_buffer")]
    assert len(buffers) == 3
    moved = run.parts_J["dram"] + sum(run.parts_J[name] for name in buffers)
    computed = math.fsum(joules for name, joules in run.parts_J.items() if name != "dram" and name not in buffers)
    assert run.movement_J == pytest.approx(moved, rel=1e-12)
    assert run.computation_J == pytest.approx(computed, rel=1e-9)
    assert 0 < run.movement_J < run.energy_J


def test_a_lean_run_is_what_simulate_gives(tiny: str) -> None:
    """Without varied parameters and with the accuracy from the network alone, the numbers stay the same."""
    options = ["options.lif_sharing=4", "lif.membrane_bits=4 bit"]
    lean = measure.measure(tiny, dataflow="ws", overrides=options, samples=range(3))
    full = simulate("sata", tiny, dataflow="ws", overrides=options, samples=3, accuracy=6)
    assert (lean.energy_J, lean.latency_s) == (full.totals["energy_J"], full.totals["latency_s"])
    assert measure.accuracy(lean.network, 6) == pytest.approx(100 * full.totals["accuracy"])
    last = measure.measure(tiny, dataflow="ws", overrides=options, samples=[2])
    assert last.energy_J != lean.energy_J


def test_exits_by_stopping_time_add_up_to_the_whole_run(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of stopping times from the network, energies from the machine: with all images in both, no difference."""
    monkeypatch.setattr(exit_machine, "THRESHOLDS", (0.9,))
    found = exit_machine.study.__wrapped__(tiny, 6, 6)
    assert [case.block for case in found.cases] == list(exit_machine.BLOCKS)
    for case in found.cases:
        rule = f"options.early_exit={{threshold: 0.9, block: {case.block}}}"
        dataflow = f"os/block:{case.block}"
        run = simulate("sata", tiny, dataflow=dataflow, overrides=[rule], samples=6, accuracy=6)
        whole = simulate("sata", tiny, dataflow=dataflow, samples=6, accuracy=0)
        steps = [row.value for row in run.rows if row.metric == "timesteps"]
        assert case.mean_timesteps == pytest.approx(math.fsum(steps) / 6)
        assert case.accuracy == pytest.approx(100 * run.totals["accuracy"])
        assert case.energy_J == pytest.approx(run.totals["energy_J"], rel=1e-9)
        assert case.whole_J == pytest.approx(whole.totals["energy_J"], rel=1e-9)
        assert case.entropy_J == pytest.approx(run.energy_by("component")["entropy"], rel=1e-9)
    assert 1 < found.cases[0].mean_timesteps < 4 == found.cases[-1].mean_timesteps


def test_early_exit_report_has_its_columns(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit_machine, "THRESHOLDS", (0.95, 0.5))
    found = exit_machine.study.__wrapped__(tiny, 6, 1)
    monkeypatch.setattr(exit_machine, "study", lambda workload: found)
    measured = registry()["dt-snn.machine"].run()
    rows = report.rows_of(registry()["dt-snn.machine"], measured, "x")[1:]
    headers = [header[1:] for header, _ in report.pivot(rows)[0]]
    assert ["mean T", "accuracy (%)", "saved, same schedule (%)", "if proportional to T (%)",
            "saved against tick-batch, all T (%)", "share of the entropy unit (%)"] in headers  # fmt: skip
    share = registry()["dt-snn.entropy-unit"].run()
    assert share.value == pytest.approx(max(100 * case.entropy_J / case.energy_J for case in found.cases))
    assert share.trend is (share.value is not None and share.value < 1)


def test_lif_bank_is_that_of_the_published_estimator() -> None:
    neuron, _ = figures.powers()
    assert lif.bank(8, 1).power_W == pytest.approx(128 * neuron, rel=1e-12)
    assert lif.bank(8, 1).power_W == pytest.approx(9.614e-3, abs=1e-6)
    assert [lif.bank(8, n).units for n in lif.SHARING] == [128, 64, 32, 16]
    areas = [lif.bank(bits, 1).area_m2 for bits in lif.MEMBRANE_BITS]
    assert areas == sorted(set(areas))


@pytest.mark.parametrize(
    ("bits", "thresholds", "step"), [(8, 4, 1 / 32), (16, 4, 2**-13), (4, 4, 0.5), (2, 4, 1.0), (2, 1, 0.5)]
)
def test_membrane_step(bits: int, thresholds: float, step: float) -> None:
    assert lif.step_fraction(bits, thresholds) == step


def test_quick_lif_report_has_every_cell() -> None:
    columns, cells = grid("lif.price-list", registry()["lif.price-list"].run())
    assert columns == ["units", "power (mW)", "leakage (mW)", "area (um2)", "power saved (%)", "area saved (%)"]
    assert list(cells) == [f"{bits} bit, C#{n}" for bits in (2, 4, 8, 16) for n in (1, 2, 4, 8)]
    assert cells["8 bit, C#4"][4] == "75"


def test_lif_table_on_a_small_network(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"WORKLOAD": tiny, "MEMBRANE_BITS": (4, 8), "SHARING": (1, 4), "SAMPLES": 2, "IMAGES": 6}
    for name, value in changes.items():
        monkeypatch.setattr(lif, name, value)
    measured = registry()["lif.table"].run()
    columns, cells = grid("lif.table", measured)
    assert columns == ["units", "LIF energy (nJ)", "LIF area (um2)", "total energy (nJ)", "latency (ms)",
                       "LIF stall (cycles)", "accuracy (%)", "accuracy, register +-1 threshold (%)"]  # fmt: skip
    assert list(cells) == ["4 bit, C#1", "4 bit, C#4", "8 bit, C#1", "8 bit, C#4"]
    assert measured.trend and [cells[name][0] for name in cells] == ["128", "32", "128", "32"]
    shipped = simulate("sata", tiny, dataflow="tick-batch", samples=2, accuracy=6)
    energy, accuracy = shipped.totals["energy_J"] * 1e9, 100 * shipped.totals["accuracy"]
    assert cells["8 bit, C#1"][3] == report.rounded(f"{energy:.9g}")
    assert cells["8 bit, C#1"][6] == report.rounded(f"{accuracy:.9g}")


def test_sharing_over_layers_is_refused_with_its_place() -> None:
    assert lif.refusal().startswith(f"--set options.lif_sharing_over=layers: {ACROSS_LAYERS}")
    assert load("sata", ["options.lif_sharing_over=channels"]).options == load("sata").options
    target = registry()["lif.over-layers"]
    measured = target.run()
    assert verdict(target, measured) == NOT_REPRODUCIBLE
    assert any(ACROSS_LAYERS in text for text in target.assumptions)
    assert [row.ours for row in measured.beside[1:]] == [7, 4]


def test_exit_bar_of_the_rule_set() -> None:
    beside = {row.what: row for row in registry()["fig4b.os"].run().beside}
    bar = beside["DT-SNN bar at mean T=2.14, saving against T=4"]
    assert (bar.theirs, bar.ours) == (46.5, pytest.approx(46.5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [("fig4b.machine-tick-batch", TREND_ONLY), ("fig4b.machine-os", TREND_ONLY), ("snn-ann.machine", REPRODUCED)],
)
def test_trends_hold_on_the_machine(name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in {"ANN_SAMPLES": 1, "ANN_IMAGES": 10, "ANN_STEPS": (4,)}.items():
        monkeypatch.setattr(machine, setting, value)  # fewer images: the report's accuracies are not looked at
    target = registry()[name]
    assert verdict(target, target.run()) == expected
