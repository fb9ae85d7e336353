"""BN statistics measured again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from snn_builder import LIF, Builder
from snn_cases import cases
from toy_product import toy, toys

from hwsim.errors import SpecError
from hwsim.network import adapt as module
from hwsim.network import engine, reference
from hwsim.network.adapt import adapt
from hwsim.network.encode import encode, take
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics, Statistics
from hwsim.workload.model import Samples, Workload

TIMES = 4
SAMPLES = Samples(np.random.default_rng(9).integers(0, 256, (40, 2, 6, 6)).astype(np.uint8), np.arange(40) % 10)


def network(per_timestep: bool = False, eps: float = 0.0) -> Workload:
    """Two convolutions and a linear layer with BN and bias, a maxpool, and an output without BN."""
    b = Builder((2, 6, 6), TIMES, seed=6)

    def keys(name: str, channels: int) -> dict[str, Any]:
        shape = (TIMES, channels) if per_timestep else (channels,)
        bn: dict[str, Any] = {"eps": eps, "per_timestep": per_timestep}
        for key, low, high in (("gamma", 0.8, 1.2), ("beta", 0.1, 0.5), ("mean", -0.2, 0.2), ("var", 0.1, 0.3)):
            bn[key] = b.member(f"{name}.{key}", b.random.uniform(low, high, shape).astype(np.float32))["member"]
        bias = b.member(f"{name}.bias", b.random.normal(0, 0.2, channels).astype(np.float32))
        return {"name": name, "bn": bn, "bias": bias}

    b.weighted("conv2d", (6, 2, 3, 3), LIF, kernel=[3, 3], padding=[1, 1], **keys("one", 6))
    b.weighted("conv2d", (8, 6, 3, 3), LIF, kernel=[3, 3], padding=[1, 1], **keys("two", 8))
    b.layers[1]["weights"]["scale"] = b.member("scale", b.random.uniform(0.005, 0.02, 8).astype(np.float32))
    b.add("maxpool", kernel=[2, 2])
    b.add("flatten")
    b.weighted("linear", (32, 72), LIF, **keys("three", 32))
    b.weighted("linear", (10, 32), {"type": "none"}, name="out")
    return b.build()


def freezer(workload: Workload, **changes: Any) -> Callable[[Statistics], Frozen]:
    """Freezes the workload with toy products of changed weights, or none."""
    products = toys(freeze(workload), **changes) if changes else {}
    return lambda statistics: freeze(workload, Numerics(products=products, statistics=statistics))


def recorded(frozen: Frozen, samples: Samples, count: int, times: int = TIMES, seed: int = 0) -> dict[str, np.ndarray]:
    """What BN sees in each layer, by the plain network: [images, T, M, pixels]."""
    workload = frozen.workload
    seen: dict[str, list[np.ndarray]] = {}
    for sample in range(count):
        encoded = encode(workload.input, take(samples, sample), times, seed, sample)
        for name, psums in reference.run(frozen, encoded, times, sample).psums.items():
            layer = workload.layer(name)
            assert layer.weights is not None
            scale = workload.values(layer.weights.scale) * workload.edge(layer.inputs[0]).scale
            bias = 0.0 if layer.bias is None else workload.array(layer.bias).astype(np.float64)
            seen.setdefault(name, []).append((psums.transpose(0, 2, 1) * scale + bias).transpose(0, 2, 1))
    return {name: np.stack(values) for name, values in seen.items()}


@pytest.mark.parametrize("per_timestep", [False, True])
def test_statistics_are_those_of_the_adapted_network_s_own_values(per_timestep: bool) -> None:
    workload = network(per_timestep)
    frozen_of = freezer(workload, factor=0.7, spread=0.4, fresh=True, noise=30.0)
    found = adapt(frozen_of, SAMPLES, 7, "mean_variance")
    seen = recorded(frozen_of(found), SAMPLES, 7)
    assert list(found) == ["one", "two", "three"]
    axes = (0, 3) if per_timestep else (0, 1, 3)
    for name, (mean, var) in found.items():
        assert mean.shape == var.shape == ((TIMES, len(mean[0])) if per_timestep else (seen[name].shape[2],))
        np.testing.assert_allclose(mean, seen[name].mean(axis=axes), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(var, seen[name].var(axis=axes), rtol=1e-11, atol=1e-13)
    if per_timestep:
        assert np.ptp(found["two"][0], axis=0).min() > 0.01  # timesteps do differ


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(cases(), st.booleans(), st.booleans())
def test_statistics_of_any_network(case: Any, fresh: bool, hardware: bool) -> None:
    workload, raw, times, numerics = case
    assume(any(layer.bn is not None for layer in workload.weighted))
    ideal = freeze(workload, numerics)
    made = {i.name: toy(ideal, i, spread=0.3, fresh=fresh, noise=0.5) for i in ideal.weighted if hardware}
    if isinstance(raw, tuple):
        samples = Samples(None, np.zeros(1), raw[0], raw[1], np.array([0, len(raw[0])]))
    else:
        samples = Samples(raw[None], np.zeros(1))

    def frozen_of(statistics: Statistics) -> Frozen:
        kept = {"membrane_bits": numerics.membrane_bits, "lif_sharing": numerics.lif_sharing}
        return freeze(workload, Numerics(products=made, statistics=statistics, **kept))

    found = adapt(frozen_of, samples, what="mean_variance", seed=3)
    seen = recorded(frozen_of(found), samples, 1, times, seed=3)
    for name, (mean, var) in found.items():
        bn = workload.layer(name).bn
        axes = (0, 3) if bn is not None and bn.per_timestep else (0, 1, 3)
        size = np.abs(seen[name]).max()
        np.testing.assert_allclose(mean, seen[name].mean(axis=axes), rtol=1e-11, atol=1e-13 * size)
        np.testing.assert_allclose(var, seen[name].var(axis=axes), rtol=1e-9, atol=1e-13 * size**2)


@pytest.mark.parametrize("per_timestep", [False, True])
def test_halved_psums_are_made_good_bit_for_bit(per_timestep: bool) -> None:
    """Halving is exact, and so is its inverse by mean and variance where eps is 0."""
    workload = network(per_timestep)
    trained = adapt(freezer(workload), SAMPLES, 30, "mean_variance")
    plain = {name: (mean - workload_bias(workload, name), var) for name, (mean, var) in trained.items()}
    found = adapt(freezer(workload, factor=0.5), SAMPLES, 30, "mean_variance")
    for name, (mean, var) in found.items():
        bias = workload_bias(workload, name)
        np.testing.assert_allclose(mean - bias, 0.5 * plain[name][0], rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(var, 0.25 * trained[name][1])
    ideal, hardware = freezer(workload)(trained), freezer(workload, factor=0.5)(found)
    for sample in range(5):
        one, two = (engine.run_sample(frozen, SAMPLES, sample) for frozen in (ideal, hardware))
        assert all(0.05 < one.outputs[name].mean() < 0.95 for name in ("one", "two", "three"))
        for name in ("one", "two", "three"):
            np.testing.assert_array_equal(one.outputs[name], two.outputs[name])


def workload_bias(workload: Workload, name: str) -> np.ndarray:
    """A layer's bias."""
    bias = workload.layer(name).bias
    assert bias is not None
    return workload.array(bias).astype(np.float64)


