"""Time of one fold-pass: array, ports, and the LIF units that work beside the next fold. All dataflows share it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.jit import njit
from hwsim.kernels import counters as n
from hwsim.kernels.lines import ceil_div

NOW, LIF_FREE, BUSY, STALL_PORT, STALL_LIF, PE_BUSY, EMITTED, CLOCK_SIZE = range(8)
"""Places in the clock: cycles from the start of the call, when the LIF units are free, and sums."""


class Fold(NamedTuple):
    """One fold-pass. ``body`` slots that stream (0: the fold has vanished), ``load`` and ``skew`` cycles around them;
    ``work`` cycles of LIF work that it hands over; the lines that it moves."""

    body: int
    load: int
    skew: int
    trail: int
    """Cycles after the end of the fold until its last sum has left the array (folds that overlap)."""
    produces: bool
    work: int
    weight_lines: int
    input_lines: int
    psum_reads: int
    psum_writes: int
    membrane_reads: int
    membrane_writes: int
    output_lines: int


@njit(nogil=True)
def port_lines(call, weights, inputs, outputs):  # type: ignore[no-untyped-def]
    """Lines read from the buffer that gives the most: operands that share a buffer share its read ports."""
    if call.weights_buffer == call.inputs_buffer:
        weights += inputs
        inputs = 0
    if call.outputs_buffer == call.weights_buffer:
        weights += outputs
        outputs = 0
    elif call.outputs_buffer == call.inputs_buffer:
        inputs += outputs
        outputs = 0
    return max(weights, inputs, outputs)


@njit(nogil=True)
def advance(call, fold, clock, counts, emissions):  # type: ignore[no-untyped-def]
    """Run one fold-pass: its duration is that of the slowest of array and ports, then it may have to wait for the LIF
    units to take its sums. Writes ``clock``, ``counts`` and ``emissions``."""
    reads = fold.psum_reads + fold.membrane_reads
    writes = fold.psum_writes + fold.membrane_writes + fold.output_lines
    compute = fold.body + fold.load + fold.skew
    moved = port_lines(call, fold.weight_lines, fold.input_lines, reads)
    duration = max(compute, ceil_div(moved, call.read_ports), ceil_div(writes, call.write_ports))
    clock[NOW] += duration
    clock[BUSY] += compute
    clock[STALL_PORT] += duration - compute
    if fold.produces:
        handover = clock[NOW] + fold.trail
        stall = max(0, clock[LIF_FREE] - handover) if fold.work > 0 else 0
        clock[STALL_LIF] += stall
        clock[NOW] += stall
        emissions[clock[EMITTED]] = handover + stall + fold.work
        clock[EMITTED] += 1
        if fold.work > 0:
            clock[LIF_FREE] = handover + stall + fold.work
    counts[n.WEIGHT_LINES] += fold.weight_lines
    counts[n.INPUT_LINES] += fold.input_lines
    counts[n.PSUM_LINE_READS] += fold.psum_reads
    counts[n.PSUM_LINE_WRITES] += fold.psum_writes
    counts[n.MEMBRANE_LINE_READS] += fold.membrane_reads
    counts[n.MEMBRANE_LINE_WRITES] += fold.membrane_writes
    counts[n.OUTPUT_LINES] += fold.output_lines


def new_clock(lif_backlog: int) -> np.ndarray:
    """A clock at the start of a call."""
    clock = np.zeros(CLOCK_SIZE, dtype=np.int64)
    clock[LIF_FREE] = lif_backlog
    return clock


@njit(nogil=True)
def stationary_phases(call, index, folds, slots, vanished, next_vanished):  # type: ignore[no-untyped-def]
    """(body, load, skew, trail) of a fold with a stationary operand that takes Ra cycles to load."""
    skew = call.rows + call.columns - 2
    body = 0 if vanished else max(slots, 1)
    if not call.overlap:
        return (0, 0, 0, 0) if vanished else (body, call.rows, skew, 0)
    last = index == folds - 1
    if last:
        body = max(body, 1)  # the end of the call passes through the array in any case
    load = call.rows if index == 0 and not vanished else 0
    if not last and not next_vanished:
        body = max(body, call.rows)
    return body, load, skew if last else 0, 0 if last else skew
