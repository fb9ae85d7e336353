"""Counts times prices: what an ``Activity`` costs, row by row, with the uncertainty of every price carried to the
totals.

Uncertainty. A price is a positive number known with one standard deviation ``sigma`` or with a log factor (``x2`` is
``log_sigma`` = ln 2: one standard deviation is a factor of two either way; the price itself is the median). Its 95 %
points are those of the normal distribution cut off at zero, or of the lognormal one. Prices of one source are wrong
together: their points add linearly, which is exact for quantities that move together. Sources are independent: the
distances from the value to the lower points add in quadrature, and so do those to the upper points. Exact for one
source and for normal errors; an approximation for a mixture. A lower bound is always above zero, because each source's
lower distance is less than its share of the value and a root of a sum of squares is at most the sum.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist
from typing import Any, NamedTuple

from hwsim.activity import SHARED, Activity
from hwsim.architecture.pricing import NOT_MODELLED
from hwsim.errors import Problem, SpecError
from hwsim.units import Quantity

CONFIDENCE = 0.95
ASSUMED = "assumed"
LEAKAGE = "leakage"
SYNAPTIC_OPERATIONS = "synaptic_operations"
METRIC_ORDER = ("count", "cycles", "energy", "latency", "span", "timesteps", "area")
_NORMAL = NormalDist()
_UNPRICED = "is counted but has no price"
_HINT = "give it {energy, per, source, error}; a free action says 'energy: 0 pJ', with its source."


def standard_deviation(number: Quantity) -> float:
    """One standard deviation in the number's unit; of a log factor half the distance of its two one-sigma points."""
    return number.value * math.sinh(number.log_sigma) if number.log_sigma else number.sigma


def bounds(number: Quantity) -> tuple[float, float]:
    """The 95 % points of a positive number; above zero."""
    return _bounds(number.value, number.sigma, number.log_sigma)


@cache
def _bounds(value: float, sigma: float, log_sigma: float) -> tuple[float, float]:
    assert value >= 0 and sigma >= 0 and log_sigma >= 0, (value, sigma, log_sigma)
    if value == 0.0:
        return 0.0, 0.0
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    if log_sigma:
        low, high = (value * math.exp(log_sigma * _NORMAL.inv_cdf(tail)) for tail in tails)
        return low, high
    if not sigma:
        return value, value
    below_zero = _NORMAL.cdf(-value / sigma)
    low, high = (value + sigma * _NORMAL.inv_cdf(below_zero + tail * (1 - below_zero)) for tail in tails)
    return low, high


@dataclass(frozen=True)
class Instances:
    """``count`` equal instances of a component and what each one has: leakage in W, or area in m2."""

    component: str
    count: int
    each: Quantity

    @property
    def modelled(self) -> bool:
        """Whether the architecture gives the number at all."""
        return self.each.source not in ("", "none", NOT_MODELLED)


@dataclass(frozen=True)
class PriceList:
    """All that turns a machine's counts into costs.

    prices      (component, action) -> energy in J of one count
    leakage     per component, W of each instance; powered for the whole run
    area        per component, m2 of each instance that exists
    tick_s      seconds of one tick
    statistics  (component, action) that are counted and reported but are no action of the hardware, so have no price
    off_chip    components that scaling to another technology leaves alone (DRAM)

    A leakage or area that the architecture says is not modelled gets no row, rather than a zero.
    """

    prices: Mapping[tuple[str, str], Quantity]
    leakage: Sequence[Instances]
    area: Sequence[Instances]
    tick_s: float
    statistics: frozenset[tuple[str, str]] = frozenset()
    off_chip: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "leakage", [part for part in self.leakage if part.modelled])
        object.__setattr__(self, "area", [part for part in self.area if part.modelled])

    def check(self, actions: Iterable[tuple[str, str]], where: str = "") -> None:
        """SpecError, one problem per action, if an action that will be counted has no price. Call it before a run."""
        missing = sorted(set(actions) - set(self.prices) - self.statistics)
        if missing:
            raise SpecError(
                Problem(where, f"components.{part}.actions.{action} {_UNPRICED}", _HINT) for part, action in missing
            )


class Row(NamedTuple):
    """One line of rows.csv. Values in SI without prefix (counts: unit ``1``); ``error`` is one standard deviation.

    ``None`` stands for no single one: the timestep of a fetch for several timesteps, the layer of leakage.
    """

    run: str
    architecture: str
    workload: str
    sample: int | None
    phase: str
    layer: str | None
    timestep: int | None
    component: str | None
    action: str | None
    metric: str
    value: float
    unit: str
    error: float | None
    source: str | None


