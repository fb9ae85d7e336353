"""The turn of a core as five SimPy processes: input queue, synapse memory, neuron pipeline, scheduler, axon output.

The slow witness of ``hwsim.kernels.turn``. The processes are a chain of first-in-first-out belts with one reader each,
so what passes in one tick cannot depend on who runs first. What is counted is counted where it happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.components.core_process.state import CoreState, Outcome, Sent, Spike, Waiting
from hwsim.components.memory import Process
from hwsim.components.ports import Environment, Port
from hwsim.grid import to_grid
from hwsim.kernels.core_state import due_time
from hwsim.rng import uniform

_OVER = None
"""The last thing on a belt."""


@dataclass(frozen=True)
class PlainCall:
    """A turn: the core's time, its step, the spikes handed in (neuron, amount), and how it is (``core_state.Call``)."""

    time: int
    step: int
    taken: list[tuple[int, int]]
    compete: bool
    masked: bool
    asleep: bool


class Belt(Port):
    """A port inside a turn: what is put on is there at once."""

    def put(self, item: Any) -> None:
        """Put an item on."""
        self._deliver(item)


@dataclass
class _Turn:
    """What the five processes share."""

    state: CoreState
    call: PlainCall
    env: Environment = field(default_factory=Environment)
    touched: set[int] = field(default_factory=set)
    fired: list[tuple[int, float]] = field(default_factory=list)
    chosen: list[tuple[int, int, float]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    local: list[Spike] = field(default_factory=list)
    updated: int = 0

    def __post_init__(self) -> None:
        names = ("input_queue", "synapse_memory", "neuron_pipeline", "scheduler", "axon_output")
        self.belts = {name: Belt(self.env, name) for name in names}
        self.ticks, self.network = self.state.setting.chip.ticks, self.state.setting.network

    def spend(self, unit: str, ticks: int) -> Any:
        """A timeout that is booked as busy ticks."""
        self.state.busy[unit] += ticks
        return self.env.timeout(ticks)

    def active(self) -> list[int]:
        """This core's layers that are evaluated."""
        return [layer for layer in self.state.times if self.state.setting.timestep(self.call.time, layer) >= 0]


def call_process(state: CoreState, call: PlainCall, order: np.random.Generator | None = None) -> Outcome:
    """The turn at depth ``process``; changes ``state``. ``order`` shuffles the start of the processes."""
    turn = _Turn(state, call)
    parts = [_input_queue(turn), _synapse_memory(turn), _neuron_pipeline(turn), _scheduler(turn), _axon_output(turn)]
    if order is not None:
        parts = [parts[i] for i in order.permutation(len(parts))]
    for part in parts:
        turn.env.process(part)
    turn.env.run()
    layers = len(turn.network.layers)
    output = sum(turn.network.layer_of(neuron) == layers - 1 for neuron, _ in turn.fired)
    return Outcome(max(1, turn.env.tick), turn.sent, turn.local, turn.fired, turn.chosen, turn.updated, output)


def _input_queue(turn: _Turn) -> Process:
    yield turn.belts["input_queue"].next()
    behind = turn.belts["scheduler" if turn.call.compete else "synapse_memory"]
    for neuron, amount in turn.call.taken:
        yield turn.spend("input_queue", turn.ticks.axon_in)
        if turn.call.compete:
            turn.state.count(0, turn.call.time, "axon_in")
        behind.put((neuron, amount))
    behind.put(_OVER)
    if turn.call.compete:
        turn.belts["synapse_memory"].put(_OVER)


def _synapse_memory(turn: _Turn) -> Process:
    state, chip = turn.state, turn.state.setting.chip
    while (item := (yield turn.belts["synapse_memory"].next())) is not _OVER:
        synapses = _add_currents(turn, *item)
        if not chip.processed:
            yield turn.spend("synapse_memory", math.ceil(synapses / turn.ticks.lanes) * turn.ticks.synapse)
    if chip.processed and not turn.call.compete:
        for layer in turn.active():
            own = state.neurons(layer)
            turn.touched.update(own)
            each = [turn.network.targets(sender, own[0], own[-1] + 1) for sender in turn.network.senders(layer)]
            state.count(layer, state.times[layer], "synapse", sum(each))
            groups = sum(math.ceil(synapses / turn.ticks.lanes) for synapses in each)
            yield turn.spend("synapse_memory", groups * turn.ticks.synapse)
    turn.belts["neuron_pipeline"].put(_OVER)


def _add_currents(turn: _Turn, neuron: int, amount: int) -> int:
    """A spike's currents; returns the synapses that were read."""
    state, network = turn.state, turn.network
    number = network.layer_of(neuron) + 1
    layer, timestep, count = network.layers[number], state.times[number], 0
    state.count(number, timestep, "axon_in")
    if state.setting.timestep(turn.call.time, number) < 0:
        state.count(number, timestep, "dropped")
        return 0
    for cell in layer.cells[network.sender(neuron)]:
        if layer.filters:
            if state.seen.get((number, cell)) == timestep:
                continue
            state.seen[number, cell] = timestep
            amount = 1
        for target, weight in layer.synapses[cell]:
            hit = layer.first + target
            if hit in state.potential:
                count += 1
                turn.touched.add(hit)
                if hit not in state.resting:
                    state.potential[hit] += weight * amount
    if not state.setting.chip.processed:
        state.count(number, timestep, "synapse", count)
    return count


def _neuron_pipeline(turn: _Turn) -> Process:
    state, call, chip = turn.state, turn.call, turn.state.setting.chip
    if call.asleep:
        state.wakes += 1
        yield turn.env.timeout(turn.ticks.wake)
    yield turn.spend("neuron_pipeline", _go_on(turn) * turn.ticks.idle)
    turn.belts["input_queue"].put(_OVER)
    yield turn.belts["neuron_pipeline"].next()
    active = set() if call.compete else set(turn.active())
    for neuron in sorted(state.potential):
        number = turn.network.layer_of(neuron)
        layer, resting = turn.network.layers[number], neuron in state.resting
        stays_above = not resting and layer.crosses(neuron - layer.first, state.potential[neuron])
        if number not in active or not (neuron in turn.touched or stays_above):
            continue
        turn.updated += 1
        state.count(number, state.times[number], "update")
        yield turn.spend("neuron_pipeline", turn.ticks.update)
        if not resting:
            v = state.potential[neuron]
            state.largest[number] = max(state.largest[number], abs(v))
            if stays_above:
                yield turn.spend("neuron_pipeline", turn.ticks.spike)
                state.count(number, state.times[number], "spike")
                state.potential[neuron] = v - layer.threshold[neuron - layer.first] if layer.subtract else 0.0
                if chip.refractory:
                    state.resting.add(neuron)
                turn.fired.append((neuron, v))
    for fired in turn.fired:
        turn.belts["scheduler"].put(fired)
    if not call.compete:
        turn.belts["scheduler"].put(_OVER)


def _go_on(turn: _Turn) -> int:
    """All layers that are evaluated go on to their timestep; updates that this takes."""
    state, moved = turn.state, 0
    for number in turn.active():
        timestep, layer = state.setting.timestep(turn.call.time, number), turn.network.layers[number]
        elapsed = timestep - state.times[number]
        if elapsed <= 0:
            continue
        for neuron in state.neurons(number):
            v = state.potential[neuron]
            for _ in range(elapsed):
                v = float(to_grid(v * layer.leak, layer.grid)) + layer.drive[neuron - layer.first]
            state.potential[neuron] = v
            state.resting.discard(neuron)
        updates = elapsed * len(state.neurons(number))
        state.count(number, timestep, "idle_update", updates)
        state.times[number] = timestep
        moved += updates
    if moved:
        for waiting in state.waiting.values():
            waiting.potential = 0.0
    return moved


def _scheduler(turn: _Turn) -> Process:
    state, call = turn.state, turn.call
    while (item := (yield turn.belts["scheduler"].next())) is not _OVER:
        neuron, value = item
        layer = max(turn.network.layer_of(neuron), 0)
        timestep = state.setting.timestep(call.time, layer)
        if call.masked:
            state.count(layer, timestep, "masked")
            continue
        state.count(layer, timestep, "insert")
        _insert(state, neuron, value if call.compete else 1, 0.0 if call.compete else value)
    waiting = len(state.waiting)
    for number, (key, neuron) in enumerate(_first(turn)):
        layer = max(turn.network.layer_of(neuron), 0)
        timestep = state.setting.timestep(call.time, layer)
        levels = math.ceil(math.log2(waiting - number + 1))
        yield turn.spend("scheduler", turn.ticks.choose + levels * turn.ticks.level)
        own = state.waiting.pop(neuron)
        state.last = neuron
        state.count(layer, timestep, "choose")
        if neuron >= 0:
            state.count(layer, timestep, "propagated", own.multiplicity)
        turn.chosen.append((neuron, own.multiplicity, key))
        turn.belts["axon_output"].put((neuron, own.multiplicity))
    turn.belts["axon_output"].put(_OVER)


def _insert(state: CoreState, neuron: int, multiplicity: int, potential: float) -> None:
    if neuron in state.waiting:
        state.waiting[neuron].multiplicity += multiplicity
        state.waiting[neuron].potential = potential
    else:
        state.waiting[neuron] = Waiting(multiplicity, potential, state.arrived)
        state.arrived += 1


def _first(turn: _Turn) -> list[tuple[float, int]]:
    """(key, neuron) of the spikes that the policy takes, in order."""
    state, setting, policy = turn.state, turn.state.setting, turn.state.setting.policy
    key = getattr(policy.key, "py_func", policy.key)
    found = []
    for neuron, own in state.waiting.items():
        draw = 0.0
        if policy.needs_draw:
            place = np.array(neuron + turn.network.inputs)
            stream = setting.streams[state.core]
            drawn = uniform(setting.seed, stream, setting.sample, turn.call.time, turn.call.step, place)
            draw = float(drawn) * policy.draw_scale
        layer = turn.network.layer_of(neuron)
        value = float(key(own.potential, neuron, layer, own.arrival, state.last, draw))
        found.append((math.inf if math.isnan(value) else value, neuron))
    return sorted(found)[: state.group]


def _axon_output(turn: _Turn) -> Process:
    state, chip = turn.state, turn.state.setting.chip
    while (item := (yield turn.belts["axon_output"].next())) is not _OVER:
        neuron, amount = item
        layer = turn.network.layer_of(neuron)
        cores = [core for core in state.setting.holders(layer + 1)
                 if turn.network.targets(neuron, *state.setting.bounds(core))]  # fmt: skip
        if state.core in cores:
            turn.local.append(Spike(neuron, amount, due_time.py_func(chip.order, turn.call.time), False))  # type: ignore[attr-defined]
        others = tuple(core for core in cores if core != state.core and neuron >= 0)
        for to in [others] if chip.multicast and others else [(core,) for core in others]:
            yield turn.spend("axon_output", turn.ticks.axon_out)
            state.count(layer, state.setting.timestep(turn.call.time, layer), "axon_out")
            turn.sent.append(Sent(neuron, amount, to, turn.env.tick))
