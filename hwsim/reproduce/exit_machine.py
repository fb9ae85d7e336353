"""DT-SNN on the machine with the shipped network: energy saved and accuracy left, by block of timesteps and threshold.

Which images stop when, and whether they are decided rightly, comes from the network alone, for all images. What
stopping after t timesteps costs comes from the machine, for a few images that do stop there. Both meet in the mean:
energy = sum over t of (share of images that stop after t) x (energy of stopping after t).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.reproduce.machine import MACHINE
from hwsim.reproduce.measure import ARCHITECTURE, NJ, Run, decisions, measure, right
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

WORKLOAD = "vgg9"
IMAGES = 500
RUNS = 3
"""Images simulated for each number of timesteps after which some stop."""

THRESHOLDS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
"""Entropy over its largest value, log(classes)."""

BLOCKS = (1, 2, 4)
SLACK_POINTS = 1.0


@dataclass(frozen=True)
class Stop:
    """Machine runs of images that stop after ``timesteps``: with the exit, and the same images without it."""

    timesteps: int
    exit: Run
    whole: Run
    packed: Run


@dataclass(frozen=True)
class Case:
    """One block size and threshold. Energies in J, means over all images; accuracy and savings in percent."""

    block: int
    threshold: float
    accuracy: float
    mean_timesteps: float
    computation_J: float
    movement_J: float
    whole_J: float
    packed_J: float
    entropy_J: float

    @property
    def energy_J(self) -> float:
        """Whole energy of one image, with the exit."""
        return self.computation_J + self.movement_J

    @property
    def saved(self) -> float:
        """Against all timesteps of the same schedule."""
        return 100 * (1 - self.energy_J / self.whole_J)


@dataclass(frozen=True)
class Study:
    """All cases of a workload."""

    cases: tuple[Case, ...]
    accuracies: tuple[float, ...]
    """In percent, after 1, 2, ... timesteps, the same for every image."""

    whole: Run
    """All timesteps, block of 1: the schedule that the main saving is measured against."""

    @property
    def timesteps(self) -> int:
        """All timesteps."""
        return len(self.accuracies)


def targets() -> list[Target]:
    """What the shipped network saves, and the share of the entropy unit."""
    data = published()["dt_snn"]
    common: dict[str, Any] = {"architecture": ARCHITECTURE, "workload": WORKLOAD, "quick": False}
    how = (
        f"exits and accuracy: {IMAGES} test images through the network alone; energy of stopping after t timesteps: "
        f"{RUNS} of the images that do, on the machine, and the same images without exit",
        "another network on other images than the published one: exits come from its own outputs",
    )
    options = "--dataflow os/block:B --set 'options.early_exit={threshold: X, block: B}'"
    return [
        Target("dt-snn.machine", published()["paper"], "Section IV and Fig. 4b",
               "energy that early exit saves against all 4 timesteps of the same schedule, shipped vgg9",
               data["saving"], "%", Tolerance("absolute", 1.0), _saving, options=options,
               assumptions=(*how, f"largest threshold that costs at most {SLACK_POINTS:g} point of accuracy, block "
                            "of 1 timestep", *MACHINE), **common),
        Target("dt-snn.entropy-unit", published()["paper"], "Section IV ('negligible')",
               "largest share of the entropy unit in the energy, shipped vgg9 (to be shown: below 1 %)",
               None, "%", Tolerance("absolute", 1.0), _entropy, options=options,
               assumptions=("'negligible' taken as below 1 %; the unit's prices and leakage are assumed, known to a "
                            "factor of two", *how, *MACHINE), **common),
    ]  # fmt: skip


@functools.cache
def study(workload: str, images: int = IMAGES, runs: int = RUNS) -> Study:
    """Every block size and threshold on one workload; ``images`` decided, ``runs`` of each stopping time simulated."""
    timesteps = published()["dt_snn"]["timesteps"]
    whole = measure(workload, dataflow="os/block:1", timesteps=timesteps)
    outputs, labels = decisions(whole.network, images)
    cases = []
    for block in BLOCKS:
        thresholds = THRESHOLDS if block < timesteps else THRESHOLDS[:1]  # at the end there is nothing to decide
        stops = {threshold: _stops(outputs, threshold, block) for threshold in thresholds}
        ends = np.unique([*stops.values()]).tolist()
        measured = {stop: _measure(workload, block, stop, stops, timesteps, runs) for stop in ends}
        cases += [_case(block, threshold, found, outputs, labels, measured) for threshold, found in stops.items()]
    return Study(tuple(cases), tuple(right(outputs[:, t], labels) for t in range(timesteps)), whole)


def _stops(outputs: np.ndarray, threshold: float, block: int) -> np.ndarray:
    """Timesteps [N] that each image runs."""
    from hwsim.network.exit import ExitRule, exit_timesteps

    rule = ExitRule(threshold, block)
    return np.array([exit_timesteps(rule, logits) for logits in outputs], dtype=np.int64)


def _measure(workload: str, block: int, stop: int, stops: dict[float, np.ndarray], timesteps: int, runs: int) -> Stop:
    """Simulate the first images that stop after ``stop`` timesteps, at the threshold where most images do."""
    threshold = max(stops, key=lambda name: int((stops[name] == stop).sum()))
    numbers = [int(number) for number in np.flatnonzero(stops[threshold] == stop)[:runs]]
    dataflow, rule = f"os/block:{block}", f"options.early_exit={{threshold: {threshold}, block: {block}}}"
    options: dict[str, Any] = {"timesteps": timesteps, "samples": numbers}
    found = Stop(
        stop,
        measure(workload, dataflow=dataflow, overrides=[rule], **options),
        measure(workload, dataflow=dataflow, **options),
        measure(workload, dataflow="tick-batch", **options),
    )
    ran = {row.value for row in found.exit.costs.rows if row.metric == "timesteps"}
    assert ran == {stop}, "machine and network must stop together"
    return found


def _case(
    block: int, threshold: float, stops: np.ndarray, outputs: np.ndarray, labels: np.ndarray, measured: dict[int, Stop]
) -> Case:
    decided = outputs[np.arange(len(stops)), stops - 1]
    share = {t: float((stops == t).mean()) for t in measured}

    def mean(values: dict[int, float]) -> float:
        return float(sum(share[t] * value for t, value in values.items()))

    return Case(
        block, threshold, right(decided, labels), float(stops.mean()),
        mean({t: m.exit.computation_J for t, m in measured.items()}),
        mean({t: m.exit.movement_J for t, m in measured.items()}),
        mean({t: m.whole.energy_J for t, m in measured.items()}),
        mean({t: m.packed.energy_J for t, m in measured.items()}),
        mean({t: m.exit.parts_J.get("entropy", 0.0) for t, m in measured.items()}),
    )  # fmt: skip


def chosen(found: Study) -> Case | None:
    """Block of 1 timestep, the largest threshold that costs at most ``SLACK_POINTS`` of accuracy."""
    fitting = [c for c in found.cases if c.block == 1 and found.accuracies[-1] - c.accuracy <= SLACK_POINTS]
    return max(fitting, key=lambda case: case.threshold, default=None)


def _saving() -> Measured:
    found, data = study(WORKLOAD), published()["dt_snn"]
    best = chosen(found)
    implied = data["timesteps"] * (1 - data["saving"] / 100)
    beside = [
        *(Beside(f"accuracy without exit, T={t}", None, share, "%") for t, share in enumerate(found.accuracies, 1)),
        Beside("mean T that the published saving implies if energy is proportional to T", implied, None, "1"),
        Beside("Fig. 4b bar, all timesteps (os/block:1): computation", None, found.whole.computation_J * NJ, "nJ"),
        Beside("Fig. 4b bar, all timesteps (os/block:1): data movement", None, found.whole.movement_J * NJ, "nJ"),
    ]
    if best is not None:
        label = f"Fig. 4b bar, DT-SNN (threshold {best.threshold})"
        beside += [
            Beside(f"{label}: computation", None, best.computation_J * NJ, "nJ"),
            Beside(f"{label}: data movement", None, best.movement_J * NJ, "nJ"),
        ]
    for case in found.cases:
        beside += _case_rows(case, found.timesteps)
    saved = None if best is None else best.saved
    return Measured(saved, trend=saved is not None and saved > 0, beside=tuple(beside))


def _case_rows(case: Case, timesteps: int) -> list[Beside]:
    last = case.block >= timesteps
    label = f"block {case.block}, " + ("no decision before the end" if last else f"threshold {case.threshold}")
    packed = 100 * (1 - case.energy_J / case.packed_J)
    return [
        Beside(f"{label}: mean T", None, case.mean_timesteps, "1"),
        Beside(f"{label}: accuracy", None, case.accuracy, "%"),
        Beside(f"{label}: saved, same schedule", None, case.saved, "%"),
        Beside(f"{label}: if proportional to T", None, 100 * (1 - case.mean_timesteps / timesteps), "%"),
        Beside(f"{label}: saved against tick-batch, all T", None, packed, "%"),
        Beside(f"{label}: share of the entropy unit", None, 100 * case.entropy_J / case.energy_J, "%"),
    ]


def _entropy() -> Measured:
    found = study(WORKLOAD)
    largest = max(found.cases, key=lambda case: case.entropy_J / case.energy_J)
    share = 100 * largest.entropy_J / largest.energy_J
    beside = [
        Beside(f"block {case.block}: threshold {case.threshold}", None, 100 * case.entropy_J / case.energy_J, "%")
        for case in found.cases
    ]
    return Measured(share, trend=0 < share < 1, beside=tuple(beside))
