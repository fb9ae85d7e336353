"""A machine with a network on it, ready to run samples: everything that all depths and samples share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.components.core_process import PlainNetwork
from hwsim.kernels.connections import Network
from hwsim.kernels.core_state import LOG, PER_LAYER, Chip, Frames
from hwsim.kernels.noc_tables import NocTables
from hwsim.kernels.policies import Rule, rule_of
from hwsim.machines.neuromorphic.calendar import PERIOD, TIMER, WHEN_QUIET, Pace
from hwsim.machines.neuromorphic.tables import make_frames


@dataclass(frozen=True)
class Routing:
    """The network on chip of a machine."""

    tables: NocTables
    cycle_ticks: int
    input_queue: int | None

    @property
    def sink_room(self) -> int:
        """Packets that a core takes at first; -1: any number."""
        return -1 if self.input_queue is None else self.input_queue


@dataclass(frozen=True)
class Setup:
    """A network on a machine.

    kind, interval, latency   synchronisation: see ``calendar.Pace``
    channel_ticks             of a message between cores where there is no network
    event_ticks               of an event of the input, per core that gets it
    sets                      what multicasts go to, by number: (core, the others)
    where                     the cores in the architecture, for messages
    """

    network: Network
    chip: Chip
    policy: Any
    kind: int = WHEN_QUIET
    interval: int = 0
    latency: int = 1
    channel_ticks: int = 1
    event_ticks: int = 0
    output_slots: int | None = None
    routing: Routing | None = None
    sets: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    where: str = "components.core"

    @property
    def cores(self) -> int:
        """Mapped cores."""
        return len(self.chip.core) - 1

    @cached_property
    def rule(self) -> Rule:
        """The policy for kernels."""
        return rule_of(self.policy)

    @cached_property
    def plain(self) -> PlainNetwork:
        """All synapses written out."""
        return PlainNetwork(self.network)

    def frames(self, inputs: np.ndarray, timesteps: int) -> Frames:
        """Input [T or 1, inputs] as the cores of the first layer get it."""
        return make_frames(self.network, self.chip, inputs, timesteps)

    def pace(self, frames: Frames) -> Pace:
        """Synchronisation and input of one sample."""
        timesteps, layers = frames.start.shape[1] - 1, self.chip.layers
        phases = timesteps * layers if self.chip.order == PER_LAYER else timesteps + layers - 1
        return Pace(self.kind, self.interval, self.latency, self.channel_ticks,
                    np.maximum(1, self.fed(frames) * self.event_ticks), len(frames.start),
                    timesteps if self.kind in (WHEN_QUIET, PERIOD) else phases,
                    1 if self.routing is None else self.routing.cycle_ticks,
                    int(self.routing is not None and self.routing.input_queue is not None),
                    int(self.output_slots is not None))  # fmt: skip

    def duration(self, last: int, phases: int, turns: np.ndarray) -> int:
        """Ticks of a sample. ``last``: the tick from which on nothing was left to do. A timer's last phase is as long
        as the others, and what the network holds after it does not count."""
        if self.kind != TIMER:
            return last
        return max(last, phases * self.interval, int(turns[:, LOG.index("end")].max(initial=0)))

    def fed(self, frames: Frames) -> np.ndarray:
        """int64 [T]: events that the input port hands over; with multicast one that goes to several cores is one."""
        each = np.diff(frames.start, axis=1)
        if not self.chip.multicast or len(each) == 1:
            return each.sum(axis=0)
        events = [np.concatenate([frames.event[row[t] : row[t + 1], 0] for row in frames.start])
                  for t in range(each.shape[1])]  # fmt: skip
        return np.array([len(np.unique(own)) for own in events], dtype=np.int64)
