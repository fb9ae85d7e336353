"""How many synaptic currents a neuron of a machine had received when it first fired in a timestep.

The log says how many spikes a turn took, not which ones. Spikes of one core reach another one in the order in which
they were sent, and phases take all of the phase before; where several cores send to one, spikes are taken to have come
in the order in which the turns that sent them ended. Dense layers without pooling, the first one left out, as in
``measures.currents_to_spike``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.connections import DENSE, FORM, NO_POOL, OFFSET, POOL
from hwsim.kernels.core_state import ASYNCHRONOUS, COMPETING, PART_CORE, PART_LAYER
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.waiting import timesteps_of


class _Sent(NamedTuple):
    """Spikes that were sent, in the order in which their turns ended."""

    layer: np.ndarray
    neuron: np.ndarray
    """int64 [*], from the layer's first one on."""
    timestep: np.ndarray
    multiplicity: np.ndarray


class _First(NamedTuple):
    """The first spike of each neuron of a layer in each timestep, masked ones left out."""

    neuron: np.ndarray
    timestep: np.ndarray
    turn: np.ndarray


def currents_to_first_spike(setup: Setup, made: Record) -> np.ndarray:
    """int64 [first spikes]: currents received in the timestep up to and with the turn in which a neuron fired first.

    Empty where inputs compete for the slots of a group.
    """
    nothing = np.zeros(0, dtype=np.int64)
    if (setup.chip.core[:-1, COMPETING] > 0).any():
        return nothing
    sent, taken = _sent(setup, made), _taken(setup, made)
    plain = [layer for layer in range(1, setup.chip.layers) if _plain(setup, layer)]
    return np.concatenate([nothing, *(_of_layer(setup, made, layer, sent, taken) for layer in plain)])


def _plain(setup: Setup, layer: int) -> bool:
    return bool(setup.network.layer[layer, FORM] == DENSE and setup.network.layer[layer, POOL] == NO_POOL)


def _present(setup: Setup, layer: int) -> np.ndarray:
    """int64 [senders, neurons]: 1 where a layer has a synapse."""
    first = setup.network.first
    senders, neurons = int(first[layer] - first[layer - 1]), int(first[layer + 1] - first[layer])
    at = int(setup.network.layer[layer, OFFSET])
    weights = setup.network.weight[at : at + senders * neurons].reshape(senders, neurons)
    return (weights != 0).astype(np.int64)


def _layers(setup: Setup, neuron: np.ndarray) -> np.ndarray:
    return np.searchsorted(setup.network.first, neuron, side="right") - 1


def _sent(setup: Setup, made: Record) -> _Sent:
    turn, neuron = made.propagated[:, 0].astype(np.int64), made.propagated[:, 1].astype(np.int64)
    order = np.argsort(made.column("end")[turn], kind="stable")
    turn, neuron = turn[order], neuron[order]
    layer = _layers(setup, neuron)
    return _Sent(layer, neuron - setup.network.first[layer],
                 timesteps_of(setup, made.column("time")[turn], layer),
                 made.propagated[order, 2].astype(np.int64))  # fmt: skip


def _taken(setup: Setup, made: Record) -> np.ndarray:
    """int64 [turns]: spikes that the turn's core had taken in the timestep, by the end of the turn; a large number for
    all that there were, where phases make it so."""
    core, time, taken = made.column("core"), made.column("time"), made.column("taken").copy()
    if setup.chip.order != ASYNCHRONOUS:
        return np.full(len(core), np.iinfo(np.int64).max)
    taken[(core < setup.chip.layer_part[1]) & (made.column("step") == 1)] = 0  # those are events of the input
    order = np.lexsort((np.arange(len(core)), time, core))
    sums = np.cumsum(taken[order])
    opens = np.flatnonzero((np.diff(core[order], prepend=-1) != 0) | (np.diff(time[order], prepend=-1) != 0))
    before = np.repeat(np.append(0, sums[opens[1:] - 1]), np.diff(np.append(opens, len(order))))
    found = np.empty(len(core), dtype=np.int64)
    found[order] = sums - before
    return found


def _first(setup: Setup, made: Record, layer: int) -> _First:
    turn, neuron = made.emitted[:, 0].astype(np.int64), made.emitted[:, 1].astype(np.int64)
    kept = (_layers(setup, neuron) == layer) & (made.column("masked")[turn] == 0)
    turn, neuron = turn[kept], neuron[kept] - setup.network.first[layer]  # by turn, and so by time
    timestep = timesteps_of(setup, made.column("time")[turn], layer)
    _, index = np.unique(np.stack([timestep, neuron]), axis=1, return_index=True)
    return _First(neuron[index], timestep[index], turn[index])


def _of_layer(setup: Setup, made: Record, layer: int, sent: _Sent, taken: np.ndarray) -> np.ndarray:
    firsts, present = _first(setup, made, layer), _present(setup, layer)
    home = made.column("core")[firsts.turn]
    found = np.zeros(len(firsts.turn), dtype=np.int64)
    for core in np.unique(home):
        mine = np.isin(sent.layer + 1, _held(setup, int(core)))
        for t in np.unique(firsts.timestep[home == core]):
            entries = np.flatnonzero(mine & (sent.timestep == t))
            place = np.flatnonzero(sent.layer[entries] == layer - 1)
            rows = entries[place]
            arrived = present[sent.neuron[rows]] * sent.multiplicity[rows, None]
            total = np.concatenate([np.zeros((1, present.shape[1]), dtype=np.int64), np.cumsum(arrived, axis=0)])
            now = np.flatnonzero((home == core) & (firsts.timestep == t))
            found[now] = total[np.searchsorted(place, taken[firsts.turn[now]]), firsts.neuron[now]]
    return found


def _held(setup: Setup, core: int) -> np.ndarray:
    """Layers of which a core has neurons."""
    part = setup.chip.part[:-1]
    return part[part[:, PART_CORE] == core, PART_LAYER]


__all__ = ["currents_to_first_spike"]
