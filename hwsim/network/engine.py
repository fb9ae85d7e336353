"""The fast engine: one sample through the network, layer by layer, all timesteps of a layer at once.

Equal bit for bit to ``hwsim.network.reference``. Only inputs that are not zero cost time.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass

import numpy as np

from hwsim.errors import SpecError
from hwsim.network import kernels
from hwsim.network.encode import RawSample, encode, take
from hwsim.network.exit import ExitRule, exit_timesteps
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.network.numerics import check_timesteps
from hwsim.network.plain import apply, narrow, to_channel_last
from hwsim.network.spikes import Recorded, Spikes
from hwsim.workload.model import INPUT, Edge, Samples

__all__ = ["Accuracy", "RawSample", "Spikes", "accuracy", "run", "run_sample"]

_KINDS = {"none": kernels.KIND_NONE, "lif": kernels.KIND_LIF, "if": kernels.KIND_LIF, "relu": kernels.KIND_RELU}


def run(
    frozen: Frozen,
    inputs: RawSample,
    timesteps: int | None = None,
    *,
    seed: int = 0,
    sample: int = 0,
    record: bool = True,
    membranes: bool = False,
    exit_rule: ExitRule | None = None,
) -> Spikes:
    """Run one sample, given as it is stored: integers [*shape] (counts: [T, *shape]), or events (time_us, index).

    ``record`` keeps the inputs and outputs of all weighted layers, ``membranes`` also the stored membranes. After an
    exit by ``exit_rule`` nothing of the later timesteps is returned. ``seed`` and ``sample`` name the Poisson draws.
    """
    times = checked_timesteps(frozen, timesteps)
    workload = frozen.workload
    encoded = encode(workload.input, inputs, times, seed, sample)
    values = {INPUT: to_channel_last(encoded)}
    seen, fired, stored = Recorded(times), Recorded(times), Recorded(times)
    waiting = Counter(name for layer in workload.layers for name in layer.inputs)
    for layer in workload.layers:
        item = frozen.layers[layer.name]
        given = [values[name] for name in layer.inputs]
        edges = [workload.edge(name) for name in layer.inputs]
        out, membrane = _layer(item, given, edges, workload.edge(layer.name), times, membranes)
        values[layer.name] = out
        if record and layer.has_weights:
            seen.keep(layer.name, given[0])
            fired.keep(layer.name, out)
        if membrane.size:
            stored.keep(layer.name, membrane)
        for name in layer.inputs:
            waiting[name] -= 1
            if not waiting[name] and name != workload.output_layer:
                del values[name]
    assert workload.output_layer is not None
    logits = accumulate(values[workload.output_layer], times)
    stop = exit_timesteps(exit_rule, logits)
    for recorded in (seen, fired, stored):
        recorded.stop_after(stop)
    return Spikes(stop, seen, fired, stored, logits[:stop], int(np.argmax(logits[stop - 1])))


def run_sample(
    frozen: Frozen, samples: Samples, number: int, timesteps: int | None = None, **options: object
) -> Spikes:
    """``run`` on sample ``number`` of a set, which also names its draws."""
    return run(frozen, take(samples, number), timesteps, sample=number, **options)  # type: ignore[arg-type]


def checked_timesteps(frozen: Frozen, timesteps: int | None) -> int:
    """The timesteps to run: those of the frozen network unless said; ``SpecError`` where a layer has fewer."""
    times = check_timesteps(timesteps or frozen.timesteps)
    for layer in frozen.layers.values():
        for rows in (len(layer.scale), len(layer.threshold)):
            if 1 < rows < times:
                raise SpecError(f"layer '{layer.name}' has parameters for {rows} timesteps, not {times}")
    return times


def accumulate(output: np.ndarray, timesteps: int) -> np.ndarray:
    """[T, classes] float64: the output layer [T or 1, H, W, classes] summed up to and including each timestep."""
    flat = output.transpose(0, 3, 1, 2).reshape(len(output), -1).astype(np.float64)
    return np.cumsum(np.broadcast_to(flat, (timesteps, flat.shape[1])), axis=0)


@dataclass(frozen=True)
class Accuracy:
    """Decisions over a set of samples."""

    labels: np.ndarray
    """[N] int64."""
    predictions: np.ndarray
    """[N] int64."""
    timesteps: np.ndarray
    """[N] int64, those that each sample ran."""

    @property
    def correct(self) -> int:
        """Samples decided right."""
        return int((self.labels == self.predictions).sum())

    @property
    def fraction(self) -> float:
        """Samples decided right over all."""
        return self.correct / len(self.labels)


def accuracy(
    frozen: Frozen,
    samples: Samples,
    count: int | None = None,
    timesteps: int | None = None,
    *,
    first: int = 0,
    seed: int = 0,
    exit_rule: ExitRule | None = None,
    workers: int = 2,
) -> Accuracy:
    """Decide ``count`` samples (all), from ``first`` on. Threads: kernels hold no lock. Equal for any ``workers``."""
    last = len(samples) if count is None else min(first + count, len(samples))
    numbers = range(first, last)

    def decide(number: int) -> tuple[int, int]:
        spikes = run_sample(frozen, samples, number, timesteps, seed=seed, record=False, exit_rule=exit_rule)
        assert spikes.prediction is not None
        return spikes.prediction, spikes.timesteps

    with ThreadPoolExecutor(max(1, workers)) as pool:
        decided = np.array(list(pool.map(decide, numbers)), dtype=np.int64).reshape(-1, 2)
    return Accuracy(np.asarray(samples.labels[first:last], dtype=np.int64), decided[:, 0], decided[:, 1])


def _layer(
    item: FrozenLayer, inputs: list[np.ndarray], edges: list[Edge], edge: Edge, timesteps: int, membranes: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Output of one layer, channel-last, and its stored membranes (empty unless wanted)."""
    layer = item.layer
    x = inputs[0] if layer.has_weights else apply(layer, inputs, edges, item.current_step)
    if not layer.has_weights and layer.neuron.type == "none" and edge.kind != "current":
        return narrow(x, edge), np.empty(0)
    fires = layer.neuron.spiking
    times = timesteps if fires or len(x) > 1 or len(item.scale) > 1 else 1
    out = _outputs(item, edge, x.shape, times, membranes and fires)
    neuron = kernels.Neuron(
        _KINDS[layer.neuron.type], item.lif, item.start, float(layer.neuron.scale), float(2**layer.neuron.bits - 1)
    )
    arguments = (item.scale, item.offset, item.threshold, item.current_step, neuron)
    if layer.has_weights:
        _weighted(item, x, edges[0], arguments, out)
    else:
        rows = np.ascontiguousarray(x, dtype=np.float64).reshape(len(x), -1, x.shape[3])
        kernels.plain_layer(rows, *arguments, np.empty(item.units), out)
    result = out.currents if edge.kind == "current" else out.spikes
    height, width = _map_size(layer.output_shape)
    membrane = out.membranes.reshape(-1, height, width, item.units) if out.membranes.size else np.empty(0)
    return result.reshape(times, height, width, -1), membrane


