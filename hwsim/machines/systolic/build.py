"""From an architecture to a systolic machine: everything resolved to integers, ticks and prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hwsim.architecture import Architecture
from hwsim.cost import Instances, PriceList, bounds, standard_deviation
from hwsim.errors import Problem, SpecError
from hwsim.kernels.tile import UNLIMITED, ArrayConfig
from hwsim.machines.systolic.dataflow import Dataflow, name_of
from hwsim.machines.systolic.layers import LayerWork
from hwsim.machines.systolic.plan import OPERANDS, Schedule
from hwsim.network.exit import ExitRule
from hwsim.network.freeze import Frozen
from hwsim.network.numerics import Numerics
from hwsim.units import Quantity
from hwsim.workload.model import Workload

SPIKE_WORD_BITS = 8
"""Timesteps that one spike word holds at most: the spike scratchpad is addressed by bytes."""


@dataclass(frozen=True)
class Dram:
    """The DRAM channel in ticks; ``bits_per_tick`` None: unlimited."""

    name: str
    burst_bits: int
    bits_per_tick: Fraction | None
    latency_ticks: int


@dataclass(frozen=True)
class Buffer:
    """One on-chip buffer."""

    name: str
    capacity_bits: int
    line_bits: int
    read_ports: int
    write_ports: int


@dataclass(frozen=True)
class Machine:
    """A systolic machine. ``buffers`` maps weights, inputs, outputs to the buffer that holds them."""

    architecture: Architecture
    dataflow: Dataflow
    dram: Dram
    srams: tuple[Buffer, ...]
    buffers: Mapping[str, str]
    membrane_in_buffer: bool
    rows: int
    columns: int
    spad_slice: int
    fold_overlap: bool
    psum_bits_least: int
    psum_fixed: bool
    psum_spad_bits: int
    weight_bits: int
    membrane_bits: int
    share: int
    options: Mapping[str, Any]
    entropy_ticks: int
    rounding: tuple[str, ...]
    """What was rounded up to whole ticks, in words."""

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.rows * self.columns

    @property
    def lif_units(self) -> int:
        """Number of LIF units."""
        return self.pes // self.share

    @property
    def mac(self) -> bool:
        """Whether inputs of several bits are taken whole, by PEs with multipliers."""
        return bool(self.options["direct_input"] == "mac")

    @property
    def double_buffering(self) -> bool:
        """Whether a streamed operand has two blocks."""
        return bool(self.options["double_buffering"])

    @property
    def exit_rule(self) -> ExitRule | None:
        """When a sample may stop early; only at ends of the dataflow's blocks."""
        early = self.options["early_exit"]
        if early is None:
            return None
        return ExitRule(early["threshold"], math.lcm(early["block"], self.dataflow.block))

    def numerics(self, timesteps: int) -> Numerics:
        """What the machine does to the network's function."""
        membrane = self.options["membrane"]
        return Numerics(
            membrane_bits=self.membrane_bits,
            membrane_step_fraction=membrane["step_fraction"],
            membrane_rounding=membrane["rounding"],
            membrane_saturate=membrane["saturate"],
            lif_sharing=self.share,
            timesteps=timesteps,
        )

    def psum_bits(self, workload: Workload, frozen: Frozen | None) -> dict[str, int]:
        """Width of a partial sum, by layer: the least multiple of 8 that holds its worst sum, at least the PE's own.

        Raises SpecError where the PE cannot hold it: the sums of an accumulator never saturate.
        """
        widths, problems = {}, []
        for layer in workload.weighted:
            need = frozen.layers[layer.name].psum_bits if frozen is not None else 0
            width = max(self.psum_bits_least, need)
            limit = self.psum_bits_least if self.psum_fixed else self.psum_spad_bits
            if need > limit:
                problems.append(
                    self.architecture.problem(
                        "components.pe",
                        f"layer {layer.name} of {workload.name} has partial sums of up to {need} bits; "
                        f"the PE holds {limit} bits",
                        f"Set pe.psum_{'bits' if self.psum_fixed else 'spad'} to at least {need} bit."
                        if self.psum_fixed
                        else f"A psum_spad of at least {need} bit is needed.",
                    )
                )
            widths[layer.name] = width
        if problems:
            raise SpecError(problems)
        return widths

    def array_config(self, schedule: Schedule) -> ArrayConfig:
        """The array as one layer's tile calls see it."""
        return self._configs(schedule.work, schedule.per_fold)

    def _configs(self, work: LayerWork, per_fold: int) -> ArrayConfig:
        ports = [buffer for buffer in self.srams if buffer.name in self.buffers.values()]
        names = [buffer.name for buffer in self.srams]
        weights, inputs, outputs = (names.index(self.buffers[operand]) for operand in OPERANDS)
        return ArrayConfig(
            rows=self.rows, columns=self.columns, spad_slice=self.spad_slice, line_bits=ports[0].line_bits,
            read_ports=min((b.read_ports for b in ports), default=UNLIMITED),
            write_ports=min((b.write_ports for b in ports), default=UNLIMITED), psum_bits=work.psum_bits,
            weight_bits=work.weight_bits, membrane_bits=self.membrane_bits, lif_sharing=self.share,
            fold_overlap=self.fold_overlap, zero_spikes=self.options["zero_spikes"],
            zero_weights=self.options["zero_weights"], timesteps_per_fold=per_fold, mac=work.mac,
            buffer_of=(weights, inputs, outputs),
        )  # fmt: skip

    def accumulate_price(self) -> Quantity:
        """What one accumulation costs alone: its register, and one cycle of adder and gate."""
        parts = [self.architecture.price("pe", action).quantity for action in ("accumulate", "clock")]
        error = math.hypot(*(standard_deviation(part) for part in parts))
        return Quantity(sum(part.value for part in parts), error, 0.0, parts[0].source, "J")

    def price_list(self) -> PriceList:
        """Everything that turns counts into costs. Components that no option uses still have area and leak."""
        prices, leakage, area = {}, [], []
        for name, part in self.architecture.components.items():
            for action, price in part.actions.items():
                prices[name, action] = price.quantity
            if self._absent(name):
                continue
            area.append(Instances(name, part.count, part.area))
            if self.options["leakage"]:
                leakage.append(Instances(name, part.count, part.leakage))
        return PriceList(
            prices, leakage, area, self.architecture.technology.tick_s, off_chip=frozenset({self.dram.name})
        )

    def counted(self, works: list[LayerWork]) -> set[tuple[str, str]]:
        """The actions that a run of these layers may count: each must have a price before anything runs."""
        actions = {(self.dram.name, "read"), (self.dram.name, "write"), ("pe", "clock"), ("lif", "clock")}
        actions |= {(name, action) for name in self.buffers.values() for action in ("read", "write")}
        spads = ("weight_spad", "spike_spad", "psum_spad")
        actions |= {("pe", f"{spad}_{action}") for spad in spads for action in ("read", "write")}
        for work in works:
            actions |= {("pe", "accumulate")} | ({("multiplier", "multiply")} if work.mac else set())
            actions |= {("pe", "shift")} if work.planes > 1 else set()
            actions |= {("lif", "update")} if work.spiking else set()
            actions |= {("lif", "scale")} if work.scaled else set()
            actions |= {("pe", "activate")} if work.neuron == "relu" else set()
            largest = "compare" if work.output_bits > 1 else "or"
            actions |= {("pool", largest if kind == "maxpool" else "add") for kind, *_ in work.pool}
        if "skipped" in (self.options["zero_spikes"], self.options["zero_weights"]):
            actions.add(("zero_detector", "detect"))
        return actions | ({("entropy", "evaluate")} if self.exit_rule else set())

    def _absent(self, name: str) -> bool:
        """Units that exist only where an option asks for them."""
        if name == "multiplier":
            return not self.mac
        if name == "zero_detector":
            return "skipped" not in (self.options["zero_spikes"], self.options["zero_weights"])
        return name == "entropy" and self.options["early_exit"] is None


