"""Reading and writing npz files without trusting them: directory, then headers, then data; never pickle.

numpy's own ``load`` allocates whatever a header declares. Here the zip directory is read first and held against a
budget, then each member's npy header is held against a list of types and against the member's size, and data are read
one member at a time, when asked for.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from hwsim.errors import Problem, SpecError

BUDGET_BYTES = 512 * 2**20
"""Most bytes that all members of one file may hold together when unpacked."""

EXPANSION_FLOOR_BYTES = 16 * 2**20
"""Below this unpacked size any compression ratio is accepted: arrays of zeros do compress a thousandfold."""

EXPANSION_LIMIT = 100
"""Most that anything above the floor may expand. Weights expand 1 to 10 times, packed spikes up to about 50 times."""

REMEMBERED_BYTES = 64 * 2**20
"""Arrays that were read are kept up to this size, so that small networks are unpacked once."""

MEMBER_LIMIT = 10_000
HEADER_LIMIT_BYTES = 4096
DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")

_HEADER = re.compile(
    r"\{\s*'descr':\s*(?P<descr>'[^']*'|\[.*\]),\s*'fortran_order':\s*(?P<fortran>True|False),"
    r"\s*'shape':\s*\((?P<shape>[\d,\s]*)\),?\s*\}\s*",
    re.DOTALL,
)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Header:
    """What an npy header declares: numpy type, shape in elements, whether the first index runs fastest."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the data that follow the header."""
        return math.prod(self.shape) * self.dtype.itemsize


class Arrays(Protocol):
    """Named arrays whose types and shapes are known before any data is read."""

    @property
    def headers(self) -> Mapping[str, Header]:
        """Type and shape of every member."""
        ...

    def read(self, name: str) -> np.ndarray:
        """The array of one member, read-only."""
        ...


