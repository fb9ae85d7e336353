"""Against PyTorch: fed the same input spikes, membranes agree to 1e-5, and spikes wherever that can decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snn_builder import Builder

from hwsim.network import engine
from hwsim.network.freeze import FrozenLayer, freeze
from hwsim.workload.model import Workload

torch = pytest.importorskip("torch")
functional = torch.nn.functional

TOLERANCE = 1e-5
"""float32 sums of some hundred terms of order 1 are good to about 1e-6."""


def network(floats: bool, reset: str, compare: str, leak: float, per_timestep: bool) -> Workload:
    """Two convolutions, with BN, groups, dilation and strides, then two linear layers."""
    b = Builder((3, 12, 12), 6, seed=4)

    def bn(name: str, channels: int) -> dict[str, Any]:
        shape = (6, channels) if per_timestep else (channels,)
        ranges = {"gamma": (0.5, 1.5), "beta": (0.0, 0.4), "mean": (-0.2, 0.2), "var": (0.5, 1.5)}
        made = {
            k: b.member(f"{name}.{k}", b.random.uniform(*r, shape).astype(np.float32))["member"]
            for k, r in ranges.items()
        }
        return made | {"eps": 1e-5, "per_timestep": per_timestep}

    lif = {"type": "lif", "leak": leak, "threshold": 0.6, "compare": compare, "reset": reset}
    b.weighted("conv2d", (16, 3, 3, 3), lif, floats=floats, kernel=[3, 3], padding=[1, 1], bn=bn("a", 16))
    b.weighted(
        "conv2d", (24, 8, 3, 3), lif, floats=floats, kernel=[3, 3], stride=[2, 1], padding=[2, 1], dilation=[2, 1],
        groups=2, bn=bn("b", 24), bias=b.member("b.bias", b.random.normal(0, 0.1, 24).astype(np.float32)),
    )  # fmt: skip
    b.add("maxpool", kernel=[2, 2])
    b.add("flatten")
    b.weighted("linear", (32, 24 * 3 * 6), lif, floats=floats)
    b.weighted("linear", (10, 32), {"type": "none"}, floats=floats)
    return b.build()


def currents(workload: Workload, item: FrozenLayer, x: np.ndarray, t: int) -> Any:
    """The layer's current by torch's own convolution and batch normalisation, float32 [M, E, F]."""
    layer = item.layer
    weight = workload.weight(layer).astype(np.float32) * np.float32(workload.values(layer.weights.scale))
    values = torch.from_numpy(x.astype(np.float32) * np.float32(workload.edge(layer.inputs[0]).scale))[None]
    bias = None if layer.bias is None else torch.from_numpy(np.array(workload.array(layer.bias)))
    if layer.op == "linear":
        out = functional.linear(values.reshape(1, -1), torch.from_numpy(weight), bias)[..., None, None]
    else:
        g = layer.geometry
        out = functional.conv2d(
            values, torch.from_numpy(weight), bias, layer.stride, layer.padding, layer.dilation, g.groups
        )
    if layer.bn is not None:
        names = (layer.bn.mean, layer.bn.var, layer.bn.gamma, layer.bn.beta)
        rows = [workload.array(name) for name in names]
        rows = [np.array(row[t] if layer.bn.per_timestep else row) for row in rows]
        mean, var, gamma, beta = (torch.from_numpy(row) for row in rows)
        out = functional.batch_norm(out, mean, var, gamma, beta, eps=layer.bn.eps)
    return out[0].numpy()


@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize(
    ("reset", "compare", "leak", "per_timestep"),
    [("zero", ">", 0.5, False), ("subtract", ">=", 1.0, True), ("subtract", ">", 0.9, False)],
)
def test_membranes_and_spikes_agree_with_torch(
    floats: bool, reset: str, compare: str, leak: float, per_timestep: bool
) -> None:
    workload = network(floats, reset, compare, leak, per_timestep)
    frozen = freeze(workload)
    image = np.random.default_rng(0).integers(0, 256, (3, 12, 12)).astype(np.uint8)
    spikes = engine.run(frozen, image, membranes=True)
    for item in frozen.weighted[:-1]:
        fired = spikes.outputs[item.name]
        assert 0.02 < fired.mean() < 0.8
        u = np.zeros(fired.shape[1:], dtype=np.float32)
        for t in range(6):
            full = np.float32(leak) * u + currents(workload, item, spikes.at(item.name, t), t)
            decided = np.abs(full - 0.6) > TOLERANCE
            assert decided.mean() > 0.99
            above = full >= 0.6 if compare == ">=" else full > 0.6
            np.testing.assert_array_equal(fired[t][decided], above[decided])
            u = np.where(fired[t] > 0, full - np.float32(0.6) if reset == "subtract" else np.float32(0), full)
            np.testing.assert_allclose(u, spikes.membranes[item.name][t], rtol=0, atol=TOLERANCE)
    last = frozen.weighted[-1]
    sums = np.cumsum([currents(workload, last, spikes.at(last.name, t), t).reshape(-1) for t in range(6)], axis=0)
    np.testing.assert_allclose(spikes.logits, sums, rtol=0, atol=TOLERANCE)
