"""Random machines with more variety than ``cases``: convolutions, pools, bands, bias, other thresholds, many cores,
groups of any size, short queues, inputs that stay the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.components.topology import fitting
from hwsim.kernels.connections import AT_THRESHOLD, DRIVE, SUBTRACT, THRESHOLD, Network
from hwsim.kernels.core_state import ASYNCHRONOUS, NEEDED_SLOTS, PER_LAYER, PER_TIMESTEP
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.kernels.policies import find_policy
from hwsim.machines.neuromorphic.calendar import BARRIER
from hwsim.machines.neuromorphic.connect import banded, connect
from hwsim.machines.neuromorphic.setup import Routing, Setup
from hwsim.machines.neuromorphic.stored import store
from hwsim.machines.neuromorphic.tables import Rules, make_chip, set_list
from tests.neuromorphic.machine.cases import GRID, POLICIES, dense_network, draw_ticks, draw_weights
from tests.neuromorphic.machine.test_layered_identity import Chain


class Wide(NamedTuple):
    """A machine, and what it is to run."""

    setup: Setup
    inputs: np.ndarray
    timesteps: int


def draw_network(rng: np.random.Generator, seed: int) -> Network:
    """A chain of convolutions and pools, a band, or dense layers with thresholds and drives of their own."""
    kind = rng.random()
    if kind < 0.45:
        workload = Chain(seed).made()
        return connect(store(workload, None, workload.timesteps))
    if kind < 0.6:
        sizes = rng.integers(4, 15, rng.integers(2, 5)).tolist()
        most = min(sizes[1:])
        return banded(sizes, int(rng.integers(1, most + 1)), threshold=0.4, leak=float(rng.choice([1, 0.7])), seed=seed)
    network = dense_network(
        draw_weights(rng), 0.3, float(rng.choice([1, 0.5, 0.9])), str(rng.choice(["zero", "subtract"]))
    )
    neurons = network.neurons
    network.neuron[THRESHOLD] = np.where(rng.random(neurons) < 0.2, np.inf, rng.integers(1, 9, neurons) / 8)
    network.neuron[DRIVE] = np.where(rng.random(neurons) < 0.3, np.rint(rng.normal(0, 0.3, neurons) / GRID) * GRID, 0)
    network.layer[:-1, AT_THRESHOLD] = rng.integers(0, 2, network.layers)
    network.layer[:-1, SUBTRACT] = rng.integers(0, 2, network.layers)
    return network


def draw_routing(rng: np.random.Generator, sets: list[Any], cores: int, multicast: bool, need: int) -> dict[str, Any]:
    """A network on chip with short queues."""
    each, kind = int(rng.integers(1, 4)), str(rng.choice(["mesh", "torus", "tree"]))
    parameters = NocParameters(
        virtual_channels=int(rng.integers(2 if kind == "torus" else 1, 5)), buffer=int(rng.integers(1, 5)),
        flits=1 if multicast else int(rng.integers(1, 6)), routing=int(rng.integers(0, 3)),
        vc_allocation=int(rng.integers(1, 3)), switch_allocation=int(rng.integers(1, 3)),
        traversal=int(rng.integers(1, 3)), vc=str(rng.choice(["dynamic", "by_pair"])), cores_per_router=each,
        multicast=multicast, ew_cycles=int(rng.integers(1, 4)), ns_cycles=int(rng.integers(1, 4)),
        credit_delay=int(rng.integers(0, 4)), wait_for_tail_credit=bool(rng.random() < 0.2),
        iterations=int(rng.integers(1, 3)),
    )  # fmt: skip
    tables = noc_tables(fitting(kind, -(-cores // each)), parameters, sets)
    queue = None if rng.random() < 0.4 else int(rng.integers(1, 20))
    slots = None if rng.random() < 0.4 else need + int(rng.integers(0, 3))
    return {"routing": Routing(tables, int(rng.integers(1, 6)), queue), "sets": sets, "output_slots": slots}


def draw_wide(seed: int) -> Wide:
    """Machine number ``seed``."""
    rng = np.random.default_rng(seed)
    network, routed = draw_network(rng, seed), bool(rng.random() < 0.7)
    kind = int(rng.integers(0, 4))
    order = ASYNCHRONOUS if kind < BARRIER else PER_TIMESTEP
    if kind == BARRIER:
        order = int(rng.choice([PER_LAYER, PER_TIMESTEP]))
    rules = Rules(
        order=order, group=int(rng.choice([1, 2, 3, 5, 8, 500])), refractory=bool(rng.random() < 0.6),
        stop=bool(rng.random() < 0.5), steps_after=int(rng.integers(0, 4)), carry=bool(rng.random() < 0.5),
        prioritise=bool(rng.random() < 0.6), processed=bool(rng.random() < 0.3) and order != ASYNCHRONOUS,
        multicast=bool(rng.random() < 0.4), gated=bool(rng.random() < 0.5), routed=routed,
    )  # fmt: skip
    cuts = int(rng.integers(0, min(12, network.neurons - 1) + 1))
    first = np.array([0, *sorted(rng.choice(np.arange(1, network.neurons), cuts, replace=False)), network.neurons])
    chip = make_chip(network, first, draw_ticks(rng), rules)
    policy = str(rng.choice(POLICIES))
    noise = 0.1 if policy == "momentum" and rng.random() < 0.5 else 0.0
    more: dict[str, Any] = {}
    if routed:
        sets = set_list(network, first) if rules.multicast else []
        more = draw_routing(rng, sets, cuts + 1, rules.multicast, int(chip.core[:, NEEDED_SLOTS].max()))
    setup = Setup(
        network, chip, find_policy(policy, noise), kind=kind, interval=int(rng.integers(1, 200)),
        latency=int(rng.integers(1, 30)), channel_ticks=int(rng.integers(0, 9)), event_ticks=int(rng.integers(0, 4)),
        **more,
    )  # fmt: skip
    timesteps = int(rng.integers(1, 7))
    shape = (1 if rng.random() < 0.2 else timesteps, network.inputs)
    return Wide(setup, (rng.random(shape) < rng.choice([0.1, 0.5])) * rng.integers(1, 4, shape), timesteps)
