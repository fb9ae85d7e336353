"""Verdicts, reports and their comparison."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from hwsim import reproduce
from hwsim.errors import SpecError
from hwsim.reproduce import hashing, report
from hwsim.reproduce.target import (
    NOT_REPRODUCED,
    NOT_REPRODUCIBLE,
    REPRODUCED,
    TREND_ONLY,
    Beside,
    Measured,
    Target,
    Tolerance,
    verdict,
)


def target(name: str = "group.one", published: float | None = 10.0, **changes: object) -> Target:
    made = Target(name, "A paper", "Fig. 1", "what | it says", published, "J", Tolerance("absolute", 0.5),
                  lambda: Measured(10.2), assumptions=("first; with a semicolon", "second"))  # fmt: skip
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def outcome(value: float | None, trend: bool | None = None, **changes: object) -> reproduce.Outcome:
    return reproduce.Outcome(target(**changes), Measured(value, trend, (Beside("more", 1.0, 2.0, "J"),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "trend", "published", "expected"),
    [
        (10.5, None, 10.0, REPRODUCED),
        (10.51, None, 10.0, NOT_REPRODUCED),
        (10.51, True, 10.0, TREND_ONLY),
        (10.51, False, 10.0, NOT_REPRODUCED),
        (3.0, True, None, TREND_ONLY),
        (3.0, False, None, NOT_REPRODUCED),
        (None, True, 10.0, NOT_REPRODUCIBLE),
    ],
)
def test_verdict(value: float | None, trend: bool | None, published: float | None, expected: str) -> None:
    assert verdict(target(published=published), Measured(value, trend)) == expected


@pytest.mark.parametrize(
    ("tolerance", "ours", "theirs", "holds"),
    [
        (Tolerance("relative", 1e-6), 1.0000009, 1.0, True),
        (Tolerance("relative", 1e-6), 0.9999989, 1.0, False),
        (Tolerance("absolute", 0.0), 7.0, 7.0, True),
        (Tolerance("printed", step=1e6), 5.5e6, 6e6, True),
        (Tolerance("printed", step=1e6), 5.49e6, 6e6, False),
        (Tolerance("printed", step=1e6), 6.5e6, 6e6, False),
        (Tolerance("printed", 0.1, step=0.1), 2.9004, 2.8, True),
        (Tolerance("printed", 0.1, step=0.1), 2.9501, 2.8, False),
    ],
)
def test_tolerance(tolerance: Tolerance, ours: float, theirs: float, holds: bool) -> None:
    assert tolerance.holds(ours, theirs) is holds


def write(folder: Path, *outcomes: reproduce.Outcome) -> None:
    rows = [row for o in outcomes for row in report.rows_of(o.target, o.measured, "abc")]
    report.write(folder, rows, ["group.one", "group.two", "other.one"])


def test_reports_are_text_that_repeats_and_merges(tmp_path: Path) -> None:
    write(tmp_path, outcome(10.2), outcome(9.0, name="other.one"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["README.md", "group.csv", "group.md", "other.csv", "other.md"]
    write(tmp_path, outcome(10.2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    write(tmp_path, outcome(20.0, True, name="group.two"))
    ids = [row.id for row in report.read(tmp_path) if row.kind == "target"]
    assert ids == ["group.one", "group.two", "other.one"]
    page = (tmp_path / "group.md").read_text()
    assert "what \\| it says" in page
    assert "- assumed: first; with a semicolon\n- assumed: second" in page
    assert "| more | 1 | 2 | J |" in page
    index = (tmp_path / "README.md").read_text()
    assert "| [group](group.md) | 1 | 1 | 0 | 0 |" in index
    assert "group.two](group.md#grouptwo)" in index


def test_values_called_row_and_column_become_a_table() -> None:
    names = ("T=1: time", "T=1: energy", "T=2: time", "T=2: energy", "T=3: time", "a note: alone", "plain")
    beside = [Beside(name, None, 123456.7 + place, "J") for place, name in enumerate(names)]
    beside.append(Beside("T=3: energy", 1.0, 0.0123456, "J"))
    rows = report.rows_of(target(), Measured(1.0, beside=tuple(beside)), "x")[1:]
    grids, rest = report.pivot(rows)
    assert grids == [(["", "time (J)", "energy (J)"], [["T=1", "123457", "123458"], ["T=2", "123459", "123460"]])]
    assert [row.what for row in rest] == ["T=3: time", "a note: alone", "plain", "T=3: energy"], "theirs stay visible"
    assert (report.rounded("0.0123456"), report.rounded("")) == ("0.012346", "-")


def test_every_csv_row_of_the_committed_reports_has_the_columns() -> None:
    for path in (Path(__file__).parents[2] / "reports").glob("*.csv"):
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        assert tuple(lines[0]) == report.ReportRow._fields, path.name
        assert {len(line) for line in lines} == {len(report.ReportRow._fields)}, path.name
        assert {line[0] for line in lines[1:]} <= {"target", "beside"}, path.name


def test_rows_of_vanished_targets_are_dropped(tmp_path: Path) -> None:
    write(tmp_path, outcome(10.2), outcome(9.0, name="group.two"))
    report.write(tmp_path, [], ["group.two"])
    assert {row.id for row in report.read(tmp_path)} == {"group.two"}


def test_residuals_hide_rounding_only() -> None:
    head = report.rows_of(target(), Measured(10.0 + 1e-12), "x")[0]
    assert (head.residual, head.relative) == ("0", "0")
    head = report.rows_of(target(), Measured(10.0 + 1e-6), "x")[0]
    assert (head.residual, head.relative) == ("1e-06", "1e-07")


def test_worse_verdicts_are_found(tmp_path: Path) -> None:
    write(tmp_path, outcome(10.2), outcome(20.0, True, name="group.two"), outcome(10.0, name="other.one", quick=False))
    assert reproduce.compare_verdicts(tmp_path, tmp_path) == []
    worse = reproduce.compare_verdicts(tmp_path, [outcome(11.0, True), outcome(10.0, name="group.two")])
    assert [str(entry) for entry in worse] == ["group.one: was 'reproduced', is 'trend only'"]
    worse = reproduce.compare_verdicts(tmp_path, [outcome(10.0)])
    assert [(entry.id, entry.new) for entry in worse] == [("group.two", "missing")]
    assert reproduce.compare_verdicts(tmp_path / "empty", []) == []


def test_selection() -> None:
    known = reproduce.registry()
    assert [t.id for t in reproduce.select(["fig5b"])] == [name for name in known if name.startswith("fig5b.")]
    assert [t.id for t in reproduce.select(["fig5a"], quick=True)] == ["fig5a.rules"]
    assert len(reproduce.select()) == len(known)
    with pytest.raises(SpecError, match=r"did you mean 'fig5a\.rules'"):
        reproduce.select(["fig5a.rule"])


def test_every_target_says_where_it_comes_from() -> None:
    for name, entry in reproduce.registry().items():
        assert name == entry.id and entry.paper and entry.place and entry.what and entry.assumptions, name
        assert entry.group in report.published()["pages"], name
        assert len(hashing.digest(entry)) == hashing.LENGTH
        assert not any(report.ASSUMPTIONS in text for text in entry.assumptions)


def test_hash_follows_the_workload() -> None:
    one = reproduce.registry()["table2.energy.sbp"]
    other = dataclasses.replace(one, workload="vgg9_cifar10")
    assert hashing.digest(one) == hashing.digest(one) != hashing.digest(other)


def test_a_run_writes_its_reports(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    outcomes = reproduce.run(["fig5b"], quick=True, reports_dir=tmp_path, progress=lambda *step: seen.append(step))
    assert [o.verdict for o in outcomes] == [TREND_ONLY, REPRODUCED, REPRODUCED, REPRODUCED]
    assert seen[0] == (0, 4, "fig5b.lif-share") and seen[-1] == (4, 4, "done")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "fig5b.csv", "fig5b.md"]
    assert reproduce.compare_verdicts(tmp_path, outcomes) == []


def test_committed_reports_have_every_quick_target() -> None:
    committed = Path(__file__).parents[2] / "reports"
    assert (committed / "README.md").is_file()
    cheap = {row.id for row in report.read(committed) if row.quick == "yes"}
    assert cheap == {target.id for target in reproduce.select(quick=True)}


@pytest.mark.slow
def test_committed_verdicts_hold() -> None:
    """No quick verdict of the committed reports is better than what the code gives now."""
    committed = Path(__file__).parents[2] / "reports"
    assert reproduce.compare_verdicts(committed, reproduce.run(quick=True)) == []
