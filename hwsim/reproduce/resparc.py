"""RESPARC's abstract: energy and throughput gains of event-driven crossbars, array sizes, what its zero-check saves.

Gains are ratios of one part of a network on ``arch/resparc.yaml`` and on a digital baseline, sample 0. What the paper
says in words must hold against both baselines.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

ARCHITECTURE = "resparc"
BASELINES = ("sata", "resparc_cmos")
"""The first gives the value of a target, both its trend."""
SIZES = (32, 64, 128)
SHIPPED = 64
WORDS = {"mlp": "MLPs", "cnn": "CNNs"}
NO_PACKETS = "noc.packets=bitmap"
NO_READS = "options.zero_vectors=read"
WIDE_SUMS = "tile_adder.psum_bits=8 bit"
IMAGES = {"digits_mlp": 100, "vgg9": 40}
"""Whole networks whose accuracy stands beside the sizes, and test images."""
UJ, US = 1e6, 1e6
NONE = Tolerance("absolute", 0.0)
CHANCE = "no tolerance: networks, baseline and prices are others than the paper's, a value near its own would be chance"
GEOMETRIC = "geometric mean over the parts below"
ASSUMED = "array sizes and prices of arch/resparc.yaml are assumed, the analog neuron's above all (x5)"
SAMPLE = "sample 0; errors of prices are not carried into the ratios"


@dataclass(frozen=True)
class Part:
    """Weighted layers [first, last) of a shipped workload; ``kind`` is 'mlp' or 'cnn'."""

    name: str
    kind: str
    workload: str
    layers: tuple[int, int] | None = None


PARTS = (
    Part("digits_mlp", "mlp", "digits_mlp"),
    Part("nmnist_mlp", "mlp", "nmnist_mlp"),
    Part("vgg5 linear", "mlp", "vgg5", (3, 5)),
    Part("vgg5 conv", "cnn", "vgg5", (0, 3)),
    Part("vgg9 conv", "cnn", "vgg9", (1, 7)),
)
"""conv1 of vgg9 is left out: it takes the 8-bit image, not spikes."""


@dataclass(frozen=True)
class Cost:
    """What one sample costs and some of what it did. ``parts_J``: by component, leakage included."""

    energy_J: float
    leakage_J: float
    latency_s: float
    parts_J: dict[str, float]
    flits: int
    integrations: int
    operations: int


def cost(architecture: str, part: Part, overrides: tuple[str, ...] = ()) -> Cost:
    """Sample 0 of a part on a shipped machine, simulated once. Raises SpecError for overrides that do not fit."""
    return _simulated(architecture, part, overrides)


@functools.cache
def _simulated(architecture: str, part: Part, overrides: tuple[str, ...]) -> Cost:
    from hwsim.cost import Labels, price
    from hwsim.run import simulate_activity  # lazy: kernels

    runner, activity = simulate_activity(architecture, part.workload, overrides=overrides, layers=part.layers)
    costs = price(runner.price_list(), activity, Labels("", architecture, part.workload))
    parts: dict[str, float] = {}
    leakage = 0.0
    for row in costs.rows:
        if row.metric == "energy":
            assert row.component is not None
            parts[row.component] = parts.get(row.component, 0.0) + row.value
            leakage += row.value if row.action == "leakage" else 0.0
    return Cost(
        costs.totals["energy_J"], leakage, costs.totals["latency_s"], parts, _count(activity.counts, "router", "flit"),
        _count(activity.counts, "pe_adder", "add"), sum(activity.operations.values()),
    )  # fmt: skip


def _count(counts: dict[tuple[int, int, int, str, str], int], component: str, action: str) -> int:
    return sum(times for key, times in counts.items() if key[3:] == (component, action))


def sized(size: int) -> tuple[str, ...]:
    """Overrides for square arrays of ``size`` rows; none for the shipped size."""
    return () if size == SHIPPED else (f"crossbar.rows={size}", f"crossbar.columns={size}")


def of_kind(kind: str) -> list[Part]:
    """The MLPs, or the CNNs."""
    return [part for part in PARTS if part.kind == kind]


def workloads(parts: Iterable[Part]) -> str:
    """Workloads of a target, as its report names them."""
    return " and ".join(dict.fromkeys(part.workload for part in parts))


# --- targets ---------------------------------------------------------------------------------------------------------


def targets() -> list[Target]:
    """Four gains, two of MLPs over CNNs, sizes, zero-check, utilisation."""
    data = published("resparc")
    common: dict[str, Any] = {"paper": data["paper"], "place": data["place"], "architecture": ARCHITECTURE}
    gains = [
        Target(f"resparc.{what}-{kind}", what=f"{what} gain over digital CMOS, {WORDS[kind]}",
               published=data["gains"][kind][what], unit="1", tolerance=NONE, quick=False,
               run=functools.partial(_gain, kind, what), workload=workloads(of_kind(kind)),
               options=f"against {BASELINES[0]}, {BASELINES[1]} beside it",
               assumptions=(CHANCE, GEOMETRIC, ASSUMED, SAMPLE,
                            "trend: the crossbars win on every part, against both"), **common)
        for kind in WORDS for what in ("energy", "throughput")
    ]  # fmt: skip
    over = [
        Target(f"resparc.mlp-over-cnn-{what}", what=f"{what} gain of MLPs / {what} gain of CNNs",
               published=data["gains"]["mlp"][what] / data["gains"]["cnn"][what], unit="1", quick=False,
               tolerance=NONE, run=functools.partial(_over, what), workload=workloads(PARTS),
               options=f"against {BASELINES[0]}, {BASELINES[1]} beside it",
               assumptions=(CHANCE, GEOMETRIC, ASSUMED, SAMPLE, "trend: MLPs gain more, against both"), **common)
        for what in ("energy", "throughput")
    ]  # fmt: skip
    return [*gains, *over, *(_size_target(part, common) for part in of_kind("cnn")), *_structure(common)]


def _size_target(part: Part, common: dict[str, Any]) -> Target:
    return Target(
        f"resparc.size-{part.name.replace(' ', '-')}", what=f"array size of least energy, {part.name}", published=None,
        unit="1", tolerance=Tolerance("relative"), run=functools.partial(_best_size, part), workload=part.workload,
        options="crossbar.rows and crossbar.columns 32, 64, 128", quick=False,
        assumptions=("trend: an optimum inside 32 to 128, which the paper's choice of a size by network and technology "
                     "would need", "64 arrays a tile whatever their size", ASSUMED, SAMPLE), **common,
    )  # fmt: skip


def _structure(common: dict[str, Any]) -> list[Target]:
    """What needs no baseline."""
    return [
        Target("resparc.sizes-differ", what="array sizes that are best for one network or another", published=None,
               unit="1", tolerance=Tolerance("relative"), run=_sizes_differ, workload=workloads(PARTS), quick=False,
               options="crossbar.rows and crossbar.columns 32, 64, 128",
               assumptions=("trend: the best size depends on the network", ASSUMED, SAMPLE), **common),
        Target("resparc.zero-check", what="energy that both zero-checks save, most of all networks", published=None,
               unit="%", tolerance=Tolerance("relative"), run=_zero_check, workload=workloads(PARTS), quick=False,
               options=f"against {NO_PACKETS} and {NO_READS}",
               assumptions=("trend: each check saves energy on every network", "64-bit packets (recalled)", ASSUMED,
                            SAMPLE), **common),
        Target("resparc.utilisation", what="cells that hold weights, convolutions at 128 / at 32", published=None,
               unit="1", tolerance=Tolerance("relative"), run=_utilisation, workload=workloads(PARTS),
               options="no run: the mapping", assumptions=("trend: it falls with the size on every CNN",
               "weights stay, pixels come in turn: not the paper's mapping"), **common),
    ]  # fmt: skip


# --- gains -----------------------------------------------------------------------------------------------------------


def gain(part: Part, what: str, baseline: str, overrides: tuple[str, ...] = (), leakage: bool = True) -> float:
    """Energy or latency of a baseline over that of the crossbars."""
    theirs, ours = cost(baseline, part), cost(ARCHITECTURE, part, overrides)
    if what == "throughput":
        return theirs.latency_s / ours.latency_s
    if not leakage:
        return (theirs.energy_J - theirs.leakage_J) / (ours.energy_J - ours.leakage_J)
    return theirs.energy_J / ours.energy_J


def mean_gain(kind: str, what: str, baseline: str, **more: Any) -> float:
    """Geometric mean over the parts of a kind."""
    found = [gain(part, what, baseline, **more) for part in of_kind(kind)]
    return math.exp(math.fsum(map(math.log, found)) / len(found))


def _gain(kind: str, what: str) -> Measured:
    beside = [row for part in of_kind(kind) for row in _gain_rows(part, what)]
    if what == "energy":
        beside += [
            Beside(f"all {WORDS[kind]}, against {baseline}, without leakage", None,
                   mean_gain(kind, what, baseline, leakage=False), "1") for baseline in BASELINES
        ]  # fmt: skip
        beside.append(Beside(f"all {WORDS[kind]}, against {BASELINES[0]}, 8-bit sums between NeuroCells", None,
                             mean_gain(kind, what, BASELINES[0], overrides=(WIDE_SUMS,)), "1"))  # fmt: skip
    won = all(gain(part, what, baseline) > 1 for part in of_kind(kind) for baseline in BASELINES)
    return Measured(mean_gain(kind, what, BASELINES[0]), trend=won, beside=tuple(beside))


def _gain_rows(part: Part, what: str) -> list[Beside]:
    ours = cost(ARCHITECTURE, part)
    rows = [Beside(f"{part.name}: gain against {baseline}", None, gain(part, what, baseline), "1")
            for baseline in BASELINES]  # fmt: skip
    if what == "throughput":
        return [*rows, Beside(f"{part.name}: latency", None, ours.latency_s * US, "us")]
    return [
        *rows,
        Beside(f"{part.name}: energy", None, ours.energy_J * UJ, "uJ"),
        Beside(f"{part.name}: energy of a synaptic operation", None, ours.energy_J / ours.operations * 1e12, "pJ"),
    ]


def _over(what: str) -> Measured:
    ratios = {name: mean_gain("mlp", what, name) / mean_gain("cnn", what, name) for name in BASELINES}
    beside = [Beside(f"against {name}", None, ratio, "1") for name, ratio in ratios.items()]
    same = [next(part for part in PARTS if part.name == f"vgg5 {end}") for end in ("linear", "conv")]
    beside += [
        Beside(f"linear layers over convolutions of vgg5, against {name}", None,
               gain(same[0], what, name) / gain(same[1], what, name), "1") for name in BASELINES
    ]  # fmt: skip
    return Measured(ratios[BASELINES[0]], trend=min(ratios.values()) > 1, beside=tuple(beside))


# --- array sizes -----------------------------------------------------------------------------------------------------


def best_size(part: Part) -> int:
    """The array size of least energy."""
    return min(SIZES, key=lambda size: cost(ARCHITECTURE, part, sized(size)).energy_J)


def _best_size(part: Part) -> Measured:
    best = best_size(part)
    return Measured(best, trend=SIZES[0] < best < SIZES[-1], beside=tuple(_size_rows(part)))


def _size_rows(part: Part) -> list[Beside]:
    rows = []
    for size in SIZES:
        run = cost(ARCHITECTURE, part, sized(size))
        network = run.parts_J["router"] + run.parts_J["link"]
        arrays = run.parts_J["crossbar"] + run.parts_J["driver"]
        values = {
            "energy": run.energy_J, "integration": run.parts_J["pe_adder"], "arrays": arrays, "network": network,
            "the rest": run.energy_J - run.parts_J["pe_adder"] - arrays - network,
        }  # fmt: skip
        rows += [Beside(f"{part.name}, {size} x {size}: {name}", None, joules * UJ, "uJ")
                 for name, joules in values.items()]  # fmt: skip
        rows += [
            Beside(f"{part.name}, {size} x {size}: latency", None, run.latency_s * US, "us"),
            Beside(f"{part.name}, {size} x {size}: synaptic operations", None, run.operations / 1e6, "10^6"),
        ]
    return rows


@functools.cache
def accuracy(workload: str, images: int, size: int) -> float:
    """Share of test images that the arrays decide rightly, wires and spread of the cells included."""
    from hwsim.run import simulate

    return simulate(ARCHITECTURE, workload, overrides=sized(size), accuracy=images).totals["accuracy"]


def _sizes_differ() -> Measured:
    best = {part.name: best_size(part) for part in PARTS}
    rows = [Beside(f"best size, {name}", None, size, "1") for name, size in best.items()]
    rows += [row for part in of_kind("mlp") for row in _size_rows(part)]
    rows += [
        Beside(f"accuracy of {name} ({images} images): {size} x {size}", None, 100 * accuracy(name, images, size), "%")
        for name, images in IMAGES.items() for size in SIZES
    ]  # fmt: skip
    return Measured(len(set(best.values())), trend=len(set(best.values())) > 1, beside=tuple(rows))


# --- zero-check ------------------------------------------------------------------------------------------------------


def saved(part: Part, without: Sequence[str]) -> float:
    """Share of the energy that checks save, in percent of what the part needs without them."""
    return 100 * (1 - cost(ARCHITECTURE, part).energy_J / cost(ARCHITECTURE, part, tuple(without)).energy_J)


def _zero_check() -> Measured:
    rows: list[Beside] = []
    each: list[float] = []
    both: list[float] = []
    for part in PARTS:
        checked = cost(ARCHITECTURE, part)
        plain = cost(ARCHITECTURE, part, (NO_PACKETS, NO_READS))
        alone = (saved(part, (NO_PACKETS,)), saved(part, (NO_READS,)))
        each += alone
        both.append(saved(part, (NO_PACKETS, NO_READS)))
        rows += [
            Beside(f"{part.name}: packets checked", None, alone[0], "%"),
            Beside(f"{part.name}: reads skipped", None, alone[1], "%"),
            Beside(f"{part.name}: both", None, both[-1], "%"),
            Beside(f"{part.name}: flits not moved", None, 100 * (1 - checked.flits / plain.flits), "%"),
            Beside(f"{part.name}: integrations not done", None, 100 * (1 - checked.integrations / plain.integrations),
                   "%"),
        ]  # fmt: skip
    return Measured(max(both), trend=min(each) > 0, beside=tuple(rows))


# --- utilisation -----------------------------------------------------------------------------------------------------


@functools.cache
def utilisation(part: Part, size: int) -> float:
    """Share of the cells of all arrays that hold weights."""
    from hwsim import workload
    from hwsim.components.registry import load
    from hwsim.machines.crossbar.build import build

    machine = build(load(ARCHITECTURE, sized(size)), workload.load(part.workload), part.layers)
    cells = sum(
        placed.geometry.C * placed.geometry.R * placed.geometry.S * placed.geometry.M * placed.slices * placed.copies
        for placed in machine.plan.layers
    )  # fmt: skip
    return cells * machine.model.polarities / (machine.arrays * size * size)


def _utilisation() -> Measured:
    rows = [Beside(f"{part.name}: {size} x {size}", None, 100 * utilisation(part, size), "%")
            for part in PARTS for size in SIZES]  # fmt: skip
    ratios = [utilisation(part, SIZES[-1]) / utilisation(part, SIZES[0]) for part in of_kind("cnn")]
    return Measured(math.exp(math.fsum(map(math.log, ratios)) / len(ratios)), trend=max(ratios) < 1, beside=tuple(rows))
