"""What a simulation counted: actions, cycles, spans and outputs, before any price."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

SHARED = -1
"""Layer or timestep of an action that belongs to none alone (leakage, fetches for several timesteps)."""


@dataclass
class SampleOutcome:
    """What one sample gave: ``output`` [timesteps, classes] accumulated, the decision, and when it stopped."""

    sample: int
    label: int | None
    prediction: int | None
    timesteps: int
    output: np.ndarray | None = None


@dataclass
class Activity:
    """Integer record of a run.

    counts      (sample, layer, timestep, component, action) -> times the action happened
    cycles      (sample, layer, component, state) -> unit-ticks; state is 'busy', 'idle' or 'stall:<cause>'
    latency     (sample, layer) -> ticks in which the layer was the oldest unfinished one (additive)
    span        (sample, layer) -> (first start, last end) in ticks
    ticks       sample -> duration of the sample's run
    operations  (sample, layer) -> synaptic operations done in tiles (every one in exactly one tile)
    """

    layers: list[str] = field(default_factory=list)
    counts: dict[tuple[int, int, int, str, str], int] = field(default_factory=lambda: defaultdict(int))
    cycles: dict[tuple[int, int, str, str], int] = field(default_factory=lambda: defaultdict(int))
    latency: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    span: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    ticks: dict[int, int] = field(default_factory=dict)
    operations: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    outcomes: list[SampleOutcome] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: int = 0

    def count(self, sample: int, layer: int, timestep: int, component: str, action: str, times: int) -> None:
        """Add ``times`` occurrences of one action; zero leaves no trace."""
        if times:
            self.counts[sample, layer, timestep, component, action] += int(times)

    def spend(self, sample: int, layer: int, component: str, state: str, ticks: int) -> None:
        """Add unit-ticks that a component spent in one state; zero leaves no trace."""
        if ticks:
            self.cycles[sample, layer, component, state] += int(ticks)
