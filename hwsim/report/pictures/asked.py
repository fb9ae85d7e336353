"""What a picture was asked for, of whatever family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwsim.architecture import Architecture
from hwsim.components.registry import load as load_architecture
from hwsim.errors import Problem, SpecError
from hwsim.machines import Progress
from hwsim.machines.request import simulated_set
from hwsim.workload import load as load_workload
from hwsim.workload.model import Workload


@dataclass(frozen=True)
class Asked:
    """An architecture, a workload and options. See ``hwsim.report.pictures.draw``."""

    architecture: str
    workload: str
    overrides: tuple[str, ...] = ()
    layer: str | None = None
    samples: int = 1
    accuracy: int = 100
    timesteps: int | None = None
    seed: int = 0
    progress: Progress | None = None

    def say(self, done: int, total: int, what: str) -> None:
        """Report progress."""
        if self.progress:
            self.progress(done, total, what)

    @cached_property
    def network(self) -> Workload:
        """The workload. Raises SpecError where it has no weights, or fewer samples than asked for."""
        net = load_workload(self.workload)
        if net.kind != "network":
            raise SpecError(Problem(self.workload, f"has no weights ({net.kind}); pictures need a network"))
        have = len(simulated_set(net))
        if not 1 <= self.samples <= have:
            raise SpecError(f"--samples {self.samples}: {net.name} has {have} samples")
        return net

    def machine(self, family: str, shipped: str, more: tuple[str, ...]) -> Architecture:
        """The architecture with further overrides. Raises SpecError where it is of another family than the picture."""
        spec: Any = load_architecture(self.architecture, (*self.overrides, *more))
        if spec.family != family:
            text = f"this picture is of the family '{family}', this is '{spec.family}'"
            raise SpecError(Problem(self.architecture, text, f"Shipped: {shipped}."))
        assert isinstance(spec, Architecture)
        return spec
