"""Runs for targets: few samples on the machine for the energy, many images through the network alone for the accuracy.

Uncertain timing parameters are not varied here, as ``hwsim simulate`` does: a report gives values, not intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hwsim.cost import Costs, Row
    from hwsim.machines.systolic.run import Runner
    from hwsim.network.freeze import Frozen

ARCHITECTURE = "sata"
WORKERS = 2
NJ = 1e9


@dataclass(frozen=True)
class Run:
    """One machine, one workload, some samples, and what they cost; every number is a mean over the samples."""

    runner: Runner
    costs: Costs
    samples: int

    @property
    def energy_J(self) -> float:
        """Whole energy of one sample."""
        return self.costs.totals["energy_J"]

    @property
    def latency_s(self) -> float:
        """Duration of one sample."""
        return self.costs.totals["latency_s"]

    @property
    def network(self) -> Frozen:
        """The network as this machine computes it."""
        assert self.runner.frozen is not None, "a network with weights"
        return self.runner.frozen

    @property
    def parts_J(self) -> dict[str, float]:
        """Energy by component, leakage included."""
        found: dict[str, float] = {}
        for row in self._rows("energy"):
            assert row.component is not None
            found[row.component] = found.get(row.component, 0.0) + row.value / self.samples
        return found

    @property
    def movement_J(self) -> float:
        """Energy of DRAM and buffers, leakage of the buffers included."""
        return math.fsum(joules for name, joules in self.parts_J.items() if name == "dram" or name.endswith("_buffer"))

    @property
    def computation_J(self) -> float:
        """Energy of everything else: PEs, LIF units, pooling, entropy unit."""
        return self.energy_J - self.movement_J

    def cycles(self, component: str, state: str) -> float:
        """Cycles that a component spent in a state such as 'stall:lif'."""
        rows = [row for row in self._rows("cycles") if (row.component, row.action) == (component, state)]
        return math.fsum(row.value for row in rows) / self.samples

    def area_m2(self, component: str) -> float:
        """Area of all instances of a component."""
        return math.fsum(row.value for row in self._rows("area") if row.component == component)

    def _rows(self, metric: str) -> Iterable[Row]:
        return (row for row in self.costs.rows if row.metric == metric)


def measure(
    workload: str,
    *,
    dataflow: str,
    overrides: Sequence[str] = (),
    timesteps: int | None = None,
    samples: Sequence[int] = (0,),
) -> Run:
    """Simulate the samples of these numbers on the shipped SATA machine, each on an idle machine, and price them."""
    from hwsim.activity import Activity
    from hwsim.checkpoint import merge
    from hwsim.cost import Labels, price
    from hwsim.run import simulate_activity  # lazy: kernels

    runner, first = simulate_activity(
        ARCHITECTURE, workload, dataflow=dataflow, overrides=overrides, timesteps=timesteps
    )
    activity = Activity(layers=first.layers)
    for number in samples:
        merge(activity, first if number == 0 else runner.run_one(number))
    costs = price(runner.price_list(), activity, Labels("", ARCHITECTURE, workload))
    return Run(runner, costs, len(samples))


def decisions(frozen: Frozen, images: int) -> tuple[np.ndarray, np.ndarray]:
    """(output [N, T, classes] accumulated over time, labels [N]) of the first test images; no machine is simulated."""
    from hwsim.machines.request import simulated_set
    from hwsim.network.engine import run_sample

    test = simulated_set(frozen.workload)
    count = min(images, len(test))

    def output(number: int) -> np.ndarray:
        logits = run_sample(frozen, test, number, record=False).logits
        assert logits is not None
        return logits

    with ThreadPoolExecutor(WORKERS) as pool:
        outputs = np.stack(list(pool.map(output, range(count))))
    return outputs, np.asarray(test.labels[:count], dtype=np.int64)


def right(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of images, in percent, whose largest output [N, classes] is that of their label [N]."""
    return 100.0 * float((outputs.argmax(axis=1) == labels).mean())


def accuracy(frozen: Frozen, images: int) -> float:
    """Share of the first test images, in percent, that the network decides rightly after all its timesteps."""
    outputs, labels = decisions(frozen, images)
    return right(outputs[:, -1], labels)
