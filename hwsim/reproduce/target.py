"""A published number and how it is repeated: target, tolerance, what a run measures, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

REPRODUCED = "reproduced"
TREND_ONLY = "trend only"
NOT_REPRODUCIBLE = "not reproducible from what was published"
NOT_REPRODUCED = "not reproduced"
VERDICTS = (REPRODUCED, TREND_ONLY, NOT_REPRODUCIBLE, NOT_REPRODUCED)
"""From best to worst; a verdict got worse if it moved right."""


@dataclass(frozen=True)
class Tolerance:
    """When ours counts as theirs.

    kind 'relative': |ours - theirs| <= amount |theirs|. 'absolute': |ours - theirs| <= amount, in the target's unit.
    'printed': ours, rounded to the last printed digit (``step``), differs by at most ``amount``.
    """

    kind: str
    amount: float = 0.0
    step: float = 0.0

    def holds(self, ours: float, theirs: float) -> bool:
        """Whether ``ours`` counts as ``theirs``."""
        if self.kind == "relative":
            return abs(ours - theirs) <= self.amount * abs(theirs)
        if self.kind == "absolute":
            return abs(ours - theirs) <= self.amount
        assert self.kind == "printed" and self.step > 0
        steps = abs(math.floor(ours / self.step + 0.5) - round(theirs / self.step))
        return steps * self.step <= self.amount + self.step / 2  # half a step: both sides are whole steps

    def describe(self) -> str:
        """The rule in words."""
        if self.kind == "relative":
            return f"{self.amount:g} relative"
        if self.kind == "absolute":
            return f"+-{self.amount:g}"
        slack = f", +-{self.amount:g}" if self.amount else ""
        return f"the printed digits ({self.step:g}){slack}"


@dataclass(frozen=True)
class Beside:
    """A value shown beside a target without a verdict: another variant, another setting, a published figure."""

    what: str
    theirs: float | None = None
    ours: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Measured:
    """What a target's run gave. ``trend``: whether what the paper says in words holds; None if it says nothing."""

    value: float | None
    trend: bool | None = None
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True)
class Target:
    """One published number (``published`` None: only drawn or said) and the run that repeats it.

    id: dotted, unique; its first word is the report it stands in.
    """

    id: str
    paper: str
    place: str
    what: str
    published: float | None
    unit: str
    tolerance: Tolerance
    run: Callable[[], Measured]
    architecture: str = ""
    workload: str = ""
    options: str = ""
    quick: bool = True
    assumptions: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The report that the target stands in."""
        return self.id.split(".")[0]


def verdict(target: Target, measured: Measured) -> str:
    """One of ``VERDICTS``."""
    if measured.value is None:
        return NOT_REPRODUCIBLE
    if target.published is not None and target.tolerance.holds(measured.value, target.published):
        return REPRODUCED
    if measured.trend:
        return TREND_ONLY
    return NOT_REPRODUCED
