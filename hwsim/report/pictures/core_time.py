"""What each core spends its time on: turns, and waiting, by what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.machines.neuromorphic.waiting import CoreTime, core_times
from hwsim.report.pictures import canvas
from hwsim.report.pictures.core_subject import CoreSubject, held_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "turn": ("in a turn", canvas.BLUE),
    "input": ("waits for the input", "#56B4E9"),
    "slowest": ("waits for the slowest core", canvas.ORANGE),
    "excluded": ("waits for other layers", "#E69F00"),
    "synchronising": ("barrier or rest of the interval", canvas.PINK),
    "idle": ("nothing to do", "#dddddd"),
}
MOST = 64
"""Rows; beyond, neighbouring cores share one."""


class Times(NamedTuple):
    """Shares [cores or groups of them, 6], and their names."""

    shares: np.ndarray
    names: list[str]
    caption: str


def collect(subject: CoreSubject) -> Times:
    """Means over samples of each core's shares."""
    runner = subject.prepared()
    setup = runner.machine.setup
    made = [core_times(setup, record) / max(record.ticks, 1) for record in subject.records(runner)]
    shares, held = np.mean(made, axis=0), held_layers(runner)
    step = -(-setup.cores // MOST)
    starts = np.arange(0, setup.cores, step)
    sizes = np.diff(np.append(starts, setup.cores))
    names = [f"core {start}{f' to {start + size - 1}' if size > 1 else ''}: {held[start]}"
             for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]  # fmt: skip
    unused = runner.machine.placement.cores - setup.cores
    caption = subject.caption(runner, f"{unused} cores without neurons are not shown")
    return Times(np.add.reduceat(shares, starts, axis=0) / sizes[:, None], names, caption)


def paint(found: Times, subject: CoreSubject) -> Figure:
    """Stacked bars."""
    del subject
    rows = len(found.names)
    figure = canvas.figure(1.7 + 0.22 * max(rows, 3), "Time of the cores in use", found.caption)
    axes = figure.subplots()
    left = np.zeros(rows)
    for number, name in enumerate(CoreTime.__dataclass_fields__):
        width = found.shares[:, number]
        label, colour = LABELS[name]
        if width.any():
            axes.barh(np.arange(rows), width, left=left, color=colour, label=label, height=0.8)
        left += width
    for row in range(rows):
        axes.annotate(f"{100 * found.shares[row, 0]:.0f} %", (0.0, row), (4, 0), textcoords="offset points",
                      va="center", fontsize=7.5, color="white" if found.shares[row, 0] > 0.06 else "black")  # fmt: skip
    axes.set_yticks(np.arange(rows), found.names)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.tick_params(left=False)
    canvas.percent_axis(axes.xaxis)
    canvas.legend_below(axes, 3)
    return figure
