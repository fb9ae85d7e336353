"""ANN-to-SNN conversion: weights are copied, thresholds set layer by layer (Bhattacharjee et al. 2022, Algorithm 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from workloads.recipes.evaluate import Arrays, current_of, encode, propagate

HIDDEN_SCALE = 2.0**-7


def spiking_spec(spec: dict[str, Any], timesteps: int, reset: str) -> dict[str, Any]:
    """The spec of an analog network (relu, no bias, no BN) with IF neurons and Poisson input; thresholds still 1.

    Without a bias only the ratio of weights and threshold matters, so a firing layer's weight scale is replaced by
    HIDDEN_SCALE: membranes and thresholds are then exact in binary, so that rounding decides no tie between them.
    """
    layers = []
    for layer in spec["layers"]:
        layer = dict(layer)
        if layer.get("neuron", {}).get("type") == "relu":
            assert "bias" not in layer and "bn" not in layer, "Algorithm 1 copies weights only"
            assert isinstance(layer["weights"]["scale"], float), "one scale for the layer, or its neurons would differ"
            layer["weights"] = layer["weights"] | {"scale": HIDDEN_SCALE}
            layer["neuron"] = {
                "type": "if", "threshold": 1.0, "compare": ">", "reset": reset, "start": 0.0, "max_spikes": 1
            }  # fmt: skip
        layers.append(layer)
    entry = spec["input"] | {"encoding": "poisson"}
    return spec | {"timesteps": timesteps, "layers": layers, "input": entry}


@torch.no_grad()
def balance_thresholds(
    spec: dict[str, Any], arrays: Arrays, images: np.ndarray, seed: int = 1, batch: int = 4
) -> list[float]:
    """Sets each threshold to the layer's largest weighted input over all images and timesteps; returns them.

    Layer after layer, each driven by the spikes of those before it, whose thresholds are already set (lines 3 to 14);
    the Poisson spikes of the images are the same for every layer.
    """
    firing = [layer for layer in spec["layers"] if layer.get("neuron", {}).get("type") == "if"]
    for target in firing:
        place = spec["layers"].index(target)
        before = spec | {"layers": spec["layers"][:place]}
        peak = 0.0
        for start in range(0, len(images), batch):
            x = propagate(before, arrays, encode(spec, images[start : start + batch], seed, start))
            peak = max(peak, float(current_of(target, arrays, x, 1.0, spec["timesteps"]).max()))
        assert peak > 0.0, "a layer without a positive weighted input cannot be balanced"
        target["neuron"]["threshold"] = peak
    return [layer["neuron"]["threshold"] for layer in firing]
