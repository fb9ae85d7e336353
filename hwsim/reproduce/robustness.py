"""Robustness of SNNs and ANNs on non-ideal crossbars (ISLPED 2022): its statements, asked of the shipped networks.

The published machine (profile ``islped-2022``) with gain off, per layer and per column, and the default crossbar
machine with gain off and per column. Nothing is fitted: every statement is answered by the same table.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import Any

from hwsim.network.adapt import WHAT
from hwsim.reproduce.robustness_analog import SUFFIX
from hwsim.reproduce.robustness_cells import MACHINES, STUDY, Cell, Machine, Reader, margin
from hwsim.reproduce.robustness_chip import ISLPED, LOSS_ALONE, RESTORED, SPIKESIM, Adaptation
from hwsim.reproduce.robustness_observed import (
    ANN,
    BNTT,
    CONVERSION,
    DEEP_ANN,
    LONG,
    MORE,
    OBSERVATIONS,
    SHORT,
    SURROGATE,
    Observation,
    Seen,
    more,
)
from hwsim.reproduce.robustness_plan import (
    ADAPTED,
    ADAPTED_IMAGES,
    CAUSE_NETWORKS,
    LARGE,
    LONG_CONVERSION,
    NETWORKS,
    OTHER_ENCODING,
    SIZES,
    on,
    table,
)
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

HOMOGENEOUS_ANN = f"{CONVERSION}{SUFFIX}"
ALONE = ("wires", "variation")
EXACT_COUNT = Tolerance("absolute", 0.0)
SHOWN_TIMESTEPS = (1, 2, 4, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100)
NOT_TOLD = (
    "the paper does not tell how cells hold signed weights: a differential pair here, the other reading beside it",
    "the paper does not tell whether lost current is made up for: not at all (gain off), with one factor per layer "
    "(global), with one per column; the verdict is that of gain off",
    "one continuous cell per weight and polarity (the largest magnitude has 20 kohm); im2col rows; the driver's and "
    "the sense resistance stand at the ends of the wires",
)
HOMOGENEOUS = (
    "the paper tells neither whether its ANN has BN or bias, nor whether the thresholds of the conversion (its "
    "Algorithm 1) are found before or on the chip: here no BN, no bias, and thresholds that follow the common factor "
    "of their layer's weights; an explanation to be checked against the authors' code, not a finding about it"
)
SETUP = (
    "shipped networks: VGG5 on digits 28x28 (200 test images), VGG9 on coloured digits 32x32 (100)",
    "5 chips at 64x64 and 2 at 32x32 for VGG5 as ANN, surrogate at T=10 and BNTT; one for the longer surrogates, 2 "
    "(one at 32x32) for the conversion, 2 for VGG9 and for the ANN without BN",
    "relative drop = (software - hardware) / software; software is the exact network on the same images",
)
WORKLOADS = " and ".join(name for name in NETWORKS if not name.endswith(SUFFIX))


def targets() -> list[Target]:
    """One target per statement, how many of them hold, and what explains them."""
    data = published("robustness")
    common: dict[str, Any] = {"paper": data["paper"], "workload": WORKLOADS, "quick": False,
                              "architecture": SPIKESIM}  # fmt: skip
    options = "--profile islped-2022, gain off; other machines beside it"
    made = [
        Target("robustness.table", place=data["drops"]["place"], what="statements that hold on the published machine, "
               "gain off", published=len(OBSERVATIONS), unit="1", tolerance=EXACT_COUNT, run=_table, options=options,
               assumptions=(*SETUP, *NOT_TOLD), **common),
        Target("robustness.causes", place="section IV-B", what="current that parasitics take, 64x64, mean of the "
               "layers of the VGG5 ANN", published=None, unit="%", tolerance=Tolerance("relative"), run=_causes,
               options="--profile islped-2022, one disturbance at a time",
               assumptions=("trend: wires and variation together lose more than each alone",
                            "all rows with weights on; first chip, 4 images for deviations and activities", *NOT_TOLD),
               **common),
        Target("robustness.adaptation", place="Fig. 4 and section IV-E", what="relative drop of BNTT left by adapted "
               "means, 128 images, 64x64", published=None, unit="%", tolerance=Tolerance("relative"), run=_adaptation,
               options=options, assumptions=("first chip; calibration images are not test images",
                                             "trend: less is left than without adaptation"), **common),
    ]  # fmt: skip
    made.append(
        Target("robustness.homogeneous", place="sections IV-A to IV-C", what="surrogate gradient (VGG5, T=25) loses "
               "more than an ANN without BN and bias: difference of the drops", published=None, unit="points",
               tolerance=Tolerance("relative"), run=_homogeneous, options=options,
               assumptions=(HOMOGENEOUS, f"trend: surrogate and BNTT lose more than that ANN, {MORE}; the converted "
                            "SNN with thresholds found on the chip no more than that", *SETUP, *NOT_TOLD), **common)
    )  # fmt: skip
    return made + [_target(observation, common, options) for observation in OBSERVATIONS]


def _target(observation: Observation, common: dict[str, Any], options: str) -> Target:
    return Target(
        f"robustness.{observation.key}", place=published("robustness")["places"][observation.key],
        what=observation.what, published=None, unit=observation.unit, tolerance=Tolerance("relative"),
        run=functools.partial(_ask, observation), options=options,
        assumptions=(observation.rule, *SETUP, *NOT_TOLD), **common,
    )  # fmt: skip


def _ask(observation: Observation) -> Measured:
    reader = Reader(table())
    seen = observation.ask(reader, STUDY)
    theirs = published("robustness")["values"].get(observation.key)
    rows = [] if theirs is None else [Beside("the same value from the study's tables", theirs, None, observation.unit)]
    for machine in MACHINES:
        other = observation.ask(reader, machine)
        if other is not None:
            rows += [Beside(f"{machine.label}: value", None, other.value, observation.unit),
                     Beside(f"{machine.label}: holds", None, float(other.holds), "1")]  # fmt: skip
    assert seen is not None
    return Measured(seen.value, trend=seen.holds, beside=tuple(rows))


def _homogeneous() -> Measured:
    """Whether the study's picture follows from what is left unsaid: an ANN that a common factor does not disturb."""
    reader = Reader(table())
    rows: list[Beside] = []
    answers: list[Seen] = []
    for machine, size in itertools.product((m for m in MACHINES if m.name == ISLPED), SIZES):
        ann = reader.cell(machine, HOMOGENEOUS_ANN, size)
        converted = reader.cell(machine, CONVERSION, size, RESTORED)
        label = f"{machine.label}, {size}x{size}"
        rows += [Beside(f"{label}: ANN without BN and bias", None, ann.drop, "%"),
                 Beside(f"{label}: conversion, thresholds found on the chip", None, converted.drop, "%"),
                 Beside(f"{label}: conversion", None, reader.cell(machine, CONVERSION, size).drop, "%"),
                 Beside(f"{label}: ANN with BN", None, reader.cell(machine, ANN, size).drop, "%")]  # fmt: skip
        for name in (SHORT, SURROGATE, LONG, BNTT):
            cell = reader.cell(machine, name, size)
            rows.append(Beside(f"{label}: {_named(name)}", None, cell.drop, "%"))
            if (machine, size) == (STUDY, LARGE):
                answers.append(more(cell, ann))
        if (machine, size) == (STUDY, LARGE):
            answers.append(Seen(converted.drop, converted.drop - ann.drop <= margin(converted, ann)))
    return Measured(answers[1].value, trend=all(seen.holds for seen in answers), beside=tuple(rows))


