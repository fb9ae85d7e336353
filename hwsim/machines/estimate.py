"""What a result says beside the machine's own numbers: the energy that papers estimate, the accuracy that training
recorded."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.activity import Activity
from hwsim.result import Accuracy, NaiveEstimate
from hwsim.units import Quantity
from hwsim.workload.model import Workload


def naive_estimate(shapes: Mapping[int, tuple[int, int]], activity: Activity, accumulate: Quantity) -> NaiveEstimate:
    """FLOPs x T x density x E_AC. ``shapes``: layer -> (dense operations of a timestep, bit planes of its input)."""
    samples = len(activity.ticks)
    counted = sum(activity.operations.values()) / samples
    first = sum(value for (_, layer), value in activity.operations.items() if shapes[layer][1] > 1) / samples
    timesteps = sum(outcome.timesteps for outcome in activity.outcomes) / len(activity.outcomes)
    spiking = sum(dense for dense, planes in shapes.values() if planes == 1)
    density = (counted - first) / (spiking * timesteps) if spiking else 1.0
    return NaiveEstimate(sum(dense for dense, _ in shapes.values()), timesteps, density, accumulate)


def recorded_accuracy(workload: Workload) -> Accuracy | None:
    """The accuracy that training recorded, if any."""
    recorded = workload.training.get("software_accuracy") if workload.training else None
    if recorded is None:
        return None
    return Accuracy(float(recorded), workload.training.get("test_images"), "software")
