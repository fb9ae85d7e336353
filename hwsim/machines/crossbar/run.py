"""A workload on a crossbar machine: arrays programmed, spikes made with them, then sample after sample on the chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hwsim.activity import Activity, SampleOutcome
from hwsim.architecture import Architecture
from hwsim.cost import PriceList
from hwsim.errors import Problem, SpecError
from hwsim.kernels.analog_solved import OHMIC
from hwsim.kernels.analog_tile import call_kernel
from hwsim.machines import Finding, Progress
from hwsim.machines.crossbar.build import Machine, build
from hwsim.machines.crossbar.chip import LayerData, TileCall
from hwsim.machines.crossbar.feeder import buffer_rows
from hwsim.machines.crossbar.flow import Flow, window
from hwsim.machines.crossbar.mapping import Placed
from hwsim.machines.crossbar.placement import place
from hwsim.machines.crossbar.product import ArrayProduct, Calibration, ProgrammedNetwork, draw_keys
from hwsim.machines.crossbar.programmed import unknown
from hwsim.machines.crossbar.programming_cost import programming
from hwsim.machines.crossbar.simulate import run_sample
from hwsim.machines.estimate import recorded_accuracy
from hwsim.machines.request import Request, simulated_set
from hwsim.network.engine import run_sample as run_network
from hwsim.network.exit import exits
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.network.replay import replay
from hwsim.network.spikes import Spikes
from hwsim.result import Accuracy, NaiveEstimate
from hwsim.workload.model import Workload

PROCESS_LIMIT_SECONDS = 60.0


class Runner:
    """One machine and one workload, made ready: layers placed, arrays programmed, the network frozen with them."""

    def __init__(self, architecture: Architecture, workload: Workload, request: Request) -> None:
        self.workload, self.request = workload, request
        self.timesteps = request.timesteps or workload.timesteps
        self.machine: Machine = build(architecture, workload, request.layers)
        self.placed: tuple[Placed, ...] = self.machine.plan.layers
        self.flow = Flow(workload, self.placed)
        self.ideal: Frozen | None = None
        self.exact: Frozen | None = None
        if workload.kind == "network":
            self.ideal = freeze(workload, Numerics(timesteps=self.timesteps))
            self.exact = freeze(workload, self.machine.numerics(self.timesteps))
        self._refuse_what_does_not_fit()
        self.rooms = self._rooms()
        if self.ideal is not None:
            self.network.encodings()
        if self.machine.exit_rule is not None and (self.ideal is None or request.layers is not None):
            where = self.machine.architecture.where("options.early_exit")
            raise SpecError(Problem(where, "early exit needs a whole network with weights"))
        if self.machine.options["adaptation"] is not None and not any(layer.bn for layer in workload.layers):
            where, found = self.machine.architecture.where("options.adaptation"), "no batch normalisation to adapt"
            raise SpecError(Problem(where, f"{workload.name} has {found}", "Leave adaptation out for it."))
        self._refuse_slow_process()

    @cached_property
    def network(self) -> ProgrammedNetwork:
        """The chip of this run's seed."""
        return self.chip(self.request.seed)

    def chip(self, seed: int, **changes: Any) -> ProgrammedNetwork:
        """A chip programmed with another seed; ``changes`` of the array model."""
        assert self.ideal is not None
        model = replace(self.machine.model, **changes)
        calibration = None
        if model.gain_reads == "calibration":
            images = self.machine.parameter("adc", "calibration_images")
            calibration = Calibration(self.calibration, images, self.timesteps)
        return ProgrammedNetwork(self.workload, self.ideal, self.placed, model, seed, calibration)

    def products(self, network: ProgrammedNetwork) -> dict[str, ArrayProduct]:
        """The products of a chip, its converters ranged on the currents that the calibration images make on it."""
        if not self.machine.options["converters"]:
            return network.products(None)
        adc = self.machine.architecture.component("adc").parameters
        numerics = self.machine.numerics(self.timesteps)
        return network.products(network.ranges(self.calibration, adc["calibration_images"], adc["quantile"], numerics))

    @property
    def calibration(self) -> Any:
        """Samples that ranges and BN statistics are measured on."""
        sets = self.workload.sample_sets
        return self.workload.samples("calibration" if "calibration" in sets else next(iter(sets)))

    @cached_property
    def frozen(self) -> Frozen | None:
        """The network with this chip's products (and adapted BN, where the machine does that)."""
        if self.ideal is None:
            return None
        products = self.products(self.network)
        return self.freeze_with(products, self.adapted(products))

    def freeze_with(self, products: dict[str, ArrayProduct], statistics: Any = None) -> Frozen:
        """The network as the machine computes it with these products."""
        return freeze(
            self.workload, self.machine.numerics(self.timesteps, products=products, statistics=statistics or {})
        )

    def adapted(self, products: dict[str, ArrayProduct]) -> Any:
        """BN statistics measured anew on the arrays, where options.adaptation asks for it."""
        wanted = self.machine.options["adaptation"]
        if wanted is None:
            return {}
        from hwsim.network.adapt import adapt

        return adapt(
            lambda statistics: self.freeze_with(products, statistics), self.calibration, wanted["images"],
            wanted["what"], timesteps=self.timesteps, seed=self.request.seed,
        )  # fmt: skip

    @property
    def architecture(self) -> Architecture:
        """What the machine was built from."""
        return self.machine.architecture

    @property
    def dataflow(self) -> tuple[str, str]:
        """Name of the schedule, and what it lets overlap."""
        name = self.machine.architecture.dataflow
        return name, f"{name}: overlap of {self.machine.overlap}"

    @property
    def off_chip(self) -> list[str]:
        """Nothing: the image starts in the global buffer."""
        return []

    @property
    def hashes(self) -> dict[str, str]:
        """The memory cell's file."""
        return {"device": self.machine.model.device.sha256}

    def timing_ends(self) -> dict[str, tuple[str, Any, Any]]:
        """None: latencies are whole ticks, assumed ones are in the notes of ``hwsim check``."""
        return {}

    def vary(self, machines: list[Any]) -> list[Activity]:
        """See ``timing_ends``."""
        assert not machines
        return []

    def accuracy(self, images: int, progress: Progress | None) -> tuple[Accuracy | None, list[Finding]]:
        """Measured on the programmed arrays, over device seeds, with gain calibration off beside, and causes."""
        if self.ideal is None or images == 0 or self.request.layers is not None:
            return recorded_accuracy(self.workload), []
        from hwsim.machines.crossbar.accuracy import measure

        return measure(self, images, progress)

    def estimate(self, activity: Activity) -> NaiveEstimate | None:
        """None: the machine has no accumulator whose energy would be E_AC."""
        return None

    def describe(self) -> list[str]:
        """The mapping in words, layer by layer."""
        machine = self.machine
        overlap = {
            "all": "layers and timesteps overlap", "layers": "layers of a timestep overlap", "none": "nothing overlaps"
        }[machine.overlap]  # fmt: skip
        lines = [
            f"{machine.arrays} arrays of {machine.model.rows} x {machine.model.columns} in {machine.plan.tiles} tiles; "
            f"{machine.topology.nodes} nodes; {overlap}"
        ]
        for item in self.placed:
            where = (
                "digital unit"
                if item.digital
                else (
                    f"{len(item.tiles)} tiles, {item.copies * len(item.pes)} PEs, {item.arrays} arrays "
                    f"({item.slices} cells per weight), {item.planes} bit planes"
                )
            )
            lines.append(f"{item.name}: {where}")
        return [*lines, *machine.rounding]

    @property
    def neurons(self) -> int:
        """Membranes that the chip keeps."""
        share, shapes = self.machine.share, self.flow.shapes
        joined = [layer for layer in self.flow.between if layer.name in self.flow.made]
        spiking = [layer.name for layer in (*(item.layer for item in self.placed), *joined) if layer.neuron.spiking]
        return sum(
            -(-channels // share) * rows * columns for channels, rows, columns in (shapes[name] for name in spiking)
        )

    def price_list(self) -> PriceList:
        """Everything that turns counts into costs."""
        return self.machine.price_list(self.neurons)

    def check_prices(self) -> None:
        """SpecError where an action that will be counted has no price."""
        self.price_list().check(self.machine.counted(self.workload), self.machine.architecture.where("components"))

    def spikes(self, number: int) -> Spikes:
        """What the network does with sample ``number`` on these arrays, all timesteps."""
        if self.frozen is None:
            return replay(self.workload, number, self.timesteps, self.request.seed)
        samples = simulated_set(self.workload)
        return run_network(self.frozen, samples, number, self.timesteps, seed=self.request.seed)

    def run_one(self, number: int) -> Activity:
        """Simulate one sample, on an idle chip with empty buffers."""
        activity = Activity()
        spikes = self.spikes(number)
        data = {item.name: self._data(item, spikes, number) for item in self.placed}
        order = None if self.request.order_seed is None else np.random.default_rng(self.request.order_seed)
        outcome = run_sample(
            self.machine,
            self.flow,
            number,
            activity,
            timesteps=self.timesteps,
            data=data,
            call=self._tile_call(),
            decide=self._decision(spikes),
            classes=self.workload.classes or 1,
            node_of=self.node_of,
            global_node=self.global_node,
            rooms=self.rooms,
            order=order,
        )
        if self.frozen is not None:
            self._finish(outcome, spikes, data)
        activity.outcomes.append(outcome)
        return activity

    @cached_property
    def _placement(self) -> tuple[dict[int, int], int, list[str]]:
        return place(self)

    @property
    def node_of(self) -> dict[int, int]:
        """Tile -> node of the network."""
        return self._placement[0]

    @property
    def global_node(self) -> int:
        """Where the global buffer, adder, neurons and pooling are."""
        return self._placement[1]

    def once(self) -> list[Finding]:
        """Programming: energy, time and cells."""
        return programming(self)

    def notes(self) -> list[str]:
        """What a reader of the result should know."""
        made = list(self._placement[2])
        if self.frozen is not None:
            share, mean = self.network.shares
            made.append(
                f"cells at highest resistance {share:.1%}, mean code {mean:.2f} of {self.machine.model.levels - 1}"
            )
        if self.machine.options["cell"] == "device" and self.machine.model.law == OHMIC:
            made.append(f"options.cell 'device' changes nothing: cells of {self.machine.model.device.name} are linear")
        return made

    def _data(self, item: Placed, spikes: Spikes, number: int) -> LayerData:
        g, frozen = item.geometry, None if self.frozen is None else self.frozen.layers[item.name]
        product = None if frozen is None else frozen.product
        analog = product.analog if isinstance(product, ArrayProduct) else unknown(item, self.machine.model)
        fresh = isinstance(product, ArrayProduct) and product.fresh
        still = np.zeros(item.planes, dtype=np.uint64)
        seed = self.request.seed

        def keys(t: int) -> np.ndarray:
            return draw_keys(seed, item.name, number, t, item.planes) if fresh else still

        data = LayerData(item, analog, frozen, spikes.inputs, keys)
        if frozen is not None:
            data.membranes = np.full((g.E * g.F, frozen.units), frozen.start)
            data.outputs = np.zeros((self.timesteps, g.E * g.F, g.M))
        return data

    def _finish(self, outcome: SampleOutcome, spikes: Spikes, data: dict[str, LayerData]) -> None:
        """Outputs of the chip must be those of the network: every read was done once, in its place."""
        for item in data.values():
            g = item.placed.geometry
            expected = np.broadcast_to(spikes.outputs[item.placed.name], (self.timesteps, g.M, g.E, g.F))
            assert item.outputs is not None
            made = item.outputs.transpose(0, 2, 1).reshape(-1, g.M, g.E, g.F)
            steps = outcome.timesteps
            assert (made[:steps] == expected[:steps]).all(), f"layer {item.placed.name}: chip and network differ"
        samples = simulated_set(self.workload)
        outcome.label = int(samples.labels[outcome.sample])
        assert spikes.logits is not None
        outcome.output = spikes.logits[: outcome.timesteps]
        outcome.prediction = int(np.argmax(outcome.output[-1]))

    def _decision(self, spikes: Spikes) -> Callable[[int], bool] | None:
        rule, logits = self.machine.exit_rule, spikes.logits
        if rule is None or logits is None:
            return None
        return lambda timesteps: exits(rule, logits[timesteps - 1], timesteps)

    def _tile_call(self) -> TileCall:
        if self.request.depth == "process":
            from hwsim.components.analog_process import call_process

            return call_process
        return call_kernel

    def _rooms(self) -> dict[str, int]:
        """Rows of each layer's output that its part of the global buffer holds. Raises SpecError if they do not fit."""
        capacity = int(self.machine.parameter("global_buffer", "capacity"))
        each, problems, rooms = capacity // len(self.placed), [], {}
        for item in self.placed:
            bits = max(1, self.workload.edge(item.name).bits) * item.geometry.M * item.geometry.F
            rooms[item.name] = each // bits
            need = self.flow.room_needed(item, self.machine.overlap == "none")
            if rooms[item.name] < need:
                problems.append(
                    self.machine.architecture.problem(
                        "components.global_buffer.capacity",
                        f"layer {item.name} of {self.workload.name} needs room for {need} output rows of {bits} bits; "
                        f"its part of the global buffer ({each} bits of {capacity}) holds {rooms[item.name]}",
                        f"Set global_buffer.capacity to at least {-(-need * bits * len(self.placed) // 8192)} KiB.",
                    )
                )
        if problems:
            raise SpecError(problems)
        return rooms

    def _refuse_what_does_not_fit(self) -> None:
        """Tile buffers must hold the rows under a kernel."""
        problems = []
        for item in self.placed:
            g = item.geometry
            need = max(last - first for first, last in (window(g, e) for e in range(g.E)))
            held = min((buffer_rows(self.machine, item, tile) for tile in item.tiles), default=need)
            if held < need:
                bits = max(tile.channels[1] - tile.channels[0] for tile in item.tiles) * g.W * item.planes
                problems.append(
                    self.machine.architecture.problem(
                        "components.tile_buffer.capacity",
                        f"layer {item.name} of {self.workload.name} needs {need} input rows of {bits} bits in a tile "
                        f"buffer, which holds {held}",
                        f"Set tile_buffer.capacity to at least {-(-need * bits * item.tiles[0].share // 8)} B, or "
                        "mapping.pes_per_tile lower.",
                    )
                )
        if problems:
            raise SpecError(problems)

    def _refuse_slow_process(self) -> None:
        """Depth 'process' drives every row of every read; what would take minutes is refused unless forced."""
        if self.request.depth != "process" or self.request.force:
            return
        reads = sum(
            item.arrays // item.copies * item.geometry.E * item.geometry.F * item.planes * self.timesteps
            for item in self.placed
            if not item.digital
        )
        from hwsim.components.analog_process import SECONDS_PER_READ

        seconds = reads * self.request.samples * SECONDS_PER_READ
        if seconds > PROCESS_LIMIT_SECONDS:
            raise SpecError(
                f"depth 'process' would take about {seconds:,.0f} s here (limit {PROCESS_LIMIT_SECONDS:.0f} s)\n"
                "  Use depth 'kernel' (the same numbers), fewer layers (--layers A:B), or --force."
            )


def prepare(architecture: Architecture, workload: Workload, request: Request) -> Runner:
    """Build the machine and make it ready. Raises SpecError for all that does not fit."""
    return Runner(architecture, workload, request)
