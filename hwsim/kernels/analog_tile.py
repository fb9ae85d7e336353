"""The tile call of a crossbar machine: what one PE reads for a run of output pixels. Types, and the kernel depth.

A PE is some row blocks x one column block of a layer, all slices: blocks x slices arrays with row drivers, muxes and
ADCs of their own, and one combiner that adds codes and subtracts the digital correction. A vector is one bit plane of
one pixel's input; vectors go pixel by pixel, plane 0 first, and all arrays of the PE work on the same one. A tile call
is a pure function of (work, config, analog, entry state); ``call_kernel`` computes it in closed forms,
``hwsim.components.analog_process.call_process`` by passing voltages, currents and codes between processes. They are
equal in every field.

Time, in ticks; vector v starts at s_v, its read ends at e_v, its conversions at c_v. An ADC takes
steps = ceil(columns in use / ADCs) conversions of ``step_ticks`` after a read::

    without sample-and-hold   s_v = c_(v-1)   e_v = s_v + drive + read                   c_v = e_v + steps x step
    with                      s_v = e_(v-1)   e_v = max(s_v + drive + read, c_(v'))      c_v = e_v + steps x step

where v' is the vector read before v (at first: the conversions that the call before left running). A vector none of
whose rows is active in any block is, where zero vectors are skipped, found empty in one tick of the arrays and not
read: s_(v+1) = s_v + 1. A pixel's psum is complete ``combine_ticks`` after the conversions of its last vector that is
read (none: after its last vector was found empty), and not before that of the pixel before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hwsim.jit import njit
from hwsim.kernels.analog import Analog, check_analog, events_of, read_window
from hwsim.kernels.analog_reads import Window
from hwsim.network.kernels import Shape

COUNTS = ("drive", "read_row", "read", "select", "convert", "add", "subtract", "detect", "input_lines",
          "synaptic_operations", "clipped")  # fmt: skip
"""
drive, read_row      active rows of arrays that are read
read                 arrays read
select, convert, add columns handed to an ADC, converted, and their codes added
subtract             corrections subtracted, one per block read and filter
detect               blocks looked at for active rows, where zero vectors are skipped
input_lines          buffer lines fetched: per pixel and block that is not all in the padding
synaptic_operations  active rows x filters
clipped              codes that the range of the ADC cut off
"""


@dataclass(frozen=True)
class TileConfig:
    """The PE's timing and parts.

    zero_vectors  ``read``: every array is read for every vector; ``skipped``: arrays without active rows are not
    line_bits     consecutive input bits of a block that one access to the tile's buffer brings
    """

    drive_ticks: int
    read_ticks: int
    step_ticks: int
    """Mux and one conversion."""
    combine_ticks: int
    adcs: int
    """Per array; column c goes to ADC c mod adcs."""
    sample_hold: bool
    zero_vectors: Literal["read", "skipped"]
    line_bits: int


@dataclass(frozen=True)
class TileWork:
    """What one tile call reads: pixels p0 .. p1, the row blocks ``blocks``, filters m0 .. m1 of one timestep."""

    shape: Shape
    first: np.ndarray = field(repr=False)
    """[pixels + 1] int64; with channel and value the events of the timestep (``list_events``)."""
    channel: np.ndarray = field(repr=False)
    value: np.ndarray = field(repr=False)
    planes: int
    p0: int
    p1: int
    blocks: np.ndarray
    """int32, ascending."""
    rows_in_block: np.ndarray
    """int64 [all blocks of the layer]: rows in use."""
    m0: int
    m1: int
    keys: np.ndarray
    """[planes] uint64, for read noise."""
    has_correction: bool


@dataclass(frozen=True)
class TileState:
    """What a call leaves for the next: ticks for which its last conversions still run (with sample-and-hold)."""

    adc_backlog: int = 0


@dataclass
class TileResult:
    """What a tile call gave. Ticks from its start.

    emissions  [pixels] int64: when the pixel's psum is complete (may lie after ``cycles``)
    cycles     array_busy + array_stall_adc: when the arrays are free for the next call
    array_busy, array_stall_adc, adc_busy   ticks of the PE; all its arrays are in step
    psum       [pixels, m1 - m0] float64
    """

    cycles: int
    emissions: np.ndarray
    counts: dict[str, int]
    array_busy: int
    array_stall_adc: int
    adc_busy: int
    state: TileState
    psum: np.ndarray = field(repr=False)


def check_work(work: TileWork, config: TileConfig, analog: Analog) -> None:
    """Our own mistakes in a tile call."""
    check_analog(analog, work.shape)
    assert 0 <= work.p0 < work.p1 <= work.shape.out_height * work.shape.out_width, work
    assert 0 <= work.m0 < work.m1 <= work.shape.filters and work.planes >= 1, work
    assert work.blocks.dtype == np.int32 and len(work.blocks) > 0, work.blocks
    assert (work.blocks[1:] > work.blocks[:-1]).all(), work.blocks
    assert work.blocks[0] >= 0 and work.blocks[-1] < analog.blocks == len(work.rows_in_block), work.blocks
    ticks = config.drive_ticks, config.read_ticks, config.step_ticks, config.combine_ticks
    assert min(*ticks, config.adcs, config.line_bits) >= 1, config


def columns_in_use(work: TileWork, analog: Analog) -> int:
    """Columns of each array that hold weights of the call."""
    return (work.m1 - work.m0) * analog.polarities


@njit(nogil=True)
def skips(skipped, active):  # type: ignore[no-untyped-def]
    """Whether a vector, or a block of one that is read, with so many active rows is not read; ``skipped``: whether zero
    vectors are. Asked by both depths."""
    return skipped & (active == 0)


def call_kernel(work: TileWork, config: TileConfig, analog: Analog, state: TileState) -> TileResult:
    """The tile call at depth ``kernel``. With cells unknown (``analog.g`` empty) psums and clipped codes stay 0."""
    check_work(work, config, analog)
    window = Window(work.p0, work.p1, work.m0, work.m1)
    pixels, filters = work.p1 - work.p0, work.m1 - work.m0
    psum = np.zeros((1, pixels, filters))
    events = events_of(work.first, work.channel, work.value)
    clipped, rows = read_window(analog, events, work.shape, work.planes, work.keys[None], window, work.blocks, psum)
    active = np.ascontiguousarray(rows[:, 0].transpose(1, 0, 2))  # [pixels, planes, blocks]
    skipped = config.zero_vectors == "skipped"
    used = columns_in_use(work, analog)
    conversion = -(-used // config.adcs) * config.step_ticks
    emissions = np.empty(pixels, dtype=np.int64)
    backlog = state.adc_backlog if config.sample_hold else 0
    times = run_vectors(active.sum(axis=2), skipped, config.sample_hold, config.drive_ticks + config.read_ticks,
                        conversion, config.combine_ticks, backlog, emissions)  # fmt: skip
    counts = _counts(work, config, analog, active)
    counts["clipped"] = clipped
    return TileResult(times[0], emissions, counts, times[1], times[2], times[3], TileState(times[4]), psum[0])


@njit(nogil=True)
def run_vectors(active, skipped, sample_hold, settle, conversion, combine, backlog, emissions):  # type: ignore[no-untyped-def]
    """(cycles, array busy, stall, ADC busy, exit backlog) of vectors with ``active`` rows [pixels, planes] int64;
    writes ``emissions`` [pixels]. The recurrence of this module's docstring."""
    now, busy, stall, converting, free, complete = 0, 0, 0, 0, backlog, 0
    for p in range(active.shape[0]):
        read = False
        for plane in range(active.shape[1]):
            if skips(skipped, active[p, plane]):
                now += 1
                busy += 1
                continue
            read = True
            now += settle
            busy += settle
            if sample_hold:
                wait = max(0, free - now)
                stall += wait
                now += wait
                free = now + conversion
            else:
                now += conversion
                busy += conversion
                free = now
            converting += conversion
        complete = max(complete, (free if read else now) + combine)
        emissions[p] = complete
    return now, busy, stall, converting, max(0, free - now)


