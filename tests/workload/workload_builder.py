"""A small valid network, and ways to write npz files that are not."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.workload.npz import write_npz


def tiny_spec() -> dict[str, Any]:
    """conv 3x8x8 to 4 filters, pool, linear over 64 inputs to 10 classes."""
    return copy.deepcopy(_SPEC)


def tiny_arrays() -> dict[str, np.ndarray]:
    """Arrays that fit ``tiny_spec``."""
    random = np.random.default_rng(7)
    return {
        "conv1.weight": random.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8),
        "conv1.scale": np.full(4, 0.01, np.float32),
        "conv1.bias": random.normal(size=4).astype(np.float32),
        "bn.gamma": np.ones(4, np.float32),
        "bn.beta": np.zeros(4, np.float32),
        "bn.mean": np.zeros(4, np.float32),
        "bn.var": np.ones(4, np.float32),
        "fc.weight": random.integers(-8, 8, (10, 64)).astype(np.int8),
        "test.inputs": random.integers(0, 256, (5, 3, 8, 8)).astype(np.uint8),
        "test.labels": np.arange(5),
    }


def write_raw(path: Path, spec: Any, arrays: dict[str, np.ndarray]) -> Path:
    """Write without any check; ``spec`` may be JSON text or bytes too."""
    text = spec if isinstance(spec, bytes) else spec.encode() if isinstance(spec, str) else json.dumps(spec).encode()
    write_npz(path, {"spec": np.frombuffer(text, dtype=np.uint8)} | arrays)
    return path


def write_members(path: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip of raw members, names as given, repeated ones too."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return path


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An npy file with the header as written."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


_SPEC: dict[str, Any] = {
    "schema": "hwsim/workload/1",
    "kind": "network",
    "name": "tiny",
    "timesteps": 4,
    "input": {"shape": [3, 8, 8], "kind": "count", "bits": 8, "scale": 1 / 255, "encoding": "direct"},
    "layers": [
        {
            "name": "conv1",
            "op": "conv2d",
            "inputs": ["input"],
            "channels": 4,
            "kernel": [3, 3],
            "padding": [1, 1],
            "weights": {"member": "conv1.weight", "bits": 8, "scale": {"member": "conv1.scale"}},
            "bias": {"member": "conv1.bias"},
            "bn": {"gamma": "bn.gamma", "beta": "bn.beta", "mean": "bn.mean", "var": "bn.var", "eps": 1e-5},
            "neuron": {
                "type": "lif",
                "leak": 0.5,
                "threshold": 1.0,
                "compare": ">",
                "reset": "zero",
                "membrane": {"bits": 8, "scale": 0.03125, "rounding": "nearest_even", "saturate": True},
            },
        },
        {"name": "pool1", "op": "maxpool", "inputs": ["conv1"], "kernel": [2, 2], "stride": [2, 2]},
        {"name": "flat", "op": "flatten", "inputs": ["pool1"]},
        {
            "name": "fc",
            "op": "linear",
            "inputs": ["flat"],
            "channels": 10,
            "weights": {"member": "fc.weight", "bits": 4, "scale": 0.1},
            "neuron": {"type": "none"},
        },
    ],
    "output": {"layer": "fc", "decision": "accumulate"},
    "classes": 10,
    "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}},
    "training": {"seed": 1},
}
