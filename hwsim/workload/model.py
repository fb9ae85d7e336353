"""The workload in memory: a network, its shapes, or its recorded spikes, as frozen data; arrays are read on demand.

Axes everywhere: T timesteps, C channels, H rows, W columns, M filters, R x S kernel. The order of the reduction index K
is (c, r, s), which is how torch flattens a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.workload.npz import Arrays

SCHEMA = "hwsim/workload/1"
INPUT = "input"
"""Name of the edge that carries the (encoded) input of the network."""

SETS = ("calibration", "test", "demo")
WEIGHTED = ("conv1d", "conv2d", "linear")
POOLS = ("avgpool", "maxpool", "sumpool")
OPS = ("conv1d", "conv2d", "linear", *POOLS, "flatten", "reshape", "add", "concat")

EdgeKind = Literal["spike", "count", "current", "analog"]


@dataclass(frozen=True)
class Member:
    """A number per channel (or per timestep and channel) that stands in a member of the npz."""

    name: str


Value = float | Member


@dataclass(frozen=True)
class Edge:
    """What runs over an edge. Integers in ``low..high`` of ``bits`` bits, real value = integer x ``scale``.

    ``spike``: events (0/1; signed or graded where the neuron says so). ``count``: sums of spikes, or pixels.
    ``analog``: activations of a relu. ``current``: real numbers, ``bits`` = 0.
    """

    kind: EdgeKind
    bits: int
    scale: float = 1.0
    low: int = 0
    high: int = 1

    @property
    def signed(self) -> bool:
        """Whether negative integers occur."""
        return self.low < 0


@dataclass(frozen=True)
class InputSpec:
    """The network's input: ``shape`` of one sample (per timestep), the integers in it, and how they become events.

    direct: the same integers at every timestep. poisson: spikes with probability integer x scale.
    counts: one integer array per timestep. events: (time_us, index) binned every ``bin_us`` microseconds.
    """

    shape: tuple[int, ...]
    kind: EdgeKind
    bits: int
    scale: float
    encoding: Literal["direct", "poisson", "events", "counts"]
    signed: bool = False
    bin_us: int | None = None

    @property
    def edge(self) -> Edge:
        """The edge that the first layer sees, after encoding."""
        if self.encoding == "poisson":
            return Edge("spike", 1)
        low, high = integer_range(self.bits, self.signed)
        return Edge(self.kind, self.bits, self.scale, low, high)


@dataclass(frozen=True)
class Weights:
    """Weights in ``member``: integers of ``bits`` bits x ``scale`` (scalar or [M]), or float32 (bits 32, scale 1)."""

    member: str
    bits: int
    scale: Value = 1.0


@dataclass(frozen=True)
class BatchNorm:
    """Raw batch normalisation; members of shape [M], or [T, M] when ``per_timestep`` (BNTT)."""

    gamma: str
    beta: str
    mean: str
    var: str
    eps: float
    per_timestep: bool = False


@dataclass(frozen=True)
class Membrane:
    """How the membrane is stored: signed integers of ``bits`` bits in steps of ``scale``."""

    bits: int
    scale: float
    rounding: Literal["nearest_even"] = "nearest_even"
    saturate: bool = True


@dataclass(frozen=True)
class Neuron:
    """u = leak * u + I; spike when u ``compare`` threshold; then reset. relu: clip(round(I/scale), 0, 2^bits - 1).

    ``leak_shift`` n means that the leak is made as u - (u >> n); ``leak`` then is 1 - 2^-n.
    """

    type: Literal["lif", "if", "relu", "none"]
    leak: float = 1.0
    leak_shift: int | None = None
    threshold: Value = 1.0
    compare: Literal[">", ">="] = ">"
    reset: Literal["zero", "subtract"] = "zero"
    start: float = 0.0
    max_spikes: int = 1
    bits: int = 0
    scale: float = 1.0
    signed: bool = False
    membrane: Membrane | None = None

    @property
    def spiking(self) -> bool:
        """Whether this neuron has a membrane and fires."""
        return self.type in ("lif", "if")


NO_NEURON = Neuron("none")


@dataclass(frozen=True)
class Geometry:
    """Integers of a weighted layer. A linear layer is a 1x1 kernel over one position, or over W positions.

    C, H, W: unpadded input; M filters; R x S kernel; E x F output.
    """

    C: int
    H: int
    W: int
    M: int
    R: int
    S: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    dilation_y: int
    dilation_x: int
    groups: int
    E: int
    F: int

    @property
    def P(self) -> int:
        """Output positions."""
        return self.E * self.F

    @property
    def K(self) -> int:
        """Reduction length of one output: kernel elements of one group."""
        return self.R * self.S * self.C // self.groups

    @property
    def dense_operations(self) -> int:
        """Multiply-accumulates of one timestep if nothing is zero; padding counts as input."""
        return self.P * self.K * self.M

    @property
    def weight_count(self) -> int:
        """Number of weights."""
        return self.M * self.K


@dataclass(frozen=True)
class Layer:
    """One node of the network: op -> scale and bias -> BN -> neuron. Kernel, stride, padding, dilation are (y, x).

    ``density`` and ``weight_density``: share of nonzero inputs and weights, of shape tables only. ``input_bits``: width
    of the inputs of a layer of a shape table or trace, where it is not what the layer before gives. ``values_recorded``
    is False where a trace only knows that an input was used. ``timesteps``: what a trace recorded of this layer.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    channels: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    weights: Weights | None = None
    bias: str | None = None
    bn: BatchNorm | None = None
    neuron: Neuron = NO_NEURON
    density: float | None = None
    weight_density: float | None = None
    connected: bool = True
    input_bits: int | None = None
    values_recorded: bool = True
    timesteps: int | None = None

    @property
    def has_weights(self) -> bool:
        """Whether this layer multiplies by weights (also in shape tables and traces, which hold none)."""
        return self.op in WEIGHTED

    @property
    def geometry(self) -> Geometry:
        """The integers of a weighted layer."""
        assert self.has_weights, self.op
        if self.op == "linear":
            positions = self.input_shape[1] if len(self.input_shape) == 2 else 1
            return Geometry(self.input_shape[0], 1, positions, self.channels, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, positions)
        channels, height, width = spatial(self.input_shape)
        _, rows, columns = spatial(self.output_shape)
        return Geometry(
            channels, height, width, self.channels, *self.kernel, *self.stride, *self.padding, *self.dilation,
            self.groups, rows, columns,
        )  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """One sample set: ``inputs`` [N, ...] with labels [N], or events (time_us, index, offsets [N+1]) with labels."""

    inputs: np.ndarray | None
    labels: np.ndarray
    time_us: np.ndarray | None = None
    index: np.ndarray | None = None
    offsets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SampleSet:
    """Where a sample set stands: member names, in the workload's own file or in the data file."""

    members: Mapping[str, str]
    external: bool


