"""How far the hardware's network is from the ideal one, layer by layer and timestep by timestep, cause by cause.

Both networks compute the same samples, layer after layer. A layer of the hardware is given either what its own layers
before it made, so that errors pile up, or the ideal network's values, so that only the layer's own error is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.grid import to_grid
from hwsim.network.encode import encode, take
from hwsim.network.engine import checked_timesteps
from hwsim.network.forward import Call, Values, finish, forward, sums
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.network.moments import Moments, join, over_pixels
from hwsim.workload.model import Samples

FED = ("own", "ideal")
"""Inputs of the hardware's layers: what its own layers made, or what the ideal network's layers made."""


class Deviation(NamedTuple):
    """One weighted layer in one timestep, over all its neurons and all samples. Currents as they enter the neuron."""

    cause: str
    """What the hardware was frozen with; blank where there is only one."""
    layer: str
    timestep: int
    current: float
    """rms of the difference of the currents over the rms of the ideal ones; infinite where only the latter is 0."""
    membrane: float | None
    """The same of the membranes as stored at the end of the timestep; None without membranes."""
    output: float
    """Share of outputs (spikes, activations or currents) that differ."""
    ideal_mean: float
    ideal_variance: float
    hardware_mean: float
    hardware_variance: float
    """Mean and population variance of the currents of both."""


class _Part(NamedTuple):
    """What one sample adds to the rows of one layer; all [T]."""

    current: np.ndarray
    """[2, T] sums of the squares of differences and of ideal values; likewise membrane."""
    membrane: np.ndarray | None
    output: np.ndarray
    """[2, T] outputs that differ, and all of them."""
    ideal: Moments
    hardware: Moments


class _Seen(NamedTuple):
    """A layer of one network in one sample; everything has all T timesteps in front."""

    current: np.ndarray
    membrane: np.ndarray
    output: np.ndarray


def deviations(
    ideal: Frozen,
    hardware: Frozen | Mapping[str, Frozen],
    samples: Samples,
    count: int | None = None,
    *,
    timesteps: int | None = None,
    seed: int = 0,
    workers: int = 2,
    fed: str = "own",
) -> list[Deviation]:
    """Rows by cause, layer and timestep over the first ``count`` (all) samples; equal for any ``workers``.

    ``hardware`` is one network, or one for each cause by name (wires only, converters only, all): the ideal one is
    then computed once for all. ``fed`` says what the hardware's layers are given, one of ``FED``. Raises ``SpecError``
    where there is no sample.
    """
    if fed not in FED:
        raise SpecError(f"unknown inputs '{fed}' for deviations; {did_you_mean(fed, FED, 'Known inputs')}")
    number = len(samples) if count is None else min(count, len(samples))
    if number < 1:
        raise SpecError(f"deviations need at least one sample, not {number}")
    causes = dict(hardware) if isinstance(hardware, Mapping) else {"": hardware}
    times = checked_timesteps(ideal, timesteps)
    for frozen in causes.values():
        assert frozen.workload.layers == ideal.workload.layers, "deviations compare two states of one network"
        checked_timesteps(frozen, times)

    def one(sample: int) -> dict[tuple[str, str], _Part]:
        encoded = encode(ideal.workload.input, take(samples, sample), times, seed, sample)
        return _sample(ideal, causes, encoded, Call(ideal.workload, times, sample, membranes=True), fed)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        parts = list(pool.map(one, range(number)))
    return [row for cause, layer in parts[0] for row in _rows(cause, layer, [part[cause, layer] for part in parts])]


def _sample(
    ideal: Frozen, causes: Mapping[str, Frozen], encoded: np.ndarray, call: Call, fed: str
) -> dict[tuple[str, str], _Part]:
    """One sample through all networks at once, layer by layer."""
    right = Values(ideal.workload, encoded)
    made = {cause: Values(ideal.workload, encoded) for cause in causes if fed == "own"}
    parts: dict[tuple[str, str], _Part] = {}
    for layer in ideal.workload.layers:
        given = right.take(layer)
        expected, right[layer.name] = _look(ideal.layers[layer.name], given, call)
        for cause, frozen in causes.items():
            item = frozen.layers[layer.name]
            if fed == "own":
                found, made[cause][layer.name] = _look(item, made[cause].take(layer), call)
            elif layer.has_weights:
                found, _ = _look(item, given, call)
            if layer.has_weights:
                assert expected is not None and found is not None
                parts[cause, layer.name] = _compare(expected, found)
    order = {name: number for number, name in enumerate(causes)}
    return dict(sorted(parts.items(), key=lambda entry: order[entry[0][0]]))


def _look(item: FrozenLayer, given: list[np.ndarray], call: Call) -> tuple[_Seen | None, np.ndarray]:
    """What happened in a weighted layer (else None), and its output [T or 1, E, F, M]."""
    if not item.layer.has_weights:
        return None, forward(item, given, call)[0]
    finished = sums(item, given, call)
    output, membrane = finish(item, finished, call)
    scale, offset = item.scale[: call.timesteps, None], item.offset[: call.timesteps, None]
    current = to_grid(finished * scale + offset, item.current_step)
    current, shown = (np.broadcast_to(x, (call.timesteps, *x.shape[1:])) for x in (current, output))
    return _Seen(current, membrane.reshape(call.timesteps, -1) if membrane.size else membrane, shown), output


def _compare(ideal: _Seen, hardware: _Seen) -> _Part:
    """The sums of one sample. Differences are those of arrays in one order, whatever the threads."""
    times = len(ideal.current)
    comparable = ideal.membrane.size and ideal.membrane.shape == hardware.membrane.shape
    differ = (ideal.output != hardware.output).reshape(times, -1)
    return _Part(
        _squares(ideal.current, hardware.current),
        _squares(ideal.membrane, hardware.membrane) if comparable else None,
        np.stack([differ.sum(axis=1), np.full(times, differ.shape[1])]),
        over_pixels(ideal.current.reshape(times, -1, 1)),
        over_pixels(hardware.current.reshape(times, -1, 1)),
    )


def _squares(ideal: np.ndarray, hardware: np.ndarray) -> np.ndarray:
    """[2, T] sums of the squares of the differences, and of the ideal values."""
    difference = (hardware - ideal).reshape(len(ideal), -1)
    values = ideal.reshape(len(ideal), -1)
    return np.stack([(difference**2).sum(axis=1), (values**2).sum(axis=1)])


def _rows(cause: str, layer: str, parts: list[_Part]) -> list[Deviation]:
    current = _relative(sum(part.current for part in parts))
    membranes = [part.membrane for part in parts]
    membrane = None if membranes[0] is None else _relative(sum(membranes))
    differ, outputs = sum(part.output for part in parts)  # type: ignore[misc]
    ideal, hardware = join(part.ideal for part in parts), join(part.hardware for part in parts)
    return [
        Deviation(
            cause, layer, t, current[t], None if membrane is None else membrane[t], float(differ[t] / outputs[t]),
            float(ideal.mean[t, 0]), float(ideal.variance[t, 0]),
            float(hardware.mean[t, 0]), float(hardware.variance[t, 0]),
        )
        for t in range(len(current))
    ]  # fmt: skip


def _relative(squares: Any) -> list[float]:
    """Root of the ratio of [2, T] sums of squares; 0 where both are 0."""
    return [float(np.sqrt(d / v)) if v > 0 else (np.inf if d > 0 else 0.0) for d, v in squares.T]
