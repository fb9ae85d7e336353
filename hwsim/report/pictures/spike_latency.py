"""How long a timestep takes to its first output spike, in time and in spikes, and how long a sample takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.machines.neuromorphic.behaviour import behaviour
from hwsim.report.numbers import si
from hwsim.report.pictures import canvas
from hwsim.report.pictures.core_subject import CoreSubject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 30


class Latencies(NamedTuple):
    """One value per timestep with an output spike; or per sample."""

    to_output_s: np.ndarray
    to_output_spikes: np.ndarray
    sample_s: np.ndarray
    silent: int
    """Timesteps without an output spike."""
    caption: str


def collect(subject: CoreSubject) -> Latencies:
    """All samples, one after the other."""
    runner = subject.prepared()
    tick_s = runner.architecture.technology.tick_s
    seen = [behaviour(runner.machine.setup, made) for made in subject.records(runner)]
    ticks = np.concatenate([sample.first_ticks for sample in seen])
    spikes = np.concatenate([sample.first_spikes for sample in seen])
    whole = np.array([sample.ticks for sample in seen])
    silent = runner.timesteps * len(seen) - len(ticks)
    caption = subject.caption(runner, f"{silent} of {runner.timesteps * len(seen)} timesteps without an output spike")
    return Latencies(ticks * tick_s, spikes, whole * tick_s, silent, caption)


def paint(found: Latencies, subject: CoreSubject) -> Figure:
    """Three histograms with median and quartiles."""
    del subject
    figure = canvas.figure(3.2, "Latency", found.caption)
    left, middle, right = figure.subplots(1, 3)
    _histogram(left, found.to_output_s, "s", "to the first output of a timestep", "timesteps")
    _histogram(middle, found.to_output_spikes.astype(np.float64), "1", "spikes up to it, unmasked", "")
    _histogram(right, found.sample_s, "s", "of a whole sample", "samples")
    return figure


def _histogram(axes: Axes, values: np.ndarray, unit: str, title: str, count: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_ylabel(count)
    if not values.size:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=canvas.GREY)
        return
    scale, name = _scale(values, unit)
    axes.hist(values / scale, bins=min(BINS, max(1, len(np.unique(values)))), color=canvas.BLUE, zorder=2)
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)) / scale
    axes.axvspan(low, high, color=canvas.ORANGE, alpha=0.25, linewidth=0, zorder=1)
    axes.axvline(median, color=canvas.ORANGE, linewidth=1.5, zorder=3)
    axes.annotate(f"median {median:.4g}", (median, 1.0), (4, -10), xycoords=("data", "axes fraction"),
                  textcoords="offset points", color=canvas.ORANGE, fontsize=8)  # fmt: skip
    axes.set_xlabel(name)


def _scale(values: np.ndarray, unit: str) -> tuple[float, str]:
    """(divide by it, name of the axis)."""
    if unit == "1":
        return 1.0, "spikes"
    number, name = si(float(values.max()), unit).split(" ")
    return float(values.max()) / float(number), name
