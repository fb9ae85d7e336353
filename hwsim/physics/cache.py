"""A cache on disk for results of physics, found by the content they were computed from.

The folder is the environment variable ``HWSIM_CACHE``, else the user's cache folder of this system; ``HWSIM_CACHE=off``
computes everything. Its size is limited to ``LIMIT_BYTES``: the entries used longest ago go first (looked at when a
process first writes, and again after each 1/16 of the limit). The sources of this package (physics) are part of every
key, so that no result of an older formula is ever found. Entries are npz without pickle, written whole, then renamed;
one that cannot be read is computed again. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray]

VARIABLE = "HWSIM_CACHE"
LIMIT_BYTES = 1 << 30
"""Of all entries together. One 64 x 64 array takes 32 KiB, a vgg9 in two slices about 100 MB."""

_SUFFIX = ".npz"
_DRAFT = ".partial"
_DRAFT_SECONDS = 3600.0
"""A draft older than this belongs to a process that was killed."""

_written: dict[Path, int] = {}
"""Bytes that this process has written to a folder since it last looked at the folder's size."""


def remember(key: Iterable[bytes | str], make: Callable[[], Arrays], *, limit_bytes: int = LIMIT_BYTES) -> Arrays:
    """The named arrays that ``make()`` gave when it was first called with this key, on this machine.

    ``key``: parts that determine the result (bytes of operands, names, repr of numbers); ("a", "bc") is another key
    than ("ab", "c"). Arrays come back equal in dtype, shape and every bit; dtype object is not possible. A folder that
    cannot be read or written only costs the time to compute.
    """
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / (digest(key) + _SUFFIX)
    found = _read(path)
    if found is not None:
        return found
    arrays = make()
    _write(path, arrays, limit_bytes)
    return arrays


def array_bytes(array: npt.NDArray) -> bytes:
    """What identifies an array as part of a key: dtype, shape and contents."""
    array = np.ascontiguousarray(array)
    return f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()


def cache_folder() -> Path | None:
    """Where entries are kept; None when caching is off."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(chosen)
    import platformdirs  # not at the top: a user with HWSIM_CACHE set does not pay for it

    return Path(platformdirs.user_cache_dir("hwsim", appauthor=False)) / "physics"


def digest(key: Iterable[bytes | str]) -> str:
    """The name of an entry: BLAKE2b of the sources of physics and of the key's parts, each with kind and length."""
    state = hashlib.blake2b(_sources(), digest_size=20)
    for part in key:
        data = part.encode() if isinstance(part, str) else part
        state.update(f"{'s' if isinstance(part, str) else 'b'}{len(data)}:".encode())
        state.update(data)
    return state.hexdigest()


@cache
def _sources() -> bytes:
    state = hashlib.blake2b(digest_size=20)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.digest()


def _read(path: Path) -> Arrays | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception:  # a damaged zip raises almost anything: whatever it is, the entry is computed again
        return None
    with contextlib.suppress(OSError):  # a cache that this user may only read
        os.utime(path)  # used now: it goes last
    return arrays


def _write(path: Path, arrays: Arrays, limit_bytes: int) -> None:
    assert all(array.dtype != object for array in arrays.values())
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(suffix=_DRAFT, dir=path.parent)  # its own name for each writer
        draft = Path(name)
        with os.fdopen(number, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        size = draft.stat().st_size
        if size <= limit_bytes:
            draft.replace(path)
        _make_room(path.parent, size, limit_bytes)
    except OSError:
        pass  # no room, or no permission: the result is still right
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def _make_room(folder: Path, size: int, limit_bytes: int) -> None:
    """Looking at thousands of files for each one written would cost more than writing it."""
    written = _written.get(folder, limit_bytes) + size
    if written * 16 >= limit_bytes:
        drop_oldest(folder, limit_bytes)
        written = 0
    _written[folder] = written


def drop_oldest(folder: Path, limit_bytes: int) -> None:
    """Delete the entries used longest ago until the rest fits; also drafts of processes that were killed."""
    entries, total, now = [], 0, time.time()
    for entry in os.scandir(folder):
        try:
            status = entry.stat()
        except OSError:
            continue  # another process dropped it
        if entry.name.endswith(_SUFFIX):
            entries.append((status.st_mtime_ns, entry.name, status.st_size))
            total += status.st_size
        elif entry.name.endswith(_DRAFT) and now - status.st_mtime > _DRAFT_SECONDS:
            Path(entry.path).unlink(missing_ok=True)
    for _, name, size in sorted(entries):
        if total <= limit_bytes:
            return
        (folder / name).unlink(missing_ok=True)
        total -= size
