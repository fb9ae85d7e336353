"""What the parts of a neuromorphic machine declare, and the family's network, mapping and options.

A chip is cores of neurons with their synapses, a scheduler in each core, a synchronisation, an input port, and a
network on chip or fixed channels between cores. Several chips of one family differ in these parameters only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from hwsim import units
from hwsim.components import registry
from hwsim.components.registry import Action, Bits, Count, Family, Parameters, Seconds, Unit, Width, component, family
from hwsim.errors import SpecError
from hwsim.kernels.policies import Fifo, LayerOrder, Momentum, Random, RoundRobin

FAMILY = "neuromorphic"
FAMILIES = (FAMILY,)
OPERANDS = ("weights", "spikes", "membranes")
GROUPS = ("layer", "core")


def _group(value: Any) -> int | str:
    """F, checked."""
    if type(value) is int and value >= 1:
        return value
    if isinstance(value, str) and value in GROUPS:
        return value
    raise ValueError(f"expected a whole number > 0, 'layer' or 'core', found {value!r}")


@component("neuromorphic_core", families=FAMILIES)
class NeuromorphicCore:
    """One core: input queue, synapse memory, neuron pipeline, axon output. ``count``: how many the chip has;
    area and leakage are those of one. Times of zero are allowed; a turn takes at least one tick.
    """

    class Parameters(registry.Parameters):
        neurons: Count
        """Neurons that a core holds."""
        axons_in: Count | None = None
        """Senders outside the core whose spikes it takes; null: any number."""
        axons_out: Count | None = None
        """Pairs of a neuron and a core that it sends to; null: any number."""
        synapse_memory: Bits
        weight_bits: Width
        state_bits: Width
        """Of a membrane; its largest value is compared with it, nothing is clipped."""
        shared_kernels: bool = True
        """Whether the weights of a convolution are stored once per core, or once per synapse."""
        group: Annotated[Any, AfterValidator(_group)] = 8
        """F: spikes that a turn takes and sends; layer: as many as the widest layer has neurons; core: as its core has.
        """
        input_queue: Count | None = None
        """Messages of other cores that wait in a core; null: any number."""
        output_slots: Count | None = None
        """Messages that wait for the network; null: any number."""
        lanes: Count = 1
        """Synapses that are read at once."""
        zeros: Literal["skipped", "processed"] = "skipped"
        """processed: all synapses and neurons of a layer are computed whenever it is evaluated (phases only)."""
        axon_in_time: Seconds
        synapse_time: Seconds
        update_time: Seconds
        idle_update_time: Seconds
        spike_time: Seconds
        axon_out_time: Seconds
        wake_time: Seconds = 0.0
        power_gated: bool = False
        """Whether a core's supply is switched off while it has no turn."""
        gated_leakage: Annotated[float, Field(ge=0, le=1)] = 0.0
        """Share of its leakage that a core keeps then."""

    actions: ClassVar = {
        "axon_in": Action("a spike taken from the input queue"),
        "synapse": Action("a synapse read and added"),
        "update": Action("a neuron that got current evaluated"),
        "idle_update": Action("a mapped neuron that goes on to the next timestep"),
        "spike": Action("a neuron that fired"),
        "axon_out": Action("a message sent to another core"),
        "wake": Action("a core switched on", required=False),
    }


class SchedulerParameters(registry.Parameters):
    """Times of a scheduler; choosing one spike takes ``choose_time``."""

    choose_time: Seconds


class Scheduler:
    """Chooses the spikes that a turn sends. One per core; area and leakage are those of one."""

    Parameters = SchedulerParameters
    actions: ClassVar = {
        "insert": Action("a spike put into the spike queue"),
        "choose": Action("a spike taken out of it"),
    }
    policy: ClassVar[Any]

    @classmethod
    def make(cls, parameters: dict[str, Any]) -> Any:
        """The policy."""
        return cls.policy()


@component("random_arbiter", families=FAMILIES)
class RandomArbiter(Scheduler):
    """An arbiter tree that lets any waiting spike through."""

    policy = Random


@component("fifo_scheduler", families=FAMILIES)
class FifoScheduler(Scheduler):
    """The spike that has waited longest."""

    policy = Fifo


@component("round_robin_arbiter", families=FAMILIES)
class RoundRobinArbiter(Scheduler):
    """The next neuron in turn."""

    policy = RoundRobin