@dataclass(frozen=True)
class Workload:
    """A validated workload. Arrays are read from ``path`` when asked for, and remembered while they are few."""

    name: str
    kind: Literal["network", "trace", "shapes"]
    timesteps: int
    classes: int | None
    input: InputSpec
    layers: tuple[Layer, ...]
    output_layer: str | None
    decision: Literal["accumulate", "fire"] | None
    edges: Mapping[str, Edge]
    training: Mapping[str, Any]
    sample_sets: Mapping[str, SampleSet]
    path: Path | None
    sha256: str
    spec: Mapping[str, Any] = field(repr=False)
    arrays: Arrays = field(repr=False)
    data: Arrays | None = field(repr=False, default=None)
    data_sha256: str | None = None

    @property
    def weighted(self) -> tuple[Layer, ...]:
        """The layers with weights, in order."""
        return tuple(layer for layer in self.layers if layer.has_weights)

    def layer(self, name: str) -> Layer:
        """The layer of this name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise SpecError(f"workload {self.name} has no layer '{name}'; {did_you_mean(name, names, 'Layers')}")

    def edge(self, name: str) -> Edge:
        """The edge that leaves layer ``name``, or the network's input ('input')."""
        return self.edges[name]

    def input_edge(self, layer: Layer) -> Edge:
        """What a layer takes: the edge of its first input, or what a shape table or trace says of it."""
        if layer.input_bits is not None:
            high = 2**layer.input_bits - 1
            return Edge("spike" if high == 1 else "count", layer.input_bits, high=high)
        edge = self.edges[layer.inputs[0]] if layer.inputs else Edge("spike", 1)
        # Tables and traces do not list the additions between layers: what arrives after them are spikes again.
        return Edge("spike", 1) if edge.kind == "current" and self.kind != "network" else edge

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the edge that leaves layer ``name``, or of the network's input ('input')."""
        return self.input.shape if name == INPUT else self.layer(name).output_shape

    def array(self, member: str) -> np.ndarray:
        """One array of the workload's file, read-only."""
        return self.arrays.read(member)

    def values(self, value: Value) -> np.ndarray:
        """A scalar (shape []) or the array that it stands for, float64."""
        if isinstance(value, Member):
            return np.asarray(self.array(value.name), dtype=np.float64)
        return np.asarray(value, dtype=np.float64)

    def weight(self, layer: Layer) -> np.ndarray:
        """Weights of ``layer`` as stored: conv2d [M, C/groups, R, S], conv1d [M, C/groups, S], linear [M, K]."""
        assert layer.weights is not None, layer.name
        return self.array(layer.weights.member)

    def samples(self, name: str = "test") -> Samples:
        """The sample set ``name`` ('calibration', 'test' or 'demo')."""
        if name not in self.sample_sets:
            known = ", ".join(self.sample_sets) or "none"
            raise SpecError(f"workload {self.name} has no sample set '{name}'; sets it has: {known}")
        where = self.sample_sets[name]
        source = self.data if where.external else self.arrays
        assert source is not None
        arrays: dict[str, Any] = {key: source.read(member) for key, member in where.members.items()}
        return Samples(**({"inputs": None} | arrays))

    def weight_pattern(self, layer: Layer, seed: int = 0) -> np.ndarray:
        """Which weights are not zero, bool [M, K]: as stored, as drawn for a shape table, all of them for a trace."""
        from hwsim.workload.drawn import weight_pattern

        return weight_pattern(self, layer, seed)

    def layer_inputs(
        self, layer: str | Layer, sample: int = 0, seed: int = 0, timesteps: int | None = None
    ) -> np.ndarray:
        """Inputs of a weighted layer of a trace (as recorded) or of a shape table (drawn), [T, *input_shape]."""
        from hwsim.workload.drawn import layer_inputs

        found = self.layer(layer) if isinstance(layer, str) else layer
        return layer_inputs(self, found, sample, seed, self.timesteps if timesteps is None else timesteps)


def spatial(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of a shape (C, L) or (C, H, W); one dimension counts as H = 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def integer_range(bits: int, signed: bool) -> tuple[int, int]:
    """Least and largest integer of ``bits`` bits, two's complement when signed."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def size(shape: tuple[int, ...]) -> int:
    """Number of elements."""
    return math.prod(shape)
