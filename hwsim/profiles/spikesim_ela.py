"""Formulas of SpikeSim's energy-latency-area script, in its units (pJ, um2, ns) and its order of operations.

Symbols: X size of the array, c = X / 8, taps = R S kernel positions, O output positions, T timesteps; PEs of a layer
P = ceil(C / X) ceil(M / X). Float64 sums and products stand in the order of the script: its printed digits come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from hwsim.profiles.shapes import ceil_div


class Mapped(NamedTuple):
    """A convolution as the script sees it: C x M channels, ``inputs`` = H W, ``outputs`` = output positions."""

    name: str
    C: int
    M: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Prices:
    """Energies in pJ and areas in um2 by part, the script's factors multiplied in; DIFF's energy is of one step."""

    energy: dict[str, float]
    area: dict[str, float]
    rules: dict[str, float]
    diff_steps: int

    @property
    def columns_per_adc(self) -> float:
        """8: columns that share one ADC, and the script's divisor everywhere."""
        return self.rules["columns_per_adc"]


def magnitude(text: str, unit: str) -> float:
    """The number of '1.76423 pJ' as it is written, without a change of unit that would round it."""
    number, _, found = text.partition(" ")
    assert found == unit, f"{text!r} must be in {unit}"
    return float(number)


def prices_of(data: dict[str, Any], device: str) -> Prices:
    """Prices of a price file (``spikesim.yaml``) for ``device``, a key of its crossbar entries."""
    energy = {part: _scaled(entry, device, "pJ") for part, entry in data["energy"].items() if part != "diff"}
    diff = data["energy"]["diff"]
    energy["diff"] = magnitude(diff["value"], "pJ")
    area = {part: _scaled(entry, device, "um^2") for part, entry in data["area"].items()}
    rules = {name: value for name, value in data["rules"].items() if name != "source"}
    return Prices(energy, area, rules, diff["times"])


def _scaled(entry: dict[str, Any], device: str, unit: str) -> float:
    text = entry["value"] if "value" in entry else entry[device]
    return magnitude(text, unit) * entry.get("times", 1)


def pes(layer: Mapped, size: int) -> int:
    """PEs of a layer: blocks of input channels times blocks of filters."""
    return ceil_div(layer.C, size) * ceil_div(layer.M, size)


def pe_cycle_pJ(prices: Prices, size: int, taps: int) -> float:
    """Energy of one PE for one output pixel, everything shared included."""
    e, steps = prices.energy, size / prices.columns_per_adc
    pe = taps * e["crossbar"] + steps * (e["adc"] + e["mux"])
    shared = e["h_tree"] + e["memory"] + e["neuron"]
    return (
        shared + steps * pe + steps * prices.diff_steps * e["diff"] + steps * e["temporary_buffer"] + e["tile_buffer"]
    )


def pe_cycle_parts_pJ(prices: Prices, size: int, taps: int) -> dict[tuple[str, str], float]:
    """The same by (component, action)."""
    e, steps = prices.energy, size / prices.columns_per_adc
    return {
        ("crossbar", "read"): steps * taps * e["crossbar"],
        ("adc", "convert"): steps * steps * e["adc"],
        ("mux", "select"): steps * steps * e["mux"],
        ("diff", "subtract"): steps * prices.diff_steps * e["diff"],
        ("temporary_buffer", "access"): steps * e["temporary_buffer"],
        ("tile_buffer", "access"): e["tile_buffer"],
        ("h_tree", "transfer"): e["h_tree"],
        ("memory", "fetch"): e["memory"],
        ("neuron", "update"): e["neuron"],
    }


class Areas(NamedTuple):
    """Areas in um2: what the script returns, and the total that it prints."""

    neuron_memory: float
    pe_and_diff: float
    digital: float
    total: float


def areas_um2(prices: Prices, layers: Sequence[Mapped], size: int, taps: int, pes_per_tile: int, tiles: float) -> Areas:
    """Areas as the script adds them up; its 'digital' area counts the PEs again and leaves DIFF and H-tree out."""
    a, steps = prices.area, size / prices.columns_per_adc
    pe = taps * a["crossbar"] + steps * (a["adc"] + a["mux"])
    tile = steps * a["diff"] + a["temporary_buffer"] + a["tile_buffer"] + pes_per_tile * pe + a["h_tree"]
    inputs = memory_um2(prices, sum(layer.C * layer.inputs for layer in layers))
    neurons = memory_um2(prices, membrane_words(prices, layers))
    digital = (a["temporary_buffer"] + a["tile_buffer"] + pes_per_tile * pe) * tiles + inputs
    return Areas(neurons, (pes_per_tile * pe + steps * a["diff"]) * tiles, digital, tile * tiles + inputs + neurons)


