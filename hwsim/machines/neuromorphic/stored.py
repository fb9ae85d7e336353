"""The network as a chip stores it: weights requantised where they are too wide, scales folded in, all on exact grids.

A neuromorphic core adds a weight to a membrane for every spike, so every synapse has a weight of its own in units of
the membrane: w x scale (of weights, input and batch normalisation), on the grid of the layer's currents. What does not
depend on spikes (bias, offset of BN) is added once per timestep. The result is a workload that ``hwsim.network``
computes too, bit for bit the same function where layers are synchronised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.grid import to_grid
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.workload.model import INPUT, Layer, Weights, Workload

_PASSIVE = ("flatten", "reshape")
_POOLS = ("avgpool", "sumpool", "maxpool")


@dataclass(frozen=True)
class Stored:
    """A workload as a chip stores it.

    frozen      the stored network, as ``hwsim.network`` computes it
    between     layer with weights -> the operations between it and the layer before
    requantised layer -> bits of the file's weights, where they were narrowed to the chip's
    steps       layer -> what one unit of its integer weights is worth on the membrane (0: weights are no integers)
    """

    workload: Workload
    frozen: Frozen
    layers: tuple[Layer, ...]
    between: Mapping[str, tuple[Layer, ...]]
    requantised: Mapping[str, int]
    steps: Mapping[str, float]


class _Overlay:
    """The arrays of a workload with some replaced."""

    def __init__(self, below: Any, changed: Mapping[str, np.ndarray]) -> None:
        self._below, self._changed = below, changed

    @property
    def headers(self) -> Mapping[str, Any]:
        return self._below.headers

    def read(self, name: str) -> np.ndarray:
        return self._changed[name] if name in self._changed else self._below.read(name)


def store(workload: Workload, weight_bits: int | None, timesteps: int) -> Stored:
    """The workload on a chip with weights of ``weight_bits`` (None: as they are).

    Raises ``SpecError`` with everything that such a machine cannot compute.
    """
    if workload.kind != "network":
        raise SpecError(f"workload {workload.name} is a {workload.kind} file: spikes are made on the machine, which "
                        "needs a network with weights")  # fmt: skip
    between = _chain(workload)
    _refuse(workload)
    plain = freeze(workload, Numerics(timesteps=timesteps))
    exact, wide = {}, {}
    for layer in workload.weighted:
        exact[layer.name], narrowed = _effective(workload, layer, plain, weight_bits)
        if narrowed:
            assert layer.weights is not None
            wide[layer.name] = layer.weights.bits
    biases = {layer.name: plain.layers[layer.name].offset[0] for layer in workload.weighted}
    steps = {layer.name: plain.layers[layer.name].current_step for layer in workload.weighted}
    while True:
        made = _derived(workload, exact, biases, steps)
        frozen = freeze(made, Numerics(timesteps=timesteps))
        found = {layer.name: frozen.layers[layer.name].current_step for layer in made.weighted}
        if all(found[name] <= step for name, step in steps.items()):  # a coarser grid lies on a finer one
            break
        steps = {name: max(step, steps[name]) for name, step in found.items()}
    assert frozen.largest_change == 0.0, "stored weights must be on the engine's grid"
    units = {layer.name: _unit(workload, layer, plain, weight_bits) for layer in workload.weighted}
    return Stored(made, frozen, workload.weighted, between, wide, units)


def _chain(workload: Workload) -> dict[str, tuple[Layer, ...]]:
    """The operations between weighted layers; ``SpecError`` where the network is no chain of what can be placed."""
    problems, found = [], {}
    waiting: list[Layer] = []
    before = INPUT
    for layer in workload.layers:
        where = f"workload {workload.name}: layer {layer.name}"
        if layer.inputs != (before,) or layer.op in ("add", "concat"):
            text = f"takes {' and '.join(layer.inputs)}: cores take a chain of layers, without joining edges"
            problems.append(Problem(where, text))
        before = layer.name
        if layer.has_weights:
            found[layer.name], waiting = tuple(waiting), []
            continue
        waiting.append(layer)
        if layer.neuron.type != "none":
            problems.append(Problem(where, f"a {layer.op} with neurons of its own cannot be placed on cores"))
        if layer.op in _POOLS and len({item.op == "maxpool" for item in waiting if item.op in _POOLS}) > 1:
            problems.append(Problem(where, "maxima and sums between the same two layers cannot be placed on cores"))
        if layer.op == "maxpool" and workload.edge(layer.inputs[0]).bits != 1:
            text = "a maximum is taken of binary spikes only: the first spike of a window passes"
            problems.append(Problem(where, text))
    if waiting:
        text = "cores end with a layer that has weights"
        problems.append(Problem(f"workload {workload.name}: layer {waiting[-1].name}", text))
    if problems:
        raise SpecError(problems)
    return found


def _refuse(workload: Workload) -> None:
    """Neurons that cores do not have."""
    problems = []
    for layer in workload.weighted:
        neuron, where = layer.neuron, f"workload {workload.name}: layer {layer.name}"
        last = layer.name == workload.weighted[-1].name
        if not neuron.spiking and not (neuron.type == "none" and last):
            problems.append(Problem(where, f"neurons of type '{neuron.type}' send no spikes"))
        for unfit, text in (
            (neuron.signed or neuron.max_spikes > 1, "graded or signed spikes are not sent by cores"),
            (neuron.membrane is not None, "a stored format of membranes is not computed by cores"),
            (neuron.leak_shift is not None, "a leak by shifting is not computed by cores: give it as a factor"),
            (layer.bn is not None and layer.bn.per_timestep, "batch normalisation per timestep needs other weights in "
             "each timestep"),
        ):  # fmt: skip
            if unfit:
                problems.append(Problem(where, text))
    if problems:
        raise SpecError(problems)


def _effective(workload: Workload, layer: Layer, plain: Frozen, bits: int | None) -> tuple[np.ndarray, bool]:
    """float64 [M, K]: the layer's weights in units of the membrane, and whether they had to be narrowed."""
    frozen = plain.layers[layer.name]
    if len(frozen.scale) > 1 or len(frozen.threshold) > 1:
        raise SpecError(f"workload {workload.name}: layer {layer.name} has other parameters in each timestep")
    assert layer.weights is not None
    matrix = frozen.matrix.astype(np.float64)
    scale = np.broadcast_to(workload.values(layer.weights.scale), (len(matrix),))
    narrowed = bits is not None and layer.weights.bits > bits
    if narrowed:
        assert bits is not None
        real = matrix * scale[:, None]
        matrix = requantise(real, bits) / scale[:, None]
    return matrix * frozen.scale[0][:, None], narrowed


