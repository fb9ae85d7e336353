"""What a sample left behind, the same in every field at every depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.kernels.core_state import COUNTS, LOG, UNITS


@dataclass(frozen=True)
class Record:
    """One sample on a machine. C cores, L layers, T timesteps, N neurons.

    ticks       from the first event to the last thing done
    counts      int64 [L, T, len(COUNTS)]
    busy        int64 [C, len(UNITS)]: ticks; ``wakes`` int64 [C]
    potential   float64 [N], at the end; ``largest`` float64 [L]: magnitude when evaluated
    turns       int64 [turns, len(LOG)], by start and core
    emitted     float64 [*, 3]: turn, neuron, potential at crossing; ``propagated`` float64 [*, 4]: turn, neuron,
                multiplicity, key
    phases      phases that were run; 0 without synchronisation
    fed         int64 [T]: events handed over by the input port
    flits       int64 [routers, ports, channels] that left the routers, or None
    """

    ticks: int
    counts: np.ndarray
    busy: np.ndarray
    wakes: np.ndarray
    potential: np.ndarray
    largest: np.ndarray
    turns: np.ndarray
    emitted: np.ndarray
    propagated: np.ndarray
    phases: int
    fed: np.ndarray
    flits: np.ndarray | None = None
    events: int = 0
    """Of the calendar or of SimPy: what the simulation cost. Not the same at all depths."""

    def count(self, action: str) -> np.ndarray:
        """int64 [L, T] of one action."""
        return self.counts[:, :, COUNTS.index(action)]

    def column(self, name: str) -> np.ndarray:
        """int64 [turns] of one column of the log."""
        return self.turns[:, LOG.index(name)]

    def unit(self, name: str) -> np.ndarray:
        """int64 [C] busy ticks of a unit."""
        return self.busy[:, UNITS.index(name)]

    def with_time(self, time: np.ndarray) -> Record:
        """The same with other times [turns] in the log."""
        turns = self.turns.copy()
        turns[:, LOG.index("time")] = time
        return replace(self, turns=turns)

    @property
    def running(self) -> np.ndarray:
        """int64 [C]: ticks in which each core had a turn."""
        ticks = np.zeros(len(self.busy), dtype=np.int64)
        np.add.at(ticks, self.column("core"), self.column("end") - self.column("start"))
        return ticks

    def spikes(self, neurons: int, skew: np.ndarray) -> np.ndarray:
        """int32 [T, N]: spikes that were not masked; ``skew`` int64 [N]: what a core's time is ahead of a neuron's."""
        turn = self.emitted[:, 0].astype(np.int64)
        neuron = self.emitted[:, 1].astype(np.int64)
        kept = self.column("masked")[turn] == 0
        found = np.zeros((self.counts.shape[1], neurons), dtype=np.int32)
        np.add.at(found, (self.column("time")[turn[kept]] - skew[neuron[kept]], neuron[kept]), 1)
        return found


def in_order(results: dict[str, Any]) -> dict[str, Any]:
    """Turns by start and core, and the spikes' turns numbered accordingly: the order in which cores looked at a tick is
    no part of a result."""
    turns = results["turns"]
    order = np.lexsort((turns[:, LOG.index("core")], turns[:, LOG.index("start")]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    made = results | {"turns": turns[order]}
    for name in ("emitted", "propagated"):
        rows = results[name].copy()
        rows[:, 0] = place[rows[:, 0].astype(np.int64)]
        made[name] = rows[np.argsort(rows[:, 0], kind="stable")]
    return made
