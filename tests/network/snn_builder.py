"""Small networks for tests, built in memory through the workload package's own checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.workload.build import build
from hwsim.workload.model import Workload
from hwsim.workload.npz import MemoryArrays


class Builder:
    """Collects the layers and arrays of one network."""

    def __init__(self, shape: tuple[int, ...], timesteps: int, seed: int = 0, **given: Any) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.timesteps = timesteps
        self.input: dict[str, Any] = {
            "shape": list(shape),
            "kind": "count",
            "bits": 8,
            "scale": 1 / 255,
            "encoding": "direct",
        }
        self.input |= given

    def member(self, name: str, array: np.ndarray) -> dict[str, str]:
        """Keep an array; the reference to it."""
        self.arrays[name] = array
        return {"member": name}

    def add(self, op: str, name: str | None = None, **keys: Any) -> str:
        """One layer as it would stand in the file."""
        name = name or f"{op}{len(self.layers)}"
        self.layers.append({"name": name, "op": op, **keys})
        return name

    def weighted(
        self, op: str, shape: tuple[int, ...], neuron: dict[str, Any], *, floats: bool = False, **keys: Any
    ) -> str:
        """A layer with random weights [shape], scaled so that currents are of the order of 1."""
        name = keys.pop("name", f"{op}{len(self.layers)}")
        if floats:
            weights = self.random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
            described = self.member(f"{name}.weight", weights) | {"bits": 32}
        else:
            weights = self.random.integers(-127, 128, shape).astype(np.int8)
            scale = keys.pop("scale", float(2 / 127 / np.sqrt(np.prod(shape[1:]))))
            described = self.member(f"{name}.weight", weights) | {"bits": 8, "scale": scale}
        keys.setdefault("weights", described)
        return self.add(op, name, channels=shape[0], neuron=neuron, **keys)

    def spec(self, decision: str = "accumulate", classes: int = 10) -> dict[str, Any]:
        """The whole spec; the last layer is the output."""
        return {
            "schema": "hwsim/workload/1", "kind": "network", "name": "test", "timesteps": self.timesteps,
            "input": self.input, "layers": self.layers, "classes": classes, "samples": {}, "training": {},
            "output": {"layer": self.layers[-1]["name"], "decision": decision},
        }  # fmt: skip

    def build(self, decision: str = "accumulate", classes: int = 10) -> Workload:
        """The checked workload."""
        spec = json.dumps(self.spec(decision, classes)).encode()
        arrays = self.arrays | {"spec": np.frombuffer(spec, dtype=np.uint8)}
        return build("memory.npz", Path("memory.npz"), MemoryArrays(arrays), "0" * 64)


LIF = {"type": "lif", "leak": 0.5, "threshold": 1.0}


def vgg9(
    timesteps: int = 4, thresholds: tuple[float, ...] = (1.0, 0.7, 0.55, 0.5, 0.45, 0.45, 0.45, 0.45), seed: int = 0
) -> Workload:
    """The shape of the main job's network, with random weights and about a tenth of all inputs active."""
    b = Builder((3, 32, 32), timesteps, seed)
    remaining = iter(thresholds)
    channels = 3
    for number, filters in enumerate((64, 64, 0, 128, 128, 0, 256, 256, 256, 0)):
        if filters:
            b.weighted(
                "conv2d", (filters, channels, 3, 3), LIF | {"threshold": next(remaining)}, kernel=[3, 3], padding=[1, 1]
            )
            channels = filters
        else:
            b.add("maxpool", f"pool{number}", kernel=[2, 2])
    b.add("flatten")
    b.weighted("linear", (1024, 4096), LIF | {"threshold": next(remaining)})
    b.weighted("linear", (10, 1024), {"type": "none"})
    return b.build()
