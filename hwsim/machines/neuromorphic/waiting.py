"""Where the time of a sample, and that of its cores, goes: turns, the input, other cores, messages, synchronisation.

Everything is read off the log of turns. A phase begins when the synchronisation says so; a core of the first layer
waits therein for the frame of the input; the phase's work is over with its last turn and its last message; what follows
up to the next phase is the synchronisation's (the latency of a barrier, the rest of a timer's interval).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.kernels.core_state import PART_CORE, PER_LAYER, PER_TIMESTEP
from hwsim.machines.neuromorphic.calendar import BARRIER, TIMER, phase_cores, phase_frame
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Setup


@dataclass(frozen=True)
class Elapsed:
    """Ticks of a sample; their sum is ``Record.ticks``.

    working   at least one core has a turn
    moving    no core has one: the input is fed, messages are on their way
    synchronising   all is done, and the next phase has not begun
    """

    working: int
    moving: int
    synchronising: int


@dataclass(frozen=True)
class CoreTime:
    """Ticks of all mapped cores together; their sum is ``Record.ticks`` x cores.

    turn      in a turn
    input     in a phase whose frame of the input is still being fed
    slowest   own turn over, but other cores of the phase or messages are not
    excluded  in a phase that evaluates layers of other cores only, up to its end
    synchronising    all is done, and the next phase has not begun
    idle      without synchronisation: nothing waits for the core
    """

    turn: int
    input: int
    slowest: int
    excluded: int
    synchronising: int
    idle: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.turn + self.input + self.slowest + self.excluded + self.synchronising + self.idle


def phase_starts(setup: Setup, made: Record) -> np.ndarray:
    """int64 [phases]: ticks at which phases began, of a machine with phases; those of a timer by its interval."""
    if setup.kind == TIMER:
        return 1 + np.arange(made.phases, dtype=np.int64) * setup.interval
    transfer = np.maximum(1, made.fed * setup.event_ticks)
    time, start = made.column("time"), made.column("start")
    found = np.full(made.phases, np.iinfo(np.int64).max)
    np.minimum.at(found, time, start - _fed(setup, made, transfer)[time] * (made.column("core") < _feeders(setup)))
    return found


def _feeders(setup: Setup) -> int:
    """Cores of the first layer: the first ones."""
    return int(setup.chip.layer_part[1] - setup.chip.layer_part[0])


def _fed(setup: Setup, made: Record, transfer: np.ndarray) -> np.ndarray:
    """int64 [phases]: ticks in which a frame of the input is fed; 0 where none is."""
    frames = [phase_frame(setup.chip, len(transfer), phase) for phase in range(made.phases)]
    return np.array([transfer[frame] if frame >= 0 else 0 for frame in frames], dtype=np.int64)


def phase_ends(setup: Setup, made: Record, starts: np.ndarray) -> np.ndarray:
    """int64 [phases]: ticks at which everything of a phase was done: known of a barrier, whose latency follows; with a
    timer the end of its last turn, or the start of the next phase where that comes first."""
    if setup.kind == BARRIER:
        return np.append(starts[1:] - setup.latency - 1, made.ticks)
    ends = starts.copy()
    np.maximum.at(ends, made.column("time"), made.column("end"))
    return np.minimum(ends, np.append(starts[1:], made.ticks))


def _busy(made: Record) -> tuple[np.ndarray, np.ndarray]:
    """(begins, ends) of the stretches in which at least one core had a turn, in order."""
    begin, end = made.column("start"), made.column("end")  # by start
    reached = np.maximum.accumulate(end)
    opens = np.flatnonzero(begin > np.append(-1, reached[:-1]))
    return begin[opens], reached[np.append(opens[1:] - 1, len(begin) - 1)]


def elapsed(setup: Setup, made: Record) -> Elapsed:
    """Where the time of a sample went."""
    begin, end = _busy(made)
    working = int((end - begin).sum())
    if not made.phases:
        return Elapsed(working, made.ticks - working, 0)
    starts = phase_starts(setup, made)
    following = np.append(starts[1:], made.ticks)
    if setup.kind == BARRIER:
        synchronising = int(starts[0]) + int((following - phase_ends(setup, made, starts)).sum())
        return Elapsed(working, made.ticks - working - synchronising, synchronising)
    first = np.minimum(np.searchsorted(end, starts, side="right"), len(begin) - 1)  # of what goes on, or comes next
    moving = int(np.clip(begin[first] - starts, 0, following - starts)[end[first] > starts].sum())
    return Elapsed(working, moving, made.ticks - working - moving)


def core_time(setup: Setup, made: Record) -> CoreTime:
    """Where the time of the mapped cores went."""
    return CoreTime(*(int(value) for value in core_times(setup, made).sum(axis=0)))


def core_times(setup: Setup, made: Record) -> np.ndarray:
    """int64 [C, 6]: the same for each core, in the order of ``CoreTime``; rows sum to ``Record.ticks``."""
    found = np.zeros((setup.cores, 6), dtype=np.int64)
    turn, waiting, slowest, excluded, synchronising, idle = found.T
    turn[:] = made.running
    if not made.phases:
        idle[:] = made.ticks - turn
        return found
    starts = phase_starts(setup, made)
    ends = phase_ends(setup, made, starts)
    core, phase = made.column("core"), made.column("time")
    begun = np.maximum(starts[phase], _ended_before(made))
    np.add.at(waiting, core, np.maximum(0, made.column("start") - begun))
    np.add.at(slowest, core, np.maximum(0, ends[phase] - made.column("end")))
    excluded[:] = (ends - starts).sum()
    for number in range(made.phases):
        low, high = phase_cores(setup.chip, made.counts.shape[1], number)
        excluded[low:high] -= ends[number] - starts[number]
    left = made.ticks - turn - waiting - slowest
    excluded[:] = np.minimum(excluded, left)  # less where turns of earlier phases still go on
    synchronising[:] = left - excluded
    return found


def _ended_before(made: Record) -> np.ndarray:
    """int64 [turns]: when the turn before, of the same core, ended; 0 for the first."""
    core, end = made.column("core"), made.column("end")
    order = np.lexsort((made.column("start"), core))
    same = core[order][1:] == core[order][:-1]
    found = np.zeros(len(end), dtype=np.int64)
    found[order[1:][same]] = end[order[:-1][same]]
    return found


def layer_latencies(setup: Setup, made: Record) -> np.ndarray:
    """int64 [L]: ticks in which a layer is the oldest unfinished one of the oldest unfinished timestep; their sum is
    ``Record.ticks``.

    A layer has finished a timestep with the last turn on it of a core that holds neurons of the layer. So the latency
    of a barrier is the next layer's; where timesteps overlap it is the last layer that is waited for; a core that
    holds several layers counts for the first of them.
    """
    chip, timesteps = setup.chip, made.counts.shape[1]
    core, end, time = made.column("core"), made.column("end"), made.column("time")
    done = np.zeros((timesteps, chip.layers), dtype=np.int64)
    for layer in range(chip.layers):
        own = np.isin(core, chip.part[chip.layer_part[layer] : chip.layer_part[layer + 1], PART_CORE])
        timestep = timesteps_of(setup, time[own], layer)
        if chip.order == PER_LAYER:
            own = np.flatnonzero(own)[time[own] % chip.layers == layer]
            timestep = time[own] // chip.layers
        kept = (timestep >= 0) & (timestep < timesteps)
        np.maximum.at(done[:, layer], timestep[kept], end[own][kept])
    reached = np.maximum.accumulate(done.reshape(-1))
    reached[-1] = made.ticks
    return np.diff(np.minimum(reached, made.ticks), prepend=0).reshape(done.shape).sum(axis=0)


def timesteps_of(setup: Setup, time: np.ndarray, layer: np.ndarray | int) -> np.ndarray:
    """Timestep that layers work on at times (of cores)."""
    if setup.chip.order == PER_LAYER:
        return np.asarray(time) // setup.chip.layers
    return np.asarray(time) - layer if setup.chip.order == PER_TIMESTEP else np.asarray(time)


__all__ = ["CoreTime", "Elapsed", "core_time", "core_times", "elapsed", "layer_latencies", "phase_ends", "phase_starts",
           "timesteps_of"]  # fmt: skip