def _unit(workload: Workload, layer: Layer, plain: Frozen, bits: int | None) -> float:
    """What one unit of the integer weights of a layer is worth on the membrane, in the channel where it is least."""
    frozen = plain.layers[layer.name]
    assert layer.weights is not None
    scale = np.broadcast_to(workload.values(layer.weights.scale), (len(frozen.matrix),))
    factor = frozen.scale[0] / scale
    if bits is not None and layer.weights.bits > bits:
        return float(requantisation_step(frozen.matrix * scale[:, None], bits) * np.abs(factor).min())
    return float(np.abs(frozen.scale[0]).min()) if frozen.integer else 0.0


def requantisation_step(real: np.ndarray, bits: int) -> float:
    """The step of weights whose largest magnitude is 2^(bits-1) - 1 steps."""
    return float(np.abs(real).max(initial=0.0)) / max(2 ** (bits - 1) - 1, 1)


def requantise(real: np.ndarray, bits: int) -> np.ndarray:
    """Weights as whole multiples of one step, symmetric, nearest (half to even): largest magnitude = 2^(bits-1) - 1."""
    most, step = max(2 ** (bits - 1) - 1, 1), requantisation_step(real, bits)
    return np.clip(np.rint(real / step), -most, most) * step if step else real


def _derived(
    workload: Workload, exact: Mapping[str, np.ndarray], biases: Mapping[str, np.ndarray], steps: Mapping[str, float]
) -> Workload:
    """The workload with its weights, biases and edges replaced by what is stored."""
    arrays: dict[str, np.ndarray] = {}
    layers = []
    for layer in workload.layers:
        if not layer.has_weights:
            layers.append(layer)
            continue
        assert layer.weights is not None
        member, bias, step = f"{layer.name}/stored", f"{layer.name}/drive", steps[layer.name]
        shape = workload.weight(layer).shape
        arrays[member] = to_grid(exact[layer.name], step).reshape(shape)
        arrays[bias] = to_grid(biases[layer.name], step)
        weights = Weights(member, 32, 1.0)
        layers.append(replace(layer, weights=weights, bias=bias, bn=None))
    readers = {layer.inputs[0] for layer in workload.layers if layer.has_weights}
    edges = {
        name: replace(edge, scale=1.0) if name in readers else edge for name, edge in workload.edges.items()
    }  # fmt: skip
    return replace(workload, layers=tuple(layers), edges=edges, arrays=_Overlay(workload.arrays, arrays))
