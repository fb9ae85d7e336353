"""Synapses between layers of a network, and a spike's way through them, one sender at a time.

Neurons are numbered through all layers of neurons, the first one first; inputs have -inputs .. -1. Connection l leads
to layer l from the layer before it (l = 0: from the inputs). Weights stand where one sender's targets on one core are
close together: dense [sender][target], convolution [filter][channel][row][column] shared by all positions, rule:
computed where they are needed and stored nowhere.

Between two layers there may be a pool. A sender then stands for the cells whose window it is in: SUM passes every
spike to each of them (sum and average pools; the scale is in the weights), FIRST only the first spike of a cell in a
timestep (a maximum of binary spikes, made by an event filter in front of the synapses).

All weights lie on their layer's grid, a power of two, so that sums are exact in any order (``hwsim.grid``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.compiled import inner, outer, small
from hwsim.rng import draw_bits

DENSE, CONVOLUTION, BAND = range(3)
NO_POOL, SUM, FIRST = range(3)
BAND_BITS = 16
"""Weights of a band are integers of so many bits, two's complement, times ``scale``."""
_S48 = np.uint64(64 - BAND_BITS)


FIRST_NEURON, FORM, OFFSET, POOL, CELLS, POOL_OFFSET, AT_THRESHOLD, SUBTRACT, RULE_KEY, FAN_OUT = range(10)
SHAPE = 10
"""Columns of ``Network.layer``.

FIRST_NEURON  of the layer; in row L: all neurons. FORM: DENSE, CONVOLUTION or BAND of its connection
OFFSET        where the connection's weights begin in ``weight``
POOL, CELLS   NO_POOL, SUM or FIRST; cells of the pool (senders where there is none)
POOL_OFFSET   sender s is in the cells ``cell[cell[at] : cell[at + 1]]``, at = POOL_OFFSET + s
AT_THRESHOLD  1: fires at V >= threshold, 0: only above it. SUBTRACT: 1: reset by subtracting it, 0: to zero
RULE_KEY, FAN_OUT  of a BAND: the key of its weights (the bits of a uint64), targets of a sender
SHAPE         from here on, 15 columns: ``hwsim.network.kernels.Shape`` of a convolution
"""
LEAK, GRID, START, UNIT = range(4)
"""Columns of ``Network.real``: leak; grid of membranes and currents; membrane at the beginning of a sample; of a BAND,
what one unit of its weights is worth (a power of two)."""
THRESHOLD, DRIVE = range(2)
"""Rows of ``Network.neuron``: threshold (infinite where nothing fires); what is added once per timestep, after the
decay (bias, offset of BN)."""


class Network(NamedTuple):
    """A network as kernels take it. L layers, N neurons; all that does not change in a run."""

    inputs: int
    layer: np.ndarray
    """int64 [L + 1, 25]."""
    real: np.ndarray
    """float64 [L, 4]."""
    neuron: np.ndarray
    """float64 [2, N]."""
    weight: np.ndarray
    """float64 [*]."""
    cell: np.ndarray
    """int64 [*]: of every connection with a pool: starts, then cells."""

    @property
    def layers(self) -> int:
        """Layers of neurons."""
        return len(self.real)

    @property
    def first(self) -> np.ndarray:
        """int64 [L + 1]: first neuron of each layer, and N."""
        return self.layer[:, FIRST_NEURON]

    @property
    def neurons(self) -> int:
        """All neurons."""
        return int(self.layer[-1, FIRST_NEURON])


class Marks(NamedTuple):
    """Which neurons got current through sparse connections in this turn, and room to work in."""

    mark: np.ndarray
    """uint8 [N]: 1: in ``touched``; zero between turns."""
    touched: np.ndarray
    """int64 [N + 1]: how many these are, then they, in any order."""
    tap: np.ndarray
    """int64 [largest kernel, 2]: outputs under a kernel, and the kernel elements that lead to them."""


@small
def layer_of(network, neuron):  # type: ignore[no-untyped-def]
    """Layer of a neuron, -1 for inputs."""
    layer = -1
    while neuron >= network.layer[layer + 1, FIRST_NEURON]:
        layer += 1
    return layer


