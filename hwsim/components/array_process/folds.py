"""The folds of a tile call as the sequencer runs them: who works on what, which slots are issued, which lines move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hwsim.components.array_process.operands import Operands, accesses, input_words

Slot = tuple[int, int, int]
"""Output stationary: (position in k, timestep in pass, plane). Else: (position of pixel or filter, timestep, 0)."""


@dataclass
class Issue:
    """One step of the stream: a slot that the PEs compute (None: only a marker), and words that arrive for the spads.

    ``late``: words that no slot waited for; they follow the last slot.
    """

    slot: Slot | None
    loads: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    end: bool = False


@dataclass
class Fold:
    """One fold-pass. ``pixels`` and ``filters`` that it works on, ``elements`` (plane, k) in its rows or in its stream;
    ``ports``: how many lines the ports move for weights, inputs, reads and writes of outputs, by what they are counted
    as; ``counts``: what the detectors saw."""

    index: int
    number: int
    """Of the pass."""
    t0: int
    timesteps: int
    pixels: range
    filters: range
    elements: list[tuple[int, int]]
    rows: int
    columns: int
    produces: bool
    vanished: bool = False
    last: bool = False
    issues: list[Issue] = field(default_factory=list)
    ports: dict[str, Counter[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    dropped_operations: list[int] = field(default_factory=list)
    """Per timestep of the pass: synaptic operations with zero weights that the detectors took out of the stream."""
    words: set[int] = field(default_factory=set)
    summed: int = 0
    """Timesteps (from the first of the pass) whose sums the PEs compute; fewer than ``timesteps`` where one sum serves
    all."""


def make_folds(operands: Operands) -> list[Fold]:
    """All folds of the call, in order."""
    work = operands.work
    plan = {"output": _output_folds, "weight": _weight_folds, "input": _input_folds}[work.stationary]
    folds = list(plan(operands))
    folds[-1].last = True
    for fold in folds:
        fold.summed = fold.timesteps
        if work.hold_current:
            fold.summed = int(fold.number == 0)
        if work.stationary == "output":
            _issue_output(operands, fold)
        else:
            _issue_stream(operands, fold)
        _move_lines(operands, fold)
    return folds


def _passes(operands: Operands) -> list[tuple[int, int, int]]:
    """(number, first timestep, timesteps) of each pass."""
    total, step = operands.work.timesteps, operands.config.timesteps_per_fold
    if operands.work.hold_current and not operands.work.last_k:
        step = total  # one sum goes to the buffer, whatever the number of timesteps
    return [(number, t0, min(step, total - t0)) for number, t0 in enumerate(range(0, total, step))]


def _parts(start: int, end: int, step: int) -> list[range]:
    return [range(a, min(a + step, end)) for a in range(start, end, step)]


def _output_folds(operands: Operands) -> Iterator[Fold]:
    work, config = operands.work, operands.config
    elements = [(0, k) for k in range(work.k0, work.k1)]
    index = 0
    for filters in _parts(work.m0, work.m1, config.columns):
        for pixels in _parts(work.p0, work.p1, config.rows):
            for number, t0, timesteps in _passes(operands):
                yield Fold(index, number, t0, timesteps, pixels, filters, elements, len(pixels), len(filters),
                           work.last_k)  # fmt: skip
                index += 1


def _element_folds(operands: Operands) -> list[list[tuple[int, int]]]:
    """The (plane, k) elements, plane by plane, in groups of Ra."""
    work, rows = operands.work, operands.config.rows
    elements = [(plane, k) for plane in range(work.planes) for k in range(work.k0, work.k1)]
    return [elements[i : i + rows] for i in range(0, len(elements), rows)]


def _weight_folds(operands: Operands) -> Iterator[Fold]:
    work, config = operands.work, operands.config
    groups = _element_folds(operands)
    index = 0
    for filters in _parts(work.m0, work.m1, config.columns):
        for number, t0, timesteps in _passes(operands):
            for at, elements in enumerate(groups):
                ends = work.last_k and at == len(groups) - 1
                yield Fold(index, number, t0, timesteps, range(work.p0, work.p1), filters, elements, len(elements),
                           len(filters), ends)  # fmt: skip
                index += 1


def _input_folds(operands: Operands) -> Iterator[Fold]:
    work, config = operands.work, operands.config
    groups = _element_folds(operands)
    index = 0
    for pixels in _parts(work.p0, work.p1, config.columns):
        for number, t0, timesteps in _passes(operands):
            for at, elements in enumerate(groups):
                ends = work.last_k and at == len(groups) - 1
                yield Fold(index, number, t0, timesteps, pixels, range(work.m0, work.m1), elements, len(elements),
                           len(pixels), ends)  # fmt: skip
                index += 1


def _ones(operands: Operands, fold: Fold, t: int, plane: int, k: int) -> int:
    """Pixels of the fold whose input is not zero at this element."""
    return sum(operands.bit(operands.value(fold.t0 + t, k, pixel), plane) != 0 for pixel in fold.pixels)


def _issue_output(operands: Operands, fold: Fold) -> None:
    """The slots of an output stationary fold: slices of k, in each all timesteps, all planes, and the k of the slice.

    The words of an element arrive with its first slot; where that one is skipped, with the next one that is issued.
    """
    work, config = operands.work, operands.config
    spikes, weights = config.zero_spikes == "skipped", config.zero_weights == "skipped"
    fold.dropped_operations = [0] * fold.timesteps
    pending: list[int] = []
    for part in _parts(0, len(fold.elements), config.spad_slice):
        for t in range(fold.summed):
            for plane in range(work.planes):
                for at in part:
                    if t == 0 and plane == 0:
                        pending.append(at)
                    k = fold.elements[at][1]
                    fold.counts["detects"] += spikes + weights
                    ones = _ones(operands, fold, t, plane, k) if spikes or weights else 0
                    if weights and not any(operands.weight(m, k) for m in fold.filters):
                        fold.dropped_operations[t] += ones * len(fold.filters)
                    elif not (spikes and ones == 0):
                        fold.issues.append(Issue((at, t, plane), pending))
                        pending = []
    _mark_end(fold)
    fold.issues[-1].late = pending


def _mark_end(fold: Fold) -> None:
    """An empty fold still sends its end through the array."""
    if not fold.issues:
        fold.issues.append(Issue(None))
    fold.issues[-1].end = True


def _issue_stream(operands: Operands, fold: Fold) -> None:
    """The slots of a fold with a stationary operand: for each streamed pixel or filter, all timesteps of the pass."""
    config, weight_held = operands.config, operands.work.stationary == "weight"
    skip_held = (config.zero_weights if weight_held else config.zero_spikes) == "skipped"
    skip_streamed = (config.zero_spikes if weight_held else config.zero_weights) == "skipped"
    fold.dropped_operations = [0] * fold.timesteps
    if skip_held:
        fold.counts["detects"] += fold.rows
        fold.vanished = not _holds_anything(operands, fold)
    streamed = fold.pixels if weight_held else fold.filters
    for at, item in enumerate(streamed):
        for t in range(fold.timesteps):
            fold.counts["detects"] += skip_streamed and not fold.vanished
            if fold.vanished or (skip_streamed and not _streams_anything(operands, fold, item, t)):
                _drop(operands, fold, item, t)
            else:
                fold.issues.append(Issue((at, t, 0)))
    if fold.vanished and not (config.fold_overlap and fold.last):
        return
    _mark_end(fold)


def _holds_anything(operands: Operands, fold: Fold) -> bool:
    """Whether a word that the PEs would hold is not zero."""
    if operands.work.stationary == "weight":
        return any(operands.weight(m, k) for _, k in fold.elements for m in fold.filters)
    return any(_ones(operands, fold, t, plane, k) for plane, k in fold.elements for t in range(fold.timesteps))


def _streams_anything(operands: Operands, fold: Fold, item: int, t: int) -> bool:
    """Whether a row of this slot gets something that is not zero."""
    if operands.work.stationary == "weight":
        return any(operands.bit(operands.value(fold.t0 + t, k, item), plane) for plane, k in fold.elements)
    return any(operands.weight(item, k) for _, k in fold.elements)


def _drop(operands: Operands, fold: Fold, item: int, t: int) -> None:
    """Book the synaptic operations of a slot that no PE will see (all of them with zero weights)."""
    weight_held = operands.work.stationary == "weight"
    for plane, k in fold.elements:
        if weight_held:
            one = operands.bit(operands.value(fold.t0 + t, k, item), plane) != 0
            fold.dropped_operations[t] += one * len(fold.filters)
        else:
            fold.dropped_operations[t] += _ones(operands, fold, t, plane, k)


def _move_lines(operands: Operands, fold: Fold) -> None:
    """The lines that the fold's operand streams move, counted by walking over every word."""
    work, config = operands.work, operands.config
    word_bits = work.word_bits if work.constant_input else work.word_bits * fold.timesteps
    words = input_words(work, fold.elements, fold.pixels) if fold.summed else []
    fold.words = set(words)
    held = work.stationary
    streamed = {"output": len(fold.elements) * fold.columns, "weight": fold.rows * fold.columns,
                "input": fold.rows * len(fold.filters)}[held]  # fmt: skip
    weight_lines = accesses(range(streamed if fold.summed else 0), config.weight_bits, config.line_bits)
    input_lines = accesses(words, word_bits, config.line_bits)
    fold.ports = {
        "weights": Counter(weight_lines=0 if fold.vanished and held == "input" else weight_lines),
        "inputs": Counter(input_lines=0 if fold.vanished and held == "weight" else input_lines),
        "reads": Counter(),
        "writes": Counter(),
    }
    per_column = {"output": len(fold.pixels), "weight": len(fold.pixels), "input": len(fold.filters)}[held]
    _move_psums(operands, fold, per_column)
    if fold.produces:
        _move_membranes(operands, fold)
        _move_outputs(operands, fold)


