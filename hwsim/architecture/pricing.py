"""Prices, areas and leakages from YAML nodes: numbers with unit, error and source, stated or built from a library.

Stated:   ``{energy: 28.63 pJ, per: 32 B, source: cacti7, error: 10 %}``
Built:    ``{energy: {parts: {register: membrane_bits, adder: 16 bit}}}``, from tables by width in the block
          ``library``. Source and error are then the library's unless given. Dynamic power of a clocked unit is turned
          into the energy of one cycle: 1 mW at 400 MHz is 2.5 pJ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim import units
from hwsim.architecture.library import Library
from hwsim.errors import SpecError, did_you_mean, nearest
from hwsim.units import Quantity
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.values import check_keys, integer, misspelt

ASSUMED = "assumed"
NOT_MODELLED = "not modelled"
OVERRIDE = "--set "
"""Beginning of the file name of nodes that come from the command line."""

_FACTOR = re.compile(r"x\s*([0-9]+\.?[0-9]*)")
SOURCED_KEYS = ("value", "parts", "source", "error", "note", "times")
PRICE_KEYS = ("energy", "per", "source", "error", "note")


@dataclass(frozen=True)
class Price:
    """Energy of an action.

    energy_J    joules per ``per`` (of unit ``per_unit``: 'bit', or '1' for plain counts)
    count_J     joules of one count: a line, a burst, an event
    sigma_J, log_sigma   one standard deviation of ``energy_J``, or the logarithm of a one-sigma factor
    """

    energy_J: float
    sigma_J: float
    log_sigma: float
    per: int
    per_unit: str
    source: str
    counts_per: float = 1.0
    """``per`` in one count: 2 where a 64 B line is priced per 32 B."""

    @property
    def count_J(self) -> float:
        """Joules of one count."""
        return self.energy_J * self.counts_per

    @property
    def quantity(self) -> Quantity:
        """Joules of one count with their error."""
        return Quantity(self.energy_J, self.sigma_J, self.log_sigma, self.source, "J").times(self.counts_per)


@dataclass
class Context:
    """What reading a number needs to know besides its node.

    sources          known source identifiers; None where the block is missing, which is reported once
    default_sources  (file, component) -> node of that component's ``source`` in that file
    ranks            file -> 0 for the architecture's own file, higher for its bases
    parameters       values of the component's parameters, or None where they could not be read
    """

    problems: Problems
    sources: Mapping[str, str] | None
    library: Library
    default_sources: Mapping[tuple[str, str], Node] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    component: str = ""
    parameters: Mapping[str, Any] | None = None
    parameter_names: tuple[str, ...] = ()

    def outdated(self, about: Node | None, value: Node) -> bool:
        """Whether a source or error comes from a base of the file that gives the value: it is about another value."""
        if about is None or value.file.startswith(OVERRIDE) or about.file.startswith(OVERRIDE):
            return False
        return self.ranks.get(about.file, 0) > self.ranks.get(value.file, 0)


def read_source(entries: Mapping[str, Node], value: Node, path: str, context: Context, fallback: str = "") -> str:
    """The source identifier of a number: its own ``source``, its component's in the same file, or ``fallback``."""
    if value.file.startswith(OVERRIDE):
        return f"set:{path}"
    node = entries.get("source")
    if node is not None and context.outdated(node, value):
        message = f"a new value needs its own 'source': the inherited one is {node.found} in {node.where}"
        context.problems.add(value, message)
        return ""
    node = node or context.default_sources.get((value.file, context.component))
    if node is None:
        if not fallback:
            hint = "Give 'source: <name in the block sources>', or 'source: assumed' for a guess."
            context.problems.add(value, f"{path} has no source", hint)
        return fallback
    return source_name(node, path, context)


def source_name(node: Node, path: str, context: Context) -> str:
    """The identifier that a ``source:`` node names; a guess is a source of its own."""
    if node.value == ASSUMED:
        return f"{ASSUMED}:{path}"
    if not isinstance(node.value, str):
        context.problems.add(node, f"expected the name of a source, found {node.found}")
    elif context.sources is not None and node.value not in context.sources:
        hint = did_you_mean(node.value, [*context.sources, ASSUMED], "Known sources")
        context.problems.add(node, f"unknown source {node.found}", hint)
    return str(node.value)


