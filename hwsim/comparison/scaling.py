"""Moving a result to another technology node by a published rule, so that machines of different nodes can be compared.

The rule and its constants stand in scaling.yaml. On-chip energy, every time and the area are multiplied by one factor
each; components outside the chip (``technology.off_chip``) keep their energy. The rule was made for logic: that it
holds for SRAM, leakage and a memory-bound run's latency is an assumption, which the result's notes repeat.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hwsim.cost import Row
from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.result import Result
from hwsim.units import parse

RULE = "stillmaker2017"
DEFAULT_FLAVOUR = "HP"
_STEPS = 40
_TURN = 1.25
"""Slowing down against the best lower supply that is taken for the fit's own ripple and not for its end."""


@dataclass(frozen=True)
class Target:
    """A node in metres, its supply in volts, and HP (high performance) or LP (low power) transistors below 65 nm."""

    node_m: float
    voltage_V: float
    flavour: str = DEFAULT_FLAVOUR


def parse_target(text: str) -> Target:
    """``28 nm, 0.9 V`` or ``28 nm, 0.9 V, LP``. Raises SpecError: the supply is never guessed."""
    words = [word.strip() for word in text.split(",")]
    if len(words) not in (2, 3):
        raise SpecError(f"--scale-to must be a node and a supply voltage such as '28 nm, 0.9 V', not '{text}'")
    flavour = words[2] if len(words) == 3 else DEFAULT_FLAVOUR
    if flavour not in flavours():
        raise SpecError(f"--scale-to: unknown transistors '{flavour}'; {did_you_mean(flavour, flavours(), 'Known')}")
    try:
        return Target(parse(words[0], "m"), parse(words[1], "V"), flavour)
    except SpecError as error:
        problems = [Problem(f"--scale-to {text}", problem.message, problem.hint) for problem in error.problems]
        raise SpecError(problems) from None


def scaled(result: Result, target: Target) -> Result:
    """The result at another node. Intervals keep their relative width. Raises SpecError outside the rule's range."""
    source = _origin(result, target.flavour)
    energy, delay, area = (new / old for new, old in zip(_factors(target), _factors(source), strict=True))
    off_chip = set(result.technology.get("off_chip", ()))
    factors = {"energy": energy, "latency": delay, "span": delay, "area": area}
    moved = copy.copy(result)
    moved.rows = [
        _scale_row(row, 1.0 if row.component in off_chip else factors.get(row.metric, 1.0)) for row in result.rows
    ]
    moved.technology = {**result.technology, "node_m": target.node_m, "voltage_V": target.voltage_V}
    if result.technology.get("clock_Hz"):
        moved.technology["clock_Hz"] = result.technology["clock_Hz"] / delay
    moved.settings = {
        **result.settings,
        "scaled_by": RULE,
        "scaled_to": [target.node_m, target.voltage_V, target.flavour],
    }
    if result.estimate is not None:
        moved.estimate = replace(result.estimate, accumulate=result.estimate.accumulate.times(energy))
    moved.totals = _totals(result, moved.rows, delay)
    moved.intervals = {
        name: (low * _ratio(moved, result, name), high * _ratio(moved, result, name))
        for name, (low, high) in result.intervals.items()
    }
    moved.notes = [*result.notes, _note(source, target, energy, delay, area)]
    return moved


def _scale_row(row: Row, factor: float) -> Row:
    if factor == 1.0:
        return row
    return row._replace(value=row.value * factor, error=None if row.error is None else row.error * factor)


def _totals(result: Result, rows: list[Row], delay: float) -> dict[str, float]:
    totals = dict(result.totals)
    samples = int(totals["samples"])
    tick_s = totals["latency_s"] * samples * delay / totals["cycles"]
    energies: dict[int | None, list[float]] = {}
    for row in rows:
        if row.metric == "energy":
            energies.setdefault(row.sample, []).append(row.value)
    seconds = {row.sample: row.value * tick_s for row in rows if row.metric == "cycles" and row.component is None}
    totals["latency_s"] = totals["latency_s"] * delay
    totals["energy_J"] = math.fsum(value for values in energies.values() for value in values) / samples
    totals["edp_Js"] = math.fsum(math.fsum(energies[sample]) * seconds[sample] for sample in energies) / samples
    totals["power_W"] = totals["energy_J"] / totals["latency_s"]
    totals["area_m2"] = math.fsum(row.value for row in rows if row.metric == "area")
    return totals