@component("layer_scheduler", families=FAMILIES)
class LayerScheduler(Scheduler):
    """The lowest layer first."""

    policy = LayerOrder


@component("momentum_queue", families=FAMILIES)
class MomentumQueue(Scheduler):
    """A priority queue: the highest potential at crossing first. Of n waiting spikes one is chosen in choose_time +
    ceil(log2(n + 1)) x level_time."""

    class Parameters(SchedulerParameters):
        level_time: Seconds = 0.0
        noise: Annotated[float, Field(ge=0)] = 0.0
        """Uniform in [0, noise), added to the potential."""

    @classmethod
    def make(cls, parameters: dict[str, Any]) -> Any:
        """The policy with its noise."""
        return Momentum(parameters["noise"])


@component("asynchronous", families=FAMILIES, physical=False)
class Asynchronous:
    """No synchronisation: a core works whenever it has something to do."""

    class Parameters(registry.Parameters):
        input: Literal["when_quiet", "period"] = "when_quiet"
        """when_quiet: a frame of the input enters when nothing of the one before is left (an observer that costs
        nothing sees that); period: every ``period``."""
        period: Annotated[float, Unit("s"), Field(gt=0)] | None = None

    actions: ClassVar[dict[str, Action]] = {}


@component("barrier", families=FAMILIES, physical=False)
class Barrier:
    """Phases: the next one starts when all turns are done, all messages delivered, and the latency has passed."""

    class Parameters(registry.Parameters):
        per: Literal["layer", "timestep"] = "layer"
        """layer: one layer is evaluated in each phase; timestep: all are, layer l at timestep phase - l."""
        latency: dict[str, str]
        """Cores (or routers with mapped cores) from which on a latency holds: {1: 600 ns, 4: 1.4 us}."""
        by: Literal["cores", "routers"] = "cores"

    actions: ClassVar = {"barrier": Action("a barrier, per mapped core")}


@component("timer", families=FAMILIES, physical=False)
class Timer:
    """Phases that start at fixed intervals; what comes late is taken in the next one."""

    class Parameters(registry.Parameters):
        interval: Annotated[float, Unit("s"), Field(gt=0)]

    actions: ClassVar = {"tick": Action("a tick of the timer, per mapped core")}


@component("input_port", families=FAMILIES)
class InputPort:
    """Hands the events of the input to the cores of the first layer, one after the other, outside the network."""

    class Parameters(registry.Parameters):
        event_time: Seconds

    actions: ClassVar = {"event": Action("an event of the input handed to a core")}


@component("core_channel", families=FAMILIES)
class CoreChannel:
    """A fixed channel between any two cores, without contention (``noc.kind: none``). Area and leakage: of all."""

    class Parameters(registry.Parameters):
        latency: Seconds

    actions: ClassVar = {"message": Action("a message moved to another core")}


@component("chip_overhead", families=FAMILIES)
class ChipOverhead:
    """Area and leakage of the chip that no other component has."""

    class Parameters(registry.Parameters):
        pass

    actions: ClassVar[dict[str, Action]] = {}


SCHEDULERS = ("random_arbiter", "momentum_queue", "fifo_scheduler", "round_robin_arbiter", "layer_scheduler")
SYNCHRONISATIONS = ("asynchronous", "barrier", "timer")


class Noc(Parameters):
    """The network between cores. ``rows`` x ``columns`` 0: the smallest near-square that holds the chip's cores."""

    kind: Literal["mesh", "torus", "tree", "none"] = "none"
    rows: Annotated[int, Field(ge=0)] = 0
    columns: Annotated[int, Field(ge=0)] = 0
    cores_per_router: Count = 1
    multicast: bool = False
    """Whether a spike for several cores is one message."""


class Mapping(Parameters):
    """How layers are laid onto cores: in order, each split over as many cores as it needs."""

    share_cores: bool = False
    """Whether a layer may begin on a core that holds neurons of the one before."""