def read_error(node: Node | None, value: float, unit: str, problems: Problems) -> tuple[float, float]:
    """(sigma, log_sigma) of '10 %', 'x2' or an absolute '0.5 pJ'."""
    if node is None:
        return 0.0, 0.0
    expected = f"expected an error such as '10 %', 'x2' or one in the unit of the value, found {node.found}"
    text = node.text.strip()
    factor = _FACTOR.fullmatch(text)
    try:
        if factor:
            size = float(factor[1])
            if not 1 < size <= 1e6:
                problems.add(node, f"expected a factor above 1 such as 'x2', found {node.found}")
                return 0.0, 0.0
            return 0.0, math.log(size)
        if not isinstance(node.value, str):
            raise SpecError("")
        sigma = units.parse(text, "1") * abs(value) if text.endswith("%") else units.parse(text, unit)
    except SpecError:
        problems.add(node, expected)
        return 0.0, 0.0
    if sigma < 0 or (text.endswith("%") and units.parse(text, "1") > 1):
        hint = "an error above 100 % is a factor, such as 'x2'." if sigma > 0 else ""
        problems.add(node, f"expected an error from 0 % to 100 %, found {node.found}", hint)
    return sigma, 0.0


def read_number(node: Node, unit: str, problems: Problems, above_zero: bool = False) -> float | None:
    """A stated number in its base unit, not below zero; None and a problem if it is none."""
    if not node.is_scalar or node.value is None:
        problems.add(node, f"expected {units.phrase(unit)}, found {node.found}")
        return None
    try:
        value = units.parse(node.text, unit)
    except SpecError as error:
        hint = "'unlimited' is not allowed here." if node.value == "unlimited" else error.problems[0].hint
        problems.add(node, error.problems[0].message, hint)
        return None
    if value < 0 or (above_zero and value == 0):
        bound = "> 0" if above_zero else ">= 0"
        problems.add(node, f"expected {units.phrase(unit, bound)}, found {node.found}")
        return None
    return value


def read_price(node: Node, path: str, granule: str | None, context: Context) -> Price | None:
    """The price of an action; None where a problem leaves it without a value."""
    problems = context.problems
    before = len(problems.found)
    entries = check_keys(node, problems, PRICE_KEYS, ("energy",) if granule is None else ("energy", "per"))
    if "energy" not in entries:
        return None
    energy = entries["energy"]
    if energy.is_mapping:
        parts = check_keys(energy, problems, ("parts",), ("parts",)).get("parts")
        quantity = _built(parts, entries, "J", path, context) if parts is not None else None
    else:
        quantity = _stated(energy, entries, "J", path, node, context)
    per, counts_per = _per(entries.get("per"), granule, context)
    if quantity is None or len(problems.found) > before:
        return None
    per_unit = "1" if granule is None else "bit"
    return Price(quantity.value, quantity.sigma, quantity.log_sigma, per, per_unit, quantity.source, counts_per)


def read_sourced(node: Node, unit: str, path: str, context: Context) -> Quantity | None:
    """An area or leakage of one instance: ``{value or parts, times, source, error}``, or ``not modelled`` (zero)."""
    if node.value == NOT_MODELLED:
        return Quantity(0.0, source=NOT_MODELLED, unit=unit)
    if not node.is_mapping:
        hint = f"Write {{value: {units.example(unit)}, source: ..., error: 10 %}}, or '{NOT_MODELLED}'."
        context.problems.add(node, f"expected a mapping with value, source and error, found {node.found}", hint)
        return None
    entries = check_keys(node, context.problems, SOURCED_KEYS)
    if ("value" in entries) == ("parts" in entries):
        context.problems.add(node, f"expected either 'value' or 'parts' in {path}, found {_which(entries)}")
        return None
    if "parts" in entries:
        quantity = _built(entries["parts"], entries, unit, path, context)
    else:
        quantity = _stated(entries["value"], entries, unit, path, node, context)
    times = _times(entries.get("times"), context)
    return quantity.times(times) if quantity is not None else None