def _move_psums(operands: Operands, fold: Fold, per_column: int) -> None:
    work, config = operands.work, operands.config
    lines = fold.columns * accesses(range(per_column * fold.summed), config.psum_bits, config.line_bits)
    if work.stationary == "output":
        reads, writes = not work.first_k, not work.last_k
    else:
        starts = work.first_k and fold.elements[0] == (0, work.k0)
        reads, writes = not starts, True
    fold.ports["reads"]["psum_line_reads"] += lines * reads
    fold.ports["writes"]["psum_line_writes"] += lines * writes


def _move_membranes(operands: Operands, fold: Fold) -> None:
    """The membranes of a finishing fold. LIF units lie beside the rows where channels that share one are neighbouring
    columns, and below the columns where they follow each other in a column; a run of lines for each such place."""
    work, config = operands.work, operands.config
    if not work.spiking:
        return
    groups = {m // config.lif_sharing for m in fold.filters}
    runs, each = (fold.pixels, groups) if work.stationary == "input" else (groups, fold.pixels)
    lines = sum(accesses(range(len(each)), config.membrane_bits, config.line_bits) for _ in runs)
    first, last = fold.number == 0, fold.t0 + fold.timesteps == work.timesteps
    sums = len(fold.filters if work.stationary == "input" else fold.pixels)
    spill = work.stationary != "output" and sums > config.rows
    fold.ports["reads"]["membrane_line_reads"] += lines * (work.membrane_in if first else spill)
    fold.ports["writes"]["membrane_line_writes"] += lines * (work.membrane_out if last else spill)


def _move_outputs(operands: Operands, fold: Fold) -> None:
    work, config = operands.work, operands.config
    summed = work.neuron == "none"
    if summed and fold.t0 + fold.timesteps < work.timesteps:
        return
    bits = work.output_bits if summed else work.output_bits * fold.timesteps
    words = (m * work.geometry.P + pixel for m in fold.filters for pixel in fold.pixels)
    fold.ports["writes"]["output_lines"] += accesses(words, bits, config.line_bits)
