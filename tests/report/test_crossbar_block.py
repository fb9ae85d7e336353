"""The terminal block of crossbar results, and what programming costs: right numbers, 80 columns, nothing in totals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwsim import simulate
from hwsim.cost import Labels, Row
from hwsim.machines.crossbar.programming_cost import programming
from hwsim.report.crossbar import clipped_share, crossbar
from hwsim.report.pictures.subject import Subject, written
from hwsim.report.tables import report
from hwsim.result import Accuracy, Result
from hwsim.units import Quantity
from tests.machines.tiny import network
from tests.result_builder import result

LABELS = Labels("a run", "toy", "net", "accuracy")
PROGRAMMING = Labels("a run", "toy", "net", "programming")


def rows(chips=(0.9, 0.94), last_membrane: float | None = 0.25, adapted: bool = False) -> list[Row]:
    """What a crossbar run adds to a result of the layers conv1 and fc1."""
    made = [LABELS.row("accuracy", share, "1", component=f"chip {i}") for i, share in enumerate(chips)]
    made += [
        LABELS.row("accuracy", value, "1", component=name) for name, value in (("software", 0.97), ("gain off", 0.1))
    ]
    made += [LABELS.row("accuracy_spread", float(np.std(chips, ddof=1)) if len(chips) > 1 else 0.0, "1"),
             LABELS.row("timesteps_mean", 2.25, "1")]  # fmt: skip
    for timestep in range(3):
        for layer, shift in (("conv1", 0.0), ("fc1", 0.4)):
            place = {"layer": layer, "timestep": timestep, "component": "chip"}
            made.append(LABELS.row("deviation_current", 0.1 * timestep + shift, "1", **place))
            made.append(LABELS.row("deviation_output", 0.05 * timestep + shift, "1", **place))
            if layer == "conv1" or last_membrane is not None:
                made.append(LABELS.row("deviation_membrane", 0.15 * timestep + shift, "1", **place))
            if adapted:
                made.append(LABELS.row("deviation_current", 0.8, "1", **place | {"component": "not adapted"}))
    if adapted:
        made.append(LABELS.row("accuracy", 0.55, "1", component="not adapted"))
    for layer, clipped in (("conv1", 30), ("fc1", 0)):
        made.append(LABELS.row("count", 10000, "1", layer=layer, component="adc", action="convert", sample=0))
        if clipped:
            made.append(LABELS.row("count", clipped, "1", layer=layer, component="adc", action="clipped", sample=0))
    for layer in ("conv1", "fc1"):
        made.append(PROGRAMMING.row("programming_cells", 1000, "1", layer=layer))
        made.append(
            PROGRAMMING.row("programming_energy_J", 5e-8, "J", layer=layer, source="assumed:programming.energy")
        )
    return [*made, PROGRAMMING.row("programming_time_s", 4e-3, "s", source="measured")]


def with_rows(more: list[Row], **changes) -> Result:
    made = result(settings={"seed": 0, "samples": 2, "timesteps": 3}, accuracy=Accuracy(0.92, 50), **changes)
    made.rows = [*made.rows, *more]
    return made


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_a_result_of_another_machine_has_no_block():
    assert crossbar(result()) == ""
    assert "on the arrays" not in report(result())


def test_every_number_stands_on_its_line():
    text = crossbar(with_rows(rows()))
    assert line(text, "accuracy         92.0 %   2 chips, standard deviation 2.8 points, 50 images")
    assert line(text, "software").split()[1:3] == ["97.0", "%"]
    assert line(text, "gain off").split()[2:4] == ["10.0", "%"]
    assert line(text, "timesteps").split()[1:4] == ["2.25", "of", "3,"]
    assert "0.15 %   of 20,000 conversions" in line(text, "ADC clipped")
    assert "100 nJ   2,000 cells written once (assumed), not in totals" in line(text, "programming")
    assert line(text, "4.00 ms   all arrays at once, not in totals")


def test_deviations_are_those_of_the_last_timestep():
    text = crossbar(with_rows(rows()))
    assert line(text, "conv1").split() == ["conv1", "20.0", "%", "30.0", "%", "10.0", "%", "0.30", "%"]
    assert line(text, "fc1").split() == ["fc1", "60.0", "%", "70.0", "%", "50.0", "%", "0", "%"]


def test_an_output_layer_without_membranes_shows_no_share_of_outputs():
    assert line(crossbar(with_rows(rows(last_membrane=None))), "fc1").split() == [
        "fc1",
        "60.0",
        "%",
        "-",
        "-",
        "0",
        "%",
    ]


def test_adaptation_shows_what_it_is_against():
    text = crossbar(with_rows(rows(adapted=True)))
    assert "55.0 %" in line(text, "not adapted")
    assert line(text, "conv1").split()[3:5] == ["80.0", "%"]


def test_one_chip_has_no_spread_and_full_time_is_not_mentioned():
    made = rows(chips=(0.9,))
    text = crossbar(with_rows([row for row in made if row.metric != "timesteps_mean"]))
    assert "1 chip, 50 images" in text and "standard deviation" not in text and "timesteps " not in text


@pytest.mark.parametrize("more", [rows(), rows(adapted=True), rows(last_membrane=None), rows()[:3], rows()[-3:]])
def test_the_block_fits_80_columns(more):
    assert max(map(len, report(with_rows(more)).splitlines())) <= 80


def test_long_numbers_fit_too():
    wide = [row._replace(value=row.value * 12345) if row.metric.startswith("programming") else row for row in rows()]
    wide = [row._replace(layer="a_layer_with_a_very_long_name") if row.layer == "conv1" else row for row in wide]
    assert max(map(len, report(with_rows(wide, layers=["a_layer_with_a_very_long_name", "fc1"])).splitlines())) <= 80


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "-"), (0, 9, "0 %"), (1, 10**6, "<0.01 %"), (5, 1000, "0.50 %"), (123, 1000, "12.3 %"), (1, 1, "100.0 %")],
)
def test_a_few_clipped_codes_are_not_none(part, whole, text):
    assert clipped_share(part, whole) == text


def test_a_shape_table_says_nothing_of_clipping():
    counts = [row for row in rows() if row.metric == "count" and row.action == "convert"]
    assert crossbar(with_rows(counts)) == ""


# Programming.


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    return str(network(tmp_path_factory.mktemp("net") / "tiny.npz"))


@pytest.mark.parametrize("scheme", ["kernel", "im2col"])
@pytest.mark.parametrize("encoding", ["diff", "differential_pair"])
def test_programming_counts_the_cells_that_hold_weights(tiny, scheme, encoding):
    """Counted once more from the arrays' layout; the fullest array decides the time."""
    overrides = (f"mapping.scheme={scheme}", f"mapping.encoding={encoding}", "mapping.replication={conv1: 2}",
                 "crossbar.rows=16", "crossbar.columns=32")  # fmt: skip
    runner = Subject("spikesim", tiny, overrides).runner
    device = runner.machine.model.device
    filled = {name: written(layer) for name, layer in runner.network.arrays.items()}
    found = {(row.metric, row.place.get("layer")): row.value for row in programming(runner)}
    for name, cells in filled.items():
        number = int(cells.sum()) * (2 if name == "conv1" else 1)
        assert found["programming_cells", name] == number
        assert found["programming_energy_J", name] == pytest.approx(number * device.program_energy_J.value)
    fullest = max(int(cells.sum(axis=(1, 2)).max()) for cells in filled.values())
    assert found["programming_time_s", None] == pytest.approx(fullest * device.program_time_s.value)
    assert len(found) == 2 * len(filled) + 1


