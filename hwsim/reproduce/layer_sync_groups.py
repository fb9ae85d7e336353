"""Group sizes in training and inference (fig. 7, appendices A.7 and A.8 of the layer synchronisation paper).

Asked of the networks for ``sequences``, the only ones trained with three groups.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.reproduce.layer_sync_runs import ALL, GROUP, LAYERED, Inference, Study, file_of, seeds_of
from hwsim.reproduce.layer_sync_seen import PERCENT, column, difference, mean, points, spread
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

DATA = "sequences"
TRAINED: dict[str, dict[int, str]] = {
    method: {4: f"{method}_f4", GROUP: method, 16: f"{method}_f16"} for method in ("rs", "ms")
}
"""Policy -> group in training -> network."""
TESTED = (1, 4, GROUP, 16, 64, ALL)
UNTIL_DONE = (1, 4, GROUP)
"""Groups of runs that do not stop on output: a step more after it is little with a group of 1."""
WORDS = {"rs": "RS", "ms": "MS"}
DOUBLE = (1.5, 2.5)
"""What counts as 'approximately double'."""
NONE = Tolerance("absolute", 0.0)


def targets(samples: int) -> list[Target]:
    """Accuracy over the group in training, and the cost of halving it."""
    common: dict[str, Any] = {"paper": published("layer_sync")["paper"], "tolerance": NONE, "quick": False}
    rising = (
        f"trend: accuracy under asynchronous inference (F {GROUP}) rises from 16 to 8 to 4, its ends more than two "
        "standard errors apart"
    )
    made = []
    for method, word in WORDS.items():
        study, beside = study_of(samples, method)
        made.append(
            Target(f"layer-sync.group-{method}", place="section 4.6, fig. 7, appendix A.7", published=None,
                   unit="points", run=functools.partial(group_accuracy, study, method), assumptions=(rising, beside),
                   what=f"accuracy of networks trained at F 4 over those at F 16, both {word} at F {GROUP}",
                   workload=_files(study, [method]), options=f"sequences, {samples} test samples", **common)
        )  # fmt: skip
    study, beside = study_of(samples, *WORDS)
    made.append(
        Target("layer-sync.group-cost", place="section 4.6, appendix A.8", published=published("layer_sync")["halving"],
               unit="1", what="cost of training when the group is halved, as forward steps per timestep, RS",
               run=functools.partial(group_cost, study), workload=_files(study, list(WORDS)),
               options="sequences; until done, as in training; mean of 16 -> 8 and 8 -> 4",
               assumptions=("time and memory are linear in the number of forward steps (section 3.2.1)",
                            f"trend: about double, {DOUBLE[0]:g} to {DOUBLE[1]:g}, for both halvings", beside),
               **common)
    )  # fmt: skip
    return made


def study_of(samples: int, *methods: str) -> tuple[Study, str]:
    """The study of all seeds that were trained with every group, and what to say of them."""
    seeds = seeds_of(DATA, tuple(name for method in methods for name in TRAINED[method].values()))
    return Study(DATA, samples, seeds), f"trainings per group: {len(seeds)}, seeds {', '.join(map(str, seeds))}"


def _files(study: Study, methods: list[str]) -> str:
    names = dict.fromkeys(name for method in methods for name in TRAINED[method].values())
    return " and ".join(file_of(DATA, name, seed) for seed in study.seeds for name in names)


def group_accuracy(study: Study, method: str) -> Measured:
    """Fig. 7 with the trained and the tested group."""
    at = {group: study.runs(name, Inference(method)) for group, name in TRAINED[method].items()}
    apart, rows = points(study, at[4], at[16])
    rising = mean(at[4], "right") >= mean(at[GROUP], "right") >= mean(at[16], "right")
    names = {"layered": "layered", **{f"{WORDS[method]} F {g}": name for g, name in TRAINED[method].items()}}
    for what, field, scale, unit in (("accuracy", "right", PERCENT, "%"), ("density", "density", 1.0, "1"),
                                     ("propagated", "propagated", 1.0, "1")):  # fmt: skip
        for label, name in names.items():
            for group in TESTED:
                value = scale * mean(study.runs(name, Inference(method, group)), field)
                rows.append(Beside(f"{what}, trained {label}: run at F {group or 'all'}", None, value, unit))
            if what == "accuracy" and len(study.seeds) > 1:
                apart_seeds = scale * spread(study.runs(name, Inference(method)), field)
                rows.append(Beside(f"accuracy, trained {label}: spread of seeds at F {GROUP}", None, apart_seeds, unit))
            layered = scale * mean(study.runs(name, LAYERED), field)
            rows.append(Beside(f"{what}, trained {label}: run layered", None, layered, unit))
    for label, name in names.items():
        for group in UNTIL_DONE:
            value = PERCENT * mean(study.runs(name, Inference(method, group, None)), "right")
            rows.append(Beside(f"accuracy until done, trained {label}: run at F {group}", None, value, "%"))
    return Measured(PERCENT * apart.mean, trend=rising and apart.more, beside=tuple(rows))


def group_cost(study: Study) -> Measured:
    """Forward steps until done at the group of the training, and what an epoch took."""
    found = {method: {g: study.runs(name, Inference(method, g, None)) for g, name in names.items()}
             for method, names in TRAINED.items()}  # fmt: skip
    ratios = {}
    rows = []
    for method, runs in found.items():
        for group in runs:
            label = f"{WORDS[method]}, F {group}"
            rows += [Beside(f"{label}: steps per timestep", None, mean(runs[group], "steps"), "1"),
                     Beside(f"{label}: seconds per epoch (median; machine in use)", None,
                            _seconds(TRAINED[method][group]), "s")]  # fmt: skip
        ratios[method] = [mean(runs[small], "steps") / mean(runs[large], "steps") for small, large in pairwise(runs)]
        rows += [Beside(f"{WORDS[method]}, steps at F {small} / at F {large}", None, value, "1")
                 for (small, large), value in zip(pairwise(runs), ratios[method], strict=True)]  # fmt: skip
    for key, seconds in published("layer_sync")["seconds_per_epoch"].items():
        name = published("layer_sync")["sets"][key]["name"]
        rows += [
            Beside(f"their seconds per epoch, {name}, {which}", b / a, None, "1")
            for which, (a, b) in zip(("2nd / 1st group", "3rd / 2nd group"), pairwise(seconds[1:]), strict=True)
        ]
    low, high = DOUBLE
    more = all(difference(column(found["rs"][s], "steps"), column(found["rs"][g], "steps")).more
               for s, g in ((4, GROUP), (GROUP, 16)))  # fmt: skip
    about = all(low <= value <= high for value in ratios["rs"])
    return Measured(float(np.mean(ratios["rs"])), trend=more and about, beside=tuple(rows))


def _seconds(name: str) -> float:
    return float(np.median([epoch["seconds"] for epoch in _training(name)["history"]]))


def _training(name: str) -> Mapping[str, Any]:
    from hwsim.workload import load

    return load(file_of(DATA, name)).training