def _which(entries: Mapping[str, Node]) -> str:
    return "both" if "value" in entries else "neither"


def _stated(
    node: Node, entries: Mapping[str, Node], unit: str, path: str, written: Node, context: Context
) -> Quantity | None:
    """A number with its error and source; both must be given. ``written`` is the mapping with all its keys."""
    problems = context.problems
    before = len(problems.found)
    value = read_number(node, unit, problems)
    error = entries.get("error")
    if error is None and not misspelt("error", written.value, PRICE_KEYS):
        hint = "Give 'error', one standard deviation: '10 %', a factor 'x2', or an amount in the unit of the value."
        problems.add(node, f"{path} has no error", hint)
    elif error is not None and context.outdated(error, node):
        problems.add(node, f"a new value needs its own 'error': the inherited one is {error.found} in {error.where}")
    sigma, log_sigma = read_error(error, value or 0.0, unit, problems)
    source = read_source(entries, node, path, context)
    return Quantity(value or 0.0, sigma, log_sigma, source, unit) if len(problems.found) == before else None


def _built(parts: Node, entries: Mapping[str, Node], unit: str, path: str, context: Context) -> Quantity | None:
    """A number built of library blocks; error and source are the library's unless given with the parts."""
    problems = context.problems
    before = len(problems.found)
    terms = context.library.terms(parts, unit, context.parameters, context.parameter_names, problems)
    own = {key: entries[key] for key in ("error", "source") if not context.outdated(entries.get(key), parts)
           and key in entries}  # fmt: skip
    source = source_name(own["source"], path, context) if "source" in own else ""
    stated = read_error(own.get("error"), sum(term.value for term in terms or ()), unit, problems)
    if terms is None or len(problems.found) > before:
        return None
    sigma, log_sigma = stated if "error" in own else _joint_error(terms)
    total = sum(term.value for term in terms)
    return Quantity(total, sigma, log_sigma, source or _joint_source(terms, path), unit)


def _joint_error(terms: list[Quantity]) -> tuple[float, float]:
    """Parts of one library are wrong together: errors add. The widest kind of error is taken for all of them."""
    sigma, log_sigma = sum(term.sigma for term in terms), max(term.log_sigma for term in terms)
    if not log_sigma:
        return sigma, 0.0
    total = sum(term.value for term in terms)
    return 0.0, max(log_sigma, math.log1p(sigma / total) if total else 0.0)


def _joint_source(terms: list[Quantity], path: str) -> str:
    sources = {term.source for term in terms}
    return sources.pop() if len(sources) == 1 and ASSUMED not in sources else f"{ASSUMED}:{path}"


def _per(node: Node | None, granule: str | None, context: Context) -> tuple[int, float]:
    """(``per``, how many of it one count is)."""
    problems = context.problems
    if granule is None:
        per = integer(node, problems, 1, 1) if node is not None else 1
        return per, 1.0 / per
    if node is None:
        return 1, 1.0
    bits = read_number(node, "bit", problems, above_zero=True)
    if bits is None:
        return 1, 1.0
    if bits != int(bits):
        problems.add(node, f"expected a whole number of bits, found {node.found}")
        return 1, 1.0
    size = (context.parameters or {}).get(granule)
    if size is not None and size % int(bits):
        shown = units.show(size, "bit") if size % 8 else f"{size // 8} B"
        problems.add(node, f"expected a size that divides the {granule} of {shown}, found {node.found}")
    return int(bits), (size or bits) / bits


def _times(node: Node | None, context: Context) -> float:
    """A whole number, or the name of a parameter that is one."""
    if node is None:
        return 1.0
    if isinstance(node.value, str):
        if node.value not in context.parameter_names:
            close = nearest(node.value, context.parameter_names)
            context.problems.add(node, f"unknown parameter {node.found}", f"did you mean '{close}'?" if close else "")
            return 1.0
        return float((context.parameters or {}).get(node.value, 1))
    return float(integer(node, context.problems, 1, 1))