def test_an_error_is_one_standard_deviation(tiny):
    runner = Subject("spikesim", tiny).runner
    rows = {row.metric: row for row in programming(runner)}
    energy = runner.machine.model.device.program_energy_J
    assert energy.log_sigma > 0
    factor = math.sinh(energy.log_sigma)
    assert rows["programming_energy_J"].place["error"] == pytest.approx(rows["programming_energy_J"].value * factor)


def test_what_is_not_modelled_is_not_reported(tiny):
    runner = Subject("spikesim", tiny).runner
    device = replace(runner.machine.model.device, program_energy_J=Quantity(0.0, source="not modelled", unit="J"))
    runner.machine = replace(runner.machine, model=replace(runner.machine.model, device=device))
    assert {row.metric for row in programming(runner)} == {"programming_cells", "programming_time_s"}


def test_programming_is_in_the_rows_of_a_run_and_in_no_total(tiny):
    on, off = (
        simulate("spikesim", tiny, accuracy=2, overrides=[f"options.programming={value}"])
        for value in ("true", "false")
    )
    assert on.totals == off.totals and on.intervals == off.intervals
    assert on.energy_by("layer") == off.energy_by("layer")
    extra = [row for row in on.rows if row.metric.startswith("programming")]
    assert {row.phase for row in extra} == {"programming"} and not [
        row for row in off.rows if row.phase == "programming"
    ]
    text = report(on)
    assert max(map(len, text.splitlines())) <= 80
    assert "cells written once (assumed), not in totals" in text and "gain off" in text
    assert "cells written once" not in report(off)
