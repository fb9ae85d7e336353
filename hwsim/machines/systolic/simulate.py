"""One sample on the machine: the processes are built, the plan is handed out, and time runs until the last write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hwsim.activity import SHARED, Activity, SampleOutcome
from hwsim.components.entropy import EntropyUnit
from hwsim.components.memory import DramChannel, Process, Sram
from hwsim.components.ports import Environment, Switchboard
from hwsim.kernels.tile import TileResult
from hwsim.machines.systolic.build import Machine
from hwsim.machines.systolic.controller import Controller, LayerData
from hwsim.machines.systolic.movers import Loader, Writer
from hwsim.machines.systolic.plan import OPERANDS, Schedule, Tile, segments

Decision = Callable[[int], bool]
"""Given the timesteps done, whether the sample stops there."""


class Sequencer:
    """Hands the plan to loaders and array, a segment at a time, and waits for the last write."""

    def __init__(
        self,
        board: Switchboard,
        activity: Activity,
        sample: int,
        plan: Iterator[list[Tile]],
        last_layer: int,
        decide: Decision | None,
        clock: Callable[[], int],
        block: int = 1,
    ) -> None:
        self.block = block
        self.board, self.activity, self.sample, self.plan = board, activity, sample, plan
        self.last_layer, self.decide, self.clock = last_layer, decide, clock
        self._written, self._exit = board.port("sequencer.written"), board.port("sequencer.exit")
        self._pending = 0
        self._previous_end = 0
        self.timesteps = 0
        """Timesteps handed out so far."""

    def run(self) -> Process:
        """Send the plan; with an exit rule, hold the next block back until the entropy unit has answered."""
        for tiles in self.plan:
            for tile in tiles:
                self.board.send("sequencer", "array", tile)
                for operand in OPERANDS:
                    if operand in tile.fetch or tile.first_of_segment:
                        self.board.send("sequencer", f"load.{operand}", tile)
            self._pending += 1
            self.timesteps = tiles[-1].t1
            ends = tiles[-1].layer == self.last_layer and not tiles[-1].last_of_layer
            if self.decide is not None and ends and self.timesteps % self.block == 0:
                yield from self._drain()
                self.board.send("sequencer", "entropy", (self.decide, tiles[-1].t1))
                stop = yield self._exit.next()
                self.activity.latency[self.sample, self.last_layer] += self.clock() - self._previous_end
                self._previous_end = self.clock()
                if stop:
                    break
        yield from self._drain()

    def _drain(self) -> Process:
        """Wait for the last write of every segment; the time since the one before is that layer's latency."""
        while self._pending:
            tile = yield self._written.next()
            now = self.clock()
            self.activity.latency[self.sample, tile.layer] += now - self._previous_end
            first, _ = self.activity.span[self.sample, tile.layer]
            self.activity.span[self.sample, tile.layer] = (first, now)
            self._previous_end = now
            self._pending -= 1


def run_sample(
    machine: Machine,
    schedules: list[Schedule],
    sample: int,
    activity: Activity,
    *,
    timesteps: int,
    data: dict[int, LayerData],
    call: Callable[..., TileResult],
    decide: Decision | None,
    classes: int,
    order: np.random.Generator | None = None,
) -> SampleOutcome:
    """Simulate one sample from idle to its last write and book everything in ``activity``.

    ``order`` shuffles the order in which the processes start; it must not change anything (a test demands it).
    """
    env = Environment()
    board = Switchboard(env)
    by_index = {schedule.work.index: schedule for schedule in schedules}
    last = schedules[-1].work.index
    plan = segments(schedules, timesteps, machine.dataflow.time, machine.dataflow.block)
    block = machine.exit_rule.block if machine.exit_rule else 1
    sequencer = Sequencer(board, activity, sample, plan, last, decide, lambda: env.tick, block)
    processes = _components(env, board, machine, by_index, sample, activity)
    processes.append(Controller(env, board, machine, sample, activity, data, call).serve())
    processes.append(EntropyUnit(env, board, sample, activity, classes, machine.entropy_ticks, last).serve())
    if order is not None:
        processes = [processes[i] for i in order.permutation(len(processes))]
    for process in processes:
        env.process(process)
    env.run(until=env.process(sequencer.run()))
    lif_works = any(schedule.work.spiking for schedule in schedules)
    _close(machine, activity, sample, env.tick, lif_works)
    activity.events += env.scheduled
    return SampleOutcome(sample, None, None, sequencer.timesteps)


