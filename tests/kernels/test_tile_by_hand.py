"""One tiny tile worked out on paper, in every dataflow, at both depths.

Three inputs, two pixels, three filters on a 2 x 2 array; lines of 16 bits; one timestep unless said:

    spikes    c0 = 1 0    c1 = 0 1    c2 = 1 1                  (pixel 0, pixel 1)
    weights   m0 = 1 2 3    m1 = -1 0 4    m2 = 5 -6 0          (c0, c1, c2)
    sums      pixel 0 (c0 + c2): 4 3 5        pixel 1 (c1 + c2): 5 4 -6
    spikes    u > 4:             0 0 1                           1 0 0
    membrane  reset to zero:     4 3 0                           0 4 -6
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hwsim.components.array import call_process
from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileResult, TileState, TileWork, call_kernel
from hwsim.network.neuron import LifParameters
from hwsim.workload.model import Geometry

LAYER = Geometry(C=3, H=1, W=2, M=3, R=1, S=1, stride_y=1, stride_x=1, pad_y=0, pad_x=0, dilation_y=1, dilation_x=1,
                 groups=1, E=1, F=2)  # fmt: skip
ARRAY = ArrayConfig(rows=2, columns=2, line_bits=16)
X = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8).reshape(1, 3, 1, 2)
WEIGHT = np.array([[1, 2, 3], [-1, 0, 4], [5, -6, 0]], dtype=np.int8)
LIF = LifParameters(0.5, -1, 1.0, False, False, 1, False, 0.0, 0.0, 0.0, 0, True, 1)

Call = Callable[..., TileResult]
both = pytest.mark.parametrize("call", [call_kernel, call_process])


def neuron(lif: LifParameters = LIF) -> TileNeuron:
    return TileNeuron(np.ones((1, 3)), np.zeros((1, 3)), np.full((1, 3), 4.0), lif, 1.0)


def tile(stationary: str, **changes: object) -> TileWork:
    return TileWork(stationary, LAYER, 0, 3, 0, 2, 0, 3, **changes)  # type: ignore[arg-type]


def counted(result: TileResult, *names: str) -> list[int]:
    return [result.counts[name] for name in names]


@both
@pytest.mark.parametrize("stationary", ["output", "weight", "input"])
def test_function(call: Call, stationary: str) -> None:
    result = call(tile(stationary), ARRAY, X, WEIGHT, neuron(), TileState())
    assert result.outputs is not None and result.state.membrane is not None
    assert result.outputs[0].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert result.state.membrane.tolist() == [[4, 3, 0], [0, 4, -6]]
    assert counted(result, "synaptic_operations", "accumulates", "lif_updates", "fires") == [12, 12, 6, 2]
    assert result.operations_per_timestep.tolist() == [12]


@both
def test_output_stationary(call: Call) -> None:
    """Two folds (filters 0 1, filter 2) of 3 + 2 + 2 - 2 = 5 cycles; LIF works 1 cycle after each."""
    result = call(tile("output"), ARRAY, X, WEIGHT, neuron(), TileState())
    assert (result.cycles, result.array_busy, result.stall_port, result.stall_lif) == (10, 10, 0, 0)
    assert result.emissions.tolist() == [6, 11]
    assert result.state.lif_backlog == 1
    # Weights 3 x 2 x 8 bits = 3 lines, then 3 x 1 x 8 = 2. Inputs and outputs are 6 bits each: one line per fold.
    assert counted(result, "weight_lines", "input_lines", "output_lines") == [5, 2, 2]
    assert counted(result, "psum_line_reads", "psum_line_writes") == [0, 0]
    # Each of 4 + 2 used PEs gets 3 weights and 3 spike words and computes 3 slots.
    assert counted(result, "weight_spad_writes", "spike_spad_writes", "spike_spad_reads") == [18, 18, 18]
    assert counted(result, "weight_spad_reads", "psum_spad_reads", "shifts") == [12, 0, 0]
    assert (result.pe_busy, result.lif_busy) == (18, 6)


@both
def test_weight_stationary(call: Call) -> None:
    """Four folds (2 of filters x 2 of inputs) of 2 pixels + 2 x 2 + 2 - 2 = 6 cycles."""
    result = call(tile("weight"), ARRAY, X, WEIGHT, neuron(), TileState())
    assert (result.cycles, result.array_busy) == (24, 24)
    assert result.emissions.tolist() == [13, 25]
    # Weights: 2x2, 1x2, 2x1, 1x1 words of 8 bits = 2 + 1 + 1 + 1 lines. Inputs: one line per fold.
    assert counted(result, "weight_lines", "input_lines", "output_lines") == [5, 4, 2]
    # A column's 2 sums of 16 bits are 2 lines: 3 columns x 2 folds written, all but the first fold's read.
    assert counted(result, "psum_line_writes", "psum_line_reads") == [12, 6]
    assert counted(result, "weight_spad_writes", "weight_spad_reads", "spike_spad_reads") == [9, 12, 0]
    assert result.pe_busy == 18


@both
def test_input_stationary(call: Call) -> None:
    """Two folds of inputs of 3 filters + 2 x 2 + 2 - 2 = 7 cycles; 3 sums per column keep 2 LIF units 2 cycles busy."""
    result = call(tile("input"), ARRAY, X, WEIGHT, neuron(), TileState())
    assert (result.cycles, result.array_busy, result.stall_port) == (14, 14, 0)
    assert result.emissions.tolist() == [16]
    assert result.state.lif_backlog == 2
    assert counted(result, "weight_lines", "input_lines", "output_lines") == [5, 2, 1]
    assert counted(result, "psum_line_writes", "psum_line_reads") == [12, 6]
    assert counted(result, "spike_spad_writes", "spike_spad_reads", "weight_spad_writes") == [6, 18, 0]


@both
def test_time_inside_a_fold(call: Call) -> None:
    """Two timesteps in one fold: 2 x 3 slots; each PE reads and writes its psum spad once per timestep and slice.

    The second timestep sees no spikes: the membranes halve, u > 4 nowhere.
    """
    x = np.concatenate([X, 0 * X])
    array = replace(ARRAY, timesteps_per_fold=2)
    result = call(tile("output", timesteps=2), array, x, WEIGHT, neuron(), TileState())
    assert result.cycles == 2 * (6 + 2)
    assert counted(result, "psum_spad_reads", "psum_spad_writes", "weight_lines") == [12, 12, 5]
    assert result.operations_per_timestep.tolist() == [12, 0]
    assert result.emissions.tolist() == [10, 18]
    assert result.state.membrane is not None
    assert result.state.membrane.tolist() == [[2, 2, 0], [0, 2, -3]]  # 1.5 is rounded to the grid of 1, half to even


@both
def test_port_stall(call: Call) -> None:
    """Lines of 8 bits: the 6 weights of the first fold take 6 cycles, one more than the array."""
    result = call(tile("output"), replace(ARRAY, line_bits=8), X, WEIGHT, neuron(), TileState())
    assert (result.cycles, result.array_busy, result.stall_port) == (11, 10, 1)


@both
@pytest.mark.parametrize(
    ("buffer_of", "read_ports", "first", "second"),
    [((0, 1, 2), 1, 6, 5), ((0, 0, 1), 1, 7, 5), ((0, 1, 0), 1, 10, 5), ((0, 1, 1), 1, 6, 5), ((0, 0, 0), 1, 11, 6),
     ((0, 0, 0), 2, 6, 5)],
)  # fmt: skip
def test_operands_of_one_buffer_share_its_port(
    call: Call, buffer_of: tuple[int, int, int], read_ports: int, first: int, second: int
) -> None:
    """Lines of 8 bits. The first fold reads 6 weights, 1 line of inputs, 4 membranes; the second one 3, 1, 2. The array
    takes 5 cycles for each. 4 + 1 and 2 + 1 lines of membranes and outputs are written meanwhile: a port of their own.
    """
    array = replace(ARRAY, line_bits=8, buffer_of=buffer_of, read_ports=read_ports)
    work = tile("output", membrane_in=True, membrane_out=True)
    result = call(work, array, X, WEIGHT, neuron(), TileState(membrane=np.zeros((2, 3))))
    assert counted(result, "weight_lines", "input_lines", "membrane_line_reads") == [9, 2, 6]
    assert counted(result, "membrane_line_writes", "output_lines") == [6, 2]
    assert (result.cycles, result.array_busy, result.stall_port) == (first + second, 10, first + second - 10)
    assert result.emissions.tolist() == [first + 1, first + second + 1]


@both
def test_lif_stall(call: Call) -> None:
    """7 cycles of LIF work are left: 2 of them when the first fold ends at 5. Its sums wait until 7."""
    result = call(tile("output"), ARRAY, X, WEIGHT, neuron(), TileState(lif_backlog=7))
    assert (result.cycles, result.stall_lif) == (12, 2)
    assert result.emissions.tolist() == [8, 13]


@both
def test_zero_spikes(call: Call) -> None:
    """c1 never fires. Gated: the same cycles. Skipped: one of 3 slots per fold vanishes, its words still arrive."""
    x = X.copy()
    x[0, 1] = 0
    ignored, gated, skipped = (call(tile("output"), replace(ARRAY, zero_spikes=mode), x, WEIGHT, neuron(), TileState())
                               for mode in ("ignored", "gated", "skipped"))  # fmt: skip
    assert [r.cycles for r in (ignored, gated, skipped)] == [10, 10, 8]
    assert [r.counts["accumulates"] for r in (ignored, gated, skipped)] == [18, 9, 9]
    assert [r.counts["spike_spad_reads"] for r in (ignored, gated, skipped)] == [18, 18, 12]
    assert [r.counts["spike_spad_writes"] for r in (ignored, gated, skipped)] == [18, 18, 18]
    assert [r.counts["detects"] for r in (ignored, gated, skipped)] == [0, 0, 6]
    assert [r.counts["input_lines"] for r in (ignored, gated, skipped)] == [2, 2, 2]


@both
def test_zero_weights(call: Call) -> None:
    """Of the 12 pairs of spike and weight, (c2, m2) at both pixels and (c1, m1) at pixel 1 have a zero weight."""
    result = call(tile("output"), replace(ARRAY, zero_weights="gated"), X, WEIGHT, neuron(), TileState())
    assert counted(result, "synaptic_operations", "accumulates") == [12, 9]
    # Skipped, weight stationary: the fold with only (c2, m2) vanishes, 3 of 4 folds stay; its sums are still written.
    # It lasts as long as its 2 lines of sums and 1 of outputs take to be written.
    result = call(tile("weight"), replace(ARRAY, zero_weights="skipped"), X, WEIGHT, neuron(), TileState())
    assert (result.array_busy, result.stall_port) == (18, 3)
    assert counted(result, "synaptic_operations", "input_lines", "psum_line_writes") == [12, 3, 12]


@both
def test_shared_lif_units(call: Call) -> None:
    """Two channels on one unit: m1 goes on with what m0 left in the membrane, m2 has the next unit alone.

    Pixel 0: u = 4, then grid(2) + 3 = 5 fires and resets. Pixel 1: 5 fires, then 0 + 4. A unit takes 2 cycles per fold.
    """
    result = call(tile("output"), replace(ARRAY, lif_sharing=2), X, WEIGHT, neuron(LIF._replace(share=2)), TileState())
    assert result.outputs is not None and result.state.membrane is not None
    assert result.outputs[0].tolist() == [[0, 1, 1], [1, 0, 0]]
    assert result.state.membrane.tolist() == [[0, 0], [4, -6]]
    assert result.emissions.tolist() == [7, 12]
    assert result.counts["lif_updates"] == 6


@both
def test_bit_planes(call: Call) -> None:
    """Pixels of two bits (3 0 / 0 1 / 2 3): two planes, 6 slots per fold, each second one shifts. 6 bits are 1."""
    x = np.array([[3, 0], [0, 1], [2, 3]], dtype=np.uint8).reshape(1, 3, 1, 2)
    work = tile("output", planes=2, word_bits=2, constant_input=True, neuron="none", output_bits=24)
    result = call(work, ARRAY, x, WEIGHT, neuron(), TileState())
    assert result.outputs is not None
    assert result.outputs[0].tolist() == [[9, 5, 15], [11, 12, -6]]
    assert result.cycles == 2 * (6 + 2)
    assert counted(result, "synaptic_operations", "shifts") == [18, 18]
    multiplied = call(replace(work, planes=1), replace(ARRAY, mac=True), x, WEIGHT, neuron(), TileState())
    assert np.array_equal(multiplied.outputs, result.outputs)
    assert counted(multiplied, "synaptic_operations", "multiplies", "accumulates") == [12, 12, 0]


@both
def test_held_current(call: Call) -> None:
    """Pixels of two bits, three timesteps in passes of two and one. Both passes of a fold give their sums to the LIF
    units, but only the first one computes: 2 planes x 3 slots, one psum, then a marker.

    Sums 9 5 15 and 11 12 -6; u > 4 and reset to zero: all but the last fire at each timestep. -6 leaks to grid(-3) - 6
    = -9, then grid(-4.5) - 6 = -10.
    """
    x = np.array([[3, 0], [0, 1], [2, 3]], dtype=np.uint8).reshape(1, 3, 1, 2)
    work = tile("output", timesteps=3, planes=2, word_bits=2, constant_input=True, hold_current=True)
    result = call(work, replace(ARRAY, timesteps_per_fold=2), x, WEIGHT, neuron(), TileState())
    assert result.outputs is not None and result.state.membrane is not None
    assert result.outputs.tolist() == 3 * [[[1, 1, 1], [1, 1, 0]]]
    assert result.state.membrane.tolist() == [[0, 0, 0], [0, 0, -10]]
    # Two folds of (6 + 2) and (1 + 2) cycles; 2 and 1 cycles of LIF work follow the passes.
    assert (result.cycles, result.stall_lif) == (22, 0)
    assert result.emissions.tolist() == [10, 12, 21, 23]
    assert result.operations_per_timestep.tolist() == result.charged_per_timestep.tolist() == [18, 0, 0]
    assert counted(result, "synaptic_operations", "accumulates", "shifts", "lif_updates") == [18, 18, 18, 18]
    assert counted(result, "psum_spad_reads", "psum_spad_writes") == [0, 0]
    assert counted(result, "weight_spad_writes", "spike_spad_writes", "spike_spad_reads") == [18, 18, 36]
    # As in a call of one timestep: 3 + 2 lines of weights, one of inputs per fold. Spikes leave with each pass.
    assert counted(result, "weight_lines", "input_lines", "output_lines") == [5, 2, 4]
    part = replace(work, k1=2, last_k=False)
    first = call(part, replace(ARRAY, timesteps_per_fold=2), x, WEIGHT, None, TileState())
    assert first.state.psum is not None and first.state.psum.tolist() == 3 * [[[3, -3, 15], [2, 0, -6]]]
    # One sum of 16 bits for each of 2 pixels x 3 filters goes to the buffer, in one pass per fold of 4 + 2 cycles.
    assert (first.cycles, first.counts["psum_line_writes"]) == (12, 6)


@both
def test_reduction_in_two_parts(call: Call) -> None:
    """Inputs 0 1, then 2: sums go through the buffer in between (16 bits per line and column of 2 rows: 2 lines)."""
    first = call(replace(tile("output"), k1=2, last_k=False), ARRAY, X, WEIGHT, None, TileState())
    assert first.outputs is None and first.state.psum is not None
    assert first.state.psum[0].tolist() == [[1, -1, 5], [2, 0, -6]]
    assert counted(first, "psum_line_reads", "psum_line_writes", "output_lines", "lif_updates") == [0, 6, 0, 0]
    assert first.emissions.tolist() == []
    second = call(replace(tile("output"), k0=2, first_k=False), ARRAY, X, WEIGHT, neuron(), first.state)
    assert second.outputs is not None
    assert second.outputs[0].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert counted(second, "psum_line_reads", "psum_line_writes", "output_lines") == [6, 0, 2]
    assert first.counts["synaptic_operations"] + second.counts["synaptic_operations"] == 12


@both
def test_membranes_in_the_buffer(call: Call) -> None:
    """8-bit membranes of 2 pixels are one 16-bit line per column: 3 reads before, 3 writes after."""
    entry = np.array([[4.0, 0, 0], [0, 2, 0]])
    result = call(tile("output", membrane_in=True, membrane_out=True), ARRAY, X, WEIGHT, neuron(), TileState(0, entry))
    assert counted(result, "membrane_line_reads", "membrane_line_writes") == [3, 3]
    assert result.outputs is not None
    assert result.outputs[0].tolist() == [[1, 0, 1], [1, 1, 0]]  # 2 + 4 and 1 + 4 now pass the threshold


@both
@pytest.mark.parametrize(("stationary", "one_pixel"), [("output", 2), ("weight", 2), ("input", 1)])
def test_shared_membranes_in_the_buffer(call: Call, stationary: str, one_pixel: int) -> None:
    """m0 and m1 share a membrane, m2 has its own. Where filters lie in columns, either is a run over the pixels and
    takes its line of 16 bits; where a pixel has a column, its two membranes of 8 bits are one line."""
    array = replace(ARRAY, lif_sharing=2)
    for pixels, expected in ((2, 2), (1, one_pixel)):
        work = replace(tile(stationary, membrane_in=True, membrane_out=True), p1=pixels)
        entry = TileState(membrane=np.zeros((pixels, 2)))
        result = call(work, array, X, WEIGHT, neuron(LIF._replace(share=2)), entry)
        assert counted(result, "membrane_line_reads", "membrane_line_writes") == [expected, expected]


@both
def test_folds_that_overlap(call: Call) -> None:
    """The second fold streams in behind the first: 3 + 3 slots and one skew of 2. Sums leave after the skew."""
    result = call(tile("output"), replace(ARRAY, fold_overlap=True), X, WEIGHT, neuron(), TileState())
    assert result.cycles == 3 + 3 + 2
    assert result.emissions.tolist() == [6, 9]
    # Weight stationary: first load 2, bodies of 2 slots, each hiding the load of the next, one skew of 2. 3 filters'
    # sums are written through one port: folds of 4, 5, 2, 3 lines take 4, 5, 2, 4 cycles where the array needs 4 2 2 4.
    result = call(tile("weight"), replace(ARRAY, fold_overlap=True), X, WEIGHT, neuron(), TileState())
    assert (result.array_busy, result.stall_port, result.cycles) == (12, 3, 15)
