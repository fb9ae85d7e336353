"""Tables of building blocks by size (register, adder, SRAM, ...), from which prices, areas and leakages are built.

A table gives a value for some sizes. Between two of them the value is interpolated linearly, with the error
``between``. Beyond its ends a size is refused, unless the block states an error ``beyond``: then the value of the
nearest end is scaled in proportion to the size, and counts as assumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim import units
from hwsim.errors import SpecError, did_you_mean
from hwsim.units import Quantity
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.values import check_keys, integer, mapping

_RESERVED = ("clock", "source", "error", "between", "beyond", "note")
_UNITS = {"power": "W", "leakage": "W", "area": "m^2"}
"""Units of tables by name; every other table holds energies."""

_USUAL = {"J": ("energy", "power"), "W": ("leakage",), "m^2": ("area",)}
"""Which table a part means that names only the block, by the unit that is built."""

_SIZE = units.phrase("bit", shown="16 bit")

ReadError = Callable[[Node | None, float, str, Problems], tuple[float, float]]
NameSource = Callable[[Node, str], str]


@dataclass(frozen=True)
class Table:
    """Values by size in bits, ascending; ``unit`` is 'J', 'W' or 'm^2'."""

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    unit: str

    def at(self, size: float) -> tuple[float, str]:
        """(value, 'point' | 'between' | 'beyond') at a size in bits."""
        if size in self.sizes:
            return self.values[self.sizes.index(int(size))], "point"
        if size < self.sizes[0]:
            return self.values[0] * size / self.sizes[0], "beyond"
        if size > self.sizes[-1]:
            return self.values[-1] * size / self.sizes[-1], "beyond"
        right = next(index for index, point in enumerate(self.sizes) if point > size)
        low, high = self.sizes[right - 1], self.sizes[right]
        weight = (size - low) / (high - low)
        return self.values[right - 1] * (1 - weight) + self.values[right] * weight, "between"


@dataclass(frozen=True)
class Block:
    """One building block: its tables, source, and the node of the error that applies at, between and beyond points."""

    tables: Mapping[str, Table]
    source: str
    errors: Mapping[str, Node]


@dataclass
class Library:
    """All building blocks of an architecture."""

    blocks: dict[str, Block] = field(default_factory=dict)
    read_error: ReadError | None = None
    names: tuple[str, ...] = ()

    def terms(self, parts: Node, unit: str, parameters: Mapping[str, Any] | None, names: tuple[str, ...],
              problems: Problems) -> list[Quantity] | None:  # fmt: skip
        """One quantity per part: a mapping ``block: size``, or a list of ``{unit, width, count | bits}``.

        A size is '16 bit' or the name of a parameter of the component. None where parameters are not known.
        """
        found: list[Quantity | None] = []
        if isinstance(parts.value, list):
            found = [self._listed(item, unit, parameters, names, problems) for item in parts.value]
        else:
            for name, size in mapping(parts, problems, "a mapping 'block: size' or a list of parts").items():
                bits = _size(size, parameters, names, problems)
                found.append(self._term(name, bits, 1, unit, size, problems))
        if not found and not problems.found:
            problems.add(parts, "expected at least one part, found none")
        return [term for term in found if term is not None] if None not in found else None

    def _listed(self, item: Node, unit: str, parameters: Mapping[str, Any] | None, names: tuple[str, ...],
                problems: Problems) -> Quantity | None:  # fmt: skip
        entries = check_keys(item, problems, ("unit", "width", "count", "bits"), ("unit", "width"))
        if "unit" not in entries or "width" not in entries:
            return None
        width = _size(entries["width"], parameters, names, problems)
        count = integer(entries["count"], problems, 1, 1) if "count" in entries else 1
        if "bits" in entries:
            total = _size(entries["bits"], parameters, names, problems)
            if total is None or width is None:
                return None
            if total % width:
                message = f"expected a whole multiple of the width ({width:g} bit), found {entries['bits'].found}"
                problems.add(entries["bits"], f"{message} = {total:g} bit")
            count *= int(total // width)
        return self._term(str(entries["unit"].value), width, count, unit, entries["unit"], problems)

    def _term(
        self, name: str, bits: float | None, count: int, unit: str, node: Node, problems: Problems
    ) -> Quantity | None:
        block_name, _, table_name = name.partition(".")
        block = self.blocks.get(block_name)
        if block is None:
            if block_name not in self.names:
                hint = did_you_mean(block_name, self.names, "Blocks of the library")
                problems.add_key(node, f"unknown library block '{block_name}'", hint)
            return None
        usual = next((key for key in _USUAL[unit] if key in block.tables), "")
        table = block.tables.get(table_name or usual)
        if table is None or table.unit != unit:
            fitting = [key for key, item in block.tables.items() if item.unit == unit]
            noun = units.phrase(unit).split(" such")[0]
            hint = did_you_mean(table_name, fitting, "Tables of that kind")
            problems.add_key(node, f"library block '{block_name}' has no table '{table_name or usual}' of {noun}", hint)
            return None
        return self._priced(block_name, block, table, bits, count, node, problems) if bits is not None else None

    def _priced(self, name: str, block: Block, table: Table, bits: float, count: int, node: Node,
                problems: Problems) -> Quantity | None:  # fmt: skip
        value, place = table.at(bits)
        if place not in block.errors:
            first, last = (units.show(size, "bit") for size in (table.sizes[0], table.sizes[-1]))
            hint = f"Give 'library.{name}.{place}' an error to allow scaling." if place == "beyond" else (
                f"Give 'library.{name}.between' an error to allow interpolation.")  # fmt: skip
            problems.add(node, f"{units.show(bits, 'bit')} is not in the table of {name} ({first} to {last})", hint)
            return None
        assert self.read_error is not None
        sigma, log_sigma = self.read_error(block.errors[place], value, table.unit, problems)
        source = "assumed" if place == "beyond" else block.source
        return Quantity(value, sigma, log_sigma, source, table.unit).times(count)


def read_library(node: Node | None, problems: Problems, read_error: ReadError, name_source: NameSource) -> Library:
    """The block ``library`` of an architecture; empty if it has none."""
    if node is None:
        return Library()
    entries = mapping(node, problems)
    library = Library(read_error=read_error, names=tuple(entries))
    for name, child in entries.items():
        block = _read_block(name, child, problems, read_error, name_source)
        if block is not None:
            library.blocks[name] = block
    return library


def _read_block(
    name: str, node: Node, problems: Problems, read_error: ReadError, name_source: NameSource
) -> Block | None:
    before = len(problems.found)
    entries = mapping(node, problems)
    path = f"library.{name}"
    for key in ("source", "error"):
        if key not in entries:
            problems.add_key(node, f"missing key '{key}' in {path}")
    source = name_source(entries["source"], path) if "source" in entries else ""
    clock = _scalar(entries["clock"], "Hz", problems) if "clock" in entries else None
    tables = {key: _read_table(child, _UNITS.get(key, "J"), problems) for key, child in entries.items()
              if key not in _RESERVED}  # fmt: skip
    if not tables:
        problems.add(node, f"{path} has no table")
    if "power" in tables and not clock:
        problems.add_key(entries["power"], f"missing key 'clock' in {path}: power is energy per cycle only at a clock")
    errors = {key: entries[word] for key, word in (("point", "error"), ("between", "between"), ("beyond", "beyond"))
              if word in entries}  # fmt: skip
    for error in errors.values():
        read_error(error, 1.0, "1", problems)
    if len(problems.found) > before:
        return None
    made = {key: table for key, table in tables.items() if table is not None}
    if clock and "power" in made:
        power = made["power"]
        made["power"] = Table(power.sizes, tuple(value / clock for value in power.values), "J")
    return Block(made, source, errors)


def _read_table(node: Node, unit: str, problems: Problems) -> Table | None:
    points: dict[int, float] = {}
    for key, child in mapping(node, problems, "a table 'size: value'").items():
        value = _scalar(child, unit, problems)
        try:
            size = units.parse(key, "bit")
        except SpecError as error:
            problems.add_key(child, error.problems[0].message, error.problems[0].hint)
            continue
        if size < 1 or size != int(size):
            problems.add_key(child, f"expected a size of whole bits, found '{key}'")
        elif int(size) in points:
            problems.add_key(child, f"size '{key}' stands twice in {node.path}")
        else:
            points[int(size)] = value
    if node.is_mapping and not node.value:
        problems.add(node, f"{node.path} is empty")
    sizes = tuple(sorted(points))
    return Table(sizes, tuple(points[size] for size in sizes), unit) if sizes else None


def _scalar(node: Node, unit: str, problems: Problems) -> float:
    try:
        value = units.parse(node.text, unit) if node.is_scalar and node.value is not None else math.nan
    except SpecError as error:
        problems.add(node, error.problems[0].message, error.problems[0].hint)
        return 0.0
    if not value >= 0:
        problems.add(node, f"expected {units.phrase(unit, '>= 0')}, found {node.found}")
        return 0.0
    return value


def _size(node: Node, parameters: Mapping[str, Any] | None, names: tuple[str, ...], problems: Problems) -> float | None:
    """Bits of '16 bit' or of the parameter of that name."""
    if isinstance(node.value, str) and node.value in names:
        value = (parameters or {}).get(node.value)
        return float(value) if value is not None else None
    try:
        if isinstance(node.value, str):
            return units.parse(node.value, "bit")
        problems.add(node, f"expected {_SIZE} or the name of a parameter, found {node.found}")
    except SpecError:
        hint = did_you_mean(node.value, names, "Parameters here") if names else ""
        problems.add(node, f"expected {_SIZE} or the name of a parameter, found {node.found}", hint)
    return None