def test_psums_times_0_6_lose_accuracy_and_adaptation_restores_it() -> None:
    workload = network(eps=1e-5)
    trained = adapt(freezer(workload), SAMPLES, 30, "mean_variance")
    ideal = engine.accuracy(freezer(workload)(trained), SAMPLES)
    labelled = Samples(SAMPLES.inputs, ideal.predictions)
    assert len(set(ideal.predictions.tolist())) > 3
    shrunk = freezer(workload, factor=0.6)
    assert engine.accuracy(shrunk(trained), labelled).fraction < 0.7
    found = adapt(shrunk, SAMPLES, 30, "mean_variance")
    for name, (mean, var) in found.items():
        bias = workload_bias(workload, name)
        np.testing.assert_allclose(mean, 0.6 * (trained[name][0] - bias) + bias, rtol=0.01, atol=0.005)
        np.testing.assert_allclose(var, 0.36 * trained[name][1], rtol=0.02)
    assert engine.accuracy(shrunk(found), labelled).fraction >= 0.95
    # The mean alone does not undo a scale.
    mean_only = adapt(lambda means: shrunk({name: (means[name][0], trained[name][1]) for name in means}), SAMPLES, 30)
    pairs = {name: (mean, trained[name][1]) for name, (mean, _) in mean_only.items()}
    assert engine.accuracy(shrunk(pairs), labelled).fraction < 0.7


