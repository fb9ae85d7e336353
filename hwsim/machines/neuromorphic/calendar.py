"""Depth ``pass``: a sample in one compiled call. The kernels of the cores and of the network, and a calendar.

A tick: everything that arrives is handed over, in the order (core, sender, sequence); then every core that may have
something to do looks once. What a core does in a tick is seen by others in a later one, so the order in which cores
look cannot matter. This is what ``simulate`` does with SimPy processes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.calendar import CORE, KIND, TICK, VALUE, Calendar, drop_first, schedule
from hwsim.kernels.compiled import inner, outer
from hwsim.kernels.connections import Network
from hwsim.kernels.core_control import step
from hwsim.kernels.core_inbox import accept
from hwsim.kernels.core_state import (
    BOUND,
    BUSY_CORES,
    ENTRY,
    ENTRY_COMES,
    FRAME_COMES,
    FREE_ENTRIES,
    FREED,
    GO_COMES,
    IN_FLIGHT,
    LEAVES,
    NEURON,
    NEXT,
    PART_CORE,
    PER_LAYER,
    RUNNING,
    SLOT_COMES,
    STOP,
    TO,
    WHEN,
    Chip,
    Control,
    Cores,
    Frames,
    Work,
)
from hwsim.kernels.noc import add_room, entries, inject, next_cycle, noc_tick
from hwsim.kernels.noc_state import NocState
from hwsim.kernels.scheduling import Rule

WHEN_QUIET, PERIOD, BARRIER, TIMER = range(4)
"""When the next timestep or phase begins: when nothing is left to do, every so many ticks, some time after the last one
is done, every so many ticks."""
END, FEED, QUIET, LEAVE = range(SLOT_COMES + 1, SLOT_COMES + 5)
"""Events beside messages to cores: the end of a turn; the order to feed a frame; nothing is left to do; a core's next
message comes to the source queue of the network (without one: to the core that it is for)."""
DONE, ROOM, STUCK = range(3)
NOW, PHASE, PORT_FREE, LAST, SEEN_QUIET, WATCHED, STARTED = range(7)
"""Entries of ``Drive.state``: this tick; the last timestep fed or phase started; when the input port is free again; the
tick in which the machine became quiet last; 1: this was noted; how many cores are to be looked at; 1: the first events
are in the calendar."""


class Pace(NamedTuple):
    """Synchronisation, input and channels of a machine for one sample."""

    kind: int
    interval: int
    """Ticks between frames or phases."""
    latency: int
    """Ticks from when the last phase is seen to be done to the start of the next one, at least 1."""
    channel: int
    """Ticks that a message takes between two cores where there is no network."""
    transfer: np.ndarray
    """int64 [T]: ticks that the input port needs for a frame, at least 1."""
    first_cores: int
    """Cores of the first layer."""
    phases: int
    cycle: int
    """Ticks of a cycle of the network."""
    limited: int
    """1: the input queues of the cores have a limited number of places."""
    slots: int
    """1: cores have a limited number of output slots."""


class Drive(NamedTuple):
    """What the calendar knows beside its events."""

    state: np.ndarray
    """int64 [7]."""
    todo: np.ndarray
    """int64 [C, 2]: cores that are to be looked at in this tick; and of each core 0: it is not among them, 1: it is,
    2: and its turn has ended."""
    leaving: np.ndarray
    """int64 [C, 2]: first and last entry of each core that has yet to leave it, in order; -1: none. Only the first one
    is in the calendar: a turn may send many thousands, which leave one after the other."""


@outer
def phase_layers(order, layers, timesteps, phase):  # type: ignore[no-untyped-def]
    """First and last layer that are evaluated in a phase."""
    if order == PER_LAYER:
        return phase % layers, phase % layers
    return max(0, phase - timesteps + 1), min(phase, layers - 1)


@outer
def phase_cores(chip, timesteps, phase):  # type: ignore[no-untyped-def]
    """Cores that take part in a phase: first .. last + 1."""
    low, high = phase_layers(chip.order, chip.layers, timesteps, phase)
    return chip.part[chip.layer_part[low], PART_CORE], chip.part[chip.layer_part[high + 1] - 1, PART_CORE] + 1


@outer
def phase_frame(chip, timesteps, phase):  # type: ignore[no-untyped-def]
    """The frame of the input that is fed at the start of a phase, -1 for none."""
    if chip.order == PER_LAYER:
        return phase // chip.layers if phase % chip.layers == 0 else -1
    return phase if phase < timesteps else -1


@inner
def _start_phase(chip, control, pace, calendar, phase, tick):  # type: ignore[no-untyped-def]
    timesteps = pace.transfer.size
    low, high = phase_cores(chip, timesteps, phase)
    schedule(calendar, tick, 0, GO_COMES, 0, phase)
    control.state[IN_FLIGHT] += high - low
    frame = phase_frame(chip, timesteps, phase)
    if frame >= 0:
        schedule(calendar, tick, 0, FEED, 0, frame)
        control.state[IN_FLIGHT] += 1


@inner
def _start(chip, control, pace, calendar):  # type: ignore[no-untyped-def]
    """Put the first events of a sample in, at tick 0. There must be room for two per phase."""
    if pace.kind == WHEN_QUIET or pace.kind == PERIOD:
        for t in range(pace.transfer.size if pace.kind == PERIOD else 1):
            schedule(calendar, 1 + t * pace.interval, 0, FEED, 0, t)
            control.state[IN_FLIGHT] += 1
    else:
        for phase in range(pace.phases if pace.kind == TIMER else 1):
            _start_phase(chip, control, pace, calendar, phase, 1 + phase * pace.interval)


@inner
def _look_at(drive, core, flag):  # type: ignore[no-untyped-def]
    if not drive.todo[core, 1]:
        drive.todo[drive.state[WATCHED], 0] = core
        drive.state[WATCHED] += 1
    drive.todo[core, 1] = max(drive.todo[core, 1], flag)


@inner
def _go_on(chip, control, pace, calendar, drive):  # type: ignore[no-untyped-def]
    """The synchronisation has seen that nothing is left to do."""
    now, following = drive.state[NOW], drive.state[PHASE] + 1
    if pace.kind == WHEN_QUIET and following < pace.transfer.size:
        schedule(calendar, now + 1, 0, FEED, 0, following)
        control.state[IN_FLIGHT] += 1
    elif pace.kind == BARRIER and following < pace.phases:
        _start_phase(chip, control, pace, calendar, following, now + pace.latency)
    else:
        return
    drive.state[PHASE], drive.state[SEEN_QUIET] = following, 0


@inner
def _hand_over(network, chip, cores, control, pace, calendar, drive):  # type: ignore[no-untyped-def]
    """The first event of the calendar happens; returns the core whose first message leaves, or -1."""
    event, now = calendar.event[0], drive.state[NOW]
    kind, core, value = event[KIND], event[CORE], event[VALUE]
    drop_first(calendar)
    low, high = core, core + 1
    if kind == FRAME_COMES:
        low, high = 0, pace.first_cores
    elif kind == GO_COMES:
        low, high = phase_cores(chip, pace.transfer.size, value)
    if kind <= SLOT_COMES:
        for member in range(low, high):
            accept(network, chip, cores, control, member, kind, value)
            _look_at(drive, member, 1)
    elif kind == END:
        _look_at(drive, core, 2)
    elif kind == FEED:
        arrives = max(now, drive.state[PORT_FREE]) + pace.transfer[value]
        drive.state[PORT_FREE] = arrives
        schedule(calendar, arrives, 0, FRAME_COMES, 0, value)
        control.state[IN_FLIGHT] += pace.first_cores - 1
    elif kind == QUIET:
        _go_on(chip, control, pace, calendar, drive)
    return core if kind == LEAVE else -1


@inner
def _next_tick(chip, calendar, drive, pace, noc):  # type: ignore[no-untyped-def]
    """The tick of the next event, of the network too; -1: there is none."""
    tick = calendar.event[0, TICK] if calendar.number[0] else -1
    if chip.routed:
        cycle = next_cycle(noc, drive.state[NOW] // pace.cycle + 1)
        if cycle >= 0 and (tick < 0 or cycle * pace.cycle < tick):
            tick = cycle * pace.cycle
    return tick


@inner
def _run_cycle(network, chip, cores, control, pace, calendar, drive, noc):  # type: ignore[no-untyped-def]
    """A cycle of the network: what reaches its core is taken there; cores see one tick later that a slot is free."""
    now = drive.state[NOW]
    for i in range(noc_tick(noc, now // pace.cycle)):
        core, entry = noc.ejected[i]
        accept(network, chip, cores, control, core, ENTRY_COMES, entry)
        _look_at(drive, core, 1)
    for i in range(entries(noc) if pace.slots else 0):
        core, entry = noc.entered[i]
        schedule(calendar, now + 1, 0, SLOT_COMES, core, 0 if control.entry[entry, NEURON] == STOP else 1)


@inner
def _send(chip, control, work, pace, calendar, drive, core, count):  # type: ignore[no-untyped-def]
    """What a turn sends, in the order in which it leaves."""
    now, row, idle = drive.state[NOW], drive.leaving[core], drive.leaving[core, 0] < 0
    for i in range(count):
        sent, entry = work.sent[i], work.sent[i, ENTRY]
        one = control.entry[entry]
        one[NEXT], one[BOUND] = -1, sent[TO]
        one[WHEN] = now + (sent[LEAVES] if chip.routed else max(1, sent[LEAVES] + pace.channel))
        if row[0] < 0:
            row[0] = entry
        else:
            control.entry[row[1], NEXT] = entry
        row[1] = entry
    if idle and count:
        schedule(calendar, control.entry[row[0], WHEN], 1 + core, LEAVE, core, 0)


@inner
def _let_leave(network, chip, cores, control, pace, calendar, drive, noc, core):  # type: ignore[no-untyped-def]
    """The first message that waits to leave a core goes; the next one takes its place in the calendar."""
    entry = drive.leaving[core, 0]
    following, to = control.entry[entry, NEXT], control.entry[entry, BOUND]
    drive.leaving[core, 0] = following
    if chip.routed:
        inject(noc, entry, core, to, (drive.state[NOW] + pace.cycle - 1) // pace.cycle)
    else:
        accept(network, chip, cores, control, to, ENTRY_COMES, entry)
        _look_at(drive, to, 1)
    if following >= 0:
        schedule(calendar, control.entry[following, WHEN], 1 + core, LEAVE, core, 0)


@inner
def _announce_room(control, pace, core, now, cycles, noc):  # type: ignore[no-untyped-def]
    """Tell the network how many places of an input queue have become free. A core looks at what has come between its
    turns: a stop, and what comes after it, keep their places until then."""
    row = control.core[core]
    if row[FREED] and (cycles or not row[RUNNING]):
        add_room(noc, core, row[FREED], now // pace.cycle + 1)
        row[FREED] = 0


@inner
def _has_room(chip, control, calendar):  # type: ignore[no-untyped-def]
    most = 2 * chip.core.shape[0] + 8
    return calendar.event.shape[0] >= calendar.number[0] + most and control.state[FREE_ENTRIES] >= chip.core.shape[0]


@outer
def run_events(
    network: Network, chip: Chip, rule: Rule, cores: Cores, control: Control, frames: Frames, work: Work, pace: Pace,
    calendar: Calendar, drive: Drive, noc: NocState,
) -> int:  # fmt: skip
    """A sample until no event is left (DONE; STUCK where something still waits) or an array is too small (ROOM): then
    go on with a larger one. There must be room for two events per phase at first. ``noc``: its packets are entries; any
    small one where nothing is routed."""
    state = drive.state
    if not state[STARTED]:
        state[STARTED] = 1
        _start(chip, control, pace, calendar)
    while True:
        while state[WATCHED] > 0:
            core = drive.todo[state[WATCHED] - 1, 0]
            if not _has_room(chip, control, calendar):
                return ROOM
            ended = 1 if drive.todo[core, 1] == 2 else 0
            result = step(network, chip, rule, cores, control, frames, work, core, state[NOW], ended)
            if result.cycles < 0:
                return ROOM
            state[WATCHED] -= 1
            drive.todo[core, 1] = 0
            _send(chip, control, work, pace, calendar, drive, core, result.messages + result.stops)
            if pace.limited:
                _announce_room(control, pace, core, state[NOW], result.cycles, noc)
            if result.cycles:
                schedule(calendar, state[NOW] + result.cycles, 0, END, core, 0)
        quiet = control.state[IN_FLIGHT] == 0 and control.state[BUSY_CORES] == 0
        if quiet and not state[SEEN_QUIET]:
            state[SEEN_QUIET], state[LAST] = 1, state[NOW]
            if pace.kind == WHEN_QUIET or pace.kind == BARRIER:
                schedule(calendar, state[NOW] + 1, 0, QUIET, 0, 0)
        if not _has_room(chip, control, calendar):
            return ROOM
        tick = _next_tick(chip, calendar, drive, pace, noc)
        if tick < 0:
            return DONE if quiet else STUCK
        state[NOW] = tick
        while calendar.number[0] and calendar.event[0, TICK] == tick:
            core = _hand_over(network, chip, cores, control, pace, calendar, drive)
            if core >= 0:
                _let_leave(network, chip, cores, control, pace, calendar, drive, noc, core)
        if chip.routed and tick % pace.cycle == 0:
            _run_cycle(network, chip, cores, control, pace, calendar, drive, noc)
