"""Small networks and architectures for machine tests, written as files like any user's."""

from __future__ import annotations

import numpy as np

from hwsim.workload import save

LIF = {"type": "lif", "leak": 0.5, "threshold": 1.0, "compare": ">", "reset": "zero"}


def conv(name, source, weight, *, scale, padding=1, stride=1, neuron=LIF, groups=1):
    kernel = weight.shape[2]
    layer = {
        "name": name,
        "op": "conv2d",
        "inputs": [source],
        "channels": int(weight.shape[0]),
        "kernel": [kernel, kernel],
        "stride": [stride, stride],
        "padding": [padding, padding],
        "dilation": [1, 1],
        "groups": groups,
        "weights": {"member": f"{name}.weight", "bits": 8 if weight.dtype == np.int8 else 32, "scale": scale},
        "neuron": neuron,
    }
    return layer, {f"{name}.weight": weight}


def linear(name, source, weight, *, scale, neuron=LIF):
    layer = {
        "name": name,
        "op": "linear",
        "inputs": [source],
        "channels": int(weight.shape[0]),
        "weights": {"member": f"{name}.weight", "bits": 8 if weight.dtype == np.int8 else 32, "scale": scale},
        "neuron": neuron,
    }
    return layer, {f"{name}.weight": weight}


def network(
    path, seed=0, timesteps=3, channels=(8, 16), size=8, classes=4, samples=3, kind="int", direct=True, normalise=None
):
    """conv - conv - pool - linear - linear, with random weights. Returns the path.

    ``normalise``: BN in conv1, one for all timesteps ('layer') or one per timestep ('timestep').
    """
    rng = np.random.default_rng(seed)

    def weights(*shape):
        whole = np.clip(rng.normal(0, 40, shape), -127, 127)
        return whole.round().astype(np.int8) if kind == "int" else (whole / 127).astype(np.float32)

    unit = 1.0 if kind == "int" else 127.0
    first, second = channels
    features = second * (size // 2) ** 2
    parts = [
        conv("conv1", "input", weights(first, 2, 3, 3), scale=unit / 150),
        conv("conv2", "conv1", weights(second, first, 3, 3), scale=unit / 60),
        ({"name": "pool", "op": "maxpool", "inputs": ["conv2"], "kernel": [2, 2], "stride": [2, 2]}, {}),
        ({"name": "flat", "op": "flatten", "inputs": ["pool"]}, {}),
        linear("fc1", "flat", weights(24, features), scale=unit / 100),
        linear("fc2", "fc1", weights(classes, 24), scale=unit / 200, neuron={"type": "none"}),
    ]
    for layer, _ in parts:
        if kind == "float" and "weights" in layer:
            layer["weights"].pop("scale")
    arrays = {name: array for _, more in parts for name, array in more.items()}
    if normalise:
        members = {name: f"conv1.{name}" for name in ("gamma", "beta", "mean", "var")}
        parts[0][0]["bn"] = {**members, "eps": 1e-5, "per_timestep": normalise == "timestep"}
        shape = (timesteps, first) if normalise == "timestep" else (first,)
        arrays.update({member: rng.uniform(0.5, 1.5, shape).astype(np.float32) for member in members.values()})
    arrays["test.inputs"] = rng.integers(0, 256, (samples, 2, size, size)).astype(np.uint8)
    arrays["test.labels"] = rng.integers(0, classes, samples).astype(np.int64)
    spec = {
        "schema": "hwsim/workload/1",
        "kind": "network",
        "name": f"tiny{seed}",
        "timesteps": timesteps,
        "input": {
            "shape": [2, size, size],
            "kind": "count",
            "bits": 8,
            "scale": 1 / 255,
            "encoding": "direct" if direct else "poisson",
        },
        "layers": [layer for layer, _ in parts],
        "output": {"layer": "fc2", "decision": "accumulate"},
        "classes": classes,
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}},
        "training": {},
    }
    save(path, spec, arrays)
    return path
