"""When a core starts a turn and what it then takes: the decisions between turns, for depths ``kernel`` and ``pass``.

A core of an asynchronous machine (``ASYNCHRONOUS``) works on one timestep at a time. It starts a turn when a frame of
the input, a spike in its input queue or one in its spike queue waits, and output slots for all messages are free. A
frame is put first and is all that its turn takes; else the turn takes the first F entries of the input queue, up to one
of a later timestep than the first. The core goes on to a later timestep when it takes something of it; what comes late
is added as it comes. A frame whose events compete for the slots of a group goes into the spike queue (step 0).

A core of a machine with phases starts one turn in every phase that it is told of, and takes all that is due by then.

Stop on output: after ``steps_after`` turns behind the one in which an output neuron fired, one more turn throws its new
spikes away and ends with a message to all other cores. Where a stop arrives, everything of timesteps up to its own is
thrown away, and what comes later of them too (a spike queue that is carried over is kept).
"""

from __future__ import annotations

from hwsim.kernels.compiled import inner, outer
from hwsim.kernels.connections import Network
from hwsim.kernels.core_inbox import append, count_entry, discard, enqueue, new_entry, note_busy, stop_core
from hwsim.kernels.core_state import (
    AMOUNT,
    ASYNCHRONOUS,
    AXON_OUT,
    AXON_OUTPUT,
    BUSY,
    COMPETING,
    DUE,
    EMITTED,
    ENDED,
    ENTRY,
    FIRST_OF_CORE,
    FIRST_PART,
    FRAME,
    FRAMES,
    FREE_ENTRIES,
    GO,
    GROUP,
    HEAD,
    IN_FLIGHT,
    LATE,
    LEAVES,
    LOCAL_HEAD,
    LOCAL_TAIL,
    MASKING,
    MESSAGE,
    NEEDED_SLOTS,
    NEURON,
    NEXT,
    OUTPUT_STEP,
    OWED,
    PART_LAYER,
    PER_LAYER,
    PROPAGATED_ROWS,
    QUEUED,
    REACH,
    RETURNED,
    RUNNING,
    SLOT,
    SLOTS,
    STEP,
    STOP,
    STOP_SET,
    TAIL,
    TIME,
    TO,
    TURNS,
    Call,
    Chip,
    Control,
    Cores,
    Frames,
    Turn,
    Work,
    due_time,
    timestep_of,
)
from hwsim.kernels.scheduling import Rule
from hwsim.kernels.turn import core_queue, turn

NO_TURN = Turn(0, 0, 0, 0, 0, 0, 0, 0)
LARGER_ARRAYS = Turn(-1, 0, 0, 0, 0, 0, 0, 0)


@inner
def _next_time(chip, cores, control, core):  # type: ignore[no-untyped-def]
    """(time of the next turn, or -1 where none can start now; the frame that it takes, or -1)."""
    row = control.core[core]
    if not row[BUSY] or row[RUNNING] or row[SLOTS] < chip.core[core, NEEDED_SLOTS]:
        return -1, -1
    if chip.order == ASYNCHRONOUS:
        if row[FRAME] < row[FRAMES]:
            return max(row[TIME], row[FRAME]), row[FRAME]
        return max(row[TIME], control.entry[row[HEAD], DUE] if row[HEAD] >= 0 else 0), -1
    time = row[GO] if chip.order == PER_LAYER else row[TIME] + 1
    frame = -1
    if chip.part[chip.core[core, FIRST_PART], PART_LAYER] == 0:
        timestep = timestep_of(chip.order, chip.layers, time, 0)
        frame = timestep if timestep < cores.counts.shape[1] else -1
    return (-1, -1) if frame >= row[FRAMES] else (time, frame)


@inner
def _take_frame(control, frames, work, core, frame):  # type: ignore[no-untyped-def]
    """The events of a frame; cores of the first layer are the first ones."""
    begin, end = frames.start[core, frame], frames.start[core, frame + 1]
    for i in range(begin, end):
        work.taken[i - begin, 0], work.taken[i - begin, 1] = frames.event[i, 0], frames.event[i, 1]
    control.core[core, FRAME] = frame + 1
    return end - begin


@inner
def _take_entry(network, cores, control, work, core, time, entry, place):  # type: ignore[no-untyped-def]
    row = control.entry[entry]
    work.taken[place, 0], work.taken[place, 1] = row[NEURON], row[AMOUNT]
    if row[DUE] < time:
        count_entry(network, cores, row, LATE)
    discard(control, core, entry)
    control.core[core, QUEUED] -= 1