@small
def sender_of(network, layer, neuron):  # type: ignore[no-untyped-def]
    """Number of a neuron or input among the senders of connection ``layer``."""
    return neuron + network.inputs if layer == 0 else neuron - network.layer[layer - 1, FIRST_NEURON]


@inner
def _under_kernel(shape, cell, marks):  # type: ignore[no-untyped-def]
    """Outputs (row x columns + column) that see pixel and channel ``cell``, with the kernel element; their number."""
    height, width = shape[1], shape[2]
    y, x = cell // width % height, cell % width
    n = 0
    for r in range(shape[4]):
        e = y + shape[8] - r * shape[10]
        if e < 0 or e % shape[6] or e // shape[6] >= shape[13]:
            continue
        for s in range(shape[5]):
            f = x + shape[9] - s * shape[11]
            if f < 0 or f % shape[7] or f // shape[7] >= shape[14]:
                continue
            marks.tap[n, 0] = e // shape[6] * shape[14] + f // shape[7]
            marks.tap[n, 1] = r * shape[5] + s
            n += 1
    return n


@inner
def _filters(shape, cell, low, high):  # type: ignore[no-untyped-def]
    """First and last + 1 filter that channel of ``cell`` leads to and that have targets in [low, high)."""
    pixels = shape[13] * shape[14]
    group = cell // (shape[1] * shape[2]) // (shape[0] // shape[12])
    per_group = shape[3] // shape[12]
    return max(group * per_group, low // pixels), min((group + 1) * per_group, (high - 1) // pixels + 1)


@inner
def _cell_targets(network, layer, cell, low, high, marks):  # type: ignore[no-untyped-def]
    """Synapses from a cell to targets low .. high - 1 of a layer."""
    if network.layer[layer, FORM] == DENSE:
        return high - low
    shape = network.layer[layer, SHAPE:]
    if network.layer[layer, FORM] == BAND:
        begin, end = _band(network, layer, cell)
        size = network.layer[layer + 1, FIRST_NEURON] - network.layer[layer, FIRST_NEURON]
        return max(0, min(high, end) - max(low, begin)) + max(0, min(high, end - size) - low)
    n = _under_kernel(shape, cell, marks)
    m0, m1 = _filters(shape, cell, low, high)
    pixels, count = shape[13] * shape[14], 0
    for m in range(m0, m1):
        if m * pixels >= low and (m + 1) * pixels <= high:
            count += n
            continue
        for i in range(n):
            count += low <= m * pixels + marks.tap[i, 0] < high
    return count


@outer
def targets(network, layer, neuron, low, high, marks):  # type: ignore[no-untyped-def]
    """Synapses that a spike of ``neuron`` has on targets low .. high - 1 of ``layer`` (the one after its own); events
    that a filter (FIRST) would drop are counted too."""
    sender = sender_of(network, layer, neuron)
    if network.layer[layer, POOL] == NO_POOL:
        return _cell_targets(network, layer, sender, low, high, marks)
    at, count = network.layer[layer, POOL_OFFSET] + sender, 0
    for i in range(network.cell[at], network.cell[at + 1]):
        count += _cell_targets(network, layer, network.cell[i], low, high, marks)
    return count


@small
def _band(network, layer, cell):  # type: ignore[no-untyped-def]
    """First and last + 1 target of a cell in a band; from ``size`` on it goes on at target 0."""
    size = network.layer[layer + 1, FIRST_NEURON] - network.layer[layer, FIRST_NEURON]
    begin = cell * size // network.layer[layer, CELLS]
    return begin, begin + network.layer[layer, FAN_OUT]


@small
def touch(neuron, marks):  # type: ignore[no-untyped-def]
    """Note that a neuron has to be looked at."""
    if not marks.mark[neuron]:
        marks.mark[neuron] = 1
        marks.touched[0] += 1
        marks.touched[marks.touched[0]] = neuron


@inner
def _deliver_dense(network, layer, cell, amount, low, high, potential, marks):  # type: ignore[no-untyped-def]
    base = network.layer[layer, FIRST_NEURON]
    at = network.layer[layer, OFFSET] + cell * (network.layer[layer + 1, FIRST_NEURON] - base)
    membrane, weight = potential[base + low : base + high], network.weight[at + low : at + high]
    for j in range(high - low):
        membrane[j] += weight[j] * amount
    return high - low


@inner
def _deliver_convolution(network, layer, cell, amount, low, high, potential, marks):  # type: ignore[no-untyped-def]
    shape, base = network.layer[layer, SHAPE:], network.layer[layer, FIRST_NEURON]
    n = _under_kernel(shape, cell, marks)
    m0, m1 = _filters(shape, cell, low, high)
    pixels, taps, count = shape[13] * shape[14], shape[4] * shape[5], 0
    channels = shape[0] // shape[12]
    channel = cell // (shape[1] * shape[2]) % channels
    for m in range(m0, m1):
        at = network.layer[layer, OFFSET] + (m * channels + channel) * taps
        for i in range(n):
            target = m * pixels + marks.tap[i, 0]
            if low <= target < high:
                potential[base + target] += network.weight[at + marks.tap[i, 1]] * amount
                touch(base + target, marks)
                count += 1
    return count


@small
def band_weight(key, scale, cell, fan_out, place):  # type: ignore[no-untyped-def]
    """Weight of synapse ``place`` (0 .. fan_out - 1) of a cell in a band."""
    bits = np.int64(draw_bits(key, np.uint64(cell * fan_out + place)) >> _S48)
    return (bits - (1 << (BAND_BITS - 1))) * scale


@inner
def _deliver_band(network, layer, cell, amount, low, high, potential, marks):  # type: ignore[no-untyped-def]
    base, fan_out = network.layer[layer, FIRST_NEURON], network.layer[layer, FAN_OUT]
    size = network.layer[layer + 1, FIRST_NEURON] - base
    key, scale, count = np.uint64(network.layer[layer, RULE_KEY]), network.real[layer, UNIT] * amount, 0
    begin, end = _band(network, layer, cell)
    for around in range(2):  # the second time for what goes on at target 0
        shift = around * size
        for target in range(max(low, begin - shift), min(high, end - shift)):
            potential[base + target] += band_weight(key, scale, cell, fan_out, target + shift - begin)
            touch(base + target, marks)
            count += 1
    return count


@outer
def deliver(network, layer, neuron, amount, low, high, potential, seen, stamp, marks):  # type: ignore[no-untyped-def]
    """Add the currents that ``amount`` spikes of ``neuron`` make in targets low .. high - 1 of ``layer`` to their
    ``potential`` (float64 [N]; minus infinity stays what it is).

    seen    int64 [cells of the pool]: per cell the stamp at which a spike passed last; looked at if the pool is FIRST
    stamp   int64, another one for every timestep
    Returns the synapses that were read. Targets of sparse connections are put into ``marks``; those of a dense one are
    all of low .. high - 1 and not marked.
    """
    sender = sender_of(network, layer, neuron)
    if network.layer[layer, POOL] == NO_POOL:
        return _deliver_cell(network, layer, sender, amount, low, high, potential, marks)
    at, count = network.layer[layer, POOL_OFFSET] + sender, 0
    for i in range(network.cell[at], network.cell[at + 1]):
        cell = network.cell[i]
        if network.layer[layer, POOL] == FIRST:
            if seen[cell] == stamp:
                continue
            seen[cell] = stamp
            amount = 1
        count += _deliver_cell(network, layer, cell, amount, low, high, potential, marks)
    return count


@inner
def _deliver_cell(network, layer, cell, amount, low, high, potential, marks):  # type: ignore[no-untyped-def]
    if network.layer[layer, FORM] == DENSE:
        return _deliver_dense(network, layer, cell, amount, low, high, potential, marks)
    if network.layer[layer, FORM] == CONVOLUTION:
        return _deliver_convolution(network, layer, cell, amount, low, high, potential, marks)
    return _deliver_band(network, layer, cell, amount, low, high, potential, marks)
