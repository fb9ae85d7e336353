"""What a plain core knows: the same as ``hwsim.kernels.core_state`` has in arrays, as plain values."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hwsim.components.core_process.synapses import PlainNetwork
from hwsim.kernels.core_state import ASYNCHRONOUS, FIRST_OF_CORE, GROUP, Chip, timestep_of


class Spike(NamedTuple):
    """In an input queue. ``remote``: it came from another core."""

    neuron: int
    amount: int
    due: int
    remote: bool


@dataclass
class Waiting:
    """In the spike queue."""

    multiplicity: int
    potential: float
    arrival: int


@dataclass
class Sent:
    """A message of a turn: spikes of a neuron (None: a stop) for cores, leaving at a tick of the turn."""

    neuron: int | None
    amount: int
    to: tuple[int, ...]
    leaves: int


@dataclass
class Outcome:
    """What a turn gave. ``log``: the columns of ``core_state.LOG`` that the turn decides."""

    cycles: int
    sent: list[Sent]
    local: list[Spike]
    fired: list[tuple[int, float]]
    chosen: list[tuple[int, int, float]]
    """Neuron, multiplicity, key."""
    updated: int
    output: int


@dataclass(frozen=True)
class Setting:
    """What all cores of a run share. ``policy``: an object with ``key`` (compiled), ``needs_draw``, ``draw_scale``."""

    network: PlainNetwork
    chip: Chip
    policy: Any
    timesteps: int
    seed: int
    sample: int
    streams: list[str]

    def timestep(self, time: int, layer: int) -> int:
        """The timestep that a layer works on; -1 where it does not."""
        found = timestep_of.py_func(self.chip.order, self.chip.layers, time, layer)  # type: ignore[attr-defined]
        return found if found < self.timesteps else -1

    def holders(self, layer: int) -> list[int]:
        """Cores that hold neurons of a layer."""
        if layer >= len(self.network.layers):
            return []
        own = self.network.layers[layer]
        return [core for core in range(len(self.chip.core) - 1)
                if self.bounds(core)[0] < own.first + own.size and own.first < self.bounds(core)[1]]  # fmt: skip

    def bounds(self, core: int) -> tuple[int, int]:
        """First neuron and last + 1 of a core."""
        return int(self.chip.core[core, FIRST_OF_CORE]), int(self.chip.core[core + 1, FIRST_OF_CORE])


@dataclass
class CoreState:
    """One core: neurons by their number in the network, layers by theirs."""

    core: int
    setting: Setting
    potential: dict[int, float] = field(default_factory=dict)
    resting: set[int] = field(default_factory=set)
    """Refractory neurons."""
    times: dict[int, int] = field(default_factory=dict)
    """Layer -> timestep, -1 before the first."""
    seen: dict[tuple[int, int], int] = field(default_factory=dict)
    """(layer, cell) -> timestep in which a spike passed last."""
    waiting: dict[int, Waiting] = field(default_factory=dict)
    arrived: int = 0
    last: int = -1
    counts: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    wakes: int = 0
    largest: dict[int, float] = field(default_factory=dict)
    queue: deque[Spike] = field(default_factory=deque)

    def __post_init__(self) -> None:
        low, high = self.setting.bounds(self.core)
        network = self.setting.network
        for neuron in range(low, high):
            layer = network.layer_of(neuron)
            self.potential[neuron] = network.layers[layer].start
            self.times[layer] = -1
            self.largest[layer] = 0.0

    @property
    def group(self) -> int:
        """F."""
        return int(self.setting.chip.core[self.core, GROUP])

    @property
    def asynchronous(self) -> bool:
        """Whether there are no phases."""
        return bool(self.setting.chip.order == ASYNCHRONOUS)

    def neurons(self, layer: int) -> list[int]:
        """This core's neurons of a layer."""
        own = self.setting.network.layers[layer]
        low, high = self.setting.bounds(self.core)
        return list(range(max(low, own.first), min(high, own.first + own.size)))

    def count(self, layer: int, timestep: int, action: str, times: int = 1) -> None:
        """Book an action."""
        self.counts[layer, timestep, action] += times
