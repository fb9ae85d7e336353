"""From the located tree of a ``spec`` to drafts of layers: keys, types, ranges. Shapes and arrays come after."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from hwsim.workload.fields import LARGEST_NUMBER, SMALLEST_NUMBER, Collector, Node, readable
from hwsim.workload.model import (
    INPUT,
    NO_NEURON,
    OPS,
    POOLS,
    SCHEMA,
    WEIGHTED,
    BatchNorm,
    InputSpec,
    Layer,
    Member,
    Membrane,
    Neuron,
    Value,
    Weights,
)

MAX_TIMESTEPS = 1024
MAX_SIZE = 2**40
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")

Kind = Literal["network", "trace", "shapes"]

TOP_KEYS: dict[str, tuple[str, ...]] = {
    "network": (
        "schema", "kind", "name", "timesteps", "input", "layers", "output", "samples", "classes", "training",
    ),
    "trace": ("schema", "kind", "name", "timesteps", "layers", "training"),
    "shapes": ("schema", "kind", "name", "timesteps", "layers", "training"),
}  # fmt: skip
_COMMON = ("name", "op", "inputs")
_WINDOW = ("kernel", "stride", "padding")
OP_KEYS: dict[str, tuple[str, ...]] = {
    "conv1d": ("channels", *_WINDOW, "dilation", "groups"),
    "conv2d": ("channels", *_WINDOW, "dilation", "groups"),
    "linear": ("channels",),
    "avgpool": (*_WINDOW, "neuron"),
    "maxpool": (*_WINDOW, "neuron"),
    "sumpool": (*_WINDOW, "neuron"),
    "flatten": (),
    "reshape": ("shape",),
    "add": ("neuron",),
    "concat": (),
}
_WEIGHTED_KEYS: dict[str, tuple[str, ...]] = {
    "network": ("weights", "bias", "bn", "neuron"),
    "trace": ("input_shape", "input_bits", "recorded_timesteps", "values_recorded", "connected", "neuron"),
    "shapes": ("input_shape", "input_bits", "density", "weight_density", "connected", "neuron"),
}
_NEURON_KEYS = {
    "lif": ("type", "leak", "threshold", "compare", "reset", "start", "max_spikes", "signed", "membrane"),
    "if": ("type", "leak", "threshold", "compare", "reset", "start", "max_spikes", "signed", "membrane"),
    "relu": ("type", "bits", "scale"),
    "none": ("type",),
}


@dataclass(frozen=True)
class Draft:
    """A layer as written, before shapes are inferred.

    ``shape``: its declared input, or the target of a reshape. ``sized`` and ``fires`` are False where something was
    wrong with its sizes or its neuron: then nothing is said about the layers behind it that would rest on a guess.
    """

    layer: Layer
    node: Node
    window: dict[str, tuple[int, ...]] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    sized: bool = True
    fires: bool = True


def read_schema(collector: Collector, node: Node, schema: str = SCHEMA) -> bool:
    """Whether the file says that it is of this schema."""
    if not isinstance(node.value, dict):
        collector.must_be(node, "a mapping")
        return False
    found = node.child("schema")
    if found.value != schema:
        collector.must_be(found, f"'{schema}'")
        return False
    return True


def read_input(collector: Collector, node: Node) -> InputSpec:
    """The ``input`` block of a network."""
    fallback = InputSpec((1,), "spike", 1, 1.0, "direct")
    if not node.given or not isinstance(node.value, dict):
        collector.must_be(node, "a mapping")
        return fallback
    encoding = collector.choice(node.child("encoding"), ("direct", "poisson", "events", "counts"))
    keys = ("shape", "kind", "bits", "scale", "encoding", "signed") + (("bin_us",) if encoding == "events" else ())
    collector.mapping(node, keys)
    shape = collector.sizes(node.child("shape"), 1, (1, 2, 3)) or (1,)
    kind = collector.choice(node.child("kind"), ("spike", "count", "analog"))
    bits = collector.integer(node.child("bits"), 1, 16, default=1 if kind == "spike" else None)
    scale = collector.number(node.child("scale"), SMALLEST_NUMBER, LARGEST_NUMBER, "a number above 0", default=1.0)
    signed = collector.flag(node.child("signed"), default=False)
    bin_us = collector.integer(node.child("bin_us"), 1) if encoding == "events" else None
    return InputSpec(shape, cast(Any, kind), bits, scale, cast(Any, encoding), signed, bin_us)


def read_layers(collector: Collector, node: Node, kind: Kind, shape_key: str = "input_shape") -> list[Draft]:
    """The layers in the order of the file; one that cannot be understood at all is left out."""
    drafts: list[Draft] = []
    names = {INPUT}
    previous = INPUT
    for item in collector.items(node, "a list of layers"):
        draft = _read_layer(collector, item, kind, shape_key, previous)
        if draft is None:
            continue
        name = draft.layer.name
        if name in names:
            taken = "stands for the network's input" if name == INPUT else "is taken by an earlier layer"
            collector.wrong(item.child("name"), f"the name '{name}' {taken}")
        names.add(name)
        previous = name
        drafts.append(draft)
    if isinstance(node.value, list) and not node.value:
        collector.wrong(node, "layers must hold at least one layer, found none")
    return drafts


def _read_layer(collector: Collector, node: Node, kind: Kind, shape_key: str, previous: str) -> Draft | None:
    if not isinstance(node.value, dict):
        collector.must_be(node, "a mapping")
        return None
    op = read_op(collector, node)
    if op is None:
        name = node.child("name").value  # later layers refer to it, whatever it is
        return Draft(Layer(readable(str(name)), "", (previous,)), node, sized=False)
    extra = _WEIGHTED_KEYS[kind] if op in WEIGHTED else ()
    allowed = _COMMON + OP_KEYS[op] + tuple(shape_key if key == "input_shape" else key for key in extra)
    before = len(collector.problems)
    collector.mapping(node, dict.fromkeys(allowed))
    layer = Layer(read_name(collector, node.child("name")), op, (previous,))
    if op in ("add", "concat") or node.child("inputs").given:
        layer = replace(layer, inputs=_read_inputs(collector, node.child("inputs"), op))
    window = _read_window(collector, node, op)
    if op in WEIGHTED:
        layer = replace(layer, channels=collector.integer(node.child("channels"), 1))
        groups = collector.integer(node.child("groups"), 1, default=1) if op != "linear" else 1
        layer = replace(layer, groups=groups)
    shape = _read_shape(collector, node, op, shape_key if shape_key in allowed else None)
    sized = len(collector.problems) == before
    if op in WEIGHTED:
        layer = (_read_arrays if kind == "network" else _read_measures)(collector, node, layer, kind)
    before = len(collector.problems)
    if "neuron" in allowed:
        layer = replace(layer, neuron=_read_neuron_of(collector, node.child("neuron"), op, kind))
    return Draft(layer, node, window, shape, sized, fires=len(collector.problems) == before)


def _read_shape(collector: Collector, node: Node, op: str, shape_key: str | None) -> tuple[int, ...] | None:
    """The target of a reshape, or the declared input of a layer with weights."""
    if op == "reshape":
        return collector.sizes(node.child("shape"), 1, (1, 2, 3))
    if shape_key is not None and node.child(shape_key).given:
        return collector.sizes(node.child(shape_key), 1, (1, 2, 3)) or None
    return None


def read_op(collector: Collector, node: Node) -> str | None:
    """The op of a layer, None where there is no valid one."""
    op = node.child("op")
    if op.value == "matmul":
        text = "op 'matmul' (a product of two activations, spiking attention) comes later: it is not simulated yet"
        collector.wrong(op, text, f"Ops: {', '.join(OPS)}.")
        return None
    before = len(collector.problems)
    found = collector.choice(op, OPS)
    return found if len(collector.problems) == before else None


def read_name(collector: Collector, node: Node) -> str:
    """A name that may stand in rows, file names and on the command line."""
    if isinstance(node.value, str) and _NAME.fullmatch(node.value) and len(node.value) <= 100:
        return node.value
    collector.must_be(node, "a name of letters, digits, '_', '-' and '.'")
    return readable(node.value) if isinstance(node.value, str) else ""


def _read_inputs(collector: Collector, node: Node, op: str) -> tuple[str, ...]:
    names = [item.value for item in collector.items(node, "a list of layer names")]
    if not all(isinstance(name, str) for name in names):
        collector.must_be(node, "a list of layer names")
        return (INPUT,)
    if isinstance(node.value, list):
        if op in ("add", "concat") and len(names) < 2:
            collector.must_be(node, f"two or more layer names ({op} joins its inputs)")
        elif op not in ("add", "concat") and len(names) != 1:
            collector.must_be(node, f"one layer name (only add and concat join inputs, {op} takes one)")
    return tuple(readable(name) for name in names) or (INPUT,)


def _read_window(collector: Collector, node: Node, op: str) -> dict[str, tuple[int, ...]]:
    if op not in ("conv1d", "conv2d", *POOLS):
        return {}
    lengths = (1,) if op == "conv1d" else (1, 2)
    kernel = collector.sizes(node.child("kernel"), 1, lengths) or (1,)
    # A pool whose stride is not given does not overlap (torch's default).
    stride = collector.sizes(node.child("stride"), 1, lengths, kernel if op in POOLS else (1,))
    window = {"kernel": kernel, "stride": stride}
    window["padding"] = collector.sizes(node.child("padding"), 0, lengths, (0,))
    window["dilation"] = (1,) if op in POOLS else collector.sizes(node.child("dilation"), 1, lengths, (1,))
    return window


def _read_arrays(collector: Collector, node: Node, layer: Layer, kind: Kind) -> Layer:
    """Members of a weighted layer of a network."""
    weights = node.child("weights")
    read = None
    if collector.mapping(weights, ("member", "bits", "scale")):
        bits = collector.integer(weights.child("bits"), 1, 32)
        member = read_member(collector, weights.child("member"))
        read = Weights(member, bits, _read_scale(collector, weights.child("scale")))
    bias = None
    if node.child("bias").given and collector.mapping(node.child("bias"), ("member",)):
        bias = read_member(collector, node.child("bias").child("member"))
    return replace(layer, weights=read, bias=bias, bn=_read_bn(collector, node.child("bn")))


def _read_measures(collector: Collector, node: Node, layer: Layer, kind: Kind) -> Layer:
    """What a shape table or a trace says of a weighted layer instead of arrays."""
    bits = collector.integer(node.child("input_bits"), 1, 16) if node.child("input_bits").given else None
    connected = collector.flag(node.child("connected"), default=True)
    layer = replace(layer, input_bits=bits, connected=connected)
    if not connected:
        layer = replace(layer, inputs=())
    if kind == "trace":
        recorded = collector.integer(node.child("recorded_timesteps"), 1, MAX_TIMESTEPS)
        values = collector.flag(node.child("values_recorded"), default=True)
        return replace(layer, timesteps=recorded, values_recorded=values)
    share = "a number from 0 to 1"
    density = collector.number(node.child("density"), 0.0, 1.0, share)
    weight_density = collector.number(node.child("weight_density"), 0.0, 1.0, share, default=1.0)
    return replace(layer, density=density, weight_density=weight_density)


def read_member(collector: Collector, node: Node) -> str:
    """The name of a member of the npz."""
    return collector.text(node)


def _read_scale(collector: Collector, node: Node) -> Value:
    return _read_value(collector, node, "a number above 0, or {member: name}", default=1.0)


def _read_value(collector: Collector, node: Node, expected: str, default: float | None = None) -> Value:
    if isinstance(node.value, dict):
        collector.mapping(node, ("member",))
        return Member(read_member(collector, node.child("member")))
    return collector.number(node, SMALLEST_NUMBER, LARGEST_NUMBER, expected, default)


def _read_bn(collector: Collector, node: Node) -> BatchNorm | None:
    if not node.given or not collector.mapping(node, ("gamma", "beta", "mean", "var", "eps", "per_timestep")):
        return None
    gamma, beta, mean, var = (read_member(collector, node.child(key)) for key in ("gamma", "beta", "mean", "var"))
    eps = collector.number(node.child("eps"), 0.0, LARGEST_NUMBER, "a number of at least 0")
    return BatchNorm(gamma, beta, mean, var, eps, collector.flag(node.child("per_timestep"), default=False))


def _read_neuron_of(collector: Collector, node: Node, op: str, kind: Kind) -> Neuron:
    """The neuron of a layer: required in networks, LIF unless said in tables and traces, none unless said elsewhere."""
    if not node.given and op not in WEIGHTED:
        return NO_NEURON
    if kind == "network":
        return read_neuron(collector, node)
    if not node.given:
        return Neuron("lif", leak=0.5)
    if isinstance(node.value, str) and node.value != "relu":
        word = collector.choice(node, ("lif", "if", "none"))
        return Neuron(cast(Any, word), leak=0.5 if word == "lif" else 1.0)
    return read_neuron(collector, node)


def read_neuron(collector: Collector, node: Node) -> Neuron:
    """The ``neuron`` block."""
    if not isinstance(node.value, dict):
        collector.must_be(node, "a mapping")
        return NO_NEURON
    kind = collector.choice(node.child("type"), tuple(_NEURON_KEYS))
    collector.mapping(node, _NEURON_KEYS[kind])
    if kind == "none":
        return NO_NEURON
    if kind == "relu":
        bits = collector.integer(node.child("bits"), 1, 16)
        scale = collector.number(node.child("scale"), SMALLEST_NUMBER, LARGEST_NUMBER, "a number above 0")
        return Neuron("relu", bits=bits, scale=scale)
    leak, shift = _read_leak(collector, node.child("leak"), kind)
    return Neuron(
        cast(Any, kind),
        leak=leak,
        leak_shift=shift,
        threshold=_read_value(collector, node.child("threshold"), "a number above 0, or {member: name}"),
        compare=cast(Any, collector.choice(node.child("compare"), (">", ">="), ">")),
        reset=cast(Any, collector.choice(node.child("reset"), ("zero", "subtract"), "zero")),
        start=collector.number(node.child("start"), -LARGEST_NUMBER, LARGEST_NUMBER, "a number", default=0.0),
        max_spikes=collector.integer(node.child("max_spikes"), 1, 127, default=1),
        signed=collector.flag(node.child("signed"), default=False),
        membrane=_read_membrane(collector, node.child("membrane")),
    )


def _read_leak(collector: Collector, node: Node, kind: str) -> tuple[float, int | None]:
    """The factor on the membrane, and the shift that makes it where it is made by one."""
    if kind == "if":
        if node.given and node.value != 1:
            collector.must_be(node, "1 or absent (an if neuron does not leak)")
        return 1.0, None
    if isinstance(node.value, dict):
        collector.mapping(node, ("shift",))
        shift = collector.integer(node.child("shift"), 1, 30)
        return 1.0 - 2.0**-shift, shift
    return collector.number(node, 0.0, 1.0, "a number from 0 to 1, or {shift: n}"), None


def _read_membrane(collector: Collector, node: Node) -> Membrane | None:
    if not node.given or not collector.mapping(node, ("bits", "scale", "rounding", "saturate")):
        return None
    bits = collector.integer(node.child("bits"), 2, 32)
    scale = collector.number(node.child("scale"), SMALLEST_NUMBER, LARGEST_NUMBER, "a number above 0")
    collector.choice(node.child("rounding"), ("nearest_even",), "nearest_even")
    return Membrane(bits, scale, "nearest_even", collector.flag(node.child("saturate"), default=True))
