"""The plain network: NumPy, time outermost, channel-first, one op after the other. The engine's witness.

It shares the frozen numbers with the engine, and nothing of how they are computed: sums are matrix products over
unfolded inputs (or a product's own witness), neurons are whole-array expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwsim.grid import to_grid
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.network.neuron import ROUND_FLOOR, ROUND_NEAREST_EVEN, LifParameters
from hwsim.workload.model import INPUT, Layer, spatial


@dataclass
class Reference:
    """What happened: values by edge [T, *shape], stored membranes [T, units, pixels], logits [T, classes]."""

    values: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray] = field(default_factory=dict)
    psums: dict[str, np.ndarray] = field(default_factory=dict)
    """[T, M, pixels] of weighted layers."""
    logits: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def run(frozen: Frozen, encoded: np.ndarray, timesteps: int, sample: int = 0) -> Reference:
    """Run encoded inputs [T or 1, *shape] for ``timesteps`` timesteps; ``sample`` names the draws of products."""
    workload = frozen.workload
    units = {
        name: np.full((item.units, _pixels(item.layer.output_shape)), item.start)
        for name, item in frozen.layers.items()
    }
    history: dict[str, list[np.ndarray]] = {name: [] for name in (INPUT, *frozen.layers)}
    stored: dict[str, list[np.ndarray]] = {name: [] for name in frozen.layers}
    psums: dict[str, list[np.ndarray]] = {item.name: [] for item in frozen.weighted}
    for t in range(timesteps):
        history[INPUT].append(encoded[min(t, len(encoded) - 1)])
        for name, item in frozen.layers.items():
            inputs = [history[source][t] for source in item.layer.inputs]
            made = item.product is not None
            sums = _product(item, inputs[0], t, sample) if made else _sums(frozen, item, inputs)
            if item.layer.has_weights:
                psums[name].append(sums)
            out = _end(frozen, item, sums, units[name], t)
            history[name].append(out.reshape(item.layer.output_shape))
            stored[name].append(units[name].copy())
    assert workload.output_layer is not None
    output = np.stack(history[workload.output_layer]).reshape(timesteps, -1)
    return Reference(
        {name: np.stack(values) for name, values in history.items()},
        {name: np.stack(stored[name]) for name, item in frozen.layers.items() if item.layer.neuron.spiking},
        {name: np.stack(values) for name, values in psums.items()},
        np.cumsum(output.astype(np.float64), axis=0),
    )


def _pixels(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:], dtype=np.int64))


def _product(item: FrozenLayer, x: np.ndarray, t: int, sample: int) -> np.ndarray:
    """[M, pixels] by the product's witness. The timesteps before are left empty: they must not matter to this one."""
    assert item.product is not None
    g = item.geometry
    given = np.zeros((t + 1, g.H, g.W, g.C), dtype=np.int64)
    given[t] = x.reshape(g.C, g.H, g.W).transpose(1, 2, 0)
    return item.product.plain(given, t + 1, sample)[-1].T


def _sums(frozen: Frozen, item: FrozenLayer, inputs: list[np.ndarray]) -> np.ndarray:
    """[M, pixels] sums of an op, or its result where it has no sums."""
    layer, x = item.layer, inputs[0]
    edges = [frozen.workload.edge(name) for name in layer.inputs]
    if layer.op == "linear":
        return item.weight.astype(np.float64) @ x.reshape(x.shape[0], -1).astype(np.float64)
    if layer.op in ("conv1d", "conv2d"):
        return _convolution(item, x)
    if layer.op in ("maxpool", "avgpool", "sumpool"):
        return _pool(layer, x, edges[0].kind == "current")
    if layer.op in ("add", "concat"):
        if any(edge.kind == "current" for edge in edges):
            real = [y * (1.0 if edge.kind == "current" else edge.scale) for y, edge in zip(inputs, edges, strict=True)]
            inputs = [to_grid(y.astype(np.float64), item.current_step) for y in real]
        joined = np.sum(np.stack(inputs), axis=0) if layer.op == "add" else np.concatenate(inputs, axis=0)
        return joined.reshape(joined.shape[0], -1)
    return x.reshape(layer.output_shape[0], -1)


