"""Placement of neurons on cores: layer after layer in order, each split over as many cores as it needs.

A core holds a run of neurons as long as it has room for them: neurons, bits of synapses (a dense weight per synapse;
kernels of a convolution once per core and filter, or per synapse) and axons in (senders outside that have targets
here). Axons out are known only when everything is placed, and are checked then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.jit import njit
from hwsim.kernels.connections import (
    BAND,
    CELLS,
    CONVOLUTION,
    DENSE,
    FAN_OUT,
    FIRST_NEURON,
    FORM,
    NO_POOL,
    POOL,
    POOL_OFFSET,
    SHAPE,
    Marks,
    Network,
    layer_of,
    targets,
)

MOST_CORES = 4096


@dataclass(frozen=True)
class Limits:
    """What a core has room for, and how many there are. ``axons_*`` None: any number."""

    cores: int
    neurons: int
    synapse_bits: int
    weight_bits: int
    axons_in: int | None = None
    axons_out: int | None = None
    shared_kernels: bool = True
    share_cores: bool = False


@dataclass(frozen=True)
class Placement:
    """Where the neurons are.

    first         int64 [C + 1]: first neuron of each mapped core, and N
    cores         on the chip, mapped or not
    memory, room  factors by which synapse memory and neurons of a core were enlarged (capacity: scaled)
    used_bits     int64 [C]: bits of synapses on each mapped core
    """

    first: np.ndarray
    cores: int
    memory: float = 1.0
    room: float = 1.0
    used_bits: np.ndarray | None = None

    @property
    def mapped(self) -> int:
        """Cores that hold neurons."""
        return len(self.first) - 1


@dataclass(frozen=True)
class Part:
    """Targets ``low`` .. ``high`` - 1 of a layer."""

    layer: int
    low: int
    high: int


def place(
    network: Network, names: list[str], limits: Limits, *, scaled: bool, more_cores: bool, where: str, workload: str
) -> Placement:
    """Place a network. ``scaled``: what does not fit gets more cores (if ``more_cores`` can be connected) or a larger
    one; else ``SpecError`` says which layer does not fit, what is missing, and how many cores would do.
    """
    sizer = _Sizer(network, limits)
    problem = _single_neurons(sizer, names, where, workload)
    if problem is not None:
        if not scaled:
            raise SpecError(problem)
        limits, memory = _enlarged(sizer)
        sizer = _Sizer(network, limits)
    else:
        memory = 1.0
    first = _fill(sizer)
    needed = len(first) - 1
    if needed > limits.cores and not scaled:
        raise SpecError(_too_many(sizer, names, first, where, workload))
    if needed > MOST_CORES:
        text = f"{workload} needs {needed:,} cores; at most {MOST_CORES:,} are simulated"
        raise SpecError(Problem(where, text, "Use cores with more room."))
    if needed > limits.cores and not more_cores:
        whole = network.first[-1]
        bits = sizer.bits([Part(layer, 0, int(b - a)) for layer, (a, b) in enumerate(pairwise(network.first))])
        room = max(1.0, float(whole) / (limits.neurons * limits.cores))
        memory *= max(1.0, bits / (limits.synapse_bits * limits.cores))
        assert limits.cores == 1, "several cores without a network between them"
        return Placement(np.array([0, whole]), 1, memory, room, np.array([bits]))
    placement = Placement(first, max(limits.cores, needed), memory, 1.0, sizer.used(first))
    return _check_axons_out(sizer, placement, names, scaled, where, workload)


class _Sizer:
    """How much room runs of neurons take."""

    def __init__(self, network: Network, limits: Limits) -> None:
        self.network, self.limits = network, limits
        self.layers = network.layers
        self.sizes = np.diff(network.first)

    def bits(self, parts: list[Part]) -> int:
        """Bits of the synapses of these parts on one core."""
        return sum(self.synapses(part) for part in parts) * self.limits.weight_bits

    def synapses(self, part: Part) -> int:
        """Weights that a core stores for a part."""
        layer, count = part.layer, part.high - part.low
        if count <= 0:
            return 0
        row = self.network.layer[layer]
        form, shape = row[FORM], row[SHAPE:]
        if form == DENSE:
            return count * int(row[CELLS])
        if form == BAND:
            return -(-count * int(row[FAN_OUT] * row[CELLS]) // int(self.sizes[layer]))
        kernel = int(shape[4] * shape[5] * shape[0] // shape[12])
        if not self.limits.shared_kernels:
            return count * kernel
        pixels = int(shape[13] * shape[14])
        return ((part.high - 1) // pixels - part.low // pixels + 1) * kernel

    def axons(self, part: Part) -> int:
        """Senders that have targets in a part."""
        row = self.network.layer[part.layer]
        if row[FORM] == DENSE and row[POOL] == NO_POOL:
            return int(row[CELLS])
        if row[FORM] == CONVOLUTION:
            return _senders_under(self.network, part)
        senders, marks = senders_of(self.network, part.layer), scratch(self.network)
        return int(reaching(self.network, part.layer, senders, part.low, part.high, marks).sum())

    def fits(self, parts: list[Part], axons: bool = True) -> bool:
        """Whether a core has room for these parts; ``axons``: for their senders too, which take longest to count."""
        limits = self.limits
        if sum(part.high - part.low for part in parts) > limits.neurons or self.bits(parts) > limits.synapse_bits:
            return False
        return not axons or limits.axons_in is None or sum(self.axons(part) for part in parts) <= limits.axons_in

    def most(self, held: list[Part], layer: int, low: int) -> int:
        """The last target + 1 up to which a core that holds ``held`` has room for targets from ``low`` on."""
        whole = self._most(held, layer, low, int(self.sizes[layer]), axons=False)
        if whole == low or self.fits([*held, Part(layer, low, whole)]):
            return whole
        return self._most(held, layer, low, whole - 1, axons=True)

    def _most(self, held: list[Part], layer: int, least: int, most: int, axons: bool) -> int:
        low = least
        while least < most:
            middle = (least + most + 1) // 2
            if self.fits([*held, Part(layer, low, middle)], axons):
                least = middle
            else:
                most = middle - 1
        return least

    def used(self, first: np.ndarray) -> np.ndarray:
        """int64 [C]: bits of synapses on each core."""
        return np.array([self.bits(parts_of(self.network, a, b)) for a, b in pairwise(first.tolist())], dtype=np.int64)


def _senders_under(network: Network, part: Part) -> int:
    """Senders that a part of a convolution sees."""
    row = network.layer[part.layer]
    shape, cells = row[SHAPE:], np.arange(row[CELLS])
    seen = np.zeros((shape[12], shape[1] * shape[2]), dtype=np.bool_)
    _see(shape, part.low, part.high, seen)
    if row[POOL] == NO_POOL:
        return int(seen.sum()) * int(shape[0] // shape[12])
    senders = len(senders_of(network, part.layer))
    start = network.cell[row[POOL_OFFSET] : row[POOL_OFFSET] + senders + 1]
    pixels = shape[1] * shape[2]
    hit = seen[cells // pixels // (shape[0] // shape[12]), cells % pixels]
    total = np.concatenate([[0], np.cumsum(hit[network.cell[start[0] : start[-1]]])])
    return int((np.diff(total[start - start[0]]) > 0).sum())


@njit(nogil=True)
def _see(shape, low, high, seen):  # type: ignore[no-untyped-def]
    """Mark, per group, the input pixels that targets low .. high - 1 of a convolution see."""
    pixels, filters = shape[13] * shape[14], shape[3] // shape[12]
    for group in range(shape[12]):
        begin, end = max(low, group * filters * pixels), min(high, (group + 1) * filters * pixels)
        for target in range(begin, min(end, begin + pixels)):  # further ones are at the same places
            e, f = target % pixels // shape[14], target % shape[14]
            for r in range(shape[4]):
                y = e * shape[6] - shape[8] + r * shape[10]
                for s in range(shape[5]):
                    x = f * shape[7] - shape[9] + s * shape[11]
                    if 0 <= y < shape[1] and 0 <= x < shape[2]:
                        seen[group, y * shape[2] + x] = True


def parts_of(network: Network, first: int, last: int) -> list[Part]:
    """The parts of neurons ``first`` .. ``last`` - 1."""
    found = []
    for layer, (a, b) in enumerate(pairwise(network.first.tolist())):
        low, high = max(a, first), min(b, last)
        if low < high:
            found.append(Part(layer, low - a, high - a))
    return found


def _fill(sizer: _Sizer) -> np.ndarray:
    """First neuron of each core."""
    first = [0]
    held: list[Part] = []
    for layer in range(sizer.layers):
        if held and not sizer.limits.share_cores:
            first.append(int(sizer.network.first[layer]))
            held = []
        low, size = 0, int(sizer.sizes[layer])
        while low < size:
            high = sizer.most(held, layer, low)
            if high == low:  # this core is full
                first.append(int(sizer.network.first[layer]) + low)
                held = []
                continue
            held.append(Part(layer, low, high))
            low = high
            if low < size:
                first.append(int(sizer.network.first[layer]) + low)
                held = []
    return np.array([*first, int(sizer.network.first[-1])], dtype=np.int64)


def _single_neurons(sizer: _Sizer, names: list[str], where: str, workload: str) -> Problem | None:
    """The first layer of which not even one neuron fits on an empty core."""
    limits = sizer.limits
    for layer, name in enumerate(names):
        part = Part(layer, 0, 1)
        if sizer.fits([part]):
            continue
        bits = sizer.bits([part])
        if bits > limits.synapse_bits:
            found = f"needs {bits:,} bits of synapses ({bits // limits.weight_bits:,} of {limits.weight_bits} bit); "
            found += f"a core has {limits.synapse_bits:,}"
        else:
            found = f"needs {sizer.axons(part):,} axons in; a core has {limits.axons_in:,}"
        hint = "No number of cores would do; 'capacity: scaled' enlarges them."
        return Problem(where, f"layer {name} of {workload}: one neuron {found}", hint)
    return None


def _enlarged(sizer: _Sizer) -> tuple[Limits, float]:
    """Cores large enough for any single neuron, and the factor of their memory."""
    limits = sizer.limits
    alone = [Part(layer, 0, 1) for layer in range(sizer.layers)]
    bits = max(limits.synapse_bits, *(sizer.bits([part]) for part in alone))
    axons = None if limits.axons_in is None else max(limits.axons_in, *(sizer.axons(part) for part in alone))
    factor = bits / limits.synapse_bits
    if axons is not None and limits.axons_in is not None:
        factor = max(factor, axons / limits.axons_in)
    return replace(limits, synapse_bits=bits, axons_in=axons), factor


def _too_many(sizer: _Sizer, names: list[str], first: np.ndarray, where: str, workload: str) -> Problem:
    """What does not fit on the chip, what has run out, and what would do."""
    limits, needed = sizer.limits, len(first) - 1
    neuron = int(first[limits.cores])
    layer = int(np.searchsorted(sizer.network.first, neuron, side="right")) - 1
    missing = int(sizer.network.first[-1]) - neuron
    bits = sizer.bits(parts_of(sizer.network, neuron, int(sizer.network.first[-1])))
    text = (
        f"layer {names[layer]} of {workload} does not fit on {_counted(limits.cores, 'core')} of {limits.neurons:,} "
        f"neurons, {limits.synapse_bits:,} bits of synapses{_axons_in(limits)} "
        f"({_run_out(sizer, int(first[limits.cores - 1]), neuron)}): "
        f"{_counted(missing, 'neuron')} with {bits:,} bits of synapses are left; {needed:,} cores would do"
    )
    hint = "'capacity: scaled' adds them at the chip's own unit prices; 'mapping.share_cores' packs layers together."
    return Problem(where, text, hint)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _axons_in(limits: Limits) -> str:
    return "" if limits.axons_in is None else f" and {limits.axons_in:,} axons in"


def _run_out(sizer: _Sizer, first: int, neuron: int) -> str:
    """Why ``neuron`` is not on the core that begins with ``first``."""
    limits, parts = sizer.limits, parts_of(sizer.network, first, neuron + 1)
    found = []
    if sum(part.high - part.low for part in parts) > limits.neurons:
        found.append("neurons")
    if sizer.bits(parts) > limits.synapse_bits:
        found.append("synapses")
    if limits.axons_in is not None and sum(sizer.axons(part) for part in parts) > limits.axons_in:
        found.append("axons in")
    return f"{' and '.join(found)} run out" if found else "a layer begins on a core of its own"


def _check_axons_out(sizer: _Sizer, placement: Placement, names: list[str], scaled: bool, where: str,
                     workload: str) -> Placement:  # fmt: skip
    """Refuse a core that sends to more than it has axons for, or enlarge it."""
    limits, network = sizer.limits, sizer.network
    if limits.axons_out is None:
        return placement
    count = axons_out(network, placement.first)
    core = int(np.argmax(count))
    if count[core] <= limits.axons_out:
        return placement
    if scaled:
        return replace(placement, memory=max(placement.memory, float(count[core] / limits.axons_out)))
    begin, end = placement.first[core : core + 2].tolist()
    own = " and ".join(names[part.layer] for part in parts_of(network, begin, end))
    text = f"layer {own} of {workload}: core {core} needs {count[core]:,} axons out; a core has {limits.axons_out:,}"
    raise SpecError(Problem(where, text, _with_fewer_neurons(sizer)))


def _with_fewer_neurons(sizer: _Sizer) -> str:
    """How many cores would do if each held fewer neurons, so that it sends less."""
    neurons = sizer.limits.neurons
    while neurons > 1:
        neurons = max(1, min(neurons, int(sizer.sizes.max())) // 2)
        first = _fill(_Sizer(sizer.network, replace(sizer.limits, neurons=neurons)))
        if len(first) - 1 > MOST_CORES:
            break
        if axons_out(sizer.network, first).max() <= (sizer.limits.axons_out or 0):
            return (
                f"With at most {_counted(neurons, 'neuron')} on each (core.neurons), {len(first) - 1:,} cores would do."
            )
    return "No number of cores would do; 'capacity: scaled' enlarges them."


def scratch(network: Network) -> Marks:
    """Room to work in, for one core's worth of questions."""
    taps = max(1, int((network.layer[:, SHAPE + 4] * network.layer[:, SHAPE + 5]).max()))
    touched, tap = np.zeros(network.neurons + 1, dtype=np.int64), np.zeros((taps, 2), dtype=np.int64)
    return Marks(np.zeros(network.neurons, dtype=np.uint8), touched, tap)


