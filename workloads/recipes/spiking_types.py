"""What the kernels of spiking_steps take and keep."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LAYERED, RANDOM, MOMENTUM = 0, 1, 2
DONE = -1


class Net(NamedTuple):
    """A network: ``weights`` of all layers behind each other, [fan-in, fan-out] each; ``turned``: [fan-out, fan-in].

    ``sizes`` [L + 1] with the input first, ``starts`` [L] of layers in the weights, ``places`` [L + 1] of layers among
    the neurons, ``layer_of`` [N]; int64.
    """

    weights: np.ndarray
    turned: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    layer_of: np.ndarray


class Rule(NamedTuple):
    """How a pass runs. ``after``: steps after the first output spike, DONE for none. Dropouts are probabilities."""

    policy: int
    group: int
    threshold: float
    leak: float
    steepness: float
    after: int
    refractory_dropout: float
    input_dropout: float
    noise: float


class Frames(NamedTuple):
    """Samples, sparse: timestep t holds entries ``start[t]:start[t + 1]`` of ``place`` (int64), ``count`` (float)."""

    start: np.ndarray
    place: np.ndarray
    count: np.ndarray


class State(NamedTuple):
    """Per neuron [N]: what a pass works with. ``alive``: 0 while refractory; ``spikes``, ``sent``: over the sample."""

    membrane: np.ndarray
    current: np.ndarray
    key: np.ndarray
    alive: np.ndarray
    queue: np.ndarray
    waiting: np.ndarray
    picked: np.ndarray
    spikes: np.ndarray
    sent: np.ndarray
    touched: np.ndarray


class Tape(NamedTuple):
    """What the backward pass needs of K steps.

    ``potential``, ``alive`` [K, N]: at and before evaluation. ``evaluated`` [K, L]. ``chosen``, ``times`` [K, group],
    ``number`` [K, 2]: whom the step sent, how often; how many they are, and 1 where the group had room for all.
    """

    potential: np.ndarray
    alive: np.ndarray
    evaluated: np.ndarray
    chosen: np.ndarray
    times: np.ndarray
    number: np.ndarray
