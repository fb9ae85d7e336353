"""IR drop of one array: how much of the read voltage each cell lacks, and what its columns lose by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.kernels.analog_solved import OHMIC
from hwsim.machines.crossbar.programmed import LayerArrays
from hwsim.physics.nodal import node_voltages
from hwsim.physics.nonlinear import nonlinear_currents
from hwsim.report.numbers import percent, plural
from hwsim.report.pictures import canvas
from hwsim.report.pictures.subject import Subject, patches, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


class Pattern(NamedTuple):
    """One read of the array."""

    name: str
    active: np.ndarray
    """bool [rows]: driven."""
    drop: np.ndarray
    """[rows, columns] share of the read voltage that the cell lacks; NaN in silent rows."""
    lost: np.ndarray
    """[columns] share of the current of the same cells without wires that does not arrive (lost voltage, and current
    that silent rows take); NaN where no weight is stored."""


class IrDrop(NamedTuple):
    """What the picture shows."""

    array: int
    arrays: int
    patterns: tuple[Pattern, Pattern]
    place: str
    """Which spikes."""


class Read(NamedTuple):
    """Spikes of one read of a row block: active rows [rows] bool, timestep, output pixel, bit plane."""

    active: np.ndarray
    timestep: int
    pixel: int
    plane: int


def collect(subject: Subject) -> IrDrop:
    """The array of the layer that holds most, of these the one that conducts best; the first sample's median read."""
    layer = subject.chosen
    filled = written(layer)
    stored = layer.stored()
    array = max(range(len(filled)), key=lambda i: (int(filled[i].sum()), float(stored[i].sum())))
    used = filled[array].any(axis=1)
    columns = filled[array].any(axis=0)
    read = median_read(subject, layer, array)
    driven = plural(int(used.sum()), "row")
    patterns = (
        solve(f"all {driven} driven", layer, stored[array], used, columns),
        solve(f"spikes: {read.active.sum()} of {driven}", layer, stored[array], read.active, columns),
    )
    g = layer.placed.geometry
    where = f"output pixel ({read.pixel // g.F}, {read.pixel % g.F}), " if g.E * g.F > 1 else ""
    plane = f", bit {read.plane}" if layer.placed.planes > 1 else ""
    place = f"sample 0, {where}timestep {read.timestep}{plane}, the read with the median number of spikes"
    return IrDrop(array, len(filled), patterns, place)


def solve(name: str, layer: LayerArrays, stored: np.ndarray, active: np.ndarray, columns: np.ndarray) -> Pattern:
    """Voltages of all cells with the read voltage on the ``active`` rows.

    stored [rows, columns] S at small voltage; silent rows are at ground, or open where the machine gates them.
    """
    model = layer.model
    cells = np.where(active[:, None], stored, 0.0) if model.gated else stored
    volts = model.volts * active
    if model.law == OHMIC:
        nodes = node_voltages(cells, volts, *model.resistances, terminals=model.terminals)
        held, currents = nodes.row - nodes.column, nodes.currents
    else:
        point = nonlinear_currents(cells, volts, *model.resistances, law=model.law, v0=model.v0,  # type: ignore[arg-type]
                                   terminals=model.terminals)  # fmt: skip
        held, currents = point.drops, point.currents
    without = stored[active].sum(axis=0) * model.volts * model.steepest
    lost = np.full(len(without), np.nan)
    known = columns & (without > 0)
    lost[known] = 1.0 - currents[known] / without[known]
    return Pattern(name, active, np.where(active[:, None], 1.0 - held / model.volts, np.nan), lost)


def median_read(subject: Subject, layer: LayerArrays, array: int) -> Read:
    """Of all reads of an array for the first sample that have a spike, one with the median number of active rows."""
    placed = layer.placed
    rows = np.flatnonzero(placed.block_of == array // placed.slices % placed.blocks)
    x = patches(placed, subject.inputs(0, placed.name))[:, :, rows]
    bits = x[None] >> np.arange(placed.planes).reshape(-1, 1, 1, 1) & 1
    counts = bits.sum(axis=3).reshape(-1)
    found = np.flatnonzero(counts)
    if not found.size:  # a layer that nothing reaches: an empty read
        return Read(np.zeros(layer.model.rows, dtype=bool), 0, 0, 0)
    chosen = found[np.argsort(counts[found], kind="stable")[len(found) // 2]]
    plane, timestep, pixel = np.unravel_index(chosen, bits.shape[:3])
    active = np.zeros(layer.model.rows, dtype=bool)
    active[placed.position_of[rows[bits[plane, timestep, pixel] == 1]]] = True
    return Read(active, int(timestep), int(pixel), int(plane))


def paint(found: IrDrop, subject: Subject) -> Figure:
    """Two maps on one scale, and below each what the columns lose."""
    layer = subject.placed.name
    model = subject.runner.machine.model
    silent = "open" if model.gated else "at ground"
    ohm = ", ".join(f"{name} {value:g} Ω" for name, value in zip(
        ("driver", "row segment", "column segment", "sense"), model.resistances, strict=True))  # fmt: skip
    law = [] if model.law == OHMIC else [f"{model.law} cells with v0 {model.v0:g} V, read at {model.volts:g} V"]
    caption = subject.caption(
        f"layer {layer}, array {found.array + 1} of {found.arrays}", f"{ohm} ({model.terminals})", found.place,
        f"silent rows {silent}, white", *law,
    )  # fmt: skip
    figure = canvas.figure(5.2, f"IR drop in an array of {layer}", caption)
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3.6, 1.2))
    both = np.concatenate([pattern.drop[pattern.active].reshape(-1) for pattern in found.patterns])
    scale = (float(both.min()), float(both.max())) if np.ptp(both) > 1e-9 else (0.0, 1.0)
    for (upper, lower), pattern in zip(axes.T, found.patterns, strict=True):
        image = _map(upper, pattern, scale)
        _strip(lower, pattern)
    axes[0, 0].set_ylabel("row (driven from the left)")
    axes[1, 0].set_ylabel("column\ncurrent lost")
    bar = figure.colorbar(image, ax=axes[0, :], pad=0.01, aspect=25)
    bar.set_label("cell voltage lost, % of read voltage")
    canvas.percent_axis(bar.ax.yaxis)
    return figure


def _map(axes: Axes, pattern: Pattern, scale: tuple[float, float]) -> AxesImage:
    drop = np.ma.masked_invalid(pattern.drop)
    image = axes.imshow(drop, cmap=canvas.MAP, vmin=scale[0], vmax=scale[1], aspect="auto", interpolation="nearest")
    held = pattern.drop[pattern.active]
    text = f"mean {percent(held.mean())}, largest {percent(held.max())}" if held.size else "nothing driven"
    axes.set_title(f"{pattern.name}\n{text}", loc="left")
    return image


def _strip(axes: Axes, pattern: Pattern) -> None:
    columns = np.arange(len(pattern.lost))
    axes.plot(columns, pattern.lost, linestyle="", marker=".", markersize=4, color=canvas.BLUE)
    axes.grid(axis="y", color=canvas.FAINT, linewidth=0.6)
    axes.set_xlabel("column (sensed at the bottom)")
    canvas.percent_axis(axes.yaxis, 4)
