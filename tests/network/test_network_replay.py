"""Workloads without weights: recorded and drawn inputs, through the same door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snn_builder import vgg9

from hwsim.errors import SpecError
from hwsim.network.replay import replay
from hwsim.workload.build import build
from hwsim.workload.drawn import layer_inputs
from hwsim.workload.model import Workload
from hwsim.workload.npz import MemoryArrays


def workload(kind: str, layers: list[dict[str, Any]], timesteps: int, **arrays: np.ndarray) -> Workload:
    """A trace or a shape table in memory."""
    spec = {"schema": "hwsim/workload/1", "kind": kind, "name": "test", "timesteps": timesteps, "layers": layers}
    members = {name.replace("__", "."): array for name, array in arrays.items()}
    members["spec"] = np.frombuffer(json.dumps(spec).encode(), dtype=np.uint8)
    return build("memory.npz", Path("memory.npz"), MemoryArrays(members), "0" * 64)


def shapes() -> Workload:
    conv = {"op": "conv2d", "channels": 4, "kernel": [3, 3], "padding": [1, 1]}
    return workload(
        "shapes",
        [
            {"name": "a", "input_shape": [3, 8, 8], "input_bits": 8, "density": 0.9, "connected": False, **conv},
            {"name": "b", "input_shape": [32, 20, 20], "density": 0.1, "connected": False, **conv},
            {"name": "c", "op": "linear", "channels": 5, "input_shape": [70], "density": 0.5, "connected": False},
        ],
        6,
    )


def test_drawn_inputs_have_the_density_and_are_the_workload_s_own() -> None:
    table = shapes()
    spikes = replay(table, sample=2, seed=9)
    assert spikes.timesteps == 6 and list(spikes.inputs) == ["a", "b", "c"] and not spikes.outputs
    for layer in table.weighted:
        g = layer.geometry
        whole = layer_inputs(table, layer, 2, 9, 6).reshape(6, g.C, g.H, g.W)
        np.testing.assert_array_equal(np.broadcast_to(spikes.inputs[layer.name], whole.shape), whole)
        np.testing.assert_array_equal(spikes.at(layer.name, 4), whole[4])
        np.testing.assert_array_equal(spikes.block(layer.name, 1, 3), whole[1:3])
    b = spikes.inputs["b"]
    assert b.dtype == np.uint8 and b.max() == 1
    assert abs(b.mean() - 0.1) < 4 * np.sqrt(0.09 / b.size)
    assert spikes.inputs["a"].max() > 127
    assert not np.array_equal(b[0], b[1])


def test_seed_and_sample_name_the_draws() -> None:
    table = shapes()
    first = replay(table, 0, seed=1).at("b", 0)
    np.testing.assert_array_equal(first, replay(table, 0, seed=1, timesteps=2).at("b", 0))
    assert not np.array_equal(first, replay(table, 1, seed=1).at("b", 0))
    assert not np.array_equal(first, replay(table, 0, seed=2).at("b", 0))


def test_large_layers_are_drawn_timestep_by_timestep() -> None:
    conv = {"op": "conv2d", "channels": 1, "kernel": [1, 1], "input_shape": [512, 64, 64], "connected": False}
    spikes = replay(workload("shapes", [{"name": "big", "density": 0.05, **conv}], 100))
    drawn = spikes.at("big", 99)
    assert drawn.shape == (512, 64, 64) and drawn.nbytes == 2**21
    assert abs(drawn.mean() - 0.05) < 0.001


def test_trace_replays_what_was_recorded() -> None:
    random = np.random.default_rng(0)
    recorded = random.random((4, 2, 5, 5)) < 0.3
    image = random.random((1, 3, 5, 5)) < 0.9
    layers = [
        {"name": "image", "op": "conv2d", "channels": 2, "kernel": [3, 3], "padding": [1, 1], "input_shape": [3, 5, 5],
         "input_bits": 8, "recorded_timesteps": 1, "values_recorded": False},
        {"name": "conv", "op": "conv2d", "channels": 2, "kernel": [3, 3], "input_shape": [2, 5, 5],
         "recorded_timesteps": 4},
    ]  # fmt: skip
    packed = {"spikes__image": np.packbits(image), "spikes__conv": np.packbits(recorded)}
    trace = workload("trace", layers, 4, **packed)
    spikes = replay(trace)
    np.testing.assert_array_equal(spikes.inputs["conv"], recorded)
    np.testing.assert_array_equal(spikes.at("conv", 3), recorded[3])
    assert spikes.inputs.constant("image") and not spikes.inputs.constant("conv")
    np.testing.assert_array_equal(spikes.at("image", 2), image[0] * 255)
    with pytest.raises(SpecError, match="'conv': 4 timesteps were recorded, not 5"):
        replay(trace, timesteps=5)


def test_networks_are_not_replayed() -> None:
    with pytest.raises(SpecError, match="is a network"):
        replay(vgg9())
