"""Writing, reading, naming: round trips, the same bytes, lazy arrays, refusal before anything is written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.workload import files, find, load, save, shipped
from hwsim.workload.model import Member
from hwsim.workload.npz import NpzArrays
from hwsim.workload.samples import hash_file
from tests.workload.workload_builder import npy, tiny_arrays, tiny_spec, write_members


def saved(folder: Path) -> Path:
    """The tiny network in a file."""
    save(folder / "tiny.npz", tiny_spec(), tiny_arrays())
    return folder / "tiny.npz"


def test_round_trip_keeps_every_array_and_the_spec(tmp_path: Path) -> None:
    workload = load(saved(tmp_path))
    assert dict(workload.spec) == tiny_spec()
    for name, array in tiny_arrays().items():
        found = workload.array(name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert not found.flags.writeable


def test_model_of_the_tiny_network(tmp_path: Path) -> None:
    workload = load(saved(tmp_path))
    assert (workload.name, workload.kind, workload.timesteps, workload.classes) == ("tiny", "network", 4, 10)
    assert (workload.output_layer, workload.decision) == ("fc", "accumulate")
    assert workload.sha256 == hash_file(tmp_path / "tiny.npz")
    conv, fc = workload.weighted
    assert conv.weights is not None and conv.weights.scale == Member("conv1.scale")
    assert conv.neuron.type == "lif" and conv.neuron.leak == 0.5 and conv.neuron.leak_shift is None
    assert conv.neuron.membrane is not None and conv.neuron.membrane.bits == 8
    assert conv.bn is not None and conv.bn.eps == 1e-5
    assert fc.neuron.type == "none" and fc.weights is not None and fc.weights.bits == 4
    np.testing.assert_array_equal(workload.values(conv.weights.scale), np.full(4, 0.01, np.float32).astype(float))
    assert workload.values(fc.weights.scale).shape == ()
    assert workload.weight(fc).shape == (10, 64)


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = saved(tmp_path).read_bytes()
    (tmp_path / "other").mkdir()
    assert saved(tmp_path / "other").read_bytes() == first


def test_numpy_reads_what_is_written(tmp_path: Path) -> None:
    with np.load(saved(tmp_path)) as archive:
        np.testing.assert_array_equal(archive["fc.weight"], tiny_arrays()["fc.weight"])


def test_reads_what_numpy_writes(tmp_path: Path) -> None:
    arrays = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(3), "c": np.zeros((0, 2), np.int8)}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    source = NpzArrays(tmp_path / "x.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(source.read(name), array)
        assert source.headers[name].shape == array.shape


def test_odd_bytes_of_booleans_are_true(tmp_path: Path) -> None:
    header = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }"
    write_members(tmp_path / "x.npz", [("a.npy", npy(header, b"\x00\x01\x07"))])
    found = NpzArrays(tmp_path / "x.npz").read("a")
    assert found.tolist() == [False, True, True] and found.view(np.uint8).max() == 1


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    spec = tiny_spec() | {"timesteps": 0}
    with pytest.raises(SpecError, match="timesteps must be an integer from 1 to 1024, found 0"):
        save(tmp_path / "w.npz", spec, tiny_arrays())
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved(tmp_path).read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.npz"]
    assert (tmp_path / "tiny.npz").read_bytes() == before


def test_arrays_of_samples_are_not_unpacked_by_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = saved(tmp_path), []
    original = NpzArrays.read

    def noting(self: NpzArrays, name: str) -> np.ndarray:
        read.append(name)
        return original(self, name)

    monkeypatch.setattr(NpzArrays, "read", noting)
    workload = load(path)
    assert "test.inputs" not in read and "conv1.weight" in read
    workload.array("conv1.weight")
    assert read.count("conv1.weight") == 1, "a small array is unpacked once"


def test_budget_is_held_before_anything_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="more than the budget of 1,000 bytes"):
        load(saved(tmp_path), budget_bytes=1000)


def test_samples_of_the_file(tmp_path: Path) -> None:
    samples = load(saved(tmp_path)).samples("test")
    assert len(samples) == 5 and samples.inputs is not None
    np.testing.assert_array_equal(samples.inputs, tiny_arrays()["test.inputs"])
    with pytest.raises(SpecError, match="has no sample set 'demo'; sets it has: test"):
        load(tmp_path / "tiny.npz").samples("demo")


def test_samples_of_a_data_file(tmp_path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    data = {name: arrays.pop(name) for name in ("test.inputs", "test.labels")}
    save(tmp_path / "d.npz", {"schema": "hwsim/workload/1", "kind": "data", "name": "d", "about": "random"}, data)
    spec["samples"] = {"file": "d.npz", "sha256": hash_file(tmp_path / "d.npz"), "sets": spec["samples"]}
    save(tmp_path / "w.npz", spec, arrays)
    workload = load(tmp_path / "w.npz")
    np.testing.assert_array_equal(workload.samples("test").labels, data["test.labels"])
    assert workload.data_sha256 == spec["samples"]["sha256"]


def test_samples_of_events(tmp_path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    spec["input"] = {"shape": [3, 8, 8], "kind": "spike", "encoding": "events", "bin_us": 1000}
    keys = ("time_us", "index", "offsets", "labels")
    spec["samples"] = {"test": {key: f"test.{key}" for key in keys}}
    del arrays["test.inputs"]
    arrays |= {
        "test.time_us": np.array([5, 2000, 7], np.int64),
        "test.index": np.array([0, 191, 1], np.int32),
        "test.offsets": np.array([0, 2, 2, 3, 3, 3], np.int64),
    }
    save(tmp_path / "w.npz", spec, arrays)
    samples = load(tmp_path / "w.npz").samples("test")
    assert samples.inputs is None and samples.offsets is not None and samples.index is not None
    assert samples.index.dtype == np.int32 and samples.offsets.tolist() == [0, 2, 2, 3, 3, 3]


def test_shipped_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    (tmp_path / "shapes").mkdir()
    table = "schema: hwsim/shapes/1\nname: t\ntimesteps: 1\nlayers:\n  - {name: a, op: linear, input: [2], channels: 2"
    for name in ("tiny", "other"):
        (tmp_path / "shapes" / f"{name}.yaml").write_text(table + ", density: 1}\n")
    save(tmp_path / "d.npz", {"schema": "hwsim/workload/1", "kind": "data", "name": "d"}, {})
    monkeypatch.setattr(files, "folder", lambda kind: tmp_path)
    assert shipped() == ["other", "shapes/tiny", "tiny"]
    assert load("tiny").kind == "network"
    assert load("shapes/tiny").kind == load("other").kind == "shapes"
    with pytest.raises(SpecError, match="'tiny', without folder and ending, is a shipped workload"):
        find("elsewhere/tiny.npz")
    with pytest.raises(SpecError) as caught:
        find("tinny")
    assert str(caught.value) == (
        "unknown workload 'tinny'\n  did you mean 'tiny'? Shipped workloads: other, shapes/tiny, tiny."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.npz", "no.npz: there is no such file"), ("no.yaml", "no.yaml: there is no such file")],
)
def test_missing_files(name: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(name)
    assert str(caught.value) == message


def test_every_shipped_workload_is_valid() -> None:
    names = shipped()
    assert names
    for name in names:
        assert load(name).weighted