@dataclass(frozen=True)
class Labels:
    """What the rows of one run have in common."""

    run: str
    architecture: str
    workload: str
    phase: str = "inference"

    def row(self, metric: str, value: float, unit: str, *, sample: int | None = None, layer: str | None = None,
            timestep: int | None = None, component: str | None = None, action: str | None = None,
            error: float | None = None, source: str | None = None) -> Row:  # fmt: skip
        """A row of this run; what is not said stays blank."""
        return Row(self.run, self.architecture, self.workload, sample, self.phase, layer, timestep, component, action,
                   metric, value, unit, error, source)  # fmt: skip

    def cost(self, metric: str, weight: float, each: Quantity, unit: str, **place: Any) -> Row:
        """A row of ``weight`` times a number, with that number's error and source."""
        error = weight * standard_deviation(each)
        return self.row(metric, weight * each.value, unit, error=error, source=each.source, **place)


@dataclass
class Costs:
    """Rows; totals (means over samples, but ``cycles`` and ``samples`` are sums); 95 % intervals; the prices used."""

    rows: list[Row]
    totals: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    prices: list[dict[str, Any]] = field(default_factory=list)


def interval(terms: Iterable[tuple[str, float, Quantity]]) -> tuple[float, float]:
    """95 % interval of sum(weight * value) over terms (name, weight >= 0, value).

    Terms of one source add linearly, sources in quadrature; ``assumed`` without a path, or no source, is a source per
    name.
    """
    values: list[float] = []
    below: dict[str, float] = defaultdict(float)
    above: dict[str, float] = defaultdict(float)
    for name, weight, number in terms:
        low, high = bounds(number)
        source = f"{ASSUMED}:{name}" if number.source in ("", ASSUMED) else number.source
        values.append(weight * number.value)
        below[source] += weight * (number.value - low)
        above[source] += weight * (high - number.value)
    value = math.fsum(values)
    return value - math.hypot(*below.values()), value + math.hypot(*above.values())


def price(prices: PriceList, activity: Activity, labels: Labels) -> Costs:
    """Cost an activity: rows per sample, layer, timestep, component and action; totals; intervals.

    Energy is counts x prices + leakage x time. EDP is the mean over samples of energy x latency, power the mean energy
    over the mean latency. Latency is counted in ticks, so its interval is not given: it depends on parameters, not on
    prices.
    """
    samples = sorted(activity.ticks)
    assert samples, "an activity without samples"
    prices.check((component, action) for _, _, _, component, action in activity.counts)
    rows = [
        *_action_rows(prices, activity, labels),
        *_leakage_rows(prices, activity, labels),
        *_time_rows(prices, activity, labels),
        *_area_rows(prices, labels),
    ]
    rows.sort(key=_order(activity.layers))
    latency_s = {sample: activity.ticks[sample] * prices.tick_s for sample in samples}
    totals = _totals(rows, activity, latency_s)
    return Costs(rows, totals, _intervals(prices, activity, latency_s), prices_used(prices, activity))


def _order(layers: Sequence[str]) -> Callable[[Row], tuple[object, ...]]:
    """Sort key of rows: shared ones before those of a layer or timestep, layers in the network's order."""
    place = {name: index for index, name in enumerate(layers)}

    def key(row: Row) -> tuple[object, ...]:
        return (
            SHARED if row.sample is None else row.sample,
            SHARED if row.layer is None else place[row.layer],
            SHARED if row.timestep is None else row.timestep,
            row.component or "",
            row.action or "",
            METRIC_ORDER.index(row.metric),
        )

    return key


def _layer(activity: Activity, layer: int) -> str | None:
    return None if layer == SHARED else activity.layers[layer]


def _action_rows(prices: PriceList, activity: Activity, labels: Labels) -> Iterator[Row]:
    for (sample, layer, timestep, component, action), times in activity.counts.items():
        place: dict[str, Any] = {
            "sample": sample,
            "layer": _layer(activity, layer),
            "timestep": None if timestep == SHARED else timestep,
            "component": component,
            "action": action,
        }
        yield labels.row("count", times, "1", **place)
        if (component, action) not in prices.statistics:
            yield labels.cost("energy", times, prices.prices[component, action], "J", **place)


def _leakage_rows(prices: PriceList, activity: Activity, labels: Labels) -> Iterator[Row]:
    for sample, ticks in activity.ticks.items():
        for part in prices.leakage:
            seconds = part.count * ticks * prices.tick_s
            yield labels.cost(
                "energy", seconds, part.each, "J", sample=sample, component=part.component, action=LEAKAGE
            )


