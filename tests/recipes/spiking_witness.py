"""The forward steps once more, in plain dense NumPy, and as a smooth function of the weights.

A pass makes decisions: which layers are evaluated, who fires, who is refractory, whom a step sends, whether its group
had room. ``forward`` records them. ``smooth`` repeats the pass with the decisions of another one held fixed, a spike
being fired + A(U) - A(U at the recorded weights), where A is the primitive of the surrogate. At the recorded weights
that is the pass itself, and its derivative by the weights is, by definition, the surrogate gradient through all forward
steps: so finite differences of ``smooth`` check the hand-written backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.rng import draw_uniform
from workloads.recipes.spiking_types import LAYERED, MOMENTUM, RANDOM, Rule


@dataclass
class Step:
    """Decisions of one forward step, over all neurons; ``mask``: 1 for who is sent, all ones where there was room."""

    evaluated: np.ndarray
    alive: np.ndarray
    potential: np.ndarray
    fired: np.ndarray
    mask: np.ndarray
    order: list[int] = field(default_factory=list)


class Draws:
    """The kernels' random numbers, in the order in which they take them."""

    def __init__(self, key: np.uint64) -> None:
        self.key, self.taken = key, 0

    def next(self) -> float:
        """One number in [0, 1)."""
        self.taken += 1
        return draw_uniform(self.key, np.uint64(self.taken - 1))


def places_of(matrices: list[np.ndarray]) -> list[slice]:
    """The neurons of each layer."""
    ends = np.cumsum([matrix.shape[1] for matrix in matrices])
    return [slice(int(end) - matrix.shape[1], int(end)) for end, matrix in zip(ends, matrices, strict=True)]


def drop(frames: np.ndarray, probability: float, draws: Draws) -> np.ndarray:
    """One timestep's input counts after dropout, a draw per event."""
    if probability == 0.0:
        return frames
    kept = [sum(draws.next() >= probability for _ in range(int(count))) for count in frames]
    return np.array(kept, np.float64)


def order_of(waiting: list[int], crossing: np.ndarray, rule: Rule, draws: Draws) -> list[int]:
    """Whom a step sends: the first of the queue by the policy, or all where there is room."""
    if len(waiting) <= rule.group:
        return list(waiting)
    ranks = {}
    for i in waiting:
        noise = draws.next() if rule.policy == RANDOM or rule.noise > 0 else 0.0
        ranks[i] = -(crossing[i] + rule.noise * noise) if rule.policy == MOMENTUM else noise
    return sorted(waiting, key=lambda i: (ranks[i], i))[: rule.group]


def forward(matrices: list[np.ndarray], inputs: np.ndarray, rule: Rule, key: np.uint64):
    """Counts of all neurons, the decisions [timestep][step], the membranes, and the inputs after dropout."""
    layers, neurons = places_of(matrices), sum(matrix.shape[1] for matrix in matrices)
    owner = np.repeat(np.arange(len(layers)), [matrix.shape[1] for matrix in matrices])
    draws, membrane, counts = Draws(key), np.zeros(neurons), np.zeros(neurons, int)
    decisions, used = [], []
    for frame in inputs:
        membrane *= rule.leak
        alive, potential_at_crossing, queue = np.ones(neurons), np.zeros(neurons), np.zeros(neurons, int)
        used.append(drop(frame, rule.input_dropout, draws))
        current = np.zeros(neurons)
        current[layers[0]] = used[-1] @ matrices[0]
        touched, waiting, steps, left = {0}, [], [], None
        while True:
            step = Step(
                np.zeros(neurons, bool), alive.copy(), np.zeros(neurons), np.zeros(neurons, bool), np.ones(neurons)
            )
            step.evaluated = np.isin(owner, list(touched))
            membrane = np.where(step.evaluated, (membrane + current) * alive, membrane)
            step.potential, current = membrane.copy(), np.zeros(neurons)
            step.fired = step.evaluated & (membrane > rule.threshold)
            output_fired = False
            for i in np.flatnonzero(step.fired):
                potential_at_crossing[i], membrane[i] = membrane[i], 0.0
                spared = rule.refractory_dropout > 0 and draws.next() < rule.refractory_dropout
                alive[i] = alive[i] if spared else 0.0
                if left == 0:
                    continue
                waiting += [int(i)] if queue[i] == 0 else []
                queue[i] += 1
                counts[i] += 1
                output_fired |= i >= layers[-1].start
            steps.append(step)
            if left == 0:
                break
            step.order = order_of(waiting, potential_at_crossing, rule, draws)
            if len(waiting) > rule.group:
                step.mask = np.isin(np.arange(neurons), step.order).astype(float)
            touched = set()
            for i in step.order:
                layer = int(owner[i])
                if layer + 1 < len(layers):
                    touched.add(layer + 1)
                    current[layers[layer + 1]] += queue[i] * matrices[layer + 1][i - layers[layer].start]
                queue[i] = 0
            waiting = [i for i in waiting if queue[i]]
            if rule.policy == LAYERED:
                touched = {len(steps)}
                if len(steps) == len(layers):
                    break
            elif not waiting and not (current > 0).any():
                break
            left = left - 1 if left else rule.after if output_fired and rule.after >= 0 and left is None else left
        decisions.append(steps)
    return counts, decisions, membrane, np.array(used)


def smooth(matrices: list[np.ndarray], used: np.ndarray, rule: Rule, decisions, by_count: np.ndarray) -> float:
    """``by_count`` times the output's spike counts, as a smooth function of the weights (see above)."""
    layers, neurons = places_of(matrices), sum(matrix.shape[1] for matrix in matrices)
    slope = np.pi * rule.steepness / 2.0

    def primitive(potential):
        return np.arctan(slope * (potential - rule.threshold)) / (np.pi * slope)

    membrane, counts = np.zeros(neurons), np.zeros(neurons)
    for frame, steps in zip(used, decisions, strict=True):
        membrane = membrane * rule.leak
        current, queue = np.zeros(neurons), np.zeros(neurons)
        current[layers[0]] = frame @ matrices[0]
        for step in steps:
            potential = np.where(step.evaluated, (membrane + current) * step.alive, membrane)
            change = primitive(potential) - primitive(step.potential)
            spikes = np.where(step.evaluated, step.fired + change * step.alive, 0.0)
            membrane = np.where(step.fired, 0.0, potential)
            counts += spikes
            queue = queue + spikes
            sent, queue = queue * step.mask, queue * (1.0 - step.mask)
            current = np.zeros(neurons)
            for layer in range(1, len(layers)):
                current[layers[layer]] = sent[layers[layer - 1]] @ matrices[layer]
    return float(counts[layers[-1]] @ by_count)
