"""Ops without weights, on channel-last arrays [T, H, W, C]: pools, sums, joins and changes of shape."""

from __future__ import annotations

import numpy as np

from hwsim.grid import to_grid
from hwsim.workload.model import Edge, Layer


def to_channel_last(array: np.ndarray) -> np.ndarray:
    """[T, C], [T, C, L] or [T, C, H, W] as contiguous [T, H, W, C]."""
    if array.ndim == 2:
        return np.ascontiguousarray(array)[:, None, None, :]
    if array.ndim == 3:
        return np.ascontiguousarray(array.transpose(0, 2, 1))[:, None]
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def from_channel_last(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[T, H, W, C] as [T, *shape]."""
    return array.transpose(0, 3, 1, 2).reshape(len(array), *shape)


def apply(layer: Layer, inputs: list[np.ndarray], edges: list[Edge], step: float) -> np.ndarray:
    """What the op makes of its inputs before any neuron.

    Integers stay integers (sums of a pool's window are not yet averaged). Where currents take part, integers become
    real numbers and all are first rounded to ``step``, the grid of this sum.
    """
    if layer.op in ("flatten", "reshape"):
        return to_channel_last(
            from_channel_last(inputs[0], layer.input_shape).reshape(len(inputs[0]), *layer.output_shape)
        )
    if layer.op in ("add", "concat"):
        if any(edge.kind == "current" for edge in edges):
            inputs = [
                to_grid(x if edge.kind == "current" else x * edge.scale, step)
                for x, edge in zip(inputs, edges, strict=True)
            ]
        return _add(inputs) if layer.op == "add" else _concat(inputs)
    return _pool(layer, inputs[0], edges[0])


def _add(inputs: list[np.ndarray]) -> np.ndarray:
    wide = np.float64 if any(x.dtype == np.float64 for x in inputs) else np.int32
    total = inputs[0].astype(wide)
    for x in inputs[1:]:
        total = total + x
    return total


def _concat(inputs: list[np.ndarray]) -> np.ndarray:
    times = max(len(x) for x in inputs)
    return np.concatenate([np.broadcast_to(x, (times, *x.shape[1:])) for x in inputs], axis=3)


def _pool(layer: Layer, x: np.ndarray, edge: Edge) -> np.ndarray:
    """Maximum (of what is not padding) or sum over the window."""
    (pad_y, pad_x), (stride_y, stride_x) = layer.padding, layer.stride
    height, width = layer.output_shape[1:] if len(layer.output_shape) == 3 else (1, layer.output_shape[1])
    largest = layer.op == "maxpool"
    if not largest and x.dtype != np.float64:
        x = x.astype(np.int32)
    if pad_y or pad_x:
        nothing = (-np.inf if edge.kind == "current" else edge.low) if largest else 0
        x = np.pad(x, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)), constant_values=nothing)
    out = None
    for r in range(layer.kernel[0]):
        for s in range(layer.kernel[1]):
            part = x[:, r : r + stride_y * height : stride_y, s : s + stride_x * width : stride_x][:, :height, :width]
            if out is None:
                out = part.copy()
            elif largest:
                np.maximum(out, part, out=out)
            else:
                out += part
    assert out is not None
    return out


def narrow(x: np.ndarray, edge: Edge) -> np.ndarray:
    """The smallest of the engine's types for an edge: uint8, int32, or float64 for currents."""
    if edge.kind == "current":
        return np.ascontiguousarray(x, dtype=np.float64)
    return np.ascontiguousarray(x, dtype=np.uint8 if edge.low >= 0 and edge.high <= 255 else np.int32)
