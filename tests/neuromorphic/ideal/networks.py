"""Networks and settings for the tests of the ideal machine."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

DATA = np.load(Path(__file__).parents[2] / "data" / "async.npz", allow_pickle=False)
CASES = json.loads(DATA["meta"].tobytes())
POLICIES = ("random", "momentum", "fifo", "round_robin", "layer_order")


def drawn(case):
    """Weights and inputs of a reference case, from its seeds."""
    meta = CASES[case]
    sizes = [meta["n_in"], *meta["neurons_per_layer"]]
    generator, weights = np.random.default_rng(meta["seed_weights"]), []
    for number, (senders, neurons) in enumerate(pairwise(sizes)):
        gain, unit = meta["gain"][min(number, 1)], 2.0 ** meta["weight_bits"]
        values = generator.standard_normal((neurons, senders)) * gain / np.sqrt(senders)
        weights.append((np.round(values * unit) / unit if unit > 1 else values).astype(np.float32))
    inputs = np.random.default_rng(meta["seed_input"]).random((meta["T"], sizes[0])) < meta["input_prob"]
    inputs = inputs.astype(np.uint8)
    digest = hashlib.blake2b(b"".join(array.tobytes() for array in (*weights, inputs)), digest_size=8)
    assert digest.hexdigest() == meta["drawn"], "this NumPy draws other numbers than the one of the reference"
    return weights, inputs


def random_network(sizes, seed=0, gain=1.6, unit=2.0**-6):
    """Weights on a coarse grid, some of them 0, so that even sums over decayed potentials are exact."""
    generator = np.random.default_rng(seed)
    weights = []
    for senders, neurons in pairwise(sizes):
        values = generator.standard_normal((neurons, senders)) * gain / np.sqrt(max(senders, 1))
        weights.append(np.round(values / unit) * unit * (generator.random(values.shape) < 0.85))
    return weights


def random_inputs(timesteps, inputs, seed=0, high=2, share=0.6):
    generator = np.random.default_rng(seed + 1000)
    return generator.integers(1, high + 1, (timesteps, inputs)) * (generator.random((timesteps, inputs)) < share)


def layered(weights, inputs, threshold, leak=1.0, reset="zero"):
    """Counts and potentials [T, neurons] of layer-by-layer LIF inference: every neuron sees all its input at once."""
    potentials = [np.zeros(len(matrix)) for matrix in weights]
    counts, ends = [], []
    for frame in np.asarray(inputs, dtype=float):
        spikes, fired = frame, []
        for number, matrix in enumerate(weights):
            potential = potentials[number] * leak + matrix @ spikes
            spikes = (potential > threshold).astype(float)
            after = potential - threshold if reset == "subtract" else np.zeros(len(matrix))
            potentials[number] = np.where(spikes > 0, after, potential)
            fired.append(spikes)
        counts.append(np.concatenate(fired))
        ends.append(np.concatenate(potentials))
    return np.array(counts), np.array(ends)


@st.composite
def networks(draw):
    """Weights and inputs; now and then no inputs, no timesteps, a single layer."""
    sizes = [draw(st.integers(0, 7)), *draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))]
    seed, timesteps = draw(st.integers(0, 10**6)), draw(st.integers(0, 4))
    return random_network(sizes, seed), random_inputs(timesteps, sizes[0], seed)


@st.composite
def settings_of(draw, neurons):
    """Any settings that ``run`` takes."""

    def per_neuron(values):
        return draw(st.one_of(values, st.lists(values, min_size=neurons, max_size=neurons)))

    def flag():
        return draw(st.booleans())

    def probability():
        return draw(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0]))

    chosen = {
        "group": draw(st.integers(1, 6)),
        "policy": draw(st.sampled_from(POLICIES)),
        "threshold": per_neuron(st.sampled_from([0.25, 0.3, 0.7])),
        "leak": per_neuron(st.sampled_from([1.0, 0.5, 0.9, 0.0])),
        "reset": draw(st.sampled_from(["zero", "subtract"])),
        "refractory": flag(),
        "refractory_dropout": probability(),
        "stop": draw(st.sampled_from(["done", "output"])),
        "steps_after": draw(st.integers(0, 2)),
        "carry": flag(),
        "drain": draw(st.sampled_from(["positive", "all"])),
        "input_dropout": probability(),
        "network_dropout": probability(),
        "seed": draw(st.integers(-5, 2**40)),
    }
    if chosen["policy"] == "momentum":
        chosen["noise"] = draw(st.sampled_from([0.0, 0.5]))
    mode = draw(st.sampled_from(["plain", "competing", "sync", "barriers", "barriers and sync"]))
    if mode in ("sync", "barriers and sync"):
        chosen["sync_threshold"] = per_neuron(st.sampled_from([-1.0, 0.0, 1.0, 2.5, np.inf]))
    if mode.startswith("barriers"):
        chosen |= {"barriers": True, "carry": False}
    if mode == "competing" or (mode == "sync" and flag()):
        chosen["prioritise_input"] = False
    return chosen
