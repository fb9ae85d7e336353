"""Accuracy, time and energy against how many turns a timestep goes on after its first output spike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.machines.neuromorphic.findings import stopped_after
from hwsim.machines.request import simulated_set
from hwsim.report.numbers import si
from hwsim.report.pictures import canvas
from hwsim.report.pictures.core_subject import CoreSubject
from hwsim.result import Accuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (0, 1, 2, 3, 4, 6, 8, 12, 16)


class Extra(NamedTuple):
    """One value per entry of ``STEPS``, and of a run until nothing is left."""

    right: np.ndarray
    """int64: samples whose class was found."""
    seconds: np.ndarray
    """float64: mean time of a sample."""
    done: tuple[int, float]
    samples: int
    caption: str


def collect(subject: CoreSubject) -> Extra:
    """One run over the samples for each number of steps. Raises SpecError for machines with synchronisation."""
    runner = subject.prepared("options.stop=output") if not _set(subject) else subject.prepared()
    if not runner.machine.setup.chip.stop:
        where = runner.architecture.where("components.sync")
        hint = "Take it away: --set 'sync={class: asynchronous}'."
        raise SpecError(Problem(where, "only machines without synchronisation stop on output", hint))
    samples = min(subject.accuracy, len(simulated_set(runner.workload)))
    found = []
    for number, steps in enumerate((*STEPS, None)):
        subject.say(number, len(STEPS) + 1, "steps after the first output")
        found.append(stopped_after(runner, steps, samples))
    count = f"{samples} test images, bars: 95 % intervals (Wilson)"
    caption = subject.caption(runner, f"F {runner.machine.parameter('core', 'group')}",
                              f"scheduler {runner.architecture.components['scheduler'].class_name}",
                              count=count)  # fmt: skip
    right, seconds = zip(*found, strict=True)
    return Extra(np.array(right[:-1]), np.array(seconds[:-1]), (right[-1], seconds[-1]), samples, caption)


def _set(subject: CoreSubject) -> bool:
    return any(text.partition("=")[0].strip() == "options.stop" for text in subject.overrides)


def paint(found: Extra, subject: CoreSubject) -> Figure:
    """Accuracy with its intervals, and time, over the steps."""
    del subject
    figure = canvas.figure(3.4, "After the first output spike of a timestep", found.caption)
    left, right = figure.subplots(1, 2)
    shares = found.right / found.samples
    bounds = np.array([Accuracy(float(share), found.samples).bounds for share in shares])
    errors = np.abs(bounds.T - shares)
    left.errorbar(STEPS, shares, yerr=errors, color=canvas.BLUE, marker="o", markersize=4, capsize=2, linewidth=1.2)
    left.axhline(found.done[0] / found.samples, color=canvas.GREY, linestyle="--", linewidth=1.0)
    left.annotate("until nothing is left", (STEPS[-1], found.done[0] / found.samples), (0, 4), ha="right",
                  textcoords="offset points", fontsize=8, color=canvas.GREY)  # fmt: skip
    left.set_title("accuracy", loc="left")
    canvas.percent_axis(left.yaxis)
    number, unit = si(max(float(found.seconds.max()), found.done[1]), "s").split(" ")
    scale = max(float(found.seconds.max()), found.done[1]) / float(number)
    right.plot(STEPS, found.seconds / scale, color=canvas.ORANGE, marker="o", markersize=4, linewidth=1.2)
    right.axhline(found.done[1] / scale, color=canvas.GREY, linestyle="--", linewidth=1.0)
    right.set_title(f"mean time of a sample, {unit}", loc="left")
    right.set_ylim(bottom=0.0)
    for axes in (left, right):
        axes.set_xlabel("turns of the output core after it")
        axes.grid(axis="y", color=canvas.FAINT, linewidth=0.6)
    return figure