def build(architecture: Architecture, dataflow: Dataflow | None = None) -> Machine:
    """Resolve an architecture of the family 'systolic'. Raises SpecError for what no single value shows."""
    need = architecture.component
    dram, array, pe, lif = need("dram"), need("array"), need("pe"), need("lif")
    tick = Fraction(architecture.technology.tick_s).limit_denominator(10**15)
    schedule = architecture.schedule
    pair = (schedule["stationary"], schedule["time"], schedule.get("block") or 1)
    flow = dataflow or Dataflow(name_of(*pair), *pair)
    names = _buffers(architecture)
    latency, rounding = _ticks(dram.parameters["latency"], tick, "dram.latency")
    options = architecture.options
    entropy = architecture.components.get("entropy")
    if options["early_exit"] is not None and entropy is None:
        raise SpecError(
            architecture.problem(
                "options.early_exit",
                "early exit needs an entropy unit",
                "Add a component 'entropy' of class entropy_unit.",
            )
        )
    if options["hold_current"] and not (flow.stationary == "output" and flow.time in ("inner", "block")):
        raise SpecError(
            architecture.problem(
                "options.hold_current",
                f"a current can be held only where its timesteps run inside a tile, output-stationary; with "
                f"'{flow.name}' it would have to wait outside the PE between timesteps",
                "Use the dataflow tick-batch or os/block:N, or leave hold_current off.",
            )
        )
    share = options["lif_sharing"]
    if array.parameters["columns"] % share or array.parameters["rows"] % share:
        raise SpecError(
            architecture.problem(
                "options.lif_sharing",
                f"{share} channels cannot share a LIF unit on an array of {array.parameters['rows']} x "
                f"{array.parameters['columns']} PEs",
                "It must divide both, so that channels that share meet in one fold.",
            )
        )
    return Machine(
        architecture, flow, Dram("dram", dram.parameters["burst"], _bits_per_tick(dram.parameters["bandwidth"], tick),
                                 latency),
        tuple(_buffer(architecture, name) for name in dict.fromkeys(names.values())), names,
        names["outputs"] in architecture.paths["membranes"], array.parameters["rows"], array.parameters["columns"],
        array.parameters["spad_slice"], array.parameters["fold_overlap"], pe.parameters["psum_bits"],
        options["psum_width"] == "fixed", pe.parameters["psum_spad"], pe.parameters["weight_bits"],
        lif.parameters["membrane_bits"], share, options,
        entropy.parameters["cycles_per_class"] if entropy else 0, tuple(rounding),
    )  # fmt: skip


