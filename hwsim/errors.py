"""The user's mistakes: where they are, what was expected, what was found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in one place. ``where`` names file, line and column, or file, member and key."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  {self.hint}" if self.hint else head


class SpecError(Exception):
    """All mistakes found in the user's input; the command line prints them and exits with 2."""

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        if isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The valid name that looks most like ``name``, or None if none is close."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, allowed: Iterable[str], what: str = "Known names") -> str:
    """A hint line: the nearest valid name, then all of them."""
    names = list(allowed)
    close = nearest(name, names)
    listing = f"{what}: {', '.join(names)}."
    return f"did you mean '{close}'? {listing}" if close else listing