def _ratio(moved: Result, result: Result, name: str) -> float:
    old = result.totals.get(name)
    return moved.totals[name] / old if old else 1.0


def _origin(result: Result, flavour: str) -> Target:
    if not (result.totals.get("energy_J") and result.totals.get("latency_s")):
        raise SpecError(f"{result.architecture}: cannot be scaled: this run has no energy or no latency")
    return origin(result.architecture, result.technology.get("node_m"), result.technology.get("voltage_V"), flavour)


def origin(name: str, node_m: float | None, voltage_V: float | None, flavour: str = DEFAULT_FLAVOUR) -> Target:
    """Where a machine is scaled from. Raises SpecError where its architecture does not say."""
    if not node_m or not voltage_V:
        missing = ("voltage", "0.9 V", "supply voltage") if node_m else ("node", "28 nm", "technology node")
        hint = f"Say it with --set 'technology.{missing[0]}={missing[1]}'; the results then repeat the assumption."
        raise SpecError(Problem(name, f"cannot be scaled: its architecture gives no {missing[2]}", hint))
    return Target(node_m, voltage_V, flavour)


def _note(source: Target, target: Target, energy: float, delay: float, area: float) -> str:
    factors = f"on-chip energy x {energy:.3g}, times x {delay:.3g}, area x {area:.3g}"
    limits = "assumed to hold for SRAM, leakage and memory-bound time as for logic"
    moved = f"scaled from {_show(source)} to {_show(target)} by {RULE} ({target.flavour})"
    return f"{moved}: {factors}; {limits}. {citation()}"


def _show(target: Target) -> str:
    return f"{target.node_m / parse('1 nm', 'm'):g} nm, {target.voltage_V:g} V"


@cache
def _rule() -> dict[str, Any]:
    text = (Path(__file__).parent / "scaling.yaml").read_text(encoding="utf-8")
    rule: dict[str, Any] = yaml.safe_load(text)[RULE]
    return rule


def citation() -> str:
    """Author, venue and year of the rule."""
    return str(_rule()["source"])


def flavours() -> list[str]:
    """Transistor flavours that the rule knows."""
    return [key for key, value in _rule().items() if isinstance(value, list)]


def _factors(target: Target) -> tuple[float, float, float]:
    """Energy, delay and area factors of a node at its supply; between two nodes of the table linear in logarithms."""
    table = sorted(_rule()[target.flavour])
    node = target.node_m / parse("1 nm", "m")
    if not table[0][0] * (1 - 1e-9) <= node <= table[-1][0] * (1 + 1e-9):
        raise SpecError(f"{RULE} covers {table[0][0]} nm to {table[-1][0]} nm, not {node:g} nm")
    upper = next(index for index, entry in enumerate(table) if entry[0] >= node * (1 - 1e-9))
    above = table[upper]
    if math.isclose(node, above[0]):
        return _at(above, target)
    below = table[upper - 1]
    low, high = _at(below, target), _at(above, target)
    share = math.log(node / below[0]) / math.log(above[0] / below[0])
    energy, delay, area = (a ** (1 - share) * b**share for a, b in zip(low, high, strict=True))
    return energy, delay, area


def _at(entry: list[Any], target: Target) -> tuple[float, float, float]:
    node, area, delay, energy = entry
    supply = target.voltage_V
    time, work = _polynomial(delay, supply), _polynomial(energy, supply)
    fastest = min(_polynomial(delay, supply * part / _STEPS) for part in range(_STEPS // 2, _STEPS + 1))
    # Past the fitted range the polynomial turns round: gates would slow down as the supply rises.
    if time <= 0 or work <= 0 or fastest <= 0 or time > _TURN * fastest:
        raise SpecError(f"{RULE} does not cover {supply:g} V at {node} nm ({target.flavour} transistors)")
    return work, time, area


def _polynomial(terms: list[float], x: float) -> float:
    total = 0.0
    for term in terms:
        total = total * x + term
    return total
