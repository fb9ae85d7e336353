"""The terminal block of what is particular to crossbars: accuracy on the arrays, where it is lost, and programming."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hwsim.cost import ASSUMED, Row
from hwsim.report import numbers
from hwsim.report.tables import WIDTH, table
from hwsim.result import Result

DEVIATIONS = ("deviation_current", "deviation_membrane", "deviation_output")
CHIP, SOFTWARE, GAIN_OFF, NOT_ADAPTED = "chip", "software", "gain off", "not adapted"


def crossbar(result: Result, width: int = WIDTH) -> str:
    """Both tables; empty for a result that is not of programmed arrays."""
    return "\n\n".join(part for part in (accuracies(result, width), deviations(result, width)) if part)


def accuracies(result: Result, width: int = WIDTH) -> str:
    """Accuracy on the arrays beside what it would be otherwise, mean timesteps, cut-off codes, programming."""
    lines = [*_accuracies(result), *_timesteps(result), *_clipped(result), *_programming(result)]
    return table(["on the arrays", ">value", ""], lines, width) if lines else ""


def _accuracies(result: Result) -> Iterable[list[str]]:
    found = {row.component: row.value for row in result.rows if row.metric == "accuracy" and row.component}
    chips = [value for name, value in found.items() if name.startswith(f"{CHIP} ")]
    if not chips:
        return
    images = "" if result.accuracy is None else f", {numbers.plural(result.accuracy.images or 0, 'image')}"
    spread = next((row.value for row in result.rows if row.metric == "accuracy_spread"), 0.0)
    between = f", standard deviation {100 * spread:.1f} points" if len(chips) > 1 else ""
    mean = numbers.percent(math.fsum(chips) / len(chips))
    yield ["accuracy", mean, numbers.plural(len(chips), CHIP) + between + images]
    texts = {
        SOFTWARE: "the same images with exact sums",
        GAIN_OFF: "the first chip without gain calibration",
        NOT_ADAPTED: "the first chip with the BN of the training",
    }
    for name, text in texts.items():
        if name in found:
            yield [f"  {name}", numbers.percent(found[name]), text]


def _timesteps(result: Result) -> Iterable[list[str]]:
    """Mean timesteps, where early exit makes them fewer than the network has."""
    mean = next((row.value for row in result.rows if row.metric == "timesteps_mean"), None)
    planned = result.settings.get("timesteps")
    if mean is not None and planned and mean < planned:
        yield ["timesteps", f"{mean:.2f}", f"of {planned}, mean of the images under early exit"]


def _clipped(result: Result) -> Iterable[list[str]]:
    clipped, converted = _converters(result)
    known = any(row.metric == "accuracy" for row in result.rows)  # of shape tables nobody knows the currents
    if converted and (clipped or known):
        cut, whole = math.fsum(clipped.values()), math.fsum(converted.values())
        yield ["ADC clipped", clipped_share(cut, whole), f"of {numbers.count(whole)} conversions above full scale"]


def _programming(result: Result) -> Iterable[list[str]]:
    """Once per chip, with one standard deviation; not part of the energy and latency above."""
    parts = {name: [row for row in result.rows if row.metric == f"programming_{name}"] for name in
             ("cells", "energy_J", "time_s")}  # fmt: skip
    cells = math.fsum(row.value for row in parts["cells"])
    energy, seconds = (math.fsum(row.value for row in parts[name]) for name in ("energy_J", "time_s"))
    if energy:
        text = f"{numbers.count(cells)} cells written once{_guessed(parts['energy_J'])}, not in totals"
        yield ["programming", numbers.si(energy, "J"), text]
    if seconds:
        text = f"all arrays at once{_guessed(parts['time_s'])}, not in totals"
        yield ["" if energy else "programming", numbers.si(seconds, "s"), text]


def _guessed(rows: list[Row]) -> str:
    return " (assumed)" if any((row.source or "").startswith(ASSUMED) for row in rows) else ""


def deviations(result: Result, width: int = WIDTH) -> str:
    """By layer at the last timestep: rms of the difference from exact sums over rms of the latter, for currents and
    membranes; share of outputs that differ; share of conversions that the ADCs cut off.
    """
    rows = [row for row in result.rows if row.metric in DEVIATIONS and row.timestep is not None]
    if not rows:
        return ""
    last = max(row.timestep for row in rows if row.timestep is not None)
    adapted = any(row.component == NOT_ADAPTED for row in rows)
    found = {(row.component, row.metric, row.layer): row.value for row in rows if row.timestep == last}
    clipped, converted = _converters(result)
    lines = []
    for layer in result.layers:
        values = [found.get((CHIP, metric, layer)) for metric in DEVIATIONS]
        if values[1] is None and layer == result.layers[-1]:
            values[2] = None  # the sums themselves are the output: nearly all differ, which says nothing
        if any(value is not None for value in values):
            before = [numbers.percent(found.get((NOT_ADAPTED, DEVIATIONS[0], layer)))] if adapted else []
            cut = clipped_share(clipped.get(layer, 0.0), converted.get(layer, 0.0))
            current, *others = map(numbers.percent, values)
            lines.append([layer, current, *before, *others, cut])
    head = ["deviation", ">current", *[">(not adapted)"][:adapted], ">membrane", ">outputs", ">ADC clipped"]
    legend = "last timestep against exact sums: rms over rms; outputs: share that differs"
    return f"{table(head, lines, width)}\n{legend}" if lines else ""


def _converters(result: Result) -> tuple[dict[str | None, float], dict[str | None, float]]:
    """By layer, conversions that were cut off, and all of them; over all samples."""
    return tuple({layer: math.fsum(values) for layer, values in _adc(result.rows, action).items()}
                 for action in ("clipped", "convert"))  # type: ignore[return-value]  # fmt: skip


def _adc(rows: Iterable[Row], action: str) -> dict[str | None, list[float]]:
    parts: dict[str | None, list[float]] = {}
    for row in rows:
        if row.metric == "count" and row.component == "adc" and row.action == action:
            parts.setdefault(row.layer, []).append(row.value)
    return parts


def clipped_share(part: float, whole: float) -> str:
    """As a percentage with two digits below one percent; a few codes are not shown as none."""
    if not whole or not part:
        return numbers.NOTHING if not whole else "0 %"
    share = 100 * part / whole
    return "<0.01 %" if share < 0.01 else f"{share:.2f} %" if share < 1 else f"{share:.1f} %"
