"""A workload with its numbers fixed: weights on exact grids, BN folded, thresholds on the grid of the currents.

The function that every engine and machine computes, for an output channel m at timestep t:

    psum    = sum over k of weight[m, k] x[k]                       exact, or what the layer's product makes of x
    current = psum * scale[t, m] + offset[t, m]                     float64 in this order, then to ``current_step``
    u       = grid(leak * u) + current; fire; reset; store          ``hwsim.network.neuron``
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.grid import EXACT_BITS, current_step, grid_step, power_of_two_above, to_grid, width_bits
from hwsim.network.neuron import ROUNDINGS, LifParameters
from hwsim.network.numerics import Numerics, check_timesteps
from hwsim.network.product import Product
from hwsim.workload.model import Geometry, Layer, Workload

FLOAT_PSUM_BITS = 32
"""Stated width of a psum of float weights: a float32 accumulator."""

_INT32_LIMIT = 2**31 - 1
_NO_LIF = LifParameters(1.0, -1, 1.0, False, False, 1, False, 0.0, 0.0, 0.0, 0, True, 1)


@dataclass(frozen=True)
class FrozenLayer:
    """One layer as it is computed. Axes: T timesteps (1 where all are equal), M output channels, K = (c, r, s)."""

    layer: Layer
    matrix: np.ndarray = field(repr=False)
    """[M, K] weights as they stand in the file if integer, else float64 on ``weight_step``; empty without weights."""
    integer: bool
    """Weights are integers (the weight scale is in ``scale``)."""
    weight_step: float
    """Grid of float weights; 1 for integers."""
    scale: np.ndarray = field(repr=False)
    offset: np.ndarray = field(repr=False)
    """scale, offset [T or 1, M] float64: bias and BN are folded in."""
    threshold: np.ndarray = field(repr=False)
    """[T or 1, M] float64 on the current's grid; infinite where nothing fires."""
    full_scale: float
    """Largest magnitude that a current of this layer can have."""
    current_step: float
    lif: LifParameters
    start: float
    psum_low: float
    psum_high: float
    """Least and largest sum that the weights and the input's range allow, partial sums included; 0 without weights.
    Of a product: its full scale."""
    largest_change: float
    """Largest change of a weight by its grid, relative to that weight."""
    product: Product | None = field(default=None, repr=False)
    """What makes the psums instead of ``matrix``, if anything does."""

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    @property
    def geometry(self) -> Geometry:
        """The integers of a weighted layer."""
        return self.layer.geometry

    @property
    def psum_bits(self) -> int:
        """The least multiple of 8 whose two's complement holds every possible partial sum; 32 for sums of floats."""
        integer = self.integer if self.product is None else self.product.step >= 1
        return width_bits(math.floor(self.psum_low), math.ceil(self.psum_high)) if integer else FLOAT_PSUM_BITS

    @property
    def psum_step(self) -> float:
        """The grid of the psums."""
        return self.weight_step if self.product is None else self.product.step

    @property
    def fits_int32(self) -> bool:
        """Whether int8 weights and int32 sums suffice."""
        return self.matrix.dtype == np.int8 and max(-self.psum_low, self.psum_high) <= _INT32_LIMIT

    @property
    def compare_ge(self) -> bool:
        """Fire at u >= threshold (else u > threshold)."""
        return self.lif.compare_ge

    @property
    def reset_subtract(self) -> bool:
        """Reset by subtraction (else to zero)."""
        return self.lif.reset_subtract

    @property
    def units(self) -> int:
        """Membranes per output pixel: channels over LIF sharing, rounded up."""
        return -(-self.scale.shape[1] // self.lif.share)

    @cached_property
    def weight(self) -> np.ndarray:
        """[M, K] int32, or float64 on the grid; K in the order (c, r, s). Read-only."""
        weight = self.matrix.astype(np.int32) if self.integer else self.matrix
        weight.setflags(write=False)
        return weight

    @cached_property
    def packed(self) -> np.ndarray:
        """The engine's layout [R S C, M / groups], rows (r, s, c): int8 where int32 sums suffice, else float64."""
        g = self.geometry
        shape = (g.groups, g.M // g.groups, g.C // g.groups, g.R, g.S)
        rows = self.matrix.reshape(shape).transpose(3, 4, 0, 2, 1).reshape(g.R * g.S * g.C, g.M // g.groups)
        return np.array(rows, dtype=np.int8 if self.fits_int32 else np.float64, order="C")

    def at(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(scale, offset, threshold), each [M], of timestep ``t``."""
        row = min(t, len(self.scale) - 1)
        return self.scale[row], self.offset[row], self.threshold[min(t, len(self.threshold) - 1)]


@dataclass(frozen=True)
class Frozen:
    """A workload and what a machine makes of it. ``layers`` holds every layer, in order, by name."""

    workload: Workload
    numerics: Numerics
    timesteps: int
    layers: Mapping[str, FrozenLayer]

    @property
    def weighted(self) -> tuple[FrozenLayer, ...]:
        """The layers with weights, in order."""
        return tuple(layer for layer in self.layers.values() if layer.layer.has_weights)

    @property
    def largest_change(self) -> float:
        """Largest relative change of any weight by its grid."""
        return max((layer.largest_change for layer in self.weighted), default=0.0)


def freeze(workload: Workload, numerics: Numerics | None = None) -> Frozen:
    """Fix the numbers of a network. Raises ``SpecError`` where it holds no weights, or too few timesteps of BNTT, and
    where ``numerics`` name layers or shapes that the network does not have.
    """
    numerics = numerics or Numerics()
    if workload.kind != "network":
        raise SpecError(f"workload {workload.name} is a {workload.kind} file: it has no weights to compute with")
    timesteps = check_timesteps(numerics.timesteps or workload.timesteps)
    _check_names(workload, numerics)
    largest = {"input": _edge_size(workload, "input")}
    layers: dict[str, FrozenLayer] = {}
    for layer in workload.layers:
        frozen = _freeze_layer(workload, layer, numerics, timesteps, largest)
        layers[layer.name] = frozen
        current = workload.edge(layer.name).kind == "current"
        largest[layer.name] = frozen.full_scale if current else _edge_size(workload, layer.name)
    return Frozen(workload, numerics, timesteps, layers)


def _check_names(workload: Workload, numerics: Numerics) -> None:
    weighted = [layer.name for layer in workload.weighted]
    normalised = [layer.name for layer in workload.weighted if layer.bn is not None]
    for given, names, what in (
        (numerics.products, weighted, "layer with weights"),
        (numerics.weights, weighted, "layer with weights"),
        (numerics.statistics, normalised, "layer with BN"),
    ):
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names, f"Each {what}")
                raise SpecError(f"workload {workload.name} has no {what} named '{name}'; {hint}")


def _edge_size(workload: Workload, name: str) -> float:
    edge = workload.edge(name)
    return max(-edge.low, edge.high) * edge.scale


def _freeze_layer(
    workload: Workload, layer: Layer, numerics: Numerics, timesteps: int, largest: Mapping[str, float]
) -> FrozenLayer:
    channels = layer.output_shape[0]
    if layer.has_weights:
        product = numerics.products.get(layer.name)
        matrix, weight_step, change = _weights(workload, layer, numerics.weights.get(layer.name))
        low, high = _sum_range(workload, layer, matrix) if product is None else _product_range(product)
        scale, offset = _affine(workload, layer, timesteps, numerics.statistics.get(layer.name))
        full_scale = float((np.maximum(-low, high) * np.abs(scale) + np.abs(offset)).max())
    else:
        product, matrix, weight_step, change = None, np.empty((channels, 0)), 1.0, 0.0
        low = high = np.zeros(1)
        scale, offset = np.full((1, channels), _plain_scale(workload, layer)), np.zeros((1, channels))
        full_scale = _plain_size(layer, largest)
    full_scale = max(full_scale, abs(layer.neuron.start))
    step = current_step(full_scale)
    threshold = _threshold(workload, layer, timesteps, step, channels)
    return FrozenLayer(
        layer=layer,
        matrix=matrix,
        integer=np.issubdtype(matrix.dtype, np.integer),
        weight_step=weight_step,
        scale=scale,
        offset=offset,
        threshold=threshold,
        full_scale=full_scale,
        current_step=step,
        lif=_lif(layer, numerics, threshold, step),
        start=float(to_grid(layer.neuron.start, step)),
        psum_low=float(low.min()),
        psum_high=float(high.max()),
        largest_change=change,
        product=product,
    )


def _plain_size(layer: Layer, largest: Mapping[str, float]) -> float:
    """Largest magnitude that an op without weights can give, in real numbers."""
    sizes = [largest[name] for name in layer.inputs]
    if layer.op == "add":
        return sum(sizes)
    return max(sizes) * (layer.kernel[0] * layer.kernel[1] if layer.op == "sumpool" else 1)


def _plain_scale(workload: Workload, layer: Layer) -> float:
    """Real value of one unit of what an op without weights computes: sums of a pool's window are not yet averaged."""
    edges = [workload.edge(name) for name in layer.inputs]
    scale = 1.0 if any(edge.kind == "current" for edge in edges) else edges[0].scale
    return scale / (layer.kernel[0] * layer.kernel[1]) if layer.op == "avgpool" else scale


def _weights(workload: Workload, layer: Layer, given: np.ndarray | None) -> tuple[np.ndarray, float, float]:
    """[M, K] weights, the ``given`` ones or the file's, their grid, and the largest relative change by it."""
    raw = workload.weight(layer)
    matrix = raw.reshape(len(raw), -1)
    if given is not None:
        if given.shape != matrix.shape or not np.isfinite(given).all():
            found = "not all finite" if given.shape == matrix.shape else f"of shape {list(given.shape)}"
            raise SpecError(
                f"layer '{layer.name}': weights must be finite, of shape {list(matrix.shape)}; these are {found}"
            )
        matrix = given.astype(np.float64)
    if np.issubdtype(matrix.dtype, np.integer):
        return matrix, 1.0, 0.0
    exact = matrix.astype(np.float64)
    edge = workload.edge(layer.inputs[0])
    step = grid_step(float(np.abs(exact).max(initial=0.0)) * matrix.shape[1] * max(-edge.low, edge.high))
    gridded = to_grid(exact, step)
    nonzero = exact != 0
    change = np.abs(gridded[nonzero] - exact[nonzero]) / np.abs(exact[nonzero])
    return gridded, step, float(change.max(initial=0.0))


def _sum_range(workload: Workload, layer: Layer, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest partial sum of each filter, float64 [M]: any input may be zero, or anything its edge allows."""
    edge = workload.edge(layer.inputs[0])
    wide = np.int64 if np.issubdtype(matrix.dtype, np.integer) else np.float64
    positive = np.where(matrix > 0, matrix, 0).sum(axis=1, dtype=wide)
    negative = np.where(matrix < 0, matrix, 0).sum(axis=1, dtype=wide)
    low, high = min(edge.low, 0), max(edge.high, 0)
    least, most = positive * low + negative * high, positive * high + negative * low
    if max(-least.min(), most.max()) >= 2**53:
        raise SpecError(f"layer '{layer.name}': its sums reach {max(-least.min(), most.max()):.3g}, beyond exact 2^53")
    return least.astype(np.float64), most.astype(np.float64)


def _product_range(product: Product) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest psum of a product, float64 [M or 1]."""
    size = np.atleast_1d(np.asarray(product.full_scale, dtype=np.float64))
    assert np.all(size >= 0) and size.max() <= product.step * 2.0**EXACT_BITS, "psums of a product must be exact"
    assert product.step == power_of_two_above(product.step), f"the step of psums is a power of two, not {product.step}"
    return -size, size


def _affine(
    workload: Workload, layer: Layer, timesteps: int, statistics: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """scale and offset [T or 1, M] of current = psum * scale + offset: weight and input scale, bias, then BN.

    BN of I = psum * s + b is (I - mean) / sqrt(var + eps) * gamma + beta, hence with g = gamma / sqrt(var + eps)
    scale = s * g and offset = (b - mean) * g + beta.
    """
    assert layer.weights is not None
    channels = layer.output_shape[0]
    scale = workload.values(layer.weights.scale) * workload.edge(layer.inputs[0]).scale
    offset = np.zeros(()) if layer.bias is None else workload.array(layer.bias).astype(np.float64)
    if layer.bn is not None:
        bn = layer.bn
        members = (bn.gamma, bn.beta, bn.mean, bn.var)
        gamma, beta, mean, var = (np.asarray(workload.array(name), dtype=np.float64) for name in members)
        if statistics is not None:
            mean, var = _statistics(layer, mean.shape, statistics)
        if bn.per_timestep and len(gamma) < timesteps:
            raise SpecError(f"layer '{layer.name}': its BN is trained for {len(gamma)} timesteps, not {timesteps}")
        factor = gamma / np.sqrt(var + bn.eps)
        scale, offset = scale * factor, (offset - mean) * factor + beta
    rows = max(len(value) if value.ndim == 2 else 1 for value in (scale, offset))
    return np.array(np.broadcast_to(scale, (rows, channels))), np.array(np.broadcast_to(offset, (rows, channels)))


def _statistics(
    layer: Layer, shape: tuple[int, ...], given: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance that replace those of the file, float64 of its shape."""
    mean, var = (np.asarray(value, dtype=np.float64) for value in given)
    assert np.isfinite(mean).all() and np.all(var >= 0), f"statistics of layer '{layer.name}'"
    for what, value in (("mean", mean), ("variance", var)):
        if value.shape != shape:
            raise SpecError(
                f"layer '{layer.name}': the {what} of its BN must have the shape {list(shape)}, not {list(value.shape)}"
            )
    return mean, var


def _threshold(workload: Workload, layer: Layer, timesteps: int, step: float, channels: int) -> np.ndarray:
    """[T or 1, M] float64 on the grid of the currents; infinite for layers that do not fire."""
    if not layer.neuron.spiking:
        return np.full((1, channels), np.inf)
    values = to_grid(workload.values(layer.neuron.threshold), step)
    if values.ndim == 2 and 1 < len(values) < timesteps:
        raise SpecError(f"layer '{layer.name}': its thresholds are given for {len(values)} timesteps, not {timesteps}")
    rows = len(values) if values.ndim == 2 else 1
    return np.array(np.broadcast_to(values, (rows, channels)))


def _lif(layer: Layer, numerics: Numerics, threshold: np.ndarray, step: float) -> LifParameters:
    neuron = layer.neuron
    if not neuron.spiking:
        return _NO_LIF
    bits, fraction_step = numerics.membrane_bits, numerics.membrane_step_fraction * float(threshold.max())
    rounding, saturate = numerics.membrane_rounding, numerics.membrane_saturate
    if neuron.membrane is not None:
        own = neuron.membrane
        bits, fraction_step, rounding, saturate = own.bits, own.scale, own.rounding, own.saturate
    quant_step = 0.0 if bits is None else max(to_grid(fraction_step, step), step)
    half = 2.0 ** (bits - 1) if bits is not None else 0.0
    return LifParameters(
        leak=float(neuron.leak),
        shift=-1 if neuron.leak_shift is None else neuron.leak_shift,
        current_step=step,
        compare_ge=neuron.compare == ">=",
        reset_subtract=neuron.reset == "subtract",
        max_spikes=neuron.max_spikes,
        signed=neuron.signed,
        quant_step=float(quant_step),
        quant_low=-half,
        quant_high=half - 1.0,
        quant_rounding=ROUNDINGS[rounding],
        quant_saturate=saturate,
        share=numerics.lif_sharing,
    )
