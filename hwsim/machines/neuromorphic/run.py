"""A workload on a neuromorphic machine: placed once, then sample after sample; the machine makes its own spikes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from hwsim.activity import SHARED, Activity, SampleOutcome
from hwsim.architecture import Architecture
from hwsim.components.core_process import SECONDS_PER_NEURON, SECONDS_PER_SYNAPSE
from hwsim.cost import PriceList
from hwsim.errors import SpecError
from hwsim.kernels.core_state import COUNTS, PER_LAYER, PER_TIMESTEP, UNITS
from hwsim.machines import Finding, Progress
from hwsim.machines.estimate import recorded_accuracy
from hwsim.machines.neuromorphic.build import POWERED, STATISTICS, Machine, build
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.waiting import layer_latencies
from hwsim.machines.neuromorphic.words import describe, notes
from hwsim.machines.request import Request, simulated_set
from hwsim.network.encode import encode, take
from hwsim.network.freeze import Frozen
from hwsim.result import Accuracy, NaiveEstimate
from hwsim.workload.model import Workload

PROCESS_LIMIT_SECONDS = 60.0
_SCHEDULER = ("insert", "choose")
_EXACT = 2.0**52


class Runner:
    """One machine and one workload, made ready."""

    def __init__(self, architecture: Architecture, workload: Workload, request: Request) -> None:
        self.workload, self.request = workload, request
        self.timesteps = request.timesteps or workload.timesteps
        if request.layers is not None:
            raise SpecError("--layers: spikes are made on the machine, which needs the whole network")
        self.machine: Machine = build(architecture, workload, self.timesteps)
        self._refuse_slow_process()

    @property
    def architecture(self) -> Architecture:
        """What the machine was built from."""
        return self.machine.architecture

    @property
    def dataflow(self) -> tuple[str, str]:
        """Name of the schedule, and what synchronises it."""
        name = self.architecture.dataflow
        return name, f"{name}: {self.machine.sync}"

    @property
    def off_chip(self) -> list[str]:
        """Nothing: events come to the input port."""
        return []

    @property
    def hashes(self) -> dict[str, str]:
        """No files beside architecture and workload."""
        return {}

    @property
    def frozen(self) -> Frozen | None:
        """The network as the chip stores it; what synchronised layers compute."""
        return self.machine.stored.frozen

    def timing_ends(self) -> dict[str, tuple[str, Any, Any]]:
        """None: latencies are whole ticks; assumed ones are in the notes of ``hwsim check``."""
        return {}

    def vary(self, machines: list[Any]) -> list[Activity]:
        """See ``timing_ends``."""
        assert not machines
        return []

    def estimate(self, activity: Activity) -> NaiveEstimate | None:
        """None: the price of a synaptic operation already is the machine's."""
        return None

    def once(self) -> list[Finding]:
        """Nothing is done before inference that the machine prices."""
        return []

    def price_list(self) -> PriceList:
        """Everything that turns counts into costs."""
        return self.machine.price_list()

    def check_prices(self) -> None:
        """SpecError where an action that will be counted has no price."""
        self.price_list().check(self.machine.counted(), self.architecture.where("components"))

    def describe(self) -> list[str]:
        """The placement and the synchronisation in words."""
        return describe(self.machine)

    def notes(self) -> list[str]:
        """What a reader of the result should know."""
        return notes(self.machine)

    @cached_property
    def skew(self) -> np.ndarray:
        """int64 [N]: by how much the time of a core is ahead of the timestep of a neuron; see ``Record.spikes``."""
        network, order = self.machine.network, self.machine.setup.chip.order
        layer = np.repeat(np.arange(network.layers), np.diff(network.first))
        return layer if order == PER_TIMESTEP else np.zeros_like(layer)

    def inputs(self, number: int) -> np.ndarray:
        """Integers [T or 1, inputs] that the first layer sees."""
        raw = take(simulated_set(self.workload), number)
        frames = encode(self.workload.input, raw, self.timesteps, self.request.seed, number)
        return frames.reshape(len(frames), -1)

    def record(self, number: int, depth: str | None = None) -> Record:
        """Simulate one sample, from rest."""
        order = None if self.request.order_seed is None else np.random.default_rng(self.request.order_seed)
        made = run_sample(self.machine.setup, self.inputs(number), self.timesteps, seed=self.request.seed,
                          sample=number, depth=depth or self.request.depth, order=order)  # fmt: skip
        grid = self.machine.network.real[:, 1]
        if (made.largest > _EXACT * grid).any():
            layer = self.machine.stored.layers[int(np.argmax(made.largest / grid))].name
            raise SpecError(f"sample {number}: a membrane of layer {layer} outgrows exact sums")
        return made

    def spikes(self, made: Record) -> np.ndarray:
        """int32 [T, N]: the spikes of a sample, by timestep and neuron."""
        if self.machine.setup.chip.order == PER_LAYER:
            made = made.with_time(made.column("time") // self.machine.network.layers)
        return made.spikes(self.machine.network.neurons, self.skew)

    def decide(self, made: Record) -> int:
        """The class of most output spikes; of the highest membrane where the output layer does not fire."""
        return int(np.argmax(self.output(made)))

    def output(self, made: Record) -> np.ndarray:
        """float64 [classes]: what the decision is made of."""
        first = int(self.machine.network.first[-2])
        if not self.machine.stored.layers[-1].neuron.spiking:
            return made.potential[first:]
        return self.spikes(made)[:, first:].sum(axis=0).astype(np.float64)

    def run_one(self, number: int) -> Activity:
        """Simulate one sample and book what it did."""
        made = self.record(number)
        activity = Activity()
        book(self.machine, made, number, activity)
        samples = simulated_set(self.workload)
        output = self.output(made)
        activity.outcomes.append(
            SampleOutcome(number, int(samples.labels[number]), int(np.argmax(output)), self.timesteps, output[None])
        )
        return activity

    def accuracy(self, images: int, progress: Progress | None) -> tuple[Accuracy | None, list[Finding]]:
        """Measured on the machine; and what it did."""
        if images == 0:
            return recorded_accuracy(self.workload), []
        from hwsim.machines.neuromorphic.findings import measure

        return measure(self, images, progress)

    def _refuse_slow_process(self) -> None:
        """Depth 'process' looks at every synapse in Python; what would take minutes is refused unless forced."""
        if self.request.depth != "process" or self.request.force:
            return
        network = self.machine.network
        synapses = sum(layer.geometry.P * layer.geometry.K * layer.geometry.M for layer in self.machine.stored.layers)
        each = 0.2 * synapses * SECONDS_PER_SYNAPSE * 5 + network.neurons * SECONDS_PER_NEURON * 4
        seconds = each * self.timesteps * self.request.samples
        if seconds > PROCESS_LIMIT_SECONDS:
            raise SpecError(
                f"depth 'process' would take about {seconds:,.0f} s here (limit {PROCESS_LIMIT_SECONDS:.0f} s)\n"
                "  Use depth 'kernel' or 'pass' (the same numbers), or --force."
            )


def book(machine: Machine, made: Record, sample: int, activity: Activity) -> None:
    """Counts, busy ticks, spans and latencies of a sample."""
    for number, action in enumerate(COUNTS):
        component = "scheduler" if action in _SCHEDULER else "core"
        if action == "axon_out" and machine.placement.mapped == 1:
            continue
        for layer, t in np.argwhere(made.counts[:, :, number]).tolist():
            activity.count(sample, layer, t, component, action, int(made.counts[layer, t, number]))
    for t, events in enumerate(made.fed.tolist()):
        activity.count(sample, 0, t, "input", "event", events)
    _book_shared(machine, made, sample, activity)
    for layer, times in enumerate(made.count("synapse").sum(axis=1).tolist()):
        activity.operations[sample, layer] += times
    _book_time(machine, made, sample, activity)
    activity.events += made.events


def _book_shared(machine: Machine, made: Record, sample: int, activity: Activity) -> None:
    """What belongs to no layer alone: synchronisation, network, switching on and off."""
    mapped, running = machine.placement.mapped, int(made.running.sum())

    def count(component: str, action: str, times: int) -> None:
        activity.count(sample, SHARED, SHARED, component, action, times)

    if machine.sync != "asynchronous":
        count("sync", "barrier" if machine.sync == "barrier" else "tick", made.phases * mapped)
    if machine.parameter("core", "power_gated"):
        count("core", "wake", int(made.wakes.sum()))
    if machine.gated:
        count("core", POWERED, running)
    if made.flits is not None and machine.setup.routing is not None:
        from hwsim.machines.neuromorphic.network import flits_by_direction

        for direction, flits in flits_by_direction(machine.setup.routing.tables, made.flits).items():
            count("link", direction, flits)
        count("router", "flit", int(made.flits.sum()))
    elif mapped > 1:
        stops = int(made.column("masked").sum()) * (mapped - 1)
        count("channel", "message", int(made.column("messages").sum()) + stops)


def _book_time(machine: Machine, made: Record, sample: int, activity: Activity) -> None:
    """Busy and idle ticks of cores and their units; span and latency of layers."""
    activity.ticks[sample] = made.ticks
    whole = made.ticks * machine.placement.mapped
    for unit, busy in (("core", int(made.running.sum())), *zip(UNITS, made.busy.sum(axis=0).tolist(), strict=True)):
        activity.spend(sample, SHARED, unit, "busy", busy)
        activity.spend(sample, SHARED, unit, "idle", whole - busy)
    chip = machine.setup.chip
    core, begin, end = (made.column(name) for name in ("core", "start", "end"))
    for layer in range(chip.layers):
        holders = chip.part[chip.layer_part[layer] : chip.layer_part[layer + 1], 0]
        own = np.isin(core, holders)
        if own.any():
            activity.span[sample, layer] = (int(begin[own].min()), int(end[own].max()))
    for layer, ticks in enumerate(layer_latencies(machine.setup, made)):
        activity.latency[sample, layer] = int(ticks)


def prepare(architecture: Architecture, workload: Workload, request: Request) -> Runner:
    """Build the machine and make it ready. Raises ``SpecError`` for all that does not fit."""
    return Runner(architecture, workload, request)


__all__ = ["STATISTICS", "Runner", "book", "prepare"]
