"""Shape tables: layers with their sizes and densities in YAML, without weights. Inputs are drawn when asked for.

    schema: hwsim/shapes/1
    name: small
    timesteps: 4
    layers:
      - {name: conv1, op: conv2d, input: [3, 32, 32], channels: 64, kernel: 3, padding: 1, density: 0.1}
      - {name: pool1, op: maxpool, kernel: 2}
      - {name: flat, op: flatten}
      - {name: fc1, op: linear, channels: 10, density: 0.1, neuron: none}

Other keys of a layer: ``stride``, ``dilation``, ``groups``, ``weight_density`` (1), ``input_bits`` (1), ``neuron``
(lif) and ``connected: false`` (its input is not what the layer before gives). ``density`` beside ``layers`` is the
default of all layers. ``notes`` is free text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwsim.workload.build import Parts, assemble, read_parts
from hwsim.workload.fields import Collector, Locate, Node, dotted
from hwsim.workload.model import POOLS, SCHEMA, WEIGHTED, Layer, Member, Neuron, Workload
from hwsim.workload.npz import MemoryArrays
from hwsim.workload.samples import hash_file
from hwsim.workload.spec import read_schema
from hwsim.yamlfile import nodes as yamlnodes

SHAPES_SCHEMA = "hwsim/shapes/1"
_KEYS = ("schema", "name", "timesteps", "density", "notes", "layers")


def load_table(path: Path, timesteps: int | None = None, density: float | None = None) -> Workload:
    """The workload of a shape table. ``timesteps`` and ``density`` replace those of the file.

    Raises ``SpecError`` with line and column of every problem.
    """
    located = yamlnodes.read(path)
    collector = Collector()
    root = Node(located.plain(), (), _places(located))
    if read_schema(collector, root, SHAPES_SCHEMA):
        collector.mapping(root, _KEYS)
        tree = _completed(collector, root, timesteps, density)
        parts = read_parts(collector, Node(tree, (), root.locate), "shapes", path.parent, shape_key="input")
    if collector.problems:
        ordered = yamlnodes.Problems(collector.problems)
        ordered.raise_any()
    return table_workload(parts, path)


def table_workload(parts: Parts, path: Path) -> Workload:
    """The workload of checked parts without arrays."""
    spec = shapes_spec(parts.name, parts.timesteps, parts.inferred.layers, parts.training)
    return assemble(parts, path, hash_file(path), spec, MemoryArrays({}))


def _places(located: yamlnodes.Node) -> Locate:
    nodes = {node.path: node for node in located.walk()}

    def locate(path: tuple[str | int, ...], key: bool) -> str:
        node = nodes.get(dotted(path), located)
        return node.key_where if key else node.where

    return locate


def _completed(collector: Collector, root: Node, timesteps: int | None, density: float | None) -> dict[str, Any]:
    """The table as a spec: defaults filled in, notes moved, so that one reader checks tables and specs."""
    tree = {key: value for key, value in root.value.items() if key in _KEYS and key not in ("density", "notes")}
    if timesteps is not None:
        tree["timesteps"] = timesteps
    if root.child("notes").given:
        tree["training"] = {"notes": collector.text(root.child("notes"), length=4000)}
    default = root.child("density")
    fill = collector.number(default, 0.0, 1.0, "a number from 0 to 1") if default.given else None
    if isinstance(tree.get("layers"), list):
        tree["layers"] = [_with_density(layer, fill, density) for layer in tree["layers"]]
    return tree


def _with_density(layer: Any, fill: float | None, override: float | None) -> Any:
    if not isinstance(layer, Mapping) or layer.get("op") not in WEIGHTED:
        return layer
    given = {"density": fill} if fill is not None else {}
    return given | dict(layer) | ({"density": override} if override is not None else {})


def shapes_spec(name: str, timesteps: int, layers: Iterable[Layer], training: Mapping[str, Any]) -> dict[str, Any]:
    """The npz ``spec`` of layers without weights."""
    return {
        "schema": SCHEMA,
        "kind": "shapes",
        "name": name,
        "timesteps": timesteps,
        "layers": [_layer_spec(layer) for layer in layers],
    } | ({"training": dict(training)} if training else {})


def _layer_spec(layer: Layer) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": layer.name, "op": layer.op}
    if layer.inputs:
        spec["inputs"] = list(layer.inputs)
    if layer.op in ("conv1d", "conv2d", *POOLS):
        rank = len(layer.input_shape) - 1
        keys = ("kernel", "stride", "padding") + (("dilation",) if layer.has_weights else ())
        spec |= {key: list(getattr(layer, key)[-rank:]) for key in keys}
    if layer.op == "reshape":
        spec["shape"] = list(layer.output_shape)
    if layer.neuron.type != "none" or layer.has_weights:
        spec["neuron"] = neuron_spec(layer.neuron)
    if layer.has_weights:
        spec |= {"channels": layer.channels, "input_shape": list(layer.input_shape)}
        spec |= {"density": layer.density, "weight_density": layer.weight_density}
        spec |= {"groups": layer.groups} if layer.op != "linear" else {}
        spec |= {"input_bits": layer.input_bits} if layer.input_bits is not None else {}
        spec |= {} if layer.connected else {"connected": False}
    return spec


def neuron_spec(neuron: Neuron) -> dict[str, Any]:
    """The ``neuron`` block of a neuron without arrays."""
    if neuron.type == "none":
        return {"type": "none"}
    if neuron.type == "relu":
        return {"type": "relu", "bits": neuron.bits, "scale": neuron.scale}
    assert not isinstance(neuron.threshold, Member)
    spec: dict[str, Any] = {"type": neuron.type}
    if neuron.type == "lif":
        spec["leak"] = neuron.leak if neuron.leak_shift is None else {"shift": neuron.leak_shift}
    keys = ("threshold", "compare", "reset", "start", "max_spikes", "signed")
    spec |= {key: getattr(neuron, key) for key in keys}
    if neuron.membrane is not None:
        spec["membrane"] = asdict(neuron.membrane)
    return spec
