"""Who waits for whom where messages are left and nothing moves any more."""

from __future__ import annotations

from typing import Any

from hwsim.components.noc_waits import CORE, QUEUE, Snapshot, standstill
from hwsim.errors import SpecError
from hwsim.kernels.core_state import ASYNCHRONOUS, NEEDED_SLOTS
from hwsim.machines.neuromorphic.setup import Setup

PHASE = "the start of the next phase"


def deadlock(setup: Setup, cores: Any, snapshot: Snapshot | None) -> SpecError:
    """The error. ``cores`` has ``blocked()``: (core, output slots that are free) of those that have something to do
    but no room to send; ``in_flight``: messages on their way."""
    waiting = [(CORE.format(core), QUEUE.format(core)) for core, _ in cores.blocked()]
    if setup.routing is None or snapshot is None:
        found = "; ".join(f"core {core} waits for {setup.chip.core[core, NEEDED_SLOTS]} output slots, {free} are free"
                          for core, free in cores.blocked())  # fmt: skip
        return SpecError(f"deadlock: {cores.in_flight} messages are on their way and nothing moves: {found}")
    if setup.chip.order != ASYNCHRONOUS:
        waiting += [(CORE.format(core), PHASE) for core in range(setup.cores)]
        waiting += [(PHASE, QUEUE.format(core)) for core in snapshot.queued]
        waiting += [(PHASE, CORE.format(core)) for core in range(setup.cores) if snapshot.room[core] == 0]
    return standstill(setup.routing.tables, snapshot, waiting, "components.core")
