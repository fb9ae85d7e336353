"""What a component class and a family of machines declare about themselves, so that an architecture can be checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class Action:
    """Something that a component does and that is counted.

    meaning    one line for ``hwsim check``
    granule    the parameter with the bits that one count moves (a line, a burst); None where a count is one event
    required   whether a machine may count it with the default options: then it must have a price
    """

    meaning: str
    granule: str | None = None
    required: bool = True


@dataclass(frozen=True)
class ComponentClass:
    """A class that ``class:`` may name. ``storages`` are places inside it that ``paths`` may name (scratchpads)."""

    name: str
    implementation: type
    parameters: type[BaseModel]
    actions: Mapping[str, Action]
    families: tuple[str, ...]
    storages: tuple[str, ...] = ()
    physical: bool = True
    """Whether it has area and leakage of its own; a mere arrangement of other components has none."""


@dataclass(frozen=True)
class Family:
    """A kind of machine: its dataflows by name, its options, the operands whose storage ``paths`` gives.

    blocks  the models of ``noc`` and ``mapping``, if machines of this family have such blocks
    check   (architecture, report) -> None; calls ``report(path, message, hint)`` for what no single value shows
    """

    name: str
    dataflows: Mapping[str, Mapping[str, Any]]
    dataflow: type[BaseModel]
    options: type[BaseModel]
    operands: tuple[str, ...]
    blocks: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    check: Callable[[Any, Callable[[str, str, str], None]], None] | None = None


@dataclass(frozen=True)
class Catalogue:
    """All component classes and families that are known."""

    components: Mapping[str, ComponentClass] = field(default_factory=dict)
    families: Mapping[str, Family] = field(default_factory=dict)
