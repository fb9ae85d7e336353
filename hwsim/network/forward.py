"""One layer of the engine: all its timesteps at once, from its inputs to its outputs.

Tensors are channel-last: [T, H, W, C], or [1, H, W, C] where every timestep sees the same. Where sums are exact,
``weighted_layer`` makes psum and neuron in one go; a product's psums are made first, and meet the neuron afterwards.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass

import numpy as np

from hwsim.network import kernels
from hwsim.network.freeze import FrozenLayer
from hwsim.network.plain import apply, narrow, to_channel_last
from hwsim.network.product import rows
from hwsim.workload.model import INPUT, Edge, Layer, Workload

_KINDS = {"none": kernels.KIND_NONE, "lif": kernels.KIND_LIF, "if": kernels.KIND_LIF, "relu": kernels.KIND_RELU}
_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Call:
    """What the layers of one run have in common."""

    workload: Workload
    timesteps: int
    sample: int = 0
    membranes: bool = False
    """Whether stored membranes are wanted."""


class Values:
    """What is on the edges of one run, channel-last; the output layer's stays, others go after their last reader."""

    def __init__(self, workload: Workload, encoded: np.ndarray) -> None:
        """``encoded`` [T or 1, *shape] is the network's input."""
        self._workload = workload
        self._values = {INPUT: to_channel_last(encoded)}
        self._waiting = Counter(name for layer in workload.layers for name in layer.inputs)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._values[name]

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        self._values[name] = value

    def take(self, layer: Layer) -> list[np.ndarray]:
        """The inputs of ``layer``, which reads them once."""
        given = [self._values[name] for name in layer.inputs]
        for name in layer.inputs:
            self._waiting[name] -= 1
            if not self._waiting[name] and name != self._workload.output_layer:
                del self._values[name]
        return given


def forward(item: FrozenLayer, inputs: list[np.ndarray], call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Output [T or 1, E, F, M] of one layer, and its stored membranes [T, E, F, units] (empty unless wanted)."""
    layer, edge = item.layer, call.workload.edge(item.name)
    if not layer.has_weights and layer.neuron.type == "none" and edge.kind != "current":
        return narrow(_applied(item, inputs, call), edge), _NOTHING
    if item.product is not None or not layer.has_weights:
        return finish(item, sums(item, inputs, call), call)
    out = _outputs(item, edge, len(inputs[0]), call)
    arguments = (item.scale, item.offset, item.threshold, item.current_step, _neuron(item))
    _exact(item, inputs[0], call, arguments, out)
    return _shaped(item, edge, out)


def sums(item: FrozenLayer, inputs: list[np.ndarray], call: Call) -> np.ndarray:
    """What scale, offset and neuron of a layer work on, float64 [T or 1, P, M]: psums, or what its op makes."""
    if not item.layer.has_weights:
        x = _applied(item, inputs, call)
        return np.ascontiguousarray(x, dtype=np.float64).reshape(len(x), -1, x.shape[3])
    x, g = inputs[0], item.geometry
    if item.product is not None:
        made = item.product.psums(x, call.timesteps, call.sample)
        expected = (rows(item.product, len(x), call.timesteps), g.P, g.M)
        assert made.shape == expected and made.dtype == np.float64, (item.name, made.shape, made.dtype, expected)
        return np.ascontiguousarray(made)
    none = np.empty((0, g.P, g.M))
    out = kernels.Outputs(none.astype(np.uint8), np.empty((len(x), g.P, g.M)), none)
    neuron = kernels.Neuron(kernels.KIND_NONE, item.lif, 0.0, 1.0, 1.0)
    # A current of scale 1 and offset 0 on the grid of the psums is the psum itself.
    arguments = (np.ones((1, g.M)), np.zeros((1, g.M)), np.full((1, g.M), np.inf), item.psum_step, neuron)
    _exact(item, x, call, arguments, out)
    return out.currents


def finish(item: FrozenLayer, finished: np.ndarray, call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Scale, offset and neuron on what ``sums`` gave; returns what ``forward`` does."""
    edge = call.workload.edge(item.name)
    out = _outputs(item, edge, len(finished), call)
    arguments = (item.scale, item.offset, item.threshold, item.current_step, _neuron(item))
    kernels.plain_layer(finished, *arguments, np.empty(item.units), out)
    return _shaped(item, edge, out)


def _applied(item: FrozenLayer, inputs: list[np.ndarray], call: Call) -> np.ndarray:
    edges = [call.workload.edge(name) for name in item.layer.inputs]
    return apply(item.layer, inputs, edges, item.current_step)


def _neuron(item: FrozenLayer) -> kernels.Neuron:
    neuron = item.layer.neuron
    return kernels.Neuron(_KINDS[neuron.type], item.lif, item.start, float(neuron.scale), float(2**neuron.bits - 1))


def _outputs(item: FrozenLayer, edge: Edge, given: int, call: Call) -> kernels.Outputs:
    """Room for the results; one timestep where ``given`` rows of sums and everything after them are constant."""
    fires = item.layer.neuron.spiking
    times = call.timesteps if fires or given > 1 or len(item.scale) > 1 else 1
    height, width = _map_size(item.layer.output_shape)
    pixels, channels = height * width, item.layer.output_shape[0]
    current = edge.kind == "current"
    small = edge.low >= 0 and edge.high <= 255
    return kernels.Outputs(
        np.empty((0 if current else times, pixels, channels), dtype=np.uint8 if small else np.int32),
        np.empty((times if current else 0, pixels, channels)),
        np.empty((times if call.membranes and fires else 0, pixels, item.units)),
    )


def _shaped(item: FrozenLayer, edge: Edge, out: kernels.Outputs) -> tuple[np.ndarray, np.ndarray]:
    height, width = _map_size(item.layer.output_shape)
    result = out.currents if edge.kind == "current" else out.spikes
    membrane = out.membranes.reshape(-1, height, width, item.units) if out.membranes.size else _NOTHING
    return result.reshape(len(result), height, width, -1), membrane


def _exact(item: FrozenLayer, x: np.ndarray, call: Call, arguments: tuple, out: kernels.Outputs) -> None:
    """Exact sums over the layer's weights, then ``arguments``: scale, offset, threshold, step and neuron."""
    g, edge = item.geometry, call.workload.edge(item.layer.inputs[0])
    shape = kernels.Shape(*astuple(g))
    psum = np.empty(g.M, dtype=np.int32 if item.fits_int32 else np.float64)
    first, channel, value = kernels.list_events(x.reshape(len(x), g.H * g.W, g.C), psum)
    unit = edge.low == 0 and edge.high == 1
    kernels.weighted_layer(first, channel, value, unit, item.packed, shape, *arguments, psum, np.empty(item.units), out)


def _map_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of an edge (C), (C, L) or (C, H, W)."""
    return (shape[1], shape[2]) if len(shape) == 3 else (1, shape[1] if len(shape) == 2 else 1)
