"""Asynchronous networks without a machine: what a forward order does to spikes, counts and steps.

>>> import numpy as np
>>> from hwsim import neuromorphic
>>> weights = [np.full((4, 3), 0.25), np.full((2, 4), 0.5)]
>>> trace = neuromorphic.run(weights, np.ones((1, 3)), group=1, policy="momentum", threshold=0.5)
>>> trace.counts.tolist(), trace.steps.tolist()
([[1, 1, 1, 1, 1, 1]], [7])

Every function checks its arguments and raises ``SpecError``.
"""

from __future__ import annotations

from hwsim.errors import SpecError
from hwsim.kernels.policies import (
    KEY,
    Fifo,
    LayerOrder,
    Momentum,
    Policy,
    Random,
    RoundRobin,
    register_policy,
)
from hwsim.machines.neuromorphic.frozen import Frozen, freeze
from hwsim.machines.neuromorphic.ideal import run, run_many
from hwsim.machines.neuromorphic.matrices import freeze_workload
from hwsim.machines.neuromorphic.trace import Counts, Trace

__all__ = [
    "KEY",
    "Counts",
    "Fifo",
    "Frozen",
    "LayerOrder",
    "Momentum",
    "Policy",
    "Random",
    "RoundRobin",
    "SpecError",
    "Trace",
    "freeze",
    "freeze_workload",
    "register_policy",
    "run",
    "run_many",
]
