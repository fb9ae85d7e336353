"""From an architecture and a workload to a crossbar machine: everything resolved to integers, ticks, places, prices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hwsim.architecture import Architecture
from hwsim.components.crossbar import NEEDED, device_of
from hwsim.components.mesh import refuse_rings
from hwsim.components.topology import Topology, fitting
from hwsim.cost import Instances, PriceList
from hwsim.errors import Problem, SpecError
from hwsim.kernels.analog_solved import OHMIC
from hwsim.machines.crossbar.mapping import Placed, Plan, plan
from hwsim.machines.crossbar.programmed import ArrayModel
from hwsim.network.exit import ExitRule
from hwsim.network.numerics import Numerics
from hwsim.physics.encoding import polarities_of
from hwsim.units import Quantity
from hwsim.workload.model import Workload

MAXIMUM_TICKS = 10**9
"""Of one latency; what a sample takes then still fits an int64."""
STATISTICS = frozenset({("adc", "clipped")})
"""Counted and reported, but no action of the hardware: codes that the range of an ADC cut off."""


@dataclass(frozen=True)
class Timing:
    """Latencies in ticks (of the main clock) of a crossbar machine."""

    drive: int
    read: int
    convert: int
    combine: int
    h_tree: int
    router: int
    link: int
    update: int
    entropy: int


@dataclass(frozen=True)
class Machine:
    """A crossbar machine made for one workload: how many arrays, tiles and routers exist follows from the mapping."""

    architecture: Architecture
    model: ArrayModel
    plan: Plan
    timing: Timing
    topology: Topology
    overlap: str
    adcs: int
    """ADCs per array."""
    options: Mapping[str, Any]
    rounding: tuple[str, ...]
    joins: bool = False
    """Whether edges are added, which the digital unit does."""

    def parameter(self, component: str, name: str) -> Any:
        """A parameter of a component."""
        return self.architecture.components[component].parameters[name]

    @property
    def share(self) -> int:
        """Channels per LIF unit."""
        return int(self.options["lif_sharing"])

    @property
    def exit_rule(self) -> ExitRule | None:
        """When a sample may stop early."""
        early = self.options["early_exit"]
        return None if early is None else ExitRule(early["threshold"], early["block"])

    @property
    def arrays(self) -> int:
        """Crossbars on the chip that hold weights."""
        return sum(placed.arrays for placed in self.plan.layers if not placed.digital)

    @property
    def pes(self) -> int:
        """PEs on the chip, empty ones of a tile included."""
        return self.plan.tiles * int(self.architecture.mapping["pes_per_tile"])

    def numerics(self, timesteps: int, **more: Any) -> Numerics:
        """What the digital part does to the network's function; ``more``: products, weights, statistics."""
        membrane = self.options["membrane"]
        return Numerics(
            membrane_bits=self.parameter("neuron", "membrane_bits"),
            membrane_step_fraction=membrane["step_fraction"],
            membrane_rounding=membrane["rounding"],
            membrane_saturate=membrane["saturate"],
            lif_sharing=self.share,
            timesteps=timesteps,
            **more,
        )

    def instances(self, neurons: int) -> dict[str, int]:
        """How many of each component exist, by name; ``neurons``: membranes that the SRAM holds."""
        arrays, tiles = self.arrays, self.plan.tiles
        converters = arrays * self.adcs
        bits = neurons * self.parameter("neuron", "membrane_bits")
        placed_pes = sum(placed.copies * len(placed.pes) for placed in self.plan.layers if not placed.digital)
        counts = {
            "crossbar": arrays, "driver": arrays * self.model.rows, "mux": converters, "adc": converters,
            "diff": placed_pes, "pe_adder": placed_pes, "tile_adder": tiles, "tile_buffer": tiles, "h_tree": tiles,
            "router": self.topology.nodes, "link": len(self.topology.links),
            "neuron": self.parameter("neuron", "lanes"), "membranes": bits,
        }  # fmt: skip
        return {name: counts.get(name, 1) * part.count for name, part in self.architecture.components.items()}

    def price_list(self, neurons: int) -> PriceList:
        """Everything that turns counts into costs."""
        prices, leakage, area = {}, [], []
        for name, count in self.instances(neurons).items():
            part = self.architecture.components[name]
            for action, price in part.actions.items():
                prices[name, action] = price.quantity
            if count and not self._absent(name):
                area.append(Instances(name, count, part.area))
                if self.options["leakage"]:
                    leakage.append(Instances(name, count, part.leakage))
        return PriceList(prices, leakage, area, self.architecture.technology.tick_s, STATISTICS)

    def counted(self, workload: Workload) -> set[tuple[str, str]]:
        """The actions that a run may count: each must have a price before anything runs."""
        actions = {
            ("crossbar", "read"), ("crossbar", "read_row"), ("driver", "drive"), ("mux", "select"), ("adc", "convert"),
            ("pe_adder", "add"), ("tile_adder", "add"), ("global_adder", "add"), ("tile_buffer", "read"),
            ("tile_buffer", "write"), ("h_tree", "move"), ("router", "flit"), ("link", "flit"),
            ("global_buffer", "read"), ("global_buffer", "write"),
        }  # fmt: skip
        kinds = {layer.neuron.type for layer in workload.layers}
        if kinds & {"lif", "if"}:
            actions |= {("neuron", "update"), ("membranes", "read"), ("membranes", "write")}
        if "relu" in kinds:
            actions.add(("neuron", "activate"))
        if any(layer.bn is not None and layer.bn.per_timestep for layer in workload.layers):
            actions.add(("neuron", "scale"))
        if self.architecture.mapping["encoding"] != "differential_pair":
            actions.add(("diff", "subtract"))
        for layer in workload.layers:
            actions |= pool_actions(layer.op, workload.edge(layer.name).bits) if not layer.has_weights else set()
        if any(placed.digital for placed in self.plan.layers):
            actions.add(("digital", "accumulate"))
        return actions | ({("entropy", "evaluate")} if self.exit_rule else set())

    def convert_price(self) -> Quantity:
        """What one conversion costs."""
        return self.architecture.price("adc", "convert").quantity

    def _absent(self, name: str) -> bool:
        """Units that exist only where something asks for them."""
        if name == "digital":
            return not (self.joins or any(placed.digital for placed in self.plan.layers))
        if name in ("adc", "mux"):
            return not self.options["converters"]
        return name == "entropy" and self.options["early_exit"] is None