def _time_rows(prices: PriceList, activity: Activity, labels: Labels) -> Iterator[Row]:
    tick_s = prices.tick_s
    for (sample, layer, component, state), ticks in activity.cycles.items():
        name = _layer(activity, layer)
        yield labels.row("cycles", ticks, "1", sample=sample, layer=name, component=component, action=state)
    for (sample, layer), ticks in activity.latency.items():
        yield labels.row("latency", ticks * tick_s, "s", sample=sample, layer=_layer(activity, layer))
    for (sample, layer), (first, last) in activity.span.items():
        yield labels.row("span", (last - first) * tick_s, "s", sample=sample, layer=_layer(activity, layer))
    for (sample, layer), times in activity.operations.items():
        yield labels.row("count", times, "1", sample=sample, layer=_layer(activity, layer), action=SYNAPTIC_OPERATIONS)
    for sample, ticks in activity.ticks.items():
        yield labels.row("cycles", ticks, "1", sample=sample)
    for outcome in activity.outcomes:
        yield labels.row("timesteps", outcome.timesteps, "1", sample=outcome.sample)


def _area_rows(prices: PriceList, labels: Labels) -> Iterator[Row]:
    for part in prices.area:
        yield labels.cost("area", part.count, part.each, "m2", component=part.component)


def _totals(rows: Sequence[Row], activity: Activity, latency_s: Mapping[int, float]) -> dict[str, float]:
    energies: dict[int, list[float]] = {sample: [] for sample in latency_s}
    for row in rows:
        if row.metric == "energy":
            assert row.sample is not None
            energies[row.sample].append(row.value)
    count = len(latency_s)
    energy_J = math.fsum(value for values in energies.values() for value in values) / count
    latency = math.fsum(latency_s.values()) / count
    return {
        "energy_J": energy_J,
        "latency_s": latency,
        "edp_Js": math.fsum(math.fsum(values) * latency_s[sample] for sample, values in energies.items()) / count,
        "area_m2": math.fsum(row.value for row in rows if row.metric == "area"),
        "power_W": energy_J / latency if latency else 0.0,
        "cycles": sum(activity.ticks.values()),
        "samples": count,
    }


def _terms(prices: PriceList, activity: Activity, weights: Mapping[int, float]) -> list[tuple[str, float, Quantity]]:
    """The energy as a linear form of the prices, each sample weighted."""
    actions: dict[tuple[str, str], float] = defaultdict(float)
    for (sample, _, _, component, action), times in activity.counts.items():
        if (component, action) not in prices.statistics:
            actions[component, action] += times * weights[sample]
    terms = [(f"{key[0]}.{key[1]}", weight, prices.prices[key]) for key, weight in actions.items()]
    seconds = math.fsum(activity.ticks[sample] * prices.tick_s * weight for sample, weight in weights.items())
    terms += [(f"{part.component}.{LEAKAGE}", part.count * seconds, part.each) for part in prices.leakage]
    return terms


def _intervals(prices: PriceList, activity: Activity, latency_s: Mapping[int, float]) -> dict[str, tuple[float, float]]:
    count = len(latency_s)
    energy = interval(_terms(prices, activity, dict.fromkeys(latency_s, 1 / count)))
    edp = interval(_terms(prices, activity, {sample: value / count for sample, value in latency_s.items()}))
    area = interval((f"{part.component}.area", float(part.count), part.each) for part in prices.area)
    latency = math.fsum(latency_s.values()) / count
    power = (energy[0] / latency, energy[1] / latency) if latency else (0.0, 0.0)
    return {"energy_J": energy, "edp_Js": edp, "area_m2": area, "power_W": power}


def prices_used(prices: PriceList, activity: Activity) -> list[dict[str, Any]]:
    """Every number that entered the costs: component, action, value, unit, error (one standard deviation), source."""
    used = {(component, action) for _, _, _, component, action in activity.counts} - prices.statistics
    entries = [(component, action, prices.prices[component, action], "J") for component, action in sorted(used)]
    entries += [(part.component, LEAKAGE, part.each, "W") for part in prices.leakage]
    entries += [(part.component, "area", part.each, "m2") for part in prices.area]
    return [
        {
            "component": component,
            "action": action,
            "value": each.value,
            "unit": unit,
            "error": standard_deviation(each),
            "source": each.source,
        }
        for component, action, each, unit in entries
    ]
