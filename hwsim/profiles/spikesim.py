"""Profile ``spikesim-ela``: the accounting of SpikeSim's energy-latency-area script, for any list of convolutions.

What the script does and a machine would not: energy does not depend on spikes and counts one PE cycle per output pixel
and PE, latency one per output neuron, whatever the array; layers share tiles; there is no NoC, no global buffer, no
accumulator and no pooling. Its formulas are in ``spikesim_ela``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.profiles import spikesim_ela as ela
from hwsim.profiles.prices import price_file, quantity
from hwsim.profiles.result import LayerResult, ProfileResult
from hwsim.profiles.shapes import LayerShape, layer_shapes
from hwsim.profiles.spikesim_ela import Mapped, Prices, Printout

PJ, UM2, MHZ = 1e-12, 1e-12, 1e6

POOLING = ("after", "before")
ORDER = ("stop", "ignore")

NOTES = (
    "energy does not depend on spikes: one PE cycle per output pixel and PE, with everything shared charged to each PE",
    "latency: one PE cycle per output neuron, whatever the size of the array; the energy counts other cycles",
    "X / 8 is taken as the number of ADCs and as the number of mux steps: right for 64 columns only",
    "tiles are shared by layers; membrane memory of the first five layers only; 22 bits also for an input spike",
    "not modelled: NoC, global buffer, accumulators, pooling, off-chip memory, leakage",
)


class SpikeSimEla:
    """The script's accounting. Constants: ``spikesim.yaml``. Source: Moitra et al., IEEE TCAD 2023, and its code."""

    name = "spikesim-ela"
    dataflows = ("ela",)
    reads: Mapping[str, str] = {
        "crossbar.rows": "rows", "crossbar.columns": "columns",
        "mapping.pes_per_tile": "pes_per_tile", "technology.clock": "clock_Hz",
    }  # fmt: skip
    options: Mapping[str, str] = {
        "device": "rram or sram: the cells that the script has prices for (default: rram)",
        "kernel": "an integer: one kernel size for all layers (the script knows one; default: the largest)",
        "pooling": "after or before: positions of a layer that is pooled, after its pooling as in the tool's example",
        "order": "stop or ignore: what to do where the number of PEs falls from a layer to the next",
    }
    wants = frozenset({"pooled_sizes"})

    def run(
        self,
        layers: Sequence[Any],
        *,
        dataflow: str = "ela",
        timesteps: int = 1,
        rows: int | None = None,
        columns: int | None = None,
        pes_per_tile: int | None = None,
        clock_Hz: float | None = None,
        device: str | None = None,
        kernel: int | str | None = None,
        pooling: str = "after",
        order: str = "stop",
        pooled_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> ProfileResult:
        """Energies (J) and PE cycles of the convolutions of ``layers`` over ``timesteps``; areas (m2); the printout.

        rows, columns  size X of the arrays; the script knows square ones only (default 64)
        kernel         one kernel size for all layers; default: the largest of the layers
        pooling        'after': a pooled layer counts the positions left by its pooling, as the tool's example does;
                       'before': all its positions
        pooled_sizes   (rows, columns) of each layer's output after pooling; default: no pooling
        order          'stop': SpecError where the number of PEs falls, as the script stops; 'ignore': a note instead
        SpecError on an unknown device or option, an array that is not square, grouped convolutions, no convolution.
        """
        if dataflow not in self.dataflows:
            raise SpecError(f"profile {self.name} has one dataflow, 'ela', not '{dataflow}'")
        data = price_file("spikesim")
        size, per_tile, clock_MHz, device = _machine(data["defaults"], rows, columns, pes_per_tile, clock_Hz, device)
        if timesteps < 1:
            raise SpecError(f"profile {self.name}: timesteps must be at least 1, not {timesteps}")
        _check_choice("pooling", pooling, POOLING)
        _check_choice("order", order, ORDER)
        shapes, mapped = _mapped(layers, pooled_sizes if pooling == "after" else None)
        prices, taps = ela.prices_of(data, device), _taps(shapes, kernel)
        notes = [*NOTES, *_layer_notes(layers, shapes, taps, pooling, pooled_sizes)]
        notes += _order_notes(mapped, size, order)
        printed = ela.printout(prices, mapped, size, taps, per_tile, clock_MHz, timesteps)
        notes += _tool_notes(prices, mapped, size, printed, device)
        parts = ela.area_parts_um2(prices, mapped, size, taps, per_tile, printed.tiles)
        return ProfileResult(
            profile=self.name,
            dataflow=dataflow,
            timesteps=timesteps,
            rows_of_array=size,
            columns_of_array=size,
            layers=_layer_results(prices, mapped, size, taps, timesteps),
            clock_Hz=clock_MHz * MHZ,
            sources={"counts": str(data["source"])} | dict.fromkeys(_components(prices), str(data["source"])),
            notes=tuple(notes),
            area_m2={part: area * UM2 for part, area in parts.items()},
            printed=printed.lines,
        )


def tool_run(
    layers: Sequence[Mapped], *, size: int = 64, kernel: int = 3, pes_per_tile: int = 8, clock_MHz: float = 250,
    device: str = "rram", timesteps: int = 1,
) -> Printout:  # fmt: skip
    """A run of the script on layers given as it takes them, digit by digit; no check of their order."""
    prices = ela.prices_of(price_file("spikesim"), device)
    return ela.printout(prices, layers, size, kernel * kernel, pes_per_tile, clock_MHz, timesteps)


def _machine(
    defaults: Mapping[str, Any], rows: int | None, columns: int | None, pes_per_tile: int | None,
    clock_Hz: float | None, device: str | None,
) -> tuple[int, int, float, str]:  # fmt: skip
    """Array size, PEs per tile, clock in MHz and device: the caller's, else those of the tool's example."""
    rows = int(defaults["crossbar_size"]) if rows is None else rows
    columns = rows if columns is None else columns
    if rows != columns:
        raise SpecError(f"array of {rows} x {columns}: profile spikesim-ela knows square arrays only")
    per_tile = int(defaults["pes_per_tile"]) if pes_per_tile is None else pes_per_tile
    clock_Hz = quantity(defaults["clock"], "Hz") if clock_Hz is None else clock_Hz
    device = str(defaults["device"]) if device is None else device
    known = [key for key in price_file("spikesim")["energy"]["crossbar"] if key != "note"]
    if device not in known:
        hint = did_you_mean(device, known, "Devices")
        raise SpecError(f"profile spikesim-ela: the tool has no price for device '{device}'; {hint}")
    if rows < 1 or per_tile < 1 or not clock_Hz > 0:
        raise SpecError(f"profile spikesim-ela: array size {rows}, {per_tile} PEs per tile and a clock of {clock_Hz:g} "
                        "Hz must all be above zero")  # fmt: skip
    return rows, per_tile, clock_Hz / MHZ, device


def _check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise SpecError(f"profile spikesim-ela: {name} must be {' or '.join(allowed)}, not '{value}'")


def _is_linear(layer: Any, shape: LayerShape) -> bool:
    """Fully connected layers, which the script does not map; the op decides where there is one."""
    return bool(layer.op == "linear") if hasattr(layer, "op") else shape.is_linear


def _mapped(
    layers: Sequence[Any], sizes: Sequence[tuple[int, int]] | None
) -> tuple[tuple[LayerShape, ...], tuple[Mapped, ...]]:
    """The convolutions, as shapes and as the script sees them."""
    if sizes is not None and len(sizes) != len(layers):
        raise SpecError(f"{len(sizes)} output sizes for {len(layers)} layers")
    shapes, mapped = [], []
    for index, (layer, shape) in enumerate(zip(layers, layer_shapes(layers), strict=True)):
        if _is_linear(layer, shape):
            continue
        if shape.groups != 1:
            raise SpecError(f"layer {shape.name}: SpikeSim's script knows no grouped convolutions")
        rows, columns = (shape.E, shape.F) if sizes is None else sizes[index]
        shapes.append(shape)
        mapped.append(Mapped(shape.name, shape.C, shape.M, shape.H * shape.W, rows * columns))
    if not mapped:
        raise SpecError("profile spikesim-ela maps convolutions only, and there is none")
    return tuple(shapes), tuple(mapped)


def _taps(shapes: Sequence[LayerShape], kernel: int | str | None) -> int:
    """Kernel positions, the same for all layers: k k of the given size, else those of the largest kernel."""
    if kernel is None:
        return max(shape.R * shape.S for shape in shapes)
    try:
        size = int(kernel)
    except ValueError:
        size = 0
    if size < 1:
        raise SpecError(f"profile spikesim-ela: kernel must be a whole number of at least 1, not '{kernel}'")
    return size * size


def _layer_results(
    prices: Prices, mapped: Sequence[Mapped], size: int, taps: int, timesteps: int
) -> tuple[LayerResult, ...]:
    """Energy by part, PE cycles as energy counts them, clock cycles as latency counts them."""
    parts = ela.pe_cycle_parts_pJ(prices, size, taps)
    clocks = int(prices.rules["clocks_per_pe_cycle"])
    results = []
    for layer, in_time in zip(mapped, ela.pe_cycles_in_time(prices, mapped, timesteps), strict=True):
        active = ela.pes(layer, size) * layer.outputs * timesteps
        energy = {part: active * joules * PJ for part, joules in parts.items()}
        results.append(LayerResult(layer.name, {"cycles": clocks * in_time, "pe_activations": active}, energy))
    return tuple(results)


def _components(prices: Prices) -> list[str]:
    return [*prices.energy, "input_memory", "membrane_memory"]


# --- what the run rests on -------------------------------------------------------------------------------------------


def _layer_notes(
    layers: Sequence[Any], shapes: Sequence[LayerShape], taps: int, pooling: str,
    pooled: Sequence[tuple[int, int]] | None,
) -> list[str]:  # fmt: skip
    """Where the layers are not what the script takes."""
    notes = []
    kept = {shape.name for shape in shapes}
    left = [shape.name for shape in layer_shapes(layers) if shape.name not in kept]
    if left:
        notes.append(f"fully connected layers are not mapped: {', '.join(left)}")
    other = [shape.name for shape in shapes if taps != shape.R * shape.S]
    if other:
        notes.append(f"one kernel size for the network: {taps} positions also for {', '.join(other)}")
    if any(shape.R != shape.S or shape.H != shape.W for shape in shapes):
        notes.append("the script knows square maps and kernels; positions are counted as rows x columns")
    if pooled is not None:
        which = "left by its pooling, as in the tool's example" if pooling == "after" else "before its pooling"
        notes.append(f"a pooled layer counts the positions {which} (profile.pooling)")
    return notes


def _order_notes(mapped: Sequence[Mapped], size: int, order: str) -> list[str]:
    """The script's check that the number of PEs never falls: an error, or a note where it is ignored."""
    pair = ela.falls(mapped, size)
    if pair is None:
        return []
    before, after = pair
    text = (
        f"{ela.pes(after, size)} PEs after {ela.pes(before, size)} of layer '{before.name}': the script stops with "
        "'Check layer order' where the number of PEs falls"
    )
    if order == "stop":
        raise SpecError(Problem(f"layer '{after.name}'", text, "--set profile.order=ignore goes on with its formulas"))
    return [f"layer '{after.name}' has {text}; ignored"]


def _tool_notes(prices: Prices, mapped: Sequence[Mapped], size: int, printed: Printout, device: str) -> list[str]:
    """Where the script itself would give something else or nothing, and what it prints."""
    notes = []
    if device == "sram":
        notes.append("the tool's energy of an SRAM array is the digits of its area: unusable")
    if size % int(prices.columns_per_adc):
        notes.append(f"{size} columns: X / 8 is no whole number, and is used as it is")
    most = int(prices.rules["most_layers"])
    if len(mapped) > most:
        notes.append(
            f"{len(mapped)} layers: the script stops with an IndexError beyond {most}; its formula is extended"
        )
    elif ela.falls_unrounded(mapped, size) and ela.falls(mapped, size) is None:
        notes.append("the script prints no latency: its second check compares (C / X) (M / X) without rounding up")
    elif ela.never_ends(mapped, size):
        notes.append(
            "no layer fills one array: a loop of the script does not end; its formula is evaluated all the same"
        )
    if ela.falls(mapped, size) is None:
        notes.append(f"the script prints: {'; '.join(line.strip() for line in printed.lines)}")
    return notes
