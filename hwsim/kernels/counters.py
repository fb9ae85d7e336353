"""Names and places of what a tile call counts, and the integers of a call in the form that numba takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

COUNTS = (
    "synaptic_operations", "accumulates", "multiplies", "weight_lines", "input_lines", "psum_line_reads",
    "psum_line_writes", "membrane_line_reads", "membrane_line_writes", "output_lines", "weight_spad_writes",
    "weight_spad_reads", "spike_spad_writes", "spike_spad_reads", "psum_spad_reads", "psum_spad_writes", "shifts",
    "lif_updates", "activations", "detects", "fires",
)  # fmt: skip
"""synaptic_operations: input bits (MAC: words) that are not 0, times the filters they reach; padding never counts."""

(SYNAPTIC_OPERATIONS, ACCUMULATES, MULTIPLIES, WEIGHT_LINES, INPUT_LINES, PSUM_LINE_READS, PSUM_LINE_WRITES,
 MEMBRANE_LINE_READS, MEMBRANE_LINE_WRITES, OUTPUT_LINES, WEIGHT_SPAD_WRITES, WEIGHT_SPAD_READS, SPIKE_SPAD_WRITES,
 SPIKE_SPAD_READS, PSUM_SPAD_READS, PSUM_SPAD_WRITES, SHIFTS, LIF_UPDATES, ACTIVATIONS, DETECTS,
 FIRES) = range(len(COUNTS))  # fmt: skip


class Call(NamedTuple):
    """All integers of a tile call; switches are 0 or 1. Ranges m, p, k are counted from their starts m0, p0, k0."""

    rows: int
    columns: int
    spad_slice: int
    line_bits: int
    read_ports: int
    write_ports: int
    psum_bits: int
    weight_bits: int
    membrane_bits: int
    share: int
    overlap: int
    skip_spikes: int
    skip_weights: int
    per_fold: int
    """Timesteps of a full pass."""
    mac: int
    weights_buffer: int
    inputs_buffer: int
    outputs_buffer: int
    C: int
    H: int
    W: int
    R: int
    S: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    dilation_y: int
    dilation_x: int
    E: int
    F: int
    m0: int
    filters: int
    p0: int
    pixels: int
    k0: int
    depth: int
    first_k: int
    last_k: int
    timesteps: int
    planes: int
    word_bits: int
    constant_input: int
    output_bits: int
    membrane_in: int
    membrane_out: int
    spiking: int
    accumulated: int
    """Outputs are sums over all timesteps, written once (neuron 'none')."""
    hold: int

    def packed(self) -> np.ndarray:
        """[1] record with these fields, which is how kernels take it: they compile and are called several times faster
        than with a tuple. A kernel that Python calls names it ``packed`` and begins with ``call = packed[0]``."""
        return np.array(self, dtype=np.int64).view(_RECORD)


_RECORD = np.dtype([(name, np.int64) for name in Call._fields])
