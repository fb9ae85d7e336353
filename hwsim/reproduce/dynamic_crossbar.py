"""DT-SNN on the crossbar machine with the shipped network: EDP saved and accuracy left, by threshold.

As in ``exit_machine``: which images stop when, and whether they are decided rightly, comes from the network on the
programmed arrays, for all images; what stopping after t timesteps costs comes from the machine, for a few images that
do stop there. The paper's factor is taken as a mean over images of energy x latency:
sum over t of (share of images that stop after t) x (mean EDP of images that stop after t).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.reproduce import progress
from hwsim.reproduce.crossbar_machine import ARCHITECTURE, Spent, identity, kept, run, runner
from hwsim.reproduce.exit_machine import SLACK_POINTS
from hwsim.reproduce.measure import decisions, right
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

WORKLOAD = "vgg9"
IMAGES = 200
RUNS = 2
"""Images simulated for each number of timesteps after which some stop."""

TIMESTEPS = 4
THRESHOLDS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
"""Entropy over its largest value, log(classes)."""

PIPELINES = {
    "speculate": "later timesteps enter meanwhile, and what they began counts",
    "wait": "a timestep enters when the decision on the one before has fallen",
}


@dataclass(frozen=True)
class Mean:
    """Means over samples: energy in J, latency in s, and the mean of their products in Js."""

    energy_J: float
    latency_s: float
    edp_Js: float

    @classmethod
    def of(cls, spent: list[Spent]) -> Mean:
        """Equal weights."""
        values = [(one.energy_J, one.latency_s, one.edp_Js) for one in spent]
        return cls(*(float(np.mean(column)) for column in zip(*values, strict=True)))

    @classmethod
    def weighted(cls, shares: dict[int, float], means: dict[int, Mean]) -> Mean:
        """Over all images, ``shares`` of which are described by each mean."""
        values = [[share * part for part in _parts(means[t])] for t, share in shares.items()]
        return cls(*(float(sum(column)) for column in zip(*values, strict=True)))


def _parts(mean: Mean) -> tuple[float, float, float]:
    return mean.energy_J, mean.latency_s, mean.edp_Js


@dataclass(frozen=True)
class Case:
    """One threshold. ``shares``: of images by timesteps run; accuracy in percent; both means over all images."""

    threshold: float
    shares: dict[int, float]
    accuracy: float
    exit: Mean
    whole: Mean

    @property
    def mean_timesteps(self) -> float:
        """Over all images."""
        return sum(t * share for t, share in self.shares.items())

    @property
    def saved(self) -> float:
        """EDP without exit over EDP with it, means of products."""
        return self.whole.edp_Js / self.exit.edp_Js

    @property
    def product_of_means(self) -> float:
        """The same with mean energy times mean latency, which is the EDP of no image."""
        return self.whole.energy_J * self.whole.latency_s / (self.exit.energy_J * self.exit.latency_s)


@dataclass(frozen=True)
class Study:
    """All thresholds on one pipeline. ``accuracies``: in percent after 1, 2, ... timesteps, without exit."""

    cases: tuple[Case, ...]
    accuracies: tuple[float, ...]
    software: float


def targets() -> list[Target]:
    """One for each way to go on while the decision falls."""
    data = published("spikesim")["edp"]
    common: dict[str, Any] = {
        "published": data["dt_snn"], "unit": "1", "tolerance": Tolerance("printed", step=0.01), "quick": False,
        "architecture": ARCHITECTURE, "workload": WORKLOAD,
    }  # fmt: skip
    return [
        Target(f"spikesim-edp.dt-snn-{pipeline}", published()["paper"], data["place"],
               f"EDP at T={TIMESTEPS} / mean EDP of early exit, shipped {WORKLOAD} on non-ideal arrays, {pipeline}",
               run=functools.partial(_saving, pipeline),
               options=f"--set 'options.early_exit={{threshold: X, block: 1, pipeline: {pipeline}}}'",
               assumptions=(f"pipeline '{pipeline}': {words}",
                            f"exits and accuracy: {IMAGES} test images through the network on the arrays; EDP of "
                            f"stopping after t timesteps: {RUNS} of the images that do, on the machine, and the same "
                            "images without exit",
                            f"largest threshold that costs at most {SLACK_POINTS:g} point of accuracy on these arrays",
                            "another network on other images than the published one: exits come from its own outputs",
                            "trend: early exit saves EDP"), **common)
        for pipeline, words in PIPELINES.items()
    ]  # fmt: skip


def outputs_of(workload: str, images: int, software: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(output [N, T, classes] accumulated over time, labels [N]) of the default machine, or exact; kept."""

    def make() -> dict[str, np.ndarray]:
        made = runner(workload, (), TIMESTEPS)
        network = made.exact if software else made.frozen
        assert network is not None, "a network with weights"
        outputs, labels = decisions(network, images)
        return {"outputs": outputs, "labels": labels}

    found = kept(("outputs", *identity(workload, (), TIMESTEPS), str(images), str(software)), make)
    return found["outputs"], found["labels"]


