"""The same figures from executable schedules: hwsim's own machine, one loop nest per run, membrane traffic included."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from hwsim.reproduce.measure import ARCHITECTURE, NJ, Run, accuracy, measure
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

MACHINE = (
    "one executable schedule: every count comes from one loop nest; membranes move; 256-bit lines, 32-bit bursts",
    "assumed DRAM bandwidth; prices of arch/sata.yaml",
)
SHAPES = "a shape table, its spikes drawn with the density of the table: one drawn sample"
SWEEP_4B = (1, 2, 3, 4)
SWEEP_5A = (1, 2, 3, 4, 5, 6, 7, 8)
DATAFLOWS = ("tick-batch", "os")
EXIT_DATAFLOW = "os/block:1"
ANN_SAMPLES = 2
ANN_IMAGES = 200
ANN_STEPS = (1, 2, 4, 8)
"""Timesteps of the SNN beside the published one."""


def targets() -> list[Target]:
    """Targets that run the machine; none is quick."""
    paper = published()["paper"]
    common: dict[str, Any] = {"architecture": ARCHITECTURE, "quick": False}
    figure_4b = [
        Target(f"fig4b.machine-{dataflow}", paper, "Fig. 4b", f"energy at T=4 / energy at T=1, {dataflow}, executable",
               None, "1", Tolerance("relative"), functools.partial(_growth, dataflow),
               workload=published()["figure_4b"]["workload"], options=f"--dataflow {dataflow} --timesteps 1..4",
               assumptions=("bar heights stand in an image only: the trend is the target", SHAPES, *MACHINE), **common)
        for dataflow in DATAFLOWS
    ]  # fmt: skip
    return [*figure_4b, _figure_5a(paper, common), _against_ann(common)]


def _figure_5a(paper: str, common: dict[str, Any]) -> Target:
    data = published()["figure_5a"]
    return Target(
        "fig5a.machine", paper, "Fig. 5a and text",
        "data-movement energy that tick-batch saves against OS, VGG9 on TinyImageNet, T=4, executable",
        data["saving"], "%", Tolerance("absolute", 1.0), _saving, workload=data["workload"],
        options="--dataflow tick-batch and os, --timesteps 1..8",
        assumptions=("DRAM and buffers, leakage of the buffers included", SHAPES, *MACHINE), **common,
    )  # fmt: skip


def _against_ann(common: dict[str, Any]) -> Target:
    data = published()["snn_over_ann"]
    return Target(
        "snn-ann.machine", f"{data['cite']} by {published()['paper']}", "Section III.A",
        "energy of an SNN of 16 timesteps / energy of its ANN on one array, output-stationary ('as large as')",
        data["ratio"], "1", Tolerance("relative", 0.1), _ratio, workload="vgg9 and vgg9_ann",
        options="--dataflow os --timesteps 16; ANN: --dataflow os --set options.direct_input=mac",
        assumptions=("trained for 4 timesteps, run for up to 16",
                     "ANN: 8-bit activations, multiply-accumulate, no LIF operation",
                     "every timestep fetches everything again, so the ratio is nearly the number of timesteps",
                     f"energy and latency: {ANN_SAMPLES} test images; accuracy: {ANN_IMAGES} test images through the "
                     "network alone", *MACHINE), **common,
    )  # fmt: skip


def split_rows(label: str, run: Run) -> list[Beside]:
    """Energy of computation and of data movement, in nJ."""
    return [
        Beside(f"{label}: computation", None, run.computation_J * NJ, "nJ"),
        Beside(f"{label}: data movement", None, run.movement_J * NJ, "nJ"),
    ]


def _growth(dataflow: str) -> Measured:
    workload = published()["figure_4b"]["workload"]
    runs = {timesteps: measure(workload, dataflow=dataflow, timesteps=timesteps) for timesteps in SWEEP_4B}
    beside = [row for timesteps, run in runs.items() for row in split_rows(f"T={timesteps}", run)]
    if dataflow == "os":
        beside += _exit_bar(workload, runs[max(SWEEP_4B)])
    grows = all(
        before.movement_J < after.movement_J and before.computation_J < after.computation_J
        for before, after in itertools.pairwise(runs.values())
    )
    first, *_, last = runs.values()
    return Measured(last.energy_J / first.energy_J, trend=grows, beside=tuple(beside))


def _exit_bar(workload: str, whole: Run) -> list[Beside]:
    """The DT-SNN bar: time outermost, so that a sample can stop, at the mean number of timesteps that is published."""
    mean = published()["dt_snn"]["mean_timesteps"]
    below = int(mean)
    low, high = (measure(workload, dataflow=EXIT_DATAFLOW, timesteps=steps) for steps in (below, below + 1))
    part = mean - below
    label = f"DT-SNN, mean T={mean} ({EXIT_DATAFLOW}, between T={below} and T={below + 1})"
    compute, moved = (
        (1 - part) * a + part * b
        for a, b in ((low.computation_J, high.computation_J), (low.movement_J, high.movement_J))
    )
    saved = 100 * (1 - (compute + moved) / whole.energy_J)
    return [
        Beside(f"{label}: computation", None, compute * NJ, "nJ"),
        Beside(f"{label}: data movement", None, moved * NJ, "nJ"),
        Beside(f"DT-SNN bar at mean T={mean}, saving against T=4", published()["dt_snn"]["saving"], saved, "%"),
    ]


def _saving() -> Measured:
    data = published()["figure_5a"]
    savings, beside = {}, []
    for timesteps in SWEEP_5A:
        ours, plain = (measure(data["workload"], dataflow=dataflow, timesteps=timesteps) for dataflow in DATAFLOWS)
        savings[timesteps] = 100 * (1 - ours.movement_J / plain.movement_J)
        dram = 100 * (1 - ours.parts_J["dram"] / plain.parts_J["dram"])
        beside += [
            Beside(f"T={timesteps}: saved", None, savings[timesteps], "%"),
            Beside(f"T={timesteps}: of the DRAM alone", None, dram, "%"),
            Beside(f"T={timesteps}: data movement, tick-batch", None, ours.movement_J * NJ, "nJ"),
            Beside(f"T={timesteps}: data movement, OS", None, plain.movement_J * NJ, "nJ"),
        ]
    rising = list(savings.values())
    return Measured(savings[data["timesteps"]], trend=rising == sorted(rising), beside=tuple(beside))


def _ratio() -> Measured:
    steps, numbers = published()["snn_over_ann"]["timesteps"], range(ANN_SAMPLES)
    ann = measure("vgg9_ann", dataflow="os", overrides=["options.direct_input=mac"], samples=numbers)
    beside = _ratio_rows("ANN, os", ann, ann, accuracy(ann.network, ANN_IMAGES))
    right: dict[int, float] = {}  # by timesteps: no dataflow changes what the network decides
    ratios = {}
    for dataflow in ("os", "tick-batch"):
        for timesteps in (*ANN_STEPS, steps):
            snn = measure("vgg9", dataflow=dataflow, timesteps=timesteps, samples=numbers)
            if timesteps not in right:
                right[timesteps] = accuracy(snn.network, ANN_IMAGES)
            ratios[dataflow, timesteps] = snn.energy_J / ann.energy_J
            beside += _ratio_rows(f"SNN, {dataflow}, T={timesteps}", snn, ann, right[timesteps])
    return Measured(ratios["os", steps], trend=ratios["os", steps] > 1, beside=tuple(beside))


def _ratio_rows(label: str, run: Run, ann: Run, right: float) -> list[Beside]:
    return [
        *split_rows(label, run),
        Beside(f"{label}: energy / ANN's", None, run.energy_J / ann.energy_J, "1"),
        Beside(f"{label}: latency", None, run.latency_s * 1e3, "ms"),
        Beside(f"{label}: latency / ANN's", None, run.latency_s / ann.latency_s, "1"),
        Beside(f"{label}: accuracy", None, right, "%"),
    ]
