"""The same figures from executable schedules: hwsim's own machine, one loop nest per run, membrane traffic included."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, Any

from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

if TYPE_CHECKING:
    from hwsim.result import Result

ARCHITECTURE = "sata"
MACHINE = (
    "one executable schedule: every count comes from one loop nest; membranes move; 256-bit lines, 32-bit bursts",
    "assumed DRAM bandwidth; prices of arch/sata.yaml",
)
SWEEP_4B = (1, 2, 3, 4)
SWEEP_5A = (1, 2, 3, 4, 5, 6, 7, 8)
DATAFLOWS = ("tick-batch", "os")
EXIT_SAMPLES = 50
EXIT_IMAGES = 500
THRESHOLDS = (0.5, 0.3, 0.1, 0.03, 0.01)
BLOCKS = (1, 2)
SLACK_POINTS = 1.0


def simulate(workload: str, **options: Any) -> Result:
    """One run on the shipped SATA machine; accuracy is off unless asked for."""
    from hwsim.run import simulate as run  # lazy: kernels

    return run(ARCHITECTURE, workload, **({"accuracy": 0} | options))


def movement_J(result: Result) -> float:
    """Energy per sample of DRAM and buffers, leakage of the buffers included."""
    parts = result.energy_by("component")
    return math.fsum(joules for name, joules in parts.items() if str(name).endswith("_buffer") or name == "dram")


def targets() -> list[Target]:
    """Targets that run the machine; none is quick."""
    paper = published()["paper"]
    common: dict[str, Any] = {"architecture": ARCHITECTURE, "quick": False, "code": ()}
    figure_4b = [
        Target(f"fig4b.machine-{dataflow}", paper, "Fig. 4b", f"energy at T=4 / energy at T=1, {dataflow}, executable",
               None, "1", Tolerance("relative"), functools.partial(_growth, dataflow),
               workload=published()["figure_4b"]["workload"], options=f"--dataflow {dataflow} --timesteps 1..4",
               assumptions=("bar heights stand in an image only: the trend is the target", *MACHINE), **common)
        for dataflow in DATAFLOWS
    ]  # fmt: skip
    return [*figure_4b, _figure_5a(paper, common), _exit(paper, common), _against_ann(common)]


def _figure_5a(paper: str, common: dict[str, Any]) -> Target:
    data = published()["figure_5a"]
    return Target(
        "fig5a.machine", paper, "Fig. 5a and text",
        "data-movement energy that tick-batch saves against OS, VGG9 on TinyImageNet, T=4, executable",
        data["saving"], "%", Tolerance("absolute", 1.0), _saving, workload=data["workload"],
        options="--dataflow tick-batch and os, --timesteps 1..8",
        assumptions=("DRAM and buffers, leakage of the buffers included", *MACHINE), **common,
    )  # fmt: skip


def _exit(paper: str, common: dict[str, Any]) -> Target:
    return Target(
        "dt-snn.machine", paper, "Section IV and Fig. 4b",
        "energy that early exit saves against all 4 timesteps of the same schedule, shipped vgg9",
        published()["dt_snn"]["saving"], "%", Tolerance("absolute", 1.0), _early_exit, workload="vgg9",
        options=f"--dataflow os/block:B, options.early_exit, --samples {EXIT_SAMPLES} --accuracy {EXIT_IMAGES}",
        assumptions=("another network on other images than the published one: exits come from its own outputs",
                     f"largest threshold that costs at most {SLACK_POINTS:g} point of accuracy, block of 1 timestep",
                     *MACHINE), **common,
    )  # fmt: skip


def _against_ann(common: dict[str, Any]) -> Target:
    data = published()["snn_over_ann"]
    return Target(
        "snn-ann.machine", f"{data['cite']} by {published()['paper']}", "Section III.A",
        "energy of an SNN of 16 timesteps / energy of its ANN on one array, output-stationary ('as large as')",
        data["ratio"], "1", Tolerance("relative", 0.1), _ratio, workload="vgg9 and vgg9_ann",
        options="--dataflow os --timesteps 16; ANN: --set options.direct_input=mac",
        assumptions=("trained for 4 timesteps, run for 16", "ANN: 8-bit activations, multiply-accumulate, no LIF units",
                     *MACHINE), **common,
    )  # fmt: skip


def _growth(dataflow: str) -> Measured:
    workload = published()["figure_4b"]["workload"]
    runs = [simulate(workload, dataflow=dataflow, timesteps=timesteps) for timesteps in SWEEP_4B]
    moved = [movement_J(run) for run in runs]
    rest = [run.totals["energy_J"] - joules for run, joules in zip(runs, moved, strict=True)]
    beside = []
    for timesteps, compute, movement in zip(SWEEP_4B, rest, moved, strict=True):
        beside.append(Beside(f"T={timesteps}: computation", None, compute * 1e9, "nJ"))
        beside.append(Beside(f"T={timesteps}: data movement", None, movement * 1e9, "nJ"))
    grows = all(a < b for values in (rest, moved) for a, b in itertools.pairwise(values))
    return Measured(runs[-1].totals["energy_J"] / runs[0].totals["energy_J"], trend=grows, beside=tuple(beside))


def _saving() -> Measured:
    data = published()["figure_5a"]
    savings, beside = {}, []
    for timesteps in SWEEP_5A:
        ours, plain = (simulate(data["workload"], dataflow=dataflow, timesteps=timesteps) for dataflow in DATAFLOWS)
        savings[timesteps] = 100 * (1 - movement_J(ours) / movement_J(plain))
        beside.append(Beside(f"T={timesteps}", None, savings[timesteps], "%"))
        dram = [run.energy_by("component")["dram"] for run in (ours, plain)]
        beside.append(Beside(f"T={timesteps}: DRAM alone", None, 100 * (1 - dram[0] / dram[1]), "%"))
    rising = list(savings.values())
    return Measured(savings[data["timesteps"]], trend=rising == sorted(rising), beside=tuple(beside))


def _early_exit() -> Measured:
    timesteps = published()["dt_snn"]["timesteps"]
    options: dict[str, Any] = {"samples": EXIT_SAMPLES, "accuracy": EXIT_IMAGES, "timesteps": timesteps}
    packed = simulate("vgg9", dataflow="tick-batch", **options)
    beside = [Beside("accuracy without exit", None, 100 * packed.totals["accuracy"], "%")]
    chosen: float | None = None
    for block in BLOCKS:
        dataflow = f"os/block:{block}"
        full = simulate("vgg9", dataflow=dataflow, **(options | {"accuracy": 0}))
        for threshold in THRESHOLDS:
            rule = f"options.early_exit={{threshold: {threshold}, block: {block}}}"
            run = simulate("vgg9", dataflow=dataflow, overrides=[rule], **options)
            saved = 100 * (1 - run.totals["energy_J"] / full.totals["energy_J"])
            lost = 100 * (packed.totals["accuracy"] - run.totals["accuracy"])
            beside += _exit_rows(f"block {block}, threshold {threshold}", run, saved, packed)
            if block == 1 and chosen is None and lost <= SLACK_POINTS:
                chosen = saved
    return Measured(chosen, trend=chosen is not None and chosen > 0, beside=tuple(beside))


def _exit_rows(label: str, run: Result, saved: float, packed: Result) -> list[Beside]:
    steps = [row.value for row in run.rows if row.metric == "timesteps"]
    entropy = run.energy_by("component").get("entropy", 0.0)
    against = 100 * (1 - run.totals["energy_J"] / packed.totals["energy_J"])
    return [
        Beside(f"{label}: energy saved, same schedule", None, saved, "%"),
        Beside(f"{label}: energy saved against tick-batch", None, against, "%"),
        Beside(f"{label}: mean timesteps", None, math.fsum(steps) / len(steps), "1"),
        Beside(f"{label}: accuracy", None, 100 * run.totals["accuracy"], "%"),
        Beside(f"{label}: share of the entropy unit", None, 100 * entropy / run.totals["energy_J"], "%"),
    ]


def _ratio() -> Measured:
    steps = published()["snn_over_ann"]["timesteps"]
    ann = simulate("vgg9_ann", dataflow="os", overrides=["options.direct_input=mac"])
    beside, ratios = [], {}
    for dataflow in ("os", "tick-batch"):
        for timesteps in (1, 4, steps):
            snn = simulate("vgg9", dataflow=dataflow, timesteps=timesteps)
            ratios[dataflow, timesteps] = snn.totals["energy_J"] / ann.totals["energy_J"]
            label = f"{dataflow}, T={timesteps}"
            beside.append(Beside(f"{label}: energy ratio", None, ratios[dataflow, timesteps], "1"))
            slower = snn.totals["latency_s"] / ann.totals["latency_s"]
            beside.append(Beside(f"{label}: latency ratio", None, slower, "1"))
    return Measured(ratios["os", steps], trend=ratios["os", steps] > 1, beside=tuple(beside))
