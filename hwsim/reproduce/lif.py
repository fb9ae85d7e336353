"""LIF units: shared over channels (C#n) and with fewer membrane bits; from the prices alone, and on the machine.

EfficientLIF-Net (Kim et al., arXiv:2305.18360, 2023) shares units; MINT (Yin et al., arXiv:2305.09850, 2023) quantises
membranes. Fig. 5b and Section IV of the paper name both.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwsim.components.systolic import ACROSS_LAYERS
from hwsim.errors import SpecError
from hwsim.reproduce.machine import MACHINE
from hwsim.reproduce.measure import ARCHITECTURE, NJ, accuracy, measure
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

if TYPE_CHECKING:
    from hwsim.network.freeze import Frozen
    from hwsim.reproduce.measure import Run

MEMBRANE_BITS = (2, 4, 8, 16)
SHARING = (1, 2, 4, 8)
COMPARE_OVER_MEMBRANE = 2
"""Width of comparator and subtractor over that of the membrane register: SATA's own 16 : 8."""

SHIPPED_BITS = 8
WORKLOAD = "vgg9"
DATAFLOW = "tick-batch"
SAMPLES = 4
IMAGES = 200
WIDE, NARROW = 4.0, 1.0
"""Ranges of the membrane register in thresholds: the shipped machine's (8 bits in steps of 1/32), and a tight one."""

MW, UM2, MS = 1e3, 1e12, 1e3
WIDTHS = (
    "membrane register of the stated bits, comparator and subtractor of twice as many (SATA: 8 and 16), threshold "
    "register of 4 bits throughout; prices between sizes by interpolation"
)
UNTRAINED = (
    "the shipped network was trained neither with shared units nor with coarse membranes: training would help it"
)


@dataclass(frozen=True)
class Bank:
    """All LIF units of the array: how many, W (update and clock in every cycle; no leakage), W of leakage, m2."""

    units: int
    power_W: float
    leakage_W: float
    area_m2: float


def widths(bits: int, compare_bits: int | None = None) -> list[str]:
    """Overrides that give the LIF units a membrane register of so many bits."""
    compare = compare_bits or COMPARE_OVER_MEMBRANE * bits
    return [f"lif.membrane_bits={bits} bit", f"lif.compare_bits={compare} bit"]


def bank(bits: int, share: int, compare_bits: int | None = None) -> Bank:
    """The LIF units of SATA, from its price list."""
    from hwsim.components.registry import load

    architecture = load(ARCHITECTURE, [*widths(bits, compare_bits), f"options.lif_sharing={share}"])
    lif, clock_Hz = architecture.component("lif"), architecture.technology.clock_Hz
    each_J = sum(architecture.price("lif", action).quantity.value for action in ("update", "clock"))
    count = lif.count
    return Bank(count, count * each_J * clock_Hz, count * lif.leakage.value, count * lif.area.value)


def step_fraction(bits: int, thresholds: float) -> float:
    """Step of a signed register of ``bits`` that reaches from -thresholds to +thresholds; at most one threshold."""
    return min(1.0, thresholds / 2 ** (bits - 1))


def targets() -> list[Target]:
    """The price list alone (quick), the table on the shipped network, and sharing over layers."""
    paper, data = published()["paper"], published()["figure_5b"]
    quick: dict[str, Any] = {"architecture": ARCHITECTURE}
    fig = "Fig. 5b and text"
    return [
        Target("lif.price-list", paper, fig, "power of all LIF units saved by C#4, price list of arch/sata.yaml",
               data["saving_c4"], "%", Tolerance("absolute", 0.2), _prices,
               options="--set lif.membrane_bits, lif.compare_bits, options.lif_sharing",
               assumptions=("update and clock of every unit in every cycle; leakage apart", WIDTHS), **quick),
        Target("lif.quantisation", paper, "Section IV", "power of all LIF units saved by 4-bit membranes against 8-bit",
               None, "%", Tolerance("relative"), _quantisation, options="--set lif.membrane_bits, lif.compare_bits",
               assumptions=("the paper says that quantised membranes 'can also help' and that both savings are "
                            "orthogonal, without a number", WIDTHS), **quick),
        Target("lif.over-layers", paper, "Section IV", "LIF power saved by sharing units across layers", None, "%",
               Tolerance("relative"), _over_layers, options="--set options.lif_sharing_over=layers",
               workload=WORKLOAD, assumptions=(
                   "the paper says that EfficientLIF-Net shares over layers too, and gives SATA no number for it",
                   f"the machine refuses it: {ACROSS_LAYERS}"), **quick),
        Target("lif.table", paper, fig, "energy of all LIF units saved by C#4, shipped vgg9 on the machine",
               data["saving_c4"], "%", Tolerance("absolute", 0.5), _table, architecture=ARCHITECTURE,
               workload=WORKLOAD, quick=False, options=f"--dataflow {DATAFLOW}, and as lif.price-list",
               assumptions=(UNTRAINED, WIDTHS, f"energy, latency: mean of {SAMPLES} test images on the machine; "
                            f"accuracy: {IMAGES} test images through the network alone",
                            f"step of the stored membrane: register of +-{WIDE:g} thresholds (the shipped one at 8 "
                            "bits), step at most 1 threshold (at 2 bits: -2 to 1); last column: register of "
                            f"+-{NARROW:g} threshold", *MACHINE)),
    ]  # fmt: skip


def refusal() -> str:
    """What the machine says to sharing over layers, and where; asserts that it refuses."""
    from hwsim.components.registry import load

    try:
        load(ARCHITECTURE, ["options.lif_sharing_over=layers"])
    except SpecError as error:
        return str(error)
    raise AssertionError("sharing over layers must be refused")


# --- the price list alone --------------------------------------------------------------------------------------------


