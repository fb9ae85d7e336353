"""What uncertain timing parameters do to the totals: the machine is simulated again at both ends of each one.

Prices are uncertain too; those intervals follow from the counts (``hwsim.cost``). A bandwidth changes the schedule
itself, so it has to be run. Parameters and prices are wrong independently: their distances add in quadrature.
"""

from __future__ import annotations

import math

from hwsim.activity import Activity
from hwsim.cost import Costs, PriceList
from hwsim.machines import Prepared

TIMED = ("energy_J", "latency_s", "edp_Js", "power_W")


def widen(costs: Costs, runner: Prepared, prices: PriceList) -> list[str]:
    """Widen the intervals of ``costs`` by the timing parameters, from sample 0; returns notes on each one's share."""
    ends = runner.timing_ends()
    if not ends:
        return []
    machines = [machine for _, low, high in ends.values() for machine in (low, high)]
    totals = [_totals(activity, prices) for activity in runner.vary(machines)]
    nominal, varied = totals[0], totals[1:]
    notes = []
    moves: dict[str, list[tuple[float, float]]] = {name: [] for name in TIMED}
    for place, (name, (text, _, _)) in enumerate(ends.items()):
        low, high = varied[2 * place], varied[2 * place + 1]
        for total in TIMED:
            changes = [costs.totals[total] * (end[total] / nominal[total] - 1.0) for end in (low, high)]
            moves[total].append((max(0.0, -min(changes)), max(0.0, *changes)))
        factors = sorted(end["latency_s"] / nominal["latency_s"] for end in (low, high))
        spread = " to ".join(f"{factor:.3g}x" for factor in factors)
        notes.append(f"{name} {text} (95 %): latency {spread}")
    for total in TIMED:
        value = costs.totals[total]
        below, above = costs.intervals.get(total, (value, value))
        down = math.hypot(value - below, *(move[0] for move in moves[total]))
        up = math.hypot(above - value, *(move[1] for move in moves[total]))
        costs.intervals[total] = (_above_zero(value, down), value + up)
    return notes


def _above_zero(value: float, down: float) -> float:
    """The lower end; where the distances reach beyond zero it is the ratio that counts, not the difference."""
    return value - down if down < value else value * value / (value + down)


def _totals(activity: Activity, prices: PriceList) -> dict[str, float]:
    """The totals that ``TIMED`` names, of an activity of one sample."""
    (ticks,) = activity.ticks.values()
    latency = ticks * prices.tick_s
    energy = math.fsum(
        times * prices.prices[component, action].value
        for (_, _, _, component, action), times in activity.counts.items()
        if (component, action) in prices.prices
    )
    energy += math.fsum(part.count * part.each.value * latency for part in prices.leakage)
    return {"energy_J": energy, "latency_s": latency, "edp_Js": energy * latency, "power_W": energy / latency}
