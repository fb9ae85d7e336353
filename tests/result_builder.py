"""Hand-made activities, prices and results for the tests of cost, result, report, compare and the command line."""

from __future__ import annotations

import math

from hwsim.activity import SHARED, Activity, SampleOutcome
from hwsim.cost import Instances, Labels, PriceList, price
from hwsim.result import Accuracy, NaiveEstimate, Result
from hwsim.units import Quantity

LAYERS = ["conv1", "fc1"]
STATISTICS = frozenset({("network", "look_ups")})


def activity(samples: int = 2, fetches: int = 1000) -> Activity:
    """Two layers, three timesteps; sample s takes 100 * (s + 1) ticks per layer."""
    made = Activity(layers=list(LAYERS))
    for sample in range(samples):
        for layer in range(2):
            made.count(sample, layer, SHARED, "dram", "read", fetches * (sample + 1))
            made.count(sample, layer, SHARED, "buffer", "read", 300 + layer)
            for timestep in range(3):
                made.count(sample, layer, timestep, "pe", "accumulate", 7 * (timestep + 1))
            made.count(sample, layer, SHARED, "network", "look_ups", 42)
            made.operations[sample, layer] = 42
            ticks = 100 * (sample + 1)
            made.spend(sample, layer, "pe", "busy", 80 * ticks)
            made.spend(sample, layer, "pe", "idle", 20 * ticks)
            made.latency[sample, layer] = ticks
            made.span[sample, layer] = (layer * ticks, (layer + 1) * ticks)
        made.ticks[sample] = 200 * (sample + 1)
        made.outcomes.append(SampleOutcome(sample, 3, 3, 3))
    return made


def prices(dram_error: float = 0.2) -> PriceList:
    """Prices of three sources; the buffer's leakage and area come from the source of its energy."""
    energies = {
        ("dram", "read"): Quantity(400e-12, 400e-12 * dram_error, 0.0, "table", "J"),
        ("buffer", "read"): Quantity(20e-12, 2e-12, 0.0, "memory", "J"),
        ("pe", "accumulate"): Quantity(0.05e-12, 0.0, math.log(2), "synthesis", "J"),
    }
    leakage = [Instances("buffer", 2, Quantity(0.025, 0.0025, 0.0, "memory", "W"))]
    area = [
        Instances("buffer", 1, Quantity(0.5e-6, 0.05e-6, 0.0, "memory", "m^2")),
        Instances("pe", 128, Quantity(1e-9, 0.0, 0.0, "assumed:components.pe.area", "m^2")),
        Instances("dram", 1, Quantity(0.0, source="not modelled", unit="m^2")),
    ]
    return PriceList(energies, leakage, area, 2.5e-9, STATISTICS, frozenset({"dram"}))


def result(dataflow: str = "os", node_m: float = 28e-9, fetches: int = 1000, **more: object) -> Result:
    """A complete result of the activity above."""
    costs = price(prices(), activity(fetches=fetches), Labels("a run", "toy", "net"))
    fields: dict[str, object] = {
        "layers": list(LAYERS),
        "technology": {"node_m": node_m, "voltage_V": 0.9, "clock_Hz": 400e6, "off_chip": ["dram"]},
        "settings": {"seed": 0, "samples": 2, "dataflow": dataflow},
        "hashes": {"architecture": "a" * 64, "workload": "b" * 64},
        "accuracy": Accuracy(0.93, 100),
        "estimate": NaiveEstimate(10_000, 3, 0.2, Quantity(0.05e-12, 0.0, math.log(2), "synthesis", "J")),
        "schedule": ["for filter block", "  for pixel block"],
        "notes": ["DRAM refresh is not modelled."],
        "manifest": {"depth": "kernel", "wall_time_s": 1.5},
    }
    return Result.of(costs, "toy", "net", dataflow, **(fields | more))
