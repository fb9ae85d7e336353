"""Threshold balancing by hand on a network whose input spikes are certain."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from workloads.recipes.convert import HIDDEN_SCALE, balance_thresholds, spiking_spec
from workloads.recipes.evaluate import encode, propagate


def analog_network():
    """Inputs 2, hidden 2, hidden 1, output 2; weights are integers with scale 0.5."""
    arrays = {
        "fc1.weight": np.array([[4, 2], [2, -2]], np.int8),
        "fc2.weight": np.array([[6, 4]], np.int8),
        "fc3.weight": np.array([[2], [-2]], np.int8),
    }
    layers, previous = [], "input"
    for name, channels in (("fc1", 2), ("fc2", 1), ("fc3", 2)):
        neuron = {"type": "none"} if name == "fc3" else {"type": "relu", "bits": 8, "scale": 0.01}
        weights = {"member": f"{name}.weight", "bits": 8, "scale": 0.5}
        layers.append({"name": name, "op": "linear", "inputs": [previous], "channels": channels, "weights": weights})
        layers[-1]["neuron"] = neuron
        previous = name
    inputs = {"shape": [2], "kind": "count", "bits": 8, "scale": 1.0 / 255.0, "encoding": "direct"}
    return {"timesteps": 1, "input": inputs, "layers": layers}, arrays


def test_thresholds_are_the_largest_weighted_inputs():
    spec, arrays = analog_network()
    spec = spiking_spec(spec, timesteps=8, reset="subtract")
    images = np.array([[255, 255], [255, 0]], np.uint8)  # spikes at every timestep, or never
    # In integers: fc1 sees (4 + 2, 2 - 2) and (4, 2), its largest is 6. At threshold 6, "u > 6", both neurons fire.
    # fc2 then sees 6 when the first fires alone, 4 when the second does, 10 whenever both do at the same timestep.
    assert balance_thresholds(spec, arrays, images, batch=1) == [6 * HIDDEN_SCALE, 10 * HIDDEN_SCALE]


def test_spikes_of_a_converted_network_count_its_activation():
    spec, arrays = analog_network()
    spec = spiking_spec(spec, timesteps=60, reset="subtract")
    images = np.array([[255, 0]], np.uint8)
    spec["layers"][0]["neuron"]["threshold"] = 6 * HIDDEN_SCALE
    hidden = propagate(spec | {"layers": spec["layers"][:1]}, arrays, encode(spec, images))
    counts = hidden.sum(0)[0].numpy()  # sums of 4 and 2 a step over a threshold of 6
    assert abs(counts[0] - 40) <= 1 and abs(counts[1] - 20) <= 1
    assert spec["layers"][0]["neuron"]["type"] == "if" and spec["layers"][2]["neuron"] == {"type": "none"}


def test_poisson_rate_is_the_pixel_value():
    spec, _ = analog_network()
    spec = spiking_spec(spec, timesteps=4000, reset="zero")
    spikes = encode(spec, np.array([[64, 191]], np.uint8), seed=1)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    assert np.allclose(spikes.mean(0)[0].numpy(), [64 / 255, 191 / 255], atol=0.03)
