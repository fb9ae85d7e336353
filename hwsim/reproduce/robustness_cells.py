"""Reading the robustness table: cells with mean, spread and relative drop, and when two of them differ."""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev
from typing import Any, NamedTuple

from hwsim.reproduce.robustness_chip import ISLPED, SPIKESIM, Job
from hwsim.reproduce.robustness_plan import NETWORKS, Table

CHANCE = 10.0
"""Percent: ten classes."""

CONFIDENCE = 0.95


class Machine(NamedTuple):
    """A machine and what its arrays make up for."""

    name: str
    gain: str

    @property
    def label(self) -> str:
        """In words."""
        return f"{self.name}, gain {self.gain.replace('_', ' ')}"


STUDY = Machine(ISLPED, "off")
"""The published set-up read literally."""

MACHINES = (
    STUDY, Machine(ISLPED, "global"), Machine(ISLPED, "per_column"), Machine(SPIKESIM, "off"),
    Machine(SPIKESIM, "per_column"),
)  # fmt: skip


class Cell(NamedTuple):
    """Accuracies in percent: of the exact network, mean and sample standard deviation over chips."""

    software: float
    hardware: float
    spread: float
    chips: int
    images: int

    @property
    def drop(self) -> float:
        """Relative drop in percent: (software - hardware) / software x 100."""
        return 100.0 * (self.software - self.hardware) / self.software

    @property
    def usable(self) -> bool:
        """Whether the chip decides at least twice as often right as chance."""
        return self.hardware >= 2 * CHANCE

    @property
    def at_chance(self) -> bool:
        """Whether the accuracy cannot be told from chance: within the 95 % interval of guesses."""
        return abs(self.hardware - CHANCE) <= _z() * _error(CHANCE, self.images)


def margin(one: Cell, other: Cell) -> float:
    """Smallest difference of two drops, in points, that the number of images can tell from none (95 %)."""
    errors = (100.0 * _error(cell.hardware, cell.images) / cell.software for cell in (one, other))
    return _z() * math.sqrt(sum(error * error for error in errors))


def _error(percent: float, images: int) -> float:
    return math.sqrt(percent * (100.0 - percent) / images)


def _z() -> float:
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Reader(NamedTuple):
    """The table, and how cells are found in it."""

    table: Table

    def cell(self, machine: Machine, network: str, size: int, reading: str = "", timesteps: int = 0) -> Cell:
        """One row of the table. ``reading``: an adaptation or 'loss alone' instead of the plain chip.

        ``timesteps``: fewer than the network's, or more where the first chip ran longer.
        """
        steps = timesteps or NETWORKS[network].timesteps
        found = [
            numbers["accuracy"][reading or machine.gain][steps - 1]
            for job, numbers in self.table.chips.items()
            if _is(job, machine, network, size) and job.timesteps >= steps
            and (reading or machine.gain) in numbers["accuracy"]
        ]  # fmt: skip
        return self._of(network, found, steps)

    def disturbed(self, network: str, gain: str, *, cause: str = "all", encoding: str = "") -> Cell:
        """The first chip of the study with one disturbance alone, or another encoding."""
        steps = NETWORKS[network].timesteps
        found = [
            numbers["accuracy"][gain][steps - 1]
            for job, numbers in self.table.chips.items()
            if job.network == network and job.cause == cause and (not encoding or job.encoding == encoding)
            and (cause != "all" or encoding)
        ]  # fmt: skip
        return self._of(network, found, steps)

    def first(self, machine: Machine, network: str, size: int) -> dict[str, Any]:
        """All numbers of the first chip."""
        return next(
            numbers
            for job, numbers in self.table.chips.items()
            if _is(job, machine, network, size) and job.explain
        )  # fmt: skip

    def _of(self, network: str, found: list[float], steps: int) -> Cell:
        assert found, f"no chip of {network} at {steps} timesteps"
        spread = stdev(found) if len(found) > 1 else 0.0
        return Cell(self.table.software[network][steps - 1], fmean(found), spread, len(found), NETWORKS[network].images)


def _is(job: Job, machine: Machine, network: str, size: int) -> bool:
    plain = job.cause == "all" and (job.machine != ISLPED or job.encoding == "differential_pair")
    return plain and (job.machine, job.network, job.size) == (machine.name, network, size)
