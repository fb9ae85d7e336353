"""The systolic tile call: what one buffer fill feeds on a PE array with its LIF units. Types, and the kernel depth.

A tile call is a pure function of (work, config, operands, entry state). ``call_kernel`` computes it in closed forms and
numba loops over folds; ``hwsim.components.array.call_process`` computes the same by moving every operand through the
array. Their results are equal in every field.

Axes: T timesteps of the call, C x H x W input, P = E x F output pixels, M filters, K reduction in the order (c, r, s).
Groups are handled outside: one call per group, with the geometry of that group.

Order of the folds (Ra x Ca array; b timesteps per pass; q bit planes; K' = k1 - k0)::

    output:  for Ca filters / for Ra pixels / for pass:     compute = max(slots, 1) + Ra + Ca - 2
    weight:  for Ca filters / for pass / for Ra of q K':    compute = max(slots, 1) + 2 Ra + Ca - 2
    input:   for Ca pixels  / for pass / for Ra of q K':    compute = max(slots, 1) + 2 Ra + Ca - 2

A skipped slot leaves no trace in the PEs. To find a zero the operand has to be read, so the lines of the operand that
is inspected stay; a fold that vanishes whole (weight: all its weights zero; input: all its bits zero) takes no array
cycle and does not fetch its other operand, but its partial sums still pass through the buffer. With ``fold_overlap``
the next fold streams in behind the wave of this one and stationary operands are loaded into shadow registers
meanwhile: the first fold pays the load of Ra cycles, the last one the skew, a fold lasts at least as long as the load
of the next, and sums reach the LIF units when the wave has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from hwsim.network.neuron import LifParameters
from hwsim.workload.model import Geometry

if TYPE_CHECKING:
    from hwsim.network.freeze import FrozenLayer

UNLIMITED = 1 << 30
"""Lines per cycle of a port that never slows the array."""

Zeros = Literal["ignored", "gated", "skipped"]


@dataclass(frozen=True)
class ArrayConfig:
    """The array, its LIF units and the ports of its buffers; integers of one layer (widths may differ between layers).

    ``timesteps_per_fold`` b; ``spad_slice`` reduction elements that a PE's spads hold at once; ``read_ports`` and
    ``write_ports`` lines per cycle and buffer; ``lif_sharing`` channels per LIF unit; ``mac``: a slot takes a word;
    ``buffer_of``: which buffer serves weights, inputs, outputs (with partial sums and membranes): operands of the same
    number share its read ports. Only outputs are written in a call, through ports of their own.
    """

    rows: int
    columns: int
    spad_slice: int = 9
    line_bits: int = 256
    read_ports: int = 1
    write_ports: int = 1
    psum_bits: int = 16
    weight_bits: int = 8
    membrane_bits: int = 8
    lif_sharing: int = 1
    fold_overlap: bool = False
    zero_spikes: Zeros = "gated"
    zero_weights: Zeros = "ignored"
    timesteps_per_fold: int = 1
    mac: bool = False
    buffer_of: tuple[int, int, int] = (0, 1, 2)


@dataclass(frozen=True)
class TileWork:
    """Ranges and formats of one tile call.

    word_bits       bits of one stored input value of one timestep (spikes: 1). A word holds the timesteps of a pass.
    constant_input  one value serves all timesteps (direct coding): a word is ``word_bits`` and x may be [1, C, H, W]
    output_bits     bits of one output of one timestep. Neuron 'none': bits of one accumulated sum, written by the last
                    pass only. 0: outputs stay in the PEs.
    membrane_in, membrane_out   membranes are read from, written to the output buffer
    planes          bit planes that the input is fed in, least significant first; the last one subtracts if signed_input
    hold_current    the sum of a constant input is computed once, as for one timestep, and held in the accumulator while
                    the LIF units run all timesteps (output stationary): the first pass of a fold does all its work,
                    later ones only send their end through the array
    """

    stationary: Literal["output", "weight", "input"]
    geometry: Geometry
    m0: int
    m1: int
    p0: int
    p1: int
    k0: int
    k1: int
    first_k: bool = True
    last_k: bool = True
    timesteps: int = 1
    planes: int = 1
    word_bits: int = 1
    constant_input: bool = False
    output_bits: int = 1
    membrane_in: bool = False
    membrane_out: bool = False
    neuron: Literal["lif", "if", "relu", "none"] = "lif"
    signed_input: bool = False
    hold_current: bool = False

    @property
    def spiking(self) -> bool:
        """Whether this call ends in LIF units."""
        return self.last_k and self.neuron in ("lif", "if")


@dataclass(frozen=True)
class TileNeuron:
    """The end of the layer for filters m0:m1 and timesteps of a call; rows [T or 1, M'] float64."""

    scale: np.ndarray
    offset: np.ndarray
    threshold: np.ndarray
    lif: LifParameters
    current_step: float
    start: float = 0.0
    relu_scale: float = 1.0
    relu_high: float = 0.0

    @classmethod
    def of(cls, frozen: FrozenLayer, m0: int, m1: int, t0: int, t1: int) -> TileNeuron:
        """Output channels m0:m1 (of the whole layer) at timesteps t0:t1."""

        def part(rows: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(rows[t0:t1, m0:m1] if len(rows) > 1 else rows[:, m0:m1])

        neuron = frozen.layer.neuron
        return cls(part(frozen.scale), part(frozen.offset), part(frozen.threshold), frozen.lif, frozen.current_step,
                   frozen.start, neuron.scale, float(2**neuron.bits - 1))  # fmt: skip


@dataclass
class TileState:
    """What a call leaves for the next: ``lif_backlog`` cycles of LIF work; membrane [P', units] float64, None: at its
    start value; psum [T, P', M'] integers or float64, None where the sums are finished."""

    lif_backlog: int = 0
    membrane: np.ndarray | None = None
    psum: np.ndarray | None = None


@dataclass
class TileResult:
    """What a tile call gave. Cycles from its start; ``emissions``: when the outputs of each finishing fold exist.

    cycles = array_busy + stall_port + stall_lif. pe_busy and lif_busy are unit-cycles. ``operations_per_timestep`` and
    ``charged_per_timestep`` [T] int64 add up to synaptic_operations, and to accumulates + multiplies; a held current
    belongs to the first timestep. ``outputs`` [T, P', M']: spikes (uint8, or int32 where graded or signed), activations
    int32, or currents float64; None without weights.
    """

    cycles: int
    emissions: np.ndarray
    counts: dict[str, int]
    operations_per_timestep: np.ndarray
    charged_per_timestep: np.ndarray
    array_busy: int
    stall_port: int
    stall_lif: int
    pe_busy: int
    lif_busy: int
    state: TileState
    outputs: np.ndarray | None = field(default=None, repr=False)


def check_work(work: TileWork, config: ArrayConfig, x: np.ndarray, weight: np.ndarray | None) -> None:
    """Our own mistakes in a tile call: ranges outside the layer, sharing that does not fit the array."""
    g, share = work.geometry, config.lif_sharing
    assert g.groups == 1, "one call per group"
    assert 0 <= work.m0 < work.m1 <= g.M and 0 <= work.p0 < work.p1 <= g.P and 0 <= work.k0 < work.k1 <= g.K, work
    assert work.planes == 1 or not config.mac, "a MAC takes whole words"
    assert x.shape[1:] == (g.C, g.H, g.W), (x.shape, g)
    assert len(x) == work.timesteps or (len(x) == 1 and work.constant_input), (x.shape, work)
    assert weight is None or weight.shape == (g.M, g.K), (weight.shape, g)
    assert not work.hold_current or (work.stationary == "output" and work.constant_input), "nothing to hold in the PEs"
    assert min(config.read_ports, config.write_ports, config.timesteps_per_fold, config.spad_slice) >= 1, config
    if share > 1 and work.spiking:
        across = config.rows if work.stationary == "input" else config.columns
        assert across % share == 0 and work.m0 % share == 0, f"channels that share a LIF unit must meet: {share}"


def pack_weight(weight: np.ndarray) -> np.ndarray:
    """Weights [M, K] in the layout that calls read: filters contiguous; int8 if the values fit, else float64.

    Any [M, K] array is accepted by a call; packing it once per layer saves a copy per call.
    """
    small = weight.dtype.kind in "iu" and (weight.dtype == np.int8 or np.abs(weight).max(initial=0) <= 127)
    packed = np.asfortranarray(weight, dtype=np.int8 if small else np.float64)
    return packed if packed.flags.writeable else packed.copy("F")  # kernels are compiled for writeable arrays only


def call_kernel(work: TileWork, config: ArrayConfig, x: np.ndarray, weight: np.ndarray | None,
                neuron: TileNeuron | None, state: TileState) -> TileResult:  # fmt: skip
    """The tile call at depth ``kernel``.

    x          [T, C, H, W] integers (uint8 preferred), or [1, C, H, W] where ``work.constant_input``
    weight     [M, K] of the whole group, see ``pack_weight``; None: counts and cycles only (gated or skipped zero
               weights need them)
    neuron     None without weights or where ``work.last_k`` is False
    """
    from hwsim.kernels import call

    check_work(work, config, x, weight)
    return call.run(work, config, x, weight, neuron, state)
