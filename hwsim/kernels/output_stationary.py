"""Output stationary folds: rows hold pixels, columns filters; every PE sums one output over the reduction."""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.kernels import counters as n
from hwsim.kernels.lines import ceil_div, input_word_bits, walk_elements, walk_outputs
from hwsim.kernels.timeline import PE_BUSY, Fold, advance


@njit(nogil=True)
def fold_words(call, x, pa, pb, words):  # type: ignore[no-untyped-def]
    """words[t, k] = OR of the input words that pixels pa:pb meet at reduction element k; 1 for a whole word."""
    mask = (1 << call.planes) - 1
    words[:] = 0
    for k in range(call.depth):
        element = call.k0 + k
        c, r, s = element // (call.R * call.S), element // call.S % call.R, element % call.S
        for pixel in range(pa, pb):
            y = pixel // call.F * call.stride_y - call.pad_y + r * call.dilation_y
            at = pixel % call.F * call.stride_x - call.pad_x + s * call.dilation_x
            if y < 0 or y >= call.H or at < 0 or at >= call.W:
                continue
            for t in range(words.shape[0]):
                value = x[min(t, x.shape[0] - 1), c, y, at]
                words[t, k] |= (value != 0) if call.planes == 1 else value & mask


@njit(nogil=True)
def surviving(call, words, weighted, t0, t1):  # type: ignore[no-untyped-def]
    """(slots, slots of planes above the least, (slice, timestep) pairs) that are left of one fold-pass."""
    slots, shifted, visits = 0, 0, 0
    for start in range(0, call.depth, call.spad_slice):
        for t in range(t0, t1):
            before = slots
            for k in range(start, min(start + call.spad_slice, call.depth)):
                if not weighted[k]:
                    continue
                word = words[t, k]
                shifted -= word & 1
                while word:
                    slots += word & 1
                    shifted += word & 1
                    word >>= 1
            visits += slots > before
    return slots, shifted, visits


@njit(nogil=True)
def count_slots(packed, x, nonzero, table):  # type: ignore[no-untyped-def]
    """table[fp, fm, pass] = ``surviving`` of every fold-pass. ``nonzero`` [K', M'] marks weights that are not zero."""
    call = packed[0]
    words = np.empty((call.timesteps, call.depth), dtype=np.int64)
    words[:] = (1 << call.planes) - 1
    weighted = np.ones(call.depth, dtype=np.bool_)
    for fp in range(table.shape[0]):
        if call.skip_spikes:
            start = call.p0 + fp * call.rows
            fold_words(call, x, start, min(start + call.rows, call.p0 + call.pixels), words)
        for fm in range(table.shape[1]):
            if call.skip_weights:
                for k in range(call.depth):
                    weighted[k] = nonzero[k, fm * call.columns : (fm + 1) * call.columns].any()
            for number in range(table.shape[2]):
                t0 = number * call.per_fold
                slots, shifted, visits = surviving(call, words, weighted, t0, t0 + summed_timesteps(call, number))
                table[fp, fm, number, 0] = slots
                table[fp, fm, number, 1] = shifted
                table[fp, fm, number, 2] = visits


@njit(nogil=True)
def summed_timesteps(call, number):  # type: ignore[no-untyped-def]
    """Timesteps whose sums are computed in a pass. One sum serves all where the current is held: the first pass's."""
    if call.hold:
        return 1 if number == 0 else 0
    return min(call.per_fold, call.timesteps - number * call.per_fold)


@njit(nogil=True)
def full_slots(call, timesteps):  # type: ignore[no-untyped-def]
    """``surviving`` of a fold-pass in which nothing is skipped."""
    slots = call.planes * timesteps * call.depth
    return slots, slots - timesteps * call.depth, ceil_div(call.depth, call.spad_slice) * timesteps


