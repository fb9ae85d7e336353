"""Checks for components that exist at two depths: the fast kernel must give what the processes give, in every field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np

Arguments = tuple[Any, ...]


class TwoDepths(Protocol):
    """A tile component: the same call as SimPy processes (with a shuffled start order if asked) and as a kernel."""

    processes: Callable[..., Any]
    kernel: Callable[..., Any]


def differences(expected: Any, found: Any, where: str = "result") -> list[str]:
    """All places where two results differ (numbers, dicts, arrays, dataclasses of these), compared with ==."""
    if is_dataclass(expected):
        if type(expected) is not type(found):
            return [f"{where}: {type(expected).__name__} is not {type(found).__name__}"]
        return [line for field in fields(expected)
                for line in differences(getattr(expected, field.name), getattr(found, field.name),
                                        f"{where}.{field.name}")]  # fmt: skip
    if isinstance(expected, dict) and isinstance(found, dict):
        return [line for key in sorted({*expected, *found})
                for line in differences(expected.get(key), found.get(key), f"{where}[{key}]")]  # fmt: skip
    if expected is None or found is None:
        return [] if expected is found else [f"{where}: {_short(expected)} is not {_short(found)}"]
    same = np.shape(expected) == np.shape(found) and bool(np.array_equal(expected, found))
    return [] if same else [f"{where}: {_short(expected)} is not {_short(found)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def agree(cls: TwoDepths, cases: Iterable[Arguments], shuffle_seed: int = 0) -> int:
    """Run every case at both depths, the processes in a shuffled start order. Raises AssertionError with the first case
    that differs; returns how many were run."""
    order = np.random.default_rng(shuffle_seed)
    count = 0
    for count, case in enumerate(cases, start=1):
        expected = cls.processes(*case, order=order)
        found = cls.kernel(*case)
        lines = differences(expected, found)
        shown = "\n  ".join(f"{argument!r}"[:2000] for argument in case)
        assert not lines, f"case {count}: the kernel differs from the processes\n" + "\n".join(lines) + f"\n  {shown}"
    assert count, "no cases were given"
    return count
