"""The arrays that kernels take: a chip with a network placed on it, the state of its cores, the input of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.kernels.connections import CELLS, DENSE, FIRST, FORM, POOL, START, Network, targets
from hwsim.kernels.core_state import (
    ASYNCHRONOUS,
    COMPETING,
    COUNTS,
    DRAWS,
    EMITTED,
    ENDED,
    FIRST_OF_CORE,
    FIRST_PART,
    FREE_ENTRIES,
    FREE_ENTRY,
    GO,
    GROUP,
    HEAD,
    LOCAL_HEAD,
    LOG,
    NEEDED_SLOTS,
    NEXT,
    PART_CORE,
    PART_GROUPS,
    PART_LAYER,
    PART_NEURON,
    PART_SEEN,
    PART_SYNAPSES,
    PER_TIMESTEP,
    PROPAGATED_ROWS,
    QUEUED,
    REACH,
    SLOT,
    SLOTS,
    STOP_SET,
    STOPPED,
    TIME,
    TURNS,
    UNITS,
    Chip,
    Control,
    Cores,
    Frames,
    Ticks,
    Work,
)
from hwsim.kernels.scheduling import STREAM, Queue, sample_key
from hwsim.machines.neuromorphic.mapping import parts_of, reaching, scratch, senders_of

UNLIMITED_SLOTS = 2**60


@dataclass(frozen=True)
class Rules:
    """What a machine does, beside its ticks: ``Chip`` in words. ``group`` None: as the core has; a layer's width is
    resolved before."""

    order: int = ASYNCHRONOUS
    group: int | None = None
    refractory: bool = True
    processed: bool = False
    multicast: bool = False
    stop: bool = False
    steps_after: int = 1
    carry: bool = False
    prioritise: bool = True
    gated: bool = False
    routed: bool = False
    output_slots: int | None = None


def make_chip(network: Network, first: np.ndarray, ticks: Ticks, rules: Rules) -> Chip:
    """The tables of cores that hold neurons ``first[c]`` .. ``first[c + 1]`` - 1."""
    parts = [(core, part) for core, (a, b) in enumerate(pairwise(first.tolist())) for part in parts_of(network, a, b)]
    layer = np.array([part.layer for _, part in parts], dtype=np.int64)
    begins = np.array([int(network.first[part.layer]) + part.low for _, part in parts], dtype=np.int64)
    owner = np.array([core for core, _ in parts], dtype=np.int64)
    cores, layers = len(first) - 1, network.layers
    competing = np.zeros(cores, dtype=np.int64)
    if not rules.prioritise and rules.order == ASYNCHRONOUS:
        competing[np.unique(owner[layer == 0])] = network.inputs
    filtered = network.layer[layer, POOL] == FIRST
    seen = np.where(filtered, network.layer[layer, CELLS], 0)
    sizes = np.diff(first) + competing
    group = sizes if rules.group is None or rules.order != ASYNCHRONOUS else np.minimum(sizes, rules.group)
    reach = _reach(layer, owner, cores, layers, rules.multicast and rules.routed)
    synapses = [_synapses(network, part, ticks.lanes) if rules.processed else (0, 0) for _, part in parts]
    spread, stop_set, set_size = (np.zeros(n, dtype=np.int64) for n in (1, cores, 1))
    if rules.multicast and rules.routed:
        spread, stop_set, set_size = multicast_sets(network, first)[:3]
    core = np.zeros((cores + 1, 8), dtype=np.int64)
    core[:, FIRST_OF_CORE], core[:, SLOT] = first, _sums(sizes)
    core[:, FIRST_PART] = np.searchsorted(owner, np.arange(cores + 1))
    core[:-1, GROUP], core[:-1, COMPETING], core[:-1, REACH] = group, competing, reach
    core[:-1, NEEDED_SLOTS], core[:-1, STOP_SET] = np.minimum(group * reach, UNLIMITED_SLOTS), stop_set
    table = np.zeros((len(parts) + 1, 6), dtype=np.int64)
    table[:-1, PART_CORE], table[:-1, PART_LAYER] = owner, layer
    table[:, PART_NEURON], table[:, PART_SEEN] = [*begins, network.neurons], _sums(seen)
    table[:-1, [PART_SYNAPSES, PART_GROUPS]] = synapses
    return Chip(
        ticks=ticks, core=core, part=table, layer_part=np.searchsorted(layer, np.arange(layers + 1)), spread=spread,
        set_size=set_size, order=rules.order, layers=layers, refractory=int(rules.refractory),
        processed=int(rules.processed), multicast=int(rules.multicast),
        stop=int(rules.stop and rules.order == ASYNCHRONOUS), steps_after=rules.steps_after, carry=int(rules.carry),
        gated=int(rules.gated), routed=int(rules.routed),
    )  # fmt: skip


def _sums(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _reach(layer: np.ndarray, owner: np.ndarray, cores: int, layers: int, together: bool) -> np.ndarray:
    """int64 [C]: most messages of one spike: other cores with parts of the next layer."""
    holders = [set(owner[layer == number].tolist()) for number in range(layers)] + [set()]
    reach = np.zeros(cores, dtype=np.int64)
    for core, number in zip(owner.tolist(), layer.tolist(), strict=True):
        others = len(holders[number + 1] - {core})
        reach[core] = max(reach[core], min(others, 1) if together else others)
    return reach


def _synapses(network: Network, part: Any, lanes: int) -> tuple[int, int]:
    """Synapses of a part, and how often ``lanes`` are filled to read those of every sender."""
    if network.layer[part.layer, FORM] == DENSE and not network.layer[part.layer, POOL]:
        senders, width = int(network.layer[part.layer, CELLS]), part.high - part.low
        return senders * width, senders * -(-width // lanes)
    marks, layer = scratch(network), part.layer
    each = np.array([targets(network, layer, n, part.low, part.high, marks) for n in senders_of(network, layer)])
    return int(each.sum()), int((-(-each // lanes)).sum())


Sets = list[tuple[int, tuple[int, ...]]]
"""(core, the other cores that its multicast goes to), by number."""


def set_list(network: Network, first: np.ndarray) -> Sets:
    """What multicasts go to on cores that hold neurons ``first[c]`` .. ``first[c + 1]`` - 1."""
    return multicast_sets(network, first)[3]


def multicast_sets(network: Network, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sets]:
    """(set of each neuron or -1, set of all others of each core, sizes, sets) of multicasts."""
    numbers: dict[tuple[int, tuple[int, ...]], int] = {}
    spread = np.full(network.neurons, -1, dtype=np.int64)
    marks, cores = scratch(network), len(first) - 1
    for core, (begin, end) in enumerate(pairwise(first.tolist())):
        for part in parts_of(network, begin, end):
            behind = part.layer + 1
            if behind == network.layers:
                continue
            others = _others(network, first, core, behind)
            if not others:
                continue
            own = int(network.first[part.layer]) + np.arange(part.low, part.high)
            reached = np.stack([reaching(network, behind, own, low, high, marks) for _, low, high in others], axis=1)
            for to, neurons in _alike(reached):
                if len(to):
                    cores_to = tuple(others[other][0] for other in to.tolist())
                    spread[own[neurons]] = numbers.setdefault((core, cores_to), len(numbers))
    everyone = [(core, tuple(other for other in range(cores) if other != core)) for core in range(cores)]
    stops = np.array([numbers.setdefault(own, len(numbers)) if own[1] else -1 for own in everyone], dtype=np.int64)
    sizes = np.array([len(to) for _, to in numbers] or [0], dtype=np.int64)
    return spread, stops, sizes, list(numbers)


def _alike(reached: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of bool [neurons, others]: every set of others, by its members, with the neurons that have it; in the order in
    which they appear."""
    packed = np.packbits(reached, axis=1)
    rows = np.ascontiguousarray(packed).view([("", packed.dtype)] * packed.shape[1]).reshape(-1)
    _, begins, which = np.unique(rows, return_index=True, return_inverse=True)
    return [(np.flatnonzero(reached[begins[number]]), np.flatnonzero(which == number))
            for number in np.argsort(begins, kind="stable")]  # fmt: skip


