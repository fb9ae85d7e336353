"""What freezing makes of a workload."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snn_builder import LIF, Builder

from hwsim.errors import SpecError
from hwsim.grid import on_grid
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics


def small(timesteps: int = 3, neuron: dict[str, Any] | None = None, **keys: Any) -> Builder:
    """conv2d 2 -> 4 over 3 x 3 pixels of 8 bits, then a linear output."""
    b = Builder((2, 3, 3), timesteps)
    b.weighted("conv2d", (4, 2, 3, 3), neuron or LIF, kernel=[3, 3], padding=[1, 1], name="conv", **keys)
    b.add("flatten")
    b.weighted("linear", (10, 36), {"type": "none"}, name="out")
    return b


def test_psum_width_is_that_of_the_worst_sum() -> None:
    b = small()
    b.arrays["conv.weight"][:] = 127
    layer = freeze(b.build()).layers["conv"]
    assert (layer.psum_low, layer.psum_high) == (0, 18 * 127 * 255)
    assert layer.psum_bits == 24
    b.arrays["conv.weight"][:] = 1
    b.arrays["conv.weight"][0, 0] = -7
    layer = freeze(b.build()).layers["conv"]
    assert (layer.psum_low, layer.psum_high) == (-9 * 7 * 255, 18 * 255)
    assert layer.psum_bits == 16


def test_conv1_of_vgg9_needs_24_bits() -> None:
    b = Builder((3, 32, 32), 4)
    b.weighted("conv2d", (64, 3, 3, 3), LIF, kernel=[3, 3], padding=[1, 1], name="conv1")
    b.arrays["conv1.weight"][:] = 127
    b.add("flatten")
    b.weighted("linear", (10, 65536), {"type": "none"})
    layer = freeze(b.build()).layers["conv1"]
    assert (layer.psum_high, layer.psum_bits) == (874_395, 24)


def test_bias_and_bn_fold_in_the_written_order() -> None:
    b = small()
    random = np.random.default_rng(1)
    members = {key: random.uniform(0.5, 1.5, 4).astype(np.float32) for key in ("gamma", "beta", "mean", "var", "bias")}
    bn = {key: b.member(key, members[key])["member"] for key in ("gamma", "beta", "mean", "var")} | {"eps": 1e-5}
    b.layers[0] |= {"bn": bn, "bias": b.member("bias", members["bias"])}
    b.layers[0]["weights"]["scale"] = b.member("scale", np.array([0.01, 0.02, 0.03, 0.04], dtype=np.float32))
    layer = freeze(b.build()).layers["conv"]
    gamma, beta, mean, var, bias = (members[k].astype(np.float64) for k in ("gamma", "beta", "mean", "var", "bias"))
    scale = np.array([0.01, 0.02, 0.03, 0.04], dtype=np.float32).astype(np.float64) * (1 / 255)
    psum = 1000.0
    expected = (psum * scale + bias - mean) / np.sqrt(var + 1e-5) * gamma + beta
    np.testing.assert_allclose(psum * layer.scale[0] + layer.offset[0], expected, rtol=1e-14)


def test_full_scale_holds_the_largest_current() -> None:
    b = small(neuron=LIF | {"start": 0.5})
    b.arrays["conv.weight"][:] = 3
    b.layers[0]["bias"] = b.member("bias", np.array([0.0, -100.0, 50.0, 0.0], dtype=np.float32))
    layer = freeze(b.build()).layers["conv"]
    assert layer.full_scale == 18 * 3 * 255 * layer.scale[0, 1] + 100.0
    assert layer.current_step == 2.0 ** (7 - 40)


def test_batch_norm_through_time_has_rows() -> None:
    b = small()
    bn = {
        key: b.member(key, np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4))["member"] for key in ("gamma", "var")
    }
    bn |= {key: b.member(key, np.zeros((3, 4), dtype=np.float32))["member"] for key in ("beta", "mean")}
    b.layers[0]["bn"] = bn | {"eps": 0.0, "per_timestep": True}
    layer = freeze(b.build()).layers["conv"]
    assert layer.scale.shape == layer.offset.shape == (3, 4)
    np.testing.assert_allclose(layer.at(2)[0] / layer.at(0)[0], np.sqrt([9, 10 / 2, 11 / 3, 12 / 4]))
    with pytest.raises(SpecError, match="trained for 3 timesteps, not 5"):
        freeze(b.build(), Numerics(timesteps=5))


def test_float_weights_lie_on_a_grid_on_which_sums_are_exact() -> None:
    b = small()
    weights = np.random.default_rng(0).normal(0, 0.1, (4, 2, 3, 3)).astype(np.float32)
    weights[0, 0, 0, 0] = 1e-14
    b.layers[0]["weights"] = b.member("conv.weight", weights) | {"bits": 32}
    layer = freeze(b.build()).layers["conv"]
    assert not layer.integer and layer.weight.dtype == np.float64
    assert on_grid(layer.weight, layer.weight_step)
    assert np.abs(layer.weight).max() * layer.geometry.K * 255 / layer.weight_step < 2**53
    change = np.abs(layer.weight.reshape(weights.shape) - weights)
    assert 0 < change.max() <= layer.weight_step / 2
    assert layer.largest_change == change[0, 0, 0, 0] / np.float64(weights[0, 0, 0, 0])


def test_integer_weights_stay() -> None:
    layer = freeze(small().build()).layers["conv"]
    assert layer.integer and layer.weight.dtype == np.int32 and layer.largest_change == 0
    assert layer.weight.shape == (4, 18) and not layer.weight.flags.writeable
    assert layer.packed.dtype == np.int8 and layer.packed.shape == (18, 4)
    # Row (r, s, c) of the engine's layout is column (c, r, s) of the plain one.
    assert layer.packed[(1 * 3 + 2) * 2 + 1].tolist() == layer.weight[:, 1 * 9 + 1 * 3 + 2].tolist()


def test_thresholds_lie_on_the_grid_of_the_currents() -> None:
    b = small(neuron=LIF | {"threshold": 0.7})
    layer = freeze(b.build()).layers["conv"]
    assert on_grid(layer.threshold, layer.current_step)
    assert 0 < abs(layer.threshold[0, 0] - 0.7) <= layer.current_step / 2
    assert layer.current_step == 2.0 ** (np.ceil(np.log2(layer.full_scale)) - 40)


def test_membrane_of_the_machine_and_of_the_workload() -> None:
    numerics = Numerics(membrane_bits=6, lif_sharing=3)
    lif = freeze(small().build(), numerics).layers["conv"].lif
    assert (lif.quant_step, lif.quant_low, lif.quant_high, lif.quant_saturate, lif.share) == (1 / 32, -32, 31, True, 3)
    own = {"bits": 4, "scale": 0.25, "saturate": False}
    frozen = freeze(small(neuron=LIF | {"membrane": own}).build(), numerics)
    lif = frozen.layers["conv"].lif
    assert (lif.quant_step, lif.quant_low, lif.quant_high, lif.quant_saturate) == (0.25, -8, 7, False)
    assert frozen.layers["conv"].units == 2
    assert freeze(small().build()).layers["conv"].lif.quant_step == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"membrane_bits": 1}, "membrane bits must be from 2 to 32, not 1"),
        ({"membrane_step_fraction": 0.0}, r"the membrane step must be in \(0, 1\] thresholds, not 0.0"),
        ({"membrane_rounding": "flor"}, "unknown membrane rounding 'flor'; did you mean 'floor'?"),
        ({"lif_sharing": 0}, "LIF sharing must be at least 1, not 0"),
        ({"timesteps": 1025}, "timesteps must be from 1 to 1024, not 1025"),
    ],
)
def test_impossible_numerics_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Numerics(**given)
