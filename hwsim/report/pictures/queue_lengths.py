"""How many spikes wait in the queues of cores when turns begin, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.report.pictures import canvas
from hwsim.report.pictures.core_subject import CoreSubject, held_layers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (canvas.BLUE, canvas.ORANGE, canvas.GREEN, canvas.PINK, "#56B4E9", "#E69F00", "#F0E442", "#000000")


class Queues(NamedTuple):
    """Lengths at the beginning of all turns, by what a core holds."""

    waiting_input: dict[str, np.ndarray]
    waiting_spikes: dict[str, np.ndarray]
    caption: str


def collect(subject: CoreSubject) -> Queues:
    """All turns of all samples."""
    runner = subject.prepared()
    held = held_layers(runner)
    names = [name for name in dict.fromkeys(held) if subject.layer is None or subject.layer in name.split(", ")]
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {name: ([], []) for name in names}
    for made in subject.records(runner):
        of = np.array(held)[made.column("core")]
        for name, (queued, waiting) in found.items():
            queued.append(made.column("queued")[of == name])
            waiting.append(made.column("waiting")[of == name])
    return Queues(
        {name: np.concatenate(queued) for name, (queued, _) in found.items()},
        {name: np.concatenate(waiting) for name, (_, waiting) in found.items()},
        subject.caption(runner, f"F {runner.machine.parameter('core', 'group')}", "a turn counts once, long or short"),
    )


def paint(found: Queues, subject: CoreSubject) -> Figure:
    """Share of turns that found at least so many."""
    del subject
    figure = canvas.figure(3.4, "Queues when a turn begins", found.caption)
    left, right = figure.subplots(1, 2, sharey=True)
    _curves(left, found.waiting_input, "input queue: spikes from other cores and the own")
    _curves(right, found.waiting_spikes, "spike queue: fired and not sent yet")
    left.set_ylabel("turns that find at least as many")
    for axes in (left, right):
        axes.legend(loc="upper right")
    return figure


def at_least(lengths: np.ndarray) -> np.ndarray:
    """float64 [most + 2]: share of turns with at least 0, 1, 2, ... waiting."""
    if not lengths.size:
        return np.zeros(1)
    counts = np.bincount(lengths)
    return np.append(counts[::-1].cumsum()[::-1], 0) / lengths.size


def _curves(axes: Axes, lengths: dict[str, np.ndarray], title: str) -> None:
    axes.set_title(title, loc="left")
    for number, (name, values) in enumerate(lengths.items()):
        shares = at_least(values)
        mean = values.mean() if values.size else 0.0
        axes.step(np.arange(len(shares)), shares, where="mid", color=COLOURS[number % len(COLOURS)],
                  label=f"{name}, mean {mean:.3g}")  # fmt: skip
    axes.set_xlabel("spikes")
    axes.set_ylim(0.0, 1.02)
    axes.set_xlim(left=0.0)
    axes.grid(axis="y", color=canvas.FAINT, linewidth=0.6)
    canvas.percent_axis(axes.yaxis)
