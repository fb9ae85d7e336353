"""What is inside a file, and what hwsim knows: the texts of ``hwsim check`` and ``hwsim list``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from hwsim import workload as workload_files
from hwsim.architecture.describe import describe as describe_architecture
from hwsim.comparison import kind
from hwsim.components import registry
from hwsim.errors import Problem, SpecError
from hwsim.physics.devices import Device, load_device, shipped_devices
from hwsim.report import numbers
from hwsim.report.tables import WIDTH, table
from hwsim.units import show
from hwsim.workload import Layer, Workload

ENDINGS = (".yaml", ".yml", ".npz")


def describe(name: str) -> list[str]:
    """Lines about an architecture or workload file (or shipped name), after checking all of it. Raises SpecError."""
    path = Path(name)
    if path.is_file() and path.suffix not in ENDINGS:
        hint = "a SCALE-Sim topology (.csv) becomes a workload by 'hwsim import'" if path.suffix == ".csv" else ""
        raise SpecError(Problem(name, f"cannot be checked: expected {', '.join(ENDINGS)}", hint))
    if _is_device(path):
        return _wrapped(describe_device(load_device(name)))
    if kind(name) == "arch":
        return _wrapped(describe_architecture(registry.load(name)))
    return list(describe_workload(workload_files.load(name)))


def _is_device(path: Path) -> bool:
    if not path.is_file() or path.suffix not in (".yaml", ".yml"):
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        return any(line.replace(" ", "").startswith("schema:hwsim/device/") for line in stream.read(4096).splitlines())


def describe_device(device: Device) -> list[str]:
    """A memory cell: range, levels, every number with error and source, guesses."""
    levels = "any number of levels" if device.levels is None else f"{device.levels} levels"
    lines = [f"device {device.name}: {show(device.g_min_S, 'S')} to {show(device.g_max_S, 'S')}, {levels}, {device.iv}"]
    lines += [f"  {path}: {quantity} [{quantity.source}]" for path, quantity in device.quantities.items()]
    return [*lines, f"{len(device.quantities)} numbers, {len(device.assumed)} of them assumed"]


def _wrapped(lines: list[str]) -> list[str]:
    """Lines of at most 80 columns; what is carried over stands deeper than its beginning."""
    made: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        made += textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return made


def describe_workload(workload: Workload) -> Iterator[str]:
    """Kind, input, layers with shapes, operations and neurons, sample sets, recorded accuracy."""
    steps, count = numbers.plural(workload.timesteps, "timestep"), numbers.plural(len(workload.layers), "layer")
    yield f"workload {workload.name}: {workload.kind}, {steps}, {count}"
    if workload.kind == "network":
        given = workload.input
        yield f"input {_shape(given.shape)}, {given.encoding}, {given.bits} bit, {workload.classes} classes"
    yield ""
    lines = [_layer(layer) for layer in workload.layers]
    yield table(["layer", "op", ">input", ">output", ">weights", ">operations/T", "neuron"], lines, WIDTH)
    dense = sum(layer.geometry.dense_operations for layer in workload.weighted)
    weights = sum(layer.geometry.weight_count for layer in workload.weighted)
    yield f"\n{numbers.count(weights)} weights, {numbers.count(dense)} accumulates per timestep if nothing were zero"
    for name in workload.sample_sets:
        yield f"samples {name}: {len(workload.samples(name))}"
    if "software_accuracy" in workload.training:
        yield f"accuracy recorded by training: {numbers.percent(workload.training['software_accuracy'])}"


def _layer(layer: Layer) -> list[str]:
    shapes = [layer.name, layer.op, _shape(layer.input_shape), _shape(layer.output_shape)]
    if not layer.has_weights:
        return [*shapes, numbers.NOTHING, numbers.NOTHING, numbers.NOTHING]
    geometry = layer.geometry
    return [*shapes, numbers.count(geometry.weight_count), numbers.count(geometry.dense_operations), layer.neuron.type]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def listing(what: str) -> list[str]:
    """Everything hwsim knows of a kind, by name, with a line or two about each; see ``hwsim list``."""
    entries = sorted(_LISTINGS[what]())
    indent = max((len(name) for name, _ in entries), default=0) + 2
    lines: list[str] = []
    for name, text in entries:
        lines += textwrap.wrap(f"{name:{indent}}{text}", WIDTH, subsequent_indent=" " * indent)
    return lines


def _architectures() -> Iterator[tuple[str, str]]:
    from hwsim import shipped

    for name in shipped.architectures():
        made = registry.load(name)
        yield name, f"{made.family}, {made.dataflow}. {made.description.partition('. ')[0].rstrip('.')}"


def _workloads() -> Iterator[tuple[str, str]]:
    for name in workload_files.shipped():
        found = workload_files.load(name)
        steps, layers = numbers.plural(found.timesteps, "timestep"), numbers.plural(len(found.weighted), "layer")
        yield name, f"{found.kind}, {steps}, {layers} with weights"


def _components() -> Iterator[tuple[str, str]]:
    for name, declared in registry.catalogue().components.items():
        actions = ", ".join(declared.actions) or "no actions"
        yield name, f"{', '.join(declared.families)}: {actions}"


def _devices() -> Iterator[tuple[str, str]]:
    for name in shipped_devices():
        yield name, load_device(name).description.partition(". ")[0].rstrip(".")


def _dataflows() -> Iterator[tuple[str, str]]:
    for family in registry.catalogue().families.values():
        for name, schedule in family.dataflows.items():
            given = (f"{key} {value}" for key, value in schedule.items() if value is not None)
            yield name, f"{family.name}: {', '.join(given)}"


def _profiles() -> Iterator[tuple[str, str]]:
    from hwsim import profiles

    for name in profiles.names():
        profile = profiles.get(name)
        yield name, f"dataflows {', '.join(profile.dataflows)}"
        for option, values in profile.options.items():
            yield f"{name}  profile.{option}", values


def _targets() -> Iterator[tuple[str, str]]:
    from hwsim.reproduce import registry

    for name, target in registry().items():
        yield name, f"{'quick' if target.quick else 'long '}  {target.what}"


_LISTINGS = {
    "architectures": _architectures,
    "workloads": _workloads,
    "components": _components,
    "devices": _devices,
    "dataflows": _dataflows,
    "profiles": _profiles,
    "targets": _targets,
}
