"""The fast engine against the plain NumPy witness, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from snn_builder import LIF, Builder
from snn_cases import cases
from snn_check import check_equal

from hwsim.errors import SpecError
from hwsim.network import engine
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.workload.model import Workload


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_engine_equals_plain_network(case: Any) -> None:
    check_equal(case)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_engine_equals_plain_network_often(case: Any) -> None:
    check_equal(case)


def residual(floats: bool) -> Workload:
    """Two branches whose currents meet in an add that fires, and a join of counts."""
    b = Builder((3, 8, 8), 5, seed=8)
    b.weighted("conv2d", (6, 3, 3, 3), LIF, floats=floats, kernel=[3, 3], padding=[1, 1], name="stem")
    b.weighted("conv2d", (6, 6, 3, 3), {"type": "none"}, floats=floats, kernel=[3, 3], padding=[1, 1], name="left")
    b.weighted("conv2d", (6, 6, 1, 1), {"type": "none"}, kernel=[1, 1], inputs=["stem"], name="right")
    b.add("add", "sum", inputs=["left", "right", "stem"], neuron=LIF | {"threshold": 0.4, "reset": "subtract"})
    b.add("add", "counts", inputs=["sum", "stem"])
    b.add("maxpool", "half", kernel=[3, 3], stride=[2, 2], padding=[1, 1], inputs=["counts"])
    b.add("concat", "joined", inputs=["half", "half"])
    b.add("avgpool", "spread", kernel=[2, 2], inputs=["joined"])
    b.add("flatten")
    b.weighted("linear", (10, 48), {"type": "none"}, floats=floats, name="out")
    return b.build()


@pytest.mark.parametrize("floats", [False, True])
def test_residual_network(floats: bool) -> None:
    workload = residual(floats)
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8))
    check_equal((workload, image, 5, Numerics()))
    spikes = engine.run(freeze(workload), image)
    assert spikes.inputs["out"].max() > 1  # counts, not spikes


def test_sums_beyond_int32_are_exact() -> None:
    b = Builder((64, 3, 3), 2, seed=1, bits=16)
    b.weighted("conv2d", (3, 64, 3, 3), {"type": "none"}, kernel=[3, 3], name="wide")
    b.add("flatten")
    workload = b.build(classes=3)
    b.arrays["wide.weight"][:] = 127
    frozen = freeze(workload)
    assert frozen.layers["wide"].psum_bits == 40 and frozen.layers["wide"].packed.dtype == np.float64
    image = np.full((64, 3, 3), 65535)
    scale = 2 / 127 / np.sqrt(576) * (1 / 255)
    expected = 576 * 127 * 65535 * scale * np.arange(1, 3)[:, None] * np.ones(3)
    np.testing.assert_allclose(engine.run(frozen, image).logits, expected, rtol=1e-12)


@pytest.mark.parametrize("times", [1, 1024])
def test_one_and_many_timesteps(times: int) -> None:
    b = Builder((2, 3, 3), times, seed=2, encoding="poisson")
    b.weighted("conv2d", (3, 2, 2, 2), LIF | {"leak": 0.9, "reset": "subtract"}, kernel=[2, 2])
    b.add("flatten")
    b.weighted("linear", (4, 12), {"type": "if", "threshold": 0.5, "reset": "subtract"})
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3))
    check_equal((b.build("fire", classes=4), image, times, Numerics(lif_sharing=2, membrane_bits=8)))


def test_more_timesteps_than_parameters_are_refused() -> None:
    b = Builder((2, 3, 3), 3)
    b.weighted(
        "conv2d", (10, 2, 3, 3), LIF | {"threshold": b.member("t", np.ones((3, 10)))}, kernel=[3, 3], name="conv"
    )
    b.add("flatten")
    frozen = freeze(b.build("fire"))
    assert engine.run(frozen, np.zeros((2, 3, 3), dtype=np.uint8), 2).timesteps == 2
    with pytest.raises(SpecError, match="layer 'conv' has parameters for 3 timesteps, not 4"):
        engine.run(frozen, np.zeros((2, 3, 3), dtype=np.uint8), 4)
    with pytest.raises(SpecError, match="given for 3 timesteps, not 4"):
        freeze(frozen.workload, Numerics(timesteps=4))


def test_nothing_is_recorded_unless_asked_for() -> None:
    workload = residual(False)
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 8))
    bare = engine.run(freeze(workload), image, record=False)
    full = engine.run(freeze(workload), image)
    assert not list(bare.inputs) and not bare.outputs and not bare.membranes
    np.testing.assert_array_equal(bare.logits, full.logits)
    assert full.inputs["stem"].shape == (1, 3, 8, 8) and full.inputs.constant("stem")
    assert full.block("stem", 1, 4).shape == (3, 3, 8, 8)
    assert full.inputs["left"].shape == full.outputs["stem"].shape == (5, 6, 8, 8)
    assert full.inputs["left"].flags.c_contiguous