@njit(nogil=True)
def reaching(network, layer, senders, low, high, marks):  # type: ignore[no-untyped-def]
    """bool [senders]: those (numbers in the network) that have targets low .. high - 1 of a layer."""
    found = np.empty(senders.size, dtype=np.bool_)
    for i in range(senders.size):
        found[i] = targets(network, layer, senders[i], low, high, marks) > 0
    return found


def senders_of(network: Network, layer: int) -> np.ndarray:
    """int64: the numbers of all that send to a layer."""
    if layer == 0:
        return np.arange(-network.inputs, 0)
    return np.arange(network.first[layer - 1], network.first[layer])


def axons_out(network: Network, first: np.ndarray) -> np.ndarray:
    """int64 [C]: pairs of a neuron of each core and another core that it has targets on."""
    count = np.zeros(len(first) - 1, dtype=np.int64)
    _count_axons_out(network, first, scratch(network), count)
    return count


@njit(nogil=True)
def _count_axons_out(network, first, marks, count):  # type: ignore[no-untyped-def]
    cores = first.size - 1
    for core in range(cores):
        for neuron in range(first[core], first[core + 1]):
            layer = layer_of(network, neuron) + 1
            if layer >= network.real.shape[0]:
                continue
            base, end = network.layer[layer, FIRST_NEURON], network.layer[layer + 1, FIRST_NEURON]
            for other in range(core, cores):
                low, high = max(first[other], base) - base, min(first[other + 1], end) - base
                if other != core and low < high:
                    count[core] += targets(network, layer, neuron, low, high, marks) > 0


__all__ = ["Limits", "Part", "Placement", "axons_out", "parts_of", "place", "reaching", "scratch", "senders_of"]
