"""Small dense networks that fire, written as files like any user's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.workload import save

Part = tuple[dict[str, Any], dict[str, np.ndarray]]


def neuron(threshold: float, leak: float = 1.0) -> dict[str, Any]:
    """A neuron that fires above its threshold and goes back to zero."""
    return {"type": "lif", "leak": leak, "threshold": threshold, "compare": ">", "reset": "zero"}


def dense(name: str, source: str, weight: np.ndarray, threshold: float, leak: float = 1.0) -> Part:
    """A linear layer; weight [targets, senders] of int8, 1/128 each."""
    layer = {
        "name": name,
        "op": "linear",
        "inputs": [source],
        "channels": len(weight),
        "weights": {"member": f"{name}.weight", "bits": 8, "scale": 1 / 128},
        "neuron": neuron(threshold, leak),
    }
    return layer, {f"{name}.weight": weight.astype(np.int8)}


def written(path: Path, parts: Sequence[Part], shape: Sequence[int], frames: np.ndarray) -> str:
    """A workload of these layers; frames [samples, timesteps, *shape] of event counts. Returns its path."""
    arrays = {name: array for _, more in parts for name, array in more.items()}
    arrays |= {"test.inputs": frames.astype(np.uint8), "test.labels": np.zeros(len(frames), np.int64)}
    spec = {
        "schema": "hwsim/workload/1",
        "kind": "network",
        "name": path.stem,
        "timesteps": frames.shape[1],
        "input": {"shape": list(shape), "kind": "spike", "bits": 1, "scale": 1.0, "encoding": "counts"},
        "layers": [layer for layer, _ in parts],
        "output": {"layer": parts[-1][0]["name"], "decision": "fire"},
        "classes": parts[-1][0]["channels"],
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}},
        "training": {},
    }
    save(path, spec, arrays)
    return str(path)


def random_network(path: Path, sizes: Sequence[int] = (24, 16, 12, 4), timesteps: int = 3) -> str:
    """Random weights under which about half of the neurons fire."""
    rng = np.random.default_rng(7)
    parts = []
    for number, (senders, targets) in enumerate(pairwise(sizes)):
        weight = np.clip(rng.normal(12, 60, (targets, senders)).round(), -127, 127)
        parts.append(dense(f"fc{number}", f"fc{number - 1}" if number else "input", weight, 0.4, 0.5))
    return written(path, parts, [sizes[0]], rng.random((2, timesteps, sizes[0])) < 0.4)


def all_fire(path: Path, sizes: Sequence[int] = (350, 128, 128, 128, 20), timesteps: int = 20) -> str:
    """The inputs are neurons, too, and all neurons fire in every second timestep: the first layer by a bias of 3/4
    of its threshold, the others because those before them do. There are no events."""
    inputs: dict[str, Any] = {
        "name": "inputs",
        "op": "conv2d",
        "inputs": ["input"],
        "channels": 1,
        "kernel": [1, 1],
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "groups": 1,
        "weights": {"member": "inputs.weight", "bits": 8, "scale": 1.0},
        "bias": {"member": "inputs.bias"},
        "neuron": neuron(1.0),
    }
    parts = [(inputs, {"inputs.weight": np.ones((1, 1, 1, 1), np.int8), "inputs.bias": np.array([0.75])})]
    parts.append(({"name": "flat", "op": "flatten", "inputs": ["inputs"]}, {}))
    for number, (senders, targets) in enumerate(pairwise(sizes)):
        weight = np.full((targets, senders), 8)
        parts.append(dense(f"fc{number}", f"fc{number - 1}" if number else "flat", weight, 1.0))
    return written(path, parts, [1, 1, sizes[0]], np.zeros((1, timesteps, 1, 1, sizes[0])))