class MemoryArrays:
    """Arrays that are already in memory, as given to ``save``."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        for name, array in self._arrays.items():
            assert array.dtype.str in DTYPES, f"{name}: {array.dtype} cannot stand in a workload"
        self.headers: Mapping[str, Header] = {
            name: Header(array.dtype, array.shape) for name, array in self._arrays.items()
        }

    def read(self, name: str) -> np.ndarray:
        """The array of one member."""
        return self._arrays[name]


class NpzArrays:
    """Members of an npz file, checked at construction and read one at a time.

    Raises ``SpecError`` with every problem of the directory and of the headers.
    """

    def __init__(self, path: Path, budget_bytes: int = BUDGET_BYTES) -> None:
        self.path = path
        self.headers: dict[str, Header] = {}
        self._offsets: dict[str, int] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                _check_directory(path, archive.infolist(), budget_bytes)
                self._read_headers(archive)
        except _BROKEN as error:
            raise SpecError(Problem(str(path), f"is not a readable npz file: {_reason(error)}")) from None

    def read(self, name: str) -> np.ndarray:
        """Unpack one member (checksum included) into a read-only array of its declared type and shape."""
        header = self.headers[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name + ".npy") as stream:
                data = stream.read()
            if len(data) != self._offsets[name] + header.nbytes:
                raise ValueError("it is cut short")
            flat = np.frombuffer(data, dtype=header.dtype, offset=self._offsets[name])
        except (*_BROKEN, KeyError) as error:
            raise SpecError(Problem(f"{self.path}: member {name}", f"cannot be unpacked: {_reason(error)}")) from None
        if header.dtype == np.bool_:
            flat = flat.view(np.uint8) != 0  # bytes other than 0 and 1 are no valid numpy booleans
        array = np.ascontiguousarray(flat.reshape(header.shape, order="F" if header.fortran else "C"))
        array.flags.writeable = False
        return array

    def _read_headers(self, archive: zipfile.ZipFile) -> None:
        problems = []
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            try:
                with archive.open(entry) as stream:
                    header, offset = _parse_header(stream)
                _check_size(header, offset, entry.file_size)
            except SpecError as error:
                problems += [Problem(f"{self.path}: member {name}", p.message, p.hint) for p in error.problems]
            except _BROKEN as error:
                problems.append(Problem(f"{self.path}: member {name}", f"cannot be unpacked: {_reason(error)}"))
            else:
                self.headers[name] = header
                self._offsets[name] = offset
        if problems:
            raise SpecError(problems)


class Remembering:
    """Arrays that keep what was read while it is small."""

    def __init__(self, arrays: Arrays) -> None:
        self.headers = arrays.headers
        self._arrays = arrays
        self._kept: dict[str, np.ndarray] = {}
        self._room = REMEMBERED_BYTES

    def read(self, name: str) -> np.ndarray:
        """The array of one member."""
        if name in self._kept:
            return self._kept[name]
        array = self._arrays.read(name)
        if array.nbytes <= self._room:
            self._kept[name] = array
            self._room -= array.nbytes
        return array


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` as a compressed npz: same arrays, same bytes; whole in a neighbouring file, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in arrays:
                _write_member(archive, name, np.asarray(arrays[name]))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_member(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array(array, order="C"), version=(1, 0), allow_pickle=False)
    # A fixed date and mode: the bytes then depend on the arrays alone.
    entry = zipfile.ZipInfo(name + ".npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, buffer.getvalue(), compresslevel=9)


def _check_directory(path: Path, entries: list[zipfile.ZipInfo], budget_bytes: int) -> None:
    """Refuse what must not even be opened: too many, too large, twice, encrypted, packed in an unknown way."""
    if len(entries) > MEMBER_LIMIT:
        raise SpecError(Problem(str(path), f"has {len(entries)} members, at most {MEMBER_LIMIT} are read"))
    for entry in entries:
        if not entry.filename.isprintable() or len(entry.filename) > 200:
            raise SpecError(Problem(str(path), f"has a member with an unreadable name: {entry.filename[:60]!a}"))
    problems = list(_size_problems(path, entries, budget_bytes))
    seen: set[str] = set()
    for entry in entries:
        where = f"{path}: member {entry.filename.removesuffix('.npy')}"
        if entry.filename in seen:
            problems.append(Problem(where, "stands twice in the file"))
        seen.add(entry.filename)
        if not entry.filename.endswith(".npy"):
            problems.append(Problem(where, "is not an array: the name of a member must end in '.npy'"))
        if entry.flag_bits & 0x1:
            problems.append(Problem(where, "is encrypted"))
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            text = f"is packed by method {entry.compress_type}; stored (0) and deflate (8) are read"
            problems.append(Problem(where, text))
    if problems:
        raise SpecError(problems)


def _size_problems(path: Path, entries: list[zipfile.ZipInfo], budget_bytes: int) -> Iterable[Problem]:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if total > budget_bytes:
        yield Problem(str(path), f"unpacks to {total:,} bytes, more than the budget of {budget_bytes:,} bytes")
    elif _explodes(total, packed):
        yield Problem(
            str(path),
            f"unpacks {packed:,} bytes to {total:,} bytes: a zip bomb (at most {EXPANSION_LIMIT} times is accepted)",
        )
    else:
        for entry in entries:
            if _explodes(entry.file_size, entry.compress_size):
                yield Problem(
                    f"{path}: member {entry.filename.removesuffix('.npy')}",
                    f"unpacks {entry.compress_size:,} bytes to {entry.file_size:,} bytes: a zip bomb "
                    f"(at most {EXPANSION_LIMIT} times is accepted)",
                )


def _explodes(total: int, packed: int) -> bool:
    return total > EXPANSION_FLOOR_BYTES and total > EXPANSION_LIMIT * packed


def _parse_header(stream: IO[bytes]) -> tuple[Header, int]:
    """The npy header at the start of ``stream`` and its length in bytes (format: NumPy enhancement proposal 1)."""
    start = stream.read(10)
    if len(start) < 10 or start[:6] != b"\x93NUMPY":
        raise SpecError("is not an npy array: the magic bytes are missing")
    wide = start[6] >= 2
    if start[6] not in (1, 2, 3):
        raise SpecError(f"has npy version {start[6]}, expected 1, 2 or 3")
    raw = start[8:10] + stream.read(2) if wide else start[8:10]
    length = int.from_bytes(raw, "little")
    if length > HEADER_LIMIT_BYTES:
        raise SpecError(f"has an npy header of {length:,} bytes, at most {HEADER_LIMIT_BYTES} are read")
    text = stream.read(length).decode("latin-1")
    match = _HEADER.fullmatch(text)
    if len(text) < length or match is None:
        raise SpecError("has an npy header that cannot be understood")
    shape = tuple(int(size) for size in match["shape"].replace(",", " ").split())
    return Header(_whitelisted(match["descr"]), shape, match["fortran"] == "True"), 8 + len(raw) + length


def _whitelisted(description: str) -> np.dtype:
    """The numpy type of an npy header's ``descr``; object arrays would need pickle, records have no use here."""
    name = description.strip("'")
    if name.lstrip("|<>=").startswith("O"):
        raise SpecError("is an object array: it would need pickle, which is never loaded")
    if name not in DTYPES:
        plain = ", ".join(np.dtype(known).name for known in DTYPES)
        raise SpecError(Problem("", f"has type {description[:60]}", f"Types allowed (little endian): {plain}."))
    return np.dtype(name)


def _check_size(header: Header, offset: int, size: int) -> None:
    if len(header.shape) > 8:
        raise SpecError(f"has {len(header.shape)} dimensions, at most 8 are read")
    if offset + header.nbytes != size:
        raise SpecError(
            f"declares {header.dtype.name} {list(header.shape)} = {header.nbytes:,} bytes, "
            f"but holds {size - offset:,} bytes of data"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text[:120] or type(error).__name__
