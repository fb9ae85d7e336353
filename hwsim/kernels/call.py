"""One tile call at depth ``kernel``: operands prepared, sums and counts gathered, folds run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.kernels import counters as n
from hwsim.kernels import input_stationary, output_stationary, psum, timeline, weight_stationary
from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileResult, TileState, TileWork, pack_weight

_INT32_LIMIT = 2**31 - 1


def integers(work: TileWork, config: ArrayConfig) -> n.Call:
    """The call as the integers that kernels take."""
    g = work.geometry
    per_fold = min(config.timesteps_per_fold, work.timesteps)
    if work.hold_current and not work.last_k:
        per_fold = work.timesteps  # the one sum that is held goes to the buffer: there is nothing for later passes
    return n.Call(
        config.rows, config.columns, config.spad_slice, config.line_bits, config.read_ports, config.write_ports,
        config.psum_bits, config.weight_bits, config.membrane_bits, config.lif_sharing, int(config.fold_overlap),
        int(config.zero_spikes == "skipped"), int(config.zero_weights == "skipped"),
        per_fold, int(config.mac), *config.buffer_of,
        g.C, g.H, g.W, g.R, g.S, g.stride_y, g.stride_x, g.pad_y, g.pad_x, g.dilation_y, g.dilation_x, g.E, g.F,
        work.m0, work.m1 - work.m0, work.p0, work.p1 - work.p0, work.k0, work.k1 - work.k0, int(work.first_k),
        int(work.last_k), work.timesteps, work.planes, work.word_bits, int(work.constant_input), work.output_bits,
        int(work.membrane_in and work.spiking), int(work.membrane_out and work.spiking), int(work.spiking),
        int(work.neuron == "none"), int(work.hold_current),
    )  # fmt: skip


def run(work: TileWork, config: ArrayConfig, x: np.ndarray, weight: np.ndarray | None, neuron: TileNeuron | None,
        state: TileState) -> TileResult:  # fmt: skip
    """See ``hwsim.kernels.tile.call_kernel``."""
    call = integers(work, config)
    if x.dtype != np.uint8:
        x = x.astype(np.int32)
    if not (x.flags.c_contiguous and x.flags.writeable):
        x = x.copy()
    matrix, nonzero = _operands(work, config, weight)
    sums, operations = _sums(call, x, matrix, nonzero, state)
    counts = np.zeros(len(n.COUNTS), dtype=np.int64)
    per_timestep, charged = _count_operations(call, config, operations, nonzero, counts)
    outputs, membrane = _finish(call, work, sums, neuron, state, counts)
    clock, emissions = _run_folds(call, work, x, nonzero, state, counts)
    kept = None if work.last_k else sums
    return TileResult(
        cycles=int(clock[timeline.NOW]), emissions=emissions,
        counts=dict(zip(n.COUNTS, counts.tolist(), strict=True)), operations_per_timestep=per_timestep,
        charged_per_timestep=charged,
        array_busy=int(clock[timeline.BUSY]), stall_port=int(clock[timeline.STALL_PORT]),
        stall_lif=int(clock[timeline.STALL_LIF]), pe_busy=int(clock[timeline.PE_BUSY]),
        lif_busy=int(counts[n.LIF_UPDATES]),
        state=TileState(max(0, int(clock[timeline.LIF_FREE] - clock[timeline.NOW])), membrane, kept), outputs=outputs,
    )  # fmt: skip


def dense_cycles(work: TileWork, config: ArrayConfig) -> int:
    """Cycles of the call if nothing were skipped, stalls at ports and LIF units included."""
    dense = replace(config, zero_spikes="gated", zero_weights="ignored")
    counts = np.zeros(len(n.COUNTS), dtype=np.int64)
    nothing = np.zeros((1, 1, 1, 1), dtype=np.uint8)
    clock, _ = _run_folds(integers(work, dense), work, nothing, np.ones((0, 0), dtype=np.bool_), TileState(), counts)
    return int(clock[timeline.NOW])


def _operands(work: TileWork, config: ArrayConfig, weight: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray]:
    """The layer's weights [K, M] int8 or float64, and which of the tile's are not zero [K', M'] (empty: all count)."""
    everything = np.ones((0, 0), dtype=np.bool_)
    if weight is None:
        assert config.zero_weights == "ignored", "zero weights cannot be told without weights"
        return None, everything
    matrix = pack_weight(weight).T
    return matrix, everything if config.zero_weights == "ignored" else matrix[work.k0 : work.k1, work.m0 : work.m1] != 0


def _sums(call: n.Call, x: np.ndarray, matrix: np.ndarray | None, nonzero: np.ndarray, state: TileState
          ) -> tuple[np.ndarray | None, np.ndarray]:  # fmt: skip
    """(sums [T, P', M'], operations [T, 2]) of the call; sums None without weights."""
    events, y0 = _events(call, x[:1] if call.hold else x)
    times, largest = len(events[0]), int(np.abs(events[2]).max(initial=0))
    weight = np.zeros((0, 0), dtype=np.int8) if matrix is None else matrix
    wide: type = np.int64 if weight.dtype == np.int8 else np.float64
    narrow = weight.dtype == np.int8 and call.depth * 128 * max(largest, 1) <= _INT32_LIMIT
    filters = 0 if matrix is None else call.filters
    sums: np.ndarray = np.zeros((times, call.pixels, filters), np.int32 if narrow else wide)
    operations = np.zeros((times, 2), dtype=np.int64)
    unit = largest == 1 and x.dtype == np.uint8
    psum.gather(call.packed(), events, y0, unit, weight, _weights_per_row(call, nonzero), sums, operations)
    if times < call.timesteps:
        sums = np.repeat(sums, call.timesteps, axis=0)
        operations = np.repeat(operations, call.timesteps, axis=0)
        operations[1:] *= not call.hold
    if matrix is None:
        return None, operations
    if not call.first_k:
        assert state.psum is not None
        sums = sums.astype(wide) + state.psum
    return sums, operations


def _events(call: n.Call, x: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """(events, first row) of the part of x that the tile sees."""
    y_first = call.p0 // call.F * call.stride_y - call.pad_y
    y_last = (call.p0 + call.pixels - 1) // call.F * call.stride_y - call.pad_y + (call.R - 1) * call.dilation_y
    y0, y1 = min(max(0, y_first), call.H), max(0, min(call.H, y_last + 1))
    window = call.R * call.S
    channels = call.k0 // window, -(-(call.k0 + call.depth) // window)
    return psum.list_events(x, *channels, y0, max(y0, y1)), y0


def _weights_per_row(call: n.Call, nonzero: np.ndarray) -> np.ndarray:
    """[K'] weights of each reduction element that count as not zero."""
    return nonzero.sum(axis=1, dtype=np.int64) if nonzero.size else np.full(call.depth, call.filters)


def _count_operations(call: n.Call, config: ArrayConfig, operations: np.ndarray, nonzero: np.ndarray,
                      counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Synaptic operations, and the pairs of input and weight that are charged; returns both per timestep."""
    performed, charged = operations[:, 0] * call.filters, operations[:, 1].copy()
    if config.zero_spikes == "ignored":
        charged[:] = _weights_per_row(call, nonzero).sum() * call.planes * call.pixels
        charged[1:] *= not call.hold
    counts[n.SYNAPTIC_OPERATIONS] = performed.sum()
    counts[n.MULTIPLIES if call.mac else n.ACCUMULATES] = charged.sum()
    return performed, charged


def _finish(call: n.Call, work: TileWork, sums: np.ndarray | None, neuron: TileNeuron | None, state: TileState,
            counts: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:  # fmt: skip
    """(outputs [T, P', M'], exit membrane): the neuron, once the sums are complete."""
    updates = call.timesteps * call.pixels * call.filters * call.last_k
    counts[n.LIF_UPDATES] = updates * call.spiking
    counts[n.ACTIVATIONS] = updates * (work.neuron == "relu")
    if sums is None or not work.last_k:
        return None, state.membrane
    assert neuron is not None
    if work.spiking:
        binary = neuron.lif.max_spikes == 1 and not neuron.lif.signed
        outputs = np.zeros(sums.shape, dtype=np.uint8 if binary else np.int32)
        units = -(-call.filters // neuron.lif.share)
        assert neuron.lif.share == call.share, "the network and the array must share LIF units alike"
        entry = np.full((call.pixels, units), neuron.start) if state.membrane is None else state.membrane
        membrane = np.array(entry, dtype=np.float64, order="C")
        psum.fire(sums, membrane, neuron.scale, neuron.offset, neuron.threshold, neuron.lif, outputs)
        counts[n.FIRES] = np.count_nonzero(outputs)
        return outputs, membrane
    if work.neuron == "relu":
        outputs = np.zeros(sums.shape, dtype=np.int32)
        psum.activate(sums, neuron.scale, neuron.offset, neuron.current_step, neuron.relu_scale, neuron.relu_high,
                      outputs)  # fmt: skip
        return outputs, None
    outputs = np.zeros(sums.shape)
    psum.pass_on(sums, neuron.scale, neuron.offset, neuron.current_step, outputs)
    return outputs, None


def _run_folds(call: n.Call, work: TileWork, x: np.ndarray, nonzero: np.ndarray, state: TileState, counts: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(clock, emissions): the folds of the call's dataflow, in order."""
    clock, packed = timeline.new_clock(state.lif_backlog), call.packed()
    passes = -(-call.timesteps // call.per_fold)
    filter_folds, row_pixels = -(-call.filters // call.columns), -(-call.pixels // call.rows)
    column_pixels, element_folds = -(-call.pixels // call.columns), -(-call.planes * call.depth // call.rows)
    across = {"output": filter_folds * row_pixels, "weight": filter_folds, "input": column_pixels}[work.stationary]
    emissions = np.zeros(across * passes if call.last_k else 0, dtype=np.int64)
    if work.stationary == "output":
        skips = call.skip_spikes or call.skip_weights
        table = np.zeros((row_pixels, filter_folds, passes, 3) if skips else (0, 0, 0, 3), dtype=np.int64)
        if skips:
            output_stationary.count_slots(packed, x, nonzero, table)
        output_stationary.run_folds(packed, table, clock, counts, emissions)
    elif work.stationary == "weight":
        slots = np.zeros((element_folds, passes) if call.skip_spikes else (0, 0), dtype=np.int64)
        vanished = np.zeros((filter_folds, element_folds), dtype=np.bool_)
        if call.skip_spikes:
            weight_stationary.count_slots(packed, x, slots)
        if call.skip_weights:
            weight_stationary.find_vanished(packed, nonzero, vanished)
        weight_stationary.run_folds(packed, slots, vanished, clock, counts, emissions)
    else:
        filters = np.zeros(element_folds, dtype=np.int64) if call.skip_weights else np.full(element_folds, call.filters)
        gone = np.full((column_pixels, passes, element_folds), bool(call.skip_spikes))
        if call.skip_weights:
            input_stationary.count_filters(packed, nonzero, filters)
        if call.skip_spikes:
            input_stationary.find_vanished(packed, x, gone)
        input_stationary.run_folds(packed, filters, gone, clock, counts, emissions)
    counts[n.WEIGHT_SPAD_READS] = 0 if work.stationary == "input" else counts[n.ACCUMULATES] + counts[n.MULTIPLIES]
    return clock, emissions
