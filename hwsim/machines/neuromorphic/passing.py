"""A sample at depth ``pass``: arrays for the calendar, enlarged as they fill up."""

from __future__ import annotations

from functools import cache

import numpy as np

from hwsim.components.noc_waits import snapshot_of_state
from hwsim.components.topology import mesh
from hwsim.kernels.calendar import Calendar, new_calendar
from hwsim.kernels.core_state import Frames
from hwsim.kernels.noc_state import channel_flits, new_state, with_packets
from hwsim.kernels.noc_tables import NocParameters, NocTables, noc_tables
from hwsim.machines.neuromorphic.calendar import BARRIER, LAST, PHASE, ROOM, STUCK, TIMER, Drive, run_events
from hwsim.machines.neuromorphic.deadlock import deadlock
from hwsim.machines.neuromorphic.kernel_cores import KernelCores
from hwsim.machines.neuromorphic.record import Record, in_order
from hwsim.machines.neuromorphic.setup import Setup


def run_pass(setup: Setup, frames: Frames, seed: int, sample: int) -> Record:
    """One sample in one compiled call (or a few, where arrays have to grow)."""
    cores = KernelCores(setup, frames, seed, sample)
    pace = setup.pace(frames)
    calendar = new_calendar(4 * pace.phases + 8 * setup.cores + 1024)
    drive = Drive(np.zeros(7, dtype=np.int64), np.zeros((setup.cores, 2), dtype=np.int64),
                  np.full((setup.cores, 2), -1, dtype=np.int64))  # fmt: skip
    routing = setup.routing
    tables = _unused() if routing is None else routing.tables
    noc = new_state(tables, len(cores.control.entry), -1 if routing is None else routing.sink_room)
    while True:
        code = run_events(cores.network, cores.chip, cores.rule, cores.cores, cores.control, frames, cores.work, pace,
                          calendar, drive, noc)  # fmt: skip
        if code != ROOM:
            break
        cores.enlarge()
        if 2 * calendar.number[0] + 2 * setup.cores + 8 > len(calendar.event):
            calendar = Calendar(np.concatenate([calendar.event, np.zeros_like(calendar.event)]), calendar.number)
        noc = with_packets(noc, len(cores.control.entry))
    if code == STUCK and not (cores.idle and pace.kind == TIMER):
        raise deadlock(setup, cores, None if routing is None else snapshot_of_state(tables, noc))
    cores.close()
    phases = int(drive.state[PHASE]) + 1 if pace.kind == BARRIER else pace.phases if pace.kind == TIMER else 0
    flits = None if routing is None else channel_flits(noc)
    results = in_order(cores.results())
    ticks = setup.duration(int(drive.state[LAST]), phases, results["turns"])
    return Record(ticks=ticks, phases=phases, fed=setup.fed(frames), flits=flits, events=int(calendar.number[1]),
                  **results)  # fmt: skip


@cache
def _unused() -> NocTables:
    """The smallest network, for machines that have none."""
    return noc_tables(mesh(1, 1), NocParameters(virtual_channels=1, buffer=1))
