"""Broken shape tables (YAML), topologies (CSV) and recordings, and what each is answered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.workload import load
from hwsim.workload.importers import import_file

TABLE = """\
schema: hwsim/shapes/1
name: small
timesteps: 4
layers:
  - {name: conv1, op: conv2d, input: [3, 8, 8], channels: 4, kernel: 3, padding: 1, density: 0.1}
  - {name: pool1, op: maxpool, kernel: 2}
  - {name: flat, op: flatten}
  - {name: fc1, op: linear, input: [64], channels: 10, density: 0.1, neuron: none}
"""
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEOMETRY: dict[str, Any] = {
    "network": "small",
    "timesteps": 4,
    "layers": [
        {"name": "conv1", "op": "conv2d", "input": [1, 4, 4], "output_channels": 2, "kernel": 3, "padding": 1},
        {"name": "fc1", "op": "linear", "input": [32], "outputs": 10},
    ],
}
SPIKES = {"conv1": np.ones((4, 1, 4, 4), np.bool_), "fc1": np.ones((4, 32), np.bool_)}

YAML: dict[str, tuple[str, str, str]] = {
    "unknown_key": (
        "padding: 1",
        "paddng: 1",
        (
            "FILE:5:73: unknown key 'paddng' in layers[0]\n"
            "  did you mean 'padding'? Keys allowed here: name, op, inputs, channels, kernel, stride, padding, "
            "dilation, groups, input, input_bits, density, weight_density, connected, neuron."
        ),
    ),
    "unknown_top_key": (
        "timesteps: 4",
        "timestep: 4",
        (
            "FILE:1:1: key 'timesteps' is missing; it must be an integer from 1 to 1024\n"
            "FILE:3:1: unknown key 'timestep'\n"
            "  did you mean 'timesteps'? Keys allowed here: schema, name, timesteps, density, notes, layers."
        ),
    ),
    "duplicate_key": (
        "timesteps: 4",
        "timesteps: 4\ntimesteps: 5",
        "FILE:4:1: key 'timesteps' stands twice (first in line 3)",
    ),
    "wrong_schema": (
        "hwsim/shapes/1",
        "hwsim/arch/1",
        "FILE:1:9: schema must be 'hwsim/shapes/1', found 'hwsim/arch/1'",
    ),
    "density_as_percent": (
        "1, density: 0.1",
        "1, density: 10 %",
        "FILE:5:94: density must be a number from 0 to 1, found '10 %'",
    ),
    "density_above_one": (
        "1, density: 0.1",
        "1, density: 1.5",
        "FILE:5:94: density must be a number from 0 to 1, found 1.5",
    ),
    "no_density": (
        ", padding: 1, density: 0.1",
        ", padding: 1",
        "FILE:5:5: key 'density' is missing; it must be a number from 0 to 1",
    ),
    "negative_size": (
        "[3, 8, 8]",
        "[3, -8, 8]",
        "FILE:5:38: input must be 1 to 3 integers of at least 1, found [3, -8, 8]",
    ),
    "two_sizes_of_an_image": (
        "[3, 8, 8]",
        "[3, 8]",
        "FILE:5:5: layer 'conv1': conv2d takes [C, H, W], but its input is [3, 8]",
    ),
    "shapes_that_do_not_meet": (
        "input: [64]",
        "input: [256]",
        (
            "FILE:8:5: layer 'fc1' takes [256], but 'flat' gives [64]\n"
            "  a layer that does not follow the one before says 'connected: false'"
        ),
    ),
    "first_layer_without_shape": (
        "input: [3, 8, 8], ",
        "",
        "FILE:5:5: layer 'conv1' must say the shape of its input: no layer before gives it",
    ),
    "unknown_op": (
        "op: maxpool",
        "op: maxpol",
        (
            "FILE:6:23: op must be one of conv1d, conv2d, linear, avgpool, maxpool, sumpool, flatten, reshape, "
            "add, concat, found 'maxpol'\n"
            "  did you mean 'maxpool'?"
        ),
    ),
    "unknown_neuron": (
        "neuron: none",
        "neuron: non",
        ("FILE:8:78: neuron must be one of lif, if, none, found 'non'\n  did you mean 'none'?"),
    ),
    "layers_as_mapping": (
        "  - {name: flat",
        "    {name: flat",
        ("FILE:7:5: is not valid YAML: did not find expected '-' indicator (while parsing a block collection)"),
    ),
    "anchor": (
        "{name: flat",
        "&a {name: flat",
        "FILE:7:5: anchor '&a' is not read: write the value out, or inherit with 'base:'",
    ),
    "exponent_as_text": (
        "timesteps: 4",
        "timesteps: 1e0",
        "FILE:3:12: timesteps must be an integer from 1 to 1024, found 1.0",
    ),
    "too_large": (
        "[3, 8, 8], channels: 4",
        "[2000000000, 8, 8], channels: 2000000000",
        (
            "FILE:5:5: layer 'conv1' is too large: 2,304,000,000,000,000,000,000 operations per timestep, at "
            "most 1,099,511,627,776"
        ),
    ),
    "weights_in_a_table": (
        "density: 0.1, neuron",
        "weights: {member: w, bits: 8}, density: 0.1, neuron",
        (
            "FILE:8:56: unknown key 'weights' in layers[3]\n"
            "  did you mean 'weight_density'? Keys allowed here: name, op, inputs, channels, input, "
            "input_bits, density, weight_density, connected, neuron."
        ),
    ),
}

CSV: dict[str, tuple[str, str]] = {
    "empty": ("", "FILE: the file is empty"),
    "no_layers": (CONV, "FILE: has a header, but no layers"),
    "other_header": (
        "name;height;width\nconv1;3;3\n",
        (
            "FILE:1: is not the header of a SCALE-Sim topology: 'name;height;width'\n"
            "  Headers known: Layer name, Ifmap Height, Ifmap Width, Filter Height, Filter Width, Channels, "
            "Num Filter, Strides; or Layer, M, N, K."
        ),
    ),
    "text_for_a_size": (
        CONV + "conv1, 8, 8, 3, 3, three, 4, 1,\n",
        "FILE:2: column 'channels' must be an integer of at least 1, found 'three'",
    ),
    "missing_column": (
        CONV + "conv1, 8, 8, 3, 3, 3, 4,\n",
        "FILE:2: column 'strides' must be an integer of at least 1, found nothing",
    ),
    "negative_stride": (
        CONV + "conv1, 8, 8, 3, 3, 3, 4, -1,\n",
        "FILE:2: column 'strides' must be an integer of at least 1, found '-1'",
    ),
    "fraction": (
        CONV + "conv1, 8.5, 8, 3, 3, 3, 4, 1,\n",
        "FILE:2: column 'ifmap height' must be an integer of at least 1, found '8.5'",
    ),
    "filter_too_large": (
        CONV + "conv1, 8, 8, 3, 3, 3, 4, 1,\nconv2, 2, 2, 3, 3, 3, 4, 1,\n",
        "FILE:3: the filter of 3 x 3 is larger than the ifmap of 2 x 2",
    ),
    "product_without_k": (
        "Layer,M,N,K,\nfc1,16,16,\n",
        "FILE:2: column 'K' must be an integer of at least 1, found nothing",
    ),
    "sparsity_above_one": (
        "Layer,M,N,K,\nfc1,16,16,8,4:2\n",
        "FILE:2: column 5 must be a sparsity 'N:M' with N <= M, found '4:2'",
    ),
    "too_large": (
        "Layer,M,N,K,\nfc1,1000000000,1000000000,1000000000,\n",
        (
            "FILE:2: layer 'fc1' is too large: 1,000,000,000,000,000,000,000,000,000 operations per timestep, "
            "at most 1,099,511,627,776"
        ),
    ),
    "not_text": ("\udcff\udcfe", "FILE: is not UTF-8 text: byte 0"),
}

TRACE: dict[str, tuple[Any, Any, str]] = {
    "geometry_unknown_key": (
        {"layer": []},
        {},
        (
            "g.json: key layer: unknown key 'layer'\n"
            "  did you mean 'layers'? Keys allowed here: network, timesteps, layers, remarks."
        ),
    ),
    "geometry_unknown_op": (
        {"layers": [{"name": "conv1", "op": "conv3d"}]},
        {},
        (
            "g.json: key layers[0].op: op must be one of conv1d, conv2d, linear, avgpool, maxpool, sumpool, "
            "flatten, reshape, add, concat, found 'conv3d'\n"
            "  did you mean 'conv2d'?"
        ),
    ),
    "geometry_without_outputs": (
        {"layers": [{"name": "fc1", "op": "linear", "input": [32]}]},
        {},
        "g.json: key layers[0]: key 'output_channels' is missing; it must be an integer of at least 1",
    ),
    "recording_missing": (
        {},
        {"fc1": None, "fc_1": SPIKES["fc1"]},
        (
            "s.npz: member fc_1: is the recording of no layer of the geometry\n"
            "s.npz: member fc1: is missing (input of layer 'fc1')\n"
            "  did you mean 'fc_1'?"
        ),
    ),
    "recording_of_integers": (
        {},
        {"fc1": np.ones((4, 32), np.int8)},
        "s.npz: member fc1: must be bool (spikes), found int8",
    ),
    "recording_of_other_shape": (
        {},
        {"fc1": np.ones((4, 33), np.bool_)},
        "s.npz: member fc1: must have shape [T, 32] with T from 1 to 1024, found [4, 33]",
    ),
    "recording_with_pickle": (
        {},
        {"fc1": np.array([None])},
        "s.npz: member fc1: is an object array: it would need pickle, which is never loaded",
    ),
    "shapes_that_do_not_meet": (
        {"layers": [GEOMETRY["layers"][0], GEOMETRY["layers"][1] | {"input": [48]}]},
        {"fc1": np.ones((4, 48), np.bool_)},
        (
            "g.json: key layers[1]: layer 'fc1' takes [48], but 'fc1.flatten' gives [32]\n"
            "  a layer that does not follow the one before says 'connected: false'"
        ),
    ),
}


@pytest.mark.parametrize("name", YAML)
def test_table_message(name: str, tmp_path: Path) -> None:
    old, new, expected = YAML[name]
    assert table_message(tmp_path / "t.yaml", old, new) == expected


@pytest.mark.parametrize("name", CSV)
def test_topology_message(name: str, tmp_path: Path) -> None:
    text, expected = CSV[name]
    assert topology_message(tmp_path / "t.csv", text) == expected


@pytest.mark.parametrize("name", TRACE)
def test_recording_message(name: str, tmp_path: Path) -> None:
    geometry, arrays, expected = TRACE[name]
    assert recording_message(tmp_path, geometry, arrays) == expected


def test_table_file_that_is_valid(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(TABLE)
    assert [layer.name for layer in load(tmp_path / "t.yaml").weighted] == ["conv1", "fc1"]


def table_message(path: Path, old: str, new: str) -> str:
    """What a table with one change is answered with."""
    assert TABLE.count(old) == 1, old
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load(path)
    return str(caught.value).replace(str(path), "FILE")


def topology_message(path: Path, text: str) -> str:
    """What a topology is answered with."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SpecError) as caught:
        import_file(path, timesteps=1, density=1.0)
    return str(caught.value).replace(str(path), "FILE")


def recording_message(folder: Path, geometry: Any, arrays: Any) -> str:
    """What a recording with a changed geometry or changed arrays is answered with."""
    (folder / "g.json").write_text(json.dumps(GEOMETRY | geometry))
    recorded = {name: array for name, array in (SPIKES | arrays).items() if array is not None}
    np.savez(folder / "s.npz", **recorded)
    with pytest.raises(SpecError) as caught:
        import_file(folder / "s.npz", shapes=folder / "g.json")
    return str(caught.value).replace(str(folder) + "/", "")
