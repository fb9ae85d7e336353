"""YAML files as nodes that know their file, line and column; every bad file ends in ``SpecError``.

The nodes are built from the parser's events, not from ``yaml.load``: only events show anchors and tags, keep both
places of a repeated key, and need no recursion. Plain scalars are read by rules of our own, because YAML 1.1 reads
``1e-9`` as text, ``no`` and ``on`` as booleans, ``010`` as eight and ``12:30:45`` as 45045. Here ``true``, ``false``
and ``null`` are what they say, decimal numbers are numbers (``1e-9`` too), numbers in other notations are refused, and
the rest is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import Problem, SpecError

SIZE_LIMIT_BYTES = 4 * 2**20
"""Largest file that is read. The largest shipped file has a few dozen KiB."""

DEPTH_LIMIT = 40
PROBLEM_LIMIT = 100
"""Most problems of one file that are listed; a broken generator may make one per line."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TRAP = re.compile(r"[-+]?(0[0-9_]+|0[xob][0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_]*|\.inf|\.Inf|\.INF|\.nan|\.NaN|\.NAN)")
_LOCATED = re.compile(r"(?P<file>.*):(?P<line>[0-9]+):(?P<column>[0-9]+)", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a YAML file and its place.

    value   ``dict[str, Node]``, ``list[Node]``, or a scalar: text, int, float, bool, None
    text    a scalar as it was written, without quotes; empty for mappings and lists
    path    dotted keys from the root, list elements as ``[i]``
    line, column           place of the value, from 1; 0 means that ``file`` alone says where (``--set ...``)
    key_line, key_column   place of its key, if it stands in a mapping
    """

    value: Any
    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    text: str = ""
    quoted: bool = False
    key_line: int = 0
    key_column: int = 0

    @property
    def where(self) -> str:
        """``file:line:column`` of the value."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def key_where(self) -> str:
        """``file:line:column`` of the key; of the value where there is no key."""
        return f"{self.file}:{self.key_line}:{self.key_column}" if self.key_line else self.where

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping (``key: value``)."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return isinstance(self.value, list)

    @property
    def is_scalar(self) -> bool:
        """Whether the value is neither mapping nor list."""
        return not isinstance(self.value, dict | list)

    @property
    def found(self) -> str:
        """The value as an error message quotes it."""
        if self.is_mapping:
            return "a mapping"
        if self.is_list:
            return "a list"
        if self.value is None:
            return "nothing"
        looks_otherwise = self.quoted and (self.text in _WORDS or _DECIMAL.fullmatch(self.text))
        return f"{'the text ' if looks_otherwise else ''}'{self.text[:60]}'"

    def plain(self) -> Any:
        """The value without places: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the file."""
        yield self
        children = self.value.values() if isinstance(self.value, dict) else self.value if self.is_list else ()
        for child in children:
            yield from child.walk()


@dataclass
class Problems:
    """Collects the mistakes of a file, so that all are reported at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, place: Node | str, message: str, hint: str = "") -> None:
        """Note a mistake at a node's value, or at a place given as text."""
        self.found.append(Problem(place if isinstance(place, str) else place.where, message, hint))

    def add_key(self, node: Node, message: str, hint: str = "") -> None:
        """Note a mistake at a node's key."""
        self.found.append(Problem(node.key_where, message, hint))

    def extend(self, error: SpecError) -> None:
        """Take over the problems of another error."""
        self.found.extend(error.problems)

    def raise_any(self) -> None:
        """Raise ``SpecError`` with all problems, in the order of the file; do nothing if there are none."""
        if not self.found:
            return
        unique = _in_file_order(list(dict.fromkeys(self.found)))
        if len(unique) > PROBLEM_LIMIT:
            rest = len(unique) - PROBLEM_LIMIT
            unique = [*unique[:PROBLEM_LIMIT], Problem("", f"{rest} further problems are not listed")]
        raise SpecError(unique)


def read(path: str | Path, limit_bytes: int = SIZE_LIMIT_BYTES) -> Node:
    """The root mapping of a YAML file. Raises ``SpecError`` for whatever is wrong with the file."""
    return read_text(_decode(str(path), _load(Path(path), limit_bytes)), str(path))


def read_text(text: str, file: str) -> Node:
    """The root mapping of YAML text; ``file`` names it in messages."""
    root = _build(text, file)
    if root is None:
        raise SpecError(Problem(file, "the file is empty"))
    if not root.is_mapping:
        raise SpecError(Problem(root.where, f"expected a mapping (lines 'key: value'), found {root.found}"))
    return root


def read_value(text: str, origin: str, path: str = "") -> Node:
    """A value given outside files, such as that of ``--set``; ``origin`` names it in messages."""
    node = _build(text, origin, path)
    return _unplace(node) if node is not None else Node(None, origin, path=path)


def _load(path: Path, limit_bytes: int) -> bytes:
    try:
        if path.is_dir():
            raise SpecError(Problem(str(path), "is a folder, expected a YAML file"))
        if path.exists() and not path.is_file():
            raise SpecError(Problem(str(path), "is not a regular file"))
        with path.open("rb") as stream:
            data = stream.read(limit_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecError(Problem(str(path), f"cannot be read: {reason}")) from None
    if len(data) > limit_bytes:
        raise SpecError(Problem(str(path), f"is larger than {limit_bytes:,} bytes, the most that is read"))
    return data


def _decode(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"is not UTF-8 text: byte 0x{data[error.start]:02x}"
        raise SpecError(Problem(f"{file}:{line}:{column}", message)) from None


def _build(text: str, file: str, path: str = "") -> Node | None:
    """The node of the only document in ``text``; None if there is none."""
    control = _CONTROL.search(text)
    if control:
        before = text[: control.start()]
        place = f"{file}:{before.count(chr(10)) + 1}:{control.start() - before.rfind(chr(10))}"
        raise SpecError(Problem(place, f"character U+{ord(control[0]):04X} is not allowed in YAML"))
    builder = _Builder(file, path)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
            if len(builder.problems.found) > PROBLEM_LIMIT:
                break
    except yaml.YAMLError as error:
        builder.problems.found.append(_syntax_problem(file, text, error))
    builder.problems.raise_any()
    return builder.root


def _syntax_problem(file: str, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or " ".join(str(error).split())
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    lines = text.splitlines()
    if mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        return Problem(place, "found a tab: YAML is indented with spaces")
    context = getattr(error, "context", None)
    return Problem(place, f"is not valid YAML: {said}{f' ({context})' if context else ''}")


@dataclass
class _Open:
    """A mapping or list that is not closed yet."""

    node: Node
    key: str | None = None
    key_line: int = 0
    key_column: int = 0


class _Builder:
    """Builds nodes from parser events, without recursion."""

    def __init__(self, file: str, path: str) -> None:
        self.file = file
        self.path = path
        self.root: Node | None = None
        self.problems = Problems()
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Handle one event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents == 2:
                self._problem(event, "a second document begins here ('---'), expected one document per file")
        elif isinstance(event, yaml.AliasEvent):
            self._problem(event, f"alias '*{event.anchor}' is not read: write the value out, or inherit with 'base:'")
            self._place(event, Node(None, self.file), is_key_scalar=True)
        elif isinstance(event, yaml.ScalarEvent):
            self._check_properties(event)
            self._place(event, Node(event.value, self.file), is_key_scalar=True)
        elif isinstance(event, yaml.MappingStartEvent):
            self._check_properties(event)
            self._descend(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_properties(event)
            self._descend(event, [])
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()

    def _problem(self, event: yaml.Event, message: str, hint: str = "") -> None:
        line, column = _start(event)
        self.problems.add(f"{self.file}:{line}:{column}", message, hint)

    def _check_properties(self, event: yaml.NodeEvent) -> None:
        if event.anchor:
            self._problem(event, f"anchor '&{event.anchor}' is not read: write the value out, or inherit with 'base:'")
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            self._problem(event, f"tag '{tag}' is not read")

    def _descend(self, event: yaml.Event, value: dict[str, Node] | list[Node]) -> None:
        node = self._place(event, Node(value, self.file), is_key_scalar=False)
        self._open.append(_Open(node))
        if len(self._open) > DEPTH_LIMIT:
            self._problem(event, f"is nested deeper than {DEPTH_LIMIT} levels")
            self.problems.raise_any()

    def _place(self, event: yaml.Event, node: Node, is_key_scalar: bool) -> Node:
        """Put a node where the file has it: as root, list element, key, or value of the last key."""
        line, column = _start(event)
        if not self._open:
            node = self._finish(event, replace(node, line=line, column=column, path=self.path))
            self.root = self.root if self.root is not None else node
            return node
        parent = self._open[-1]
        if isinstance(parent.node.value, list):
            path = f"{parent.node.path}[{len(parent.node.value)}]"
            node = self._finish(event, replace(node, line=line, column=column, path=path))
            parent.node.value.append(node)
            return node
        if parent.key is None:
            return self._take_key(event, parent, node, is_key_scalar)
        path = f"{parent.node.path}.{parent.key}" if parent.node.path else parent.key
        node = replace(node, path=path, line=line, column=column)
        node = self._finish(event, replace(node, key_line=parent.key_line, key_column=parent.key_column))
        parent.node.value.setdefault(parent.key, node)
        parent.key = None
        return node

    def _take_key(self, event: yaml.Event, parent: _Open, node: Node, is_key_scalar: bool) -> Node:
        parent.key_line, parent.key_column = _start(event)
        parent.key = node.value if is_key_scalar and isinstance(node.value, str) else ""
        known = parent.node.value.get(parent.key)
        if not is_key_scalar or not parent.key.strip():
            self._problem(event, f"expected a name as key, found {node.found}")
        elif parent.key == "<<":
            self._problem(event, "merge key '<<' is not read: write the values out, or inherit with 'base:'")
        elif known is not None:
            first = f"first in line {known.key_line}" if known.key_line else "first before it"
            place = f" in {parent.node.path}" if parent.node.path else ""
            self._problem(event, f"key '{parent.key}' stands twice{place} ({first})")
        return node

    def _finish(self, event: yaml.Event, node: Node) -> Node:
        """Resolve a scalar's value."""
        if not isinstance(event, yaml.ScalarEvent):
            return node
        quoted = bool(event.style)
        return replace(node, value=event.value if quoted else self._plain(event), text=event.value, quoted=quoted)

    def _plain(self, event: yaml.ScalarEvent) -> Scalar:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > 19:
                self._problem(event, f"'{text[:30]}' is too large for a whole number of 64 bits")
                return 0
            return int(text)
        if _TRAP.fullmatch(text):
            hint = "YAML readers disagree about such numbers: write it in decimal, or in quotes if it is text."
            self._problem(event, f"expected a decimal number, found '{text}'", hint)
            return text
        if _DECIMAL.fullmatch(text):
            value = float(text)
            if math.isinf(value):
                self._problem(event, f"'{text[:30]}' is too large for a number")
                return 0.0
            return value
        return str(text)


def _start(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event, from 1."""
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1


def _unplace(node: Node) -> Node:
    """The node with its origin as the only place."""
    value = node.value
    if isinstance(value, dict):
        value = {key: _unplace(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_unplace(child) for child in value]
    return replace(node, value=value, line=0, column=0, key_line=0, key_column=0)


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    """Problems by file in the order first met, then by line and column; those without line first."""
    places = [_LOCATED.fullmatch(problem.where) for problem in problems]
    files = [match["file"] if match else problem.where for match, problem in zip(places, problems, strict=True)]
    keys = [
        (files.index(file), int(match["line"]) if match else 0, int(match["column"]) if match else 0)
        for file, match in zip(files, places, strict=True)
    ]
    return [problems[index] for index in sorted(range(len(problems)), key=keys.__getitem__)]
