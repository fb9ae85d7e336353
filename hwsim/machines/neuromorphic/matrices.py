"""A workload for the ideal machine: its layers, convolutions among them, as matrices from sender to receiver.

Padding, strides, groups and the pools between layers are in the matrices; a sum or an average of spikes is a part of
the next layer's weights. A maximum of spikes is not: which spike comes first decides it, so ``run`` has none.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import sparse

from hwsim.errors import Problem, SpecError
from hwsim.machines.neuromorphic.connect import pool_of
from hwsim.machines.neuromorphic.frozen import Frozen, freeze
from hwsim.machines.neuromorphic.stored import Stored, store
from hwsim.network.freeze import FrozenLayer
from hwsim.workload.model import Geometry, Workload, size


def freeze_workload(workload: Workload, *, weight_bits: int | None = None) -> Frozen:
    """A network file as ``run`` and ``run_many`` take it.

    Inputs are the integers that the file's samples are encoded to; the scale of the input is in the weights. The last
    layer has infinite thresholds where its potentials are the logits. ``weight_bits``: as a chip would store them.

    Errors: ``SpecError`` with everything that forward steps do not compute.
    """
    stored = store(workload, weight_bits, workload.timesteps)
    layers = [stored.frozen.layers[layer.name] for layer in stored.layers]
    _refuse(workload, layers, stored)
    made = [_matrix(layer, stored) for layer in layers]
    each = [np.repeat(layer.threshold[0], layer.geometry.P) for layer in layers]
    leak = [np.full(len(own), layer.lif.leak if layer.layer.neuron.spiking else 1.0)
            for own, layer in zip(each, layers, strict=True)]  # fmt: skip
    steps = [layer.current_step for layer in layers]
    return freeze(made, threshold=np.concatenate(each), leak=np.concatenate(leak), grid=steps)


def _refuse(workload: Workload, layers: list[FrozenLayer], stored: Stored) -> None:
    problems = []
    for layer in layers:
        reset = layer.reset_subtract and layer.layer.neuron.spiking
        pools = any(item.op == "maxpool" for item in stored.between[layer.name])
        for unfit, text in (
            (pools, "a maximum of spikes is not computed by forward steps: use a stride, a sum or an average"),
            (np.any(layer.offset != 0), "a bias, or an offset of batch normalisation, is not added by forward steps"),
            (layer.start != 0, "membranes start at 0 in forward steps"),
            (layer.compare_ge and layer.layer.neuron.spiking, "neurons fire above their threshold, not at it"),
            (reset, "a reset by subtraction is a setting of run: use neurons that are reset to zero, or freeze"),
        ):
            if unfit:
                problems.append(Problem(f"workload {workload.name}: layer {layer.name}", text))
    if problems:
        raise SpecError(problems)


def _matrix(layer: FrozenLayer, stored: Stored) -> np.ndarray | sparse.csc_array:
    """float64 [fan-out, fan-in]; sparse where it is a convolution, or a pool comes before it."""
    geometry, weight = layer.geometry, layer.weight.astype(np.float64)
    cells, starts, members = pool_of(stored.between[layer.name], size(layer.layer.input_shape))[1:]
    full = geometry.P == 1 and geometry.groups == 1 and geometry.K == geometry.C * geometry.H * geometry.W
    if full and not len(starts):
        return weight
    matrix = sparse.csc_array(weight) if full else convolution(weight, geometry)
    if not len(starts):
        return matrix
    pool = sparse.csc_array((np.ones(len(members)), members, starts), (cells, len(starts) - 1))
    return sparse.csc_array(matrix @ pool)


def convolution(weight: np.ndarray, geometry: Geometry) -> sparse.csc_array:
    """The matrix [M x E x F, C x H x W] of a convolution with weights [M, K], K in the order (channel, row, column)."""
    g = geometry
    per_group, channels = g.M // g.groups, g.C // g.groups
    taps = weight.reshape(g.M, channels, g.R, g.S)
    filters = np.arange(g.M)[:, None, None]
    inputs = filters // per_group * channels + np.arange(channels)[None, :, None]
    rows, columns, values = [], [], []
    for r, s in product(range(g.R), range(g.S)):
        y = np.arange(g.E)[:, None] * g.stride_y - g.pad_y + r * g.dilation_y
        x = np.arange(g.F)[None, :] * g.stride_x - g.pad_x + s * g.dilation_x
        inside = np.flatnonzero((y >= 0) & (y < g.H) & (x >= 0) & (x < g.W))
        shape = (g.M, channels, len(inside))
        rows.append(np.broadcast_to(filters * g.P + inside, shape).ravel())
        columns.append((inputs * g.H * g.W + (y * g.W + x).ravel()[inside]).ravel())
        values.append(np.broadcast_to(taps[:, :, r, s, None], shape).ravel())
    whole = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csc_array(sparse.coo_array(whole, (g.M * g.P, g.C * g.H * g.W)))


__all__ = ["convolution", "freeze_workload"]
