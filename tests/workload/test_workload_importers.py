"""Shape tables, SCALE-Sim topologies and recorded spikes, and the inputs that they give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.network.replay import replay
from hwsim.workload import Workload, load, save
from hwsim.workload.importers import import_file
from hwsim.workload.importers.scalesim import import_topology
from hwsim.workload.model import Edge, Geometry

TABLE = Path(__file__).parent.parent / "data" / "shapes_small.yaml"
TRACES = Path(__file__).parents[3] / "shared" / "traces"
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"


def through_file(folder: Path, *arguments: object, **options: object) -> Workload:
    """What an imported file is after it was saved and loaded."""
    save(folder / "w.npz", *import_file(*arguments, **options))  # type: ignore[arg-type]
    return load(folder / "w.npz")


def test_table(tmp_path: Path) -> None:
    workload = load(TABLE)
    assert (workload.name, workload.kind, workload.timesteps) == ("small", "shapes", 4)
    assert [layer.name for layer in workload.weighted] == ["conv1", "conv2", "tokens", "fc1"]
    assert [layer.density for layer in workload.weighted] == [1.0, 0.1, 0.1, 0.3]
    conv2, tokens, fc1 = workload.weighted[1:]
    assert (conv2.groups, conv2.neuron.type, conv2.weight_density) == (4, "if", 0.5)
    assert tokens.inputs == () and not tokens.connected and tokens.geometry.P == 16
    assert fc1.neuron.type == "none" and fc1.input_shape == (8 * 3 * 4,)
    again = through_file(tmp_path, TABLE)
    assert again.layers == workload.layers and again.edges == workload.edges and again.input == workload.input


def test_options_replace_what_the_table_says() -> None:
    spec, arrays = import_file(TABLE, timesteps=7, density=0.25)
    assert spec["timesteps"] == 7 and not arrays
    assert {layer["density"] for layer in spec["layers"] if "density" in layer} == {0.25}


def test_drawn_inputs_have_their_density_and_are_pure() -> None:
    workload = load(TABLE)
    drawn = workload.layer_inputs("conv2", sample=3, seed=1)
    assert drawn.shape == (4, 8, 16, 16) and drawn.dtype == np.uint8 and set(np.unique(drawn)) == {0, 1}
    assert abs(drawn.mean() - 0.1) < 4 * np.sqrt(0.1 * 0.9 / drawn.size)
    np.testing.assert_array_equal(drawn, workload.layer_inputs("conv2", sample=3, seed=1))
    np.testing.assert_array_equal(drawn[:2], workload.layer_inputs("conv2", sample=3, seed=1, timesteps=2))
    for other in ({"sample": 4, "seed": 1}, {"sample": 3, "seed": 2}):
        assert (drawn != workload.layer_inputs("conv2", **other)).any()
    assert (drawn[0] != drawn[1]).any()


def test_drawn_image_is_the_same_at_every_timestep() -> None:
    workload = load(TABLE)
    image = workload.layer_inputs("conv1")
    assert workload.input.encoding == "direct" and workload.input_edge(workload.layer("conv1")) == Edge(
        "count", 8, high=255
    )
    assert (image == image[0]).all() and image.min() >= 1 and image.max() > 240


def test_drawn_inputs_are_those_that_machines_get() -> None:
    workload = load(TABLE)
    spikes = replay(workload, sample=2, seed=9)
    for layer in workload.weighted:
        drawn = workload.layer_inputs(layer, sample=2, seed=9)
        g = layer.geometry
        for t in range(workload.timesteps):
            np.testing.assert_array_equal(spikes.inputs.at(layer.name, t), drawn[t].reshape(g.C, g.H, g.W))


def test_drawn_weights_have_their_density() -> None:
    workload = load(TABLE)
    pattern = workload.weight_pattern(workload.layer("conv2"))
    assert pattern.shape == (8, 18) and 0.3 < pattern.mean() < 0.7
    assert workload.weight_pattern(workload.layer("fc1")).all()


def test_topology_of_convolutions(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text(CONV + "Conv 1, 224, 224, 7, 7, 3, 64, 2,\n\nConv 1, 32, 30, 3, 1, 64, 128, 1,\n")
    workload = import_topology(path, 4, 0.1)
    assert [layer.name for layer in workload.layers] == ["Conv_1", "Conv_1_2"] and workload.name == "net"
    # SCALE-Sim rounds (224 - 7 + 2) / 2 = 109.5 up: 110 outputs reach over 225 elements
    assert workload.layers[0].geometry == Geometry(3, 225, 225, 64, 7, 7, 2, 2, 0, 0, 1, 1, 1, 110, 110)
    assert workload.layers[1].geometry == Geometry(64, 32, 30, 128, 3, 1, 1, 1, 0, 0, 1, 1, 1, 30, 30)
    assert workload.training["notes"] == ["Conv 1: ifmap 224 x 224 read as 225 x 225, outputs rounded up"]
    assert through_file(tmp_path, path, timesteps=4, density=0.1).layers == workload.layers


@pytest.mark.parametrize(("size", "kernel", "stride"), [(10, 3, 1), (10, 3, 2), (11, 4, 3), (7, 7, 5), (9, 1, 4)])
def test_topology_outputs_are_those_of_scale_sim(tmp_path: Path, size: int, kernel: int, stride: int) -> None:
    path = tmp_path / "net.csv"
    path.write_text(CONV + f"a, {size}, {size}, {kernel}, {kernel}, 2, 3, {stride}\n")
    found = import_topology(path, 1, 1.0).layers[0].geometry
    assert found.E == found.F == -(-(size - kernel + stride) // stride)


def test_topology_of_products(tmp_path: Path) -> None:
    path = tmp_path / "gemm.csv"
    path.write_text("Layer,M,N,K,\nQKT,1024,1000,64,\nsparse,16,8,32,2:4,\n")
    workload = import_topology(path, 1, 1.0)
    first, second = workload.layers
    assert (first.geometry.P, first.geometry.M, first.geometry.K) == (1024, 1000, 64)
    assert (second.weight_density, second.density) == (0.5, 1.0)
    assert workload.layer_inputs(first).all()


def recorded(folder: Path) -> tuple[Path, Path]:
    """A recording of two layers and its geometry."""
    random = np.random.default_rng(2)
    spikes = {"conv1": np.ones((4, 1, 4, 4), bool), "fc1": random.random((4, 8)) < 0.5}
    np.savez(folder / "s.npz", **spikes)
    layers = [
        {"name": "conv1", "op": "conv2d", "input": [1, 4, 4], "output_channels": 2, "kernel": 3, "padding": 1},
        {"name": "pool1", "op": "maxpool", "kernel": 2},
        {"name": "fc1", "op": "linear", "input": [8], "outputs": 10},
    ]
    (folder / "g.json").write_text(json.dumps({"network": "small", "timesteps": 4, "layers": layers}))
    return folder / "s.npz", folder / "g.json"


def test_recording(tmp_path: Path) -> None:
    spikes, geometry = recorded(tmp_path)
    workload = through_file(tmp_path, spikes, shapes=geometry)
    assert workload.kind == "trace" and [layer.name for layer in workload.layers] == [
        "conv1",
        "pool1",
        "fc1.flatten",
        "fc1",
    ]
    conv, fc = workload.weighted
    assert not conv.values_recorded and workload.input_edge(conv) == Edge("count", 8, high=255)
    assert fc.values_recorded and (workload.layer_inputs(conv) == 255).all()
    with np.load(spikes) as archive:
        np.testing.assert_array_equal(workload.layer_inputs(fc), archive["fc1"])
    assert workload.weight_pattern(fc).shape == (10, 8) and workload.weight_pattern(fc).all()


def test_recording_cut_to_fewer_timesteps(tmp_path: Path) -> None:
    spikes, geometry = recorded(tmp_path)
    workload = through_file(tmp_path, spikes, shapes=geometry, timesteps=3)
    assert workload.timesteps == 3 and workload.layer_inputs("fc1").shape == (3, 8)
    assert workload.layer_inputs("fc1", timesteps=2).shape == (2, 8)
    assert workload.layer("fc1").timesteps == 3


def test_a_recording_is_not_stretched(tmp_path: Path) -> None:
    spikes, geometry = recorded(tmp_path)
    assert messages(spikes, shapes=geometry, timesteps=5) == [
        f"{spikes}: holds 4 timesteps at most, fewer than the 5 asked for"
    ]


def messages(*arguments: object, **options: object) -> list[str]:
    """What an import is refused with."""
    with pytest.raises(SpecError) as caught:
        import_file(*arguments, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_options_that_are_missing_or_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "a.csv", "a.npz"):
        Path(name).touch()
    assert messages("a.txt") == [
        "a.txt: cannot be imported: expected .yaml (shape table), .csv (SCALE-Sim topology) or .npz (recorded spikes)"
    ]
    assert messages("a.csv") == [
        "a.csv: a SCALE-Sim topology does not say the timesteps: give --timesteps",
        "a.csv: a SCALE-Sim topology does not say the spike density: give --density",
    ]
    assert messages("a.npz", density=2) == [
        "--density: must be a number from 0 to 1, found 2",
        "a.npz: recorded spikes need the geometry of their layers: --shapes geometry.json",
        "--density: does not apply to recorded spikes: they have their own",
    ]
    assert messages("a.csv", shapes="g.json", timesteps=0, density=0.5) == [
        "--timesteps: must be an integer from 1 to 1024, found 0",
        "--shapes: belongs to recorded spikes (.npz), but 'a.csv' has its own shapes",
    ]
    assert messages("a.yaml") == ["a.yaml: there is no such file"]


def synaptic_operations(workload: Workload, names: list[str]) -> tuple[int, int]:
    """Accumulations for the recorded spikes, and for dense inputs with padding, by plain NumPy."""
    spikes, dense = 0, 0
    for layer in (workload.layer(name) for name in names):
        g, inputs = layer.geometry, workload.layer_inputs(layer).astype(np.int64)
        if layer.op == "conv2d":
            inputs = np.pad(inputs, ((0, 0), (0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x)))
            inputs = np.lib.stride_tricks.sliding_window_view(inputs, (g.R, g.S), (2, 3))[
                :, :, :: g.stride_y, :: g.stride_x
            ]
        spikes += int(inputs.sum()) * g.M
        dense += g.dense_operations * workload.timesteps
    return spikes, dense


def test_recordings_of_trained_networks(tmp_path: Path) -> None:
    """Other people's recordings, read where they are present."""
    for path in sorted(TRACES.glob("*.npz")):
        workload = through_file(tmp_path, path, shapes=path.with_suffix(".json"))
        with np.load(path) as archive:
            for layer in workload.weighted[1:]:
                np.testing.assert_array_equal(workload.layer_inputs(layer), archive[layer.name])
        assert not workload.weighted[0].values_recorded and workload.weighted[-1].timesteps == 1
        if workload.name == "vgg9_cifar10":
            names = [f"conv2d_{number}" for number in range(1, 6)] + ["fc_0"]
            assert synaptic_operations(workload, names) == (80_595_072, 620_756_992)
