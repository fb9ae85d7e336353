"""What a profile returns: counters and energies per layer, in SI, ready to become result rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hwsim.result import Accuracy


class ProfileRow(NamedTuple):
    """One value. ``layer`` is empty for the whole run; ``metric``: 'count', 'cycles', 'energy', 'area', or of a finding
    its own name.
    """

    layer: str
    component: str
    action: str
    metric: str
    value: float
    unit: str
    source: str
    timestep: int | None = None


@dataclass(frozen=True)
class LayerResult:
    """One layer. ``counters``: name -> count (words, cycles, operations). ``energy_J``: (component, action) -> J."""

    name: str
    counters: dict[str, int]
    energy_J: dict[tuple[str, str], float] = field(default_factory=dict)


COUNTER_PLACES: dict[str, tuple[str, str]] = {
    "folds": ("array", "fold"),
    "compute_cycles": ("array", "busy"),
    "weight_fill_cycles": ("array", "weight_fill"),
    "last_write_cycle": ("tool_report", "last_write_cycle"),
    "ifmap_sram_reads": ("ifmap_buffer", "read"),
    "weight_sram_reads": ("weight_buffer", "read"),
    "ofmap_sram_writes": ("ofmap_buffer", "write"),
    "ofmap_sram_writes_reported": ("tool_report", "ofmap_write"),
    "ifmap_dram_reads": ("dram", "ifmap_read"),
    "weight_dram_reads": ("dram", "weight_read"),
    "ofmap_dram_writes": ("dram", "ofmap_write"),
    "accumulates": ("spike_mac", "accumulate"),
    "lif_updates": ("lif", "update"),
    "pe_activations": ("pe", "activation"),
}
"""Counter name -> (component, action) of its row. ``cycles`` has none: its parts have. ``tool_report`` holds what a
tool prints with its artefacts, apart from the counts, so that sums over a component mean something.
"""


@dataclass(frozen=True)
class ProfileResult:
    """Counters and energies of a run under one published tool's accounting.

    ``sources`` maps a component to the origin of its prices; ``notes`` say what the accounting leaves out; ``printed``
    is what the tool would print.
    ``accuracy`` and ``findings`` (rows that explain it): of profiles that run the network.
    """

    profile: str
    dataflow: str
    timesteps: int
    rows_of_array: int
    columns_of_array: int
    layers: tuple[LayerResult, ...]
    clock_Hz: float | None = None
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    area_m2: dict[str, float] = field(default_factory=dict)
    printed: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    findings: tuple[ProfileRow, ...] = ()

    def counter(self, name: str) -> int:
        """A counter summed over layers; zero where no layer has it."""
        return sum(layer.counters.get(name, 0) for layer in self.layers)

    @property
    def counted(self) -> bool:
        """Whether the tool counts anything: accuracy studies do not."""
        return any(layer.counters for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Cycles of the whole run: layers follow one another."""
        return self.counter("cycles")

    @property
    def latency_s(self) -> float | None:
        """Cycles at the profile's clock; None where the tool has no clock."""
        return None if self.clock_Hz is None else self.cycles / self.clock_Hz

    def energy(self, component: str | None = None, action: str | None = None) -> float:
        """Energy in J of all layers, of one component, of one action, or of both given."""
        return math.fsum(
            joules
            for layer in self.layers
            for (of, what), joules in layer.energy_J.items()
            if component in (None, of) and action in (None, what)
        )

    @property
    def total_energy_J(self) -> float:
        """Energy of the whole run in J; zero for profiles without an energy model."""
        return self.energy()

    def rows(self) -> Iterator[ProfileRow]:
        """Every counter and energy of every layer; sums over rows give the totals."""
        for layer in self.layers:
            for name, (component, action) in COUNTER_PLACES.items():
                if name in layer.counters:
                    metric = "cycles" if name.endswith("_cycles") else "count"
                    value, source = layer.counters[name], self.sources.get("counts", "")
                    yield ProfileRow(layer.name, component, action, metric, value, "1", source)
            for (component, action), joules in layer.energy_J.items():
                source = self.sources.get(component, "")
                yield ProfileRow(layer.name, component, action, "energy", joules, "J", source)
        for component, area in self.area_m2.items():
            yield ProfileRow("", component, "", "area", area, "m2", self.sources.get(component, ""))
