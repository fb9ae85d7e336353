"""Small machines drawn at random: networks, mappings, policies, rules, times, synchronisations and networks on chip."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from hwsim import neuromorphic
from hwsim.components.topology import fitting
from hwsim.kernels.connections import CELLS, FIRST_NEURON, OFFSET, SHAPE, SUBTRACT, Network
from hwsim.kernels.core_state import ASYNCHRONOUS, NEEDED_SLOTS, PER_LAYER, PER_TIMESTEP, Ticks
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.kernels.policies import find_policy
from hwsim.machines.neuromorphic import tables
from hwsim.machines.neuromorphic.setup import Routing, Setup

THRESHOLD = 0.3
GRID = 2.0**-40
POLICIES = ("random", "momentum", "fifo", "round_robin", "layer_order")


class Drawn(NamedTuple):
    """A machine and what it is to run; ``options`` are those of ``neuromorphic.run`` that say the same."""

    setup: Setup
    frozen: neuromorphic.Frozen
    inputs: np.ndarray
    options: dict


def network_of(weights, leak, reset):
    """(as ``run`` takes it, as a machine does): dense layers on one grid."""
    layers = len(weights)
    frozen = neuromorphic.freeze(weights, threshold=THRESHOLD, leak=leak, grid=[GRID] * layers)
    first = np.cumsum([0, *(len(w) for w in weights)])
    blocks = [np.ascontiguousarray(frozen.layer(i).T).reshape(-1) for i in range(layers)]
    table = np.zeros((layers + 1, SHAPE + 15), np.int64)
    table[:, FIRST_NEURON] = first
    table[:-1, OFFSET] = np.cumsum([0, *map(len, blocks)])[:-1]
    table[:-1, CELLS] = [w.shape[1] for w in weights]
    table[:-1, SUBTRACT] = reset == "subtract"
    real = np.array([(leak, GRID, 0.0, 1.0)] * layers)
    state = np.stack([frozen.network.threshold, np.zeros(first[-1])])
    return frozen, Network(weights[0].shape[1], table, real, state, np.concatenate(blocks), np.zeros(0, np.int64))


def draw(case, *, cores=None, routed=True, order=None):
    """Machine number ``case``; ``cores`` and ``order`` (ASYNCHRONOUS, PER_LAYER, PER_TIMESTEP) may be given."""
    rng = np.random.default_rng(case)
    layers, timesteps = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    sizes = [int(n) for n in rng.integers(2, 9, layers + 1)]
    weights = [rng.normal(0, 1.5 / np.sqrt(a), (b, a)) for a, b in itertools.pairwise(sizes)]
    inputs = (rng.random((timesteps, sizes[0])) < 0.5) * rng.integers(1, 3, (timesteps, sizes[0]))
    policy = POLICIES[case % len(POLICIES)]
    noise = 0.1 if policy == "momentum" and rng.random() < 0.5 else 0.0
    options = {
        "group": int(rng.integers(1, 6)), "policy": policy, "noise": noise, "leak": float(rng.choice([1, 0.5, 0.9])),
        "refractory": bool(rng.random() < 0.7), "stop": str(rng.choice(["done", "output"])),
        "steps_after": int(rng.integers(0, 3)), "carry": bool(rng.random() < 0.5),
        "prioritise_input": bool(rng.random() < 0.6), "reset": str(rng.choice(["zero", "subtract"])),
    }  # fmt: skip
    if not options["refractory"]:  # a surplus that stays above the threshold would fire for ever
        options["reset"] = "zero"
    frozen, network = network_of(weights, options["leak"], options["reset"])
    kind = int(rng.integers(0, 4))
    drawn = ASYNCHRONOUS if kind < 2 else int(rng.choice([PER_LAYER, PER_TIMESTEP])) if kind == 2 else PER_TIMESTEP
    if order is not None:
        kind, drawn = {ASYNCHRONOUS: (0, order), PER_LAYER: (2, order), PER_TIMESTEP: (2, order)}[order]
    setup = _machine(rng, network, options, kind, drawn, cores, routed)
    return Drawn(setup, frozen, inputs, options)


def _machine(rng, network, options, kind, order, cores, routed):
    rules = tables.Rules(
        order=order, group=options["group"], refractory=options["refractory"], stop=options["stop"] == "output",
        steps_after=options["steps_after"], carry=options["carry"], prioritise=options["prioritise_input"],
        processed=bool(rng.random() < 0.3) and order != ASYNCHRONOUS, multicast=routed and bool(rng.random() < 0.4),
        gated=bool(rng.random() < 0.5), routed=routed,
    )  # fmt: skip
    ticks = Ticks(*(int(rng.integers(low, high)) for low, high in (
        (0, 3), (1, 4), (0, 3), (0, 3), (0, 2), (0, 3), (0, 3), (0, 2), (1, 4), (0, 3))))  # fmt: skip
    number = int(rng.integers(1, min(5, network.neurons - 1) + 1)) + 1 if cores is None else cores
    cuts = sorted(rng.choice(np.arange(1, network.neurons), number - 1, replace=False))
    first = np.array([0, *cuts, network.neurons], dtype=np.int64)
    chip = tables.make_chip(network, first, ticks, rules)
    sets = tables.set_list(network, first) if rules.multicast else []
    need = int(chip.core[:, NEEDED_SLOTS].max())
    return Setup(
        network, chip, find_policy(options["policy"], options["noise"]), kind=kind, interval=int(rng.integers(1, 60)),
        latency=int(rng.integers(1, 9)), channel_ticks=int(rng.integers(0, 5)), event_ticks=int(rng.integers(0, 3)),
        routing=_routing(rng, number, rules.multicast, sets) if routed else None, sets=sets,
        output_slots=None if rng.random() < 0.5 else need + int(rng.integers(0, 5)),
    )  # fmt: skip


def _routing(rng, cores, multicast, sets):
    per_router = int(rng.integers(1, 3))
    parameters = NocParameters(
        virtual_channels=int(rng.integers(2, 5)), buffer=int(rng.integers(1, 4)),
        flits=1 if multicast else int(rng.integers(1, 4)), routing=int(rng.integers(0, 2)),
        vc=str(rng.choice(["dynamic", "by_pair"])), cores_per_router=per_router, multicast=multicast,
        ew_cycles=int(rng.integers(1, 3)), ns_cycles=int(rng.integers(1, 3)), credit_delay=int(rng.integers(0, 3)),
    )  # fmt: skip
    topology = fitting(str(rng.choice(["mesh", "torus", "tree"])), -(-cores // per_router))
    queue = None if rng.random() < 0.5 else int(rng.integers(6, 30))
    return Routing(noc_tables(topology, parameters, sets), int(rng.integers(1, 4)), queue)
