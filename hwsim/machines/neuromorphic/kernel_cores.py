"""Cores at depths ``kernel`` and ``pass``: the arrays of all cores, made larger when they are full."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.kernels.core_control import step
from hwsim.kernels.core_inbox import accept
from hwsim.kernels.core_state import (
    BUSY,
    BUSY_CORES,
    COPIES,
    COUNTS,
    DROPPED,
    DUE,
    EMITTED,
    ENTRY,
    FIRST_OF_CORE,
    FREE_ENTRIES,
    FREE_ENTRY,
    FREED,
    HEAD,
    IN_FLIGHT,
    LEAVES,
    LEFT,
    NEURON,
    NEXT,
    PROPAGATED_ROWS,
    RUNNING,
    SLOT,
    SLOTS,
    TIME,
    TO,
    TURNS,
    UNITS,
    WAKES,
    Frames,
)
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.tables import enlarge, new_control, new_cores, new_work, wider


class KernelCores:
    """All cores of a sample, as kernels take them."""

    def __init__(self, setup: Setup, frames: Frames, seed: int, sample: int) -> None:
        self.setup, self.frames = setup, frames
        self.network, self.chip, self.rule = setup.network, setup.chip, setup.rule
        self.cores = new_cores(setup.network, setup.chip, frames.start.shape[1] - 1, seed, sample)
        self.control = new_control(setup.chip, setup.output_slots)
        self.work = new_work(setup.network, setup.chip)

    @property
    def in_flight(self) -> int:
        """Messages on their way."""
        return int(self.control.state[IN_FLIGHT])

    @in_flight.setter
    def in_flight(self, number: int) -> None:
        self.control.state[IN_FLIGHT] = number

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way and nobody has anything to do."""
        return not self.control.state[IN_FLIGHT] and self.idle

    def enlarge(self) -> None:
        """Twice the room in whatever may be too small."""
        self.control = enlarge(self.chip, self.control)
        self.work = wider(self.network, self.control, self.work)

    def accept(self, core: int, kind: int, value: int) -> None:
        """A message has come (``core_state.ENTRY_COMES`` ...)."""
        if not self.control.state[FREE_ENTRIES]:
            self.enlarge()
        accept(self.network, self.chip, self.cores, self.control, core, kind, value)

    def step(self, core: int, now: int, ended: bool) -> tuple[int, list[tuple[int, int, int]], int]:
        """A core looks: (cycles of the turn that it starts or 0, what leaves: (core or set, tick, entry), how many of
        these are no stops)."""
        while True:
            result = step(self.network, self.chip, self.rule, self.cores, self.control, self.frames, self.work, core,
                          now, int(ended))  # fmt: skip
            if result.cycles >= 0:
                break
            self.enlarge()
        sent = self.work.sent[: result.messages + result.stops, [TO, LEAVES, ENTRY]]
        return result.cycles, [tuple(row) for row in sent.tolist()], result.messages

    def blocked(self) -> list[tuple[int, int]]:
        """(core, free output slots) of cores that have something to do and do not do it."""
        rows = self.control.core
        return [
            (int(core), int(rows[core, SLOTS]))
            for core in np.flatnonzero((rows[:, BUSY] == 1) & (rows[:, RUNNING] == 0))
        ]

    def freed(self, core: int) -> int:
        """Places of the input queue that have become free since it was asked last."""
        places, self.control.core[core, FREED] = int(self.control.core[core, FREED]), 0
        return places

    @property
    def idle(self) -> bool:
        """Whether nobody has anything to do, whatever is on its way."""
        return not self.control.state[BUSY_CORES]

    def close(self) -> None:
        """The sample is over: count what still waits, or is on its way."""
        queue, following = self.cores.queue, self.control.entry[:, NEXT].tolist()
        waiting = []
        for core in range(self.setup.cores):
            row, first = self.control.core[core], self.chip.core[core, SLOT]
            for slot in queue.waiting[first : first + queue.state[core, 0]] + first:
                if queue.neuron[slot] >= 0:
                    time = max(row[TIME], 0)
                    self.cores.counts[queue.layer[slot], time, LEFT] += queue.multiplicity[slot]
            waiting += _list(following, int(row[HEAD]))
        self._drop(np.array(waiting, dtype=np.int64), np.ones(len(waiting), dtype=np.int64))
        if self.in_flight:  # entries that are neither free nor in a queue
            moving = np.ones(len(following), dtype=bool)
            moving[waiting + _list(following, int(self.control.state[FREE_ENTRY]))] = False
            self._drop(np.flatnonzero(moving), self.control.entry[moving, COPIES])

    def _drop(self, entries: np.ndarray, times: np.ndarray) -> None:
        """Count entries that nobody will take."""
        rows, counts = self.control.entry[entries], self.cores.counts
        layer = np.searchsorted(self.network.first, rows[:, NEURON], side="right")  # the one behind a neuron's own
        np.add.at(counts, (layer, np.clip(rows[:, DUE], 0, counts.shape[1] - 1), DROPPED), times)

    def results(self) -> dict[str, Any]:
        """What ``Record`` takes of the cores."""
        state = self.control.state
        resting = np.isneginf(self.cores.potential)
        return {
            "counts": self.cores.counts,
            "busy": self.cores.core[:, : len(UNITS)].copy(),
            "wakes": self.cores.core[:, WAKES].copy(),
            "potential": np.where(resting, self.cores.held, self.cores.potential),
            "largest": self.cores.largest,
            "turns": self.control.turns[: state[TURNS]].copy(),
            "emitted": self.control.emitted[: state[EMITTED]].copy(),
            "propagated": self.control.propagated[: state[PROPAGATED_ROWS]].copy(),
        }


def _list(following: list[int], head: int) -> list[int]:
    """The entries of a list, in order."""
    found = []
    while head >= 0:
        found.append(head)
        head = following[head]
    return found


__all__ = ["COUNTS", "FIRST_OF_CORE", "KernelCores"]
