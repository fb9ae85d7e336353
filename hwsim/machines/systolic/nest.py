"""The outer loop nest of one layer: which blocks of filters, pixels and reduction sit in the buffers, in which order.

Every order of the three block loops and a ladder of block sizes are tried, with weights and inputs each streamed or
resident; of those whose live set fits the buffers the one with the fewest DRAM bits wins, then the fewest buffer
lines, then the first listed (larger blocks first). A resident operand occupies its bytes once and is fetched once; a
streamed one has two blocks (double buffering) and is fetched again whenever a loop that does not index it comes round.
Equal fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import SpecError
from hwsim.workload.model import Geometry

ORDERS = ("mpk", "pmk")
"""The reduction is innermost, so that partial sums of one block of outputs at a time wait in a buffer."""
INDEXED_BY = {"weights": "mk", "inputs": "pk", "outputs": "mp"}


@dataclass(frozen=True)
class NestShape:
    """What the choice depends on; all sizes in bits, ``timesteps`` of one pass through the nest."""

    geometry: Geometry
    stationary: str
    rows: int
    columns: int
    outer_timesteps: int
    inner_timesteps: int
    planes: int
    weight_bits: int
    word_bits: int
    output_bits: int
    psum_bits: int
    membrane_bits: int
    share: int
    """Channels that share one membrane."""
    line_bits: int
    capacity: tuple[int, ...]
    buffers: tuple[str, ...]
    buffer_of: tuple[int, int, int]
    double_buffering: bool
    constant_input: bool
    membranes_move: bool
    """Membranes leave the PEs between timesteps of the layer, for the buffer (if it may keep them) or for DRAM."""
    may_keep: bool
    membranes_stream: bool
    """Membranes of other stretches of time wait in DRAM in any case."""
    reserved: int
    """Bits of the output buffer that the whole network holds."""
    keep_weights: bool = False
    """All weights of the network stay in their buffer through all stretches of time."""
    hold_current: bool = False
    """One partial sum serves all timesteps inside a tile."""

    @property
    def summed_timesteps(self) -> int:
        """Partial sums of one output that wait at the same time."""
        return 1 if self.hold_current else self.inner_timesteps


@dataclass(frozen=True)
class Nest:
    """The chosen nest: block sizes in filters, pixels and reduction elements, loop order from outside in."""

    order: str
    m_block: int
    p_block: int
    k_block: int
    dram_bits: int
    lines: int
    membranes_in_buffer: bool
    weights_resident: bool
    inputs_resident: bool
    live_bits: tuple[int, ...]
    operand_bits: tuple[int, ...] = (0, 0, 0)
    """Bits that the blocks of weights, inputs and outputs take of ``live_bits`` (psums and kept membranes apart)."""

    def describe(self, shape: NestShape) -> str:
        """The nest as one readable line, outermost loop first."""
        size = {
            "m": (shape.geometry.M, self.m_block),
            "p": (shape.geometry.P, self.p_block),
            "k": (shape.geometry.K, self.k_block),
        }
        names = {"m": "filters", "p": "pixels", "k": "reduction"}
        loops = [f"t in {shape.outer_timesteps}"] if shape.outer_timesteps > 1 else []
        loops += [f"{names[d]} {size[d][0]}/{size[d][1]}" for d in self.order if size[d][0] > size[d][1]]
        stays = [name for name, flag in (("weights", self.weights_resident), ("inputs", self.inputs_resident)) if flag]
        stay = f"; {' and '.join(stays)} resident" if stays else ""
        inside = f"t in {shape.inner_timesteps} inside" if shape.inner_timesteps > 1 else "one fill"
        return " > ".join([*loops, inside]) + stay


def ceil_div(a: int, b: int) -> int:
    """Least integer not below a / b."""
    return -(-a // b)


def ladder(size: int, unit: int) -> list[int]:
    """Block sizes to try, largest first: the whole, then about 1/2, 1/3, ... in multiples of ``unit``."""
    folds = ceil_div(size, unit)
    parts = sorted({*range(1, 9), *(3 << i for i in range(1, 16)), *(1 << i for i in range(1, 17))})
    blocks = {min(size, ceil_div(folds, part) * unit) for part in parts if part <= folds} | {min(size, unit)}
    return sorted(blocks, reverse=True)


def units(shape: NestShape, filters: int) -> int:
    """Membranes per pixel of ``filters`` channels."""
    return ceil_div(filters, shape.share)


def footprint_rows(geometry: Geometry, p0: int, p1: int) -> tuple[int, int]:
    """First and last-plus-one input row that output pixels p0:p1 read (padding excluded)."""
    first = p0 // geometry.F * geometry.stride_y - geometry.pad_y
    last = (p1 - 1) // geometry.F * geometry.stride_y - geometry.pad_y + (geometry.R - 1) * geometry.dilation_y
    return max(0, first), max(0, min(geometry.H, last + 1))


def footprint_elements(geometry: Geometry, p0: int, p1: int) -> int:
    """Input positions per channel that output pixels p0:p1 need in the buffer: whole rows, or the pixels themselves.

    A one-row input (linear layers, conv1d) is cut by columns instead of rows.
    """
    if geometry.H == 1 and geometry.W > 1:
        first = max(0, p0 * geometry.stride_x - geometry.pad_x)
        reach = (geometry.S - 1) * geometry.dilation_x
        return max(0, min(geometry.W, (p1 - 1) * geometry.stride_x - geometry.pad_x + reach + 1) - first)
    first, last = footprint_rows(geometry, p0, p1)
    return (last - first) * geometry.W


def channels_of(geometry: Geometry, k0: int, k1: int) -> int:
    """Input channels (of one group) that reduction elements k0:k1 touch; k runs over (channel, row, column)."""
    window = geometry.R * geometry.S
    return ceil_div(k1, window) - k0 // window


def blocks_of(size: int, block: int) -> list[tuple[int, int]]:
    """The ranges [start, end) that cut ``size`` into blocks."""
    return [(start, min(size, start + block)) for start in range(0, size, block)]


def choose(shape: NestShape, where: str) -> Nest:
    """The best nest for one layer. Raises SpecError when not even the smallest blocks fit."""
    candidates = _candidates(shape)
    fits = np.ones(len(candidates["m"]), dtype=bool)
    blocks = _block_bits(shape, candidates)
    live = _live_bits(shape, candidates, blocks)
    for index, capacity in enumerate(shape.capacity):
        fits &= live[index] <= capacity
    if not fits.any():
        need = [f"{name} {-(-int(bits.min()) // 8)}" for name, bits in zip(shape.buffers, live, strict=True)]
        have = [str(capacity // 8) for capacity in shape.capacity]
        raise SpecError(
            f"{where}: does not fit the buffers even in the smallest blocks: needs {', '.join(need)} bytes; "
            f"they have {', '.join(have)}"
        )
    dram, lines = _dram_bits(shape, candidates), _lines(shape, candidates)
    place = np.flatnonzero(fits)
    best = place[np.lexsort((place, lines[place], dram[place]))[0]]
    return Nest(
        ORDERS[candidates["order"][best]],
        int(candidates["m"][best]),
        int(candidates["p"][best]),
        int(candidates["k"][best]),
        int(dram[best]),
        int(lines[best]),
        bool(candidates["keep"][best]),
        bool(candidates["rw"][best]),
        bool(candidates["ri"][best]),
        tuple(int(bits[best]) for bits in live),
        tuple(int(bits[best]) for bits in blocks),
    )


def _units(shape: NestShape) -> tuple[int, int, int]:
    """Smallest sensible block of filters, pixels and reduction: one fold of the stationary operand."""
    geometry, window = shape.geometry, shape.geometry.R * shape.geometry.S
    if shape.stationary == "output":
        return shape.columns, shape.rows, window if window > 1 else 9
    row = geometry.F if geometry.F > 1 else 1
    k_unit = shape.rows
    if shape.stationary == "weight":
        return shape.columns, row, k_unit
    return shape.columns, shape.columns, k_unit


def _candidates(shape: NestShape) -> dict[str, np.ndarray]:
    """Columns of all combinations of block sizes, order, and membranes kept in the buffer or not."""
    m_unit, p_unit, k_unit = _units(shape)
    g = shape.geometry
    keep = [1, 0] if shape.membranes_move and shape.may_keep else [0]
    grid = np.meshgrid(
        [1] if shape.keep_weights else [1, 0],
        [1, 0],
        ladder(g.M, m_unit),
        ladder(g.P, p_unit),
        ladder(g.K, k_unit),
        np.arange(len(ORDERS)),
        keep,
        indexing="ij",
    )
    columns = dict(zip(("rw", "ri", "m", "p", "k", "order", "keep"), (axis.ravel() for axis in grid), strict=True))
    sizes = {"m": g.M, "p": g.P, "k": g.K}
    for name, size in sizes.items():
        columns["n" + name] = -(-size // columns[name])
    return columns


def _refetches(shape: NestShape, c: dict[str, np.ndarray], operand: str) -> np.ndarray:
    """How often each block of an operand is fetched within one pass of the nest: the loops that do not index it but
    lie outside its innermost real loop."""
    times = np.ones(len(c["m"]), dtype=np.int64)
    for index, order in enumerate(ORDERS):
        chosen = c["order"] == index
        own = INDEXED_BY[operand]
        inner_real = np.zeros(len(times), dtype=bool)
        for loop in reversed(order):
            if loop in own:
                inner_real |= chosen & (c["n" + loop] > 1)
            else:
                times = np.where(chosen & inner_real, times * c["n" + loop], times)
    return times


def _input_bits(shape: NestShape, c: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Bits of all input blocks of one pass together (halo rows counted in each), and of the largest block."""
    g = shape.geometry
    total, largest = {}, {}
    for block in np.unique(c["p"]):
        elements = [footprint_elements(g, a, b) for a, b in blocks_of(g.P, int(block))]
        total[int(block)], largest[int(block)] = sum(elements), max(elements)
    channels_total, channels_largest = {}, {}
    for block in np.unique(c["k"]):
        channels = [channels_of(g, a, b) for a, b in blocks_of(g.K, int(block))]
        channels_total[int(block)], channels_largest[int(block)] = sum(channels), max(channels)
    all_bits = _look_up(total, c["p"]) * _look_up(channels_total, c["k"]) * shape.word_bits
    block_bits = _look_up(largest, c["p"]) * _look_up(channels_largest, c["k"]) * shape.word_bits
    return all_bits, block_bits