@njit(nogil=True)
def input_lines(call, folds, passes):  # type: ignore[no-untyped-def]
    """[pixel fold, pass] accesses to the input; the same for every filter fold."""
    lines = np.empty((folds, passes), dtype=np.int64)
    for fp in range(folds):
        pa = call.p0 + fp * call.rows
        pb = min(pa + call.rows, call.p0 + call.pixels)
        for number in range(passes):
            timesteps = summed_timesteps(call, number)
            if number > 0 and timesteps == call.per_fold:
                lines[fp, number] = lines[fp, 0]
                continue
            bits = input_word_bits(call, timesteps) if timesteps else 0
            lines[fp, number] = walk_elements(call, 0, call.depth, pa, pb, bits)
    return lines


@njit(nogil=True)
def count_pes(call, used, timesteps, slots, shifted, visits, clock, counts):  # type: ignore[no-untyped-def]
    """Register and scratchpad accesses of one fold-pass that sums ``timesteps`` in ``used`` PEs."""
    if timesteps == 0:
        return
    clock[PE_BUSY] += slots * used
    counts[n.WEIGHT_SPAD_WRITES] += call.depth * used
    counts[n.SPIKE_SPAD_WRITES] += call.depth * used
    counts[n.SPIKE_SPAD_READS] += slots * used
    counts[n.SHIFTS] += shifted * used
    if timesteps > 1:
        counts[n.PSUM_SPAD_READS] += visits * used
        counts[n.PSUM_SPAD_WRITES] += visits * used
    counts[n.DETECTS] += call.planes * timesteps * call.depth * (call.skip_spikes + call.skip_weights)


@njit(nogil=True)
def run_folds(packed, table, clock, counts, emissions):  # type: ignore[no-untyped-def]
    """All folds of the call in order. ``table`` [fp, fm, pass, 3] from ``count_slots``, empty if nothing is skipped."""
    call = packed[0]
    filter_folds, pixel_folds = ceil_div(call.filters, call.columns), ceil_div(call.pixels, call.rows)
    passes = ceil_div(call.timesteps, call.per_fold)
    lines = input_lines(call, pixel_folds, passes)
    skew = call.rows + call.columns - 2
    last_fold = filter_folds * pixel_folds * passes - 1
    for fm in range(filter_folds):
        columns = min(call.columns, call.filters - fm * call.columns)
        for fp in range(pixel_folds):
            rows = min(call.rows, call.pixels - fp * call.rows)
            pa = call.p0 + fp * call.rows
            groups = ceil_div(columns, call.share)  # columns that share membranes: each has one per row
            membranes = groups * ceil_div(rows * call.membrane_bits, call.line_bits)
            for number in range(passes):
                timesteps = min(call.per_fold, call.timesteps - number * call.per_fold)
                summed = summed_timesteps(call, number)
                slots, shifted, visits = full_slots(call, summed)
                if table.size:
                    slots, shifted, visits = table[fp, fm, number]
                count_pes(call, rows * columns, summed, slots, shifted, visits, clock, counts)
                psums = columns * ceil_div(rows * summed * call.psum_bits, call.line_bits)
                weights = ceil_div(call.depth * columns * call.weight_bits, call.line_bits) if summed else 0
                ends = number == passes - 1
                outputs = 0
                if call.last_k and (ends or not call.accumulated):
                    outputs = walk_outputs(call, call.m0 + fm * call.columns, columns, pa, pa + rows, timesteps)
                apart = call.overlap and (fm * pixel_folds + fp) * passes + number < last_fold
                fold = Fold(
                    max(slots, 1), 0, 0 if apart else skew, skew if apart else 0, call.last_k == 1,
                    call.share * timesteps * call.spiking, weights, lines[fp, number],
                    0 if call.first_k else psums, 0 if call.last_k else psums,
                    membranes if call.membrane_in and number == 0 else 0,
                    membranes if call.membrane_out and ends else 0, outputs,
                )  # fmt: skip
                advance(call, fold, clock, counts, emissions)