@functools.cache
def study(pipeline: str, workload: str = WORKLOAD, images: int = IMAGES, runs: int = RUNS) -> Study:
    """All thresholds; ``images`` decided, ``runs`` of each stopping time simulated."""
    progress.report(0, 1, f"{workload} on the arrays, {images} images")
    outputs, labels = outputs_of(workload, images)
    exact, _ = outputs_of(workload, images, software=True)
    stops = {threshold: _stops(outputs, threshold) for threshold in THRESHOLDS}
    ends = np.unique([*stops.values()]).tolist()
    chosen = {stop: _images(stops, stop, runs) for stop in ends}
    whole = {stop: Mean.of([run(workload, TIMESTEPS, (), number) for number in found[1]])
             for stop, found in chosen.items()}  # fmt: skip
    measured = {}
    for place, (stop, (threshold, numbers)) in enumerate(chosen.items()):
        progress.report(place, len(ends), f"early exit, {pipeline}: stop after {stop}")
        measured[stop] = _measure(pipeline, workload, threshold, stop, numbers)
    cases = [_case(threshold, found, outputs, labels, measured, whole) for threshold, found in stops.items()]
    accuracies = tuple(right(outputs[:, t], labels) for t in range(TIMESTEPS))
    return Study(tuple(cases), accuracies, right(exact[:, -1], labels))


def _stops(outputs: np.ndarray, threshold: float) -> np.ndarray:
    """Timesteps [N] that each image runs."""
    from hwsim.network.exit import ExitRule, exit_timesteps

    rule = ExitRule(threshold)
    return np.array([exit_timesteps(rule, logits) for logits in outputs], dtype=np.int64)


def _images(stops: dict[float, np.ndarray], stop: int, runs: int) -> tuple[float, list[int]]:
    """The threshold at which most images stop after ``stop`` timesteps, and the first of these images."""
    threshold = max(stops, key=lambda name: int((stops[name] == stop).sum()))
    return threshold, [int(number) for number in np.flatnonzero(stops[threshold] == stop)[:runs]]


def _measure(pipeline: str, workload: str, threshold: float, stop: int, numbers: list[int]) -> Mean:
    rule = f"options.early_exit={{threshold: {threshold}, block: 1, pipeline: {pipeline}}}"
    spent = [run(workload, TIMESTEPS, (rule,), number) for number in numbers]
    assert {one.timesteps for one in spent} == {stop}, "machine and network must stop together"
    return Mean.of(spent)


def _case(
    threshold: float,
    stops: np.ndarray,
    outputs: np.ndarray,
    labels: np.ndarray,
    measured: dict[int, Mean],
    whole: dict[int, Mean],
) -> Case:
    shares = {t: float((stops == t).mean()) for t in measured}
    decided = outputs[np.arange(len(stops)), stops - 1]
    exit_mean, whole_mean = (Mean.weighted(shares, means) for means in (measured, whole))
    return Case(threshold, shares, right(decided, labels), exit_mean, whole_mean)


def chosen(found: Study) -> Case | None:
    """The largest threshold that costs at most ``SLACK_POINTS`` of accuracy."""
    fitting = [case for case in found.cases if found.accuracies[-1] - case.accuracy <= SLACK_POINTS]
    return max(fitting, key=lambda case: case.threshold, default=None)


def nearest(found: Study, mean_timesteps: float) -> Case:
    """The threshold whose mean T is nearest."""
    return min(found.cases, key=lambda case: abs(case.mean_timesteps - mean_timesteps))


def _saving(pipeline: str) -> Measured:
    found, data = study(pipeline), published("spikesim")["edp"]
    best, near = chosen(found), nearest(found, data["mean_timesteps"])
    label = f"threshold {near.threshold}, whose mean T is nearest the published"
    rows = [
        Beside("mean T at the chosen threshold", data["mean_timesteps"], None if best is None else best.mean_timesteps,
               "1"),
        Beside("chosen threshold", None, None if best is None else best.threshold, "1"),
        Beside(f"{label}, mean T", data["mean_timesteps"], near.mean_timesteps, "1"),
        Beside(f"{label}, EDP saved", data["dt_snn"], near.saved, "1"),
        Beside(f"accuracy in software, T={TIMESTEPS}", None, found.software, "%"),
        *(Beside(f"accuracy on the arrays without exit, T={t}", None, share, "%")
          for t, share in enumerate(found.accuracies, 1)),
    ]  # fmt: skip
    for case in found.cases:
        rows += _case_rows(case)
    saved = None if best is None else best.saved
    return Measured(saved, trend=saved is not None and saved > 1, beside=tuple(rows))


def _case_rows(case: Case) -> list[Beside]:
    label = f"threshold {case.threshold}"
    return [
        Beside(f"{label}: mean T", None, case.mean_timesteps, "1"),
        Beside(f"{label}: accuracy", None, case.accuracy, "%"),
        *(Beside(f"{label}: exit at T={t}", None, 100 * case.shares.get(t, 0.0), "%") for t in range(1, TIMESTEPS + 1)),
        Beside(f"{label}: EDP saved, mean of products", None, case.saved, "1"),
        Beside(f"{label}: product of means", None, case.product_of_means, "1"),
        Beside(f"{label}: energy saved", None, 100 * (1 - case.exit.energy_J / case.whole.energy_J), "%"),
        Beside(f"{label}: latency saved", None, 100 * (1 - case.exit.latency_s / case.whole.latency_s), "%"),
    ]  # fmt: skip
