"""What runs between the layers: the graph, the shape of every edge, its kind, bits and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwsim.errors import did_you_mean
from hwsim.workload.fields import Collector
from hwsim.workload.model import INPUT, POOLS, Edge, Layer, integer_range, size, spatial
from hwsim.workload.spec import MAX_SIZE, Draft

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Inferred:
    """Layers with their shapes, and the edge that leaves each of them (and the input)."""

    layers: tuple[Layer, ...]
    edges: dict[str, Edge]
    complete: bool


def infer(collector: Collector, drafts: Sequence[Draft], shape: Shape | None, edge: Edge, strict: bool) -> Inferred:
    """Walk the layers in order and give each its shapes and its edge.

    ``shape``: the network's input, None where every first layer declares its own. ``strict``: networks, in which a
    weighted layer may not take currents.
    """
    shapes: dict[str, Shape | None] = {INPUT: shape}
    edges = {INPUT: edge}
    layers = []
    for draft in drafts:
        name = draft.layer.name
        known = _known(collector, draft, drafts, shapes)
        shapes.setdefault(name, None)
        if not draft.sized or not known:
            continue
        layer = _shaped(collector, draft, [shapes[source] for source in draft.layer.inputs])
        if layer is None:
            continue
        shapes[name] = layer.output_shape
        layers.append(layer)
        incoming = [edges[source] for source in layer.inputs if source in edges]
        guess = len(incoming) < len(layer.inputs)
        if draft.fires and (layer.has_weights or not guess):
            edges[name] = _edge(collector, draft, layer, incoming or [edge], strict and not guess)
    return Inferred(tuple(layers), edges, len(layers) == len(drafts))


def _known(collector: Collector, draft: Draft, drafts: Sequence[Draft], seen: dict[str, Shape | None]) -> bool:
    """Whether every input of this layer is an earlier layer; if not, say why."""
    good = True
    names = [other.layer.name for other in drafts]
    for source in draft.layer.inputs:
        if source in seen:
            continue
        good = False
        node, name = draft.node, draft.layer.name
        if source not in names:
            hint = did_you_mean(source, seen, "Inputs possible here")
            collector.wrong(node.child("inputs"), f"layer '{name}': unknown input '{source}'", hint)
        elif _reaches(drafts, name, source):
            collector.wrong(
                node.child("inputs"),
                f"layer '{name}': the edge from '{source}' is recurrent and refused: time runs through membranes only",
            )
        else:
            collector.wrong(
                node.child("inputs"),
                f"layer '{name}': its input '{source}' comes later in the list; layers stand in topological order",
            )
    return good


def _reaches(drafts: Sequence[Draft], start: str, goal: str) -> bool:
    """Whether ``goal`` depends on ``start``."""
    inputs = {draft.layer.name: draft.layer.inputs for draft in drafts}
    waiting, visited = [goal], set()
    while waiting:
        name = waiting.pop()
        if name == start:
            return True
        if name not in visited:
            visited.add(name)
            waiting.extend(inputs.get(name, ()))
    return False


def _shaped(collector: Collector, draft: Draft, sources: list[Shape | None]) -> Layer | None:
    """The layer with input and output shape, or None where they cannot be known."""
    layer = draft.layer
    declared = draft.shape if layer.has_weights else None
    if declared is not None and sources and sources[0] not in (None, declared):
        collector.wrong(
            draft.node,
            f"layer '{layer.name}' takes {list(declared)}, but {_source(layer)} {list(sources[0] or ())}",
            "a layer that does not follow the one before says 'connected: false'",
        )
        return None
    shape = declared or (sources[0] if sources else None)
    if shape is None:
        if not sources or layer.inputs == (INPUT,):
            text = f"layer '{layer.name}' must say the shape of its input: no layer before gives it"
            collector.wrong(draft.node, text)
        return None
    if any(source is None for source in sources[1:]):
        return None
    if layer.op in ("conv1d", "conv2d", *POOLS):
        return _windowed(collector, draft, shape)
    if layer.op in ("add", "concat"):
        return _joined(collector, draft, [source for source in sources if source is not None])
    return _flat(collector, draft, shape)


def _windowed(collector: Collector, draft: Draft, shape: Shape) -> Layer | None:
    """conv1d, conv2d and pools: output = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1."""
    layer = draft.layer
    rank = {"conv1d": 2, "conv2d": 3}.get(layer.op)
    if len(shape) != rank if rank else len(shape) not in (2, 3):
        takes = {"conv1d": "[C, length]", "conv2d": "[C, H, W]"}.get(layer.op, "[C, length] or [C, H, W]")
        text = f"layer '{layer.name}': {layer.op} takes {takes}, but {_source(layer)} {list(shape)}"
        collector.wrong(draft.node, text)
        return None
    if len(shape) == 2 and any(len(value) == 2 for value in draft.window.values()):
        text = f"layer '{layer.name}': two sizes for a window over one dimension, {_source(layer)} {list(shape)}"
        collector.wrong(draft.node, text)
        return None
    pairs: dict[str, Any] = {key: _pair(key, value, len(shape)) for key, value in draft.window.items()}
    layer = replace(layer, input_shape=shape, **pairs)
    channels, *lengths = spatial(shape)
    if layer.has_weights and (channels % layer.groups or layer.channels % layer.groups):
        text = f"groups {layer.groups} must divide its {channels} input channels and {layer.channels} filters"
        collector.wrong(draft.node, f"layer '{layer.name}': {text}")
        return None
    reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel, strict=True)]
    room = [length + 2 * p for length, p in zip(lengths, layer.padding, strict=True)]
    if any(r > available for r, available in zip(reach, room, strict=True)):
        collector.wrong(
            draft.node,
            f"layer '{layer.name}': a kernel that reaches over {reach[0]} x {reach[1]} does not fit the padded input "
            f"of {room[0]} x {room[1]}; {_source(layer)} {list(shape)}",
        )
        return None
    if layer.op in POOLS and any(p > k // 2 for p, k in zip(layer.padding, layer.kernel, strict=True)):
        collector.wrong(draft.node, f"layer '{layer.name}': a pool's padding may be at most half of its kernel")
        return None
    out = [(a - r) // stride + 1 for a, r, stride in zip(room, reach, layer.stride, strict=True)]
    channels = layer.channels or channels
    return _limited(collector, draft, layer, (channels, *out) if len(shape) == 3 else (channels, out[1]))


def _pair(key: str, value: tuple[int, ...], rank: int) -> tuple[int, int]:
    if rank == 2:  # one row
        return (0 if key == "padding" else 1, value[-1])
    return (value[0], value[-1])


def _joined(collector: Collector, draft: Draft, shapes: list[Shape]) -> Layer | None:
    layer = draft.layer
    for source, shape in zip(layer.inputs, shapes, strict=True):
        same = shape == shapes[0] if layer.op == "add" else shape[1:] == shapes[0][1:]
        if not same:
            what = "equal shapes" if layer.op == "add" else "shapes equal in all but the channels"
            collector.wrong(
                draft.node,
                f"layer '{layer.name}': {layer.op} takes {what}, but '{layer.inputs[0]}' gives {list(shapes[0])} "
                f"and '{source}' gives {list(shape)}",
            )
            return None
    channels = shapes[0][0] if layer.op == "add" else sum(shape[0] for shape in shapes)
    layer = replace(layer, input_shape=shapes[0])
    return _limited(collector, draft, layer, (channels, *shapes[0][1:]))


def _flat(collector: Collector, draft: Draft, shape: Shape) -> Layer | None:
    layer = replace(draft.layer, input_shape=shape)
    if layer.op == "flatten":
        return _limited(collector, draft, layer, (size(shape),))
    if layer.op == "reshape":
        target = draft.shape or ()
        if size(target) != size(shape):
            text = f"layer '{layer.name}': reshape to {list(target)} needs {size(target)} values, but {_source(layer)}"
            collector.wrong(draft.node, f"{text} {list(shape)} = {size(shape)}")
            return None
        return _limited(collector, draft, layer, target)
    if len(shape) == 3:
        collector.wrong(
            draft.node,
            f"layer '{layer.name}': linear takes [K] or [K, positions], but {_source(layer)} {list(shape)}",
            "put a flatten between them",
        )
        return None
    return _limited(collector, draft, layer, (layer.channels, *shape[1:]))


def _limited(collector: Collector, draft: Draft, layer: Layer, output: Shape) -> Layer | None:
    layer = replace(layer, output_shape=output)
    work = layer.geometry.dense_operations if layer.has_weights else size(output)
    if work > MAX_SIZE:
        text = f"layer '{layer.name}' is too large: {work:,} operations per timestep, at most {MAX_SIZE:,}"
        collector.wrong(draft.node, text)
        return None
    return layer


def _source(layer: Layer) -> str:
    return "its input is" if layer.inputs in ((), (INPUT,)) else f"'{layer.inputs[0]}' gives"


def _edge(collector: Collector, draft: Draft, layer: Layer, incoming: list[Edge], strict: bool) -> Edge:
    """The edge that leaves ``layer``: what its neuron makes, or what the op makes of its inputs."""
    if layer.has_weights and strict and incoming[0].kind == "current":
        collector.wrong(
            draft.node,
            f"layer '{layer.name}': its input '{layer.inputs[0]}' gives currents (no neuron), but weights multiply "
            "spikes, counts or activations only",
        )
    neuron = layer.neuron
    if neuron.type == "relu":
        return Edge("analog", neuron.bits, neuron.scale, 0, 2**neuron.bits - 1)
    if neuron.spiking:
        low = -neuron.max_spikes if neuron.signed else 0
        return integer_edge("spike", 1.0, low, neuron.max_spikes)
    if layer.has_weights or any(edge.kind == "current" for edge in incoming):
        return Edge("current", 0, 1.0, 0, 0)
    if layer.op in ("add", "concat"):
        return _joined_edge(collector, draft, incoming)
    if layer.op in ("avgpool", "sumpool"):
        return _summed_edge(incoming[0], layer)
    return incoming[0]


def _summed_edge(edge: Edge, layer: Layer) -> Edge:
    """A pool adds up its window as integers; the average is in the scale (padding counts as zeros)."""
    window = layer.kernel[0] * layer.kernel[1]
    scale = edge.scale / window if layer.op == "avgpool" else edge.scale
    kind = "count" if edge.kind == "spike" else edge.kind
    if window == 1:
        return edge
    return integer_edge(kind, scale, edge.low * window, edge.high * window)


def _joined_edge(collector: Collector, draft: Draft, incoming: list[Edge]) -> Edge:
    names = draft.layer.inputs
    for name, edge in zip(names, incoming, strict=True):
        if edge.scale != incoming[0].scale:
            collector.wrong(
                draft.node,
                f"layer '{draft.layer.name}': {draft.layer.op} needs inputs of one scale, but '{names[0]}' has "
                f"{incoming[0].scale:.6g} and '{name}' has {edge.scale:.6g}",
            )
            return incoming[0]
    kinds = {edge.kind for edge in incoming}
    lows, highs = [edge.low for edge in incoming], [edge.high for edge in incoming]
    if draft.layer.op == "concat":
        kind = "analog" if "analog" in kinds else "count" if "count" in kinds else "spike"
        return integer_edge(kind, incoming[0].scale, min(lows), max(highs))
    return integer_edge("analog" if "analog" in kinds else "count", incoming[0].scale, sum(lows), sum(highs))


def integer_edge(kind: str, scale: float, low: int, high: int) -> Edge:
    """The edge with the fewest bits that hold ``low..high``."""
    bits = 1
    while integer_range(bits, low < 0)[0] > low or integer_range(bits, low < 0)[1] < high:
        bits += 1
    return Edge(kind, bits, scale, low, high)  # type: ignore[arg-type]