@inner
def _take_first(network, chip, cores, control, work, core, time):  # type: ignore[no-untyped-def]
    """Take up to F entries from the head of the input queue, none of a later timestep."""
    row, taken = control.core[core], 0
    while row[HEAD] >= 0 and taken < chip.core[core, GROUP] and control.entry[row[HEAD], DUE] <= time:
        following = control.entry[row[HEAD], NEXT]
        _take_entry(network, cores, control, work, core, time, row[HEAD], taken)
        row[HEAD] = following
        taken += 1
    return taken


@inner
def _take_due(network, cores, control, work, core, time, taken):  # type: ignore[no-untyped-def]
    """Take all entries that are due; the first ``taken`` places are taken already."""
    row = control.core[core]
    entry = row[HEAD]
    row[HEAD] = row[TAIL] = -1
    while entry >= 0:
        following = control.entry[entry, NEXT]
        if control.entry[entry, DUE] <= time:
            _take_entry(network, cores, control, work, core, time, entry, taken)
            taken += 1
        else:
            append(control, core, entry, HEAD, TAIL)
        entry = following
    return taken


@inner
def _enter(chip, cores, control, core, time, competing, now):  # type: ignore[no-untyped-def]
    """Note that a turn at ``time`` begins: (its step, whether it is masked, whether the core must wake up)."""
    row = control.core[core]
    if time > row[TIME]:
        row[TIME], row[STEP], row[OUTPUT_STEP] = time, 0 if competing else 1, 0
    else:
        row[STEP] += 1
    masked = chip.stop and 0 < row[OUTPUT_STEP] < row[STEP] - chip.steps_after
    asleep = chip.gated and row[ENDED] != now
    row[RUNNING], row[OWED], row[MASKING] = 1, 1 if competing else 0, 1 if masked else 0
    return row[STEP], row[MASKING], 1 if asleep else 0


@inner
def _write_log(chip, cores, control, work, call, result, waiting, queued, now):  # type: ignore[no-untyped-def]
    """The turn and its spikes."""
    number, emitted, propagated = control.state[TURNS], control.state[EMITTED], control.state[PROPAGATED_ROWS]
    queue, first = core_queue(chip, cores, call.core), chip.core[call.core, FIRST_OF_CORE]
    row = control.turns[number]
    row[0], row[1], row[2], row[3], row[4] = now, now + result.cycles, call.core, call.time, call.step
    row[5], row[6], row[7], row[8] = call.taken, result.updated, result.fired, result.chosen
    row[9], row[10], row[11], row[12], row[13] = result.messages, result.output, waiting, queued, call.masked
    for i in range(result.fired):
        spike = control.emitted[emitted + i]
        spike[0], spike[1], spike[2] = number, work.fired[i], work.crossing[work.fired[i] - first]
    for j in range(result.chosen):
        slot = work.chosen[j]
        sent = control.propagated[propagated + j]
        sent[0], sent[1], sent[2], sent[3] = number, queue.neuron[slot], queue.multiplicity[slot], queue.key[slot]
    control.state[TURNS], control.state[EMITTED] = number + 1, emitted + result.fired
    control.state[PROPAGATED_ROWS] = propagated + result.chosen


@inner
def _make_entries(chip, cores, control, work, call, result):  # type: ignore[no-untyped-def]
    """Entries for messages to other cores, and for the spikes that the turn's end appends to the own input queue."""
    queue, due, row = core_queue(chip, cores, call.core), due_time(chip.order, call.time), control.core[call.core]
    for i in range(result.messages):
        slot = work.chosen[work.sent[i, MESSAGE]]
        copies = chip.set_size[work.sent[i, TO]] if chip.multicast and chip.routed else 1
        work.sent[i, ENTRY] = new_entry(control, queue.neuron[slot], queue.multiplicity[slot], due, copies)
        control.state[IN_FLIGHT] += copies
    row[LOCAL_HEAD] = row[LOCAL_TAIL] = -1
    for i in range(result.local):
        slot = work.chosen[work.local[i]]
        entry = new_entry(control, queue.neuron[slot], queue.multiplicity[slot], due, 0)
        append(control, call.core, entry, LOCAL_HEAD, LOCAL_TAIL)