def _others(network: Network, first: np.ndarray, core: int, layer: int) -> list[tuple[int, int, int]]:
    """(core, low, high) of every other core's part of a layer."""
    begin, end = int(network.first[layer]), int(network.first[layer + 1])
    found = []
    for other, (a, b) in enumerate(pairwise(first.tolist())):
        low, high = max(a, begin), min(b, end)
        if other != core and low < high:
            found.append((other, low - begin, high - begin))
    return found


def new_cores(network: Network, chip: Chip, timesteps: int, seed: int, sample: int) -> Cores:
    """Cores at the beginning of a sample."""
    cores, parts = len(chip.core) - 1, len(chip.part) - 1
    layer = np.repeat(np.arange(chip.layers), np.diff(network.first))
    potential = network.real[layer, START]
    table = np.zeros((cores, len(UNITS) + 2), dtype=np.int64)
    draws = np.array([sample_key(seed, core_stream(core), sample) for core in range(cores)], dtype=np.uint64)
    table[:, DRAWS] = draws.view(np.int64)
    return Cores(
        potential=potential, held=np.zeros(network.neurons), hot=np.zeros(network.neurons, dtype=np.int64),
        part=np.tile(np.array([0, -1], dtype=np.int64), (parts, 1)),
        seen=np.zeros(int(chip.part[-1, PART_SEEN]) + 1, dtype=np.int64), queue=_queues(network, chip, layer),
        counts=np.zeros((chip.layers, timesteps, len(COUNTS)), dtype=np.int64),
        core=table, largest=np.zeros(chip.layers),
    )  # fmt: skip


