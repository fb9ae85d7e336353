"""Small random machines, networks and inputs, over everything that the kernels of cores distinguish."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim import neuromorphic
from hwsim.components.topology import fitting
from hwsim.kernels.connections import CELLS, FIRST_NEURON, OFFSET, SHAPE, SUBTRACT, Network
from hwsim.kernels.core_state import ASYNCHRONOUS, NEEDED_SLOTS, PER_LAYER, PER_TIMESTEP, Ticks
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.kernels.policies import find_policy
from hwsim.machines.neuromorphic.calendar import BARRIER, TIMER
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Routing, Setup
from hwsim.machines.neuromorphic.tables import Rules, make_chip, set_list

GRID = 2.0**-40
POLICIES = ("random", "momentum", "fifo", "round_robin", "layer_order")


@dataclass(frozen=True)
class Case:
    """A machine with a network on it, and the input of a sample."""

    setup: Setup
    inputs: np.ndarray
    rules: Rules
    policy: str
    weights: list[np.ndarray]
    leak: float
    noise: float
    reset: str


def dense_network(weights: list[np.ndarray], threshold: float, leak: float, reset: str = "zero") -> Network:
    """The kernels' form of dense layers [fan-out, fan-in]."""
    frozen = neuromorphic.freeze(weights, threshold=threshold, leak=leak, grid=[GRID] * len(weights))
    blocks = [np.ascontiguousarray(frozen.layer(layer).T).reshape(-1) for layer in range(len(weights))]
    table = np.zeros((len(weights) + 1, SHAPE + 15), dtype=np.int64)
    table[:, FIRST_NEURON] = np.concatenate([[0], np.cumsum([len(w) for w in weights])])
    table[:-1, OFFSET] = np.concatenate([[0], np.cumsum([len(block) for block in blocks])[:-1]])
    table[:-1, CELLS] = [w.shape[1] for w in weights]
    table[:-1, SUBTRACT] = reset == "subtract"
    neuron = np.stack([frozen.network.threshold, np.zeros(frozen.neurons)])
    real = np.array([(leak, GRID, 0.0, 1.0)] * len(weights))
    return Network(weights[0].shape[1], table, real, neuron, np.concatenate(blocks), np.zeros(0, dtype=np.int64))


def draw_weights(rng: np.random.Generator, widest: int = 9) -> list[np.ndarray]:
    """One to three dense layers."""
    sizes = rng.integers(2, widest, rng.integers(2, 5)).tolist()
    return [rng.normal(0, 1.5 / np.sqrt(a), (b, a)) for a, b in pairwise(sizes)]


def draw_inputs(rng: np.random.Generator, inputs: int) -> np.ndarray:
    """Counts of one to four timesteps."""
    shape = (int(rng.integers(1, 5)), inputs)
    return (rng.random(shape) < 0.5) * rng.integers(1, 3, shape)


def draw_ticks(rng: np.random.Generator) -> Ticks:
    """Times of units, many of them 0."""
    most = Ticks(axon_in=3, lanes=4, synapse=3, update=3, idle=2, spike=3, choose=3, level=2, axon_out=4, wake=3)
    low = Ticks(0, 1, 0, 0, 0, 0, 0, 0, 1, 0)  # a message leaves no earlier than a tick after its turn began
    return Ticks(*(int(rng.integers(a, b)) for a, b in zip(low, most, strict=True)))


def draw_case(seed: int, *, routed: bool = False, one_core: bool = False, asynchronous: bool = False) -> Case:
    """A machine from everything."""
    rng = np.random.default_rng(seed)
    weights, leak = draw_weights(rng), float(rng.choice([1, 0.5, 0.9]))
    reset = str(rng.choice(["zero", "subtract"]))
    network = dense_network(weights, 0.3, leak, reset)
    kind = int(rng.integers(0, 2 if asynchronous else 4))
    order = ASYNCHRONOUS if kind < BARRIER else PER_TIMESTEP
    if kind == BARRIER:
        order = int(rng.choice([PER_LAYER, PER_TIMESTEP]))
    rules = Rules(
        order=order, group=int(rng.integers(1, 6)), refractory=bool(rng.random() < 0.7), stop=bool(rng.random() < 0.5),
        steps_after=int(rng.integers(0, 3)), carry=bool(rng.random() < 0.5), prioritise=bool(rng.random() < 0.6),
        processed=bool(rng.random() < 0.3) and order != ASYNCHRONOUS, multicast=bool(rng.random() < 0.4),
        gated=bool(rng.random() < 0.5), routed=routed,
    )  # fmt: skip
    cuts = 0 if one_core else int(rng.integers(1 if routed else 0, min(5, network.neurons - 1) + 1))
    first = np.array([0, *sorted(rng.choice(np.arange(1, network.neurons), cuts, replace=False)), network.neurons])
    ticks = draw_ticks(rng)
    chip = make_chip(network, first, ticks, rules)
    policy = str(rng.choice(POLICIES))
    noise = 0.1 if policy == "momentum" and rng.random() < 0.5 else 0.0
    more: dict[str, Any] = {}
    if routed:
        more = draw_routing(rng, network, first, rules.multicast)
        need = int(chip.core[:, NEEDED_SLOTS].max())
        more["output_slots"] = None if rng.random() < 0.5 else need + int(rng.integers(0, 5))
    setup = Setup(
        network, chip, find_policy(policy, noise), kind=kind, interval=int(rng.integers(1, 60)),
        latency=int(rng.integers(1, 9)), channel_ticks=int(rng.integers(0, 5)), event_ticks=int(rng.integers(0, 3)),
        **more,
    )  # fmt: skip
    assert kind != TIMER or order == PER_TIMESTEP
    return Case(setup, draw_inputs(rng, network.inputs), rules, policy, weights, leak, noise, reset)


def draw_routing(rng: np.random.Generator, network: Network, first: np.ndarray, multicast: bool) -> dict[str, Any]:
    """A small network on chip."""
    sets, each = set_list(network, first) if multicast else [], int(rng.integers(1, 3))
    parameters = NocParameters(
        virtual_channels=int(rng.integers(2, 5)), buffer=int(rng.integers(1, 4)),
        flits=1 if multicast else int(rng.integers(1, 4)), routing=int(rng.integers(0, 2)),
        vc=str(rng.choice(["dynamic", "by_pair"])), cores_per_router=each, multicast=multicast,
        ew_cycles=int(rng.integers(1, 3)), ns_cycles=int(rng.integers(1, 3)), credit_delay=int(rng.integers(0, 3)),
    )  # fmt: skip
    topology = fitting(str(rng.choice(["mesh", "torus", "tree"])), -(-(len(first) - 1) // each))
    queue = None if rng.random() < 0.5 else int(rng.integers(6, 30))
    return {"routing": Routing(noc_tables(topology, parameters, sets), int(rng.integers(1, 4)), queue), "sets": sets}


def unlike(one: Record, other: Record) -> list[str]:
    """Fields in which two records differ."""
    names = [field.name for field in fields(Record) if field.name != "events"]
    return [name for name in names if not np.array_equal(getattr(one, name), getattr(other, name))]
