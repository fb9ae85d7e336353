"""The terminal table of ``hwsim reproduce``: theirs beside ours, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.report import numbers
from hwsim.report.tables import WIDTH, table
from hwsim.reproduce import Outcome


def outcome_report(outcomes: Sequence[Outcome], width: int = WIDTH) -> str:
    """One line per target; the whole story stands in the report files."""
    lines = []
    for outcome in outcomes:
        theirs, ours = outcome.target.published, outcome.measured.value
        unit = outcome.target.unit
        lines.append([outcome.target.id, _number(theirs, unit), _number(ours, unit), outcome.verdict])
    return table(["target", ">theirs", ">ours", "verdict"], lines, width)


def _number(value: float | None, unit: str) -> str:
    return numbers.NOTHING if value is None else f"{value:.5g} {unit}".rstrip()