@inner
def _announce_stop(chip, cores, control, work, call, result):  # type: ignore[no-untyped-def]
    """A masked turn ends with stops to all other cores, behind its messages: the same turn with these and their ticks
    in the axon output."""
    cycles, stops, others = result.cycles, 0, chip.core.shape[0] - 2
    for core in range(others + 1):
        if core == call.core:
            continue
        first = stops == 0
        if first or not chip.multicast:
            cycles += chip.ticks.axon_out
            cores.core[call.core, AXON_OUTPUT] += chip.ticks.axon_out
            cores.counts[chip.layers - 1, call.time, AXON_OUT] += 1
        together = chip.multicast and chip.routed
        if first or not together:
            at = result.messages + stops
            work.sent[at, TO], work.sent[at, LEAVES] = chip.core[call.core, STOP_SET] if together else core, cycles
            work.sent[at, ENTRY] = new_entry(control, STOP, 0, call.time, others if together else 1)
            stops += 1
    control.state[IN_FLIGHT] += others
    return Turn(cycles, result.updated, result.fired, result.chosen, result.messages, result.local, result.output,
                stops)  # fmt: skip


@inner
def _begin(
    network: Network, chip: Chip, rule: Rule, cores: Cores, control: Control, frames: Frames, work: Work, core: int,
    now: int,
) -> Turn:  # fmt: skip
    """Start a turn if one can start at tick ``now``; else 0 cycles."""
    time, frame = _next_time(chip, cores, control, core)
    if time < 0:
        return NO_TURN
    row = control.core[core]
    waiting, queued = cores.queue.state[core, 0], row[QUEUED]
    competing = frame >= 0 and chip.core[core, COMPETING] > 0
    step, masked, asleep = _enter(chip, cores, control, core, time, competing, now)
    taken = _take_frame(control, frames, work, core, frame) if frame >= 0 else 0
    if chip.order != ASYNCHRONOUS:
        taken = _take_due(network, cores, control, work, core, time, taken)
    elif frame < 0:
        taken = _take_first(network, chip, cores, control, work, core, time)
    call = Call(core, time, step, taken, 1 if competing else 0, masked, asleep)
    result = turn(network, chip, rule, cores, call, work)
    if masked:
        result = _announce_stop(chip, cores, control, work, call, result)
    elif result.output and not row[OUTPUT_STEP]:
        row[OUTPUT_STEP] = step
    row[SLOTS] -= chip.core[core, NEEDED_SLOTS]
    row[RETURNED] = chip.core[core, NEEDED_SLOTS] - (result.messages if chip.routed else 0)
    _write_log(chip, cores, control, work, call, result, waiting, queued, now)
    _make_entries(chip, cores, control, work, call, result)
    note_busy(chip, cores, control, core)
    return result


@inner
def _finish(network: Network, chip: Chip, cores: Cores, control: Control, core: int, now: int) -> None:
    """A core's turn ends at tick ``now``, after everything that has come by then was accepted."""
    row = control.core[core]
    row[RUNNING], row[ENDED] = 0, now
    row[SLOTS] += row[RETURNED]
    if row[MASKING]:
        stop_core(network, chip, cores, control, core, row[TIME])
    entry = row[LOCAL_HEAD]
    while entry >= 0:
        following = control.entry[entry, NEXT]
        enqueue(network, cores, control, core, entry)
        entry = following
    row[LOCAL_HEAD] = -1
    note_busy(chip, cores, control, core)


@inner
def _missing_room(chip: Chip, control: Control, work: Work, core: int, inputs: int) -> bool:
    """Whether a turn of the core might not find room in the arrays for what it takes, sends and writes down."""
    neurons = chip.core[core + 1, SLOT] - chip.core[core, SLOT]
    chosen = min(chip.core[core, GROUP], neurons)
    turns, emitted, propagated = control.state[TURNS], control.state[EMITTED], control.state[PROPAGATED_ROWS]
    return (
        control.state[FREE_ENTRIES] < chosen * (chip.core[core, REACH] + 1) + chip.core.shape[0]
        or work.taken.shape[0] < inputs + control.core[core, QUEUED]
        or turns + 1 > control.turns.shape[0]
        or emitted + neurons > control.emitted.shape[0]
        or propagated + chosen > control.propagated.shape[0]
    )


@outer
def step(
    network: Network, chip: Chip, rule: Rule, cores: Cores, control: Control, frames: Frames, work: Work, core: int,
    now: int, ended: int,
) -> Turn:  # fmt: skip
    """A core looks at tick ``now``, when all that has come was accepted: its turn ends (``ended``), and the next one
    begins if it can (else 0 cycles).

    The caller delivers messages and stops as ``Work.sent`` says (``accept``), and calls again with ``ended`` after the
    turn's cycles. Where an array might be too small nothing happens, and there are -1 cycles: call again with larger
    ones.
    """
    if _missing_room(chip, control, work, core, network.inputs):
        return LARGER_ARRAYS
    if ended:
        _finish(network, chip, cores, control, core, now)
    return _begin(network, chip, rule, cores, control, frames, work, core, now)