def _components(
    env: Environment,
    board: Switchboard,
    machine: Machine,
    schedules: dict[int, Schedule],
    sample: int,
    activity: Activity,
) -> list[Any]:
    processes = [
        DramChannel(
            env,
            board,
            machine.dram.name,
            activity,
            burst_bits=machine.dram.burst_bits,
            bits_per_tick=machine.dram.bits_per_tick,
            latency_ticks=machine.dram.latency_ticks,
        ).serve()
    ]
    reserved = max(schedule.shape.reserved for schedule in schedules.values())
    for sram in machine.srams:
        capacity = sram.capacity_bits - (reserved if sram.name == machine.buffers["outputs"] else 0)
        processes += Sram(env, board, sram.name, activity, capacity_bits=capacity, line_bits=sram.line_bits).processes()
    for operand in OPERANDS:
        buffer = machine.buffers[operand]
        together = list(machine.buffers.values()).count(buffer) > 1
        processes.append(
            Loader(
                env,
                board,
                operand,
                buffer,
                machine.dram.name,
                sample,
                shared=together or operand == "outputs",
                blocks=2 if machine.double_buffering else 1,
                schedules=schedules,
                quota=_quota(machine, schedules, operand) if together else {},
            ).serve()
        )
    readers = {schedule.work.producer for schedule in schedules.values() if schedule.work.producer is not None}
    processes.append(
        Writer(env, board, machine.buffers["outputs"], machine.dram.name, sample, activity, schedules, readers).serve()
    )
    return processes


def _quota(machine: Machine, schedules: dict[int, Schedule], operand: str) -> dict[int, int]:
    """By layer, the bits that blocks of an operand may take of a buffer that holds several: what the nest counted with,
    and its part of what that leaves free."""
    quota, at = {}, OPERANDS.index(operand)
    for layer, schedule in schedules.items():
        nest, buffer_of = schedule.nest, schedule.shape.buffer_of
        index = buffer_of[at]
        spare = schedule.shape.capacity[index] - nest.live_bits[index]
        quota[layer] = nest.operand_bits[at] + spare // buffer_of.count(index)
    return quota


def _close(machine: Machine, activity: Activity, sample: int, ticks: int, lif_works: bool) -> None:
    """What is left of each unit's time is idle; always-on clocks run for all of it, by layer as the time went.

    A run without any spiking layer stops the clock of the LIF units.
    """
    activity.ticks[sample] = ticks
    units = {"array": 1, "pe": machine.pes, "lif": machine.lif_units, machine.dram.name: 1}
    spent: dict[str, int] = dict.fromkeys(units, 0)
    stalled = 0
    for (number, layer, component, state), value in list(activity.cycles.items()):
        if number != sample:
            continue
        if component == "array" and state.startswith("stall"):
            stalled += value
            activity.spend(sample, layer, "pe", state, value * machine.pes)
            spent["pe"] += value * machine.pes
        if component in spent:
            spent[component] += value
    for component, count in units.items():
        activity.spend(sample, SHARED, component, "idle", ticks * count - spent[component])
    for (number, layer), latency in list(activity.latency.items()):
        if number == sample:
            activity.count(sample, layer, SHARED, "pe", "clock", latency * machine.pes)
            if lif_works:
                activity.count(sample, layer, SHARED, "lif", "clock", latency * machine.lif_units)
