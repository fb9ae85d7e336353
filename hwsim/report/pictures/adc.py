"""How the ADCs' codes are used, and how many currents they cut off, per layer and slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.kernels.analog import histogram_currents
from hwsim.machines.crossbar.product import ArrayProduct
from hwsim.machines.crossbar.tile import shape_of
from hwsim.network.kernels import list_events
from hwsim.report.crossbar import clipped_share
from hwsim.report.pictures import canvas
from hwsim.report.pictures.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 128
"""Most columns of the map; converters of more codes share a column among neighbours."""
LEAST = 1e-4
"""Share of the darkest colour."""


class Converters(NamedTuple):
    """One row per layer, slice and polarity, in the network's order."""

    names: tuple[str, ...]
    counts: np.ndarray
    """int64 [rows, codes]: conversions of reads with an active row that gave each code, those cut off included."""
    clipped: np.ndarray
    """int64 [rows]: currents above the largest code."""


def collect(subject: Subject) -> Converters:
    """Codes of ``subject.samples`` samples as this chip's network has them, free of read noise."""
    runner = subject.runner
    if not runner.machine.model.codes:
        where = runner.architecture.where("options.converters")
        raise SpecError(Problem(where, "converters is false: there are no codes to show"))
    frozen = runner.frozen
    assert frozen is not None
    chosen = [subject.layer] if subject.layer is not None else list(runner.network.arrays)
    names, counts, clipped = [], [], []
    for name in chosen:
        product = frozen.layers[name].product
        assert isinstance(product, ArrayProduct)
        found, over = code_counts(product, [subject.inputs(sample, name) for sample in range(subject.samples)])
        names += [f"{name} {text}" for text in groups(product)]
        counts.append(found)
        clipped.append(over)
    return Converters(tuple(names), np.concatenate(counts), np.concatenate(clipped))


def groups(product: ArrayProduct) -> list[str]:
    """Names of a layer's converted columns: slice 0 holds the least significant bits."""
    analog = product.analog
    signs = [" +", " −"] if analog.polarities == 2 else [""]
    return [f"slice {number}{sign}" for number in range(analog.slices) for sign in signs]


def code_counts(product: ArrayProduct, inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(conversions [slices x polarities, codes] by code, cut-off currents among them); inputs [T or 1, H, W, C] each.

    Counted in half steps, whose edges are those between codes: half step i is code (i + 1) // 2, the last one and
    everything above are cut off.
    """
    analog, placed = product.analog, product.placed
    g, codes, rows = placed.geometry, analog.codes, analog.polarities_slices
    halves = np.zeros((rows, 2 * (codes + 1)), dtype=np.int64)
    top = np.full(rows, codes + 1.0)
    for x in inputs:
        first, channel, value = list_events(
            np.ascontiguousarray(x).reshape(len(x), g.H * g.W, g.C), np.empty(0, np.int32)
        )
        histogram_currents(analog, first, channel, value, shape_of(placed), placed.planes, top, halves)
    code = np.minimum((np.arange(halves.shape[1]) + 1) // 2, codes)
    counts = np.zeros((rows, codes + 1), dtype=np.int64)
    np.add.at(counts.T, code, halves.T)
    return counts, halves[:, -1]


def paint(found: Converters, subject: Subject) -> Figure:
    """A map of shares by code, and beside it the cut-off share."""
    from matplotlib.colors import LogNorm

    codes = found.counts.shape[1]
    bits = (codes - 1).bit_length()
    samples = f"{subject.samples} samples" if subject.samples > 1 else "sample 0"
    noise = ["read noise left out"] if subject.runner.machine.model.read_noise and _noisy(subject) else []
    caption = subject.caption(
        f"{samples}; reads with a spike; white: code not used; slice 0 is the least significant", *noise
    )
    rows = len(found.names)
    figure = canvas.figure(1.9 + 0.26 * max(rows, 3), f"Use of the codes of the {bits}-bit ADCs", caption)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.4, 1))
    total = np.maximum(found.counts.sum(axis=1, keepdims=True), 1)
    step = -(-codes // BINS)
    shares = np.add.reduceat(found.counts, np.arange(0, codes, step), axis=1) / total
    norm = LogNorm(LEAST, max(10.0 ** np.ceil(np.log10(shares.max(initial=LEAST))), 10 * LEAST))
    extent = (-0.5, step * shares.shape[1] - 0.5, rows - 0.5, -0.5)
    image = left.imshow(np.ma.masked_equal(shares, 0.0), cmap=canvas.MAP, norm=norm, aspect="auto", extent=extent,
                        interpolation="nearest")  # fmt: skip
    left.set_yticks(range(rows), found.names)
    left.set_xlabel("ADC code" + (f" (in groups of {step})" if step > 1 else ""))
    bar = figure.colorbar(image, ax=left, pad=0.02, aspect=40, location="top", extend="min")
    bar.set_label("share of the row's conversions")
    for row in range(1, rows):
        if found.names[row].split()[0] != found.names[row - 1].split()[0]:
            left.axhline(row - 0.5, color="white", linewidth=1.5)
    _clipping(right, found, total[:, 0])
    return figure


def _noisy(subject: Subject) -> bool:
    return subject.runner.machine.model.device.read_noise is not None


def _clipping(axes: Axes, found: Converters, total: np.ndarray) -> None:
    share = found.clipped / total
    axes.barh(np.arange(len(share)), share, color=canvas.ORANGE, height=0.7)
    for row, value in enumerate(share):
        text = clipped_share(float(found.clipped[row]), float(total[row]))
        axes.annotate(text, (float(value), row), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0.0, max(1.5 * float(share.max(initial=0.0)), 1e-4))
    axes.set_xlabel("cut off at full scale,\n% of conversions")
    axes.set_xticks([])
    axes.tick_params(left=False)
