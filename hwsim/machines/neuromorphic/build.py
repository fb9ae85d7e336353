"""From an architecture and a workload to a neuromorphic machine: ticks, cores with neurons, synchronisation, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.architecture import Architecture
from hwsim.architecture.describe import latency_ticks
from hwsim.components import registry
from hwsim.components.neuromorphic import NEEDED, barrier_table
from hwsim.components.topology import Topology, fitting
from hwsim.components.vc_router import noc_parameters
from hwsim.cost import Instances, PriceList
from hwsim.errors import Problem, SpecError
from hwsim.kernels.connections import CELLS, FIRST_NEURON, Network
from hwsim.kernels.core_state import ASYNCHRONOUS, PER_LAYER, PER_TIMESTEP, Ticks
from hwsim.kernels.noc_tables import noc_tables
from hwsim.machines.neuromorphic.calendar import BARRIER, PERIOD, TIMER, WHEN_QUIET
from hwsim.machines.neuromorphic.connect import connect
from hwsim.machines.neuromorphic.mapping import Limits, Placement, place
from hwsim.machines.neuromorphic.setup import Routing, Setup
from hwsim.machines.neuromorphic.stored import Stored, store
from hwsim.machines.neuromorphic.tables import Rules, Sets, make_chip, set_list
from hwsim.workload.model import Workload

MAXIMUM_TICKS = 10**12
"""Of one latency."""
STATISTICS = ("masked", "propagated", "left", "late", "dropped")
"""Counted and reported, but no actions of the hardware."""
POWERED = "powered"
"""Counted where cores are switched off between turns: ticks in which a core is on."""


@dataclass(frozen=True)
class Machine:
    """A neuromorphic machine made for one workload."""

    architecture: Architecture
    stored: Stored
    network: Network
    placement: Placement
    setup: Setup
    topology: Topology | None
    rounding: tuple[str, ...]

    def parameter(self, component: str, name: str) -> Any:
        """A parameter of a component."""
        return self.architecture.components[component].parameters[name]

    @property
    def options(self) -> Mapping[str, Any]:
        """The architecture's options."""
        return self.architecture.options

    @property
    def sync(self) -> str:
        """Class of the synchronisation."""
        return self.architecture.components["sync"].class_name

    @property
    def growth(self) -> float:
        """Factor of a core's area and leakage where ``capacity: scaled`` enlarged it."""
        return max(self.placement.memory, self.placement.room)

    def instances(self) -> dict[str, int]:
        """How many of each component exist, by name."""
        routed = self.topology is not None
        counts = {"core": self.placement.cores, "scheduler": self.placement.cores, "channel": int(not routed)}
        counts |= {"router": 0, "link": 0}
        if self.topology is not None:
            counts |= {"router": self.topology.nodes, "link": len(self.topology.links)}
        return {name: counts.get(name, 1) for name in self.architecture.components}

    def price_list(self) -> PriceList:
        """Everything that turns counts into costs."""
        prices, leakage, area = {}, [], []
        tick_s = self.architecture.technology.tick_s
        for name, count in self.instances().items():
            part = self.architecture.components[name]
            grown = self.growth if name == "core" else 1.0
            for action, price in part.actions.items():
                prices[name, action] = price.quantity
            if not count:  # the parts of the other way to connect cores
                continue
            area.append(Instances(name, count, part.area.times(grown)))
            always = 1.0
            if name == "core" and self.gated:
                always = self.parameter("core", "gated_leakage")
                prices[name, POWERED] = part.leakage.times(grown * (1 - always) * tick_s)
            if self.options["leakage"]:
                leakage.append(Instances(name, count, part.leakage.times(grown * always)))
        statistics = frozenset(("core", action) for action in STATISTICS)
        return PriceList(prices, leakage, area, tick_s, statistics)

    @property
    def gated(self) -> bool:
        """Whether cores are switched off between turns, and their leakage is known."""
        part = self.architecture.components["core"]
        return bool(part.parameters["power_gated"]) and bool(self.options["leakage"])

    def counted(self) -> set[tuple[str, str]]:
        """The actions that a run may count: each must have a price before anything runs."""
        core = {"axon_in", "synapse", "update", "idle_update", "spike"}
        if self.placement.mapped > 1:
            core.add("axon_out")
        if self.parameter("core", "power_gated"):
            core.add("wake")
        actions = {("core", action) for action in core}
        actions |= {("scheduler", "insert"), ("scheduler", "choose"), ("input", "event")}
        if self.sync != "asynchronous":
            actions.add(("sync", "barrier" if self.sync == "barrier" else "tick"))
        if self.topology is not None:
            actions |= {("router", "flit"), ("link", "flit_ew"), ("link", "flit_ns"), ("link", "flit_local")}
        elif self.placement.mapped > 1:
            actions.add(("channel", "message"))
        return actions


