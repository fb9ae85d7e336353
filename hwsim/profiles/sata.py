"""Profiles ``sata-2023`` and ``sata-2024``: the accounting of the public SATA inference estimators.

The estimator runs SCALE-Sim twice and mixes the results: weights from the weight-stationary run (each read once), ifmap
and ofmap from the output-stationary run. No machine can execute that mixture; it is kept because published tables were
made with it. Sparsity scales the gated energy of accumulation and scratchpads only: never cycles, SRAM or DRAM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import SpecError
from hwsim.profiles import flush_buffer, folds
from hwsim.profiles.prices import capacity_bytes, price_file, quantity
from hwsim.profiles.result import LayerResult, ProfileResult
from hwsim.profiles.scalesim import ARRAY, array_size, stored
from hwsim.profiles.shapes import LayerShape, layer_shapes

PE_GROUPS = {
    "spike_mac": ("accumulate", "accumulates"),
    "lif": ("update", "lif_updates"),
    "spad": ("access", "accumulates"),
}
"""Group of a processing element -> (its gated action, the counter that the action follows)."""

BUFFERS = {
    "ifmap_buffer": ("read", "ifmap_sram_reads", "ifmap"),
    "weight_buffer": ("read", "weight_sram_reads", "weight"),
    "ofmap_buffer": ("write", "ofmap_sram_writes", "ofmap"),
}
"""Buffer -> (its action, its counter, its operand)."""

DRAM_COUNTERS = {
    "ifmap_read": ("ifmap_dram_reads", "ifmap"),
    "weight_read": ("weight_dram_reads", "weight"),
    "ofmap_write": ("ofmap_dram_writes", "ofmap"),
}
"""DRAM action -> (its counter, its operand)."""

NOTES = (
    "weights as in a weight-stationary schedule, ifmap and ofmap as in an output-stationary one: no machine does both",
    "weight loading time is a whole weight-stationary schedule, streaming included",
    "each word is charged a full 32-byte line access; leakage of one of the two banks of each buffer",
    "not modelled: membrane traffic, batch normalisation, pooling, residual additions, stalls, DRAM activation",
)


@dataclass(frozen=True)
class Rules:
    """What distinguishes the two versions. Bits scale an access: a memory price stands for ``reference_bits``."""

    ifmap_bits: int
    weight_bits: int
    ofmap_bits: int
    reference_bits: int
    linear_as_padded_convolution: bool
    ofmap_writes_per_timestep: bool

    def bits(self, operand: str) -> int:
        """Bits of one word of 'ifmap', 'weight' or 'ofmap'."""
        return {"ifmap": self.ifmap_bits, "weight": self.weight_bits, "ofmap": self.ofmap_bits}[operand]


def _rules(data: dict[str, Any], ifmap_bits: int | None, ofmap_bits: int | None) -> Rules:
    """The version's rules, with word sizes replaced where the caller gives them."""
    bits = data["word_bits"]
    return Rules(
        ifmap_bits=ifmap_bits or int(bits["ifmap"]),
        weight_bits=int(bits["weight"]),
        ofmap_bits=ofmap_bits or int(bits["ofmap"]),
        reference_bits=int(data["reference_bits"]["value"]),
        **{rule: bool(value) for rule, value in data["rules"].items()},
    )


class Sata:
    """One version of the SATA inference estimator; prices and rules in its YAML file."""

    dataflows = ("sata",)
    reads = ARRAY
    options: Mapping[str, str] = {}
    wants = frozenset({"densities"})

    def __init__(self, name: str) -> None:
        self.name = name

    def run(
        self,
        layers: Sequence[Any],
        *,
        dataflow: str = "sata",
        timesteps: int = 1,
        sparsity: float | None = None,
        densities: Sequence[float] | None = None,
        rows: int | None = None,
        columns: int | None = None,
        padding: str = "ignored",
        ifmap_bits: int | None = None,
        ofmap_bits: int | None = None,
        prices: dict[str, Any] | None = None,
    ) -> ProfileResult:
        """Counters and energies (J) of ``layers`` over ``timesteps``.

        sparsity   share of zeros in all spike maps (the tool's one number), or ``densities``, one per layer; default 0
        padding    'ignored': padding never reaches memory, as the tool's workload files have it; 'stored': it does
        ifmap_bits, ofmap_bits  bits of one stored word (the 2024 default is 1; a T-bit word when timesteps are packed)
        prices     replaces the shipped price file (same keys), for variants of buffers and scratchpads
        SpecError on a bad sparsity, an unknown dataflow or a layer that no window fits.
        """
        data = prices or price_file(self.name.replace("-", "_"))
        if dataflow not in self.dataflows:
            raise SpecError(f"profile {self.name} has one dataflow, 'sata', not '{dataflow}'")
        rows, columns = array_size(data, rows, columns)
        if timesteps < 1:
            raise SpecError(f"profile {self.name}: timesteps must be at least 1, not {timesteps}")
        rules = _rules(data, ifmap_bits, ofmap_bits)
        shapes = layer_shapes(layers)
        accumulates = accumulate_counts(shapes, timesteps, sparsity, densities, rules.linear_as_padded_convolution)
        results = []
        for shape, count in zip(shapes, accumulates, strict=True):
            counters = layer_counters(shape, rows, columns, timesteps, padding, data, rules)
            counters["accumulates"] = count
            energy = pe_energy(data, counters, rows * columns) | memory_energy(data, rules, counters)
            results.append(LayerResult(shape.name, counters, energy))
        return ProfileResult(
            profile=self.name,
            dataflow=dataflow,
            timesteps=timesteps,
            rows_of_array=rows,
            columns_of_array=columns,
            layers=tuple(results),
            clock_Hz=quantity(data["clock"]["value"], "Hz"),
            sources=_sources(data),
            notes=NOTES,
        )


