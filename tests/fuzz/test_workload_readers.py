"""No bytes make a workload reader raise anything but SpecError, and what is accepted can be written and read again."""

from __future__ import annotations

import copy
import io
import json
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.workload import load, save
from hwsim.workload.importers import import_file
from tests.workload.workload_builder import npy, tiny_arrays, tiny_spec, write_members, write_raw

FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
WORDS = [
    "name", "op", "inputs", "input", "kernel", "stride", "padding", "dilation", "groups", "channels", "weights", "bias",
    "bn", "neuron", "type", "leak", "threshold", "member", "bits", "scale", "shape", "conv1", "pool1", "flat", "fc",
    "conv1d", "conv2d", "linear", "avgpool", "maxpool", "sumpool", "flatten", "reshape", "add", "concat", "matmul",
    "lif", "if", "relu", "none", "spike", "count", "analog", "direct", "poisson", "events", "counts", "shapes", "trace",
    "conv1.weight", "test.inputs", "spec", "density", "input_shape", "connected", "\ud800", "\x1b[31m", "",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 8, 64, 1024, 2**31, 2**63, 10**40, 0.5, -0.0, 1e308, 5e-324, True, False, None]
LEAVES = (
    st.sampled_from(WORDS) | st.sampled_from(NUMBERS) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


def accepts(read: Callable[[], Any]) -> Any:
    """What ``read`` gives, or None where it refuses with at least one readable problem."""
    try:
        return read()
    except SpecError as error:
        assert error.problems
        for problem in error.problems:
            marks = {unicodedata.category(mark) for mark in str(problem).replace("\n", "")}
            assert not marks & {"Cc", "Cs"}, repr(str(problem))
        return None


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in a JSON tree."""
    found = [path] if path else []
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


def mutate(data: st.DataObject, tree: Any) -> None:
    """Replace, remove, repeat or rename one value of a JSON tree."""
    path = data.draw(st.sampled_from(places(tree)))
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    action = data.draw(st.sampled_from(["replace", "remove", "rename", "repeat"]))
    if action == "replace":
        parent[path[-1]] = data.draw(JSON)
    elif action == "remove":
        del parent[path[-1]]
    elif isinstance(parent, list):
        parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
    else:
        parent[data.draw(st.sampled_from(WORDS))] = parent.pop(path[-1])


@FUZZ
@given(st.binary(max_size=400))
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
def test_random_bytes_as_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    assert accepts(lambda: load(path)) is None


@FUZZ
@given(st.data())
def test_mutated_bytes_of_a_valid_npz(tmp_path: Path, data: st.DataObject) -> None:
    path = write_raw(tmp_path / "w.npz", tiny_spec(), tiny_arrays())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    accepts(lambda: load(path))


@FUZZ
@given(st.data())
def test_mutated_directory_of_a_valid_npz(tmp_path: Path, data: st.DataObject) -> None:
    path = write_raw(tmp_path / "w.npz", tiny_spec(), tiny_arrays())
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    accepts(lambda: load(path))


@FUZZ
@given(
    header=st.text(max_size=80) | st.sampled_from(["{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"]),
    data=st.data(),
)
def test_npy_headers(tmp_path: Path, header: str, data: st.DataObject) -> None:
    if "%s" in header:
        header = header.replace("%s", data.draw(st.text(alphabet="0123456789, ()-e", max_size=30)))
    raw = header.encode("utf-8", "surrogatepass").decode("latin-1")[:3000]
    path = write_members(tmp_path / "w.npz", [("spec.npy", npy(raw.encode("ascii", "replace").decode(), b"12345678"))])
    assert accepts(lambda: load(path)) is None


@FUZZ
@given(st.data())
def test_mutated_spec(tmp_path: Path, data: st.DataObject) -> None:
    spec = tiny_spec()
    for _ in range(data.draw(st.integers(1, 4))):
        if places(spec):
            mutate(data, spec)
    path = write_raw(tmp_path / "w.npz", json.dumps(spec), tiny_arrays())
    workload = accepts(lambda: load(path))
    if workload is not None:
        save(tmp_path / "again.npz", workload.spec, {name: workload.array(name) for name in tiny_arrays()})
        assert load(tmp_path / "again.npz").layers == workload.layers


@FUZZ
@given(st.binary(max_size=200) | JSON.map(lambda tree: json.dumps(tree).encode()))
@example(b"1" * 5000)
@example(b'{"a":' * 5000)
def test_any_json_as_spec(tmp_path: Path, text: bytes) -> None:
    path = write_raw(tmp_path / "w.npz", text, tiny_arrays())
    assert accepts(lambda: load(path)) is None


@FUZZ
@given(st.data())
def test_mutated_arrays(tmp_path: Path, data: st.DataObject) -> None:
    arrays = tiny_arrays()
    name = data.draw(st.sampled_from(sorted(arrays)))
    dtype = data.draw(st.sampled_from(["i1", "u1", "i2", "i4", "i8", "u8", "f4", "f8", "b1"]))
    shape = data.draw(st.lists(st.integers(0, 12), max_size=4))
    fill = data.draw(st.sampled_from([0, 1, 100]) if dtype != "f4" else st.sampled_from([0, 1, np.nan, np.inf]))
    arrays[name] = np.full(data.draw(st.sampled_from([tuple(shape), arrays[name].shape])), fill).astype(dtype)
    path = write_raw(tmp_path / "w.npz", tiny_spec(), arrays)
    accepts(lambda: load(path))


TABLE = {
    "schema": "hwsim/shapes/1",
    "name": "small",
    "timesteps": 4,
    "density": 0.5,
    "layers": [
        {
            "name": "conv1",
            "op": "conv2d",
            "input": [3, 8, 8],
            "channels": 4,
            "kernel": 3,
            "padding": 1,
            "input_bits": 8,
        },
        {"name": "pool1", "op": "maxpool", "kernel": 2},
        {"name": "flat", "op": "flatten"},
        {"name": "fc1", "op": "linear", "input": [64], "channels": 10, "neuron": "none", "weight_density": 0.5},
    ],
}


@FUZZ
@given(st.data())
def test_mutated_tables(tmp_path: Path, data: st.DataObject) -> None:
    table = copy.deepcopy(TABLE)
    for _ in range(data.draw(st.integers(1, 4))):
        if places(table):
            mutate(data, table)
    path = tmp_path / "t.yaml"
    path.write_text(json.dumps(table))  # JSON is YAML
    found = accepts(lambda: import_file(path))
    if found is not None:
        save(tmp_path / "t.npz", *found)
        assert load(tmp_path / "t.npz").layers == load(path).layers


@FUZZ
@given(st.binary(max_size=300))
def test_random_bytes_as_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    assert accepts(lambda: load(path)) is None


CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CELLS = st.sampled_from(["1", "3", "8", "-1", "0", "", "x", "1e3", "2:4", "99999999999", '"', "\u0663", " 7 ", "input"])


@FUZZ
@given(
    head=st.sampled_from([CONV, "Layer,M,N,K,\n", "layer\n", ""]),
    rows=st.lists(st.lists(CELLS, max_size=10), max_size=4),
)
def test_topologies(tmp_path: Path, head: str, rows: list[list[str]]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(head + "\n".join(",".join(row) for row in rows))
    found = accepts(lambda: import_file(path, timesteps=2, density=0.5))
    if found is not None:
        save(tmp_path / "t.npz", *found)


@FUZZ
@given(st.binary(max_size=300))
@example(b"\x00")
@example(b"\xef\xbb\xbf")
@example(b'"' * 200_000)
def test_random_bytes_as_topology(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(CONV.encode() + content)
    accepts(lambda: import_file(path, timesteps=2, density=0.5))


GEOMETRY = {
    "network": "small",
    "timesteps": 4,
    "layers": [
        {"name": "conv1", "op": "conv2d", "input": [1, 4, 4], "output_channels": 2, "kernel": 3, "padding": 1},
        {"name": "pool1", "op": "maxpool", "kernel": 2},
        {"name": "fc1", "op": "linear", "input": [8], "outputs": 10},
    ],
    "remarks": "none",
}


@FUZZ
@given(st.data())
def test_mutated_geometries(tmp_path: Path, data: st.DataObject) -> None:
    geometry = copy.deepcopy(GEOMETRY)
    for _ in range(data.draw(st.integers(0, 3))):
        if places(geometry):
            mutate(data, geometry)
    (tmp_path / "g.json").write_text(json.dumps(geometry))
    stream = io.BytesIO()
    np.savez(stream, conv1=np.ones((4, 1, 4, 4), bool), fc1=np.zeros((3, 8), bool))
    (tmp_path / "s.npz").write_bytes(stream.getvalue())
    found = accepts(lambda: import_file(tmp_path / "s.npz", shapes=tmp_path / "g.json"))
    if found is not None:
        save(tmp_path / "t.npz", *found)
        load(tmp_path / "t.npz")


def test_fuzz_can_fail() -> None:
    with pytest.raises(zipfile.BadZipFile):
        accepts(lambda: zipfile.ZipFile(io.BytesIO(b"")))