def _look_up(table: dict[int, int], keys: np.ndarray) -> np.ndarray:
    """``table`` applied to every key, int64."""
    unique, inverse = np.unique(keys, return_inverse=True)
    return np.array([table[int(key)] for key in unique], dtype=np.int64)[inverse]


def _dram_bits(shape: NestShape, c: dict[str, np.ndarray]) -> np.ndarray:
    g, outer = shape.geometry, shape.outer_timesteps
    once = g.M * g.K * shape.weight_bits
    weights = np.where(c["rw"] == 1, once, once * _refetches(shape, c, "weights") * outer)
    passes = 1 if shape.constant_input else outer
    inputs = np.where(
        c["ri"] == 1, _whole_input(shape) * passes, _input_bits(shape, c)[0] * _refetches(shape, c, "inputs") * outer
    )
    # written after every timestep but the last, read before every one but the first; where they wait in DRAM in any
    # case this is the same for all candidates
    spilled = 2 * units(shape, g.M) * g.P * shape.membrane_bits * (outer - 1) * shape.membranes_move
    return weights + inputs + np.where(c["keep"] == 1, 0, spilled)


def _whole_input(shape: NestShape) -> int:
    """Bits of the layer's input of one pass."""
    g = shape.geometry
    return g.C * g.H * g.W * shape.word_bits