# --- the table -------------------------------------------------------------------------------------------------------


def _table() -> Measured:
    reader = Reader(table())
    holding = [seen.holds for observation in OBSERVATIONS if (seen := observation.ask(reader, STUDY)) is not None]
    rows = list(_theirs(reader))
    for machine, size in itertools.product(MACHINES, SIZES):
        rows += _machine_rows(reader, machine, size)
    rows += _over_timesteps(reader)
    return Measured(sum(holding), trend=None, beside=tuple(rows))


def _theirs(reader: Reader) -> Iterable[Beside]:
    """Printed drops beside those of our networks; other data, other training."""
    for name in NETWORKS:
        for size, theirs in published("robustness")["drops"].get(name, {}).items():
            ours = reader.cell(STUDY, name, size).drop
            yield Beside(f"relative drop of {_named(name)}, {size}x{size}, {STUDY.label}", theirs, ours, "%")


def _named(name: str) -> str:
    network = NETWORKS[name]
    return f"{network.architecture} {network.method} T={network.timesteps}"


def _machine_rows(reader: Reader, machine: Machine, size: int) -> list[Beside]:
    rows = []
    for name in on(machine.name):
        rows += _cell_rows(f"{machine.label}, {size}x{size}, {_named(name)}", reader.cell(machine, name, size))
        if name == CONVERSION:
            longer = reader.cell(machine, name, size, timesteps=LONG_CONVERSION)
            label = _named(name).replace(f"T={NETWORKS[name].timesteps}", f"T={LONG_CONVERSION}")
            rows += _cell_rows(f"{machine.label}, {size}x{size}, {label}", longer)
    return rows