def core_stream(core: int) -> str:
    """Stream of a core's draws; the ideal machine is core 0."""
    return STREAM if core == 0 else f"{STREAM}.{core}"


def _queues(network: Network, chip: Chip, layer: np.ndarray) -> Queue:
    """Empty spike queues: slots of competing inputs, then of the core's neurons."""
    slots, cores = int(chip.core[-1, SLOT]), len(chip.core) - 1
    neuron, level = np.empty(slots, dtype=np.int64), np.empty(slots, dtype=np.int64)
    for core in range(cores):
        row, following = chip.core[core], chip.core[core + 1]
        begin, own, end = row[SLOT], row[SLOT] + row[COMPETING], following[SLOT]
        first, last = row[FIRST_OF_CORE], following[FIRST_OF_CORE]
        neuron[begin:own], level[begin:own] = np.arange(-network.inputs, 0)[: own - begin], -1
        neuron[own:end], level[own:end] = np.arange(first, last), layer[first:last]
    whole = [np.zeros(slots, dtype=np.int64) for _ in range(3)]
    state = np.tile(np.array([0, 0, -1], dtype=np.int64), (cores, 1))
    return Queue(
        waiting=whole[0], place=np.full(slots, -1, dtype=np.int64), key=np.zeros(slots), multiplicity=whole[1],
        potential=np.zeros(slots), arrival=whole[2], neuron=neuron, layer=level, state=state,
    )  # fmt: skip


def new_control(chip: Chip, slots: int | None) -> Control:
    """Idle cores, with room for a small sample; see ``enlarge``."""
    cores = len(chip.core) - 1
    core = np.zeros((cores, 20), dtype=np.int64)
    core[:, [STOPPED, HEAD, LOCAL_HEAD, ENDED, GO]] = -1
    core[:, TIME] = chip.part[chip.core[:-1, FIRST_PART], PART_LAYER] - 1 if chip.order == PER_TIMESTEP else -1
    core[:, SLOTS] = UNLIMITED_SLOTS if slots is None else slots
    most = int((chip.core[:, GROUP] * (chip.core[:, REACH] + 1)).max()) + 2 * cores
    rows = 1024 + 4 * int(np.diff(chip.core[:, SLOT]).max())
    return Control(
        core=core, entry=_chained(np.zeros((2 * most + 1024, 7), dtype=np.int64), 0),
        state=np.array([0, 2 * most + 1024, 0, 0, 0, 0, 0], dtype=np.int64),
        turns=np.zeros((1024, len(LOG)), dtype=np.int64), emitted=np.zeros((rows, 3)), propagated=np.zeros((rows, 4)),
    )  # fmt: skip


