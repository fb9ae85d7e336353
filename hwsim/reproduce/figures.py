"""Figs. 4b, 5a and 5b with the published estimator's arithmetic; the executable schedules are in ``machine``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from hwsim.profiles import LayerShape, sata_dataflows
from hwsim.profiles.prices import price_file, quantity
from hwsim.profiles.sata_dataflows import PairEnergy, PairRules
from hwsim.reproduce import rule_variants
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.table_two import NJ
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

DATAFLOWS = ("tick-batch", "os")
SWEEP = (1, 2, 3, 4, 5, 6, 8)
RULES = (
    "1-bit spikes, T-bit words where timesteps are packed; 8-bit weights; 1-bit outputs",
    "OS: everything once per timestep, buffer reads of weights K M ceil(P / 16), DRAM reads K M",
    "tick-batch: DRAM and buffers once per layer, buffer reads of weights K M (two schedules mixed, as in the tool)",
)


def targets() -> list[Target]:
    """Rule-set targets of the three figures."""
    return [*_figure_4b(), *_figure_5a(), *_figure_5b()]


# --- Fig. 4b ---------------------------------------------------------------------------------------------------------


def _figure_4b() -> list[Target]:
    data = published()["figure_4b"]
    return [
        Target(
            f"fig4b.{dataflow}", published()["paper"], "Fig. 4b", f"energy at T=4 / energy at T=1, {dataflow}", None,
            "1", Tolerance("relative"), functools.partial(_growth, dataflow), workload=data["workload"],
            options="rule set of Fig. 5a, padding left out, sparsity 0.9",
            assumptions=("bar heights stand in an image only: the trend is the target", *RULES),
        )
        for dataflow in DATAFLOWS
    ]  # fmt: skip


def figure_4b_energy(dataflow: str, timesteps: int) -> PairEnergy:
    """Compute and data-movement energy of VGG9 on CIFAR-10 under the rule set, unpadded."""
    data = published()["figure_4b"]
    return sata_dataflows.run(
        layers(data["workload"]), dataflow=dataflow, timesteps=timesteps, sparsity=data["sparsity"],
        rules=PairRules(padding="ignored"),
    )  # fmt: skip


def _growth(dataflow: str) -> Measured:
    steps = published()["figure_4b"]["timesteps"]
    runs = [figure_4b_energy(dataflow, timesteps) for timesteps in steps]
    beside = []
    for timesteps, energy in zip(steps, runs, strict=True):
        beside.append(Beside(f"T={timesteps}: computation", None, energy.processing_J * NJ, "nJ"))
        beside.append(Beside(f"T={timesteps}: data movement", None, energy.movement_J * NJ, "nJ"))
    if dataflow == "os":
        beside += _exit_bar(runs[-1], steps[-1])
    grows = all(
        before.processing_J < after.processing_J and before.movement_J < after.movement_J
        for before, after in itertools.pairwise(runs)
    )
    return Measured(runs[-1].total_J / runs[0].total_J, trend=grows, beside=tuple(beside))


def _exit_bar(whole: PairEnergy, timesteps: int) -> list[Beside]:
    """The DT-SNN bar: every timestep costs the same, so the mean number of timesteps decides."""
    mean, saving = published()["dt_snn"]["mean_timesteps"], published()["dt_snn"]["saving"]
    label, part = f"DT-SNN, mean T={mean}", mean / timesteps
    return [
        Beside(f"{label}: computation", None, part * whole.processing_J * NJ, "nJ"),
        Beside(f"{label}: data movement", None, part * whole.movement_J * NJ, "nJ"),
        Beside(f"DT-SNN bar at mean T={mean}, saving against T={timesteps}", saving, 100 * (1 - part), "%"),
    ]


# --- Fig. 5a ---------------------------------------------------------------------------------------------------------


def _figure_5a() -> list[Target]:
    data = published()["figure_5a"]
    common = {"paper": published()["paper"], "place": "Fig. 5a and text", "workload": data["workload"], "unit": "%"}
    what = "data-movement energy that the tick-batched dataflow saves, VGG9 on TinyImageNet, T=4"
    return [
        Target("fig5a.rules", what=what, published=data["saving"], tolerance=Tolerance("absolute", 1.0), run=_saving,
               options="rule set, sparsity 0.9", assumptions=(
                   "rule set found by search after the published number was known: plausible, not confirmed",
                   "convolutions stored with their padding; buffer leakage counts, PE energy does not", *RULES),
               **common),
    ]  # fmt: skip


def _saving() -> Measured:
    data = published()["figure_5a"]
    network, sparsity = layers(data["workload"]), data["sparsity"]
    padded = {T: rule_variants.saving(network, T, sparsity, PairRules()) for T in SWEEP}
    bare = {T: rule_variants.saving(network, T, sparsity, PairRules(padding="ignored")) for T in SWEEP}
    rest = rule_variants.networks(network)["VGG9 convolutions only"]
    convolutions = rule_variants.saving(rest, data["timesteps"], sparsity, PairRules())
    beside = [Beside(f"T={T}, padding stored", None, saving, "%") for T, saving in padded.items()]
    beside += [Beside(f"T={T}, padding left out", None, saving, "%") for T, saving in bare.items()]
    beside.append(
        Beside("T=4, convolutions only: most of the saving is one linear layer's weights", None, convolutions, "%")
    )
    beside += _variants(network, data["timesteps"], sparsity, data["saving"])
    rising = list(padded.values())
    return Measured(padded[data["timesteps"]], trend=rising == sorted(rising), beside=tuple(beside))


def _variants(network: Sequence[LayerShape], timesteps: int, sparsity: float, saving: float) -> list[Beside]:
    """How many of 432 rule variants come near the published saving, and which."""
    found = rule_variants.variants(network, timesteps, sparsity)
    near = rule_variants.close(found, saving)
    within = sum(abs(variant.saving - saving) <= 1 for variant in near)
    savings = [variant.saving for variant in found]
    points = rule_variants.CLOSE_POINTS
    return [
        Beside(f"variants within {points} points, of {len(found)} (theirs: another enumeration)", 12, len(near), "1"),
        Beside("variants within 1 point", None, within, "1"),
        Beside("least saving of all variants", None, min(savings), "%"),
        Beside("largest", None, max(savings), "%"),
        *(Beside(f"variant: {variant.describe()}", saving, variant.saving, "%") for variant in near),
    ]  # fmt: skip


# --- Fig. 5b ---------------------------------------------------------------------------------------------------------


def unit_power(unit: str, bits: int) -> float:
    """Dynamic power in W of one unit that is clocked every cycle."""
    return quantity(price_file("sata_units")["dynamic"][unit][bits], "W")


def powers(and_bits: int | None = None) -> tuple[float, float]:
    """Power in W of one PE's LIF part and of its accumulate part, scratchpads left out."""
    units = price_file("sata_units")
    lif, pe = units["lif_unit"], units["processing_element"]
    neuron = (
        unit_power("register", lif["membrane_register_bits"])
        + unit_power("register", lif["threshold_register_bits"])
        + unit_power("comparator", lif["comparator_bits"])
        + unit_power("subtractor", lif["subtractor_bits"])
    )
    accumulate = (
        unit_power("register", pe["accumulator_register_bits"])
        + unit_power("adder", pe["adder_bits"])
        + unit_power("and", and_bits or pe["and_bits"])
    )
    return neuron, accumulate


