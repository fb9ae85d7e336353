"""Weight stationary folds: rows hold (plane, k) elements, columns filters; pixels stream, sums leave at the bottom."""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.kernels import counters as n
from hwsim.kernels.lines import ceil_div, input_word_bits, walk_elements, walk_outputs
from hwsim.kernels.timeline import PE_BUSY, Fold, advance, stationary_phases


@njit(nogil=True)
def mark_ones(call, x, first, count, pixel, seen):  # type: ignore[no-untyped-def]
    """seen[t] = whether one of ``count`` (plane, k) elements from ``first`` is 1 at this pixel and timestep."""
    seen[:] = False
    missing = seen.size
    for element in range(first, first + count):
        plane, k = element // call.depth, call.k0 + element % call.depth
        c, r, s = k // (call.R * call.S), k // call.S % call.R, k % call.S
        y = pixel // call.F * call.stride_y - call.pad_y + r * call.dilation_y
        at = pixel % call.F * call.stride_x - call.pad_x + s * call.dilation_x
        if y < 0 or y >= call.H or at < 0 or at >= call.W:
            continue
        for t in range(seen.size):
            value = x[min(t, x.shape[0] - 1), c, y, at]
            if not seen[t] and ((value != 0) if call.planes == 1 else (value >> plane & 1)):
                seen[t] = True
                missing -= 1
        if missing == 0:
            return


@njit(nogil=True)
def count_slots(packed, x, slots):  # type: ignore[no-untyped-def]
    """slots[fk, pass] = (pixel, timestep) slots in which a row of the fold has a 1."""
    call = packed[0]
    elements = call.planes * call.depth
    seen = np.empty(call.timesteps, dtype=np.bool_)
    for fk in range(slots.shape[0]):
        first = fk * call.rows
        count = min(call.rows, elements - first)
        for pixel in range(call.p0, call.p0 + call.pixels):
            mark_ones(call, x, first, count, pixel, seen)
            for t in range(call.timesteps):
                slots[fk, t // call.per_fold] += seen[t]


@njit(nogil=True)
def find_vanished(packed, nonzero, vanished):  # type: ignore[no-untyped-def]
    """vanished[fm, fk]: all weights of the fold are zero. ``nonzero`` [K', M']."""
    call = packed[0]
    elements = call.planes * call.depth
    for fm in range(vanished.shape[0]):
        for fk in range(vanished.shape[1]):
            vanished[fm, fk] = True
            for element in range(fk * call.rows, min((fk + 1) * call.rows, elements)):
                row = nonzero[element % call.depth]
                if row[fm * call.columns : (fm + 1) * call.columns].any():
                    vanished[fm, fk] = False


@njit(nogil=True)
def input_lines(call, folds, passes):  # type: ignore[no-untyped-def]
    """[reduction fold, pass] accesses to the input; the same for every filter fold."""
    lines = np.empty((folds, passes), dtype=np.int64)
    for fk in range(folds):
        first = fk * call.rows
        count = min(call.rows, call.planes * call.depth - first)
        for number in range(passes):
            timesteps = min(call.per_fold, call.timesteps - number * call.per_fold)
            if number > 0 and timesteps == call.per_fold:
                lines[fk, number] = lines[fk, 0]
                continue
            bits = input_word_bits(call, timesteps)
            lines[fk, number] = walk_elements(call, first, count, call.p0, call.p0 + call.pixels, bits)
    return lines


@njit(nogil=True)
def count_pes(call, first, rows, columns, timesteps, slots, vanished, clock, counts):  # type: ignore[no-untyped-def]
    """Register and scratchpad accesses of one fold-pass; a vanished fold is only looked at."""
    counts[n.DETECTS] += rows * call.skip_weights
    if vanished:
        return
    clock[PE_BUSY] += slots * rows * columns
    counts[n.WEIGHT_SPAD_WRITES] += rows * columns
    counts[n.SHIFTS] += max(0, first + rows - max(first, call.depth)) * columns
    counts[n.DETECTS] += timesteps * call.pixels * call.skip_spikes


@njit(nogil=True)
def membrane_lines(call, runs, membranes, spill, number, passes):  # type: ignore[no-untyped-def]
    """(reads, writes) of a finishing fold-pass: ``runs`` of ``membranes`` each, every run from a line boundary. Where
    they do not all fit the LIF units (``spill``), they also wait in the buffer between the passes of the call."""
    if not call.spiking:
        return 0, 0
    lines = runs * ceil_div(membranes * call.membrane_bits, call.line_bits)
    reads = lines if (call.membrane_in if number == 0 else spill) else 0
    writes = lines if (call.membrane_out if number == passes - 1 else spill) else 0
    return reads, writes


@njit(nogil=True)
def run_folds(packed, skipped, vanished, clock, counts, emissions):  # type: ignore[no-untyped-def]
    """All folds of the call in order. ``skipped`` [fk, pass] slots left, or empty; ``vanished`` [fm, fk]."""
    call = packed[0]
    elements = call.planes * call.depth
    filter_folds, element_folds = ceil_div(call.filters, call.columns), ceil_div(elements, call.rows)
    passes = ceil_div(call.timesteps, call.per_fold)
    lines = input_lines(call, element_folds, passes)
    folds = filter_folds * passes * element_folds
    for fm in range(filter_folds):
        columns = min(call.columns, call.filters - fm * call.columns)
        m = call.m0 + fm * call.columns
        for number in range(passes):
            timesteps = min(call.per_fold, call.timesteps - number * call.per_fold)
            psums = columns * ceil_div(call.pixels * timesteps * call.psum_bits, call.line_bits)
            for fk in range(element_folds):
                index = (fm * passes + number) * element_folds + fk
                rows = min(call.rows, elements - fk * call.rows)
                slots = skipped[fk, number] if skipped.size else timesteps * call.pixels
                gone = vanished[fm, fk]
                follows = vanished[fm, fk + 1] if fk + 1 < element_folds else vanished[
                    fm if number + 1 < passes else min(fm + 1, filter_folds - 1), 0]  # fmt: skip
                count_pes(call, fk * call.rows, rows, columns, timesteps, slots, gone, clock, counts)
                ends = call.last_k == 1 and fk == element_folds - 1
                reads, writes, outputs = 0, 0, 0
                if ends:
                    # The channels that share a membrane are neighbouring columns.
                    groups, spill = ceil_div(columns, call.share), call.pixels > call.rows
                    reads, writes = membrane_lines(call, groups, call.pixels, spill, number, passes)
                    if number == passes - 1 or not call.accumulated:
                        outputs = walk_outputs(call, m, columns, call.p0, call.p0 + call.pixels, timesteps)
                body, load, skew, trail = stationary_phases(call, index, folds, slots, gone, follows)
                fold = Fold(
                    body, load, skew, trail, ends,
                    call.share * timesteps * ceil_div(call.pixels, call.rows) * call.spiking,
                    ceil_div(rows * columns * call.weight_bits, call.line_bits), 0 if gone else lines[fk, number],
                    0 if call.first_k and fk == 0 else psums, psums, reads, writes, outputs,
                )  # fmt: skip
                advance(call, fold, clock, counts, emissions)
