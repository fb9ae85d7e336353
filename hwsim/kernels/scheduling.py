"""The spike queue of a core: ``insert`` puts a neuron's spikes in, ``select`` takes the first F neurons out of it.

The ideal machine and the turn of a core call both. The order is that of a policy's key (``hwsim.kernels.policies``):
smallest first, of equal keys the lowest index. A static policy keeps its queue as a heap; with any other, the keys of
all that wait are computed anew in every step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.kernels.policies import (
    INNER,
    KEY,
    LEAN,
    POLICIES,
    Fifo,
    LayerOrder,
    Momentum,
    Policy,
    Random,
    RoundRobin,
    Rule,
    call_key,
    find_policy,
    register_policy,
    rule_of,
)
from hwsim.rng import draw_uniform, stream_number

__all__ = [
    "KEY",
    "POLICIES",
    "Fifo",
    "LayerOrder",
    "Momentum",
    "Policy",
    "Queue",
    "Random",
    "RoundRobin",
    "Rule",
    "age",
    "clear",
    "find_policy",
    "insert",
    "length",
    "new_queue",
    "register_policy",
    "rule_of",
    "sample_key",
    "select",
    "step_key",
]

STREAM = "scheduling"
"""Stream of the draws on the ideal machine; a core of a machine uses its own path."""

_ALL = 2**64 - 1
_LENGTH, _ARRIVED, _LAST = range(3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


class Queue(NamedTuple):
    """The spike queue of one core: all arrays have one entry per neuron [n] that may stand in it ("slot")."""

    waiting: np.ndarray
    """int64: the slots in the queue, ``length(queue)`` of them; a heap if the policy is static."""
    place: np.ndarray
    """int64: position in ``waiting``, -1 outside."""
    key: np.ndarray
    """float64: the key at which a slot was last compared; after ``select``, those of the chosen."""
    multiplicity: np.ndarray
    """int64: spikes waiting (0 in the queue: a barrier message)."""
    potential: np.ndarray
    """float64: at the last crossing in this timestep, see ``KEY``."""
    arrival: np.ndarray
    """int64: see ``KEY``."""
    neuron: np.ndarray
    """int64: index in the network."""
    layer: np.ndarray
    """int64."""
    state: np.ndarray
    """int64 [3]: length, insertions so far, neuron chosen last."""


def new_queue(neuron: np.ndarray, layer: np.ndarray) -> Queue:
    """An empty queue for these neurons (index in the network, layer; both [n], any integers)."""
    size = len(neuron)
    return Queue(
        waiting=np.zeros(size, dtype=np.int64),
        place=np.full(size, -1, dtype=np.int64),
        key=np.zeros(size),
        multiplicity=np.zeros(size, dtype=np.int64),
        potential=np.zeros(size),
        arrival=np.zeros(size, dtype=np.int64),
        neuron=np.ascontiguousarray(neuron, dtype=np.int64),
        layer=np.ascontiguousarray(layer, dtype=np.int64),
        state=np.array([0, 0, -1], dtype=np.int64),
    )


@njit(**INNER)
def _chained(key, part):  # type: ignore[no-untyped-def]
    """One link of the chain in ``hwsim.rng.draw_key``. Both uint64."""
    part = (part ^ (part >> _S30)) * _MIX1
    part = (part ^ (part >> _S27)) * _MIX2
    key = key + _GOLDEN + (part ^ (part >> _S31))
    key = (key ^ (key >> _S30)) * _MIX1
    key = (key ^ (key >> _S27)) * _MIX2
    return key ^ (key >> _S31)


@njit(**LEAN)
def step_key(sample_key: np.uint64, timestep: int, step: int) -> np.uint64:
    """``hwsim.rng.draw_key`` of (seed, stream, sample, timestep, step), gone on from ``sample_key`` (uint64)."""
    return _chained(_chained(sample_key, np.uint64(timestep)), np.uint64(step))


@njit(**LEAN)
def _sample_key(seed: np.uint64, stream: np.uint64, sample: np.uint64) -> np.uint64:
    return _chained(_chained(_chained(np.uint64(0), seed), stream), sample)


def sample_key(seed: int, stream: str = STREAM, sample: int = 0) -> np.uint64:
    """Where the draws of a sample begin; ``step_key`` goes on from here."""
    return np.uint64(_sample_key(*(np.uint64(part & _ALL) for part in (seed, stream_number(stream), sample))))


@njit(**LEAN)
def length(queue: Queue) -> int:
    """Neurons in the queue."""
    return queue.state[_LENGTH]


@njit(**INNER)
def _compare(queue: Queue, rule: Rule, slot: int, draw: float) -> float:
    """Key of a slot, also stored in ``queue.key``. What is not a number goes last."""
    neuron, last = queue.neuron[slot], queue.state[_LAST]
    key = call_key(rule.address, queue.potential[slot], neuron, queue.layer[slot], queue.arrival[slot], last, draw)
    if key != key:
        key = np.inf
    queue.key[slot] = key
    return key


@njit(**INNER)
def _before(queue: Queue, one: int, other: int) -> bool:
    """Whether slot ``one`` goes before slot ``other``, by the keys stored."""
    mine, theirs = queue.key[one], queue.key[other]
    return mine < theirs or (mine == theirs and queue.neuron[one] < queue.neuron[other])


@njit(**INNER)
def _rise(queue: Queue, at: int) -> None:
    """Heap of a static policy: the slot at position ``at`` moves up to where it belongs."""
    waiting, place = queue.waiting, queue.place
    slot = waiting[at]
    while at > 0:
        above = (at - 1) >> 1
        if not _before(queue, slot, waiting[above]):
            break
        waiting[at] = waiting[above]
        place[waiting[at]] = at
        at = above
    waiting[at] = slot
    place[slot] = at


@njit(**INNER)
def _sink(queue: Queue, at: int) -> None:
    """Heap of a static policy: the slot at position ``at`` moves down to where it belongs."""
    waiting, place, size = queue.waiting, queue.place, queue.state[_LENGTH]
    slot = waiting[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _before(queue, waiting[below + 1], waiting[below]):
            below += 1
        if not _before(queue, waiting[below], slot):
            break
        waiting[at] = waiting[below]
        place[waiting[at]] = at
        at = below
    waiting[at] = slot
    place[slot] = at


@njit(**LEAN)
def insert(queue: Queue, rule: Rule, slot: int, multiplicity: int, potential: float) -> None:
    """Puts spikes of a neuron into the queue. One that is in already adds its spikes and takes the new potential."""
    state = queue.state
    queue.potential[slot] = potential
    if queue.place[slot] < 0:
        queue.multiplicity[slot] = multiplicity
        queue.arrival[slot] = state[_ARRIVED]
        queue.waiting[state[_LENGTH]] = slot
        queue.place[slot] = state[_LENGTH]
        state[_ARRIVED] += 1
        state[_LENGTH] += 1
    else:
        queue.multiplicity[slot] += multiplicity
    if rule.static:
        _compare(queue, rule, slot, 0.0)
        _rise(queue, queue.place[slot])
        _sink(queue, queue.place[slot])


@njit(**INNER)
def _remove(queue: Queue, slot: int) -> None:
    """Takes a slot out of an unordered queue."""
    end = queue.state[_LENGTH] - 1
    at, moved = queue.place[slot], queue.waiting[end]
    queue.waiting[at] = moved
    queue.place[moved] = at
    queue.place[slot] = -1
    queue.state[_LENGTH] = end


@njit(**INNER)
def _pop(queue: Queue) -> int:
    """Takes the first slot out of the heap of a static policy."""
    slot = queue.waiting[0]
    end = queue.state[_LENGTH] - 1
    queue.waiting[0] = queue.waiting[end]
    queue.place[queue.waiting[0]] = 0
    queue.place[slot] = -1
    queue.state[_LENGTH] = end
    if end > 1:
        _sink(queue, 0)
    return slot


@njit(**INNER)
def _sink_chosen(queue: Queue, chosen: np.ndarray, size: int, at: int) -> None:
    """Heap of the chosen so far, whose root goes last of them: position ``at`` moves down to where it belongs."""
    slot = chosen[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _before(queue, chosen[below], chosen[below + 1]):
            below += 1
        if not _before(queue, slot, chosen[below]):
            break
        chosen[at] = chosen[below]
        at = below
    chosen[at] = slot


@njit(**INNER)
def _compare_all(queue: Queue, rule: Rule, draws: np.uint64, inputs: int) -> None:
    """The keys of all that wait, from one draw each (at ``neuron`` + ``inputs`` of the key ``draws``)."""
    for at in range(queue.state[_LENGTH]):
        slot = queue.waiting[at]
        draw = 0.0
        if rule.draws:
            draw = rule.scale * draw_uniform(draws, np.uint64(queue.neuron[slot] + inputs))
        if rule.only_draw:
            queue.key[slot] = draw
        else:
            _compare(queue, rule, slot, draw)


@njit(**INNER)
def _choose(queue: Queue, chosen: np.ndarray, count: int) -> None:
    """chosen[:count] = the first ``count`` slots in order, by the keys stored. They stay in the queue."""
    for at in range(count):
        chosen[at] = queue.waiting[at]
    for at in range(count // 2 - 1, -1, -1):
        _sink_chosen(queue, chosen, count, at)
    for at in range(count, queue.state[_LENGTH]):
        slot = queue.waiting[at]
        if _before(queue, slot, chosen[0]):
            chosen[0] = slot
            _sink_chosen(queue, chosen, count, 0)
    for size in range(count - 1, 0, -1):
        last = chosen[0]
        chosen[0] = chosen[size]
        chosen[size] = last
        _sink_chosen(queue, chosen, size, 0)


@njit(**LEAN)
def select(
    queue: Queue, rule: Rule, group: int, sample: np.uint64, timestep: int, step: int, inputs: int, chosen: np.ndarray
) -> int:
    """Takes the first ``group`` neurons out of the queue, fewer if fewer wait, and returns how many.

    sample  np.uint64: ``sample_key`` of this core; with timestep and step it gives the draws, if the policy has any
    inputs  number of inputs of the network: the draw of a neuron is that at index neuron + inputs
    chosen  int64, room for min(group, slots): written, the slots in their order. Their ``multiplicity``, ``potential``
            and ``key`` can be read until they are inserted again.
    """
    count = min(group, queue.state[_LENGTH])
    if count == 0:
        return 0
    if rule.static:
        for position in range(count):
            chosen[position] = _pop(queue)
    else:
        draws = step_key(sample, timestep, step) if rule.draws else np.uint64(0)
        _compare_all(queue, rule, draws, inputs)
        _choose(queue, chosen, count)
        for position in range(count):
            _remove(queue, chosen[position])
    queue.state[_LAST] = queue.neuron[chosen[count - 1]]
    return count


@njit(**LEAN)
def age(queue: Queue, rule: Rule) -> None:
    """A new timestep begins: what still waits has crossed in an earlier one, so its potential counts 0."""
    size = queue.state[_LENGTH]
    for at in range(size):
        slot = queue.waiting[at]
        queue.potential[slot] = 0.0
        if rule.static:
            _compare(queue, rule, slot, 0.0)
    if rule.static:
        for at in range(size // 2 - 1, -1, -1):
            _sink(queue, at)


@njit(**LEAN)
def clear(queue: Queue) -> None:
    """Drops all that waits."""
    for at in range(queue.state[_LENGTH]):
        queue.place[queue.waiting[at]] = -1
    queue.state[_LENGTH] = 0
