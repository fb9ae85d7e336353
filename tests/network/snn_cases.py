"""Random networks over all ops, kinds, neurons and encodings, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from snn_builder import Builder

from hwsim.network.numerics import Numerics
from hwsim.workload.model import Workload

Draw = Any


def neuron(draw: Draw, b: Builder, name: str, channels: int, *, current: bool = True) -> dict[str, Any]:
    """One of the neurons, with parameters that fire now and then."""
    kind = draw(st.sampled_from(("lif", "lif", "if", "relu")))
    if kind == "relu":
        return {
            "type": "relu",
            "bits": draw(st.sampled_from((1, 4, 8, 9))),
            "scale": draw(st.sampled_from((0.01, 0.13))),
        }
    shape = draw(st.sampled_from(((), (channels,), (b.timesteps, channels))))
    threshold: Any = draw(st.sampled_from((0.25, 0.5, 0.7)))
    if shape:
        threshold = b.member(f"{name}.threshold", threshold * b.random.uniform(0.5, 2.0, shape))
    made = {
        "type": kind,
        "threshold": threshold,
        "compare": draw(st.sampled_from((">", ">="))),
        "reset": draw(st.sampled_from(("zero", "subtract"))),
        "start": draw(st.sampled_from((0.0, 0.3, -0.2))),
        "max_spikes": draw(st.sampled_from((1, 1, 3))),
        "signed": draw(st.booleans()),
    }
    if kind == "lif":
        made["leak"] = draw(st.sampled_from((0.5, 0.9, 0.0, {"shift": 1}, {"shift": 4})))
    if draw(st.booleans()):
        made["membrane"] = {"bits": draw(st.sampled_from((4, 8))), "scale": 0.03, "saturate": draw(st.booleans())}
    return made


def extras(draw: Draw, b: Builder, name: str, channels: int) -> dict[str, Any]:
    """Bias and BN, or neither."""
    keys: dict[str, Any] = {}
    if draw(st.booleans()):
        keys["bias"] = b.member(f"{name}.bias", b.random.normal(0, 0.2, channels).astype(np.float32))
    if draw(st.booleans()):
        per_timestep = draw(st.booleans())
        shape = (b.timesteps, channels) if per_timestep else (channels,)
        keys["bn"] = {"eps": 1e-5, "per_timestep": per_timestep}
        for key, low, high in (("gamma", -1.0, 1.5), ("beta", -0.3, 0.3), ("mean", -0.3, 0.3), ("var", 0.2, 2.0)):
            keys["bn"][key] = b.member(f"{name}.{key}", b.random.uniform(low, high, shape).astype(np.float32))["member"]
    return keys


def window(draw: Draw, shape: tuple[int, ...], pool: bool) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Kernel, stride, padding and dilation that fit, and the output lengths."""
    keys: dict[str, list[int]] = {"kernel": [], "stride": [], "padding": []} | ({} if pool else {"dilation": []})
    out = []
    for length in shape[1:]:
        kernel = draw(st.integers(1, min(3, length)))
        padding = draw(st.integers(0, kernel // 2 if pool else 2))
        dilation = 1 if pool else draw(st.integers(1, max(1, min(2, (length + 2 * padding - 1) // max(kernel - 1, 1)))))
        stride = draw(st.integers(1, 2))
        for key, value in (("kernel", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)):
            if key in keys:
                keys[key].append(value)
        out.append((length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
    return keys, tuple(out)


def convolution(
    draw: Draw, b: Builder, shape: tuple[int, ...], source: str, *, bare: bool = False
) -> tuple[str, tuple[int, ...]]:
    """A conv1d or conv2d of random geometry; ``bare``: without a neuron."""
    keys, lengths = window(draw, shape, pool=False)
    groups = draw(st.sampled_from([g for g in (1, 2, shape[0]) if shape[0] % g == 0]))
    filters = groups * draw(st.integers(1, 3))
    op = "conv2d" if len(shape) == 3 else "conv1d"
    name = f"{op}{len(b.layers)}"
    fires = {"type": "none"} if bare else neuron(draw, b, name, filters)
    size = (filters, shape[0] // groups, *keys["kernel"])
    keys |= extras(draw, b, name, filters)
    b.weighted(op, size, fires, floats=draw(st.booleans()), name=name, inputs=[source], groups=groups, **keys)
    return name, (filters, *lengths)


def pool(draw: Draw, b: Builder, shape: tuple[int, ...], source: str) -> tuple[str, tuple[int, ...]]:
    """A pool, sometimes with a neuron."""
    keys, lengths = window(draw, shape, pool=True)
    op = draw(st.sampled_from(("maxpool", "avgpool", "sumpool")))
    name = f"{op}{len(b.layers)}"
    if draw(st.integers(0, 3)) == 0:
        keys["neuron"] = neuron(draw, b, name, shape[0])
    return b.add(op, name, inputs=[source], **keys), (shape[0], *lengths)


def branch(draw: Draw, b: Builder, shape: tuple[int, ...], source: str) -> tuple[str, tuple[int, ...]]:
    """Two layers of the same input, added or concatenated."""
    arms = []
    bare = draw(st.booleans())
    keys: dict[str, Any] = {"kernel": [1] * (len(shape) - 1)}
    op = "conv2d" if len(shape) == 3 else "conv1d"
    for _ in range(2):
        name = f"{op}{len(b.layers)}"
        fires = {"type": "none"} if bare else {"type": "if", "threshold": 0.4}
        b.weighted(op, (shape[0], shape[0], *keys["kernel"]), fires, name=name, inputs=[source], **keys)
        arms.append(name)
    if draw(st.booleans()):
        arms.append(b.add("maxpool", inputs=[arms[0]], kernel=[1]))
    joined = draw(st.sampled_from(("add", "concat")))
    name = f"{joined}{len(b.layers)}"
    out = (shape[0] * (len(arms) if joined == "concat" else 1), *shape[1:])
    if joined == "add":
        return b.add("add", name, inputs=arms, neuron=neuron(draw, b, name, out[0])), out
    b.add("concat", name, inputs=arms)
    return (pool_end(draw, b, out, name) if bare else name), out


def pool_end(draw: Draw, b: Builder, shape: tuple[int, ...], source: str) -> str:
    """Currents become spikes: a pool of one pixel with a neuron."""
    name = f"fire{len(b.layers)}"
    return b.add("sumpool", name, inputs=[source], kernel=[1], neuron=neuron(draw, b, name, shape[0]))


@st.composite
def cases(draw: Draw) -> tuple[Workload, Any, int, Numerics]:
    """A network, one raw sample, timesteps and numerics."""
    shape: tuple[int, ...] = draw(st.sampled_from(((2, 5, 6), (4, 4, 4), (3, 7), (2, 1, 3))))
    times = draw(st.integers(1, 5))
    encoding = draw(st.sampled_from(("direct", "poisson", "counts", "events")))
    kind = draw(st.sampled_from(("count", "analog"))) if encoding == "direct" else "count"
    bits, signed = (8, False) if encoding == "poisson" else (draw(st.sampled_from((1, 4, 8, 10))), draw(st.booleans()))
    bits, signed = (max(bits, 2), signed) if encoding != "events" else (bits, False)
    b = Builder(shape, times, draw(st.integers(0, 2**31)), encoding=encoding, kind=kind, bits=bits, signed=signed)
    b.input |= {"bin_us": draw(st.sampled_from((100, 250)))} if encoding == "events" else {}
    b.input["scale"] = 1 / 255 if encoding == "poisson" else 1 / 2 ** (bits - 1)
    source = "input"
    for _ in range(draw(st.integers(0, 3))):
        source, shape = draw(st.sampled_from((convolution, convolution, pool, branch)))(draw, b, shape, source)
    if draw(st.booleans()):
        shape = (int(np.prod(shape)),)
        source = b.add("flatten", inputs=[source])
    else:
        shape = (shape[0], int(np.prod(shape[1:])))
        source = b.add("reshape", inputs=[source], shape=list(shape))
    decision = draw(st.sampled_from(("accumulate", "fire")))
    name = f"linear{len(b.layers)}"
    end = {"type": "none"} if decision == "accumulate" else {"type": "if", "threshold": 0.5, "reset": "subtract"}
    keys = extras(draw, b, name, 4)
    b.weighted("linear", (4, shape[0]), end, floats=draw(st.booleans()), name=name, inputs=[source], **keys)
    workload = b.build(decision, classes=4 * (shape[1] if len(shape) == 2 else 1))
    numerics = Numerics(
        membrane_bits=draw(st.sampled_from((None, 4, 8))),
        membrane_rounding=draw(st.sampled_from(("nearest_even", "floor", "toward_zero"))),
        membrane_saturate=draw(st.booleans()),
        lif_sharing=draw(st.sampled_from((1, 1, 2, 3))),
    )
    return workload, raw_sample(b), times, numerics


def raw_sample(b: Builder) -> Any:
    """One sample in the network's input format."""
    shape, encoding = tuple(b.input["shape"]), b.input["encoding"]
    if encoding == "events":
        count = int(b.random.integers(0, 60))
        return np.sort(b.random.integers(0, 1000, count)), b.random.integers(0, np.prod(shape), count).astype(np.int32)
    low, high = (
        (-(2 ** (b.input["bits"] - 1)), 2 ** (b.input["bits"] - 1)) if b.input["signed"] else (0, 2 ** b.input["bits"])
    )
    shape = (b.timesteps, *shape) if encoding == "counts" else shape
    sample = b.random.integers(low, high, shape)
    return np.where(b.random.random(shape) < 0.5, sample, np.int64(0))
