"""Tick-batch against output-stationary with the SATA estimator's arithmetic: a documented set of rules, not a machine.

The public code cannot make the output-stationary side (it stops with an error), so the rules are a reconstruction, kept
in ``PairRules``. Tick-batch mixes two schedules like the estimator does; the executable schedules are in
``hwsim.machines``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hwsim.profiles import flush_buffer, folds
from hwsim.profiles.prices import capacity_bytes, price_file, quantity
from hwsim.profiles.sata import BUFFERS, PE_GROUPS, accumulate_counts, pe_energy, pixels_with_padding
from hwsim.profiles.scalesim import stored
from hwsim.profiles.shapes import LayerShape, layer_shapes


@dataclass(frozen=True)
class PairRules:
    """Choices that the published text leaves open; the defaults are the documented rule set.

    padding        'stored' (inputs are H + 2p wide) or 'ignored'
    spike_word     'timesteps': tick-batch reads T bits per position, output-stationary 1 bit T times; 'byte': a byte on
                   both sides whatever T; 'bit': one bit on both sides whatever T (the head's own quirk)
    output_word    'bit', 'timesteps' (T bits from tick-batch, 1 bit per timestep else), or 'byte'
    leakage        buffer leakage over the run's cycles counts as data movement
    weight_sram    'per_fold': output-stationary reads K M ceil(P / rows) weights per timestep; 'once': K M
    weight_dram    'resident': K M weight words per pass over the layer; 'flush': the estimator's buffer rule
    """

    padding: str = "stored"
    spike_word: str = "timesteps"
    output_word: str = "bit"
    leakage: bool = True
    weight_sram: str = "per_fold"
    weight_dram: str = "resident"


@dataclass(frozen=True)
class PairEnergy:
    """One dataflow's energies in J: data movement by part, processing elements by group; and its cycles."""

    memory_J: dict[str, float]
    processing_J: float
    cycles: int
    groups_J: dict[str, float] = field(default_factory=dict)

    @property
    def movement_J(self) -> float:
        """DRAM, buffers and (where the rules say so) their leakage."""
        return math.fsum(self.memory_J.values())

    @property
    def total_J(self) -> float:
        """Data movement and processing elements."""
        return self.movement_J + self.processing_J


def _bits(word: str, timesteps: int, tick_batch: bool) -> int:
    """Bits of one stored word under a word rule; tick-batch packs the timesteps into it."""
    if word == "byte":
        return 8
    return timesteps if word == "timesteps" and tick_batch else 1


def _words(fed: LayerShape, data: dict[str, Any], rules: PairRules, tick_batch: bool) -> dict[str, int]:
    """Words moved in one pass over one layer."""
    rows, columns = int(data["array"]["rows"]), int(data["array"]["columns"])
    output = folds.output_stationary(fed, rows, columns)
    memory = data["memory"]
    ifmap_bytes, weight_bytes = (capacity_bytes(memory[name]["capacity"]) for name in ("ifmap_buffer", "weight_buffer"))
    weights = fed.K * fed.M
    again = not tick_batch and rules.weight_sram == "per_fold"
    flushed = not tick_batch and rules.weight_dram == "flush"
    return {
        "ifmap_dram": flush_buffer.ifmap_misses(fed, rows, columns, ifmap_bytes),
        "weight_dram": flush_buffer.weight_misses(fed, rows, columns, weight_bytes) if flushed else weights,
        "ofmap_dram": flush_buffer.ofmap_drains(fed, columns, int(data["ofmap_flush"]["words"])),
        "ifmap_sram": output.ifmap_reads,
        "weight_sram": output.weight_reads if again else weights,
        "ofmap_sram": output.ofmap_writes + output.empty_writes,
    }


def _cycles(fed: LayerShape, rows: int, columns: int, timesteps: int, tick_batch: bool) -> int:
    """Cycles of one layer: the estimator's for tick-batch, plain output-stationary per timestep otherwise."""
    compute = timesteps * folds.output_stationary(fed, rows, columns).last_write
    return compute + (folds.weight_fill_cycles(fed, rows, columns) if tick_batch else 0)


def run(
    layers: Sequence[Any],
    *,
    dataflow: str,
    timesteps: int,
    sparsity: float,
    rules: PairRules | None = None,
    prices: dict[str, Any] | None = None,
) -> PairEnergy:
    """Energies of ``layers`` over ``timesteps``; ``dataflow`` is 'tick-batch' or 'os'."""
    assert dataflow in ("tick-batch", "os")
    rules, data, tick_batch = rules or PairRules(), prices or price_file("sata_2024"), dataflow == "tick-batch"
    rows, columns = int(data["array"]["rows"]), int(data["array"]["columns"])
    shapes = layer_shapes(layers)
    fed = [stored(shape, rules.padding) for shape in shapes]
    per_layer = [_words(layer, data, rules, tick_batch) for layer in fed]
    words = {name: sum(layer[name] for layer in per_layer) for name in per_layer[0]}
    cycles = sum(_cycles(layer, rows, columns, timesteps, tick_batch) for layer in fed)
    linear_rule = bool(data["rules"]["linear_as_padded_convolution"])
    counters = {
        "cycles": cycles,
        "accumulates": sum(accumulate_counts(shapes, timesteps, sparsity, None, linear_rule)),
        "lif_updates": sum(timesteps * shape.M * pixels_with_padding(shape, linear_rule) for shape in shapes),
    }
    groups = pe_energy(data, counters, rows * columns)
    return PairEnergy(
        memory_J=_movement(data, rules, words, cycles, timesteps, tick_batch),
        processing_J=math.fsum(groups.values()),
        cycles=cycles,
        groups_J={name: math.fsum(J for (group, _), J in groups.items() if group == name) for name in PE_GROUPS},
    )


def _movement(
    data: dict[str, Any], rules: PairRules, words: dict[str, int], cycles: int, timesteps: int, tick_batch: bool
) -> dict[str, float]:
    """Energy in J by part: words x passes x bits / reference bits x price, and the buffers' leakage."""
    memory, reference = data["memory"], int(data["reference_bits"]["value"])
    dram = quantity(data["dram"]["read"], "J")
    price = {
        "ifmap_dram": dram,
        "weight_dram": dram,
        "ofmap_dram": dram,
        "ifmap_sram": quantity(memory["ifmap_buffer"]["read"], "J"),
        "weight_sram": quantity(memory["weight_buffer"]["read"], "J"),
        "ofmap_sram": quantity(memory["ofmap_buffer"]["write"], "J"),
    }
    bits = {
        "ifmap": _bits(rules.spike_word, timesteps, tick_batch),
        "weight": int(data["word_bits"]["weight"]),
        "ofmap": _bits(rules.output_word, timesteps, tick_batch),
    }
    passes = 1 if tick_batch else timesteps
    energy = {
        part: price[part] * passes * count * bits[part.split("_")[0]] / reference for part, count in words.items()
    }
    if rules.leakage:
        period_s = 1 / quantity(data["clock"]["value"], "Hz")
        leakage_W = math.fsum(quantity(memory[buffer]["leakage"], "W") for buffer in BUFFERS)
        energy["leakage"] = leakage_W * cycles * period_s
    return energy
