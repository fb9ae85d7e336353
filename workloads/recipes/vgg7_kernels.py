"""Decisions of a forward step on maps of neurons, and their way back; the convolutions between are torch's.

Arrays [B, N] hold all neurons of a batch of samples: layers behind each other, a map [C, H, W] each. Decisions are
those of ``hwsim.neuromorphic.run``, with its draws: same sums, same spikes. The kernels take float32 or float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.kernels.scheduling import step_key
from hwsim.rng import draw_uniform

LAYERED, RANDOM, MOMENTUM = 0, 1, 2


class Rule(NamedTuple):
    """How a pass runs. ``inputs``: of the network, before whose neurons draws are numbered. Dropout is a probability;
    ``noise`` is uniform from 0, and for momentum only. ``group`` 0: room for every neuron."""

    policy: int
    group: int
    threshold: float
    steepness: float
    refractory_dropout: float
    noise: float
    inputs: int


class State(NamedTuple):
    """Between two steps, [B, N]. ``alive``: 0 while refractory; ``queue``: spikes waiting; ``key``: potential at the
    last crossing; ``emitted``: spikes so far."""

    potential: np.ndarray
    alive: np.ndarray
    queue: np.ndarray
    key: np.ndarray
    emitted: np.ndarray


class Step(NamedTuple):
    """What the way back needs of one step.

    value [B, N]: potential when evaluated; alive [B, N]: before; sent [B, N]: multiplicities that went out; room [B]: 1
    where the group had room for all; evaluated [B, L]: layers that received current.
    """

    value: np.ndarray
    alive: np.ndarray
    sent: np.ndarray
    room: np.ndarray
    evaluated: np.ndarray


@njit(nogil=True)
def _first(rank, waiting, number, group):
    """Puts the ``group`` first of ``waiting``, by (rank, neuron), to its front."""
    order = np.argsort(rank[:number], kind="mergesort")  # waiting is in the order of neurons: equal ranks keep it
    chosen = waiting[order]
    for place in range(number):
        waiting[place] = chosen[place]
    return group


@njit(nogil=True)
def _evaluate(state, step, current, begin, b, rule, draws):
    """V += I, fire and reset, in the layers of sample ``b`` that received current. The last layer only adds up."""
    layers = len(begin) - 1
    for layer in range(layers):
        if not step.evaluated[b, layer]:
            continue
        for i in range(begin[layer], begin[layer + 1]):
            alive = state.alive[b, i]
            step.alive[b, i] = alive
            value = (state.potential[b, i] + current[b, i]) * alive
            step.value[b, i] = value
            state.potential[b, i] = value
            if layer == layers - 1 or not value > rule.threshold:
                continue
            state.key[b, i] = value
            state.potential[b, i] = 0
            state.queue[b, i] += 1
            state.emitted[b, i] += 1
            dropout = rule.refractory_dropout
            if not (dropout > 0.0 and draw_uniform(draws, np.uint64(i + rule.inputs)) < dropout):
                state.alive[b, i] = 0


@njit(nogil=True)
def _send(state, step, ahead, begin, b, rule, draws, waiting, rank):
    """The first of the queue go out; marks the layers that they lead to in ``ahead``. Returns how many they are."""
    number = 0
    for i in range(begin[-2]):
        if state.queue[b, i]:
            waiting[number] = i
            number += 1
    step.room[b] = rule.group == 0 or number <= rule.group
    if not step.room[b]:
        for place in range(number):
            i, draw = waiting[place], 0.0
            if rule.policy == RANDOM or rule.noise > 0.0:
                draw = draw_uniform(draws, np.uint64(i + rule.inputs))
            rank[place] = draw if rule.policy == RANDOM else -(state.key[b, i] + draw * rule.noise)
        number = _first(rank, waiting, number, rule.group)
    for place in range(number):
        i = waiting[place]
        step.sent[b, i] = state.queue[b, i]
        state.queue[b, i] = 0
        layer = 1
        while i >= begin[layer]:
            layer += 1
        ahead[b, layer] = 1
    return number


@njit(nogil=True)
def decide(state, step, current, begin, rule, scheduling, refractory, number):
    """Forward step ``number`` (from 1) of all samples.

    ``current`` [B, N]; ``begin`` int64 [L + 1]: first neuron of each layer; ``scheduling`` and ``refractory`` uint64
    [B]: where the draws of each sample begin. Writes ``state`` and ``step`` (whose ``sent`` is zero before). Returns
    uint8 [B, L], the layers that receive current in the next step, and how many neurons were chosen.
    """
    batch, chosen = len(scheduling), 0
    ahead = np.zeros((batch, len(begin) - 1), np.uint8)
    waiting, rank = np.empty(begin[-1], np.int64), np.empty(begin[-1])
    for b in range(batch):
        _evaluate(state, step, current, begin, b, rule, step_key(refractory[b], 0, number))
        chosen += _send(state, step, ahead, begin, b, rule, step_key(scheduling[b], 0, number), waiting, rank)
    return ahead, chosen


@njit(nogil=True)
def undo(step, begin, rule, by_potential, by_waiting, by_sent, by_current):
    """One step back. Derivatives [B, N] of the loss.

    ``by_sent``: by what this step sent. ``by_potential``, ``by_waiting``: by potentials and queue after the step; they
    become those before it. Writes ``by_current``. A spike that was sent learns from its currents, one that waits from
    later steps (the skip path); where the group had room, so does every neuron from what its spike would have caused.
    Choice, order, reset and refractory flag are constants; surrogate 1 / (pi (1 + (pi x steepness / 2)^2)).
    """
    kind, layers = by_current.dtype.type, len(begin) - 1
    scale, pi, one, threshold = kind(np.pi * rule.steepness / 2.0), kind(np.pi), kind(1.0), kind(rule.threshold)
    for b in range(len(by_current)):
        for layer in range(layers):
            evaluated, last, room = step.evaluated[b, layer], layer == layers - 1, step.room[b]
            for i in range(begin[layer], begin[layer + 1]):
                if not last and (room or step.sent[b, i] > 0):
                    by_waiting[b, i] = by_sent[b, i]
                if not evaluated:
                    by_current[b, i] = 0
                    continue
                value = step.value[b, i]
                found = by_potential[b, i]
                if not last:
                    distance = scale * (value - threshold)
                    found = found if value <= threshold else kind(0.0)
                    found += by_waiting[b, i] * (one / (pi * (one + distance * distance)))
                found *= step.alive[b, i]
                by_potential[b, i] = found
                by_current[b, i] = found
