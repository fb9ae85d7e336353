"""The fast engine: one sample through the network, layer by layer, all timesteps of a layer at once.

Equal bit for bit to ``hwsim.network.reference``. Only inputs that are not zero cost time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hwsim.errors import SpecError
from hwsim.network.encode import RawSample, encode, take
from hwsim.network.exit import ExitRule, exit_timesteps
from hwsim.network.forward import Call, Values, forward
from hwsim.network.freeze import Frozen
from hwsim.network.numerics import check_timesteps
from hwsim.network.spikes import Recorded, Spikes
from hwsim.workload.model import Samples

__all__ = ["Accuracy", "RawSample", "Spikes", "accuracy", "run", "run_sample"]


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
    exit by ``exit_rule`` nothing of the later timesteps is returned. ``seed`` and ``sample`` name the Poisson draws;
    ``sample`` also names those of products.
    """
    times = checked_timesteps(frozen, timesteps)
    workload = frozen.workload
    encoded = encode(workload.input, inputs, times, seed, sample)
    values = Values(workload, encoded)
    call = Call(workload, times, sample, membranes)
    seen, fired, stored = Recorded(times), Recorded(times), Recorded(times)
    for layer in workload.layers:
        given = values.take(layer)
        values[layer.name], membrane = forward(frozen.layers[layer.name], given, call)
        if record and layer.has_weights:
            seen.keep(layer.name, given[0])
            fired.keep(layer.name, values[layer.name])
        if membrane.size:
            stored.keep(layer.name, membrane)
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
