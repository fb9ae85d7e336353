"""The terminal report of a comparison: changes against the first run, then what stands beside them."""

from __future__ import annotations

import textwrap

from hwsim.comparison import Comparison
from hwsim.report import numbers
from hwsim.report.tables import WIDTH, note, table
from hwsim.result import Result

LABEL_WIDTH = 24


def comparison_report(comparison: Comparison, width: int = WIDTH) -> str:
    """Two tables of one line per run, and the warnings."""
    labels = [_clip(label) for label in comparison.labels]
    parts = [
        verdict(comparison.runs, labels),
        _costs(comparison.runs, labels, width),
        _context(comparison.runs, labels, width),
    ]
    texts = comparison.warnings + _notes(comparison, labels)
    if any(run.accuracy is not None and run.accuracy.kind != "measured" for run in comparison.runs):
        texts.append("* as recorded by training, not measured on the machine")
    parts.append("\n".join(note(text, width) for text in texts))
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(runs: list[Result], labels: list[str]) -> str:
    """What the runs share, and which one takes the least energy."""
    workloads, architectures = ({getattr(run, key) for run in runs} for key in ("workload", "architecture"))
    shared = f"{workloads.pop() if len(workloads) == 1 else 'workloads'} on "
    shared += architectures.pop() if len(architectures) == 1 else f"{len(architectures)} architectures"
    energies = [run.totals.get("energy_J") for run in runs]
    known = [(energy, label) for energy, label in zip(energies, labels, strict=True) if energy]
    if len(known) < 2:
        return shared
    least, label = min(known)
    saving = numbers.change(least, energies[0])
    against = "" if label == labels[0] or not energies[0] else f", {saving} against {labels[0]}"
    return textwrap.fill(f"{shared}: least energy {label}, {numbers.si(least, 'J')}{against}", WIDTH)


def _notes(comparison: Comparison, labels: list[str]) -> list[str]:
    """What holds for all runs once; what holds for some with their names."""
    runs: dict[str, list[str]] = {}
    for label, run in zip(labels, comparison.runs, strict=True):
        for text in run.notes:
            runs.setdefault(text, []).append(label)
    return [text if len(names) == len(labels) else f"{', '.join(names)}: {text}" for text, names in runs.items()]


def _costs(runs: list[Result], labels: list[str], width: int) -> str:
    base = runs[0].totals
    lines = []
    for label, run in zip(labels, runs, strict=True):
        cells = [label]
        for name, unit in (("energy_J", "J"), ("latency_s", "s"), ("edp_Js", "Js")):
            value = run.totals.get(name)
            cells += [numbers.si(value, unit), "" if run is runs[0] else numbers.change(value, base.get(name))]
        lines.append(cells)
    return table(["run", ">energy", ">", ">latency", ">", ">EDP", ">"], lines, width)


def _context(runs: list[Result], labels: list[str], width: int) -> str:
    lines = []
    for label, run in zip(labels, runs, strict=True):
        estimate = run.estimate.energy_J if run.estimate else None
        interval = numbers.span(run.intervals.get("energy_J"), "J")
        area = numbers.si(run.totals.get("area_m2"), "m2")
        lines.append([label, interval, numbers.si(estimate, "J"), area, _accuracy(run, runs[0])])
    return table(["run", ">energy, 95 %", ">papers say", ">area", ">accuracy"], lines, width)


def _accuracy(run: Result, base: Result) -> str:
    """Accuracy and its change in percentage points; a recorded one is marked."""
    if run.accuracy is None:
        return numbers.NOTHING
    text = numbers.percent(run.accuracy.value) + ("" if run.accuracy.kind == "measured" else " *")
    if run is base or base.accuracy is None:
        return text
    return f"{text} ({100 * (run.accuracy.value - base.accuracy.value):+.1f})"


def _clip(label: str) -> str:
    return label if len(label) <= LABEL_WIDTH else label[: LABEL_WIDTH - 1] + "…"
