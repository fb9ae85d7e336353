"""What is asked of a machine's run, whatever its family."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import SpecError
from hwsim.workload.model import Samples, Workload


@dataclass(frozen=True)
class Request:
    """What is to be run. ``layers`` [A, B) over layers with weights; ``order_seed`` shuffles the start of processes."""

    samples: int = 1
    timesteps: int | None = None
    layers: tuple[int, int] | None = None
    depth: str = "kernel"
    force: bool = False
    seed: int = 0
    order_seed: int | None = None


def simulated_set(workload: Workload) -> Samples:
    """The samples that are simulated: the test set, or whatever the workload has."""
    for name in ("test", "demo", "calibration"):
        if name in workload.sample_sets:
            return workload.samples(name)
    raise SpecError(f"workload {workload.name} has no samples to simulate")
