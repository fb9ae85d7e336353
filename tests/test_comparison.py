"""Comparisons: what is an architecture, a workload or a run; which pairs run; when the numbers do not compare."""

from __future__ import annotations

import sys
import types

import pytest

from hwsim.comparison import Comparison, compare, kind, warnings
from hwsim.errors import SpecError
from tests.result_builder import result


@pytest.fixture
def calls(monkeypatch):
    """A simulator that only remembers what it was asked."""
    made: list[tuple[object, ...]] = []
    module = types.ModuleType("hwsim.run")

    def simulate(architecture, workload, *, dataflow=None, **options):
        made.append((architecture, workload, dataflow, options))
        return result(dataflow or "os")

    module.simulate = simulate
    monkeypatch.setitem(sys.modules, "hwsim.run", module)
    return made


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.yaml").write_text("schema: hwsim/arch/1\n")
    (tmp_path / "shapes.yaml").write_text("# a table\nschema: hwsim/workload/1\n")
    (tmp_path / "w.npz").write_bytes(b"")
    return {name: str(tmp_path / name) for name in ("a.yaml", "shapes.yaml", "w.npz")}


def test_every_architecture_meets_every_workload_in_every_dataflow(calls, files):
    seen = []
    made = compare(list(files.values()), dataflows=["os", "ws"], on_result=seen.append, samples=3)
    a, shapes, w = files["a.yaml"], files["shapes.yaml"], files["w.npz"]
    assert calls == [(a, net, flow, {"samples": 3}) for net in (shapes, w) for flow in ("os", "ws")]
    assert seen == made.runs


def test_run_folders_are_read_and_not_run(calls, tmp_path):
    first = result().write(tmp_path / "one")
    made = compare([first, result("ws")])
    assert calls == []
    made.runs[0].manifest = result().manifest
    assert made.runs == [result(), result("ws")]
    assert made.labels == ["os", "ws"]


def test_shipped_names_have_a_kind():
    assert kind("sata") == "arch"
    assert kind("digits_mlp") == "workloads"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["satta", "digits_mlp"], "satta: is no file, no run folder and no shipped name\n  did you mean 'sata'?"),
        (["sata"], "nothing to run: give a workload as well, or run folders only"),
        (["digits_mlp"], "nothing to run: give an architecture as well, or run folders only"),
        (["."], ".: is not a run folder: it has no result.json"),
        ([], "nothing to compare"),
    ],
)
def test_bad_items_are_named_before_anything_runs(calls, items, message):
    with pytest.raises(SpecError) as caught:
        compare(items)
    assert message in str(caught.value)
    assert calls == []


def test_a_bad_scale_is_refused_before_anything_runs(calls):
    with pytest.raises(SpecError, match="--scale-to must be"):
        compare(["sata", "digits_mlp"], scale_to="28nm")
    assert calls == []


def test_an_architecture_without_supply_is_refused_before_anything_runs(calls):
    with pytest.raises(SpecError, match=r"(?s)sata: cannot be scaled: .* no supply voltage.*--set 'technology.voltage"):
        compare(["sata", "digits_mlp"], scale_to="16 nm, 0.8 V")
    assert calls == []
    compare(["sata", "digits_mlp"], scale_to="16 nm, 0.8 V", overrides=["technology.voltage=0.9 V"])
    assert len(calls) == 1


def test_runs_of_two_nodes_are_warned_of_and_scaling_brings_them_to_one():
    runs = [result(), result(node_m=65e-9)]
    assert "different technology nodes (65 nm, 28 nm)" in warnings(runs)[0]
    runs = [result(), result(technology={"node_m": 65e-9, "voltage_V": 1.1, "clock_Hz": 4e8, "off_chip": ["dram"]})]
    assert compare(runs, scale_to="28 nm, 0.9 V").warnings == []


def test_what_differs_besides_the_machine_is_warned_of():
    other = result(settings={"seed": 0, "samples": 5, "profile": "sata-2023"})
    found = " ".join(warnings([result(), other]))
    assert "different samples" in found
    assert "different accounting" in found


def test_labels_name_only_what_differs_and_stay_apart():
    assert Comparison([result("os"), result("ws")]).labels == ["os", "ws"]
    twins = Comparison([result(settings={"seed": 0}), result(settings={"seed": 1})]).labels
    assert len(set(twins)) == 2


def test_the_package_offers_functions_whatever_was_imported_before():
    import hwsim
    import hwsim.comparison
    import hwsim.run

    for _ in range(2):
        assert hwsim.compare is compare
        assert hwsim.simulate is hwsim.run.simulate
        assert hwsim.Result is type(result())
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        hwsim.simulat  # noqa: B018
