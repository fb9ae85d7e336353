"""From a trained network to the spec and arrays of a workload file, and the shared data files beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from workloads.recipes.datasets import ImageSets
from workloads.recipes.evaluate import Arrays
from workloads.recipes.networks import Network, Plan, Weighted, quantise_weights

SCHEMA = "hwsim/workload/1"
WRITTEN = {"test": 500, "calibration": 256, "demo": 10}


def as_float32(value: Tensor) -> np.ndarray:
    """A detached float32 copy."""
    return value.detach().cpu().numpy().astype(np.float32)


def network_spec(network: Network, name: str, training: dict[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """Spec (without samples) and arrays of a trained network, weights as int8."""
    plan = network.plan
    arrays: Arrays = {}
    layers, previous = [], "input"
    for layer_name, module in network.layers.items():
        if isinstance(module, nn.MaxPool2d):
            entry = {"op": "maxpool", "kernel": [2, 2], "stride": [2, 2]}
        elif isinstance(module, nn.Flatten):
            entry = {"op": "flatten"}
        else:
            assert isinstance(module, Weighted), "a stack holds pools, flattens and weighted layers"
            entry = weighted_spec(layer_name, module, arrays)
        layers.append({"name": layer_name, "inputs": [previous], **entry})
        previous = layer_name
    spec = {
        "schema": SCHEMA, "kind": "network", "name": name, "timesteps": plan.timesteps, "input": input_spec(plan),
        "layers": layers, "output": {"layer": previous, "decision": "accumulate"},
        "classes": int(plan.stack[-1]), "training": training,
    }  # fmt: skip
    return spec, arrays


def input_spec(plan: Plan) -> dict[str, Any]:
    """The input entry: unsigned integers of as many bits as the scale leaves room for, coded as the plan says."""
    bits = 5 if plan.input_scale == 1.0 / 16.0 else 8
    shape = list(plan.input_shape)
    return {"shape": shape, "kind": "count", "bits": bits, "scale": plan.input_scale, "encoding": plan.encoding}


def weighted_spec(name: str, layer: Weighted, arrays: Arrays) -> dict[str, Any]:
    """The entry of one weighted layer; its arrays go into ``arrays``."""
    integers, scale = quantise_weights(layer.weight.detach(), layer.plan.per_channel)
    arrays[f"{name}.weight"] = integers.contiguous().numpy().astype(np.int8)
    entry: dict[str, Any] = {"op": "linear", "channels": len(integers)}
    if layer.convolution:
        square = {"kernel": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
        entry = {"op": "conv2d", "channels": len(integers)} | square
    entry["weights"] = {"member": f"{name}.weight", "bits": 8, "scale": float(scale)} if scale.numel() == 1 else None
    if entry["weights"] is None:
        arrays[f"{name}.scale"] = as_float32(scale).reshape(-1)
        entry["weights"] = {"member": f"{name}.weight", "bits": 8, "scale": {"member": f"{name}.scale"}}
    if layer.bias is not None:
        arrays[f"{name}.bias"] = as_float32(layer.bias)
        entry["bias"] = {"member": f"{name}.bias"}
    if len(layer.norms):
        entry["bn"] = norm_spec(name, layer, arrays)
    entry["neuron"] = neuron_spec(layer)
    return entry


def norm_spec(name: str, layer: Weighted, arrays: Arrays) -> dict[str, Any]:
    """Raw batch normalisation, [M] or one per timestep [T, M]; gains are positive, so it folds into a threshold."""
    each = layer.plan.normalise == "timestep"
    entry: dict[str, Any] = {}
    for key, attribute in (("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"), ("var", "running_var")):
        stacked = np.stack([as_float32(getattr(norm, attribute)) for norm in layer.norms])
        arrays[f"{name}.{key}"] = stacked if each else stacked[0]
        entry[key] = f"{name}.{key}"
    assert (arrays[f"{name}.gamma"] > 0).all(), "the optimiser keeps every gain positive"
    first = layer.norms[0]
    assert isinstance(first, nn.BatchNorm1d | nn.BatchNorm2d), "norms are batch normalisations"
    return entry | {"eps": first.eps, "per_timestep": each}


def neuron_spec(layer: Weighted) -> dict[str, Any]:
    """The neuron entry: none for the output, else relu or LIF (reset to zero)."""
    plan = layer.plan
    if layer.output:
        return {"type": "none"}
    if plan.neuron == "relu":
        return {"type": "relu", "bits": 8, "scale": float(layer.range) / 255.0}
    neuron = {
        "type": "lif",
        "leak": plan.leak,
        "threshold": plan.threshold,
        "compare": ">",
        "reset": "zero",
        "start": 0.0,
    }
    return neuron | {"max_spikes": 1}


def sample_arrays(data: ImageSets) -> tuple[dict[str, Any], Arrays]:
    """The sets that are written (test, calibration, demo; at most WRITTEN images each) and their arrays."""
    entries, arrays = {}, {}
    for name, count in WRITTEN.items():
        images, labels = data.sets[name]
        arrays[f"{name}.inputs"], arrays[f"{name}.labels"] = images[:count], labels[:count].astype(np.int64)
        entries[name] = {"inputs": f"{name}.inputs", "labels": f"{name}.labels"}
    return entries, arrays


def data_spec(data: ImageSets) -> dict[str, Any]:
    """The spec of a data file, which several workloads name; its members are ``<set>.inputs`` and ``<set>.labels``."""
    return {"schema": SCHEMA, "kind": "data", "name": data.name, "about": data.description}


def sha256(path: Path) -> str:
    """Hash of a file's bytes, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
