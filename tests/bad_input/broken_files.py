"""Registering broken files with the exact words that each must be answered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.workload import load
from tests.workload.workload_builder import tiny_arrays, tiny_spec, write_raw

Builder = Callable[[Path], Any]
Cases = dict[str, tuple[Builder, str]]


def case(cases: Cases, expected: str) -> Callable[[Builder], Builder]:
    """Register a builder of a broken file and the whole message; FILE stands for its path."""

    def register(builder: Builder) -> Builder:
        cases[builder.__name__] = (builder, expected)
        return builder

    return register


def with_spec(change: Callable[[dict[str, Any]], Any]) -> Builder:
    """A builder of the tiny network with a changed spec."""

    def build(path: Path) -> None:
        spec = tiny_spec()
        change(spec)
        write_raw(path, spec, tiny_arrays())

    return build


def with_arrays(**changed: np.ndarray | None) -> Builder:
    """A builder of the tiny network with changed arrays ('__' for '.'); None takes one away."""

    def build(path: Path) -> None:
        arrays = tiny_arrays() | {key.replace("__", "."): value for key, value in changed.items()}
        write_raw(path, tiny_spec(), {key: value for key, value in arrays.items() if value is not None})

    return build


def message_of(path: Path) -> str:
    """The whole message for a file, its place and (as zlib decides them) the packed sizes of bombs taken out."""
    with pytest.raises(SpecError) as caught:
        load(path)
    text = str(caught.value).replace(str(path), "FILE")
    return re.sub(r"unpacks [\d,]+ bytes to", "unpacks PACKED bytes to", text)