def _chained(entry: np.ndarray, begin: int) -> np.ndarray:
    """Rows from ``begin`` on become a list of free entries."""
    entry[begin:, NEXT] = np.arange(begin + 1, len(entry) + 1)
    entry[-1, NEXT] = -1
    return entry


def enlarge(chip: Chip, control: Control) -> Control:
    """The same with twice the room in whatever may be too small for a turn of any core; rows stay where they are."""
    most = (np.minimum(chip.core[:-1, GROUP], np.diff(chip.core[:, SLOT])) * (chip.core[:-1, REACH] + 1)).max()
    if control.state[FREE_ENTRIES] < most + len(chip.core):
        size, free = len(control.entry), control.state[FREE_ENTRIES]
        entry = _chained(np.concatenate([control.entry, np.zeros_like(control.entry)]), size)
        entry[-1, NEXT] = control.state[FREE_ENTRY] if free else -1
        control.state[FREE_ENTRY], control.state[FREE_ENTRIES] = size, free + size
        control = control._replace(entry=entry)
    slots = np.diff(chip.core[:, SLOT]).max()
    for name, column in (("turns", TURNS), ("emitted", EMITTED), ("propagated", PROPAGATED_ROWS)):
        log = getattr(control, name)
        if len(log) < control.state[column] + slots:
            control = control._replace(**{name: np.concatenate([log, np.zeros_like(log)])})
    return control


def new_work(network: Network, chip: Chip) -> Work:
    """Room for the turns of any core."""
    slots, neurons = (int(np.diff(chip.core[:, column]).max()) for column in (SLOT, FIRST_OF_CORE))
    sent = int((chip.core[:, GROUP] * chip.core[:, REACH]).max()) + len(chip.core)
    return Work(
        taken=np.zeros((network.inputs + 1024, 2), dtype=np.int64),
        fired=np.zeros(neurons, dtype=np.int64), crossing=np.zeros(neurons), chosen=np.zeros(slots, dtype=np.int64),
        sent=np.zeros((sent, 4), dtype=np.int64), local=np.zeros(slots, dtype=np.int64),
        whole=np.zeros(len(chip.part) - 1, dtype=np.uint8), marks=scratch(network),
    )  # fmt: skip


def wider(network: Network, control: Control, work: Work) -> Work:
    """The same with room for all that any core may take."""
    need = network.inputs + int(control.core[:, QUEUED].max())
    return work if len(work.taken) >= need else work._replace(taken=np.zeros((2 * need, 2), dtype=np.int64))


def make_frames(network: Network, chip: Chip, inputs: np.ndarray, timesteps: int) -> Frames:
    """The input [T or 1, inputs] (integers; one row stands for all timesteps) as each core of the first layer gets it:
    the events that have targets there."""
    frames = [np.flatnonzero(inputs[t]) for t in range(min(timesteps, len(inputs)))]
    seen = np.unique(np.concatenate(frames))
    blocks, starts, at, marks = [], [], 0, scratch(network)
    for part in range(int(chip.layer_part[1])):
        low, high = int(chip.part[part, PART_NEURON]), int(chip.part[part + 1, PART_NEURON])
        reached = np.zeros(network.inputs, dtype=bool)
        reached[seen] = reaching(network, 0, seen - network.inputs, low, high, marks)
        row = [at]
        for t in range(timesteps):
            places = frames[min(t, len(frames) - 1)]
            places = places[reached[places]]
            blocks.append((places - network.inputs, inputs[min(t, len(inputs) - 1)][places]))
            at += len(places)
            row.append(at)
        starts.append(row)
    events = [np.concatenate(block).astype(np.int64) for block in zip(*blocks, strict=True)]
    return Frames(np.array(starts, dtype=np.int64), np.stack(events, axis=1))
