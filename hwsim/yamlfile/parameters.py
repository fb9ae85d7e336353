"""Parameters of components, options of families: declared as pydantic models, read from YAML nodes.

A field says its unit in its type::

    class SramParameters(Parameters):
        capacity: Bits                              # '144 KiB' -> 1179648
        bandwidth: Annotated[float, Unit("bit/s", unlimited=True)]

pydantic checks types, bounds and relations; this module turns text with units into numbers before, and
pydantic's findings into problems with file, line and column after.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hwsim import units
from hwsim.errors import SpecError, did_you_mean
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.values import mapping, misspelt

UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Unit:
    """The base unit of a field.

    unlimited   whether the word of that name is allowed; it is read as infinity
    measured    whether the value is a fact about hardware, which needs a source, and not a choice of the architect
    example     what messages show instead of the unit's usual example
    """

    unit: str
    unlimited: bool = False
    measured: bool = False
    example: str = ""

    def phrase(self, bound: str = "") -> str:
        """What a message says is expected."""
        return units.phrase(self.unit, bound, self.example)


class Parameters(BaseModel):
    """Base of all parameter models: no unknown keys, no conversions between types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=True)


Bits = Annotated[int, Unit("bit"), Field(gt=0)]
"""A size above zero, as whole bits."""

Width = Annotated[int, Unit("bit", example="8 bit"), Field(gt=0)]
"""The width of a word or register in bits."""

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Unit("s", measured=True), Field(ge=0)]
Bandwidth = Annotated[float, Unit("bit/s", unlimited=True, measured=True), Field(gt=0)]
"""Bits per second, or infinity for ``unlimited``."""

Model = TypeVar("Model", bound=BaseModel)


def read_model(model: type[Model], entries: dict[str, Node], place: Node, problems: Problems) -> Model | None:
    """The model made of ``entries`` (key -> node); None, and a problem for each mistake, if that cannot be.

    ``place`` is where missing keys are reported.
    """
    before = len(problems.found)
    plain = {key: _plain(model, key, node, problems) for key, node in entries.items() if key in model.model_fields}
    names = list(model.model_fields)
    where = f" in {place.path}" if place.path else ""
    for key, node in entries.items():
        if key not in names:
            problems.add_key(node, f"unknown key '{key}'{where}", did_you_mean(key, names, "Keys allowed here"))
    broken = {key for key, value in plain.items() if value is _BROKEN}
    try:
        made = model.model_validate({key: value for key, value in plain.items() if key not in broken})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            absent = detail["type"] == "missing" and detail["loc"][0]
            if not absent or not (absent in broken or misspelt(str(absent), entries, names)):
                _report(model, entries, place, detail, problems)
        return None
    return made if len(problems.found) == before else None


_BROKEN = object()


def field_unit(model: type[BaseModel], key: str) -> Unit | None:
    """The unit of a field, or None if it has none."""
    return _unit_of(model.model_fields[key])


def is_whole(model: type[BaseModel], key: str) -> bool:
    """Whether a field holds a whole number (a size in bits or a count)."""
    return _base_type(model.model_fields[key].annotation) is int


def _unit_of(field: FieldInfo) -> Unit | None:
    items = [*field.metadata]
    for argument in _arguments(field.annotation):
        items += getattr(argument, "__metadata__", ())
    return next((item for item in items if isinstance(item, Unit)), None)


def _plain(model: type[BaseModel], key: str, node: Node, problems: Problems) -> Any:
    """What pydantic gets for one field; ``_BROKEN`` where a problem was noted already."""
    field = model.model_fields[key]
    inner = _model_of(field.annotation)
    if inner is not None and node.value is not None:
        read = read_model(inner, mapping(node, problems), node, problems) if node.is_mapping else node.plain()
        return _BROKEN if read is None else read
    unit = field_unit(model, key)
    if unit is None or (node.value is None and _optional(field.annotation)):
        value = node.plain()
        return float(value) if type(value) is int and field.annotation is float else value
    return _quantity(node, unit, _base_type(field.annotation) is int, problems)


