"""A workload on a systolic machine: spikes first, then the plan, then sample after sample through the processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.activity import Activity, SampleOutcome
from hwsim.architecture import Architecture
from hwsim.cost import PriceList
from hwsim.errors import Problem, SpecError
from hwsim.kernels.tile import TileResult, call_kernel
from hwsim.machines import Finding, Progress
from hwsim.machines.estimate import naive_estimate, recorded_accuracy
from hwsim.machines.request import Request, simulated_set
from hwsim.machines.systolic.build import Machine, build, refuse, timing_ends
from hwsim.machines.systolic.controller import LayerData, pack_groups, tile_work
from hwsim.machines.systolic.layers import resolve
from hwsim.machines.systolic.plan import Schedule, segments
from hwsim.machines.systolic.schedule import make_schedules
from hwsim.machines.systolic.simulate import Decision, run_sample
from hwsim.network.engine import accuracy as measure_accuracy
from hwsim.network.engine import run_sample as run_network
from hwsim.network.exit import exits
from hwsim.network.freeze import Frozen, FrozenLayer, freeze
from hwsim.network.replay import replay
from hwsim.network.spikes import Spikes
from hwsim.result import Accuracy, NaiveEstimate
from hwsim.workload.model import Workload

PROCESS_LIMIT_SECONDS = 60.0


TileCall = Callable[..., TileResult]


class Remembered:
    """A tile call that keeps its results, by place in the order of calls and by LIF backlog at entry."""

    def __init__(self, call: TileCall) -> None:
        self.call, self.place = call, 0
        self.results: dict[tuple[int, int], TileResult] = {}

    def again(self) -> Remembered:
        """Start at the first call again."""
        self.place = 0
        return self

    def __call__(self, *operands: Any) -> TileResult:
        key = (self.place, operands[-1].lif_backlog)
        self.place += 1
        if key not in self.results:
            self.results[key] = self.call(*operands)
        return self.results[key]


class Runner:
    """One machine and one workload, made ready: frozen numbers, chosen nests."""

    def __init__(self, machine: Machine, workload: Workload, request: Request) -> None:
        self.machine, self.workload, self.request = machine, workload, request
        self.timesteps = request.timesteps or workload.timesteps
        self.frozen: Frozen | None = None
        if workload.kind == "network":
            self.frozen = freeze(workload, machine.numerics(self.timesteps))
        works = resolve(
            workload,
            machine.psum_bits(workload, self.frozen),
            machine.weight_bits,
            machine.mac,
            request.layers,
            machine.options["padding"] == "stored",
        )
        refuse(machine.architecture, works, machine.share)
        if machine.exit_rule is not None and self.frozen is None:
            raise SpecError(f"{workload.name}: early exit needs a network with weights; this is a {workload.kind} file")
        self._refuse_useless_exit()
        self.schedules = make_schedules(machine, works, self.timesteps)
        self._refuse_slow_process()
        self._first = Remembered(self._tile_call())
        self._spikes: Spikes | None = None
        self._nominal: Activity | None = None
        """What sample 0 gave; kept for ``vary``, with its spikes and tile calls."""
        self._weights = {s.work.index: pack_groups(s, self._frozen_layer(s)) for s in self.schedules}

    def describe(self) -> list[str]:
        """The schedule in words: the dataflow, then the nest of each layer."""
        places = {"pe": "", "buffer": "; membranes wait in the buffer", "dram": "; membranes wait in DRAM"}
        lines = [self.machine.dataflow.describe()]
        for s in self.schedules:
            fold = f"; {s.per_fold} timesteps a fold" if s.shape.inner_timesteps > 1 else ""
            lines.append(
                f"{s.work.name}: {s.nest.describe(s.shape)}{fold}; psums {s.work.psum_bits} bit{places[s.membranes]}"
            )
        return [*lines, *self.machine.rounding]

    @property
    def changes_function(self) -> bool:
        """Whether the machine computes something else than the trained network: membranes, shared units, early exit."""
        if self.frozen is None:
            return False
        spiking = [layer.neuron for layer in self.workload.weighted if layer.neuron.spiking]
        coarse = any(neuron.membrane is None for neuron in spiking)
        fewer = self.timesteps != self.workload.timesteps
        return coarse or fewer or (bool(spiking) and self.machine.share > 1) or self.machine.exit_rule is not None

    def spikes(self, number: int) -> Spikes:
        """What the network does with sample ``number``, computed, recorded or drawn."""
        if self.frozen is None:
            return replay(self.workload, number, self.timesteps, self.request.seed)
        return run_network(
            self.frozen,
            simulated_set(self.workload),
            number,
            self.timesteps,
            seed=self.request.seed,
            exit_rule=self.machine.exit_rule,
        )

    @property
    def architecture(self) -> Architecture:
        """What the machine was built from."""
        return self.machine.architecture

    @property
    def dataflow(self) -> tuple[str, str]:
        """Name of the dataflow, and its description."""
        return self.machine.dataflow.name, self.machine.dataflow.describe()

    @property
    def off_chip(self) -> list[str]:
        """The DRAM."""
        return [self.machine.dram.name]

    @property
    def hashes(self) -> dict[str, str]:
        """No further files."""
        return {}

    def price_list(self) -> PriceList:
        """Everything that turns counts into costs."""
        return self.machine.price_list()

    def check_prices(self) -> None:
        """SpecError where something will be counted that has no price."""
        works = [schedule.work for schedule in self.schedules]
        self.price_list().check(self.machine.counted(works), self.architecture.where("components"))

    def timing_ends(self) -> dict[str, tuple[str, Machine, Machine]]:
        """Uncertain parameters of the DRAM, with machines at both of their 95 % points."""
        return timing_ends(self.machine)

    def accuracy(self, images: int, progress: Progress | None) -> tuple[Accuracy | None, list[Finding]]:
        """Measured where the machine changes the function, else what the training recorded."""
        net = self.workload
        if self.frozen is None or images == 0 or not self.changes_function:
            return recorded_accuracy(net), []
        samples = simulated_set(net)
        count = min(images, len(samples))
        if progress:
            progress(0, count, "accuracy")
        found = measure_accuracy(
            self.frozen, samples, count, self.timesteps, seed=self.request.seed, exit_rule=self.machine.exit_rule
        )
        if progress:
            progress(count, count, "accuracy")
        return Accuracy(found.fraction, count, "measured"), []

    def estimate(self, activity: Activity) -> NaiveEstimate | None:
        """FLOPs x T x density x E_AC, with the machine's own price of an accumulation (adder, gate and register)."""
        works = [schedule.work for schedule in self.schedules]
        shapes = {work.index: (work.geometry.dense_operations * work.groups, work.planes) for work in works}
        return naive_estimate(shapes, activity, self.machine.accumulate_price())

    def once(self) -> list[Finding]:
        """Nothing."""
        return []

    def notes(self) -> list[str]:
        """What a reader of the result should know."""
        notes = []
        if not self.machine.options["membrane_traffic"]:
            notes.append("membranes cost no traffic between timesteps: an accounting, not a schedule of a machine")
        rule = self.machine.exit_rule
        if rule is not None and rule.block == self.timesteps:
            notes.append(f"early exit looks every {rule.block} timesteps, that is at the end: it saves nothing")
        if self.frozen is not None and self.frozen.largest_change:
            change = self.frozen.largest_change
            notes.append(f"float weights put on an exact grid; largest relative change {change:.2g}")
        return notes

    def vary(self, machines: list[Machine]) -> list[Activity]:
        """Sample 0 on this machine, then on others that differ from it in the timing of their memories only.

        Their tile calls are the same, in the same order, but for the LIF work that is left over when they start; so a
        call is computed once and remembered, as are the spikes.
        """
        nominal = self._nominal or self.run_one(0)
        return [nominal, *(self.run_one(0, machine) for machine in machines)]

    def run_one(self, number: int, machine: Machine | None = None) -> Activity:
        """Simulate one sample, on an idle machine with empty buffers."""
        activity = Activity()
        spikes = self._spikes if number == 0 and self._spikes is not None else self.spikes(number)
        data = {
            s.work.index: LayerData(
                s, _inputs(spikes, s), self._frozen_layer(s), self._weights[s.work.index], self.timesteps
            )
            for s in self.schedules
        }
        order = None if self.request.order_seed is None else np.random.default_rng(self.request.order_seed)
        outcome = run_sample(
            machine or self.machine,
            self.schedules,
            number,
            activity,
            timesteps=self.timesteps,
            data=data,
            call=self._first.again() if number == 0 else self._tile_call(),
            decide=self._decision(spikes),
            classes=self.workload.classes or 1,
            order=order,
        )
        if self.frozen is not None:
            self._finish(outcome, spikes, data)
        activity.outcomes.append(outcome)
        if number == 0 and machine is None:
            self._spikes, self._nominal = spikes, activity
        return activity

    def _refuse_useless_exit(self) -> None:
        """An exit that is never taken saves nothing; one decided on layers that are not run means nothing."""
        rule, where = self.machine.exit_rule, self.machine.architecture.where("options.early_exit")
        if rule is not None and rule.block > self.timesteps:
            raise SpecError(
                Problem(where, f"early exit looks every {rule.block} timesteps; the run has {self.timesteps}",
                        "The exit's block and the dataflow's must have a common multiple up to that.")
            )  # fmt: skip
        if rule is not None and self.request.layers is not None:
            hint = "Leave one of them out."
            raise SpecError(Problem(where, "early exit needs the whole network, not --layers", hint))

    def _frozen_layer(self, schedule: Schedule) -> FrozenLayer | None:
        return None if self.frozen is None else self.frozen.layers[schedule.work.name]

    def _decision(self, spikes: Spikes) -> Decision | None:
        rule, logits = self.machine.exit_rule, spikes.logits
        if rule is None or logits is None:
            return None
        return lambda timesteps: exits(rule, logits[timesteps - 1], timesteps)

    def _finish(self, outcome: SampleOutcome, spikes: Spikes, data: dict[int, LayerData]) -> None:
        """Outputs of the tiles must be those of the network: every synaptic operation was done once, in its place."""
        assert outcome.timesteps == spikes.timesteps, "array and network must stop together"
        for item in data.values():
            work, g = item.schedule.work, item.schedule.work.geometry
            expected = spikes.outputs[work.name][: spikes.timesteps]
            assert item.outputs is not None
            made = item.outputs[: spikes.timesteps].transpose(0, 2, 1).reshape(-1, g.M * work.groups, g.E, g.F)
            assert (made == expected).all(), f"layer {work.name}: the tiles do not give the network's outputs"
        samples = simulated_set(self.workload)
        outcome.label = int(samples.labels[outcome.sample])
        outcome.prediction, outcome.output = spikes.prediction, spikes.logits

    def _tile_call(self) -> Callable[..., TileResult]:
        if self.request.depth == "process":
            from hwsim.components.array import call_process

            return call_process
        return call_kernel

    def _refuse_slow_process(self) -> None:
        """Depth 'process' moves every operand of every cycle; what would take minutes is refused unless forced."""
        if self.request.depth != "process" or self.request.force:
            return
        from hwsim.components.array import estimate_process_seconds

        stretches = segments(self.schedules, self.timesteps, self.machine.dataflow.time, self.machine.dataflow.block)
        by_index = {s.work.index: s for s in self.schedules}
        seconds = self.request.samples * sum(
            estimate_process_seconds(
                tile_work(by_index[tile.layer], tile), self.machine.array_config(by_index[tile.layer])
            )
            for tiles in stretches
            for tile in tiles
        )
        if seconds > PROCESS_LIMIT_SECONDS:
            raise SpecError(
                f"depth 'process' would take about {seconds:,.0f} s here (limit {PROCESS_LIMIT_SECONDS:.0f} s)\n"
                "  Use depth 'kernel' (the same numbers), fewer layers (--layers A:B), or --force."
            )


def _inputs(spikes: Spikes, schedule: Schedule) -> Callable[[int, int], np.ndarray]:
    """Integers [T, C, H, W] of one layer for a range of timesteps, in the shape of its geometry."""
    name, work = schedule.work.name, schedule.work
    g, whole = work.geometry, work.layer.geometry
    margins = [(0, 0), (0, 0), *(((size - own) // 2,) * 2 for size, own in ((g.H, whole.H), (g.W, whole.W)))]

    def take(t0: int, t1: int) -> np.ndarray:
        block = spikes.block(name, 0, 1) if work.constant_input else spikes.block(name, t0, t1)
        block = block.reshape(len(block), whole.C, whole.H, whole.W)
        return np.pad(block, margins) if g.H > whole.H or g.W > whole.W else block

    return take


def prepare(architecture: Architecture, workload: Workload, request: Request) -> Runner:
    """Build the machine and make it ready. Raises SpecError for all that does not fit."""
    return Runner(build(architecture), workload, request)