def _sources(data: dict[str, Any]) -> dict[str, str]:
    """Origin of the counts and of every component's prices."""
    groups = dict.fromkeys(PE_GROUPS, str(data["processing_element"]["source"]))
    buffers = dict.fromkeys(BUFFERS, str(data["memory"]["source"]))
    return {"counts": str(data["source"]), "dram": str(data["dram"]["source"])} | groups | buffers


def accumulate_counts(
    shapes: Sequence[LayerShape],
    timesteps: int,
    sparsity: float | None,
    densities: Sequence[float] | None,
    linear_as_padded_convolution: bool,
) -> list[int]:
    """Accumulates per layer: (1 - s) T M K P with padding 1 everywhere, P = 9 for linear layers under the 2023 rules.

    The tool rounds the network's sum down once; layers get the differences of the rounded running sum, so that they
    add up to the tool's total.
    """
    if densities is not None and len(densities) != len(shapes):
        raise SpecError(f"{len(densities)} densities for {len(shapes)} layers")
    share = [1 - (sparsity or 0.0)] * len(shapes) if densities is None else list(densities)
    if any(not 0 <= density <= 1 for density in share):
        raise SpecError("sparsity and densities must be between 0 and 1")
    dense = [
        shape.M * shape.K * pixels_with_padding(shape, linear_as_padded_convolution) * timesteps for shape in shapes
    ]
    if len(set(share)) == 1:  # the tool's own case: one product of the dense sum, then one rounding
        running = [int(sum(dense[: index + 1]) * share[0]) for index in range(len(dense))]
    else:
        products = [count * density for count, density in zip(dense, share, strict=True)]
        running = [int(math.fsum(products[: index + 1])) for index in range(len(products))]
    return [count - before for count, before in zip(running, [0, *running], strict=False)]


def pixels_with_padding(shape: LayerShape, linear_as_padded_convolution: bool) -> int:
    """Output pixels as the estimator counts operations: padding 1 for every layer, whatever the workload file says."""
    if shape.is_linear and not linear_as_padded_convolution:
        return 1
    return shape.with_padding(1).P


def layer_counters(
    shape: LayerShape, rows: int, columns: int, timesteps: int, padding: str, data: dict[str, Any], rules: Rules
) -> dict[str, int]:
    """Cycles, SRAM and DRAM words and LIF updates of one layer (accumulates come from ``accumulate_counts``)."""
    if shape.groups != 1:
        raise SpecError(f"layer {shape.name}: the SATA estimator knows no grouped convolutions")
    fed = stored(shape, padding)
    output, weight = folds.output_stationary(fed, rows, columns), folds.weight_stationary(fed, rows, columns)
    fill = folds.weight_fill_cycles(fed, rows, columns)
    repeats = timesteps if rules.ofmap_writes_per_timestep else 1
    buffer_words = capacity_bytes(data["memory"]["ifmap_buffer"]["capacity"])
    pixels = pixels_with_padding(shape, rules.linear_as_padded_convolution)
    return {
        "cycles": timesteps * output.last_write + fill,
        "compute_cycles": timesteps * output.last_write,
        "weight_fill_cycles": fill,
        "ifmap_sram_reads": output.ifmap_reads,
        "weight_sram_reads": weight.weight_reads,
        "ofmap_sram_writes": repeats * (output.ofmap_writes + output.empty_writes),
        "ifmap_dram_reads": flush_buffer.ifmap_misses(fed, rows, columns, buffer_words),
        "weight_dram_reads": fed.K * fed.M,
        "ofmap_dram_writes": flush_buffer.ofmap_drains(fed, columns, int(data["ofmap_flush"]["words"])),
        "lif_updates": timesteps * shape.M * pixels,
    }


def pe_energy(data: dict[str, Any], counters: dict[str, int], elements: int) -> dict[tuple[str, str], float]:
    """Energy (J) of the processing elements: gated power per operation, the rest and leakage in every cycle of each."""
    period_s = 1 / quantity(data["clock"]["value"], "Hz")
    energy: dict[tuple[str, str], float] = {}
    for group, (action, counter) in PE_GROUPS.items():
        power = {key: quantity(text, "W") for key, text in data["processing_element"][group].items()}
        powered_s = elements * counters["cycles"] * period_s
        energy[group, action] = power["gated"] * counters[counter] * period_s
        energy[group, "clock"] = power["always_on"] * powered_s
        energy[group, "leakage"] = power["leakage"] * powered_s
    return energy


def memory_energy(data: dict[str, Any], rules: Rules, counters: dict[str, int]) -> dict[tuple[str, str], float]:
    """Energy (J) of buffers and DRAM: words x price x bits / reference bits, and buffer leakage over all cycles."""
    period_s = 1 / quantity(data["clock"]["value"], "Hz")
    energy: dict[tuple[str, str], float] = {}
    for buffer, (action, counter, operand) in BUFFERS.items():
        prices = data["memory"][buffer]
        words = counters[counter] * rules.bits(operand) / rules.reference_bits
        energy[buffer, action] = quantity(prices[action], "J") * words
        energy[buffer, "leakage"] = quantity(prices["leakage"], "W") * counters["cycles"] * period_s
    dram = quantity(data["dram"]["read"], "J")
    for action, (counter, operand) in DRAM_COUNTERS.items():
        energy["dram", action] = dram * counters[counter] * rules.bits(operand) / rules.reference_bits
    return energy