def build(architecture: Architecture, workload: Workload, timesteps: int) -> Machine:
    """Resolve an architecture of this family for a workload. Raises ``SpecError`` for what does not fit."""
    for name in NEEDED:
        architecture.component(name)
    core = architecture.component("core").parameters
    stored = store(workload, core["weight_bits"], timesteps)
    network = connect(stored)
    placement = _place(architecture, stored, network)
    ticks, rounding = _ticks(architecture)
    setup, topology = _setup(architecture, network, placement, ticks)
    _check_slots(architecture, setup)
    return Machine(architecture, stored, network, placement, setup, topology, tuple(rounding))


def _place(architecture: Architecture, stored: Stored, network: Network) -> Placement:
    part = architecture.component("core")
    core, connected = part.parameters, architecture.noc["kind"] != "none" or "channel" in architecture.components
    limits = Limits(
        cores=part.count, neurons=core["neurons"], synapse_bits=core["synapse_memory"], weight_bits=core["weight_bits"],
        axons_in=core["axons_in"], axons_out=core["axons_out"], shared_kernels=core["shared_kernels"],
        share_cores=architecture.mapping["share_cores"],
    )  # fmt: skip
    names = [layer.name for layer in stored.layers]
    placement = place(network, names, limits, scaled=architecture.options["capacity"] == "scaled",
                      more_cores=connected or part.count > 1, where=architecture.where("components.core"),
                      workload=stored.workload.name)  # fmt: skip
    if placement.mapped > 1 and not connected:
        raise SpecError(architecture.problem(
            "noc.kind", f"{placement.mapped} cores have nothing to connect them",
            "Give the noc a kind, or add a component 'channel' of class core_channel."))  # fmt: skip
    return placement


def _ticks(architecture: Architecture) -> tuple[dict[str, int], list[str]]:
    """Ticks of every time, by 'component.parameter'; and what was rounded up."""
    tick_s, problems = architecture.technology.tick_s, []
    found: dict[str, int] = {}
    rounding: list[str] = []
    for name, part in architecture.components.items():
        for key, quantity in part.quantities.items():
            if quantity.unit != "s":
                continue
            whole = latency_ticks(quantity.value, tick_s)
            found[f"{name}.{key}"] = whole
            if whole > MAXIMUM_TICKS:
                text = f"expected at most {MAXIMUM_TICKS:,} ticks, found {whole:,}"
                problems.append(architecture.problem(f"components.{name}.{key}", text))
            elif abs(whole - quantity.value / tick_s) > 1e-6:
                rounding.append(f"{name}.{key}: {quantity.value / tick_s:.4g} ticks rounded up to {whole}")
    if problems:
        raise SpecError(problems)
    return found, rounding


def _setup(
    architecture: Architecture, network: Network, placement: Placement, ticks: Mapping[str, int]
) -> tuple[Setup, Topology | None]:
    core, options, noc = architecture.component("core").parameters, architecture.options, architecture.noc
    sync, scheduler = architecture.component("sync"), architecture.component("scheduler")
    topology = _topology(architecture, placement)
    kind, order, interval, latency = _synchronisation(architecture, placement, ticks)
    rules = Rules(
        order=order, group=_group(core["group"], network), refractory=options["refractory"],
        processed=core["zeros"] == "processed", multicast=noc["multicast"], stop=options["stop"] == "output",
        steps_after=options["steps_after"], carry=options["carry"], prioritise=options["prioritise_input"],
        gated=core["power_gated"], routed=topology is not None,
    )  # fmt: skip
    times = {name: ticks.get(f"core.{name}_time", 0) for name in
             ("axon_in", "synapse", "update", "idle_update", "spike", "axon_out", "wake")}  # fmt: skip
    chip = make_chip(network, placement.first, Ticks(
        axon_in=times["axon_in"], lanes=core["lanes"], synapse=times["synapse"], update=times["update"],
        idle=times["idle_update"], spike=times["spike"], choose=ticks.get("scheduler.choose_time", 0),
        level=ticks.get("scheduler.level_time", 0), axon_out=max(1, times["axon_out"]), wake=times["wake"],
    ), rules)  # fmt: skip
    policy = registry.catalogue().components[scheduler.class_name].implementation.make(scheduler.parameters)  # type: ignore[attr-defined]
    sets = set_list(network, placement.first) if rules.multicast and rules.routed else []
    routing = None if topology is None else _routing(architecture, topology, sets, ticks)
    made = Setup(
        network=network, chip=chip, policy=policy, kind=kind, interval=interval, latency=latency,
        channel_ticks=ticks.get("channel.latency", 0), event_ticks=ticks.get("input.event_time", 0),
        output_slots=core["output_slots"], routing=routing, sets=sets,
        where=architecture.where("components.core.input_queue"),
    )  # fmt: skip
    assert sync.class_name in ("asynchronous", "barrier", "timer")
    return made, topology


