"""From a stored network to the arrays that kernels take: weights by sender, pools as cells, neurons in order."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from hwsim.kernels.connections import (
    AT_THRESHOLD,
    BAND,
    BAND_BITS,
    CELLS,
    CONVOLUTION,
    DENSE,
    FAN_OUT,
    FIRST,
    FIRST_NEURON,
    FORM,
    NO_POOL,
    OFFSET,
    POOL,
    POOL_OFFSET,
    RULE_KEY,
    SHAPE,
    SUBTRACT,
    SUM,
    Network,
)
from hwsim.machines.neuromorphic.stored import Stored
from hwsim.rng import draw_key
from hwsim.workload.model import Layer, size, spatial


def connect(stored: Stored) -> Network:
    """The kernels' network."""
    layers = [stored.frozen.layers[layer.name] for layer in stored.layers]
    sizes = [size(layer.layer.output_shape) for layer in layers]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    forms, blocks, shapes, pools = [], [], [], []
    for layer in layers:
        g = layer.geometry
        dense = g.P == 1 and g.R == g.H and g.S == g.W and g.groups == 1 and (g.pad_y, g.pad_x) == (0, 0)
        forms.append(DENSE if dense else CONVOLUTION)
        weight = layer.weight.astype(np.float64)
        blocks.append((weight.T if dense else weight).reshape(-1))
        shapes.append(astuple(g))
        pools.append(pool_of(stored.between[layer.name], size(layer.layer.input_shape)))
    kinds, cells, starts, members = zip(*pools, strict=True)
    table = np.zeros((len(layers) + 1, SHAPE + 15), dtype=np.int64)
    table[:, FIRST_NEURON] = first
    table[:-1, FORM], table[:-1, OFFSET], table[:-1, POOL], table[:-1, CELLS] = forms, _offsets(blocks), kinds, cells
    pool_cells = [np.concatenate([start + len(start), cell]) for start, cell in zip(starts, members, strict=True)]
    begins = _offsets(pool_cells)
    for block, start, at in zip(pool_cells, starts, begins, strict=True):
        block[: len(start)] += at
    table[:-1, POOL_OFFSET], table[:-1, SHAPE:] = begins, shapes
    table[:-1, AT_THRESHOLD] = [layer.compare_ge for layer in layers]
    table[:-1, SUBTRACT] = [layer.reset_subtract for layer in layers]
    real = [(x.lif.leak if x.layer.neuron.spiking else 1.0, x.current_step, x.start, 1.0) for x in layers]
    each = [np.stack([x.threshold[0], x.offset[0]]).repeat(x.geometry.P, axis=1) for x in layers]
    return Network(
        inputs=size(stored.workload.input.shape), layer=table, real=np.array(real), neuron=np.concatenate(each, axis=1),
        weight=np.concatenate(blocks), cell=np.concatenate(pool_cells),
    )  # fmt: skip


def _offsets(blocks: list[np.ndarray] | tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(block) for block in blocks])[:-1]]).astype(np.int64)


_NONE = np.zeros(0, dtype=np.int64)


def pool_of(between: tuple[Layer, ...], cells: int) -> tuple[int, int, np.ndarray, np.ndarray]:
    """(kind, cells, starts [senders + 1], cells of each sender) of the operations before a layer."""
    pools = [layer for layer in between if layer.op not in ("flatten", "reshape")]
    if not pools:
        return NO_POOL, cells, _NONE, _NONE
    senders = size(pools[0].input_shape)
    reach = [[s] for s in range(senders)]
    for layer in pools:
        inside = _windows(layer)
        reach = [[cell for one in own for cell in inside[one]] for own in reach]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in reach])])
    kind = FIRST if pools[0].op == "maxpool" else SUM
    return kind, cells, starts, np.array([cell for own in reach for cell in own], dtype=np.int64)


def _windows(layer: Layer) -> list[list[int]]:
    """For every place of a pool's input the cells (of its output) whose window it is in."""
    channels, height, width = spatial(layer.input_shape)
    _, rows, columns = spatial(layer.output_shape)
    found: list[list[int]] = [[] for _ in range(channels * height * width)]
    for e in range(rows):
        for f in range(columns):
            for r in range(layer.kernel[0]):
                for s in range(layer.kernel[1]):
                    y = e * layer.stride[0] - layer.padding[0] + r
                    x = f * layer.stride[1] - layer.padding[1] + s
                    if 0 <= y < height and 0 <= x < width:
                        for c in range(channels):
                            found[(c * height + y) * width + x].append((c * rows + e) * columns + f)
    return found


def banded(sizes: list[int], fan_out: int, *, threshold: float, leak: float = 1.0, seed: int = 0) -> Network:
    """A network whose weights follow a rule: ``sizes`` inputs and neurons of each layer; every sender has ``fan_out``
    targets side by side, in proportion to its place; weights are drawn, uniform in about -1 .. 1, and stored nowhere.

    Where two layers are equally wide every neuron has as many senders as a sender has targets.
    """
    layers, neurons = len(sizes) - 1, sum(sizes[1:])
    assert layers >= 1 and all(fan_out <= n for n in sizes[1:]), (sizes, fan_out)
    table = np.zeros((layers + 1, SHAPE + 15), dtype=np.int64)
    table[:, FIRST_NEURON] = np.concatenate([[0], np.cumsum(sizes[1:])])
    table[:-1, FORM], table[:-1, CELLS], table[:-1, FAN_OUT] = BAND, sizes[:-1], fan_out
    keys = np.array([draw_key(seed, f"band.{number}") for number in range(layers)], dtype=np.uint64)
    table[:-1, RULE_KEY] = keys.view(np.int64)
    unit = 2.0 ** (1 - BAND_BITS)
    neuron = np.zeros((2, neurons))
    neuron[0] = threshold
    real = np.tile([leak, unit, 0.0, unit], (layers, 1))
    return Network(sizes[0], table, real, neuron, np.zeros(1), np.zeros(0, dtype=np.int64))


__all__ = ["banded", "connect", "pool_of"]
