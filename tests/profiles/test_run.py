"""``--profile`` as a whole run: rows, totals, refusals."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import hwsim
from hwsim.errors import SpecError
from hwsim.workload import load


def test_rows_of_a_profile_add_up_to_its_totals() -> None:
    result = hwsim.simulate("sata", "table2_tdbn_as_fed", profile="sata-2023")
    energy = math.fsum(row.value for row in result.rows if row.metric == "energy")
    assert energy == pytest.approx(result.totals["energy_J"], rel=1e-12)
    assert result.totals["energy_J"] == pytest.approx(54404633.536281765e-9, rel=1e-12)
    cycles = [row for row in result.rows if row.metric == "cycles"]
    assert sum(row.value for row in cycles if row.component == "array") == result.totals["cycles"] == 79_977_597
    latency = math.fsum(row.value for row in result.rows if row.metric == "latency")
    assert latency == pytest.approx(result.totals["latency_s"], rel=1e-12)


def test_array_of_the_architecture_and_its_overrides() -> None:
    options = {"profile": "scalesim", "timesteps": 1, "dataflow": "ws"}
    plain = hwsim.simulate("eyeriss", "vgg9_cifar10", **options)
    made = hwsim.simulate("sata", "vgg9_cifar10", overrides=["array.rows=14", "array.columns=12"], **options)
    assert plain.totals == made.totals
    assert "energy_J" not in plain.totals
    folds = math.ceil(27 / 14) * math.ceil(64 / 12)
    first = [row.value for row in plain.rows if (row.layer, row.action) == ("conv1", "busy")]
    assert first == [folds * (2 * 14 + 12 + 1024 - 2)]


def test_densities_are_measured_on_a_network() -> None:
    result = hwsim.simulate("sata", "digits_mlp", profile="sata-2024")
    counts = [row.value for row in result.rows if row.action == "accumulate" and row.metric == "count"]
    assert 0 < sum(counts) < sum(layer_operations("digits_mlp"))


def layer_operations(name: str) -> list[int]:
    net = load(name)
    return [layer.geometry.dense_operations * net.timesteps for layer in net.weighted]


def test_layers_are_selected() -> None:
    part = hwsim.simulate("sata", "vgg9_cifar10", profile="sata-2024", layers=(2, 4))
    assert part.layers == ["conv3", "conv4"]


def test_a_run_is_written_and_read_back(tmp_path: Path) -> None:
    result = hwsim.simulate("sata", "table2_bntt_as_fed", profile="sata-2024")
    folder = result.write(tmp_path / "run")
    assert hwsim.Result.read(folder).rows == result.rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "sata-2025"}, "unknown profile 'sata-2025'"),
        ({"profile": "sata-2023", "dataflow": "os"}, "has one dataflow, 'sata', not 'os'"),
        ({"profile": "scalesim"}, "timesteps must be 1, not 4"),
        ({"profile": "sata-2023", "overrides": ["pe.weight_bits=4 bit"]}, "reads array.rows and array.columns"),
        ({"profile": "sata-2023", "layers": (9, 10)}, "--layers 9:10: vgg9_cifar10 has layers with weights 0 to 8"),
        ({"profile": "sata-2023", "layers": (3, 10)}, "--layers 3:10: vgg9_cifar10 has layers with weights 0 to 8"),
        ({"profile": "sata-2023", "samples": 2}, "--samples 2: profile sata-2023 accounts for one sample"),
    ],
)
def test_mistakes_are_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        hwsim.simulate("sata", "vgg9_cifar10", **options)