def _routing(architecture: Architecture, topology: Topology, sets: Sets, ticks: Mapping[str, int]) -> Routing:
    """The network on chip. Raises ``SpecError`` for one that cannot work, with the place in the architecture."""
    router, link = (architecture.component(name).parameters for name in ("router", "link"))
    noc = architecture.noc
    try:
        parameters = noc_parameters({key: router[key] for key in router if key != "cycle"}, dict(link),
                                    multicast=noc["multicast"], cores_per_router=noc["cores_per_router"])  # fmt: skip
        tables = noc_tables(topology, parameters, sets)
    except SpecError as error:
        owner = {key: f"components.{name}" for name in ("link", "router") for key in (link, router)[name == "router"]}
        placed = []
        for problem in error.problems:
            block, _, key = problem.where.partition(".")
            place = architecture.where(f"{owner.get(key, block)}.{key}".rstrip("."))
            placed.append(Problem(place, problem.message, problem.hint))
        raise SpecError(placed) from error
    return Routing(tables, max(1, ticks["router.cycle"]), architecture.component("core").parameters["input_queue"])


def _group(group: int | str, network: Network) -> int | None:
    """F: a number; as many as the widest layer has; None: as the core has."""
    if isinstance(group, int):
        return group
    return int(np.diff(network.layer[:, FIRST_NEURON]).max()) if group == "layer" else None


def _synchronisation(
    architecture: Architecture, placement: Placement, ticks: Mapping[str, int]
) -> tuple[int, int, int, int]:
    """(kind, what a core's time is, interval, latency) in ticks."""
    sync = architecture.component("sync")
    if sync.class_name == "asynchronous":
        periodic = sync.parameters["input"] == "period"
        return (PERIOD if periodic else WHEN_QUIET), ASYNCHRONOUS, max(1, ticks.get("sync.period", 1)), 1
    if sync.class_name == "timer":
        return TIMER, PER_TIMESTEP, max(1, ticks["sync.interval"]), 1
    order = PER_LAYER if sync.parameters["per"] == "layer" else PER_TIMESTEP
    mapped = placement.mapped
    if sync.parameters["by"] == "routers":
        mapped = -(-mapped // architecture.noc["cores_per_router"])
    table = barrier_table(architecture)
    seconds = table[max(cores for cores in table if cores <= mapped)]
    # one tick of it goes by before the barrier sees that all is done
    return BARRIER, order, 0, max(1, latency_ticks(seconds, architecture.technology.tick_s) - 1)


def _topology(architecture: Architecture, placement: Placement) -> Topology | None:
    noc = architecture.noc
    if noc["kind"] == "none":
        return None
    places = -(-placement.cores // noc["cores_per_router"])
    grown = placement.cores > architecture.component("core").count and places > noc["rows"] * noc["columns"]
    rows, columns = (0, 0) if grown else (noc["rows"], noc["columns"])
    return fitting(noc["kind"], places, rows, columns, architecture.where("noc"))


def _check_slots(architecture: Architecture, setup: Setup) -> None:
    """A turn must find room for all its messages at least in an empty machine."""
    from hwsim.kernels.core_state import NEEDED_SLOTS

    slots = architecture.component("core").parameters["output_slots"]
    most = int(setup.chip.core[:, NEEDED_SLOTS].max())
    if slots is not None and most > slots:
        where = architecture.where("components.core.output_slots")
        text = f"a turn sends up to {most:,} messages (F x destinations); a core has {slots:,} output slots"
        raise SpecError(Problem(where, text, "Give it more, a smaller group, or leave output_slots out."))


__all__ = ["CELLS", "POWERED", "STATISTICS", "Machine", "build"]
