"""What the processes of one run share: the machine, the clock, the layers' data, the book of what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsim.activity import SHARED, Activity
from hwsim.components.memory import Cause
from hwsim.components.mesh import Multicast, Packet, TileNetwork
from hwsim.components.ports import Environment, Switchboard
from hwsim.kernels.analog import Analog
from hwsim.kernels.analog_tile import TileResult
from hwsim.machines.crossbar.build import Machine
from hwsim.machines.crossbar.flow import Flow
from hwsim.machines.crossbar.mapping import Placed
from hwsim.network import kernels
from hwsim.network.freeze import FrozenLayer
from hwsim.network.spikes import LayerInputs, Recorded

TileCall = Callable[..., TileResult]


@dataclass(frozen=True)
class Row:
    """Row ``y`` of an edge (or of a layer's output) at timestep ``t``."""

    t: int
    y: int


@dataclass
class LayerData:
    """One layer in a run: what its tile calls read, and what they made.

    membranes  [E F, units] float64, where the neuron is spiking
    outputs    [T, E F, M] spikes, activations or currents, as they come about
    """

    placed: Placed
    analog: Analog | None
    frozen: FrozenLayer | None
    inputs: LayerInputs
    keys: Callable[[int], np.ndarray]
    membranes: np.ndarray | None = None
    outputs: np.ndarray | None = None
    _events: tuple[int, Any] = (-1, None)

    def at(self, t: int) -> np.ndarray:
        """Input of timestep ``t``, channel-last [1, H W, C]."""
        g = self.placed.geometry
        if isinstance(self.inputs, Recorded):
            whole = self.inputs.channel_last(self.placed.name)
            return whole[min(t, len(whole) - 1)].reshape(1, g.H * g.W, g.C)
        return np.ascontiguousarray(self.inputs.at(self.placed.name, t).reshape(g.C, -1).T)[None]

    def events(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(first [pixels + 1], channel, value) of timestep ``t``."""
        t = 0 if self.inputs.constant(self.placed.name) else t
        if self._events[0] != t:
            first, channel, value = kernels.list_events(self.at(t), np.empty(0, np.int32))
            self._events = (t, (first[0], channel, value))
        return self._events[1]


@dataclass
class Chip:
    """Everything that the processes of one sample's run share but must not decide through."""

    machine: Machine
    env: Environment
    board: Switchboard
    activity: Activity
    network: TileNetwork
    flow: Flow
    data: dict[str, LayerData]
    sample: int
    timesteps: int
    call: TileCall
    node_of: dict[int, int]
    """Tile -> node of the network."""
    global_node: int
    ends: dict[str, int] = field(default_factory=dict)
    """Layer -> last tick in which something was done for it."""

    def index(self, layer: str | None) -> int:
        """Number of a weighted layer; ``SHARED`` for what belongs to none."""
        return SHARED if layer is None else self.flow.placed[layer].index

    def cause(self, layer: str | None, t: int) -> Cause:
        """For whom something is counted."""
        return Cause(self.sample, self.index(layer), t)

    def count(self, layer: str | None, t: int, component: str, action: str, times: int) -> None:
        """Book an action."""
        self.activity.count(self.sample, self.index(layer), t, component, action, times)

    def spend(self, layer: str | None, component: str, state: str, ticks: int) -> None:
        """Book unit-ticks."""
        self.activity.spend(self.sample, self.index(layer), component, state, ticks)

    def touch(self, layer: str, ticks: int = 0) -> None:
        """Something is done for a layer until ``ticks`` from now."""
        end = self.env.tick + ticks
        self.ends[layer] = max(self.ends.get(layer, 0), end)
        key = (self.sample, self.index(layer))
        first, last = self.activity.span.get(key, (self.env.tick, 0))
        self.activity.span[key] = (first, max(last, end))

    def flits(self, bits: int) -> int:
        """Flits of a packet that carries ``bits``."""
        return max(1, -(-bits // int(self.machine.parameter("router", "flit"))))

    def to_global(self, tile: int, port: str, payload: Any, bits: int, cause: Cause, sender: str) -> None:
        """A packet from a tile to the global node."""
        packet = Packet(self.node_of[tile], self.global_node, port, payload, self.flits(bits), cause)
        self.network.send(sender, packet)

    def from_global(self, targets: list[tuple[int, str]], payload: Any, flits: int, cause: Cause) -> Packet | Multicast:
        """A packet from the global node to a tile, or to several; ``targets`` (tile, port)."""
        places = tuple((self.node_of[tile], port) for tile, port in targets)
        if len(places) == 1:
            return Packet(self.global_node, *places[0], payload, flits, cause)
        return Multicast(self.global_node, places, payload, flits, cause)
