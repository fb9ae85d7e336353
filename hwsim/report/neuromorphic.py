"""The terminal block of what is particular to neuromorphic machines: spikes, messages, queues, where time went."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from hwsim.report import numbers
from hwsim.report.tables import WIDTH, table
from hwsim.result import BEHAVIOUR, Result

POINTS = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum", "mean")
SPIKES = ("emitted", "propagated", "masked", "left")
DISTRIBUTIONS = (
    ("spikes_to_output", None, "1", "spikes to output"),
    ("steps_to_output", None, "1", "  turns"),
    ("time_to_output", None, "s", "  time"),
    ("sample_latency", None, "s", "time of a sample"),
    ("forward_steps", None, "1", "turns of a timestep"),
    ("currents_to_spike", None, "1", "currents to spike"),
    ("queue_length", "core", "1", "input queue"),
    ("queue_length", "scheduler", "1", "spike queue"),
    ("utilisation", "core", "%", "busy cores"),
    ("link_load", "link", "%", "link load"),
)
"""Metric, component, unit, label."""
TIMES = {"working": "cores at work", "moving": "input and messages", "synchronising": "synchronising"}
CORE_TIMES = {"turn": "in a turn", "input": "for the input", "slowest": "for the slowest", "excluded":
              "for other layers", "synchronising": "synchronising", "idle": "nothing to do"}  # fmt: skip
_Place = tuple[str | None, str | None, str | None, str]
Found = Mapping[_Place, float]
"""(layer, component, action, metric) -> value."""


def neuromorphic(result: Result, width: int = WIDTH) -> str:
    """All tables; empty for a result of another family, or without measured samples."""
    found = {(row.layer, row.component, row.action, row.metric): row.value for row in result.rows
             if row.phase == BEHAVIOUR}  # fmt: skip
    if not found:
        return ""
    return "\n\n".join(
        part
        for part in (means(result, found, width), distributions(found, width), by_layer(result, found, width))
        if part
    )


def means(result: Result, found: Found, width: int = WIDTH) -> str:
    """Energy by kind, spikes, operations, messages, accuracy, time."""
    images = result.accuracy.images if result.accuracy is not None else None
    head = "on the cores" if not images else f"on the cores, {numbers.plural(images, 'image')}"
    lines = [*_energy(result), *_spikes(found), *_messages(found), *_accuracies(found), *_times(found)]
    return table([head, ">mean", ""], lines, width)


def _energy(result: Result) -> Iterable[list[str]]:
    by_kind = result.energy_by_kind()
    if any(by_kind.values()):
        share = numbers.share(by_kind["static"], math.fsum(by_kind.values()))
        yield ["dynamic energy", numbers.si(by_kind["dynamic"], "J"),
               f"and {numbers.si(by_kind['static'], 'J')} static ({share})"]  # fmt: skip


def _spikes(found: Found) -> Iterable[list[str]]:
    sums = {word: math.fsum(value for key, value in found.items() if key[3] == f"spikes_{word}") for word in SPIKES}
    parts = f"{_few(sums['propagated'])} sent, {_few(sums['masked'])} masked, {_few(sums['left'])} left in queues"
    yield ["spikes fired", _few(sums["emitted"]), parts]
    density = found.get((None, None, None, "spike_density"))
    if density is not None:
        yield ["spike density", f"{density:.3g}", "spikes of a hidden neuron"]
    operations = {action: found.get((None, None, action, "synaptic_operations")) for action in
                  ("as published", "spikes", "input")}  # fmt: skip
    sent = f"for spikes, {_few(operations['input'])} for the input"
    if operations["as published"] is not None:
        sent += f"; papers count {_few(operations['as published'])}"
    yield ["synaptic ops", _few(operations["spikes"]), sent]


def _messages(found: Found) -> Iterable[list[str]]:
    count = {word: found.get((None, None, None, word), 0.0) for word in ("messages", "signals", "late", "dropped")}
    more = [f"{_few(count['signals'])} signals that synchronise or stop"]
    more += [f"{_few(count[word])} {word}" for word in ("late", "dropped") if count[word]]
    yield ["messages", _few(count["messages"]), ", ".join(["of spikes", *more])]


def _accuracies(found: Found) -> Iterable[list[str]]:
    steps = {key[2]: value for key, value in found.items() if key[3] == "accuracy" and key[2]}
    for number, (action, value) in enumerate(steps.items()):
        label = "accuracy by stop" if not number else ""
        turns = numbers.plural(int(str(action).split()[0]), "step")
        yield [label, numbers.percent(value), f"{turns} after the first output"]


def _times(found: Found) -> Iterable[list[str]]:
    for label, metric, part, words in (("time of a sample", "elapsed", None, TIMES),
                                       ("time of cores", "core_time", "core", CORE_TIMES)):  # fmt: skip
        values = {text: found.get((None, part, action, metric), 0.0) for action, text in words.items()}
        whole = math.fsum(values.values())
        shown = [(text, value) for text, value in values.items() if value > 0]
        for number, (text, value) in enumerate(shown):
            yield [label if not number else "", numbers.share(value, whole), text]


def distributions(found: Found, width: int = WIDTH) -> str:
    """Least, quartiles, largest and mean, over timesteps, samples, turns, cores or links."""
    lines = []
    for metric, part, unit, label in DISTRIBUTIONS:
        values = [found.get((None, part, point, metric)) for point in POINTS]
        if values[0] is not None:
            lines.append([label, *(_shown(value, unit) for value in values)])
    heads = [">least", ">25 %", ">median", ">75 %", ">most", ">mean"]
    return table(["distribution", *heads], lines, width) if lines else ""


def by_layer(result: Result, found: Found, width: int = WIDTH) -> str:
    """Spikes of each layer, and how busy its cores are."""
    lines = []
    for layer in result.layers:
        values = [found.get((layer, None, None, f"spikes_{word}")) for word in SPIKES]
        busy = found.get((layer, "core", None, "utilisation"))
        if values[0] is not None:
            lines.append([layer, *(_few(value) for value in values), numbers.percent(busy)])
    return table(["spikes", ">fired", ">sent", ">masked", ">left", ">busy cores"], lines, width) if lines else ""


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return numbers.NOTHING
    if unit == "%":
        return numbers.percent(value) if value >= 0.001 or value == 0 else f"{100 * value:.1g} %"
    return _few(value) if unit == "1" else numbers.si(value, unit)


def _few(value: float | None) -> str:
    """Means of counts: a decimal below ten, where there is one."""
    if value is None:
        return numbers.NOTHING
    return f"{value:.1f}" if value < 10 and value != int(value) else numbers.count(value)