def _quantity(node: Node, unit: Unit, whole: bool, problems: Problems) -> Any:
    if unit.unlimited and node.value == UNLIMITED:
        return math.inf
    if not node.is_scalar or node.value is None:
        problems.add(node, f"expected {unit.phrase()}, found {node.found}")
        return _BROKEN
    try:
        exact = units.parse_exact(node.text, unit.unit)
    except SpecError as error:
        hint = error.problems[0].hint
        if node.value == UNLIMITED:
            hint = "'unlimited' is not allowed here."
        problems.add(node, f"expected {unit.phrase()}, found {node.found}", hint)
        return _BROKEN
    if not whole:
        return float(exact)
    if exact.denominator != 1:
        same = f"{float(exact):g} {unit.unit}"
        found = node.found if node.text == same else f"{node.found} = {same}"
        problems.add(node, f"expected a whole number of {unit.unit}s, found {found}")
        return _BROKEN
    return exact.numerator


def _report(
    model: type[BaseModel], entries: dict[str, Node], place: Node, detail: ErrorDetails, problems: Problems
) -> None:
    """Turn one finding of pydantic into a problem with its place."""
    location = detail["loc"]
    key = str(location[0]) if location else ""
    node = entries.get(key)
    where = f" in {place.path}" if place.path else ""
    if detail["type"] == "missing":
        problems.add_key(place, f"missing key '{key}'{where}", expected_of(model, key))
    elif detail["type"] in ("value_error", "assertion_error"):
        problems.add(node or place, str(detail["ctx"]["error"]))
    elif detail["type"] == "literal_error" and node is not None:
        allowed = [str(item) for item in _literals(model.model_fields[key].annotation)]
        problems.add(node, f"unknown {key} {node.found}", did_you_mean(node.text, allowed, "Allowed here"))
    else:
        for item in location[1:]:
            node = _child(node, item)
        found = node.found if node else "nothing"
        problems.add(node or place, f"expected {_expected(model, key, detail)}, found {found}")


def _child(node: Node | None, item: int | str) -> Node | None:
    if node is not None and isinstance(item, int) and isinstance(node.value, list) and item < len(node.value):
        return node.value[item]
    if node is not None and isinstance(node.value, dict) and item in node.value:
        return node.value[item]
    return node


_SIGNS = (
    (Gt, "gt", ">"),
    (Ge, "ge", ">="),
    (Lt, "lt", "<"),
    (Le, "le", "<="),
    (MultipleOf, "multiple_of", "a multiple of"),
)
_NOUNS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def expected_of(model: type[BaseModel], key: str) -> str:
    """A hint line on what a missing key should hold: its description, or what kind of value."""
    field = model.model_fields[key]
    literals = _literals(field.annotation)
    said = f"one of {', '.join(map(str, literals))}" if literals else _noun(field)
    return f"It holds {said}{f': {field.description}' if field.description else ''}."


def _expected(model: type[BaseModel], key: str, detail: ErrorDetails) -> str:
    field = model.model_fields[key]
    context = detail.get("ctx", {})
    bound = next((f"{sign} {_bound(context[name])}" for _, name, sign in _SIGNS if name in context), "")
    if len(detail["loc"]) > 1:
        if bound:
            return f"a number {bound}"
        kinds = {"int_type": int, "string_type": str, "bool_type": bool, "float_type": float}
        if detail["type"] in kinds:
            return _NOUNS[kinds[detail["type"]]]
        return detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    unit = _unit_of(field)
    if unit:
        return unit.phrase(bound)
    return _noun(field)


def _noun(field: FieldInfo) -> str:
    unit = _unit_of(field)
    if unit:
        return unit.phrase()
    inner = _model_of(field.annotation)
    if inner:
        return f"a mapping with the keys {', '.join(inner.model_fields)}"
    kinds = {dict: "a mapping", None: "a value"}
    noun = _NOUNS.get(_base_type(field.annotation), kinds.get(typing.get_origin(field.annotation), "a list"))
    bounds = [
        f"{sign} {_bound(getattr(item, name))}"
        for item in field.metadata
        for kind, name, sign in _SIGNS
        if isinstance(item, kind)
    ]
    text = f"{noun} {' and '.join(bounds)}" if bounds else noun
    return "a whole number > 0" if text == "a whole number >= 1" else text


def _bound(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _arguments(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _optional(annotation: Any) -> bool:
    return type(None) in _arguments(annotation)


def _base_type(annotation: Any) -> Any:
    base = next((item for item in _arguments(annotation) if item is not type(None)), annotation)
    return typing.get_args(base)[0] if typing.get_origin(base) is Annotated else base


def _model_of(annotation: Any) -> type[BaseModel] | None:
    base = _base_type(annotation)
    return base if isinstance(base, type) and issubclass(base, BaseModel) else None


def _literals(annotation: Any) -> tuple[Any, ...]:
    base = _base_type(annotation)
    return typing.get_args(base) if typing.get_origin(base) is Literal else ()
