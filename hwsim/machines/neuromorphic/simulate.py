"""One sample on a machine: SimPy processes for cores, routers, input port and synchronisation, or one compiled call.

At depths ``process`` and ``kernel`` everything below is the same; cores and routers are plain processes or kernels
inside. Depth ``pass`` is ``hwsim.machines.neuromorphic.calendar``. All give the same ``Record``.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.components.core_process import PlainCores, Setting
from hwsim.components.memory import Process
from hwsim.components.noc_waits import Snapshot, snapshot_of_plain, snapshot_of_state
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.vc_network import Injection, VcNetwork
from hwsim.components.vc_plain import Arrival, Entry, Packet
from hwsim.kernels.core_state import ENTRY_COMES, FRAME_COMES, GO_COMES, SLOT_COMES, Frames
from hwsim.machines.neuromorphic.calendar import (
    BARRIER,
    PERIOD,
    TIMER,
    WHEN_QUIET,
    Pace,
    phase_cores,
    phase_frame,
)
from hwsim.machines.neuromorphic.deadlock import deadlock
from hwsim.machines.neuromorphic.kernel_cores import KernelCores
from hwsim.machines.neuromorphic.passing import run_pass
from hwsim.machines.neuromorphic.record import Record, in_order
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.tables import core_stream

Cores = KernelCores | PlainCores
SYNC, INPUT = "sync", "input"


def run_sample(
    setup: Setup, inputs: np.ndarray, timesteps: int, *, seed: int = 0, sample: int = 0, depth: str = "kernel",
    order: np.random.Generator | None = None,
) -> Record:  # fmt: skip
    """Simulate one sample, input [T or 1, inputs], from rest until nothing is left to do.

    ``order`` shuffles the order in which processes start; it must not change anything (a test demands it). Raises
    ``SpecError`` where cores or packets wait for each other for ever. After the last phase of a timer nobody takes
    messages any more: those that then find no room in an input queue are dropped, like those that wait in one.
    """
    frames = setup.frames(inputs, timesteps)
    if depth == "pass":
        return run_pass(setup, frames, seed, sample)
    cores = _cores(setup, frames, seed, sample, depth)
    world = World(setup, frames, cores, depth)
    processes = world.processes()
    if order is not None:
        processes = [processes[i] for i in order.permutation(len(processes))]
    for process in processes:
        world.env.process(process)
    world.env.run()
    if not (cores.quiet or (cores.idle and setup.kind == TIMER)):
        raise deadlock(setup, cores, world.snapshot())
    cores.close()
    flits = world.network.channel_flits() if world.network is not None else None
    results = in_order(cores.results())
    ticks = setup.duration(world.end, world.phases, results["turns"])
    return Record(ticks=ticks, phases=world.phases, fed=setup.fed(frames), flits=flits, events=world.env.scheduled,
                  **results)  # fmt: skip


def _cores(setup: Setup, frames: Frames, seed: int, sample: int, depth: str) -> Cores:
    if depth == "kernel":
        return KernelCores(setup, frames, seed, sample)
    timesteps = frames.start.shape[1] - 1
    streams = [core_stream(core) for core in range(setup.cores)]
    setting = Setting(setup.plain, setup.chip, setup.policy, timesteps, seed, sample, streams)
    events = [[[tuple(event) for event in frames.event[a:b].tolist()] for a, b in pairwise(row)]
              for row in frames.start.tolist()]  # fmt: skip
    return PlainCores(setting, events, setup.output_slots, setup.sets)


class World:
    """The processes of one sample and what they share."""

    def __init__(self, setup: Setup, frames: Frames, cores: Cores, depth: str) -> None:
        self.setup, self.cores = setup, cores
        self.pace: Pace = setup.pace(frames)
        self.env = Environment()
        self.board = Switchboard(self.env)
        self.end, self.phases = 0, 0
        self.seen_quiet = False
        self.network: VcNetwork | None = None
        routing = setup.routing
        if routing is not None:
            self.network = VcNetwork(self.env, self.board, routing.tables, core_port,
                                     depth="kernel" if depth == "kernel" else "process",
                                     cycle_ticks=routing.cycle_ticks, sink_room=routing.sink_room)  # fmt: skip

    def processes(self) -> list[Process]:
        """All of them."""
        made = [Core(self, core).serve() for core in range(self.setup.cores)]
        if self.network is not None:
            made += self.network.processes()
        return [*made, InputPort(self).serve(), Synchronisation(self).serve()]

    def snapshot(self) -> Snapshot | None:
        """Where packets are in the network."""
        network = self.network
        if network is None:
            return None
        if network.state is not None:
            return snapshot_of_state(network.tables, network.state)
        return snapshot_of_plain(network.tables, network.plain)

    def note_quiet(self) -> None:
        """An observer that costs nothing: if nothing is left to do, the synchronisation is told."""
        if self.cores.quiet and not self.seen_quiet:
            self.seen_quiet, self.end = True, self.env.tick
            self.board.send("observer", SYNC, None, 1)


def core_port(core: int) -> str:
    """Name of a core and of its port; padded, so that the order of names is that of cores."""
    return f"core.{core:06d}"


class Core:
    """One core: takes what has come, then looks; a turn owns it until its end."""

    def __init__(self, world: World, core: int) -> None:
        self.world, self.core, self.path = world, core, core_port(core)
        self.port = world.board.port(self.path)
        self.leaving: deque[int] = deque()
        """Of every message in the source queue, in its order: 1 if it has an output slot, 0 for a stop."""

    def serve(self) -> Process:
        """Turn after turn."""
        env, cores, ended = self.world.env, self.world.cores, False
        while True:
            if not ended:
                self._accept((yield self.port.next()))
            while len(self.port):
                self._accept((yield self.port.next()))
            cycles, sent, spikes = cores.step(self.core, env.tick, ended)
            self._send(sent, spikes)
            self.world.note_quiet()
            ended = cycles > 0
            if ended:
                yield env.timeout(cycles)

    def _accept(self, message: Any) -> None:
        if type(message) is Arrival:
            message = (ENTRY_COMES, message.packet)
        elif type(message) is Entry:
            message = (SLOT_COMES, self.leaving.popleft())
        self.world.cores.accept(self.core, *message)

    def _send(self, sent: list[tuple[int, int, int]], spikes: int) -> None:
        """Messages leave at their ticks, the first ``spikes`` of them through output slots; places of the input queue
        that have become free are announced."""
        world, network = self.world, self.world.network
        if network is not None:
            self.leaving.extend(int(place < spikes) for place in range(len(sent)))
        for to, leaves, number in sent:
            if network is None:
                world.board.send(self.path, core_port(to), (ENTRY_COMES, number),
                                 max(1, leaves + world.pace.channel))  # fmt: skip
            else:
                router = network.path_of(int(network.tables.home[self.core]))
                world.board.send(self.path, router, Injection(Packet(number, self.core, to)), leaves)
        freed, routing = world.cores.freed(self.core), world.setup.routing
        if freed and network is not None and routing is not None and routing.input_queue is not None:
            network.add_room(self.path, self.core, freed)


class InputPort:
    """Hands frames of the input to the cores of the first layer, one after the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = world.board.port(INPUT)

    def serve(self) -> Process:
        """Take orders; a frame arrives when its last event is over."""
        world, free = self.world, 0
        while True:
            frame = yield self.port.next()
            now = world.env.tick
            free = max(now, free) + int(world.pace.transfer[frame])
            for core in range(world.pace.first_cores):
                world.board.send(INPUT, core_port(core), (FRAME_COMES, frame), free - now)
            world.cores.in_flight += world.pace.first_cores - 1


