"""Input stationary folds: rows hold (plane, k) elements, columns pixels; filters stream, sums leave at the bottom."""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.kernels import counters as n
from hwsim.kernels.lines import ceil_div, input_word_bits, walk_elements, walk_outputs
from hwsim.kernels.timeline import PE_BUSY, Fold, advance, stationary_phases
from hwsim.kernels.weight_stationary import mark_ones, membrane_lines


@njit(nogil=True)
def count_filters(packed, nonzero, filters):  # type: ignore[no-untyped-def]
    """filters[fk] = filters of which a row of the fold has a weight that is not zero. ``nonzero`` [K', M']."""
    call = packed[0]
    elements = call.planes * call.depth
    for fk in range(filters.size):
        for m in range(call.filters):
            for element in range(fk * call.rows, min((fk + 1) * call.rows, elements)):
                if nonzero[element % call.depth, m]:
                    filters[fk] += 1
                    break


@njit(nogil=True)
def find_vanished(packed, x, vanished):  # type: ignore[no-untyped-def]
    """vanished[fp, pass, fk]: all bits of the fold are zero."""
    call = packed[0]
    elements = call.planes * call.depth
    seen = np.empty(call.timesteps, dtype=np.bool_)
    for fp in range(vanished.shape[0]):
        pa = call.p0 + fp * call.columns
        pb = min(pa + call.columns, call.p0 + call.pixels)
        for fk in range(vanished.shape[2]):
            count = min(call.rows, elements - fk * call.rows)
            for pixel in range(pa, pb):
                mark_ones(call, x, fk * call.rows, count, pixel, seen)
                for t in range(call.timesteps):
                    if seen[t]:
                        vanished[fp, t // call.per_fold, fk] = False


@njit(nogil=True)
def count_pes(call, first, rows, columns, timesteps, slots, vanished, clock, counts):  # type: ignore[no-untyped-def]
    """Register and scratchpad accesses of one fold-pass; a vanished fold is only looked at."""
    counts[n.DETECTS] += rows * call.skip_spikes
    if vanished:
        return
    clock[PE_BUSY] += slots * rows * columns
    counts[n.SPIKE_SPAD_WRITES] += rows * columns
    counts[n.SPIKE_SPAD_READS] += slots * rows * columns
    counts[n.SHIFTS] += max(0, first + rows - max(first, call.depth)) * columns
    counts[n.DETECTS] += timesteps * call.filters * call.skip_weights


@njit(nogil=True)
def run_folds(packed, filters, vanished, clock, counts, emissions):  # type: ignore[no-untyped-def]
    """All folds of the call in order. ``filters`` [fk] that are left; ``vanished`` [fp, pass, fk]."""
    call = packed[0]
    elements = call.planes * call.depth
    pixel_folds, element_folds = ceil_div(call.pixels, call.columns), ceil_div(elements, call.rows)
    passes = ceil_div(call.timesteps, call.per_fold)
    folds = pixel_folds * passes * element_folds
    flat = vanished.ravel()
    for fp in range(pixel_folds):
        columns = min(call.columns, call.pixels - fp * call.columns)
        pa = call.p0 + fp * call.columns
        for number in range(passes):
            timesteps = min(call.per_fold, call.timesteps - number * call.per_fold)
            bits = input_word_bits(call, timesteps)
            psums = columns * ceil_div(call.filters * timesteps * call.psum_bits, call.line_bits)
            for fk in range(element_folds):
                index = (fp * passes + number) * element_folds + fk
                first = fk * call.rows
                rows = min(call.rows, elements - first)
                slots, gone = timesteps * filters[fk], flat[index]
                follows = flat[min(index + 1, folds - 1)]
                count_pes(call, first, rows, columns, timesteps, slots, gone, clock, counts)
                ends = call.last_k == 1 and fk == element_folds - 1
                reads, writes, outputs = 0, 0, 0
                if ends:
                    # The channels that share a membrane follow each other in their pixel's column.
                    groups, spill = ceil_div(call.filters, call.share), call.filters > call.rows
                    reads, writes = membrane_lines(call, columns, groups, spill, number, passes)
                    if number == passes - 1 or not call.accumulated:
                        outputs = walk_outputs(call, call.m0, call.filters, pa, pa + columns, timesteps)
                body, load, skew, trail = stationary_phases(call, index, folds, slots, gone, follows)
                weights = 0 if gone else ceil_div(rows * call.filters * call.weight_bits, call.line_bits)
                fold = Fold(
                    body, load, skew, trail, ends,
                    call.share * timesteps * ceil_div(call.filters, call.rows) * call.spiking,
                    weights, walk_elements(call, first, rows, pa, pa + columns, bits),
                    0 if call.first_k and fk == 0 else psums, psums, reads, writes, outputs,
                )  # fmt: skip
                advance(call, fold, clock, counts, emissions)
