"""Layer inputs of workloads that are no networks: recorded ones unpacked, those of shape tables drawn on demand."""

from __future__ import annotations

import numpy as np

from hwsim.workload.model import INPUT, Layer, Workload, size


def layer_inputs(workload: Workload, layer: Layer, sample: int, seed: int, timesteps: int) -> np.ndarray:
    """Inputs of a weighted layer, integers [T, *input_shape], T = min(timesteps, those recorded).

    A shape table's element is nonzero where its draw is below the layer's density; wider inputs are then uniform over
    1..high; a directly coded first input is the same at every timestep. Values that a trace did not record are the
    largest that the edge holds: every bit plane counts as used, which is an upper bound of the work. A trace holds one
    sample; ``sample`` then has no effect.
    """
    assert workload.kind != "network" and layer.has_weights
    high = workload.input_edge(layer).high
    dtype = np.dtype(np.uint8 if high <= 255 else np.uint16)
    if workload.kind == "trace":
        return _recorded(workload, layer, high, dtype, timesteps)
    direct = layer.inputs == (INPUT,) and workload.input.encoding == "direct"
    number = workload.layers.index(layer)
    density = 1.0 if layer.density is None else layer.density
    steps = [
        _draw(layer.input_shape, density, high, (seed, sample, t, number)) for t in range(1 if direct else timesteps)
    ]
    return np.stack(steps * timesteps if direct else steps).astype(dtype)


def _recorded(workload: Workload, layer: Layer, high: int, dtype: np.dtype, timesteps: int) -> np.ndarray:
    steps = min(timesteps, layer.timesteps or timesteps)
    packed = workload.array(f"spikes.{layer.name}")
    values = np.unpackbits(packed, count=steps * size(layer.input_shape)).astype(dtype)
    if not layer.values_recorded:
        values *= dtype.type(high)
    return values.reshape(steps, *layer.input_shape)


def _draw(shape: tuple[int, ...], density: float, high: int, key: tuple[int, int, int, int]) -> np.ndarray:
    """One timestep's integers: nonzero with probability ``density``."""
    from hwsim.rng import uniform

    seed, sample, timestep, step = key
    index = np.arange(size(shape), dtype=np.int64)
    values = (uniform(seed, "shapes.density", sample, timestep, step, index) < density).astype(np.int64)
    if high > 1:
        values *= 1 + np.floor(uniform(seed, "shapes.value", sample, timestep, step, index) * high).astype(np.int64)
    return values.reshape(shape)


def weight_pattern(workload: Workload, layer: Layer, seed: int) -> np.ndarray:
    """Which weights are not zero, bool [M, K]. Those of a shape table are drawn with its ``weight_density``."""
    geometry = layer.geometry
    shape = (geometry.M, geometry.K)
    if workload.kind == "network":
        return workload.weight(layer).reshape(shape) != 0
    if layer.weight_density is None or layer.weight_density == 1.0:
        return np.ones(shape, dtype=np.bool_)
    from hwsim.rng import uniform

    index = np.arange(size(shape), dtype=np.int64)
    drawn = uniform(seed, "shapes.weights", 0, 0, workload.layers.index(layer), index)
    return (drawn < layer.weight_density).reshape(shape)
