"""Who waits for whom where messages are left and nothing moves any more."""

from __future__ import annotations

from typing import Any

from hwsim.components.noc_waits import CORE, QUEUE, Snapshot, place_name, standstill
from hwsim.components.vc_plain import Packet
from hwsim.errors import Problem, SpecError
from hwsim.kernels.core_state import ASYNCHRONOUS, NEEDED_SLOTS
from hwsim.machines.neuromorphic.calendar import BARRIER
from hwsim.machines.neuromorphic.setup import Setup

PHASE, NO_PHASE = "the start of the next phase", "a phase, but the timer has had its last one"
HINT = "Give the cores a longer input_queue, or leave it out."
SLOTS_HINT = "Give the cores more output_slots, or leave them out."


def deadlock(setup: Setup, cores: Any, snapshot: Snapshot | None) -> SpecError:
    """The error. ``cores`` has ``blocked()``: (core, output slots that are free) of those that have something to do
    but no room to send; ``in_flight``: messages on their way."""
    blocked = [core for core, _ in cores.blocked()]
    if setup.routing is None or snapshot is None:
        found = "; ".join(f"core {core} waits for {setup.chip.core[core, NEEDED_SLOTS]} output slots, {free} are free"
                          for core, free in cores.blocked())  # fmt: skip
        text = f"deadlock: {cores.in_flight} messages are on their way and nothing moves: {found}"
        return SpecError(Problem(setup.where, text, SLOTS_HINT))
    tables = setup.routing.tables
    waiting = [(CORE.format(core), QUEUE.format(core)) for core in blocked]
    if setup.chip.order != ASYNCHRONOUS:
        phase = PHASE if setup.kind == BARRIER else NO_PHASE
        waiting += [(CORE.format(core), phase) for core in range(setup.cores) if core not in blocked]
    if setup.kind == BARRIER:
        waiting += [(PHASE, CORE.format(core)) for core in blocked]
        waiting += [(PHASE, QUEUE.format(core)) for core in snapshot.queued]
        waiting += [(PHASE, place_name(tables, place)) for place in snapshot.held]

    def name(packet: Packet) -> str:
        """A message by its way: numbers of packets are used again."""
        to = setup.sets[packet.target][1] if setup.chip.multicast else (packet.target,)
        return f"message {packet.source} -> {', '.join(map(str, to))}"

    return standstill(tables, snapshot, waiting, setup.where, name=name, hint=HINT)
