"""Accuracy against array size, with gain calibration off and per column, over several programmed chips."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.machines.crossbar.run import Runner
from hwsim.machines.request import simulated_set
from hwsim.network.engine import accuracy
from hwsim.report.numbers import percent
from hwsim.report.pictures import canvas
from hwsim.report.pictures.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = (16, 32, 64, 128)
GAINS = {"off": "gain off", "per_column": "gain per column"}
LOOKS = {"off": (canvas.ORANGE, "s", "--", -0.035), "per_column": (canvas.BLUE, "o", "-", 0.035)}
"""Colour, marker, line and shift to the side."""
CHIPS = 3
"""Device seeds where the architecture and the command line leave ``options.device_seeds`` at 1."""
SEEDS_OPTION = "options.device_seeds"


class Sizes(NamedTuple):
    """What the picture shows."""

    images: int
    software: float
    """Accuracy with exact sums on the same images."""
    shares: dict[str, np.ndarray]
    """By gain, accuracies [sizes, chips]."""


def collect(subject: Subject) -> Sizes:
    """Every chip of every size is programmed, its converters ranged, and asked about the same test images."""
    samples = simulated_set(subject.network)
    images = min(subject.accuracy, len(samples))
    shares: dict[str, list[list[float]]] = {gain: [] for gain in GAINS}
    for number, size in enumerate(SIZES):
        runner = subject.prepared(f"crossbar.rows={size}", f"crossbar.columns={size}")
        chips = range(subject.seed, subject.seed + count_chips(subject, runner))
        for gain in GAINS:
            found = []
            for place, chip in enumerate(chips):
                done = (number * len(GAINS) + list(GAINS).index(gain)) * len(chips) + place
                subject.say(done, len(SIZES) * len(GAINS) * len(chips), f"{size} x {size}, {GAINS[gain]}")
                found.append(measure(runner, chip, gain, images))
            shares[gain].append(found)
    return Sizes(images, software(runner, images), {gain: np.array(values) for gain, values in shares.items()})


def count_chips(subject: Subject, runner: Runner) -> int:
    """Device seeds: as asked for; of one chip there would be no spread."""
    asked = int(runner.machine.options["device_seeds"])
    said = any(text.partition("=")[0].strip() == SEEDS_OPTION for text in subject.overrides)
    return asked if said or asked > 1 else CHIPS


def measure(runner: Runner, chip: int, gain: str, images: int) -> float:
    """Accuracy of one chip; with BN adaptation where the machine does that."""
    products = runner.products(runner.chip(chip, gain=gain))
    frozen = runner.freeze_with(products, runner.adapted(products))
    return accuracy(
        frozen, simulated_set(runner.workload), images, runner.timesteps, seed=runner.request.seed,
        exit_rule=runner.machine.exit_rule,
    ).fraction  # fmt: skip


def software(runner: Runner, images: int) -> float:
    """Accuracy with exact sums."""
    assert runner.exact is not None
    return accuracy(
        runner.exact, simulated_set(runner.workload), images, runner.timesteps, seed=runner.request.seed,
        exit_rule=runner.machine.exit_rule,
    ).fraction  # fmt: skip


def paint(found: Sizes, subject: Subject) -> Figure:
    """One line per gain with its chips as points, beside exact sums and guessing."""
    chips = next(iter(found.shares.values())).shape[1]
    adapted = ["BN adapted on each chip"] if subject.runner.machine.options["adaptation"] is not None else []
    error = "bars: one standard deviation between chips" if chips > 1 else "one chip: no bars"
    seeds = f"device seeds {subject.seed} to {subject.seed + chips - 1}" if chips > 1 else f"device seed {subject.seed}"
    caption = subject.caption("all layers", f"{found.images} test images", f"{seeds}; {error}; points: chips", *adapted)
    figure = canvas.figure(4.4, f"Accuracy against array size: {subject.network.name}", caption)
    axes = figure.subplots()
    for gain, look in LOOKS.items():
        _line(axes, found, gain, look)
    axes.axhline(found.software, color=canvas.GREEN, linestyle="-.", linewidth=1.2, label="software (exact sums)")
    if subject.network.classes:
        axes.axhline(1 / subject.network.classes, color=canvas.GREY, linestyle=":", linewidth=1.2, label="guessing")
    axes.set_xticks(np.log2(SIZES), [f"{size} x {size}" for size in SIZES])
    axes.set_xlabel("array size, rows x columns")
    axes.set_ylabel("accuracy on the arrays")
    axes.set_ylim(-0.03, 1.06)
    axes.margins(x=0.12)
    canvas.percent_axis(axes.yaxis)
    axes.grid(axis="y", color=canvas.FAINT, linewidth=0.6)
    canvas.legend_below(axes, 4)
    return figure


def _line(axes: Axes, found: Sizes, gain: str, look: tuple[str, str, str, float]) -> None:
    """Means with bars, chips beside them, and beside those the mean in words: of one gain left, of the other right."""
    colour, marker, line, shift = look
    shares = found.shares[gain]
    places, means = np.log2(SIZES) + shift, shares.mean(axis=1)
    axes.plot(places, means, color=colour, marker=marker, linestyle=line, markersize=6, zorder=3, label=GAINS[gain])
    if shares.shape[1] > 1:
        axes.errorbar(places, means, shares.std(axis=1, ddof=1), color=colour, linestyle="", capsize=4, zorder=3)
        axes.plot(places + shift, shares, linestyle="", marker=".", markersize=4, color=colour, alpha=0.6)
    side, aligned = (-1, "right") if shift < 0 else (1, "left")
    for place, mean in zip(places, means, strict=True):
        axes.annotate(percent(float(mean)), (place, mean), (12 * side, 0), textcoords="offset points", ha=aligned,
                      va="center", fontsize=8, color=colour, zorder=4,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