def _cell_rows(label: str, cell: Cell) -> list[Beside]:
    return [
        Beside(f"{label}: software", None, cell.software, "%"),
        Beside(f"{label}: hardware", None, cell.hardware, "%"),
        Beside(f"{label}: spread", None, cell.spread, "%"),
        Beside(f"{label}: chips", None, cell.chips, "1"),
        Beside(f"{label}: relative drop", None, cell.drop, "%"),
    ]


def _over_timesteps(reader: Reader) -> list[Beside]:
    """Decisions after fewer timesteps than the network was trained for."""
    rows = []
    for name, network in NETWORKS.items():
        last = LONG_CONVERSION if name == CONVERSION else network.timesteps
        for steps in (t for t in SHOWN_TIMESTEPS if t <= last and network.timesteps > 1):
            label = f"{_named(name)} after {steps}"
            cells = [reader.cell(machine, name, LARGE, timesteps=steps) for machine in MACHINES]
            rows.append(Beside(f"{label}: software", None, cells[0].software, "%"))
            for machine, cell in zip(MACHINES, cells, strict=True):
                rows.append(Beside(f"{label}: {machine.label}", None, cell.hardware, "%"))
    return rows


# --- what explains it ------------------------------------------------------------------------------------------------


def _causes() -> Measured:
    reader = Reader(table())
    rows = [row for name in CAUSE_NETWORKS for row in _cause_rows(reader, name)]
    for machine, size, name in itertools.product(MACHINES, SIZES, (ANN, DEEP_ANN)):
        rows += _weight_rows(reader, machine, size, name)
    lost = _mean_weights(reader, STUDY, LARGE, ANN)[2]
    found = {row.what: row.ours or 0.0 for row in rows}
    together = all(
        found[f"{_named(name)}: both, gain off"]
        <= min(found[f"{_named(name)}: {part} alone, gain off"] for part in ALONE)
        for name in CAUSE_NETWORKS
    )
    return Measured(100 * lost, trend=together, beside=(*rows, *_inside(reader)))


def _cause_rows(reader: Reader, name: str) -> list[Beside]:
    """Accuracies of the first chip, of its parts, and of what has the same common factor."""
    accuracies: dict[str, float] = {}
    for gain in ("off", "per_column"):
        words = f"gain {gain.replace('_', ' ')}"
        accuracies[f"both, {words}"] = reader.first(Machine(ISLPED, gain), name, LARGE)["accuracy"][gain][
            NETWORKS[name].timesteps - 1
        ]
        for part in ALONE:
            accuracies[f"{part} alone, {words}"] = reader.disturbed(name, gain, cause=part).hardware
        other = reader.disturbed(name, gain, encoding=OTHER_ENCODING)
        accuracies[f"{OTHER_ENCODING.replace('_', ' ')}, {words}"] = other.hardware
    alone, restored = (reader.cell(STUDY, name, LARGE, reading) for reading in (LOSS_ALONE, RESTORED))
    accuracies["its own weights times the common factor"] = alone.hardware
    accuracies["the chip's weights, common factor restored"] = restored.hardware
    accuracies["software"] = alone.software
    return [Beside(f"{_named(name)}: {what}", None, value, "%") for what, value in accuracies.items()]