def pool_actions(op: str, bits: int) -> set[tuple[str, str]]:
    """What an operation without weights counts."""
    if op in ("avgpool", "sumpool"):
        return {("pool", "add")}
    if op == "maxpool":
        return {("pool", "or" if bits <= 1 else "compare")}
    return {("digital", "add")} if op == "add" else set()


def build(architecture: Architecture, workload: Workload, layers: tuple[int, int] | None) -> Machine:
    """Resolve an architecture of the family 'crossbar' for a workload. Raises SpecError for what does not fit."""
    for name in NEEDED:
        architecture.component(name)
    array = architecture.component("crossbar").parameters
    model = _model(architecture, array)
    made = plan(
        workload, architecture.mapping, rows=model.rows, columns=model.columns, polarities=model.polarities,
        cell_bits=model.cell_bits, layers=layers, where=architecture.where("mapping.replication"),
    )  # fmt: skip
    timing, rounding = _timing(architecture)
    noc = architecture.noc
    topology = fitting(noc["topology"], made.tiles + 1, noc["rows"], noc["columns"], architecture.where("noc"))
    if architecture.component("router").parameters["buffer"] is not None:
        refuse_rings(topology, architecture.where("components.router.buffer"))
    per_adc = architecture.component("mux").parameters["columns_per_adc"]
    _check_sharing(architecture, made.layers)
    return Machine(
        architecture, model, made, timing, topology, architecture.schedule["overlap"], -(-model.columns // per_adc),
        architecture.options, tuple(rounding), any(layer.op == "add" for layer in workload.layers),
    )  # fmt: skip


def _model(architecture: Architecture, array: Mapping[str, Any]) -> ArrayModel:
    options, mapping = architecture.options, architecture.mapping
    device = device_of(architecture)
    if array["variation"] is not None:
        device = device.with_variation(array["variation"], "set:components.crossbar.variation")
    codes = 2 ** architecture.component("adc").parameters["bits"] - 1 if options["converters"] else 0
    gated = options["silent_rows"] == "gated"
    curved = options["cell"] == "device" and device.iv != "linear"
    return ArrayModel(
        rows=array["rows"], columns=array["columns"], polarities=polarities_of(mapping["encoding"]), device=device,
        cell_bits=array["cell_bits"],
        resistances=(array["driver"], array["row_wire"], array["column_wire"], array["sense"]),
        terminals=options["terminals"], scheme=mapping["encoding"], inversion=mapping["inversion"],
        age_s=options["age"], gain=options["gain"], gated=gated,
        read_noise=options["read_noise"], codes=codes, law=device.iv if curved else OHMIC,
        v0=device.v0_V if curved else 0.0, volts=array["read_voltage"],
        gain_reads=options["gain_reads"] or ("calibration" if gated else "all_rows"),
    )  # fmt: skip


def _timing(architecture: Architecture) -> tuple[Timing, list[str]]:
    tick = Fraction(architecture.technology.tick_s).limit_denominator(10**15)
    rounding: list[str] = []
    problems: list[Problem] = []

    def ticks(component: str, parameter: str, least: int = 1) -> int:
        seconds = architecture.component(component).parameters[parameter]
        exact = Fraction(seconds).limit_denominator(10**15) / tick
        whole = max(least, math.ceil(exact))
        if whole != exact:
            rounding.append(f"{component}.{parameter}: {float(exact):.4g} ticks rounded up to {whole}")
        if whole > MAXIMUM_TICKS:
            place, found = f"components.{component}.{parameter}", f"{whole:,} ticks of the clock"
            problems.append(architecture.problem(place, f"expected at most {MAXIMUM_TICKS:,} ticks, found {found}"))
        return whole

    entropy = architecture.components.get("entropy")
    timing = Timing(
        ticks("driver", "drive_time"), ticks("crossbar", "read_time"), ticks("adc", "conversion_time"),
        ticks("diff", "combine_time"), ticks("h_tree", "latency"), ticks("router", "latency"), ticks("link", "latency"),
        ticks("neuron", "update_time"), entropy.parameters["cycles_per_class"] if entropy else 1,
    )  # fmt: skip
    if problems:
        raise SpecError(problems)
    return timing, rounding


def _check_sharing(architecture: Architecture, layers: Iterable[Placed]) -> None:
    share = architecture.options["lif_sharing"]
    for placed in layers:
        if share > 1 and placed.layer.neuron.spiking and share > placed.geometry.M:
            raise SpecError(
                architecture.problem(
                    "options.lif_sharing", f"layer {placed.name} has {placed.geometry.M} channels; {share} cannot share"
                )
            )
