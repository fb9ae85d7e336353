"""Recorded spikes: one boolean array [T, ...] per layer, the input of that layer for one image, and a geometry in JSON.

    {"network": "lenet5", "timesteps": 32, "layers": [
      {"name": "conv1", "op": "conv2d", "input": [1, 32, 32], "output_channels": 6, "kernel": 5, "padding": 2},
      {"name": "pool1", "op": "maxpool", "kernel": 2},
      {"name": "fc1", "op": "linear", "input": [1536], "outputs": 10}]}

A layer whose recording is true everywhere was fed values, not spikes (a directly coded image): the values were not
recorded, and are taken to be 8 bits wide unless the geometry says ``input_bits``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError, nearest
from hwsim.workload.build import read_parts
from hwsim.workload.fields import Collector, Node, dotted, readable
from hwsim.workload.jsontext import parse_json, read_bytes
from hwsim.workload.model import POOLS, SCHEMA, WEIGHTED
from hwsim.workload.npz import Arrays, NpzArrays
from hwsim.workload.spec import MAX_TIMESTEPS, OP_KEYS, read_name, read_op

DIRECT_BITS = 8
_KEYS = ("network", "timesteps", "layers", "remarks")
_COUNTS = ("channels", "output_channels", "outputs")


def import_trace(path: Path, shapes: Path, timesteps: int | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(spec, arrays) of kind 'trace'; of a recording longer than ``timesteps`` the first ones are taken.

    Raises ``SpecError`` with all problems of the geometry, and then of the recording.
    """
    collector = Collector()
    tree = parse_json(read_bytes(shapes), str(shapes))
    root = Node(tree, (), lambda keys, key: f"{shapes}: key {readable(dotted(keys))}" if keys else str(shapes))
    if not collector.mapping(root, _KEYS):
        raise SpecError(collector.problems)
    name = read_name(collector, root.child("network"))
    steps = collector.integer(root.child("timesteps"), 1, MAX_TIMESTEPS) if timesteps is None else timesteps
    items = collector.items(root.child("layers"), "a list of layers")
    layers = [_read_layer(collector, item) for item in items]
    if collector.problems:
        raise SpecError(collector.problems)
    arrays = _take_recordings(path, layers, steps)
    training = {"imported_from": "recorded spikes"}
    if root.child("remarks").given:
        training["remarks"] = collector.text(root.child("remarks"), 4000)
    about = {"schema": SCHEMA, "kind": "trace", "name": name, "timesteps": steps}
    spec = about | {"layers": _flattened(layers), "training": training}
    _check_graph(spec, root, [layer["name"] for layer in layers])
    return spec, arrays


def _check_graph(spec: dict[str, Any], root: Node, names: list[str]) -> None:
    """Whether the layers fit each other; problems are located in the geometry."""
    places = {layer["name"]: number for number, layer in enumerate(spec["layers"])}
    origin = {places[name]: number for number, name in enumerate(names)}

    def locate(path: tuple[str | int, ...], key: bool) -> str:
        if len(path) > 1 and isinstance(path[1], int):
            path = (path[0], origin.get(path[1], origin.get(path[1] + 1, 0)), *path[2:])
        return root.locate(path, key)

    collector = Collector()
    read_parts(collector, Node(spec, (), locate), "trace", Path())
    if collector.problems:
        raise SpecError(collector.problems)


def _read_layer(collector: Collector, node: Node) -> dict[str, Any]:
    """One layer of the geometry in the words of a spec."""
    if not isinstance(node.value, dict):
        collector.must_be(node, "a mapping")
        return {}
    op = read_op(collector, node)
    if op is None:
        return {}
    weighted = op in WEIGHTED
    own = tuple(key for key in OP_KEYS[op] if key not in ("channels", "neuron"))
    keys = ("name", "op", *own) + (("input", *_COUNTS, "input_bits", "connected") if weighted else ())
    collector.mapping(node, keys)
    layer = {key: node.value[key] for key in ("op", *own) if key in node.value}
    layer["name"] = read_name(collector, node.child("name"))
    if weighted:
        given = [node.child(key) for key in _COUNTS if node.child(key).given]
        layer["channels"] = collector.integer(given[0] if given else node.child(_COUNTS[1]), 1)
        layer["input_shape"] = list(collector.sizes(node.child("input"), 1, (1, 2, 3)))
        layer |= {key: node.value[key] for key in ("input_bits", "connected") if key in node.value}
    return layer


def _take_recordings(path: Path, layers: list[dict[str, Any]], timesteps: int) -> dict[str, np.ndarray]:
    """The packed recordings of all layers; what was recorded is noted in ``layers``."""
    recorded = NpzArrays(path)
    problems: list[Problem] = []
    weighted = [layer for layer in layers if layer["op"] in WEIGHTED]
    names = [layer["name"] for layer in weighted]
    for member in recorded.headers:
        if member not in names:
            problems.append(Problem(f"{path}: member {member}", "is the recording of no layer of the geometry"))
    arrays = {}
    for layer in weighted:
        spikes = _recording(path, recorded, layer, problems)
        if spikes is not None:
            spikes = spikes[:timesteps]
            _describe(layer, spikes, first=layer is weighted[0])
            arrays[f"spikes.{layer['name']}"] = np.packbits(spikes)
    longest = max((layer["recorded_timesteps"] for layer in weighted if "recorded_timesteps" in layer), default=0)
    if not problems and longest < timesteps:
        problems.append(Problem(str(path), f"holds {longest} timesteps at most, fewer than the {timesteps} asked for"))
    if problems:
        raise SpecError(problems)
    return arrays


def _recording(path: Path, recorded: Arrays, layer: dict[str, Any], problems: list[Problem]) -> np.ndarray | None:
    name, shape = layer["name"], tuple(layer["input_shape"])
    where = f"{path}: member {name}"
    header = recorded.headers.get(name)
    if header is None:
        close = nearest(name, recorded.headers)
        hint = f"did you mean '{close}'?" if close else ""
        problems.append(Problem(where, f"is missing (input of layer '{name}')", hint))
    elif header.dtype != np.bool_:
        problems.append(Problem(where, f"must be bool (spikes), found {header.dtype.name}"))
    elif header.shape[1:] != shape or not 1 <= header.shape[0] <= MAX_TIMESTEPS:
        text = f"must have shape [T, {', '.join(map(str, shape))}] with T from 1 to {MAX_TIMESTEPS}"
        problems.append(Problem(where, f"{text}, found {list(header.shape)}"))
    else:
        return recorded.read(name)
    return None


def _describe(layer: dict[str, Any], spikes: np.ndarray, first: bool) -> None:
    """Note timesteps and whether values are there: an input that is true everywhere is an image, not spikes."""
    layer["recorded_timesteps"] = len(spikes)
    if "input_bits" not in layer and first and bool(spikes.all()):
        layer["input_bits"] = DIRECT_BITS
    layer["values_recorded"] = layer.get("input_bits", 1) == 1


def _flattened(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers with a flatten where a linear layer follows images; geometries leave it out."""
    result: list[dict[str, Any]] = []
    for layer in layers:
        images = bool(result) and (result[-1]["op"] == "conv2d" or result[-1]["op"] in POOLS)
        if layer["op"] == "linear" and len(layer["input_shape"]) == 1 and images:
            result.append({"name": f"{layer['name']}.flatten", "op": "flatten"})
        result.append(layer)
    return result