def _block_bits(shape: NestShape, c: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Bits of the blocks of weights, inputs and outputs (with membranes that wait in DRAM) that are there at once."""
    g, twice = shape.geometry, 2 if shape.double_buffering else 1
    weights = np.where(c["rw"] == 1, g.M * g.K * shape.weight_bits, c["m"] * c["k"] * shape.weight_bits * twice)
    again = twice if shape.outer_timesteps > 1 and not shape.constant_input else 1
    inputs = np.where(c["ri"] == 1, _whole_input(shape) * again, _input_bits(shape, c)[1] * twice)
    streamed_o = np.where(c["nm"] * c["np"] * shape.outer_timesteps > 1, twice, 1)
    outputs = c["m"] * c["p"] * shape.output_bits * streamed_o
    if shape.membranes_move or shape.membranes_stream:
        block = -(-c["m"] // shape.share) * c["p"] * shape.membrane_bits * streamed_o
        outputs = outputs + np.where(c["keep"] == 1, 0, block)
    return [weights, inputs, outputs]


def _live_bits(shape: NestShape, c: dict[str, np.ndarray], blocks: list[np.ndarray]) -> list[np.ndarray]:
    """Bits that must be in each buffer at once: blocks, psums, membranes."""
    live = [np.zeros(len(c["m"]), dtype=np.int64) for _ in shape.capacity]
    for bits, index in zip(blocks, shape.buffer_of, strict=True):
        live[index] = live[index] + bits
    whole = units(shape, shape.geometry.M) * shape.geometry.P * shape.membrane_bits
    waiting = scratch_bits(shape, c["m"], c["p"], c["nk"]) + np.where(c["keep"] == 1, whole, 0) + shape.reserved
    live[shape.buffer_of[2]] = live[shape.buffer_of[2]] + waiting
    return live


def scratch_bits(shape: NestShape, m_block: np.ndarray, p_block: np.ndarray, k_parts: np.ndarray) -> np.ndarray:
    """Bits of partial sums that wait in the output buffer, reused block after block.

    All sums of a block where its reduction comes in parts; else two folds across the columns, of which one is summed
    while the LIF units take the other.
    """
    spills = (shape.stationary != "output") | (k_parts > 1)
    across = 2 * shape.columns
    whole = k_parts > 1
    m_live = np.where(whole | (shape.stationary != "weight"), m_block, np.minimum(m_block, across))
    p_live = np.where(whole | (shape.stationary != "input"), p_block, np.minimum(p_block, across))
    return np.where(spills, m_live * p_live * shape.psum_bits * shape.summed_timesteps, 0)


def _lines(shape: NestShape, c: dict[str, np.ndarray]) -> np.ndarray:
    """Buffer lines of the operand streams of one pass, near enough to choose between nests (the run counts exactly)."""
    g = shape.geometry
    m_folds, p_folds = -(-c["m"] // shape.columns) * c["nm"], -(-c["p"] // shape.rows) * c["np"]
    k_folds = -(-shape.planes * c["k"] // shape.rows) * c["nk"]
    words = g.P * g.K * shape.word_bits
    if shape.stationary == "output":
        weights, inputs, psums = g.K * g.M * shape.weight_bits * p_folds, words * m_folds, c["nk"] - 1
    elif shape.stationary == "weight":
        weights, inputs, psums = g.K * g.M * shape.weight_bits * c["np"], words * m_folds, k_folds
    else:
        p_folds = -(-c["p"] // shape.columns) * c["np"]
        weights, inputs, psums = g.K * g.M * shape.weight_bits * p_folds, words * c["nm"], k_folds
    psum_bits = psums * g.M * g.P * shape.psum_bits * shape.summed_timesteps
    return (weights + inputs + 2 * psum_bits) // shape.line_bits