def _share(and_bits: int | None = None) -> Measured:
    neuron, accumulate = powers(and_bits)
    share = 100 * neuron / (neuron + accumulate)
    return Measured(
        share,
        trend=share > 50,
        beside=(
            Beside("LIF part of one PE", None, neuron, "W"),
            Beside("accumulate part of one PE", None, accumulate, "W"),
        ),
    )


def _sharing() -> Measured:
    elements = 128
    neuron, _ = powers()
    sizes = {n: elements * neuron / n for n in (1, 2, 4, 8)}
    chosen = published()["figure_5b"]["sharing"]
    beside = tuple(Beside(f"C#{n}: all LIF units of 128 PEs", None, power, "W") for n, power in sizes.items())
    return Measured(100 * (1 - sizes[chosen] / sizes[1]), trend=True, beside=beside)


def _times() -> Measured:
    neuron, accumulate = powers()
    _, wide = powers(and_bits=16)
    return Measured(
        neuron / accumulate,
        trend=neuron > accumulate,
        beside=(Beside("with a 16-bit AND", None, neuron / wide, "1"),),
    )


def _figure_5b() -> list[Target]:
    data = published()["figure_5b"]
    common = {"paper": published()["paper"], "place": "Fig. 5b and text"}
    parts = "power of units clocked in every cycle, scratchpads and leakage left out"
    half = Tolerance("absolute", 0.5)
    return [
        Target("fig5b.lif-share", what="share of the LIF units in the power of the computation units",
               published=data["lif_share"], unit="%", tolerance=half, run=_share,
               options="widths of the public estimator: 8-bit AND", assumptions=(parts,), **common),
        Target("fig5b.lif-share-wide-and", what="the same with a 16-bit AND gate", published=data["lif_share"],
               unit="%", tolerance=half, run=lambda: _share(16), options="16-bit AND",
               assumptions=(parts, "the AND gate is as wide as the accumulator; the estimator says 8 bits"), **common),
        Target("fig5b.sharing", what="power of the LIF units saved by C#4", published=data["saving_c4"], unit="%",
               tolerance=Tolerance("absolute", 0.2), run=_sharing, options="128 / 4 units",
               assumptions=("C#n keeps 1/n of the units and nothing else",), **common),
        Target("fig5b.twice", what="energy of a LIF operation / of another operation", unit="1",
               published=data["lif_over_rest"], tolerance=Tolerance("printed", step=1.0), run=_times,
               options="both units active in the same cycle",
               assumptions=(parts, "'approximately 2x' taken as a number of one digit"), **common),
    ]  # fmt: skip