def test_mean_only_leaves_the_variances() -> None:
    workload = network()
    frozen_of = freezer(workload, factor=0.6)
    found = adapt(frozen_of, SAMPLES, 5)
    seen = recorded(frozen_of(found), SAMPLES, 5)
    for name, (mean, var) in found.items():
        bn = workload.layer(name).bn
        assert bn is not None
        np.testing.assert_array_equal(var, workload.array(bn.var).astype(np.float64))
        np.testing.assert_allclose(mean, seen[name].mean(axis=(0, 1, 3)), rtol=1e-11, atol=1e-13)


def test_timesteps_that_are_not_run_keep_what_was_trained() -> None:
    workload = network(per_timestep=True)
    mean, var = adapt(freezer(workload), SAMPLES, 3, "mean_variance", timesteps=2)["two"]
    trained = workload.array("two.mean")
    np.testing.assert_array_equal(mean[2:], trained[2:])
    assert (mean[:2] != trained[:2]).all() and (var[:2] != workload.array("two.var")[:2]).all()
    assert freezer(workload)({"two": (mean, var)}).layers["two"].scale.shape == (TIMES, 8)


def test_neither_threads_nor_memory_change_the_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen_of = freezer(network(), spread=0.3, fresh=True, noise=50.0)
    first = adapt(frozen_of, SAMPLES, 9, "mean_variance", workers=1)
    for kept in (0, 3 * 8 * 36 * 6 * TIMES, 2**28):
        monkeypatch.setattr(module, "KEPT_BYTES", kept)
        again = adapt(frozen_of, SAMPLES, 9, "mean_variance", workers=3)
        for name, pair in first.items():
            np.testing.assert_array_equal(pair, again[name])


def test_a_layer_is_computed_once_where_psums_fit() -> None:
    products = toys(freeze(network()))
    adapt(lambda found: freeze(network(), Numerics(products=products, statistics=found)), SAMPLES, 5)
    assert {name: len(made.calls) for name, made in products.items()} == {"one": 5, "two": 5, "three": 5, "out": 0}


def test_what_cannot_be_adapted_is_refused() -> None:
    workload = network()
    with pytest.raises(SpecError, match="unknown BN adaptation 'means'; did you mean 'mean'"):
        adapt(freezer(workload), SAMPLES, 2, "means")
    with pytest.raises(SpecError, match="at least one calibration sample, not 0"):
        adapt(freezer(workload), SAMPLES, 0)
    b = Builder((2, 6, 6), 2)
    b.add("flatten")
    b.weighted("linear", (10, 72), {"type": "none"})
    with pytest.raises(SpecError, match="has no BN to adapt"):
        adapt(freezer(b.build()), SAMPLES)


def test_statistics_of_another_shape_are_refused() -> None:
    with pytest.raises(SpecError, match=r"the variance of its BN must have the shape \[6\], not \[4, 6\]"):
        freezer(network())({"one": (np.zeros(6), np.ones((4, 6)))})