def _buffers(architecture: Architecture) -> dict[str, str]:
    """The buffer next to the array of each operand, from ``paths``."""
    found = {}
    for operand in OPERANDS:
        srams = [
            place
            for place in architecture.paths[operand]
            if place in architecture.components and architecture.components[place].class_name == "sram"
        ]
        if len(srams) != 1:
            raise SpecError(
                architecture.problem(
                    f"paths.{operand}", f"expected one buffer of class sram between array and DRAM, found {len(srams)}"
                )
            )
        found[operand] = srams[0]
    lines = {architecture.component(name).parameters["line"] for name in found.values()}
    if len(lines) > 1:
        raise SpecError(
            architecture.problem(
                "components", f"the array's buffers must have lines of one size, found {sorted(lines)} bits"
            )
        )
    return found


def _buffer(architecture: Architecture, name: str) -> Buffer:
    values = architecture.component(name).parameters
    return Buffer(name, values["capacity"], values["line"], values["read_ports"], values["write_ports"])


def _ticks(seconds: float, tick: Fraction, what: str) -> tuple[int, list[str]]:
    """Whole ticks, rounded up, and a note where that changed something."""
    exact = Fraction(seconds).limit_denominator(10**15) / tick
    ticks = math.ceil(exact)
    return ticks, [] if ticks == exact else [f"{what}: {float(exact):.4g} ticks rounded up to {ticks}"]


def _bits_per_tick(bandwidth: float, tick: Fraction) -> Fraction | None:
    return None if math.isinf(bandwidth) else Fraction(bandwidth).limit_denominator(10**3) * tick


def vary_dram(machine: Machine, parameter: str, value: float) -> Machine:
    """The same machine with another DRAM ``bandwidth`` (bit/s) or ``latency`` (s)."""
    tick = Fraction(machine.architecture.technology.tick_s).limit_denominator(10**15)
    if parameter == "bandwidth":
        return replace(machine, dram=replace(machine.dram, bits_per_tick=_bits_per_tick(value, tick)))
    return replace(machine, dram=replace(machine.dram, latency_ticks=_ticks(value, tick, "")[0]))


UNCERTAIN = ("bandwidth", "latency")
"""Parameters of the DRAM that carry an error and decide when data are there."""


def timing_ends(machine: Machine) -> dict[str, tuple[str, Machine, Machine]]:
    """Uncertain parameters that have an effect: path -> (value, machines at its lower and upper 95 % point)."""
    quantities = machine.architecture.component(machine.dram.name).quantities
    found = {}
    for name in UNCERTAIN:
        quantity = quantities.get(name)
        if quantity is not None and math.isfinite(quantity.value) and (quantity.sigma or quantity.log_sigma):
            low, high = bounds(quantity)
            ends = (vary_dram(machine, name, low), vary_dram(machine, name, high))
            found[f"{machine.dram.name}.{name}"] = (str(quantity), *ends)
    return found


def refuse(architecture: Architecture, works: list[LayerWork], share: int) -> None:
    """What the array cannot do for these layers."""
    problems = []
    for work in works:
        if share > 1 and work.spiking and work.groups > 1 and work.geometry.M % share:
            problems.append(
                Problem(
                    architecture.where("options.lif_sharing"),
                    f"layer {work.name} has groups of "
                    f"{work.geometry.M} channels; {share} cannot share a LIF unit across groups",
                )
            )
    if problems:
        raise SpecError(problems)
