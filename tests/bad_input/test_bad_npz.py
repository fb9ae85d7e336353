"""Broken zips, npy headers and JSON, and what each is answered with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.bad_input.broken_files import Cases, case, message_of
from tests.workload.workload_builder import npy, tiny_arrays, tiny_spec, write_members, write_raw

CASES: Cases = {}


@case(CASES, "FILE: is not a readable npz file: File is not a zip file")
def not_a_zip(path: Path) -> None:
    path.write_bytes(b"this is no zip file")


@case(CASES, "FILE: is not a readable npz file: File is not a zip file")
def truncated_zip(path: Path) -> None:
    write_raw(path, tiny_spec(), tiny_arrays())
    path.write_bytes(path.read_bytes()[:-60])


@case(CASES, "FILE: unpacks PACKED bytes to 200,000,128 bytes: a zip bomb (at most 100 times is accepted)")
def bomb_of_200_megabytes(path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (200000000,), }".ljust(117) + "\n"
    write_members(path, [("spec.npy", npy(header, bytes(200_000_000)))])
    assert path.stat().st_size < 200_000


@case(CASES, "FILE: member zeros: unpacks PACKED bytes to 20,000,128 bytes: a zip bomb (at most 100 times is accepted)")
def bomb_beside_honest_bytes(path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (20000000,), }".ljust(117) + "\n"
    noise = np.random.default_rng(1).bytes(2_000_000)
    write_members(path, [("zeros.npy", npy(header, bytes(20_000_000))), ("noise.npy", noise)])


@case(CASES, "FILE: member conv1.weight: stands twice in the file")
def duplicate_member(path: Path) -> None:
    data = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", b"1")
    write_members(path, [("conv1.weight.npy", data), ("conv1.weight.npy", data)])


@case(CASES, "FILE: member README.txt: is not an array: the name of a member must end in '.npy'")
def stranger_in_the_zip(path: Path) -> None:
    write_members(path, [("README.txt", b"hello")])


@case(CASES, "FILE: has a member with an unreadable name: 'a\\x1b[31m.npy'")
def escape_codes_in_a_name(path: Path) -> None:
    write_members(path, [("a\x1b[31m.npy", b"hello")])


@case(CASES, "FILE: member spec: is packed by method 14; stored (0) and deflate (8) are read")
def packed_by_lzma(path: Path) -> None:
    write_members(path, [("spec.npy", b"hello")], zipfile.ZIP_LZMA)


@case(CASES, "FILE: member weights: is an object array: it would need pickle, which is never loaded")
def object_array(path: Path) -> None:
    np.savez(path, weights=np.array([{"a": 1}], dtype=object))


@case(
    CASES,
    "FILE: member weights: has type [('a', '<i4')]\n"
    "  Types allowed (little endian): bool, int8, uint8, int16, uint16, int32, uint32, int64, "
    "uint64, float32, float64.",
)
def record_array(path: Path) -> None:
    np.savez(path, weights=np.zeros(3, dtype=[("a", "<i4")]))


@case(
    CASES,
    "FILE: member weights: has type '<f2'\n"
    "  Types allowed (little endian): bool, int8, uint8, int16, uint16, int32, uint32, int64, "
    "uint64, float32, float64.",
)
def half_precision(path: Path) -> None:
    np.savez(path, weights=np.zeros(3, dtype=np.float16))


@case(CASES, "FILE: member huge: declares float64 [40000, 1000000] = 320,000,000,000 bytes, but holds 8 bytes of data")
def header_that_lies(path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (40000, 1000000), }"
    write_members(path, [("huge.npy", npy(header, bytes(8)))])


@case(CASES, "FILE: member spec: is not an npy array: the magic bytes are missing")
def no_magic(path: Path) -> None:
    write_members(path, [("spec.npy", b"{}" * 20)])


@case(CASES, "FILE: member spec: has npy version 9, expected 1, 2 or 3")
def future_npy(path: Path) -> None:
    write_members(path, [("spec.npy", npy("{}", b"", b"\x09\x00"))])


@case(CASES, "FILE: member spec: has an npy header that cannot be understood")
def code_in_the_header(path: Path) -> None:
    write_members(path, [("spec.npy", npy("__import__('os').system('true')"))])


@case(CASES, "FILE: member conv1.weight: cannot be unpacked: Bad CRC-32 for file 'conv1.weight.npy'")
def flipped_bit(path: Path) -> None:
    write_raw(path, tiny_spec(), tiny_arrays())
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    write_members(path, members, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(tiny_arrays()["conv1.weight"].tobytes())] ^= 0x10
    path.write_bytes(bytes(data))


# The JSON of spec


@case(CASES, "FILE: member spec: is missing: this npz is not a workload\n  spec is JSON in a uint8 array")
def no_spec(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))


@case(CASES, "FILE: member spec: must be uint8 [bytes], found float64 [2]")
def spec_of_numbers(path: Path) -> None:
    np.savez(path, spec=np.zeros(2))


@case(CASES, "FILE: member spec, line 2: is not JSON: Expecting ',' delimiter")
def broken_json(path: Path) -> None:
    write_raw(path, '{"schema": "hwsim/workload/1"\n "kind": 3}', {})


@case(CASES, "FILE: member spec: key 'name' stands twice in one mapping")
def repeated_key(path: Path) -> None:
    write_raw(path, '{"name": "a", "name": "b"}', {})


@case(CASES, "FILE: member spec: holds NaN, which is no JSON number")
def nan_in_spec(path: Path) -> None:
    write_raw(path, '{"timesteps": NaN}', {})


@case(CASES, "FILE: member spec: is not UTF-8 text: byte 2")
def latin_spec(path: Path) -> None:
    write_raw(path, b'{"\xe9": 1}', {})


@case(CASES, "FILE: member spec: is not JSON that can be read: nested too deeply, or a number too long")
def deep_spec(path: Path) -> None:
    write_raw(path, "[" * 100_000, {})


@case(CASES, "FILE: member spec, key schema: schema must be 'hwsim/workload/1', found 'hwsim/workload/2'")
def future_schema(path: Path) -> None:
    write_raw(path, {"schema": "hwsim/workload/2"}, {})


@case(CASES, "FILE: member spec, key kind: is 'data': samples that workloads refer to, not a workload itself")
def data_file(path: Path) -> None:
    write_raw(path, {"schema": "hwsim/workload/1", "kind": "data", "name": "digits"}, {})


@pytest.mark.parametrize("name", CASES)
def test_message(name: str, tmp_path: Path) -> None:
    builder, expected = CASES[name]
    path = tmp_path / "w.npz"
    builder(path)
    assert message_of(path) == expected
