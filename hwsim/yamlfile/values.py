"""Reading YAML nodes as typed values; every mistake is noted with its place, and a default stands in for the value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hwsim.errors import did_you_mean, nearest
from hwsim.yamlfile.nodes import Node, Problems


def mapping(node: Node, problems: Problems, what: str = "a mapping") -> dict[str, Node]:
    """The entries of a mapping node; a problem and no entries if it is none."""
    if isinstance(node.value, dict):
        return node.value
    problems.add(node, f"expected {what}, found {node.found}")
    return {}


def check_keys(node: Node, problems: Problems, allowed: Iterable[str], required: Iterable[str] = ()) -> dict[str, Node]:
    """The known entries of a mapping node; a problem for each key that is unknown or missing."""
    names = list(allowed)
    entries = mapping(node, problems, f"a mapping with the keys {', '.join(names)}")
    place = f" in {node.path}" if node.path else ""
    for key, child in entries.items():
        if key not in names:
            problems.add_key(child, f"unknown key '{key}'{place}", did_you_mean(key, names, "Keys allowed here"))
    if node.is_mapping:
        for key in required:
            if key not in entries and not misspelt(key, entries, names):
                problems.add_key(node, f"missing key '{key}'{place}")
    return {key: child for key, child in entries.items() if key in names}


def misspelt(key: str, entries: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of the unknown entries is most like ``key``: its absence is then reported already."""
    known = list(names)
    return any(nearest(entry, known) == key for entry in entries if entry not in known)


def integer(node: Node, problems: Problems, minimum: int | None = None, default: int = 0) -> int:
    """A whole number not below ``minimum``."""
    if isinstance(node.value, int) and not isinstance(node.value, bool) and (minimum is None or node.value >= minimum):
        return node.value
    bound = "" if minimum is None else " > 0" if minimum == 1 else f" >= {minimum}"
    problems.add(node, f"expected a whole number{bound}, found {node.found}")
    return default


def number(
    node: Node, problems: Problems, low: float = -math.inf, high: float = math.inf, default: float = 0.0
) -> float:
    """A number without unit between ``low`` and ``high``, both allowed."""
    if isinstance(node.value, int | float) and not isinstance(node.value, bool) and low <= node.value <= high:
        return float(node.value)
    bounds = [f">= {low:g}"] * (low > -math.inf) + [f"<= {high:g}"] * (high < math.inf)
    problems.add(node, f"expected a number{' ' if bounds else ''}{' and '.join(bounds)}, found {node.found}")
    return 0.0


def boolean(node: Node, problems: Problems, default: bool = False) -> bool:
    """``true`` or ``false``; ``yes`` and ``on`` are text to some readers and truth to others, so they are refused."""
    if isinstance(node.value, bool):
        return node.value
    problems.add(node, f"expected true or false, found {node.found}")
    return default


def string(node: Node, problems: Problems, what: str = "text", default: str = "") -> str:
    """Text that is not empty."""
    if isinstance(node.value, str) and node.value.strip():
        return node.value
    hint = f'put it in quotes if it is meant as text: "{node.text}"' if node.is_scalar and node.text else ""
    problems.add(node, f"expected {what}, found {node.found}", hint)
    return default


def choice(node: Node, problems: Problems, allowed: Iterable[str], what: str, default: str = "") -> str:
    """One of the names ``allowed``."""
    names = list(allowed)
    if isinstance(node.value, str) and node.value in names:
        return node.value
    problems.add(node, f"unknown {what} {node.found}", did_you_mean(node.text, names, "Known here"))
    return default
