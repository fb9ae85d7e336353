"""What waits for a core: its input queue, frames of the input, stops; for depths ``kernel`` and ``pass``.

Entries are rows of one table, each in the input queue of a core, in the list of what a turn will append there, on its
way, or free. A core is busy during a turn and while there is something for it to do; when no core is busy and nothing
is on its way, the machine is quiet.
"""

from __future__ import annotations

from hwsim.kernels.compiled import inner, outer
from hwsim.kernels.connections import Network, layer_of
from hwsim.kernels.core_state import (
    AMOUNT,
    ASYNCHRONOUS,
    BUSY,
    BUSY_CORES,
    COPIES,
    DROPPED,
    DUE,
    ENTRY_COMES,
    FRAME,
    FRAME_COMES,
    FRAMES,
    FREE_ENTRIES,
    FREE_ENTRY,
    FREED,
    GO,
    HEAD,
    IN_FLIGHT,
    LEFT,
    NEURON,
    NEXT,
    OWED,
    QUEUED,
    RUNNING,
    SLOT_COMES,
    SLOTS,
    STOP,
    STOPPED,
    TAIL,
    TIME,
    Chip,
    Control,
    Cores,
)
from hwsim.kernels.scheduling import clear, length
from hwsim.kernels.turn import core_queue


@inner
def append(control, core, entry, head, tail):  # type: ignore[no-untyped-def]
    """Put an entry at the end of one of the two lists of a core."""
    row = control.core[core]
    control.entry[entry, NEXT] = -1
    if row[head] < 0:
        row[head] = entry
    else:
        control.entry[row[tail], NEXT] = entry
    row[tail] = entry


@inner
def new_entry(control, neuron, amount, due, copies):  # type: ignore[no-untyped-def]
    entry = control.state[FREE_ENTRY]
    control.state[FREE_ENTRY] = control.entry[entry, NEXT]
    control.state[FREE_ENTRIES] -= 1
    row = control.entry[entry]
    row[NEURON], row[AMOUNT], row[DUE], row[COPIES] = neuron, amount, due, copies
    return entry


@inner
def discard(control, core, entry):  # type: ignore[no-untyped-def]
    """An entry has been taken or thrown away."""
    control.core[core, FREED] += control.entry[entry, COPIES]
    control.entry[entry, NEXT] = control.state[FREE_ENTRY]
    control.state[FREE_ENTRY] = entry
    control.state[FREE_ENTRIES] += 1


@inner
def count_entry(network, cores, entry, action):  # type: ignore[no-untyped-def]
    """Count something that happened to an entry, for its target's layer and its own timestep."""
    layer = layer_of(network, entry[NEURON]) + 1
    timestep = min(max(entry[DUE], 0), cores.counts.shape[1] - 1)
    cores.counts[layer, timestep, action] += 1


@inner
def _has_work(chip, cores, control, core):  # type: ignore[no-untyped-def]
    row = control.core[core]
    if chip.order != ASYNCHRONOUS:
        return row[GO] > row[TIME]
    if row[FRAME] < row[FRAMES] or row[HEAD] >= 0 or row[OWED]:
        return True
    return cores.queue.state[core, 0] > 0 and row[TIME] > row[STOPPED]


@inner
def note_busy(chip, cores, control, core):  # type: ignore[no-untyped-def]
    busy = 1 if control.core[core, RUNNING] or _has_work(chip, cores, control, core) else 0
    control.state[BUSY_CORES] += busy - control.core[core, BUSY]
    control.core[core, BUSY] = busy


@inner
def _accept_entry(network, chip, cores, control, core, entry):  # type: ignore[no-untyped-def]
    """A spike or a stop. Of a multicast there must be a free entry for the copy."""
    row = control.entry[entry]
    if row[COPIES] > 1:
        row[COPIES] -= 1
        entry = new_entry(control, row[NEURON], row[AMOUNT], row[DUE], 1)
    if row[NEURON] == STOP:
        stop_core(network, chip, cores, control, core, row[DUE])
        discard(control, core, entry)
    else:
        enqueue(network, cores, control, core, entry)


@outer
def accept(network: Network, chip: Chip, cores: Cores, control: Control, core: int, kind: int, value: int) -> None:
    """A message has come: an entry (its number), the next frame of the input, the start of a phase (its number), or the
    news that an entry has left the source queue (1: it had an output slot, 0: a stop, which has none). By then its row
    may be another entry's: so the news does not say which one it was."""
    if kind == SLOT_COMES:
        control.core[core, SLOTS] += value
        return
    control.state[IN_FLIGHT] -= 1
    if kind == ENTRY_COMES:
        _accept_entry(network, chip, cores, control, core, value)
    elif kind == FRAME_COMES:
        control.core[core, FRAMES] += 1
    else:
        control.core[core, GO] = value
    note_busy(chip, cores, control, core)


@inner
def enqueue(network, cores, control, core, entry):  # type: ignore[no-untyped-def]
    if control.entry[entry, DUE] <= control.core[core, STOPPED]:
        count_entry(network, cores, control.entry[entry], DROPPED)
        discard(control, core, entry)
        return
    append(control, core, entry, HEAD, TAIL)
    control.core[core, QUEUED] += 1


@inner
def stop_core(network, chip, cores, control, core, timestep):  # type: ignore[no-untyped-def]
    """Throw away what belongs to timesteps up to this one."""
    row = control.core[core]
    row[STOPPED] = max(row[STOPPED], timestep)
    row[FRAME] = max(row[FRAME], timestep + 1)
    if row[TIME] <= timestep:
        row[OWED] = 0
        if not chip.carry:
            leave_behind(chip, cores, core, max(row[TIME], 0))
    entry = row[HEAD]
    row[HEAD], row[TAIL], row[QUEUED] = -1, -1, 0
    while entry >= 0:
        following = control.entry[entry, NEXT]
        enqueue(network, cores, control, core, entry)
        entry = following


@inner
def leave_behind(chip: Chip, cores: Cores, core: int, timestep: int) -> None:
    """Throw away and count the spikes that wait in a core's spike queue."""
    queue = core_queue(chip, cores, core)
    for at in range(length(queue)):
        slot = queue.waiting[at]
        if queue.neuron[slot] >= 0:
            cores.counts[queue.layer[slot], timestep, LEFT] += queue.multiplicity[slot]
    clear(queue)
