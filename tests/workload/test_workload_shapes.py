"""Shapes, geometry and edge kinds, worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.workload import Edge, Workload, load, save
from hwsim.workload.model import Geometry
from tests.workload.workload_builder import write_raw

LIF = {"type": "lif", "leak": 0.5, "threshold": 1.0}
INPUT = {"shape": [4, 9, 7], "kind": "spike", "encoding": "counts"}


def built(
    folder: Path, layers: list[dict[str, Any]], entry: dict[str, Any] | None = None, output: str = "fire"
) -> Workload:
    """A network of these layers with weights of ones; ``weights`` names the shape that each must have."""
    arrays = {}
    for layer in layers:
        if "weights" in layer:
            arrays[layer["name"]] = np.ones(layer["weights"], np.int8)
            layer["weights"] = {"member": layer["name"], "bits": 8}
            layer.setdefault("neuron", LIF)
    spec = {"schema": "hwsim/workload/1", "kind": "network", "name": "x", "timesteps": 2, "layers": layers}
    spec |= {"input": entry or INPUT, "output": {"layer": layers[-1]["name"], "decision": output}}
    save(folder / "x.npz", spec, arrays)
    return load(folder / "x.npz")


def one(folder: Path, layer: dict[str, Any], entry: dict[str, Any] | None = None) -> Geometry:
    """Geometry of a network of one layer."""
    return built(folder, [{"name": "a"} | layer], entry).weighted[0].geometry


def test_conv2d_with_everything(tmp_path: Path) -> None:
    # rows: 9 + 2*2 - 2*(3-1) - 1 = 8, // 3 -> 2, + 1 = 3; columns: 7 + 2*1 - 1*(2-1) - 1 = 7, // 2 -> 3, + 1 = 4
    layer = {"op": "conv2d", "channels": 6, "kernel": [3, 2], "stride": [3, 2], "padding": [2, 1], "dilation": [2, 1]}
    found = one(tmp_path, layer | {"groups": 2, "weights": (6, 2, 3, 2)})
    assert found == Geometry(4, 9, 7, 6, 3, 2, 3, 2, 2, 1, 2, 1, 2, 3, 4)
    assert (found.P, found.K, found.dense_operations, found.weight_count) == (12, 12, 12 * 12 * 6, 72)


def test_conv2d_of_one_number_each(tmp_path: Path) -> None:
    found = one(tmp_path, {"op": "conv2d", "channels": 5, "kernel": 3, "weights": (5, 4, 3, 3)})
    assert (found.E, found.F, found.P, found.K, found.M) == (7, 5, 35, 36, 5)


def test_depthwise(tmp_path: Path) -> None:
    layer = {"op": "conv2d", "channels": 8, "kernel": 3, "padding": 1, "groups": 4, "weights": (8, 1, 3, 3)}
    found = one(tmp_path, layer)
    assert (found.K, found.M, found.groups, found.E, found.F) == (9, 8, 4, 9, 7)


def test_conv1d_is_one_row(tmp_path: Path) -> None:
    # (20 + 2*1 - 2*(3-1) - 1) // 2 + 1 = 9
    layer = {"op": "conv1d", "channels": 6, "kernel": 3, "stride": 2, "padding": 1, "dilation": 2, "weights": (6, 4, 3)}
    workload = built(tmp_path, [{"name": "a"} | layer], INPUT | {"shape": [4, 20]})
    assert workload.layers[0].geometry == Geometry(4, 1, 20, 6, 1, 3, 1, 2, 0, 1, 1, 2, 1, 1, 9)
    assert workload.layers[0].output_shape == (6, 9)


def test_linear_and_linear_over_positions(tmp_path: Path) -> None:
    layer = {"op": "linear", "channels": 10, "weights": (10, 12)}
    assert one(tmp_path, dict(layer), INPUT | {"shape": [12]}) == Geometry(12, 1, 1, 10, *[1] * 4, 0, 0, 1, 1, 1, 1, 1)
    found = one(tmp_path, dict(layer), INPUT | {"shape": [12, 5]})
    assert found == Geometry(12, 1, 5, 10, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 5)
    assert (found.P, found.K) == (5, 12)


def test_ops_without_weights(tmp_path: Path) -> None:
    layers = [
        {"name": "pool", "op": "maxpool", "kernel": [3, 2], "stride": [2, 2], "padding": [1, 0]},  # [4, 5, 3]
        {"name": "same", "op": "maxpool", "kernel": 1, "inputs": ["pool"]},
        {"name": "both", "op": "concat", "inputs": ["pool", "same"]},  # [8, 5, 3]
        {"name": "rows", "op": "reshape", "shape": [8, 15]},
        {"name": "pool1", "op": "maxpool", "kernel": 4},  # [8, 3]: does not overlap
        {"name": "flat", "op": "flatten"},
    ]
    workload = built(tmp_path, layers)
    assert [layer.output_shape for layer in workload.layers] == [
        (4, 5, 3),
        (4, 5, 3),
        (8, 5, 3),
        (8, 15),
        (8, 3),
        (24,),
    ]
    assert workload.layer("pool1").kernel == (1, 4) and workload.layer("pool1").stride == (1, 4)
    assert workload.shape("input") == (4, 9, 7) and workload.shape("flat") == (24,)


def test_edges_of_pools_and_joins(tmp_path: Path) -> None:
    layers = [
        {"name": "mean", "op": "avgpool", "inputs": ["input"], "kernel": 3},
        {"name": "most", "op": "maxpool", "inputs": ["mean"], "kernel": 1},
        {"name": "twice", "op": "add", "inputs": ["mean", "most"]},
        {"name": "sums", "op": "sumpool", "inputs": ["twice"], "kernel": 2},
        {"name": "spikes", "op": "maxpool", "inputs": ["input"], "kernel": 3},
        {"name": "pair", "op": "concat", "inputs": ["input", "input"]},
        {"name": "small", "op": "maxpool", "inputs": ["pair"], "kernel": 9, "padding": [0, 1]},
        {"name": "ends", "op": "flatten", "inputs": ["small"]},
        {"name": "a", "op": "flatten", "inputs": ["sums"]},
        {"name": "b", "op": "flatten", "inputs": ["spikes"]},
        {"name": "wa", "op": "linear", "inputs": ["a"], "channels": 2, "weights": (2, 4)},
        {"name": "wb", "op": "linear", "inputs": ["b"], "channels": 2, "weights": (2, 24)},
        {"name": "we", "op": "linear", "inputs": ["ends"], "channels": 2, "weights": (2, 8)},
        {"name": "out", "op": "concat", "inputs": ["wa", "wb", "we"]},
    ]
    workload = built(tmp_path, layers)
    assert workload.edge("mean") == Edge("count", 4, 1 / 9, 0, 9)
    assert workload.edge("most") == Edge("count", 4, 1 / 9, 0, 9)
    assert workload.edge("twice") == Edge("count", 5, 1 / 9, 0, 18)
    assert workload.edge("sums") == Edge("count", 7, 1 / 9, 0, 72)
    assert workload.edge("spikes") == workload.edge("pair") == workload.edge("small") == Edge("spike", 1)
    assert workload.edge("a") == workload.edge("sums")
    assert workload.edge("out") == Edge("spike", 1)
    assert workload.input_edge(workload.layer("wa")) == workload.edge("a")


@pytest.mark.parametrize(
    ("neuron", "edge"),
    [
        ({"type": "relu", "bits": 4, "scale": 0.25}, Edge("analog", 4, 0.25, 0, 15)),
        (LIF, Edge("spike", 1, 1.0, 0, 1)),
        (LIF | {"signed": True}, Edge("spike", 2, 1.0, -1, 1)),
        (LIF | {"max_spikes": 5}, Edge("spike", 3, 1.0, 0, 5)),
        ({"type": "if", "threshold": 2.0, "reset": "subtract"}, Edge("spike", 1, 1.0, 0, 1)),
    ],
)
def test_edges_of_neurons(tmp_path: Path, neuron: dict[str, Any], edge: Edge) -> None:
    layers = [
        {
            "name": "a",
            "op": "conv2d",
            "channels": 2,
            "kernel": 9,
            "padding": 1,
            "neuron": neuron,
            "weights": (2, 4, 9, 9),
        },
        {"name": "flat", "op": "flatten"},
        {"name": "out", "op": "linear", "channels": 2, "neuron": {"type": "none"}, "weights": (2, 6)},
    ]
    workload = built(tmp_path, layers, output="accumulate")
    assert workload.edge("a") == workload.edge("flat") == edge
    assert workload.edge("out").kind == "current"


def test_residual_currents_meet_before_the_neuron(tmp_path: Path) -> None:
    conv = {"op": "conv2d", "inputs": ["input"], "channels": 4, "kernel": 1, "neuron": {"type": "none"}}
    layers = [
        {"name": "a", "weights": (4, 4, 1, 1)} | conv,
        {"name": "b", "weights": (4, 4, 1, 1)} | conv,
        {"name": "join", "op": "add", "inputs": ["a", "b"], "neuron": LIF},
    ]
    workload = built(tmp_path, layers)
    assert workload.edge("a").kind == "current" and workload.edge("join") == Edge("spike", 1)


@pytest.mark.parametrize(
    ("entry", "edge"),
    [
        ({"kind": "count", "bits": 8, "scale": 0.5, "encoding": "direct"}, Edge("count", 8, 0.5, 0, 255)),
        ({"kind": "count", "bits": 8, "scale": 0.5, "encoding": "poisson"}, Edge("spike", 1)),
        ({"kind": "count", "bits": 3, "encoding": "events", "bin_us": 10}, Edge("count", 3, 1.0, 0, 7)),
        ({"kind": "analog", "bits": 8, "signed": True, "encoding": "counts"}, Edge("analog", 8, 1.0, -128, 127)),
        ({"kind": "spike", "encoding": "counts"}, Edge("spike", 1)),
    ],
)
def test_edges_of_inputs(tmp_path: Path, entry: dict[str, Any], edge: Edge) -> None:
    layer = {"name": "a", "op": "linear", "channels": 2, "weights": (2, 3)}
    assert built(tmp_path, [layer], entry | {"shape": [3]}).edge("input") == edge


def test_leak_as_a_shift(tmp_path: Path) -> None:
    neuron = LIF | {"leak": {"shift": 4}}
    layer = {"name": "a", "op": "linear", "channels": 2, "weights": (2, 3), "neuron": neuron}
    found = built(tmp_path, [layer], INPUT | {"shape": [3]}).layers[0].neuron
    assert (found.leak, found.leak_shift) == (0.9375, 4)


def test_thresholds_and_bn_per_timestep(tmp_path: Path) -> None:
    layer = {"name": "a", "op": "linear", "channels": 2, "neuron": LIF | {"threshold": {"member": "t"}}}
    layer |= {"weights": {"member": "w", "bits": 32}, "bn": {key: "n" for key in ("gamma", "beta", "mean", "var")}}
    layer["bn"] = layer["bn"] | {"eps": 0.1, "per_timestep": True}  # type: ignore[operator]
    spec = {"schema": "hwsim/workload/1", "kind": "network", "name": "x", "timesteps": 2, "layers": [layer]}
    spec |= {"input": INPUT | {"shape": [3]}, "output": {"layer": "a", "decision": "fire"}}
    ones = np.ones((2, 2), np.float32)
    write_raw(tmp_path / "x.npz", spec, {"w": np.ones((2, 3), np.float32), "t": 3 * ones, "n": ones})
    workload = load(tmp_path / "x.npz")
    assert workload.values(workload.layers[0].neuron.threshold).tolist() == [[3, 3], [3, 3]]
    assert workload.layers[0].bn is not None and workload.layers[0].bn.per_timestep