def _prices() -> Measured:
    cells = {(bits, n): bank(bits, n) for bits in MEMBRANE_BITS for n in SHARING}
    chosen = published()["figure_5b"]["sharing"]
    whole = cells[SHIPPED_BITS, 1]
    beside = []
    for (bits, n), cell in cells.items():
        label = f"{bits} bit, C#{n}"
        beside += [
            Beside(f"{label}: units", None, cell.units, "1"),
            Beside(f"{label}: power", None, cell.power_W * MW, "mW"),
            Beside(f"{label}: leakage", None, cell.leakage_W * MW, "mW"),
            Beside(f"{label}: area", None, cell.area_m2 * UM2, "um2"),
            Beside(f"{label}: power saved", None, _saved(cell.power_W, whole.power_W), "%"),
            Beside(f"{label}: area saved", None, _saved(cell.area_m2, whole.area_m2), "%"),
        ]
    saved = _saved(cells[SHIPPED_BITS, chosen].power_W, whole.power_W)
    return Measured(saved, trend=saved > 0, beside=tuple(beside))


def _quantisation() -> Measured:
    """Savings of fewer bits; with the comparator kept wide, only the register gets smaller, as the paper words it."""
    whole = bank(SHIPPED_BITS, 1)
    powers = {bits: bank(bits, 1).power_W for bits in MEMBRANE_BITS}
    beside = []
    for bits, power in powers.items():
        narrow = bank(bits, 1, compare_bits=COMPARE_OVER_MEMBRANE * SHIPPED_BITS)
        beside += [
            Beside(f"{bits} bit: saved, comparator and subtractor follow", None, _saved(power, whole.power_W), "%"),
            Beside(f"{bits} bit: saved, only the register follows", None, _saved(narrow.power_W, whole.power_W), "%"),
        ]
    both = _saved(bank(4, 4).power_W, whole.power_W)
    alone = [_saved(power, whole.power_W) / 100 for power in (bank(4, 1).power_W, bank(SHIPPED_BITS, 4).power_W)]
    product = 100 * (1 - (1 - alone[0]) * (1 - alone[1]))
    beside.append(Beside("4 bit and C#4 together", None, both, "%"))
    beside.append(Beside("the same if both savings are orthogonal (remainders multiply)", None, product, "%"))
    grows = all(before < after for before, after in itertools.pairwise(powers.values()))
    orthogonal = abs(both - product) < 1e-9
    return Measured(100 * alone[0], trend=grows and orthogonal, beside=tuple(beside))


def _saved(part: float, whole: float) -> float:
    return 100 * (1 - part / whole)


def _over_layers() -> Measured:
    """Nothing to measure: the machine refuses. Beside it, what the shipped network would bring."""
    from hwsim import workload as workloads

    spiking = [layer for layer in workloads.load(WORKLOAD).weighted if layer.neuron.spiking]
    neurons = [layer.geometry.M * layer.geometry.P for layer in spiking]
    pairs = list(itertools.pairwise(neurons))
    assert ACROSS_LAYERS in refusal()
    return Measured(
        None,
        beside=(
            Beside("LIF units of the array: they serve all layers in turn already", None, bank(8, 1).units, "1"),
            Beside("pairs of successive spiking layers of vgg9", None, len(pairs), "1"),
            Beside("those of equal numbers of neurons, which could share", None, sum(a == b for a, b in pairs), "1"),
        ),
    )


# --- on the machine --------------------------------------------------------------------------------------------------


def _table() -> Measured:
    cells = {(bits, n): _run(bits, n) for bits in MEMBRANE_BITS for n in SHARING}
    beside = []
    for (bits, n), run in cells.items():
        beside += _cell_rows(f"{bits} bit, C#{n}", run, _tight(run, bits))
    chosen = published()["figure_5b"]["sharing"]
    whole, shared = (cells[SHIPPED_BITS, n].parts_J["lif"] for n in (1, chosen))
    falls = all(
        cells[bits, after].parts_J["lif"] < cells[bits, before].parts_J["lif"]
        for bits in MEMBRANE_BITS
        for before, after in itertools.pairwise(SHARING)
    )
    return Measured(_saved(shared, whole), trend=falls, beside=tuple(beside))


def _run(bits: int, share: int) -> Run:
    options = [f"options.lif_sharing={share}", f"options.membrane={{step_fraction: {step_fraction(bits, WIDE):.12f}}}"]
    return measure(WORKLOAD, dataflow=DATAFLOW, overrides=[*widths(bits), *options], samples=range(SAMPLES))


def _tight(run: Run, bits: int) -> Frozen:
    """The network of ``run`` with the tight register."""
    from hwsim.network.freeze import freeze

    numerics = run.runner.machine.numerics(run.runner.timesteps)
    return freeze(run.runner.workload, replace(numerics, membrane_step_fraction=step_fraction(bits, NARROW)))


def _cell_rows(label: str, run: Run, tight: Frozen) -> list[Beside]:
    machine = run.runner.machine
    return [
        Beside(f"{label}: units", None, machine.lif_units, "1"),
        Beside(f"{label}: LIF energy", None, run.parts_J["lif"] * NJ, "nJ"),
        Beside(f"{label}: LIF area", None, run.area_m2("lif") * UM2, "um2"),
        Beside(f"{label}: total energy", None, run.energy_J * NJ, "nJ"),
        Beside(f"{label}: latency", None, run.latency_s * MS, "ms"),
        Beside(f"{label}: LIF stall", None, run.cycles("array", "stall:lif"), "cycles"),
        Beside(f"{label}: accuracy", None, accuracy(run.network, IMAGES), "%"),
        Beside(f"{label}: accuracy, register +-{NARROW:g} threshold", None, accuracy(tight, IMAGES), "%"),
    ]
