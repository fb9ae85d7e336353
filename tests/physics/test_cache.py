"""The cache on disk: right or not at all."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from hwsim.physics import cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    cache._written.clear()
    return tmp_path / "cache"


class Maker:
    """Counts how often something is really computed."""

    def __init__(self, **arrays):
        self.arrays = arrays or {"a": np.arange(6.0).reshape(2, 3), "b": np.array([np.nan, -0.0]), "n": np.array(3)}
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.arrays


def same(one, other):
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and one[k].shape == other[k].shape and one[k].tobytes() == other[k].tobytes()
        for k in one
    )


def test_is_computed_once_and_comes_back_equal(folder):
    make = Maker()
    assert same(cache.remember(("x", b"1"), make), make.arrays)
    assert same(cache.remember(("x", b"1"), make), make.arrays)
    assert make.calls == 1
    assert [entry.suffix for entry in folder.iterdir()] == [".npz"]


def test_key_is_the_content(folder):
    keys = [("a", "bc"), ("ab", "c"), ("abc",), (b"a", "bc"), ("a", "bc", ""), ("1:a",), (), ("as", "b"), ("a", "sb")]
    assert len({cache.digest(key) for key in keys}) == len(keys)
    array = np.arange(4.0)
    parts = [array, array.astype(np.float32), array.reshape(2, 2), -array, array.astype(np.int64)]
    assert len({cache.array_bytes(part) for part in parts}) == len(parts)
    assert cache.array_bytes(np.arange(8.0)[::2]) == cache.array_bytes(np.arange(0.0, 8.0, 2.0))


def test_key_knows_the_sources(monkeypatch):
    before = cache.digest(("x",))
    monkeypatch.setattr(cache, "_sources", lambda: b"another version")
    assert cache.digest(("x",)) != before


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "text", "pickle"])
def test_damaged_entry_is_computed_again(folder, damage):
    make = Maker(a=np.arange(500.0))
    cache.remember(("x",), make)
    (entry,) = folder.iterdir()
    content = bytearray(entry.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    entry.write_bytes({"empty": b"", "cut": bytes(content[:-100]), "text": b"nothing"}.get(damage, bytes(content)))
    if damage == "pickle":
        np.savez(entry, a=np.array([{"a": 1}], dtype=object))
    assert same(cache.remember(("x",), make), make.arrays)
    assert make.calls == 2
    cache.remember(("x",), make)
    assert make.calls == 2


def test_off(folder, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "OFF")
    make = Maker()
    for _ in range(2):
        cache.remember(("x",), make)
    assert make.calls == 2 and cache.cache_folder() is None and not folder.exists()


def test_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = cache.cache_folder()
    assert found is not None and found.name == "physics" and "hwsim" in found.parts


def test_many_writers(folder):
    """All get the right arrays, whoever comes first; nothing else stays behind."""
    start, found, failed = threading.Barrier(8), [], []

    def work(number):
        start.wait()
        for k in range(20):
            value = np.full(1000, float(k))
            got = cache.remember((f"key {k}",), lambda value=value: {"v": value})
            found.append(np.array_equal(got["v"], value))

    threads = [threading.Thread(target=lambda n=n: _guard(work, n, failed)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(found) == 160 and all(found)
    assert len(list(folder.iterdir())) == 20 and all(entry.suffix == ".npz" for entry in folder.iterdir())


def _guard(work, number, failed):
    try:
        work(number)
    except Exception as error:
        failed.append(error)


def test_size_is_limited_and_the_oldest_goes_first(folder):
    make, limit = Maker(a=np.zeros(1000)), 30_000  # three entries of 8 kB fit
    for k in range(3):
        cache.remember((str(k),), make, limit_bytes=limit)
        os.utime(folder / f"{cache.digest((str(k),))}.npz", (1000.0 + k, 1000.0 + k))
    cache.remember(("0",), make, limit_bytes=limit)  # used again: now the youngest
    assert make.calls == 3
    cache.remember(("3",), make, limit_bytes=limit)
    assert {entry.stem for entry in folder.iterdir()} == {cache.digest((k,)) for k in ("0", "2", "3")}
    cache.remember(("large",), Maker(a=np.zeros(10_000)), limit_bytes=limit)
    assert {entry.stem for entry in folder.iterdir()} == {cache.digest((k,)) for k in ("0", "2", "3")}


def test_no_reader_sees_a_part(folder, monkeypatch):
    """An entry appears by renaming only; where that fails nothing stays behind."""

    def refuse(self, target):
        raise OSError("no")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    make = Maker()
    assert same(cache.remember(("x",), make), make.arrays)
    assert list(folder.iterdir()) == []


def test_drafts_of_killed_processes_go(folder):
    folder.mkdir()
    old, new = folder / "old.partial", folder / "new.partial"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (time.time() - 1e5,) * 2)
    cache.remember(("x",), Maker())
    assert not old.exists() and new.exists()


def test_folder_that_cannot_be_used_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    make = Maker()
    for _ in range(2):
        assert same(cache.remember(("x",), make), make.arrays)
    assert make.calls == 2
