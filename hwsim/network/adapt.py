"""BN adaptation: statistics of a network's BN measured again on the hardware that it runs on.

Non-ideal products shift and shrink psums, and BN then subtracts a mean and divides by a deviation that are no longer
theirs. Running some calibration samples through the hardware and putting the measured mean (and variance) in place of
the trained ones restores the distribution that the neurons expect. Weights, gamma and beta stay. Sources: mean only,
Bhattacharjee et al., "Examining the Robustness of Spiking Neural Networks on Non-ideal Memristive Crossbars" (ISLPED
2022), section IV-E; mean and variance, Bhattacharjee et al., "Are SNNs Truly Energy-efficient? A Hardware Perspective"
(2023), on its Fig. 6(b). Neither says more than that a number of images is forwarded; here layers are adapted in order,
each on inputs that the layers before, adapted already, have made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.network.forward import finish, sums
from hwsim.network.freeze import Frozen, FrozenLayer
from hwsim.network.moments import Moments, join, over_pixels
from hwsim.network.numerics import Statistics
from hwsim.network.walk import Walker, advance, start
from hwsim.workload.model import Samples, Workload

WHAT = ("mean", "mean_variance")
"""What is measured again: the mean only, or the mean and the variance."""

KEPT_BYTES = 2**28
"""Psums of one layer that are kept until its statistics are known; those of further images are computed again."""


def adapt(
    frozen_of: Callable[[Statistics], Frozen],
    samples: Samples,
    count: int | None = None,
    what: str = "mean",
    *,
    timesteps: int | None = None,
    seed: int = 0,
    workers: int = 2,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of every BN, from the first ``count`` (all) calibration samples; for ``Numerics.statistics``.

    ``frozen_of`` freezes the network of the hardware with the statistics given (at first none); its products must not
    depend on them. Statistics are over images, pixels and timesteps of psum x weight scale x input scale + bias, the
    value that BN sees; for BN per timestep over images and pixels, and timesteps that are not run keep the trained
    ones. Variances are population variances. The result does not depend on ``workers``. Raises ``SpecError`` where
    there is no BN or no sample.
    """
    if what not in WHAT:
        raise SpecError(f"unknown BN adaptation '{what}'; {did_you_mean(what, WHAT, 'Known adaptations')}")
    frozen = frozen_of({})
    remaining = [layer.name for layer in frozen.workload.weighted if layer.bn is not None]
    if not remaining:
        raise SpecError(f"workload {frozen.workload.name} has no BN to adapt")
    number = len(samples) if count is None else min(count, len(samples))
    if number < 1:
        raise SpecError(f"BN adaptation needs at least one calibration sample, not {number}")
    images = start(frozen, samples, number, timesteps, seed)
    statistics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for layer in frozen.workload.layers:
            if layer.name not in remaining:
                advance(pool, frozen.layers[layer.name], images)
                continue
            before = frozen.layers[layer.name]
            measured, kept = _measure(pool, before, images)
            statistics[layer.name] = _statistics(frozen.workload, before, measured, images[0].call.timesteps, what)
            remaining.remove(layer.name)
            if not remaining:
                break
            frozen = frozen_of(dict(statistics))
            _pass_kept(pool, before, frozen.layers[layer.name], images, kept)
    return statistics


def _measure(
    pool: Executor, item: FrozenLayer, images: Sequence[Walker]
) -> tuple[list[Moments], list[np.ndarray | None]]:
    """Of each image the moments [T or 1, M] of its psums over the pixels, and the psums of as many as may be kept."""
    g = item.geometry
    room = KEPT_BYTES // (8 * g.P * g.M * images[0].call.timesteps)

    def one(number: int) -> tuple[Moments, np.ndarray | None]:
        image = images[number]
        made = sums(item, image.peek(item), image.call)
        return over_pixels(made), made if number < room else None

    pairs = list(pool.map(one, range(len(images))))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _pass_kept(
    pool: Executor, before: FrozenLayer, item: FrozenLayer, images: Sequence[Walker], kept: list[np.ndarray | None]
) -> None:
    """The psums of ``before``, kept or computed again, through the adapted end of the layer."""

    def one(number: int) -> None:
        image, made = images[number], kept[number]
        kept[number] = None
        given = image.values.take(item.layer)
        made = sums(before, given, image.call) if made is None else made
        image.values[item.name], _ = finish(item, made, image.call)

    list(pool.map(one, range(len(images))))


def _statistics(
    workload: Workload, item: FrozenLayer, measured: Sequence[Moments], timesteps: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance in the shape of the file, of what BN sees: psum x scale + bias."""
    layer = item.layer
    assert layer.weights is not None and layer.bn is not None
    mean, var = (np.array(workload.array(name), dtype=np.float64) for name in (layer.bn.mean, layer.bn.var))
    scale = workload.values(layer.weights.scale) * workload.edge(layer.inputs[0]).scale
    bias = 0.0 if layer.bias is None else workload.array(layer.bias).astype(np.float64)
    seen = join(measured)
    rows: slice = slice(timesteps)  # a constant input has one row of psums, which stands for all timesteps
    if not layer.bn.per_timestep:
        rows = slice(None)
        seen = join(Moments(seen.count, *row) for row in zip(seen.mean, seen.squares, strict=True))
    mean[rows] = seen.mean * scale + bias
    if what == "mean_variance":
        var[rows] = seen.variance * scale**2
    return mean, var
