"""Run folders: what is written can be read back, is the same bytes twice, and a broken one is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import result as results
from hwsim.cost import Row
from hwsim.errors import SpecError
from hwsim.result import Accuracy, Result, read_rows, rows_csv, run_name
from tests.result_builder import result

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)
HEADER = ",".join(Row._fields) + "\n"
NAME = st.none() | TEXT.filter(bool)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)


def test_a_folder_reads_back_equal(tmp_path):
    made = result()
    folder = made.write(tmp_path / "run")
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "rows.csv", "run.json"]
    read = Result.read(folder)
    assert made.manifest.items() <= read.manifest.items()
    assert {"date", "versions", "platform"} <= set(read.manifest)
    read.manifest = made.manifest
    assert read == made


def test_the_same_run_writes_the_same_bytes_whatever_its_manifest(tmp_path):
    first = result().write(tmp_path / "a")
    second = result(manifest={"depth": "process", "wall_time_s": 99.0, "date": "today"}).write(tmp_path / "b")
    for name in ("result.json", "rows.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "run.json").read_bytes() != (second / "run.json").read_bytes()


def test_result_json_has_the_schema_and_the_totals_by_name():
    data = json.loads(result().to_json())
    assert data["schema"] == "hwsim/result/1"
    assert set(data["totals"]) == set(results.TOTALS)
    assert data["totals"]["energy_J"] == pytest.approx(sum(data["energy_J_by_component"].values()))
    assert data["totals"]["energy_J"] == pytest.approx(sum(data["energy_J_by_layer"].values()))
    assert data["energy_J_by_layer"]["shared"] > 0
    for name in ("energy_J", "edp_Js", "area_m2", "power_W", "accuracy"):
        low, high = data["intervals"][name]
        assert low < data["totals"][name] < high


def test_the_name_depends_on_inputs_only():
    made = result()
    assert made.name.startswith("toy-net-os-")
    assert len(made.name) == len("toy-net-os-") + 8
    assert result(manifest={"depth": "process"}).name == made.name
    assert result(settings={"seed": 1}).name != made.name
    assert result(hashes={"architecture": "c"}).name != made.name
    assert "/" not in run_name("a", "b", "os/block:2", {}, {})


def test_an_interrupted_rewrite_leaves_no_finished_run(tmp_path, monkeypatch):
    folder = result().write(tmp_path / "run")
    write = results.write_whole

    def fail_at_the_manifest(path, text):
        if path.name == "run.json":
            raise OSError("disk full")
        write(path, text)

    monkeypatch.setattr(results, "write_whole", fail_at_the_manifest)
    with pytest.raises(OSError, match="disk full"):
        result(dataflow="ws").write(folder)
    assert not (folder / "result.json").exists()


def test_a_failed_write_leaves_neither_draft_nor_half_file(tmp_path, monkeypatch):
    target = tmp_path / "rows.csv"
    target.write_text("old")
    monkeypatch.setattr(type(target), "replace", lambda self, other: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        results.write_whole(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert target.read_text() == "old"


ROW = st.builds(
    Row, run=TEXT, architecture=TEXT, workload=TEXT, sample=st.none() | st.integers(0, 999), phase=TEXT, layer=NAME,
    timestep=st.none() | st.integers(0, 999), component=NAME, action=NAME, metric=TEXT, value=NUMBER, unit=TEXT,
    error=st.none() | NUMBER, source=NAME,
)  # fmt: skip


@given(st.lists(ROW, max_size=5))
def test_rows_of_any_content_read_back_equal(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    results.write_whole(path, rows_csv(rows))
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", "{", "result.json: Expecting property name"),
        ("result.json", "[]", "result.json: expected a JSON object, found list"),
        ("result.json", '{"schema": "hwsim/result/9"}', "schema must be 'hwsim/result/1', not 'hwsim/result/9'"),
        ("result.json", '{"schema": "hwsim/result/1"}', "not a complete result: lacks 'accuracy'"),
        ("rows.csv", "run,architecture\n", "rows.csv:1: expected the columns run, architecture, workload, sample"),
        ("rows.csv", HEADER + "a,b\n", "rows.csv:2: expected 14 cells, found 2"),
        ("rows.csv", HEADER + "r,a,w,one,p,,,,,m,1,J,,\n", "rows.csv:2: column sample: invalid literal"),
        ("rows.csv", HEADER + "r,a,w,1,p,,,,,m,many,J,,\n", "rows.csv:2: column value: could not convert"),
    ],
)  # fmt: skip
def test_a_broken_folder_is_refused_by_place(tmp_path, name, content, message):
    folder = result().write(tmp_path / "run")
    (folder / name).write_text(content)
    with pytest.raises(SpecError) as caught:
        Result.read(folder)
    assert message in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_in_a_folder_give_a_spec_error_or_a_result(tmp_path_factory, junk):
    folder = tmp_path_factory.mktemp("junk")
    for name in ("result.json", "rows.csv"):
        (folder / name).write_bytes(junk)
    with pytest.raises(SpecError):
        Result.read(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("settings", -1, "key settings: must be an object, found -1"),
        ("notes", None, "key notes: must be a list, found None"),
        ("notes", [{}], "key notes: must hold texts, found {}"),
        ("architecture", [], "key architecture: must be text, found []"),
        ("totals", {"energy_J": "much"}, "key totals.energy_J: must be a number, found 'much'"),
        ("totals", {"energy_J": float("nan")}, "key totals.energy_J: must be a number, found nan"),
        ("intervals", {"energy_J": [1.0]}, "key intervals.energy_J: must be two numbers, found [1.0]"),
    ],
)
def test_a_result_with_something_else_in_a_key_is_refused(tmp_path, key, value, message):
    folder = result().write(tmp_path / "run")
    (folder / "result.json").write_text(json.dumps(json.loads((folder / "result.json").read_text()) | {key: value}))
    with pytest.raises(SpecError) as caught:
        Result.read(folder)
    assert f"result.json: {message}" in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(SpecError, match="No such file"):
        Result.read(tmp_path / "nothing")


def test_accuracy_interval_is_wilsons():
    # Worked example: 8 of 10 right; Wilson's limits are 0.4901625 and 0.9433178.
    low, high = Accuracy(0.8, 10).bounds
    assert (low, high) == (pytest.approx(0.4901625, abs=1e-6), pytest.approx(0.9433178, abs=1e-6))
    assert Accuracy(1.0, 100).bounds[1] == pytest.approx(1.0)
    assert Accuracy(0.8, None).bounds is None


def test_a_recorded_accuracy_has_no_interval():
    made = result(accuracy=Accuracy(0.93, 100, "software"))
    assert made.totals["accuracy"] == 0.93
    assert "accuracy" not in made.intervals


def test_naive_estimate_is_the_product_of_the_footnote():
    estimate = result().estimate
    assert estimate.energy_J == pytest.approx(10_000 * 3 * 0.2 * 0.05e-12)
    assert replace(estimate, density=0.4).energy_J == pytest.approx(2 * estimate.energy_J)