class Options(Parameters):
    """Options of neuromorphic machines; ``stop``, ``carry`` and ``prioritise_input`` act without synchronisation."""

    prioritise_input: bool = True
    """Whether a frame of the input is taken at once; else its events compete with spikes for the slots of a group."""
    refractory: bool = True
    """Whether a neuron that fired rests until the next timestep."""
    stop: Literal["done", "output"] = "done"
    """output: a timestep ends ``steps_after`` turns after the first output spike."""
    steps_after: Annotated[int, Field(ge=0)] = 1
    carry: bool = False
    """Whether spikes that a stop finds waiting are sent in the next timestep; else they are dropped."""
    capacity: Literal["as_built", "scaled"] = "as_built"
    """as_built: what does not fit is refused; scaled: cores and memory are added at the chip's own unit prices."""
    leakage: bool = True


class Schedule(Parameters):
    """What decides the order of work."""

    order: Literal["events"]


NEEDED = ("core", "scheduler", "sync", "input")
"""Components that every machine has, by name."""
_KINDS = {"core": ("neuromorphic_core",), "scheduler": SCHEDULERS, "sync": SYNCHRONISATIONS, "input": ("input_port",)}


def barrier_table(architecture: Any) -> dict[int, float]:
    """Cores from which on a latency holds -> seconds. Raises ``SpecError``."""
    table = {}
    for cores, text in architecture.components["sync"].parameters["latency"].items():
        place = f"components.sync.latency.{cores}"
        if not cores.isdigit() or int(cores) < 1:
            raise SpecError(architecture.problem(place, f"expected a number of cores, found '{cores}'"))
        try:
            table[int(cores)] = units.parse(text, "s")
        except SpecError as error:
            raise SpecError(architecture.problem(place, error.problems[0].message)) from error
    if 1 not in table:
        hint = "The table begins with 1: the latency with one core."
        raise SpecError(architecture.problem("components.sync.latency", "no latency for 1 core", hint))
    return table


def _fits(name: str, class_name: str) -> bool:
    """Whether a component of that name may be of that class; a scheduler may be a user's own."""
    own = registry.catalogue().components[class_name].implementation
    return class_name in _KINDS[name] or (name == "scheduler" and issubclass(own, Scheduler))


def _check(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    """What no single value shows."""
    parts = architecture.components
    for name, part in parts.items():
        if name in _KINDS and not _fits(name, part.class_name):
            report(f"components.{name}.class", f"'{name}' cannot be a {part.class_name}",
                   f"Classes for it: {', '.join(_KINDS[name])}.")  # fmt: skip
        if name != "core" and part.count != 1:
            report(f"components.{name}.count", "how many there are follows from core.count and the network",
                   "Leave count out.")  # fmt: skip
    if not set(NEEDED) <= set(parts):
        return
    sync, core = parts["sync"], parts["core"].parameters
    if sync.class_name == "asynchronous":
        if (sync.parameters["input"] == "period") != (sync.parameters["period"] is not None):
            report("components.sync", "'input: period' and a 'period' are given together", "Give both, or neither.")
        if core["zeros"] == "processed":
            report("components.core.zeros", "a core without synchronisation computes what it gets: zeros are skipped",
                   "Use a barrier or a timer, or 'zeros: skipped'.")  # fmt: skip
    elif sync.class_name == "barrier":
        try:
            barrier_table(architecture)
        except SpecError as error:
            for problem in error.problems:
                report("components.sync.latency", problem.message, problem.hint)
    _check_network(architecture, report)


def _check_network(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    noc, parts = architecture.noc, architecture.components
    if bool(noc["rows"]) != bool(noc["columns"]):
        report("noc", "rows and columns of the NoC are given together, or neither", "Leave both out to fit the cores.")
    if noc["kind"] == "none" and parts["core"].parameters["input_queue"] is not None:
        report("components.core.input_queue", "without a network on chip no message can be made to wait",
               "Leave it out, or give the noc a kind.")  # fmt: skip
    if "router" in parts and parts["router"].parameters.get("source_queue") is not None:
        report("components.router.source_queue", "a core's messages wait in its output slots",
               "Use core.output_slots.")  # fmt: skip
    if noc["kind"] != "none":
        missing = [name for name in ("router", "link") if name not in parts]
        if missing:
            report("noc.kind", f"a {noc['kind']} needs the components router and link: {' and '.join(missing)} missing",
                   "Add them, or use 'kind: none'.")  # fmt: skip


NEUROMORPHIC = family(
    Family(
        FAMILY,
        {"event-driven": {"order": "events"}},
        Schedule,
        Options,
        OPERANDS,
        blocks={"noc": Noc, "mapping": Mapping},
        check=_check,
    )
)
