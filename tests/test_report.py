"""Terminal texts: 80 columns, verdict first, shares that add up, numbers a person can read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.comparison import Comparison
from hwsim.report import numbers
from hwsim.report.comparison import comparison_report
from hwsim.report.tables import layers, report
from hwsim.result import Result
from tests.result_builder import result


def test_the_verdict_comes_first_and_sets_the_estimate_beside_the_simulation():
    text = report(result())
    assert text.startswith("net on toy, os: 1.25 µJ (779 nJ to 1.72 µJ)")
    assert "papers say 300 pJ, 4,170x less" in text.split("\n\n")[0]


@pytest.mark.parametrize("more", [{}, {"notes": ["long " * 200]}, {"accuracy": None, "estimate": None}, {"layers": []}])
def test_a_report_fits_80_columns(more):
    assert max(map(len, report(result(**more)).splitlines())) <= 80


def test_long_names_fold_and_do_not_widen_the_report():
    made = result()
    made.rows = [
        row._replace(component="a_component_with_a_very_long_name" if row.component else None) for row in made.rows
    ]
    assert max(map(len, report(made).splitlines())) <= 80


def test_components_come_largest_first_with_their_largest_action():
    lines = report(result()).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("component"))
    names = [line.split()[0] for line in lines[start + 2 : start + 5]]
    assert names == ["dram", "buffer", "pe"]
    assert lines[start + 2].endswith("read 100 %")


def test_shared_energy_stands_on_a_line_of_its_own():
    line = next(line for line in report(result()).splitlines() if line.startswith("(shared)"))
    leakage = 2 * 0.025 * 300 * 2.5e-9
    assert numbers.si(leakage, "J") in line


def test_a_run_without_energy_reports_cycles():
    text = report(Result("arch", "net", "os", [], {"cycles": 22343, "samples": 1}, {}))
    assert text.startswith("net on arch, os: 22,343 cycles\n")


def test_layers_without_any_number_make_no_table():
    assert layers(replace(result(), rows=[])) == ""
    assert "PE busy" not in report(replace(result(), rows=[]))


def test_comparison_shows_changes_against_the_first_run():
    text = comparison_report(Comparison([result("os"), result("ws", fetches=2000), result("is", accuracy=None)]))
    assert max(map(len, text.splitlines())) <= 80
    base, double = (result(fetches=fetches).totals["energy_J"] for fetches in (1000, 2000))
    assert f"+{100 * (double / base - 1):.1f} %" in text
    assert "93.0 % (+0.0)" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.31e-4, "J", "231 µJ"), (0.0, "s", "0 s"), (9.996e-10, "J", "1.00 nJ"), (9.994e-10, "J", "999 pJ"),
        (1.0, "W", "1.00 W"), (1234.0, "Js", "1.23 kJs"), (1e-21, "J", "0.00100 aJ"), (0.669e-6, "m2", "0.669 mm2"),
        (4e-11, "m2", "40.0 um2"), (None, "J", "-"), (0.0, "m2", "0 mm2"), (-2e-12, "J", "-2.00 pJ"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_and_a_prefix(value, unit, text):
    assert numbers.si(value, unit) == text


@given(st.floats(1e-17, 1e14))
def test_a_printed_number_is_within_half_a_digit(value):
    number, _, unit = numbers.si(value, "J").partition(" ")
    factor = {"a": -18, "f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
    assert float(number) * 10.0 ** factor[unit.removesuffix("J")] == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("value", "base", "text"),
    [(1.0, 1.0, "0.0 %"), (0.375, 1.0, "-62.5 %"), (2.0, 1.0, "+100.0 %"), (345.0, 1.0, "x 345"), (1.0, 0.0, "-"),
     (None, 1.0, "-"), (1.0000001, 1.0, "0.0 %")],
)  # fmt: skip
def test_changes(value, base, text):
    assert numbers.change(value, base) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (1234567, "1,234,567"), (80595072, "80.6 M"), (None, "-"), (620756992, "621 M")]
)
def test_counts(number, text):
    assert numbers.count(number) == text