def _convolution(item: FrozenLayer, x: np.ndarray) -> np.ndarray:
    """[M, pixels]: unfolded input (im2col) times weights, group by group."""
    g = item.geometry
    padded = np.pad(x.reshape(g.C, g.H, g.W), ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x)))
    windows = np.empty((g.C, g.R, g.S, g.E, g.F))
    for e in range(g.E):
        for f in range(g.F):
            y, z = e * g.stride_y, f * g.stride_x
            windows[..., e, f] = padded[
                :, y : y + g.R * g.dilation_y : g.dilation_y, z : z + g.S * g.dilation_x : g.dilation_x
            ]
    rows = windows.reshape(g.groups, g.K, g.P)
    weight = item.weight.astype(np.float64).reshape(g.groups, g.M // g.groups, g.K)
    return np.concatenate([weight[group] @ rows[group] for group in range(g.groups)])


def _pool(layer: Layer, x: np.ndarray, current: bool) -> np.ndarray:
    """Maximum of each window without its padding, or the window's sum."""
    channels, height, width = spatial(layer.input_shape)
    _, rows, columns = spatial(layer.output_shape)
    x = x.reshape(channels, height, width)
    out = np.empty((channels, rows, columns))
    for e in range(rows):
        for f in range(columns):
            y, z = e * layer.stride[0] - layer.padding[0], f * layer.stride[1] - layer.padding[1]
            window = x[:, max(y, 0) : y + layer.kernel[0], max(z, 0) : z + layer.kernel[1]].reshape(channels, -1)
            out[:, e, f] = window.max(axis=1) if layer.op == "maxpool" else window.sum(axis=1, dtype=np.float64)
    return out.reshape(channels, -1)


def _end(frozen: Frozen, item: FrozenLayer, sums: np.ndarray, u: np.ndarray, t: int) -> np.ndarray:
    """[M, pixels] after scale, offset and neuron; ``u`` [units, pixels] is updated."""
    neuron = item.layer.neuron
    if not item.layer.has_weights and neuron.type == "none" and frozen.workload.edge(item.name).kind != "current":
        return sums.astype(np.int64)
    scale, offset, threshold = (row[:, None] for row in item.at(t))
    current = to_grid(sums * scale + offset, item.current_step)
    if neuron.type == "none":
        return current
    if neuron.type == "relu":
        return np.clip(np.rint(current / neuron.scale), 0, 2**neuron.bits - 1).astype(np.int64)
    return _fire(current, u, threshold, item.lif)


def _fire(current: np.ndarray, u: np.ndarray, threshold: np.ndarray, lif: LifParameters) -> np.ndarray:
    spikes = np.zeros(current.shape, dtype=np.int64)
    for turn in range(lif.share):
        mine = slice(turn, None, lif.share)
        active = len(current[mine])
        membrane = to_grid(_decay(u[:active], lif), lif.current_step) + current[mine]
        count = _count(membrane, np.broadcast_to(threshold[mine], membrane.shape), lif)
        reset = membrane - count * threshold[mine] if lif.reset_subtract else np.zeros_like(membrane)
        u[:active] = np.where(count != 0, reset, membrane)
        spikes[mine] = count
    u[:] = _store(u, lif)
    return spikes


def _decay(u: np.ndarray, lif: LifParameters) -> np.ndarray:
    if lif.shift < 0:
        return u * lif.leak
    unit = lif.quant_step if lif.quant_step > 0 else lif.current_step
    return u - np.floor(u / unit / 2**lif.shift) * unit


def _count(membrane: np.ndarray, threshold: np.ndarray, lif: LifParameters) -> np.ndarray:
    def passed(size: np.ndarray) -> np.ndarray:
        levels = np.arange(1, lif.max_spikes + 1).reshape(-1, 1, 1) * threshold
        return np.sum(size >= levels if lif.compare_ge else size > levels, axis=0)

    return passed(membrane) - (passed(-membrane) if lif.signed else 0)


def _store(u: np.ndarray, lif: LifParameters) -> np.ndarray:
    if lif.quant_step <= 0:
        return u
    code = u / lif.quant_step
    if lif.quant_rounding == ROUND_NEAREST_EVEN:
        code = np.rint(code)
    elif lif.quant_rounding == ROUND_FLOOR:
        code = np.floor(code)
    else:
        code = np.trunc(code)
    if lif.quant_saturate:
        code = np.clip(code, lif.quant_low, lif.quant_high)
    else:
        code = np.mod(code - lif.quant_low, lif.quant_high - lif.quant_low + 1) + lif.quant_low
    return code * lif.quant_step
