"""From the bytes of a workload's ``spec`` and the headers of its arrays to a checked ``Workload``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.workload.checks import ArrayChecker, check_layer, check_spikes
from hwsim.workload.fields import Collector, Locate, Node, dotted, readable
from hwsim.workload.jsontext import parse_json
from hwsim.workload.model import InputSpec, Workload, size
from hwsim.workload.npz import Arrays
from hwsim.workload.samples import SampleSource, check_samples, read_samples
from hwsim.workload.shapes import Inferred, infer
from hwsim.workload.spec import MAX_TIMESTEPS, TOP_KEYS, Draft, Kind, read_input, read_layers, read_name, read_schema

SPEC_LIMIT_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Parts:
    """A spec, read and understood; ``clean`` names the layers in which nothing was wrong so far."""

    kind: Kind
    name: str
    timesteps: int
    input: InputSpec
    inferred: Inferred
    clean: frozenset[str]
    output: tuple[str, str] | None
    samples: SampleSource
    classes: int | None
    training: Mapping[str, Any]


def read_spec(file: str, arrays: Arrays) -> Any:
    """The JSON of member ``spec``."""
    where = f"{file}: member spec"
    header = arrays.headers.get("spec")
    if header is None:
        raise SpecError(Problem(where, "is missing: this npz is not a workload", "spec is JSON in a uint8 array"))
    if header.dtype != np.uint8 or len(header.shape) != 1:
        raise SpecError(Problem(where, f"must be uint8 [bytes], found {header.dtype.name} {list(header.shape)}"))
    if header.nbytes > SPEC_LIMIT_BYTES:
        raise SpecError(Problem(where, f"has {header.nbytes:,} bytes, at most {SPEC_LIMIT_BYTES:,} are read"))
    return parse_json(arrays.read("spec").tobytes(), where)


def _member_spec(file: str) -> Locate:
    place = f"{file}: member spec"
    return lambda path, key: f"{place}, key {readable(dotted(path))}" if path else place


def build(file: str, path: Path, arrays: Arrays, sha256: str) -> Workload:
    """The workload of the spec and the arrays of one file.

    Raises ``SpecError`` with all problems of spec and arrays.
    """
    collector = Collector()
    spec = read_spec(file, arrays)
    root = Node(spec, (), _member_spec(file))
    if not read_schema(collector, root):
        raise SpecError(collector.problems)
    if root.child("kind").value == "data":
        raise SpecError(
            Problem(root.child("kind").where, "is 'data': samples that workloads refer to, not a workload itself")
        )
    kind = collector.choice(root.child("kind"), tuple(TOP_KEYS))
    if collector.problems:
        raise SpecError(collector.problems)
    parts = read_parts(collector, root, cast(Kind, kind), path.parent)
    check_arrays(ArrayChecker(file, arrays, collector.problems), parts)
    if collector.problems:
        raise SpecError(collector.problems)
    return assemble(parts, path, sha256, spec, arrays)


def read_parts(collector: Collector, root: Node, kind: Kind, folder: Path, shape_key: str = "input_shape") -> Parts:
    """Everything that the tree says, with shapes and edges inferred."""
    collector.mapping(root, TOP_KEYS[kind])
    name = read_name(collector, root.child("name"))
    timesteps = collector.integer(root.child("timesteps"), 1, MAX_TIMESTEPS)
    drafts = read_layers(collector, root.child("layers"), kind, shape_key)
    if kind == "network":
        spec = read_input(collector, root.child("input"))
        inferred = infer(collector, drafts, spec.shape, spec.edge, strict=True)
    else:
        spec = _first_input(drafts)
        inferred = infer(collector, drafts, None, spec.edge, strict=False)
    output = _read_output(collector, root.child("output"), inferred, drafts) if kind == "network" else None
    classes = collector.integer(root.child("classes"), 1) if root.child("classes").given else None
    _check_classes(collector, root, inferred, output, classes)
    if output and inferred.complete:
        _check_use(collector, drafts, output[0])
    samples = read_samples(collector, root.child("samples"), spec.encoding, folder)
    training = root.child("training")
    if training.given and not isinstance(training.value, dict):
        collector.must_be(training, "a mapping")
    clean = frozenset(layer.name for layer in inferred.layers) - _faulty(collector, drafts)
    return Parts(
        kind, name, timesteps, spec, inferred, clean, output, samples, classes,
        training.value if isinstance(training.value, dict) else {},
    )  # fmt: skip


def _faulty(collector: Collector, drafts: list[Draft]) -> frozenset[str]:
    """Layers in which a problem stands: their arrays are not looked at, the message would be about a guess."""
    places = [problem.where for problem in collector.problems]
    within = {draft.layer.name: (draft.node.where, f"{draft.node.where}.") for draft in drafts}
    return frozenset(
        name for name, (own, inside) in within.items() if any(p == own or p.startswith(inside) for p in places)
    )


def _first_input(drafts: list[Draft]) -> InputSpec:
    """Tables and traces have no input block: it is what their first layer with weights declares.

    Integers of several bits are a directly coded image, the same at every timestep; spikes are new at each.
    """
    for draft in drafts:
        if draft.shape is not None and draft.layer.has_weights:
            bits = draft.layer.input_bits or 1
            if bits > 1:
                return InputSpec(draft.shape, "count", bits, 1.0, "direct")
            return InputSpec(draft.shape, "spike", 1, 1.0, "counts")
    return InputSpec((1,), "spike", 1, 1.0, "counts")


def _read_output(collector: Collector, node: Node, inferred: Inferred, drafts: list[Draft]) -> tuple[str, str] | None:
    """(layer, decision), None where something is wrong with it."""
    if not node.given or not collector.mapping(node, ("layer", "decision")):
        if not node.given:
            collector.must_be(node, "a mapping with layer and decision")
        return None
    if not drafts:
        return None
    before = len(collector.problems)
    layer = collector.choice(node.child("layer"), tuple(draft.layer.name for draft in drafts))
    decision = collector.choice(node.child("decision"), ("accumulate", "fire"))
    if len(collector.problems) > before:
        return None
    edge = inferred.edges.get(layer)
    if edge is not None and decision == "fire" and edge.kind != "spike":
        text = f"decision 'fire' needs spikes, but layer '{layer}' gives {_plural(edge.kind)}"
        collector.wrong(node.child("decision"), text)
    if edge is not None and decision == "accumulate" and edge.kind != "current":
        text = f"decision 'accumulate' adds up currents (neuron none), but layer '{layer}' gives {_plural(edge.kind)}"
        collector.wrong(node.child("decision"), text)
    return layer, decision


def _plural(kind: str) -> str:
    return "analog values" if kind == "analog" else f"{kind}s"


def _check_use(collector: Collector, drafts: list[Draft], output: str) -> None:
    """Whether every layer leads somewhere; asked only where the graph itself is understood."""
    used = {source for draft in drafts for source in draft.layer.inputs} | {output}
    for draft in drafts:
        if draft.layer.name not in used:
            collector.wrong(draft.node, f"layer '{draft.layer.name}' leads nowhere: it is no input and not the output")


def _check_classes(
    collector: Collector, root: Node, inferred: Inferred, output: tuple[str, str] | None, classes: int | None
) -> None:
    for layer in inferred.layers:
        if output and layer.name == output[0] and classes is not None and size(layer.output_shape) != classes:
            text = f"classes is {classes}, but the output layer '{layer.name}' gives {list(layer.output_shape)}"
            collector.wrong(root.child("classes"), text)


def check_arrays(checker: ArrayChecker, parts: Parts) -> None:
    """All members: those of clean layers, of the samples, and (where nothing else is wrong) those that nothing uses."""
    for layer in parts.inferred.layers:
        if layer.name in parts.clean and parts.kind == "network":
            check_layer(checker, layer, parts.timesteps)
        elif layer.name in parts.clean and parts.kind == "trace" and layer.has_weights:
            check_spikes(checker, layer)
    understood = not checker.problems
    check_samples(checker, parts.samples, parts.input, parts.timesteps, parts.classes)
    if understood:
        checker.unused()


def assemble(parts: Parts, path: Path | None, sha256: str, spec: Mapping[str, Any], arrays: Arrays) -> Workload:
    """The workload of parts in which nothing is wrong."""
    output, decision = parts.output or (None, None)
    assert parts.inferred.complete
    return Workload(
        name=parts.name,
        kind=parts.kind,
        timesteps=parts.timesteps,
        classes=parts.classes,
        input=parts.input,
        layers=parts.inferred.layers,
        output_layer=output,
        decision=cast(Any, decision),
        edges=parts.inferred.edges,
        training=parts.training,
        sample_sets=parts.samples.sets,
        path=path,
        sha256=sha256,
        spec=spec,
        arrays=arrays,
        data=parts.samples.data,
        data_sha256=parts.samples.sha256,
    )


def check_data(file: str, spec: Any) -> None:
    """The spec of a data file: samples that several workloads share. ``about`` is free."""
    collector = Collector()
    root = Node(spec, (), _member_spec(file))
    if read_schema(collector, root):
        collector.mapping(root, ("schema", "kind", "name", "about"))
        read_name(collector, root.child("name"))
    if collector.problems:
        raise SpecError(collector.problems)
