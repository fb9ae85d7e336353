"""Sample sets: where they stand, and whether their arrays fit the input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwsim.errors import SpecError
from hwsim.workload.checks import INTEGERS, ArrayChecker, Rule, within
from hwsim.workload.fields import Collector, Node
from hwsim.workload.model import SETS, InputSpec, SampleSet, integer_range, size
from hwsim.workload.npz import Arrays, NpzArrays, Remembering

EVENT_KEYS = ("time_us", "index", "offsets", "labels")
ARRAY_KEYS = ("inputs", "labels")


@dataclass
class SampleSource:
    """The sets of a workload and the data file that some of them stand in."""

    sets: dict[str, SampleSet] = field(default_factory=dict)
    file: str | None = None
    data: Arrays | None = None
    sha256: str | None = None


def read_samples(collector: Collector, node: Node, encoding: str, folder: Path) -> SampleSource:
    """The ``samples`` block: sets in the file itself, and ``file``, ``sha256``, ``sets`` for those in a data npz."""
    source = SampleSource()
    if not node.given or not collector.mapping(node, (*SETS, "file", "sha256", "sets")):
        return source
    keys = EVENT_KEYS if encoding == "events" else ARRAY_KEYS
    for name in SETS:
        if node.child(name).given:
            source.sets[name] = SampleSet(_read_set(collector, node.child(name), keys), external=False)
    if not any(node.child(key).given for key in ("file", "sha256", "sets")):
        return source
    sets = node.child("sets")
    if collector.mapping(sets, SETS):
        for name in SETS:
            if sets.child(name).given and name in source.sets:
                collector.wrong(sets.child(name), f"sample set '{name}' stands in the file and in the data file")
            elif sets.child(name).given:
                source.sets[name] = SampleSet(_read_set(collector, sets.child(name), keys), external=True)
    _open_data(collector, node, folder, source)
    return source


def _read_set(collector: Collector, node: Node, keys: tuple[str, ...]) -> Mapping[str, str]:
    if not collector.mapping(node, keys):
        return {}
    return {key: collector.text(node.child(key)) for key in keys}


def _open_data(collector: Collector, node: Node, folder: Path, source: SampleSource) -> None:
    file = collector.text(node.child("file"))
    digest = collector.text(node.child("sha256"))
    if not file or not digest:
        return
    if "/" in file or "\\" in file or file.startswith("."):
        collector.must_be(node.child("file"), "the name of a file beside the workload, without a folder")
        return
    path = folder / file
    if not path.is_file():
        collector.wrong(node.child("file"), f"the data file '{file}' is not beside the workload")
        return
    source.file, source.sha256 = str(path), hash_file(path)
    if source.sha256 != digest:
        text = f"the data file '{file}' is not the one that this workload was made with: sha256 {source.sha256[:16]}..."
        collector.wrong(node.child("sha256"), f"{text}, expected {digest[:16]}...")
        return
    try:
        source.data = Remembering(NpzArrays(path))
    except SpecError as error:
        collector.problems += error.problems


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_samples(
    own: ArrayChecker, source: SampleSource, spec: InputSpec, timesteps: int, classes: int | None
) -> None:
    """Types, shapes and ranges of every set."""
    external = ArrayChecker(source.file or "", source.data, own.problems) if source.data is not None else None
    for name, where in source.sets.items():
        checker = external if where.external else own
        if checker is None or not all(where.members.values()) or not where.members:
            continue
        owner = f"sample set '{name}'"
        count = _check_labels(checker, where.members["labels"], owner, classes)
        if "inputs" in where.members:
            _check_inputs(checker, where.members["inputs"], owner, spec, timesteps, count)
        else:
            _check_events(checker, where.members, owner, spec, count)


def _check_labels(checker: ArrayChecker, member: str, owner: str, classes: int | None) -> int | None:
    """Number of samples, None where the labels cannot say."""
    owner = f"labels of {owner}"
    if not checker.typed(member, owner, INTEGERS):
        return None
    shape = checker.arrays.headers[member].shape
    if len(shape) != 1 or shape[0] == 0:
        checker.wrong(member, f"must have shape [N] with N of at least 1 ({owner}), found {list(shape)}")
        return None
    if classes is not None:
        checker.values(member, owner, within(0, classes - 1, f"{classes} classes"))
    return shape[0]


def _check_inputs(
    checker: ArrayChecker, member: str, owner: str, spec: InputSpec, timesteps: int, count: int | None
) -> None:
    owner = f"inputs of {owner}"
    if not checker.typed(member, owner, ("bool", *INTEGERS)):
        return
    header = checker.arrays.headers[member]
    steps = (timesteps,) if spec.encoding == "counts" else ()
    number = header.shape[0] if count is None and header.shape else count or 0
    if not checker.shaped(member, owner, [(number, *steps, *spec.shape)]):
        return
    low, high = integer_range(spec.bits, spec.signed)
    if header.dtype.kind != "b" and not (np.iinfo(header.dtype).min >= low and np.iinfo(header.dtype).max <= high):
        checker.values(member, owner, within(low, high, f"the {spec.bits} bits of the input"))


def _check_events(
    checker: ArrayChecker, members: Mapping[str, str], owner: str, spec: InputSpec, count: int | None
) -> None:
    time, index, offsets = (members[key] for key in ("time_us", "index", "offsets"))
    if not (
        checker.typed(time, f"times of {owner}", ("int64",))
        & checker.typed(index, f"indices of {owner}", ("int32",))
        & checker.typed(offsets, f"offsets of {owner}", ("int64",))
    ):
        return
    shape = checker.arrays.headers[time].shape
    if len(shape) != 1:
        checker.wrong(time, f"must have shape [events] (times of {owner}), found {list(shape)}")
        return
    if checker.shaped(index, f"indices of {owner}", [shape]):
        checker.values(index, f"indices of {owner}", within(0, size(spec.shape) - 1, f"{list(spec.shape)} inputs"))
    checker.values(time, f"times of {owner}", _not_negative)
    if count is not None and checker.shaped(offsets, f"offsets of {owner}", [(count + 1,)]):
        checker.values(offsets, f"offsets of {owner}", _offsets(shape[0]))


def _not_negative(array: np.ndarray) -> str:
    return "" if array.size == 0 or array.min() >= 0 else f"must not be negative, least is {int(array.min())}"


def _offsets(events: int) -> Rule:
    def rule(array: np.ndarray) -> str:
        if array[0] == 0 and array[-1] == events and (np.diff(array) >= 0).all():
            return ""
        return f"must rise from 0 to the number of events, {events}"

    return rule
