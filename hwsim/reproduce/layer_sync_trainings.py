"""What the training is changed by: very small groups, no momentum noise, refractory dropout none or full.

Appendix A.7 of the layer synchronisation paper, asked of networks for ``sequences`` that differ from the others in one
thing (``layer_sync_runs.VARIANTS``), seed by seed.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from hwsim.reproduce.layer_sync_runs import GROUP, LAYERED, Inference, Study, file_of, seeds_of
from hwsim.reproduce.layer_sync_seen import PERCENT, mean, points
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance
from hwsim.shipped import folder

DATA = "sequences"
SMALL = 2
"""The very small group."""
EDGE = "more than two standard errors"


class Change(NamedTuple):
    """One thing changed in training. ``word``: how ``one`` differs from ``other``; ``better``: what the paper says."""

    key: str
    what: str
    one: str
    other: str
    labels: tuple[str, str]
    better: bool


def _changes() -> tuple[Change, ...]:
    found = []
    for method, word in (("rs", "RS"), ("ms", "MS")):
        found.append(Change(f"stalling-{method}", f"accuracy of networks trained at F {SMALL} over those at F {GROUP}, "
                            f"both {word} at F {GROUP}", f"{method}_f2", method,
                            (f"{word} F {SMALL}", f"{word} F {GROUP}"), False))  # fmt: skip
    found.append(Change("noise", "accuracy of MS -> MS trained with momentum noise 0.1 over training without", "ms",
                        "ms_noise0", ("MS, noise 0.1", "MS, noise 0"), True))  # fmt: skip
    for method, word in (("rs", "RS"), ("ms", "MS")):
        own = f"accuracy of {word} -> {word} trained with refractory dropout"
        some, none, full = (f"{word}, dropout {share}" for share in ("0.8", "0", "1"))
        found += [Change(f"refractory-{method}", f"{own} 0.8 over training without", method, f"{method}_refractory0",
                         (some, none), True),
                  Change(f"refractory-full-{method}", f"{own} 1 over 0.8", f"{method}_refractory1", method,
                         (full, some), False)]  # fmt: skip
    return tuple(found)


CHANGES = _changes()


def targets(samples: int) -> list[Target]:
    """One target per change."""
    return [_target(change, samples) for change in CHANGES]


def _target(change: Change, samples: int) -> Target:
    seeds = seeds_of(DATA, (change.one, change.other))
    study = Study(DATA, samples, seeds)
    files = [file_of(DATA, name, seed) for seed in seeds for name in (change.one, change.other)]
    return Target(
        f"layer-sync.{change.key}", published("layer_sync")["paper"], "appendix A.7", change.what, None, "points",
        Tolerance("absolute", 0.0), functools.partial(compare, study, change), workload=" and ".join(files),
        options=f"{DATA}, {samples} test samples, seeds {', '.join(map(str, seeds)) or 'none: not in workloads/seeds'}",
        quick=False,
        assumptions=(f"trend: {'better' if change.better else 'worse'} by {EDGE}",
                     "epochs, samples and everything else as in the other training; no momentum noise in inference"),
    )  # fmt: skip


def compare(study: Study, change: Change) -> Measured:
    """Accuracy of the two trainings, and how each of them went."""
    if not study.seeds:
        return Measured(None)
    own = Inference(change.other[:2])
    pair = {label: study.runs(name, own) for label, name in zip(change.labels, (change.one, change.other), strict=True)}
    apart, rows = points(study, *pair.values())
    for label, name in zip(change.labels, (change.one, change.other), strict=True):
        rows += _inferences(study, label, name, own) + _course(study, label, name)
    holds = apart.more if change.better else apart.less
    return Measured(PERCENT * apart.mean, trend=holds, beside=tuple(rows))


def _inferences(study: Study, label: str, name: str, own: Inference) -> list[Beside]:
    ways = {f"run at F {GROUP}": own, f"run at F {SMALL}": own._replace(group=SMALL),
            f"run at F {GROUP} until done": own._replace(after=None), "run layered": LAYERED}  # fmt: skip
    return [Beside(f"{label}: {words}", None, PERCENT * mean(study.runs(name, way), "right"), "%")
            for words, way in ways.items()]  # fmt: skip


def _course(study: Study, label: str, name: str) -> list[Beside]:
    """Means over seeds of how the training ended, and the first epoch in which half of the samples were right."""
    from hwsim.workload import load

    histories: list[Any] = [
        load(folder("workloads") / f"{file_of(study.data, name, seed)}.npz").training["history"] for seed in study.seeds
    ]
    half: list[Any] = [next((e["epoch"] for e in history if e["accuracy"] >= 0.5), None) for history in histories]
    last = [history[-1] for history in histories]
    return [
        Beside(f"{label}: last loss", None, float(np.mean([e["loss"] for e in last])), "1"),
        Beside(f"{label}: accuracy in training", None, PERCENT * float(np.mean([e["accuracy"] for e in last])), "%"),
        Beside(f"{label}: first epoch with half right", None, None if None in half else float(np.mean(half)), "1"),
    ]
