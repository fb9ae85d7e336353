"""Errors of a layer's column currents and psums against ideal arrays, before and after gain calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.kernels.analog import plain_currents
from hwsim.machines.crossbar.programmed import LayerArrays
from hwsim.machines.crossbar.run import Runner
from hwsim.report.numbers import percent
from hwsim.report.pictures import canvas
from hwsim.report.pictures.subject import Subject, patches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = 512
"""Largest number of reads per row block and sample whose currents are compared, spread evenly over the layer."""
SOLVED_READS = 16
"""The same where each read is a network of its own (silent rows open, or cells not ohmic)."""
BINS = 60
TAIL = 0.001
"""Share of the values at each end that is not shown."""
NAMES = {"off": "gain off", "global": "one gain for the layer", "per_column": "gain per column"}


class Errors(NamedTuple):
    """By gain, in the order before, after."""

    gains: tuple[str, str]
    currents: tuple[np.ndarray, np.ndarray]
    """Column current over the current of ideal cells and wires, less 1; one value per read and converted column."""
    psums: tuple[np.ndarray, np.ndarray]
    """Psum less the exact one, over the rms of the exact ones; one value per timestep, pixel and filter."""


def collect(subject: Subject) -> Errors:
    """Reads of ``subject.samples`` samples as this chip's network has them."""
    runner, name = subject.runner, subject.chosen.placed.name
    after = "per_column" if runner.machine.model.gain == "off" else runner.machine.model.gain
    inputs = [subject.inputs(sample, name) for sample in range(subject.samples)]
    currents, psums = [], []
    for number, gain in enumerate(("off", after)):
        subject.say(number, 2, NAMES[gain])
        network = runner.network if gain == runner.machine.model.gain else runner.chip(subject.seed, gain=gain)
        layer = network.arrays[name]
        currents.append(np.concatenate([current_errors(layer, x) for x in inputs]))
        product = runner.products(network)[name]
        psums.append(np.stack([product.psums(x, runner.timesteps, sample) for sample, x in enumerate(inputs)]))
    exact = np.stack([exact_psums(runner, name, x) for x in inputs])
    scale = float(np.sqrt(np.mean(exact**2))) or 1.0
    before, calibrated = (((made - exact) / scale).reshape(-1) for made in psums)
    return Errors(("off", after), (currents[0], currents[1]), (before, calibrated))


def exact_psums(runner: Runner, name: str, x: np.ndarray) -> np.ndarray:
    """[T or 1, pixels, M] in weight units."""
    layer = runner.network.arrays[name]
    return np.asarray(patches(layer.placed, x).astype(np.float64) @ layer.weights)


def current_errors(layer: LayerArrays, x: np.ndarray) -> np.ndarray:
    """Relative errors of the column currents of evenly spread reads of each row block; inputs x [T or 1, H, W, C]."""
    placed = layer.placed
    analog = layer.analog(np.ones(layer.groups)) if layer.model.solved_per_read else None
    ideal = ideal_currents(layer)
    spread = patches(placed, x).reshape(-1, layer.rows)
    bits = (spread[None] >> np.arange(placed.planes).reshape(-1, 1, 1) & 1).reshape(-1, layer.rows)
    parts = []
    for block in range(placed.blocks):
        rows = np.flatnonzero(placed.block_of == block)
        active = bits[:, rows]
        active = active[active.any(axis=1)]
        if not len(active):
            continue
        active = active[:: -(-len(active) // (SOLVED_READS if layer.model.solved_per_read else READS))]
        if analog is not None:
            made = np.stack([plain_currents(analog, rows[read == 1], block) for read in active])
        else:
            made = active @ layer.code_currents[rows]
        wanted = active @ ideal[rows]
        parts.append((made[wanted > 0] / wanted[wanted > 0] - 1.0).reshape(-1))
    return np.concatenate(parts) if parts else np.empty(0)


def ideal_currents(layer: LayerArrays) -> np.ndarray:
    """[K, Q] code units: cells as they were meant, wires without resistance."""
    codes = layer.encoded.codes.transpose(2, 0, 1, 3).reshape(layer.rows, -1)
    return np.asarray(codes + layer.model.floor)


def paint(found: Errors, subject: Subject) -> Figure:
    """Two histograms: column currents, psums."""
    layer = subject.placed.name
    converters = "with converters" if subject.runner.machine.model.codes else "without converters"
    samples = f"{subject.samples} samples" if subject.samples > 1 else "sample 0"
    caption = subject.caption(
        f"layer {layer}", samples, f"psums {converters}",
        f"{percent(TAIL)} at each end not shown",
    )  # fmt: skip
    figure = canvas.figure(4.0, f"Output errors of {layer}", caption)
    left, right = figure.subplots(1, 2)
    _histogram(left, found.currents, found.gains)
    left.set_xlabel("error of a column current, % of the ideal current")
    left.set_ylabel("frequency (highest bin = 1)")
    _histogram(right, found.psums, found.gains)
    right.set_xlabel("error of a psum, % of the rms of ideal psums")
    return figure


def _histogram(axes: Axes, errors: tuple[np.ndarray, np.ndarray], gains: tuple[str, str]) -> None:
    """Each with bins and height of its own: one is often many times as wide as the other."""
    looks = ((canvas.ORANGE, "--"), (canvas.BLUE, "-"))
    for values, gain, (colour, line) in zip(errors, gains, looks, strict=True):
        if not len(values):
            continue
        low, high = (float(end) for end in np.quantile(values, (TAIL, 1 - TAIL)))
        bins = int(np.clip(2 * np.sqrt(len(values)), 4, BINS))
        counts, edges = np.histogram(values, np.linspace(low, high if high > low else low + 1e-9, bins + 1))
        height = counts / counts.max()
        label = f"{NAMES[gain]}: mean {_signed(values.mean())}, std {percent(values.std())}"
        axes.stairs(height, edges, fill=True, color=colour, alpha=0.18)
        axes.stairs(height, edges, color=colour, linestyle=line, linewidth=1.2, label=label)
    axes.axvline(0.0, color=canvas.GREY, linewidth=0.8, linestyle=":")
    axes.set_ylim(0.0, 1.05)
    axes.set_yticks([])
    canvas.percent_axis(axes.xaxis, 5)
    canvas.legend_below(axes, 1)


def _signed(share: float) -> str:
    return ("+" if share > 0 else "") + percent(share).replace("-", "−")
