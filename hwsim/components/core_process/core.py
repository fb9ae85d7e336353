"""A plain core between its turns: the slow witness of ``hwsim.kernels.core_control`` and ``core_inbox``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hwsim.components.core_process.state import CoreState, Outcome, Sent, Spike
from hwsim.components.core_process.turn import PlainCall, call_process
from hwsim.kernels.core_state import COMPETING, NEEDED_SLOTS, PER_LAYER, PER_TIMESTEP

Events = list[tuple[int, int]]
"""(input, -inputs .. -1, how often)."""


@dataclass
class PlainCore:
    """What a core does, what waits for it, and what it has done."""

    state: CoreState
    frames: list[Events]
    """Of every timestep; empty for cores that get none."""
    slots: float
    """Output slots that are free."""
    time: int = -1
    step: int = 0
    stopped: int = -1
    output_step: int = 0
    running: bool = False
    masking: bool = False
    owed: bool = False
    frame: int = 0
    come: int = 0
    """Frames that have come."""
    phase: int = -1
    ended: int = -1
    freed: int = 0
    """Places of the input queue that the network has not been told of."""
    returned: float = 0
    local: list[Spike] = field(default_factory=list)
    turns: list[tuple[int, ...]] = field(default_factory=list)
    emitted: list[tuple[int, int, float]] = field(default_factory=list)
    """(turn of this core, neuron, potential)."""
    propagated: list[tuple[int, int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.chip.order == PER_TIMESTEP:
            self.time = min(self.state.times) - 1

    @property
    def chip(self):  # type: ignore[no-untyped-def]
        """The chip's constants."""
        return self.state.setting.chip

    @property
    def busy(self) -> bool:
        """Whether there is something to do, or being done."""
        if self.running:
            return True
        if not self.state.asynchronous:
            return self.phase > self.time
        waits = bool(self.state.waiting) and self.time > self.stopped
        return self.frame < self.come or bool(self.state.queue) or self.owed or waits

    def accept(self, spike: Spike) -> None:
        """A spike comes, unless a stop has ended its timestep."""
        if spike.due <= self.stopped:
            self._count(spike, "dropped")
            self.freed += spike.remote
        else:
            self.state.queue.append(spike)

    def stop(self, timestep: int) -> None:
        """Throw away what belongs to timesteps up to this one."""
        self.stopped = max(self.stopped, timestep)
        self.frame = max(self.frame, timestep + 1)
        if self.time <= timestep:
            self.owed = False
            if not self.chip.carry:
                self.leave_behind()
        waiting, self.state.queue = self.state.queue, deque()
        for spike in waiting:
            self.accept(spike)

    def leave_behind(self) -> None:
        """Throw away and count what waits in the spike queue."""
        for neuron, own in self.state.waiting.items():
            if neuron >= 0:
                layer = self.state.setting.network.layer_of(neuron)
                self.state.count(layer, max(self.time, 0), "left", own.multiplicity)
        self.state.waiting.clear()

    def _count(self, spike: Spike, action: str) -> None:
        layer = self.state.setting.network.layer_of(spike.neuron) + 1
        self.state.count(layer, min(max(spike.due, 0), self.state.setting.timesteps - 1), action)

    def _next(self) -> tuple[int, int] | None:
        """(time, frame or -1) of the next turn, if one can start."""
        if self.running or not self.busy or self.slots < self.chip.core[self.state.core, NEEDED_SLOTS]:
            return None
        if self.state.asynchronous:
            if self.frame < self.come:
                return max(self.time, self.frame), self.frame
            return max(self.time, self.state.queue[0].due if self.state.queue else 0), -1
        time = self.phase if self.chip.order == PER_LAYER else self.time + 1
        frame = self.state.setting.timestep(time, 0) if 0 in self.state.times else -1
        return (time, frame) if frame < self.come else None

    def _take(self, time: int, frame: int) -> list[tuple[int, int]]:
        """The spikes that the turn takes."""
        taken: list[tuple[int, int]] = []
        if frame >= 0:
            self.frame = frame + 1
            taken += self.frames[frame]
            if self.state.asynchronous:
                return taken
        queue = self.state.queue
        found: list[Spike] = []
        if self.state.asynchronous:
            while queue and len(found) < self.state.group and queue[0].due <= time:
                found.append(queue.popleft())
        else:
            found = [spike for spike in queue if spike.due <= time]
            self.state.queue = deque(spike for spike in queue if spike.due > time)
        for spike in found:
            self.freed += spike.remote
            if spike.due < time:
                self._count(spike, "late")
        return taken + [(spike.neuron, spike.amount) for spike in found]

    def begin(self, now: int) -> tuple[int, list[Sent]] | None:
        """Start a turn if one can start: its cycles, and what it sends."""
        following = self._next()
        if following is None:
            return None
        time, frame = following
        waiting, queued = len(self.state.waiting), len(self.state.queue)
        competing = frame >= 0 and bool(self.chip.core[self.state.core, COMPETING])
        if time > self.time:
            self.time, self.step, self.output_step = time, 0 if competing else 1, 0
        else:
            self.step += 1
        self.masking = bool(self.chip.stop) and 0 < self.output_step < self.step - self.chip.steps_after
        self.running, self.owed = True, competing
        asleep = bool(self.chip.gated) and self.ended != now
        taken = self._take(time, frame)
        call = PlainCall(time, self.step, taken, competing, self.masking, asleep)
        outcome = call_process(self.state, call)
        self.local = outcome.local
        messages = len(outcome.sent)
        if self.masking:
            self._announce_stop(outcome)
        elif outcome.output and not self.output_step:
            self.output_step = self.step
        self.slots -= self.chip.core[self.state.core, NEEDED_SLOTS]
        self.returned = self.chip.core[self.state.core, NEEDED_SLOTS] - (messages if self.chip.routed else 0)
        self._log(call, outcome, now, waiting, queued)
        return outcome.cycles, outcome.sent

    def _announce_stop(self, outcome: Outcome) -> None:
        """Stops to all other cores, behind the turn's messages."""
        others = tuple(core for core in range(len(self.chip.core) - 1) if core != self.state.core)
        for to in [others] if self.chip.multicast and others else [(core,) for core in others]:
            outcome.cycles += self.chip.ticks.axon_out
            self.state.busy["axon_output"] += self.chip.ticks.axon_out
            self.state.count(self.chip.layers - 1, self.time, "axon_out")
            outcome.sent.append(Sent(None, 0, to, outcome.cycles))

    def _log(self, call: PlainCall, outcome: Outcome, now: int, waiting: int, queued: int) -> None:
        number = len(self.turns)
        messages = self._packets([sent for sent in outcome.sent if sent.neuron is not None])
        self.turns.append((
            now, now + outcome.cycles, self.state.core, call.time, call.step, len(call.taken), outcome.updated,
            len(outcome.fired), len(outcome.chosen), messages, outcome.output, waiting, queued, int(call.masked),
        ))  # fmt: skip
        self.emitted += [(number, neuron, potential) for neuron, potential in outcome.fired]
        self.propagated += [(number, *chosen) for chosen in outcome.chosen]

    def _packets(self, sent: list[Sent]) -> int:
        """Messages as they travel: a multicast is one in a network, else one per core."""
        return len(sent) if self.chip.routed else sum(len(message.to) for message in sent)

    def finish(self, now: int) -> None:
        """The turn ends, after everything that has come by then was accepted."""
        self.running, self.ended = False, now
        self.slots += self.returned
        if self.masking:
            self.stop(self.time)
        for spike in self.local:
            self.accept(spike)
        self.local = []
