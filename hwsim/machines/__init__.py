"""Families of machines. A family is one folder with ``run.prepare``, which makes a ``Prepared`` run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hwsim.errors import SpecError, did_you_mean, nearest

if TYPE_CHECKING:
    from hwsim.activity import Activity
    from hwsim.architecture import Architecture
    from hwsim.cost import PriceList
    from hwsim.machines.request import Request
    from hwsim.network.freeze import Frozen
    from hwsim.result import Accuracy, NaiveEstimate
    from hwsim.workload.model import Workload

Progress = Callable[[int, int, str], None]
"""(done, of how many, what)"""


class Finding(NamedTuple):
    """A row of a result that is no cost: ``place`` has layer, timestep, component, action, error or source."""

    metric: str
    value: float
    unit: str
    place: dict[str, Any]
    phase: str = "accuracy"


class Prepared(Protocol):
    """One machine and one workload, made ready to run sample after sample."""

    workload: Workload
    request: Request
    timesteps: int

    @property
    def architecture(self) -> Architecture:
        """What the machine was built from."""
        ...

    @property
    def dataflow(self) -> tuple[str, str]:
        """Name of the dataflow, and its description."""
        ...

    @property
    def off_chip(self) -> list[str]:
        """Components outside the chip."""
        ...

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of input files beside architecture and workload."""
        ...

    @property
    def frozen(self) -> Frozen | None:
        """The network as the machine computes it; None where the workload has no weights."""
        ...

    def price_list(self) -> PriceList:
        """What turns counts into costs."""
        ...

    def check_prices(self) -> None:
        """SpecError where something will be counted that has no price."""
        ...

    def describe(self) -> list[str]:
        """The schedule in words."""
        ...

    def run_one(self, number: int) -> Activity:
        """Simulate one sample, on an idle machine with empty buffers."""
        ...

    def timing_ends(self) -> dict[str, tuple[str, Any, Any]]:
        """Uncertain timing parameters: name -> (its value in words, machines at its lower and upper 95 % point)."""
        ...

    def vary(self, machines: list[Any]) -> list[Activity]:
        """Sample 0 on this machine, then on others that differ in timing only."""
        ...

    def accuracy(self, images: int, progress: Progress | None) -> tuple[Accuracy | None, list[Finding]]:
        """Measured where the machine changes the function, else what the training recorded; and what explains it."""
        ...

    def estimate(self, activity: Activity) -> NaiveEstimate | None:
        """FLOPs x T x density x E_AC, where the machine has a price of an accumulation."""
        ...

    def once(self) -> list[Finding]:
        """What is done once, before any inference, and is in no total (programming of cells)."""
        ...

    def notes(self) -> list[str]:
        """What a reader of the result should know."""
        ...


def prepare(architecture: Architecture, workload: Workload, request: Request) -> Prepared:
    """Build the machine of an architecture for a workload. Raises SpecError for all that does not fit."""
    module = importlib.import_module(f"hwsim.machines.{architecture.family}.run")
    prepared: Prepared = module.prepare(architecture, workload, request)
    return prepared


def dataflow_override(dataflow: str) -> str:
    """``--dataflow`` as an override of the architecture, so that it is checked with what will run.

    A name is left to the architecture's family; STATIONARY/TIME is that of systolic machines. Raises SpecError for a
    name that no family knows.
    """
    from hwsim.components.registry import catalogue

    names = [name for family in catalogue().families.values() for name in family.dataflows]
    if dataflow in names:
        return f"dataflow={dataflow}"
    if "/" not in dataflow and nearest(dataflow, names):
        raise SpecError(f"--dataflow: unknown dataflow '{dataflow}'\n  {did_you_mean(dataflow, names, 'Dataflows')}")
    from hwsim.machines.systolic.dataflow import as_override

    return as_override(dataflow)