def _counts(work: TileWork, config: TileConfig, analog: Analog, active: np.ndarray) -> dict[str, int]:
    """All counts but the clipped codes; active [pixels, planes, blocks] int64."""
    slices, filters, used = analog.slices, work.m1 - work.m0, columns_in_use(work, analog)
    skipped = config.zero_vectors == "skipped"
    events, blocks_read = int(active.sum()), active.size - int(np.count_nonzero(skips(skipped, active)))
    conversions = blocks_read * slices * used
    return {
        "drive": events * slices,
        "read_row": events * slices,
        "read": blocks_read * slices,
        "select": conversions,
        "convert": conversions,
        "add": conversions,
        "subtract": blocks_read * filters if work.has_correction else 0,
        "detect": active.size if skipped else 0,
        "input_lines": _input_lines(work, config, analog),
        "synaptic_operations": events * filters,
    }


def _input_lines(work: TileWork, config: TileConfig, analog: Analog) -> int:
    """Lines that bring the rows of each pixel and block; a block of one kernel tap has none where that is padding."""
    lines = -(-work.rows_in_block[work.blocks] * work.planes // config.line_bits)
    fetched = np.empty(len(work.blocks), dtype=np.int64)
    fetched_pixels(work.shape, taps_of_blocks(analog.block_of, analog.blocks, work.shape.channels)[work.blocks],
                   work.p0, work.p1, fetched)  # fmt: skip
    return int((lines * fetched).sum())


@njit(nogil=True)
def taps_of_blocks(block_of, blocks, channels):  # type: ignore[no-untyped-def]
    """int64 [blocks]: the kernel tap that all rows of a block belong to, -1 where there are several."""
    taps = np.full(blocks, -2, dtype=np.int64)
    for k in range(block_of.size):
        block, tap = block_of[k], k // channels
        if taps[block] == -2:
            taps[block] = tap
        elif taps[block] != tap:
            taps[block] = -1
    return taps


@njit(nogil=True)
def fetched_pixels(shape, taps, p0, p1, fetched):  # type: ignore[no-untyped-def]
    """fetched[i] = output pixels p0 .. p1 at which tap ``taps[i]`` lies in the image (all pixels for -1)."""
    for i in range(taps.size):
        fetched[i] = 0
        r, s = taps[i] // shape.columns, taps[i] % shape.columns
        for p in range(p0, p1):
            y = p // shape.out_width * shape.stride_y - shape.pad_y + r * shape.dilation_y
            x = p % shape.out_width * shape.stride_x - shape.pad_x + s * shape.dilation_x
            fetched[i] += taps[i] < 0 or (0 <= y < shape.height and 0 <= x < shape.width)
