"""How a statement of the layer synchronisation paper is answered: differences with their error, medians by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hwsim.reproduce.layer_sync_runs import Evaluation, Study
from hwsim.reproduce.target import Beside

ERRORS = 2.0
"""Standard errors from which on a difference counts."""
PERCENT = 100.0


class Seen(NamedTuple):
    """What a statement was answered by."""

    value: float
    holds: bool
    beside: tuple[Beside, ...] = ()


class Difference(NamedTuple):
    """Mean of a difference over samples and seeds, and its standard error."""

    mean: float
    error: float

    @property
    def more(self) -> bool:
        """Above 0 by more than chance."""
        return self.mean > ERRORS * self.error

    @property
    def less(self) -> bool:
        """Below 0 by more than chance."""
        return -self.mean > ERRORS * self.error


def difference(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> Difference:
    """``one`` - ``other``, each a value per sample [S] for every seed, paired.

    The error has the samples' share (of the means over seeds) and, with more than one seed, the seeds'.
    """
    apart = np.array(one) - np.array(other)
    seeds, samples = apart.shape
    variance = float(apart.mean(axis=0).var(ddof=1)) / samples if samples > 1 else math.inf
    if seeds > 1:
        variance += float(apart.mean(axis=1).var(ddof=1)) / seeds
    return Difference(float(apart.mean()), math.sqrt(variance))


def column(runs: Sequence[Evaluation], name: str) -> list[np.ndarray]:
    """One field of every seed's evaluation."""
    return [getattr(run, name) for run in runs]


def mean(runs: Sequence[Evaluation], name: str) -> float:
    """Mean of a field over samples and seeds."""
    return float(np.mean([values.mean() for values in column(runs, name)]))


def spread(runs: Sequence[Evaluation], name: str) -> float:
    """Standard deviation of a field's mean between seeds; nan for a single one."""
    means = [values.mean() for values in column(runs, name)]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan


def ratio(one: Sequence[Evaluation], other: Sequence[Evaluation], name: str) -> float:
    """Ratio of two means."""
    return mean(one, name) / mean(other, name)


def median(parts: Sequence[np.ndarray]) -> float:
    """Median of all values of all seeds; nan of none."""
    together = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
    return float(np.median(together)) if together.size else math.nan


def medians_below(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Whether the median of ``one`` is below that of ``other`` with every seed."""
    return all(median([a]) < median([b]) for a, b in zip(one, other, strict=True))


def by_seed(study: Study, what: str, unit: str, values: Sequence[float]) -> tuple[Beside, ...]:
    """One row per seed."""
    return tuple(Beside(f"seed {s}: {what}", None, value, unit) for s, value in zip(study.seeds, values, strict=True))


def points(study: Study, one: Sequence[Evaluation], other: Sequence[Evaluation]) -> tuple[Difference, list[Beside]]:
    """Difference of two accuracies, and the rows that say how sure it is, in points."""
    found = difference(column(one, "right"), column(other, "right"))
    each = [PERCENT * float((a.right - b.right).mean()) for a, b in zip(one, other, strict=True)]
    rows = [Beside("two standard errors of it", None, PERCENT * ERRORS * found.error, "points")]
    return found, [*rows, *by_seed(study, "difference", "points", each)]


def quartiles(label: str, parts: Sequence[np.ndarray]) -> list[Beside]:
    """Rows of a distribution, for a table."""
    together = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
    words = {"lower quartile": 25, "median": 50, "upper quartile": 75}
    rows = [
        Beside(f"{label}: {word}", None, float(np.percentile(together, at)) if together.size else None, "1")
        for word, at in words.items()
    ]
    return [*rows, Beside(f"{label}: mean", None, float(together.mean()) if together.size else None, "1")]


class Cell(NamedTuple):
    """A row of table 2: accuracy (share) and density."""

    accuracy: float
    density: float


Cells = dict[str, Cell]
"""By training-inference."""


class Statement(NamedTuple):
    """A sentence of the paper. ``rule``: when it holds; ``theirs``: its size in the paper's table 2, if it is there."""

    key: str
    place: str
    what: str
    unit: str
    rule: str
    ask: Callable[[Study], Seen]
    theirs: Callable[[Cells], float] | None = None