class Synchronisation:
    """Lets timesteps in: when nothing is left to do, periodically, by barriers, by a timer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = world.board.port(SYNC)

    def serve(self) -> Process:
        """Order the first timestep or phase (or all), then the next one whenever nothing is left to do."""
        world, pace = self.world, self.world.pace
        if pace.kind in (PERIOD, TIMER):
            for number in range(pace.phases):
                self._start(number, 1 + number * pace.interval)
            world.phases = pace.phases if pace.kind == TIMER else 0
            return
        self._start(0, 1)
        for number in range(1, pace.phases + 1):
            yield self.port.next()
            world.phases = number if pace.kind == BARRIER else 0
            if number < pace.phases:
                world.seen_quiet = False
                self._start(number, pace.latency if pace.kind == BARRIER else 1)

    def _start(self, number: int, latency: int) -> None:
        """Timestep or phase ``number`` begins after so many ticks."""
        world, frame = self.world, number
        if world.pace.kind in (BARRIER, TIMER):
            chip, timesteps = world.setup.chip, len(world.pace.transfer)
            low, high = phase_cores(chip, timesteps, number)
            for core in range(low, high):
                world.board.send(SYNC, core_port(core), (GO_COMES, number), latency)
            world.cores.in_flight += high - low
            frame = phase_frame(chip, timesteps, number)
        if frame >= 0:
            world.board.send(SYNC, INPUT, frame, latency)
            world.cores.in_flight += 1


__all__ = ["WHEN_QUIET", "World", "run_sample"]