def _outputs(item: FrozenLayer, edge: Edge, given: tuple[int, ...], times: int, membranes: bool) -> kernels.Outputs:
    height, width = _map_size(item.layer.output_shape)
    pixels, channels = height * width, item.layer.output_shape[0]
    current = edge.kind == "current"
    small = edge.low >= 0 and edge.high <= 255
    return kernels.Outputs(
        np.empty((0 if current else times, pixels, channels), dtype=np.uint8 if small else np.int32),
        np.empty((times if current else 0, pixels, channels)),
        np.empty((times if membranes else 0, pixels, item.units)),
    )


def _weighted(item: FrozenLayer, x: np.ndarray, edge: Edge, arguments: tuple, out: kernels.Outputs) -> None:
    g = item.geometry
    shape = kernels.Shape(*astuple(g))
    psum = np.empty(g.M, dtype=np.int32 if item.fits_int32 else np.float64)
    first, channel, value = kernels.list_events(x.reshape(len(x), g.H * g.W, g.C), psum)
    unit = edge.low == 0 and edge.high == 1
    kernels.weighted_layer(first, channel, value, unit, item.packed, shape, *arguments, psum, np.empty(item.units), out)


def _map_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of an edge (C), (C, L) or (C, H, W)."""
    return (shape[1], shape[2]) if len(shape) == 3 else (1, shape[1] if len(shape) == 2 else 1)