def area_parts_um2(
    prices: Prices, layers: Sequence[Mapped], size: int, taps: int, pes_per_tile: int, tiles: int
) -> dict[str, float]:
    """The total by component."""
    a, steps = prices.area, size / prices.columns_per_adc
    return {
        "crossbar": tiles * pes_per_tile * taps * a["crossbar"],
        "adc": tiles * pes_per_tile * steps * a["adc"],
        "mux": tiles * pes_per_tile * steps * a["mux"],
        "diff": tiles * steps * a["diff"],
        "temporary_buffer": tiles * a["temporary_buffer"],
        "tile_buffer": tiles * a["tile_buffer"],
        "h_tree": tiles * a["h_tree"],
        "input_memory": memory_um2(prices, sum(layer.C * layer.inputs for layer in layers)),
        "membrane_memory": memory_um2(prices, membrane_words(prices, layers)),
    }


def memory_um2(prices: Prices, words: int) -> float:
    """Area of ``words`` of 22 bits."""
    return words * prices.area["sram_bit"] * prices.rules["word_bits"]


def membrane_words(prices: Prices, layers: Sequence[Mapped]) -> int:
    """Neurons that have a place in the membrane memory: those of the first five layers."""
    return sum(layer.M * layer.outputs for layer in layers[: int(prices.rules["membrane_layers"])])


def pe_cycles_in_time(prices: Prices, layers: Sequence[Mapped], timesteps: int) -> list[int]:
    """PE cycles in which each layer is the oldest unfinished one; they add up to the end of the last layer.

    One PE cycle per output neuron; the next layer starts when three quarters of them are done.
    """
    overlap = prices.rules["overlap"]
    done = [int(overlap * layer.outputs * layer.M) * timesteps for layer in layers[:-1]]
    return [*done, layers[-1].outputs * layers[-1].M * timesteps]


@dataclass(frozen=True)
class Printout:
    """One run of the script, in its units. ``latency_ns`` is the formula's value also where the script prints none."""

    pes: int
    tiles: int
    energy_pJ: float
    energy_layerwise_pJ: tuple[float, ...]
    latency_ns: float
    area_um2: Areas
    lines: tuple[str, ...]

    @property
    def edp_pJ_ns(self) -> float:
        """Energy times latency; both are proportional to T."""
        return self.energy_pJ * self.latency_ns


def printout(
    prices: Prices, layers: Sequence[Mapped], size: int, taps: int, pes_per_tile: int, clock_MHz: float, timesteps: int
) -> Printout:
    """What the script computes and prints for layers that are in its order."""
    cycle_pJ = pe_cycle_pJ(prices, size, taps)
    layerwise = [float(pes(layer, size)) * layer.outputs * cycle_pJ * timesteps for layer in layers]
    energy = 0.0
    for part in layerwise:  # the script's order; the last digits are its own
        energy += part
    count = sum(pes(layer, size) for layer in layers)
    tiles = ceil_div(count, pes_per_tile)
    areas = areas_um2(prices, layers, size, taps, pes_per_tile, float(tiles))
    cycle_ns = prices.rules["clocks_per_pe_cycle"] * (1000 / clock_MHz)
    latency = sum(pe_cycles_in_time(prices, layers, timesteps)) * cycle_ns
    lines = ["Layers in order", f"No. of PEs {float(count)}", f"No. of Tiles {float(tiles)}",
             f"total_compute_area {areas.total} µm^2", f"total_energy {energy} pJ"]  # fmt: skip
    lines += _latency_lines(prices, layers, size, latency)
    return Printout(count, tiles, energy, tuple(layerwise), latency, areas, tuple(lines))


def _latency_lines(prices: Prices, layers: Sequence[Mapped], size: int, latency_ns: float) -> list[str]:
    """The end of the printout: the script checks the order once more, without rounding up, and may not get further."""
    if falls_unrounded(layers, size):
        return ["Check layer order"]
    if never_ends(layers, size) or len(layers) > prices.rules["most_layers"]:
        return ["Layers in order"]
    return ["Layers in order", f" Final Latency {latency_ns} ns"]


def falls(layers: Sequence[Mapped], size: int) -> tuple[Mapped, Mapped] | None:
    """The first two neighbours whose number of PEs falls; the script stops at such a list."""
    return next(((a, b) for a, b in pairwise(layers) if pes(b, size) < pes(a, size)), None)


def falls_unrounded(layers: Sequence[Mapped], size: int) -> bool:
    """Whether (C / X) (M / X) falls anywhere: then the script gives no latency."""
    shares = [(layer.C / size) * (layer.M / size) for layer in layers]
    return any(after < before for before, after in pairwise(shares))


def never_ends(layers: Sequence[Mapped], size: int) -> bool:
    """Whether no layer fills a single array: then a loop of the script, of no use to its result, does not end."""
    return all(math.floor((layer.C / size) * (layer.M / size)) == 0 for layer in layers)
