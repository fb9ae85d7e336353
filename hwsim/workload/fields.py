"""Reading one key after the other from a located tree (JSON of an npz, YAML, CSV), collecting every problem."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import Problem, did_you_mean, nearest

Path = tuple[str | int, ...]
Locate = Callable[[Path, bool], str]
"""Turns a path into the place that a message begins with; True asks for the place of the key, not of its value."""

MISSING: Any = object()
_LARGEST = 2**31 - 1
LARGEST_NUMBER = sys.float_info.max
SMALLEST_NUMBER = sys.float_info.min


def dotted(path: Path) -> str:
    """``('layers', 2, 'kernel')`` as ``layers[2].kernel``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + part
    return text


def readable(text: str, length: int = 100) -> str:
    """Text from a file as it may stand in a message: no control characters, not endless."""
    if not text.isprintable():
        text = ascii(text)[1:-1]
    return text if len(text) <= length else text[: length - 3] + "..."


def show(value: object) -> str:
    """A value as it stood in the file, shortened to one readable line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, str):
        return f"'{readable(value, 60)}'"
    if isinstance(value, Sequence) and len(value) > 8:
        return f"a list of {len(value)} items"
    if isinstance(value, Sequence):
        return "[" + ", ".join(show(item) for item in value) + "]"
    return repr(value)


@dataclass(frozen=True)
class Node:
    """A value and where it stands."""

    value: Any
    path: Path
    locate: Locate

    def child(self, key: str | int) -> Node:
        """The value under ``key`` (``MISSING`` where a mapping has none)."""
        if isinstance(key, int):
            return Node(self.value[key], (*self.path, key), self.locate)
        return Node(self.value.get(key, MISSING), (*self.path, key), self.locate)

    @property
    def where(self) -> str:
        """File, and line or key."""
        return self.locate(self.path, False)

    @property
    def name(self) -> str:
        """The last key of the path, with the places in lists that follow it."""
        keys = [number for number, part in enumerate(self.path) if isinstance(part, str)]
        return readable(dotted(self.path[keys[-1] :])) if keys else "the file"

    @property
    def given(self) -> bool:
        """Whether the file has this key."""
        return self.value is not MISSING


class Collector:
    """Reads typed values out of nodes. What is wrong becomes a problem, and the reading goes on with a default."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, node: Node, message: str, hint: str = "") -> None:
        """Note one problem at ``node``; a missing key is reported at the mapping that lacks it."""
        if not node.given:
            node = Node(None, node.path[:-1], node.locate)
        self.problems.append(Problem(node.where, message, hint))

    def must_be(self, node: Node, expected: str) -> None:
        """Note that ``node`` is missing, or is not what it must be."""
        if node.given:
            self.wrong(node, f"{node.name} must be {expected}, found {show(node.value)}")
        else:
            self.wrong(node, f"key '{node.path[-1]}' is missing; it must be {expected}")

    def mapping(self, node: Node, allowed: Iterable[str]) -> bool:
        """Whether ``node`` is a mapping; unknown keys are problems."""
        names = list(allowed)
        if not isinstance(node.value, Mapping):
            self.must_be(node, "a mapping")
            return False
        for key in node.value:
            if key not in names:
                inside = f" in {readable(dotted(node.path))}" if node.path else ""
                text = readable(str(key), 60)
                hint = did_you_mean(text, names, "Keys allowed here")
                place = node.locate((*node.path, key), True)
                self.problems.append(Problem(place, f"unknown key '{text}'{inside}", hint))
        return True

    def items(self, node: Node, expected: str = "a list") -> list[Node]:
        """The items of a list; none, and a problem, where it is not one."""
        if not isinstance(node.value, list):
            self.must_be(node, expected)
            return []
        return [node.child(number) for number in range(len(node.value))]

    def text(self, node: Node, length: int = 200) -> str:
        """A string of 1 to ``length`` characters, long ones of several lines; '' where it is none."""
        value = node.value
        if isinstance(value, str) and value.strip() and len(value) <= length:
            one_line = value.replace("\n", "") if length > 200 else value
            if one_line.isprintable():
                return value
        self.must_be(node, f"a text of 1 to {length} characters")
        return ""

    def choice(self, node: Node, allowed: Sequence[str], default: str | None = None) -> str:
        """One of a few words; ``default`` where the key is absent (None: it must be there)."""
        if not node.given and default is not None:
            return default
        if isinstance(node.value, str) and node.value in allowed:
            return node.value
        close = nearest(node.value, allowed) if isinstance(node.value, str) else None
        self.must_be(node, ("one of " if len(allowed) > 1 else "") + ", ".join(allowed))
        if close:
            last = self.problems.pop()
            self.problems.append(Problem(last.where, last.message, f"did you mean '{close}'?"))
        return default if default is not None else allowed[0]

    def integer(self, node: Node, low: int, high: int = _LARGEST, default: int | None = None) -> int:
        """An integer in ``low..high``; ``default`` where the key is absent (None: it must be there)."""
        if not node.given and default is not None:
            return default
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        limits = f"an integer of at least {low}" if high == _LARGEST else f"an integer from {low} to {high}"
        self.must_be(node, limits)
        return default if default is not None else low

    def number(self, node: Node, low: float, high: float, expected: str, default: float | None = None) -> float:
        """A finite number in ``low..high``; ``expected`` says the rule in words."""
        if not node.given and default is not None:
            return default
        value = node.value
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if numeric and low <= value <= min(high, LARGEST_NUMBER):
            return float(value)
        self.must_be(node, expected)
        return default if default is not None else low

    def flag(self, node: Node, default: bool) -> bool:
        """true or false."""
        if node.given and not isinstance(node.value, bool):
            self.must_be(node, "true or false")
        return node.value if isinstance(node.value, bool) else default

    def sizes(
        self, node: Node, low: int, lengths: tuple[int, ...], default: tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """One integer, or a list of them of one of the ``lengths``; a lone integer becomes a tuple of one."""
        if not node.given and default is not None:
            return default
        value = [node.value] if 1 in lengths and _is_integer(node.value) else node.value
        good = isinstance(value, list) and len(value) in lengths
        if good and all(_is_integer(item) and low <= item <= _LARGEST for item in value):
            return tuple(value)
        counts = " or ".join(str(length) for length in lengths) if len(lengths) < 3 else f"1 to {lengths[-1]}"
        many = f"{counts} integers of at least {low}"
        self.must_be(node, many if lengths != (1,) else f"an integer of at least {low}")
        return default if default is not None else ()


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
