"""One sample on the chip: the processes are built, rows flow, and time runs until nothing is left to do."""

from __future__ import annotations

import numpy as np

from hwsim.activity import SHARED, Activity, SampleOutcome
from hwsim.components.entropy import EntropyUnit
from hwsim.components.memory import Process
from hwsim.components.mesh import TileNetwork
from hwsim.components.ports import Environment, Switchboard
from hwsim.errors import SpecError
from hwsim.machines.crossbar.build import Machine
from hwsim.machines.crossbar.chip import Chip, LayerData, TileCall
from hwsim.machines.crossbar.controller import Controller, Decision, Inlet
from hwsim.machines.crossbar.feeder import Feeder
from hwsim.machines.crossbar.flow import Flow
from hwsim.machines.crossbar.globals import Digital, DigitalUnit, Gather, Keeper, Neurons, Pool
from hwsim.machines.crossbar.reader import BufferReader
from hwsim.machines.crossbar.tile import PeProcess, TileControl, TileRoot


def run_sample(
    machine: Machine,
    flow: Flow,
    sample: int,
    activity: Activity,
    *,
    timesteps: int,
    data: dict[str, LayerData],
    call: TileCall,
    decide: Decision | None,
    classes: int,
    node_of: dict[int, int],
    global_node: int,
    rooms: dict[str, int],
    order: np.random.Generator | None = None,
) -> SampleOutcome:
    """Simulate one sample from idle until the chip is idle again, and book everything in ``activity``.

    ``rooms``: rows of each layer's output that the global buffer holds. ``order`` shuffles the order in which the
    processes start; it must not change anything (a test demands it).
    """
    env = Environment()
    board = Switchboard(env)
    timing = machine.timing
    network = TileNetwork(
        env, board, activity, machine.topology, router_ticks=timing.router, link_ticks=timing.link,
        buffer_packets=machine.parameter("router", "buffer"),
    )  # fmt: skip
    chip = Chip(machine, env, board, activity, network, flow, data, sample, timesteps, call, node_of, global_node)
    last = list(flow.placed.values())[-1].index
    controller = Controller(chip, decide, classes)
    waiters, processes = _layers(chip, rooms)
    processes += [*network.processes(), controller.serve(), Inlet(chip).serve(), Gather(chip).serve()]
    processes += [BufferReader(chip).serve(), Neurons(chip).serve(), Pool(chip).serve(), Keeper(chip).serve()]
    processes.append(EntropyUnit(env, board, sample, activity, classes, timing.entropy, last).serve())
    if any(placed.digital for placed in flow.placed.values()):
        processes.append(DigitalUnit(chip).serve())
    if order is not None:
        processes = [processes[i] for i in order.permutation(len(processes))]
    for process in processes:
        env.process(process)
    env.run()
    activity.events += env.scheduled
    done = controller.stopped or timesteps
    _refuse_deadlock(controller, flow, done, waiters)
    _close(chip)
    return SampleOutcome(sample, None, None, done)


def _layers(chip: Chip, rooms: dict[str, int]) -> tuple[list[Feeder | TileControl | Digital], list[Process]]:
    """Feeders, tiles and PEs of all layers: those that may be asked what they wait for, and all their processes."""
    waiters: list[Feeder | TileControl | Digital] = []
    processes: list[Process] = []
    expected: dict[int, dict[tuple[str, int], int]] = {}
    for placed in chip.flow.placed.values():
        feeder = Feeder(chip, placed)
        waiters.append(feeder)
        processes.append(feeder.serve())
        if placed.digital:
            digital = Digital(chip, placed, rooms[placed.name])
            waiters.append(digital)
            processes.append(digital.serve())
        for number, tile in enumerate(placed.tiles):
            control = TileControl(chip, placed, number, rooms[placed.name])
            waiters.append(control)
            processes.append(control.serve())
            processes += [PeProcess(chip, placed, number, index).serve() for index in tile.pes]
            expected.setdefault(tile.node, {})[placed.name, tile.copy] = len(tile.pes)
    for node, counts in expected.items():
        root = TileRoot(chip, node, counts)
        processes += [root.serve(), root.forward()]
    return waiters, processes


def _refuse_deadlock(
    controller: Controller, flow: Flow, timesteps: int, waiters: list[Feeder | TileControl | Digital]
) -> None:
    """If rows are missing when nothing moves any more, say who waits for whom."""
    missing = [
        (t, placed.name)
        for t in range(timesteps)
        for placed in flow.placed.values()
        if controller.rows.get((placed.name, t), 0) < flow.rows(placed.name)
    ]
    if missing:
        waits = [text for text in (waiter.waits() for waiter in waiters) if text]
        raise SpecError(
            f"deadlock: timestep {missing[0][0]} of layer {missing[0][1]} never finished\n  "
            + "\n  ".join(waits[:12])
            + "\n  Give the tile buffers or the global buffer more room."
        )


def _close(chip: Chip) -> None:
    """Latency by layer (ticks in which it is the oldest unfinished one), and what is left of each unit's time: idle."""
    activity, machine, sample = chip.activity, chip.machine, chip.sample
    previous = 0
    for placed in chip.flow.placed.values():
        end = chip.ends.get(placed.name, 0)
        activity.latency[sample, placed.index] = max(0, end - previous)
        previous = max(previous, end)
    activity.ticks[sample] = previous
    units = {
        "crossbar": machine.arrays, "adc": machine.arrays * machine.adcs, "h_tree": machine.plan.tiles,
        "global_adder": 1, "global_buffer": 1, "neuron": 1, "link": len(machine.topology.links),
        "digital": int(any(placed.digital for placed in machine.plan.layers)), "entropy": int(bool(machine.exit_rule)),
    }  # fmt: skip
    spent: dict[str, int] = dict.fromkeys(units, 0)
    for (number, _, component, _), ticks in list(activity.cycles.items()):
        if number == sample and component in spent:
            spent[component] += ticks
    for component, count in units.items():
        if count:
            activity.spend(sample, SHARED, component, "idle", previous * count - spent[component])
