"""The blocks ``technology`` and ``components`` of an architecture, read into typed values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pydantic import BaseModel

from hwsim.architecture.declarations import Catalogue, ComponentClass, Family
from hwsim.architecture.pricing import (
    SOURCED_KEYS,
    Context,
    Price,
    read_error,
    read_number,
    read_price,
    read_source,
    read_sourced,
)
from hwsim.errors import did_you_mean
from hwsim.units import Quantity
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.parameters import Unit, field_unit, is_whole, read_model
from hwsim.yamlfile.values import check_keys, choice, mapping, misspelt

COMPONENT_KEYS = ("class", "count", "source", "note", "actions", "area", "leakage")
"""Keys of a component beside the parameters of its class."""

UNKNOWN = "unknown"
CHOSEN = "chosen"
"""Source of a size or number of parts that the file gives without one: a choice of its author, not a fact."""
_TECHNOLOGY = {"node": "m", "voltage": "V", "clock": "Hz", "temperature": "K", "tick": "s"}
_FACTORS = re.compile(r"\s*([*/])\s*")


@dataclass(frozen=True)
class Technology:
    """Node in m, voltage in V, temperature in K (None where said to be unknown), clock in Hz, tick in s."""

    clock_Hz: float
    node_m: float | None
    voltage_V: float | None
    temperature_K: float | None
    tick_s: float
    quantities: Mapping[str, Quantity]


@dataclass
class ComponentSpec:
    """One component: its class, how many there are, its parameters, and what one instance costs.

    parameters   plain values of the class' ``Parameters``: sizes in bits, times in s, bandwidth in bit/s (or infinity)
    quantities   the numbers among them with source and error
    actions      action -> Price
    area         m^2 of one instance; its source is 'not modelled' where that is said
    leakage      W of one instance; likewise
    """

    name: str
    class_name: str
    count: int
    parameters: dict[str, Any]
    quantities: dict[str, Quantity]
    actions: dict[str, Price]
    area: Quantity
    leakage: Quantity
    path: str = ""
    where: str = ""
    values: BaseModel | None = field(default=None, repr=False)


def read_technology(node: Node | None, context: Context) -> Technology | None:
    """The block ``technology``; None where it has no clock."""
    if node is None:
        return None
    problems = context.problems
    context.component = "technology"
    entries = check_keys(node, problems, (*_TECHNOLOGY, "source", "note"), ("node", "voltage", "clock"))
    found: dict[str, Quantity] = {}
    for key, unit in _TECHNOLOGY.items():
        if key not in entries:
            continue
        value, extra = _unwrap(entries[key], problems)
        if value is None or (value.value == UNKNOWN and key not in ("clock", "tick")):
            continue
        number = read_number(value, unit, problems, above_zero=True)
        if number is None:
            continue
        sigma, log_sigma = read_error(extra.get("error"), number, unit, problems)
        source = read_source(extra, value, f"technology.{key}", context)
        found[key] = Quantity(number, sigma, log_sigma, source, unit)
    known = {key: quantity.value for key, quantity in found.items()}
    if not known.get("clock"):
        return None
    tick = known.get("tick", 1 / known["clock"])
    return Technology(known["clock"], known.get("node"), known.get("voltage"), known.get("temperature"), tick, found)


def read_components(
    node: Node | None, family: Family | None, catalogue: Catalogue, context: Context
) -> dict[str, ComponentSpec]:
    """The block ``components``; those that could not be read are left out, with their problems noted."""
    if node is None:
        return {}
    found = {}
    for name, child in mapping(node, context.problems, "a mapping of components").items():
        declared = _class_of(name, child, family, catalogue, context.problems)
        if declared is not None:
            spec = _read_component(name, child, declared, context)
            if spec is not None:
                found[name] = spec
    return found


def _class_of(
    name: str, node: Node, family: Family | None, catalogue: Catalogue, problems: Problems
) -> ComponentClass | None:
    entries = mapping(node, problems, "a mapping with 'class', its parameters and 'actions'")
    if not node.is_mapping:
        return None
    if "class" not in entries:
        problems.add_key(node, f"missing key 'class' in components.{name}")
        return None
    fitting = [key for key, item in catalogue.components.items() if family is None or family.name in item.families]
    return catalogue.components.get(choice(entries["class"], problems, fitting, "class"))


def _read_component(name: str, node: Node, declared: ComponentClass, context: Context) -> ComponentSpec | None:
    problems = context.problems
    path = f"components.{name}"
    context.component = name
    names = tuple(declared.parameters.model_fields)
    entries = check_keys(node, problems, (*names, *COMPONENT_KEYS))
    values, quantities = _read_parameters(path, node, entries, declared, context)
    context.parameters = values.model_dump() if values is not None else None
    context.parameter_names = names
    actions = _read_actions(path, node, entries.get("actions"), declared, context)
    area = _read_static("area", "m^2", path, node, entries, declared, context)
    leakage = _read_static("leakage", "W", path, node, entries, declared, context)
    if values is None or area is None or leakage is None:
        return None
    return ComponentSpec(
        name, declared.name, 1, dict(values.model_dump()), quantities, actions, area, leakage, path, node.where, values
    )


def _unwrap(node: Node, problems: Problems) -> tuple[Node | None, dict[str, Node]]:
    """(value, the rest) of ``{value, source, error, note}``; a plain value stands for itself."""
    if not node.is_mapping:
        return node, {}
    entries = check_keys(node, problems, [key for key in SOURCED_KEYS if key not in ("parts", "times")], ("value",))
    return entries.get("value"), entries


def _read_parameters(
    path: str, node: Node, entries: Mapping[str, Node], declared: ComponentClass, context: Context
) -> tuple[BaseModel | None, dict[str, Quantity]]:
    problems = context.problems
    plain: dict[str, Node] = {}
    extras: dict[str, dict[str, Node]] = {}
    for key, child in entries.items():
        if key not in declared.parameters.model_fields:
            continue
        value, extras[key] = _unwrap(child, problems) if child.is_mapping and "value" in child.value else (child, {})
        if value is not None:
            plain[key] = value
    values = read_model(declared.parameters, plain, node, problems)
    quantities = {}
    for key, value in plain.items():
        unit = field_unit(declared.parameters, key) or (Unit("1") if _is_number(value) else None)
        if unit is None:
            continue
        fallback = "" if unit.measured else f"{CHOSEN}:{path}.{key}"
        source = read_source(extras[key], value, f"{path}.{key}", context, fallback)
        number = getattr(values, key) if values is not None else 0.0
        if number is None or isinstance(number, bool | str):
            continue
        sigma, log_sigma = read_error(extras[key].get("error"), float(number), unit.unit, problems)
        quantities[key] = Quantity(float(number), sigma, log_sigma, source, unit.unit)
    return values, quantities


def _is_number(node: Node) -> bool:
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _read_actions(
    path: str, node: Node, block: Node | None, declared: ComponentClass, context: Context
) -> dict[str, Price]:
    problems = context.problems
    if block is None:
        if any(action.required for action in declared.actions.values()):
            problems.add_key(node, f"missing key 'actions' in {path}", f"Counted: {', '.join(declared.actions)}.")
        return {}
    found = {}
    for name, child in mapping(block, problems, "a mapping 'action: price'").items():
        action = declared.actions.get(name)
        if action is None:
            hint = f"It has none. To replace it whole: --set '{path.split('.')[-1]}={{class: {declared.name}}}'."
            if declared.actions:
                hint = did_you_mean(name, declared.actions, "Its actions")
            message = f"price for '{name}', which is no action of {path} (class {declared.name})"
            problems.add_key(child, message, hint)
            continue
        price = read_price(child, f"{path}.actions.{name}", action.granule, context)
        if price is not None:
            found[name] = price
    for name, action in declared.actions.items():
        if (
            action.required
            and block.is_mapping
            and name not in block.value
            and not misspelt(name, block.value, declared.actions)
        ):
            hint = "Give it {energy, per, source, error}; an energy of 0 pJ must be written, with its source."
            problems.add_key(block, f"action '{name}' of {path} (class {declared.name}) has no price", hint)
    return found


def _read_static(
    key: str, unit: str, path: str, node: Node, entries: Mapping[str, Node], declared: ComponentClass, context: Context
) -> Quantity | None:
    """Area or leakage of one instance."""
    if key in entries:
        return read_sourced(entries[key], unit, f"{path}.{key}", context)
    if declared.physical:
        context.problems.add_key(
            node, f"missing key '{key}' in {path}", f"Write '{key}: not modelled' to leave it out."
        )
        return None
    return Quantity(0.0, source="none", unit=unit)


def declared_classes(node: Node | None, catalogue: Catalogue) -> dict[str, ComponentClass | None]:
    """Component -> its class; None where the class is missing or unknown. Also of components that could not be read."""
    found: dict[str, ComponentClass | None] = {}
    for name, child in node.value.items() if node is not None and node.is_mapping else ():
        given = child.value.get("class") if child.is_mapping else None
        found[name] = catalogue.components.get(given.text) if given is not None else None
    return found


def whole_numbers(
    node: Node | None,
    components: Mapping[str, ComponentSpec],
    family: Family,
    options: Mapping[str, Any] | None,
    catalogue: Catalogue,
) -> dict[str, int | None]:
    """What a count may multiply: 'options.<name>' and '<component>.<parameter>'; None where it could not be read."""
    model = family.options
    known = {f"options.{key}": (options or {}).get(key) for key in model.model_fields if is_whole(model, key)}
    for name, declared in declared_classes(node, catalogue).items():
        if declared is None:
            known[f"{name}."] = None
        values = components[name].parameters if name in components else {}
        for key in declared.parameters.model_fields if declared else ():
            if declared and is_whole(declared.parameters, key):
                known[f"{name}.{key}"] = values.get(key)
    return known


def read_counts(
    node: Node | None, components: Mapping[str, ComponentSpec], known: Mapping[str, int | None], problems: Problems
) -> None:
    """Fill in ``count``: a whole number, or a product such as 'array.rows * array.columns / options.lif_sharing'."""
    for name, spec in components.items():
        given = node.value[name].value.get("count") if node is not None else None
        if given is not None:
            spec.count = _count(given, known, problems)


def _count(node: Node, known: Mapping[str, int | None], problems: Problems) -> int:
    if not isinstance(node.value, str | int) or isinstance(node.value, bool):
        problems.add(node, f"expected a whole number > 0 or a product of parameters, found {node.found}")
        return 1
    words = _FACTORS.split(node.text.strip())
    result = Fraction(1)
    for position in range(0, len(words), 2):
        word = words[position]
        factor = int(word) if re.fullmatch("[0-9]{1,9}", word) else known.get(word)
        if factor is None and (word in known or f"{word.partition('.')[0]}." in known):
            return 1  # it could not be read, which is reported already
        if factor is None:
            problems.add(node, f"unknown factor '{word}' in a count", did_you_mean(word, known, "Whole numbers here"))
            return 1
        if factor == 0 and position and words[position - 1] == "/":
            problems.add(node, f"division by zero in {node.found}")
            return 1
        result = result / factor if position and words[position - 1] == "/" else result * factor
    if result.denominator != 1 or result < 1:
        equals = "" if isinstance(node.value, int) else f" = {float(result):g}"
        problems.add(node, f"expected a whole number > 0, found {node.found}{equals}")
        return 1
    return result.numerator
