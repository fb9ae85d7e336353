"""From a stored sample to the integers that the first layer sees at each timestep."""

from __future__ import annotations

import math

import numpy as np

from hwsim.errors import SpecError
from hwsim.rng import uniform
from hwsim.workload.model import InputSpec, Samples, integer_range

STREAM = "network.input"
"""Stream of the Poisson draws."""

RawSample = np.ndarray | tuple[np.ndarray, np.ndarray]
"""One sample as stored: an array, or events (time_us [N], index [N])."""


def take(samples: Samples, number: int) -> RawSample:
    """Sample ``number`` of a set, as stored."""
    if samples.inputs is not None:
        return samples.inputs[number]
    assert samples.offsets is not None and samples.time_us is not None and samples.index is not None
    first, last = int(samples.offsets[number]), int(samples.offsets[number + 1])
    return samples.time_us[first:last], samples.index[first:last]


def encode(spec: InputSpec, raw: RawSample, timesteps: int, seed: int = 0, sample: int = 0) -> np.ndarray:
    """Integers [T, *shape], or [1, *shape] where every timestep sees the same (direct). uint8 if they fit, else int32.

    ``seed`` and ``sample`` name the draws of Poisson coding; they change nothing else.
    """
    if spec.encoding == "events":
        assert isinstance(raw, tuple)
        return _narrow(bin_events(spec, raw[0], raw[1], timesteps), spec)
    assert isinstance(raw, np.ndarray)
    if spec.encoding == "counts":
        if len(raw) < timesteps:
            raise SpecError(f"the sample has counts of {len(raw)} timesteps, not {timesteps}")
        return _narrow(_expect(raw[:timesteps], (timesteps, *spec.shape)), spec)
    image = _expect(raw, spec.shape)
    if spec.encoding == "poisson":
        return poisson(image, spec.scale, timesteps, seed, sample)
    return _narrow(image[None], spec)


def poisson(image: np.ndarray, scale: float, timesteps: int, seed: int, sample: int) -> np.ndarray:
    """Spikes uint8 [T, *shape]: at each timestep with probability image x scale (clipped to 0..1), independently."""
    probability = np.asarray(image, dtype=np.float64) * scale
    index = np.arange(probability.size, dtype=np.int64).reshape(probability.shape)
    out = np.empty((timesteps, *probability.shape), dtype=np.uint8)
    for t in range(timesteps):
        out[t] = uniform(seed, STREAM, sample, t, 0, index) < probability
    return out


def bin_events(spec: InputSpec, time_us: np.ndarray, index: np.ndarray, timesteps: int) -> np.ndarray:
    """Events counted per bin and place, int64 [T, *shape], clipped to the input's range (a spike input: to 1).

    Bin t holds the events from t ``bin_us`` up to, not including, (t + 1) ``bin_us`` microseconds; others are dropped.
    """
    assert spec.bin_us is not None
    size = math.prod(spec.shape)
    bins = np.asarray(time_us, dtype=np.int64) // spec.bin_us
    inside = (bins >= 0) & (bins < timesteps)
    places = bins[inside] * size + np.asarray(index, dtype=np.int64)[inside]
    counts = np.bincount(places, minlength=timesteps * size).reshape(timesteps, *spec.shape)
    return np.minimum(counts, spec.edge.high)


def _expect(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if tuple(array.shape) != tuple(shape):
        raise SpecError(f"an input sample must have the shape {list(shape)}, found {list(array.shape)}")
    return array


def _narrow(array: np.ndarray, spec: InputSpec) -> np.ndarray:
    """The array as uint8, or int32 where its format needs it."""
    low, high = integer_range(spec.bits, spec.signed)
    if array.size and not (low <= array.min() and array.max() <= high):
        raise SpecError(f"input values must be from {low} to {high}, found {array.min()} to {array.max()}")
    return np.array(array, dtype=np.uint8 if low == 0 and high <= 255 else np.int32, order="C")
