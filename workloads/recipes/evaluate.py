"""Runs an exported network (spec and arrays) in torch by the file's arithmetic: integer sums, scale, BN, neuron.

Sums are exact: 8-bit weights times spikes or 8-bit inputs stay below 2^24 for float32; wider ones are done in float64.
The networks are plain stacks, so all timesteps of one layer are done before the next layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwsim.network.encode import poisson

Arrays = dict[str, np.ndarray]
Visit = Callable[[str, Tensor, Tensor | None], None]


def member(arrays: Arrays, value: Any) -> Tensor:
    """A number, or the array a spec entry names, as float64."""
    if isinstance(value, dict):
        value = arrays[value["member"]]
    elif isinstance(value, str):
        value = arrays[value]
    return torch.tensor(np.asarray(value, dtype=np.float64))


def over_channels(values: Tensor, current: Tensor) -> Tensor:
    """Scalars, [M] or [T, M] made to broadcast over currents [T, B, M, ...]."""
    tail = (1,) * (current.dim() - 3)
    if values.dim() == 0:
        return values
    return values.view(len(values), 1, -1, *tail) if values.dim() == 2 else values.view(-1, *tail)


def weighted_sum(layer: dict, arrays: Arrays, x: Tensor) -> Tensor:
    """Integer inputs [T, B, ...] -> integer sums, float64 [T, B, M, ...]."""
    weight = torch.tensor(arrays[layer["weights"]["member"]])
    worst = float(weight.double().flatten(1).abs().sum(1).max()) * max(1.0, float(x.abs().max()))
    kind = torch.float32 if worst < 2**24 else torch.float64
    flat = x.flatten(0, 1).to(kind)
    if layer["op"] == "conv2d":
        sums = functional.conv2d(flat, weight.to(kind), stride=tuple(layer["stride"]), padding=tuple(layer["padding"]))
    else:
        sums = functional.linear(flat, weight.to(kind))
    return sums.double().unflatten(0, x.shape[:2])


def current_of(layer: dict, arrays: Arrays, x: Tensor, input_scale: float, timesteps: int) -> Tensor:
    """The current of a weighted layer after scale, bias and batch normalisation, float64 [T, B, M, ...]."""
    current = weighted_sum(layer, arrays, x)
    current = current * over_channels(member(arrays, layer["weights"]["scale"]) * input_scale, current)
    if "bias" in layer:
        current = current + over_channels(member(arrays, layer["bias"]), current)
    if "bn" in layer:
        bn = layer["bn"]
        gamma, beta, mean, variance = (
            over_channels(member(arrays, bn[k]), current) for k in ("gamma", "beta", "mean", "var")
        )
        current = (current - mean) / torch.sqrt(variance + bn["eps"]) * gamma + beta
    return current if len(current) == timesteps else current.expand(timesteps, *current.shape[1:])


def fire(neuron: dict, arrays: Arrays, current: Tensor) -> Tensor:
    """Spikes (lif, if), integer activations (relu) or the current itself (none), float64 [T, B, M, ...]."""
    if neuron["type"] == "none":
        return current
    if neuron["type"] == "relu":
        return torch.clamp(torch.round(current / neuron["scale"]), 0, 2 ** neuron["bits"] - 1)
    threshold = over_channels(member(arrays, neuron["threshold"]), current)
    leak = neuron["leak"] if neuron["type"] == "lif" else 1.0
    membrane, spikes = torch.zeros_like(current[0]), torch.empty_like(current)
    for step, drive in enumerate(current):
        level = threshold[step] if threshold.dim() == current.dim() else threshold
        membrane = leak * membrane + drive
        spikes[step] = membrane > level
        kept = membrane - level if neuron["reset"] == "subtract" else torch.zeros_like(membrane)
        membrane = torch.where(spikes[step] > 0, kept, membrane)
    return spikes


def propagate(spec: dict, arrays: Arrays, x: Tensor, visit: Visit | None = None) -> Tensor:
    """Encoded integer inputs [T or 1, B, ...] -> logits [T, B, classes]; ``visit(layer name, input, output)``."""
    scale = spec["input"]["scale"] if spec["input"]["encoding"] == "direct" else 1.0
    for layer in spec["layers"]:
        before = x
        if layer["op"] == "flatten":
            x = x.flatten(2)
        elif layer["op"] == "maxpool":
            x = functional.max_pool2d(x.flatten(0, 1), tuple(layer["kernel"])).unflatten(0, x.shape[:2])
        else:
            x = fire(layer["neuron"], arrays, current_of(layer, arrays, x, scale, spec["timesteps"]))
            scale = layer["neuron"].get("scale", 1.0)
            if visit:
                visit(layer["name"], before, x)
    return x


def encode(spec: dict, images: np.ndarray, seed: int = 0, first: int = 0) -> Tensor:
    """Images uint8 [B, ...] -> integer inputs [1, B, ...] (direct) or Poisson spikes [T, B, ...], float64.

    Poisson spikes are the simulator's own for ``seed`` and samples ``first``, ``first + 1``, ...: it sees the same.
    """
    if spec["input"]["encoding"] == "direct":
        return torch.from_numpy(images).double()[None]
    scale, steps = spec["input"]["scale"], spec["timesteps"]
    drawn = [poisson(image, scale, steps, seed, first + place) for place, image in enumerate(images)]
    return torch.from_numpy(np.stack(drawn, axis=1)).double()


class Density:
    """Gathers, per weighted layer, the share of its inputs that are not zero and the share of its neurons that fire."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}

    def visit(self, name: str, before: Tensor, after: Tensor | None) -> None:
        """One batch of one layer."""
        entry = self.sums.setdefault(name, [0.0, 0.0, 0.0])
        entry[0] += float((before != 0).double().mean()) * before.shape[1]
        entry[1] += float((after != 0).double().mean()) * before.shape[1] if after is not None else 0.0
        entry[2] += before.shape[1]

    def inputs(self) -> dict[str, float]:
        """Density of each weighted layer's input."""
        return {name: round(entry[0] / entry[2], 6) for name, entry in self.sums.items()}

    def outputs(self) -> dict[str, float]:
        """Density of each weighted layer's output, the last layer (logits) left out."""
        return {name: round(entry[1] / entry[2], 6) for name, entry in list(self.sums.items())[:-1]}


@torch.no_grad()
def measure(spec: dict, arrays: Arrays, images: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Accuracy after each number of timesteps and densities over a set of images."""
    density, batch = Density(), max(1, 100 // spec["timesteps"])
    right = np.zeros(spec["timesteps"])
    for start in range(0, len(labels), batch):
        x = encode(spec, images[start : start + batch], seed, start)
        answers = propagate(spec, arrays, x, density.visit).cumsum(0).argmax(2).numpy()
        right += (answers == labels[start : start + batch]).sum(1)
    return {
        "accuracy": float(right[-1] / len(labels)),
        "accuracy_by_timesteps": [round(float(value), 4) for value in right / len(labels)],
        "input_density": density.inputs(),
        "output_density": density.outputs(),
    }
