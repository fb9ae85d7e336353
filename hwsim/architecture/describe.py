"""An architecture in words: what ``hwsim check`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hwsim.architecture import Architecture
from hwsim.architecture.assembly import ComponentSpec
from hwsim.architecture.pricing import NOT_MODELLED
from hwsim.units import Quantity, show


def describe(architecture: Architecture) -> list[str]:
    """Lines that say what was read: technology, components with parameters and prices, paths, options, guesses."""
    lines = [
        f"{architecture.name}: {architecture.family} architecture, {_shown_files(architecture)}",
        f"  hash {architecture.sha256[:8]}, dataflow {architecture.dataflow} ({_pairs(architecture.schedule)})",
        f"  {_technology(architecture)}",
    ]
    if architecture.overrides:
        lines.append(f"  overrides: {', '.join(architecture.overrides)}")
    lines.append("components")
    for part in architecture.components.values():
        lines += _component(part, architecture.technology.tick_s)
    lines.append("paths")
    lines += [f"  {operand}: {' > '.join(places)}" for operand, places in architecture.paths.items()]
    lines.append(f"options: {_pairs(architecture.options)}")
    lines += _guesses(architecture)
    return lines


def latency_ticks(seconds: float, tick_s: float) -> int:
    """A latency in ticks, rounded up; what is within a millionth of a tick counts as whole."""
    ratio = Fraction(seconds) / Fraction(tick_s)
    nearest = round(ratio)
    return nearest if abs(ratio - nearest) < Fraction(1, 10**6) else math.ceil(ratio)


def _shown_files(architecture: Architecture) -> str:
    first, *bases = [path.name for path in architecture.files]
    return first + "".join(f" on {base}" for base in bases)


def _technology(architecture: Architecture) -> str:
    technology = architecture.technology
    node = show(technology.node_m, "m") if technology.node_m is not None else "node unknown"
    voltage = show(technology.voltage_V, "V") if technology.voltage_V is not None else "voltage unknown"
    kelvin = technology.temperature_K
    temperature = f", {show(kelvin, 'K')}" if kelvin is not None else ""
    clock, tick = show(technology.clock_Hz, "Hz"), show(technology.tick_s, "s")
    return f"{node}, {voltage}, {clock}{temperature}, tick {tick}"


def _component(part: ComponentSpec, tick_s: float) -> list[str]:
    given = {key: value for key, value in part.parameters.items() if value is not None}
    shown = [f"{key} {_parameter(part.quantities.get(key), value, tick_s)}" for key, value in given.items()]
    lines = [f"  {part.name} ({part.class_name}) x {part.count}: {', '.join(shown)}"]
    for name, price in part.actions.items():
        per = "" if price.per_unit == "1" else f" per {show(price.per, 'bit')}"
        energy = Quantity(price.energy_J, price.sigma_J, price.log_sigma, price.source, "J")
        lines.append(f"    {name}: {energy}{per} [{price.source}]")
    for word, quantity in (("area", part.area), ("leakage", part.leakage)):
        if quantity.source == NOT_MODELLED:
            lines.append(f"    {word}: not modelled")
        elif quantity.value:
            lines.append(f"    {word}: {quantity} each [{quantity.source}]")
    return lines


def _parameter(quantity: Quantity | None, value: Any, tick_s: float) -> str:
    if quantity is None:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if quantity.unit == "s":
        ticks = latency_ticks(quantity.value, tick_s)
        return f"{quantity} = {ticks} ticks of {show(tick_s, 's')}"
    return str(quantity)


def _pairs(values: Mapping[str, Any]) -> str:
    words = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            words.append(f"{key} {{{_pairs(value)}}}")
        elif value is not None:
            words.append(f"{key} {str(value).lower() if isinstance(value, bool) else value}")
    return ", ".join(words)


def _guesses(architecture: Architecture) -> list[str]:
    numbers = list(architecture.quantities())
    assumed = architecture.assumed
    absent = [path.removeprefix("components.") for path, quantity in numbers if quantity.source == NOT_MODELLED]
    lines = [f"{len(numbers)} numbers, {len(assumed)} of them assumed"]
    lines += [f"  {path.removeprefix('components.')}" for path in assumed]
    if absent:
        lines.append(f"not modelled: {', '.join(absent)}")
    return lines
