"""The synapses of a network written out, one list per sender: the plain witness of ``hwsim.kernels.connections``."""

from __future__ import annotations

import itertools

import numpy as np

from hwsim.kernels.connections import (
    AT_THRESHOLD,
    BAND,
    BAND_BITS,
    CELLS,
    CONVOLUTION,
    DRIVE,
    FAN_OUT,
    FIRST,
    FORM,
    GRID,
    LEAK,
    NO_POOL,
    OFFSET,
    POOL,
    POOL_OFFSET,
    RULE_KEY,
    SHAPE,
    START,
    SUBTRACT,
    THRESHOLD,
    UNIT,
    Network,
)
from hwsim.network.kernels import Shape
from hwsim.rng import draw_bits

Synapses = list[tuple[int, float]]
"""(target in its layer, weight)."""


class PlainLayer:
    """One layer of neurons and the connection that leads to it."""

    def __init__(self, network: Network, number: int) -> None:
        row, real = network.layer[number], network.real[number]
        self.first, self.size = int(network.first[number]), int(np.diff(network.first)[number])
        self.leak, self.grid, self.start = float(real[LEAK]), float(real[GRID]), float(real[START])
        own = slice(self.first, self.first + self.size)
        self.threshold, self.drive = network.neuron[THRESHOLD, own].tolist(), network.neuron[DRIVE, own].tolist()
        self.at_threshold, self.subtract = bool(row[AT_THRESHOLD]), bool(row[SUBTRACT])
        self.filters = row[POOL] == FIRST
        self.dense = row[FORM] not in (CONVOLUTION, BAND)
        self.synapses = _synapses(network, number, self.size)
        before = network.inputs if number == 0 else int(np.diff(network.first)[number - 1])
        self.cells = [[sender] for sender in range(before)]
        if row[POOL] != NO_POOL:
            start = network.cell[row[POOL_OFFSET] : row[POOL_OFFSET] + before + 1].tolist()
            self.cells = [network.cell[a:b].tolist() for a, b in itertools.pairwise(start)]

    def crosses(self, target: int, potential: float) -> bool:
        """Whether a potential makes the neuron fire."""
        threshold = self.threshold[target]
        return potential > threshold or (self.at_threshold and potential == threshold)


def _synapses(network: Network, number: int, size: int) -> list[Synapses]:
    """The synapses of every cell."""
    row = network.layer[number]
    found: list[Synapses] = [[] for _ in range(int(row[CELLS]))]
    if row[FORM] == CONVOLUTION:
        _fill_convolution(network, number, found)
    elif row[FORM] == BAND:
        key, unit, fan_out = np.array(row[RULE_KEY]).view(np.uint64), float(network.real[number, UNIT]), row[FAN_OUT]
        for cell, place in itertools.product(range(len(found)), range(fan_out)):
            bits = int(draw_bits(key[()], np.uint64(cell * fan_out + place))) >> (64 - BAND_BITS)
            target = (cell * size // len(found) + place) % size
            found[cell].append((target, (bits - 2 ** (BAND_BITS - 1)) * unit))
    else:
        weight = network.weight[row[OFFSET] :]
        for cell, target in itertools.product(range(len(found)), range(size)):
            found[cell].append((target, float(weight[cell * size + target])))
    return found


def _fill_convolution(network: Network, number: int, found: list[Synapses]) -> None:
    """Output by output, what it sees: targets (filter, row, column), weights [filter][channel][row][column]."""
    g = Shape(*network.layer[number, SHAPE:].tolist())
    weight = network.weight[network.layer[number, OFFSET] :]
    channels, filters = g.channels // g.groups, g.filters // g.groups
    for m, e, f in itertools.product(range(g.filters), range(g.out_height), range(g.out_width)):
        target = (m * g.out_height + e) * g.out_width + f
        for c, r, s in itertools.product(range(channels), range(g.rows), range(g.columns)):
            y = e * g.stride_y - g.pad_y + r * g.dilation_y
            x = f * g.stride_x - g.pad_x + s * g.dilation_x
            if 0 <= y < g.height and 0 <= x < g.width:
                cell = ((m // filters * channels + c) * g.height + y) * g.width + x
                at = ((m * channels + c) * g.rows + r) * g.columns + s
                found[cell].append((target, float(weight[at])))


class PlainNetwork:
    """All layers; written out for small networks only."""

    def __init__(self, network: Network) -> None:
        self.inputs, self.neurons = network.inputs, network.neurons
        self.layers = [PlainLayer(network, number) for number in range(network.layers)]

    def layer_of(self, neuron: int) -> int:
        """-1 for inputs."""
        return next((n for n, at in enumerate(self.layers) if at.first <= neuron < at.first + at.size), -1)

    def sender(self, neuron: int) -> int:
        """Number among the senders of the connection behind its layer."""
        layer = self.layer_of(neuron)
        return neuron + self.inputs if layer < 0 else neuron - self.layers[layer].first

    def senders(self, layer: int) -> range:
        """Neurons, or inputs, that send to a layer."""
        if layer == 0:
            return range(-self.inputs, 0)
        before = self.layers[layer - 1]
        return range(before.first, before.first + before.size)

    def targets(self, neuron: int, low: int, high: int) -> int:
        """Synapses on neurons ``low`` .. ``high`` - 1 (numbered through the network)."""
        layer = self.layer_of(neuron) + 1
        if layer == len(self.layers):
            return 0
        behind = self.layers[layer]
        return sum(
            low <= behind.first + target < high
            for cell in behind.cells[self.sender(neuron)]
            for target, _ in behind.synapses[cell]
        )