def _mean_weights(reader: Reader, machine: Machine, size: int, name: str) -> list[float]:
    """Common factor, what it leaves unexplained, share of the current lost; means over the layers."""
    weights = reader.first(machine, name, size)["weights"][machine.gain]
    return [sum(column) / len(weights) for column in zip(*weights.values(), strict=True)]


def _weight_rows(reader: Reader, machine: Machine, size: int, name: str) -> list[Beside]:
    factor, rest, lost = _mean_weights(reader, machine, size, name)
    label = f"{machine.label}, {size}x{size}, {_named(name)}"
    return [
        Beside(f"{label}: current lost", None, 100 * lost, "%"),
        Beside(f"{label}: common factor of the weights", None, factor, "1"),
        Beside(f"{label}: rms of the rest", None, 100 * rest, "%"),
    ]


def _inside(reader: Reader) -> list[Beside]:
    """Layer by layer: how active it is against the exact network, how far its currents and membranes are off."""
    rows = []
    for machine, name in itertools.product(MACHINES, CAUSE_NETWORKS):
        if machine.name not in NETWORKS[name].machines:
            continue
        chip = reader.first(machine, name, LARGE)
        for layer, found in chip["deviation"][machine.gain].items():
            label = f"{machine.label}, {_named(name)}, {layer}"
            activity = chip["activity"][machine.gain].get(layer)
            last = found["current"][-1]
            rows += [
                Beside(f"{label}: current off by", None, None if last is None else 100 * last, "%"),
                Beside(f"{label}: mean current, exact", None, found["ideal_mean"][-1], "1"),
                Beside(f"{label}: mean current, chip", None, found["hardware_mean"][-1], "1"),
                Beside(f"{label}: standard deviation, exact", None, found["ideal_variance"][-1] ** 0.5, "1"),
                Beside(f"{label}: standard deviation, chip", None, found["hardware_variance"][-1] ** 0.5, "1"),
                Beside(f"{label}: outputs, chip over exact", None, activity, "1"),
            ]
    return rows


def _adaptation() -> Measured:
    reader = Reader(table())
    rows = []
    for (name, size), gains in ADAPTED.items():
        for gain, networks in gains.items():
            machine = Machine(name, gain)
            for network in networks:
                rows += _adaptation_rows(reader, machine, network, size)
    found = {row.what: row.ours for row in rows}
    label = f"{STUDY.label}, {LARGE}x{LARGE}, {_named(BNTT)}"
    before, after = found[f"{label}: none"], found[f"{label}: mean, 128"]
    assert before is not None and after is not None
    software = reader.cell(STUDY, BNTT, LARGE).software
    return Measured(100 * (software - after) / software, trend=after > before, beside=tuple(rows))


def _adaptation_rows(reader: Reader, machine: Machine, network: str, size: int) -> list[Beside]:
    accuracy = reader.first(machine, network, size)["accuracy"]
    steps = NETWORKS[network].timesteps
    label = f"{machine.label}, {size}x{size}, {_named(network)}"
    rows = [Beside(f"{label}: software", None, reader.cell(machine, network, size).software, "%"),
            Beside(f"{label}: none", None, accuracy[machine.gain][steps - 1], "%")]  # fmt: skip
    for what, images in itertools.product(WHAT, ADAPTED_IMAGES):
        reading = Adaptation(machine.gain, what, images).name
        words = "mean" if what == "mean" else "mean and variance"
        rows.append(Beside(f"{label}: {words}, {images}", None, accuracy[reading][steps - 1], "%"))
    return rows
