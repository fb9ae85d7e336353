"""Tables of the report on the price of synchronisation: values beside a target, one row per network and condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from hwsim.reproduce.layer_sync_seen import Difference, difference
from hwsim.reproduce.sync_price_runs import Case, Condition, Observed
from hwsim.reproduce.target import Beside

PERCENT, MICRO = 100.0, 1e6
CORE_TIME = ("turn", "input", "slowest", "excluded", "sync", "idle")
"""Names of ``Observed.core_time``."""

Column = tuple[str, str, Callable[[Observed], float]]
"""Name, unit, value."""


def _mean(name: str, factor: float = 1.0) -> Callable[[Observed], float]:
    return lambda seen: factor * float(np.mean(getattr(seen, name)))


def _quantile(at: float) -> Callable[[Observed], float]:
    return lambda seen: MICRO * float(np.quantile(seen.seconds, at))


def _first_output(seen: Observed) -> float:
    known = seen.first_output[~np.isnan(seen.first_output)]
    return MICRO * float(known.mean()) if known.size else float("nan")


def _core(number: int) -> Callable[[Observed], float]:
    return lambda seen: PERCENT * float(seen.core_time[:, number].mean())


TIME: tuple[Column, ...] = (
    ("median", "us", _quantile(0.5)),
    ("least", "us", _quantile(0.0)),
    ("lower quartile", "us", _quantile(0.25)),
    ("upper quartile", "us", _quantile(0.75)),
    ("most", "us", _quantile(1.0)),
    ("cores at work", "us", _mean("working", MICRO)),
    ("input and messages", "us", _mean("moving", MICRO)),
    ("synchronising", "us", _mean("synchronising", MICRO)),
    ("first output of a timestep", "us", _first_output),
)
ENERGY: tuple[Column, ...] = (
    ("energy", "uJ", _mean("energy", MICRO)),
    ("dynamic", "uJ", _mean("dynamic", MICRO)),
    ("of it sync", "uJ", _mean("sync", MICRO)),
    ("static", "uJ", _mean("static", MICRO)),
    ("synapses", "1", _mean("synapses")),
    ("neuron updates", "1", _mean("updates")),
)
MESSAGES: tuple[Column, ...] = (
    ("messages", "1", _mean("messages")),
    ("signals", "1", _mean("signals")),
    ("spikes fired", "1", _mean("emitted")),
    ("never sent", "1", _mean("wasted")),
    ("late", "1", _mean("late")),
    ("turns", "1", _mean("turns")),
)
CORES: tuple[Column, ...] = tuple((name, "%", _core(number)) for number, name in enumerate(CORE_TIME))
ACCURACY: tuple[Column, ...] = (
    ("accuracy", "%", _mean("right", PERCENT)),
    ("spikes fired", "1", _mean("emitted")),
    ("late", "1", _mean("late")),
)
SHORT: tuple[Column, ...] = (
    ("energy", "uJ", _mean("energy", MICRO)),
    ("dynamic", "uJ", _mean("dynamic", MICRO)),
    ("of it sync", "uJ", _mean("sync", MICRO)),
    ("static", "uJ", _mean("static", MICRO)),
    ("time", "us", _mean("seconds", MICRO)),
    ("accuracy", "%", _mean("right", PERCENT)),
    ("messages", "1", _mean("messages")),
    ("signals", "1", _mean("signals")),
    ("synapses", "1", _mean("synapses")),
    ("neuron updates", "1", _mean("updates")),
)


def rows(columns: Sequence[Column], runs: Iterable[tuple[str, Observed]]) -> tuple[Beside, ...]:
    """One row per run, one column per value."""
    return tuple(Beside(f"{label}: {name}", None, value(seen), unit)
                 for label, seen in runs for name, unit, value in columns)  # fmt: skip


def runs_of(case: Case, conditions: Sequence[Condition]) -> list[tuple[str, Observed]]:
    """Runs with labels 'network, condition'."""
    return [(f"{case.network}, {condition.name}", case.run(condition)) for condition in conditions]


def ratio(case: Case, one: Condition, other: Condition, name: str) -> float:
    """Ratio of two means."""
    return float(getattr(case.run(one), name).mean() / getattr(case.run(other), name).mean())


def apart(case: Case, one: Condition, other: Condition, name: str) -> Difference:
    """Mean difference ``one`` - ``other``, paired by sample, and its error."""
    return difference([getattr(case.run(one), name)], [getattr(case.run(other), name)])


def steps(case: Case, ladder: Sequence[Condition], label: str) -> tuple[Beside, ...]:
    """What each step of a ladder of conditions changes: one row per step, and the whole way."""
    pairs = [*pairwise(ladder), (ladder[0], ladder[-1])]
    made: list[Beside] = []
    for before, after in pairs:
        name = f"{label}, {before.name} -> {after.name}"
        one, other = case.run(before), case.run(after)
        made += [Beside(f"{name}: {column}", None, value(other) - value(one), unit if unit != "%" else "points")
                 for column, unit, value in SHORT]  # fmt: skip
    return tuple(made)
