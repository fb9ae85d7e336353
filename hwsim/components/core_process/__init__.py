"""Cores at depth ``process``: plain values, and five SimPy processes per turn. The witness of the kernels of cores."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from hwsim.components.core_process.core import Events, PlainCore
from hwsim.components.core_process.state import CoreState, Sent, Setting, Spike
from hwsim.components.core_process.synapses import PlainNetwork
from hwsim.components.core_process.turn import PlainCall, call_process
from hwsim.kernels.core_state import (
    COUNTS,
    ENTRY_COMES,
    FRAME_COMES,
    GO_COMES,
    LOG,
    UNITS,
    due_time,
)

__all__ = ["SECONDS_PER_SYNAPSE", "CoreState", "PlainCall", "PlainCore", "PlainCores", "PlainNetwork", "Setting",
           "call_process"]  # fmt: skip

SECONDS_PER_SYNAPSE = 2e-6
"""Wall time of one synapse that is read, on the machine on which this was written; for estimates only."""
SECONDS_PER_NEURON = 2e-5
"""Wall time of one neuron that is looked at."""


class PlainCores:
    """All cores of a sample. Spikes and stops on their way have numbers."""

    def __init__(self, setting: Setting, frames: list[list[Events]], slots: int | None,
                 sets: list[tuple[int, tuple[int, ...]]]) -> None:  # fmt: skip
        """``frames``: of each core of the first layer, the events of every timestep. ``sets``: what a multicast goes
        to in a network, by number: (its core, the others)."""
        self.setting = setting
        cores = len(setting.chip.core) - 1
        given = frames + [[] for _ in range(cores - len(frames))]
        free = float("inf") if slots is None else slots
        self.cores = [PlainCore(CoreState(core, setting), given[core], free) for core in range(cores)]
        self.numbers = {which: number for number, which in enumerate(sets)}
        self.parcels: list[tuple[Sent, int]] = []
        """What was sent, and when it is due."""
        self.copies: Counter[int] = Counter()
        """Of messages on their way, by number: the cores that they have not reached."""
        self.in_flight = 0

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way and nobody has anything to do."""
        return self.in_flight == 0 and self.idle

    def accept(self, core: int, kind: int, value: int) -> None:
        """A message has come (``core_state.ENTRY_COMES`` ...)."""
        own = self.cores[core]
        if kind not in (ENTRY_COMES, FRAME_COMES, GO_COMES):
            own.slots += value
            return
        self.in_flight -= 1
        if kind == FRAME_COMES:
            own.come += 1
        elif kind == GO_COMES:
            own.phase = value
        else:
            sent, due = self.parcels[value]
            self.copies[value] -= 1
            if sent.neuron is None:
                own.stop(due)
                own.freed += 1
            else:
                own.accept(Spike(sent.neuron, sent.amount, due, True))

    def step(self, core: int, now: int, ended: bool) -> tuple[int, list[tuple[int, int, int]], int]:
        """A core looks: (cycles of the turn that it starts or 0, what leaves: (core or set, tick, number), how many of
        these are no stops)."""
        own = self.cores[core]
        if ended:
            own.finish(now)
        begun = own.begin(now)
        if begun is None:
            return 0, [], 0
        cycles, messages = begun
        chip, found, spikes = self.setting.chip, [], 0
        due = due_time.py_func(chip.order, own.time)  # type: ignore[attr-defined]
        for sent in messages:
            when = own.time if sent.neuron is None else due
            together = chip.multicast and chip.routed
            for to in [self.numbers[core, sent.to]] if together else sent.to:
                found.append((to, sent.leaves, len(self.parcels)))
                spikes += sent.neuron is not None
                self.copies[len(self.parcels)] = len(sent.to) if together else 1
                self.parcels.append((sent, when))
            self.in_flight += len(sent.to)
        return cycles, found, spikes

    def blocked(self) -> list[tuple[int, int]]:
        """(core, free output slots) of cores that have something to do and do not do it."""
        return [(number, int(core.slots)) for number, core in enumerate(self.cores) if core.busy and not core.running]

    def freed(self, core: int) -> int:
        """Places of the input queue that have become free since it was asked last."""
        places, self.cores[core].freed = self.cores[core].freed, 0
        return places

    @property
    def idle(self) -> bool:
        """Whether nobody has anything to do, whatever is on its way."""
        return not any(core.busy for core in self.cores)

    def close(self) -> None:
        """The sample is over: count what still waits, or is on its way."""
        for number, copies in self.copies.items():
            sent, due = self.parcels[number]
            if sent.neuron is not None and copies:
                layer = self.setting.network.layer_of(sent.neuron) + 1
                timestep = min(max(due, 0), self.setting.timesteps - 1)
                self.cores[0].state.count(layer, timestep, "dropped", copies)
        for core in self.cores:
            core.leave_behind()
            core.stop(self.setting.timesteps + self.setting.chip.layers)

    def results(self) -> dict[str, Any]:
        """Arrays as those of the kernels: counts, busy, wakes, potential, largest, turns, emitted, propagated."""
        layers, timesteps = len(self.setting.network.layers), self.setting.timesteps
        counts = np.zeros((layers, timesteps, len(COUNTS)), dtype=np.int64)
        for core in self.cores:
            for (layer, timestep, action), times in core.state.counts.items():
                counts[layer, timestep, COUNTS.index(action)] += times
        base = np.concatenate([[0], np.cumsum([len(core.turns) for core in self.cores])])
        emitted = [(base[c] + row[0], *row[1:]) for c, core in enumerate(self.cores) for row in core.emitted]
        propagated = [(base[c] + row[0], *row[1:]) for c, core in enumerate(self.cores) for row in core.propagated]
        potential = {neuron: v for core in self.cores for neuron, v in core.state.potential.items()}
        largest = [max((core.state.largest.get(layer, 0.0) for core in self.cores), default=0.0)
                   for layer in range(layers)]  # fmt: skip
        turns = [row for core in self.cores for row in core.turns]
        return {
            "counts": counts,
            "busy": np.array([[core.state.busy[unit] for unit in UNITS] for core in self.cores], dtype=np.int64),
            "wakes": np.array([core.state.wakes for core in self.cores], dtype=np.int64),
            "potential": np.array([potential[neuron] for neuron in range(len(potential))]),
            "largest": np.array(largest),
            "turns": np.array(turns, dtype=np.int64).reshape(-1, len(LOG)),
            "emitted": np.array(emitted, dtype=np.float64).reshape(-1, 3),
            "propagated": np.array(propagated, dtype=np.float64).reshape(-1, 4),
        }
