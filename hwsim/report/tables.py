"""The terminal report of one run: verdict line, totals, energy by component, by layer, notes."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hwsim.cost import SYNAPTIC_OPERATIONS, Row
from hwsim.report import numbers
from hwsim.result import NaiveEstimate, Result

WIDTH = 80
SHARED = "(shared)"
NOTE_LIMIT = 300


def report(result: Result, width: int = WIDTH) -> str:
    """The whole report as text of at most ``width`` columns."""
    from hwsim.report.crossbar import crossbar  # they build on this module
    from hwsim.report.neuromorphic import neuromorphic

    parts = [verdict(result), totals(result, width)]
    if any(row.metric == "energy" for row in result.rows):
        parts.append(components(result, width))
    if result.layers:
        parts.append(layers(result, width))
    parts += [crossbar(result, width), neuromorphic(result, width), schedule(result, width), notes(result, width)]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(result: Result) -> str:
    """One line: simulated energy with its interval, beside the estimate that papers quote."""
    energy = result.totals.get("energy_J")
    profile = result.settings.get("profile")
    head = f"{result.workload} on {result.architecture}, {result.dataflow}{f' by {profile}' if profile else ''}:"
    if not energy and result.accuracy is not None and "cycles" not in result.totals:
        return f"{head} accuracy {numbers.percent(result.accuracy.value)}"
    if not energy:
        return f"{head} {numbers.count(result.totals.get('cycles'))} cycles"
    text = f"{head} {numbers.si(energy, 'J')}"
    if "energy_J" in result.intervals:
        interval, unit = numbers.span(result.intervals["energy_J"], "J"), text.rpartition(" ")[2]
        text += f" ({interval.removesuffix(f' {unit}') if interval.count('J') == 1 else interval})"
    if result.estimate is None or not result.estimate.energy_J:
        return text
    estimate = result.estimate.energy_J
    factor = (
        f"{numbers.times(energy / estimate)} less" if energy > estimate else f"{numbers.times(estimate / energy)} more"
    )
    tail = f"papers say {numbers.si(estimate, 'J')}, {factor}"
    return f"{text}; {tail}" if len(text) + len(tail) + 2 <= WIDTH else f"{text};\n{tail}"


def totals(result: Result, width: int = WIDTH) -> str:
    """Totals, each with its 95 % interval."""
    lines: list[list[str]] = []
    units = {"energy_J": "J", "latency_s": "s", "edp_Js": "Js", "power_W": "W", "area_m2": "m2"}
    words = {"energy_J": "energy", "latency_s": "latency", "edp_Js": "EDP", "power_W": "power", "area_m2": "area"}
    samples = result.totals.get("samples", 1)
    for name, unit in units.items():
        if name in result.totals:
            lines.append([words[name], numbers.si(result.totals[name], unit), _interval(result, name, unit)])
    if "cycles" in result.totals or result.accuracy is None:
        lines.append(
            ["cycles", numbers.count(result.totals.get("cycles")), f"sum over {samples:g} sample{'s'[: samples > 1]}"]
        )
    if result.accuracy is not None:
        lines.append(["accuracy", numbers.percent(result.accuracy.value), _accuracy(result)])
    if result.estimate is not None:
        lines.append(["papers' estimate", numbers.si(result.estimate.energy_J, "J"), _estimate(result.estimate)])
    return table(["per sample", ">value", "95 % interval"], lines, width)


def _estimate(estimate: NaiveEstimate) -> str:
    """The factors of FLOPs x T x density x E_AC."""
    flops = numbers.count(estimate.operations)
    price = numbers.si(estimate.accumulate.value, "J")
    return f"{flops} FLOPs x T {estimate.timesteps:.3g} x density {estimate.density:.3f} x {price}"


def _interval(result: Result, name: str, unit: str) -> str:
    if name == "latency_s" and name not in result.intervals:
        return "counted; depends on parameters, not on prices"
    return numbers.span(result.intervals.get(name), unit)


def _accuracy(result: Result) -> str:
    accuracy = result.accuracy
    assert accuracy is not None
    if accuracy.kind != "measured":
        return "software: as recorded by training, not run on the machine"
    low, high = accuracy.bounds or (math.nan, math.nan)
    return f"{100 * low:.1f} to {100 * high:.1f} % ({accuracy.images} images)"


def components(result: Result, width: int = WIDTH) -> str:
    """Energy, share, EDP (energy x the run's latency), area and largest action by component."""
    energy = result.energy_by("component")
    total = math.fsum(energy.values())
    latency = result.totals.get("latency_s", 0.0)
    area = {row.component: row.value for row in result.rows if row.metric == "area"}
    actions = _actions(result)
    lines = []
    for name in sorted(set(energy) | set(area), key=lambda key: -energy.get(key, 0.0)):
        joules = energy.get(name, 0.0)
        lines.append(
            [str(name), numbers.si(joules, "J"), numbers.share(joules, total), numbers.si(joules * latency, "Js"),
             numbers.si(area.get(name), "m2"), actions.get(name, numbers.NOTHING)]
        )  # fmt: skip
    return table(["component", ">energy", ">share", ">EDP", ">area", "mostly"], lines, width)


def _actions(result: Result) -> dict[str | None, str]:
    """Per component its largest action and that action's share of the component."""
    parts: dict[str | None, dict[str | None, float]] = {}
    for row in result.rows:
        if row.metric == "energy":
            actions = parts.setdefault(row.component, {})
            actions[row.action] = actions.get(row.action, 0.0) + row.value
    texts = {}
    for name, actions in parts.items():
        action, joules = max(actions.items(), key=lambda item: item[1])
        whole = math.fsum(actions.values())
        texts[name] = f"{action} {100 * joules / whole:.0f} %" if whole else numbers.NOTHING
    return texts


def layers(result: Result, width: int = WIDTH) -> str:
    """Energy, latency and array utilisation by layer; what belongs to no layer alone on a line of its own."""
    energy = result.energy_by("layer")
    total = math.fsum(energy.values())
    samples = int(result.totals.get("samples", 1))
    latency = _sum(result.rows, lambda row: row.metric == "latency", samples)
    busy = _sum(result.rows, lambda row: _state(row, "busy"), samples)
    cycles = _sum(result.rows, lambda row: _state(row, ""), samples)
    operations = _sum(result.rows, lambda row: row.metric == "count" and row.action == SYNAPTIC_OPERATIONS, samples)
    whole = math.fsum(latency.values())
    lines = []
    for name in [*result.layers, None]:
        if name in energy or name in latency:
            joules = energy.get(name, 0.0)
            seconds = latency.get(name)
            lines.append(
                [SHARED if name is None else name, numbers.si(joules, "J"), numbers.share(joules, total),
                 numbers.si(seconds, "s"), numbers.NOTHING if seconds is None else numbers.share(seconds, whole),
                 numbers.share(busy.get(name, 0.0), cycles[name]) if name and cycles.get(name) else numbers.NOTHING,
                 numbers.count(operations.get(name))]
            )  # fmt: skip
    if not lines:
        return ""
    head = ["layer", ">energy", ">share", ">latency", ">share", ">PE busy", ">synaptic ops"]
    if not cycles:  # no PEs
        head, lines = [*head[:5], *head[6:]], [[*line[:5], *line[6:]] for line in lines]
    return table(head, lines, width)


def _state(row: Row, state: str) -> bool:
    """Whether a row is unit-cycles of the PEs, in one state or in any."""
    return row.metric == "cycles" and row.component == "pe" and bool(row.action) and state in ("", row.action)


def _sum(rows: Iterable[Row], chosen: Callable[[Row], bool], samples: int) -> dict[str | None, float]:
    parts: dict[str | None, list[float]] = {}
    for row in rows:
        if chosen(row):
            parts.setdefault(row.layer, []).append(row.value)
    return {name: math.fsum(values) / samples for name, values in parts.items()}


def schedule(result: Result, width: int = WIDTH) -> str:
    """The loop nest that all counts come from, as the machine printed it."""
    lines = [textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in result.schedule]
    return "\n".join(["schedule", *lines]) if lines else ""


def notes(result: Result, width: int = WIDTH) -> str:
    """What was assumed and what is not modelled; long texts are cut."""
    return "\n".join(note(text, width) for text in result.notes)


def note(text: str, width: int = WIDTH) -> str:
    """One note, wrapped; a long text is cut."""
    short = text if len(text) <= NOTE_LIMIT else f"{text[:NOTE_LIMIT].rsplit(' ', 1)[0]} ... (whole in result.json)"
    return textwrap.fill(short, width, initial_indent="note: ", subsequent_indent="      ")


def table(columns: Sequence[str], lines: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """A table as text. A column whose heading starts with ``>`` is set flush right; the last column gives way first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    last = len(columns) - 1
    for index, column in enumerate(columns):
        right: Any = "right" if column.startswith(">") else "left"
        grid.add_column(column.removeprefix(">"), justify=right, no_wrap=index not in (0, last), overflow="fold")
    for line in lines:
        grid.add_row(*line)
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=False, highlight=False, markup=False,
            emoji=False, legacy_windows=False).print(grid)  # fmt: skip
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
