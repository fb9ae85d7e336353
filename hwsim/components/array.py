"""The systolic tile call at depth ``process``: one SimPy process per PE, feeder, port and LIF unit.

The slow witness of ``hwsim.kernels.tile.call_kernel``: operands move from register to register, cycle by cycle, and
what is counted is counted where it happens.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import simpy

from hwsim.components.array_process.clock import Clock
from hwsim.components.array_process.feeder import ColumnFeeder, Command, RowFeeder
from hwsim.components.array_process.folds import Fold, make_folds
from hwsim.components.array_process.lif import LifBank
from hwsim.components.array_process.line_port import LinePort
from hwsim.components.array_process.operands import Operands
from hwsim.components.array_process.pe import Accumulators, OutputStationaryPe, Pe, StationaryPe
from hwsim.components.array_process.sequencer import Sequencer
from hwsim.kernels.call import dense_cycles
from hwsim.kernels.counters import COUNTS
from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileResult, TileState, TileWork, call_kernel, check_work
from hwsim.network.neuron import current_row, relu_step

SECONDS_PER_STEP = 1.2e-6
"""Wall time of one process in one cycle on the machine on which this was written; for estimates only."""

SECONDS_PER_OPERATION = 3.0e-6
"""Wall time of one slot in one PE, and of one word of a fold that is looked up when the fold is made."""


class PeArray:
    """PEs, feeders, ports, LIF units and sequencer of one tile call, wired up."""

    def __init__(self, clock: Clock, operands: Operands, neuron: TileNeuron | None, state: TileState) -> None:
        work, config = operands.work, operands.config
        self.clock, self.operands, self.work, self.config, self.state = clock, operands, work, config, state
        kind: type[Pe] = OutputStationaryPe if work.stationary == "output" else StationaryPe
        self.grid = [
            [kind(clock, operands, row, column) for column in range(config.columns)] for row in range(config.rows)
        ]
        _wire(self.grid)
        command = Command()
        rows = [RowFeeder(clock, operands, command, row, line[0].left) for row, line in enumerate(self.grid)]
        columns = [ColumnFeeder(clock, operands, command, column, pe.top) for column, pe in enumerate(self.grid[0])]
        readers = {buffer: LinePort(clock, config.read_ports) for buffer in config.buffer_of}
        self.all_ports = [*readers.values(), LinePort(clock, config.write_ports)]
        users = [*(readers[buffer] for buffer in config.buffer_of), self.all_ports[-1]]
        self.ports = dict(zip(("weights", "inputs", "reads", "writes"), users, strict=True))  # the order of the queue
        self.accumulators = None
        if work.stationary != "output":
            bottom = [pe for pe in self.grid[-1] if isinstance(pe, StationaryPe)]
            self.accumulators = Accumulators(clock, operands, bottom)
        self.bank = LifBank(clock, work, config, neuron, state, self.sum_of)
        self.folds = make_folds(operands)
        self.sequencer = Sequencer(clock, work, config, self.folds, command, self.ports, self.grid[-1][-1], self.bank)
        self.parts: list[Any] = [pe for line in self.grid for pe in line]
        self.parts += [*rows, *columns, *self.all_ports, *self.bank.units]
        self.parts += [self.accumulators] if self.accumulators else []

    def sum_of(self, fold: Fold, t: int, pixel: int, m: int) -> Any:
        """A finished sum of the call, with what earlier calls of the same reduction have left."""
        work, value = self.work, 0
        if self.state.psum is not None and not work.first_k:
            value = self.state.psum[t, pixel - work.p0, m - work.m0].item()
        if self.accumulators is not None:
            return value + self.accumulators.sums[t, pixel, m]
        pe = self.grid[fold.pixels.index(pixel)][fold.filters.index(m)]
        assert isinstance(pe, OutputStationaryPe)
        return value + pe.finished[fold.index].get(t - fold.t0, 0)

    def sums(self) -> np.ndarray:
        """All sums [T, P', M'] float64."""
        work = self.work
        result = np.zeros((work.timesteps, work.p1 - work.p0, work.m1 - work.m0))
        for fold in self.folds:
            for t in range(fold.t0, fold.t0 + fold.timesteps):
                for pixel in fold.pixels:
                    for m in fold.filters:
                        result[t, pixel - work.p0, m - work.m0] = self.sum_of(fold, t, pixel, m)
        return result


def _wire(grid: list[list[Pe]]) -> None:
    """Registers between neighbours are shared: what one puts to its right is what the next one gets from its left."""
    for row, line in enumerate(grid):
        for column, pe in enumerate(line):
            if column > 0:
                pe.left = line[column - 1].right
            if row > 0:
                above = grid[row - 1][column]
                pe.top = above.below
                if isinstance(pe, StationaryPe) and isinstance(above, StationaryPe):
                    pe.sum_in = above.sum_out


def call_process(work: TileWork, config: ArrayConfig, x: np.ndarray, weight: np.ndarray | None,
                 neuron: TileNeuron | None, state: TileState, order: np.random.Generator | None = None
                 ) -> TileResult:  # fmt: skip
    """The tile call at depth ``process``; arguments and result as ``call_kernel``.

    ``order`` shuffles the order in which the processes start, which must not change anything.
    """
    check_work(work, config, x, weight)
    env = simpy.Environment()
    clock = Clock(env)
    array = PeArray(clock, Operands(work, config, x, weight), neuron, state)
    main = env.process(array.sequencer.run())
    starts = [part.run() for part in array.parts] + [clock.run()]
    if order is not None:
        starts = [starts[i] for i in order.permutation(len(starts))]
    for start in starts:
        env.process(start)
    env.run(until=main)
    return _result(array, weight is not None, neuron)


def estimate_process_seconds(work: TileWork, config: ArrayConfig) -> float:
    """About how long ``call_process`` will take here; too long rather than too short where zeros are skipped."""
    pes, units = config.rows * config.columns, -(-config.rows * config.columns // config.lif_sharing)
    processes = pes + units + config.rows + config.columns + 6
    filters, pixels, elements = work.m1 - work.m0, work.p1 - work.p0, work.planes * (work.k1 - work.k0)
    slots = filters * pixels * elements * work.timesteps
    return dense_cycles(work, config) * processes * SECONDS_PER_STEP + slots * SECONDS_PER_OPERATION


class SystolicTile:
    """The tile call at both depths, for ``hwsim.testing.agree``."""

    processes = staticmethod(call_process)
    kernel = staticmethod(call_kernel)


def _result(array: PeArray, known: bool, neuron: TileNeuron | None) -> TileResult:
    """Everything the parts have counted, added up."""
    work, sequencer, bank = array.work, array.sequencer, array.bank
    pes = [pe for line in array.grid for pe in line]
    counts: Counter[str] = Counter()
    operations, charged = np.zeros((2, work.timesteps), dtype=np.int64)
    parts: list[Any] = [*pes, *array.all_ports, *array.folds]
    for part in parts:
        counts.update(part.counts)
    for pe in pes:
        for t, times in pe.operations.items():
            operations[t] += times
        for t, times in pe.charged.items():
            charged[t] += times
    for fold in array.folds:
        for t, times in enumerate(fold.dropped_operations):
            operations[fold.t0 + t] += times
    counts["synaptic_operations"] = int(operations.sum())
    counts["lif_updates"] = sum(unit.updates for unit in bank.units)
    outputs, membrane = bank.fires, bank.membranes
    if work.last_k and not work.spiking:
        outputs = _close(array, counts, neuron if known else None)
    elif outputs is not None:
        counts["fires"] = int(np.count_nonzero(outputs))
    state = TileState(sequencer.backlog, array.state.membrane if membrane is None and _keeps(work, known) else membrane,
                      array.sums() if known and not work.last_k else None)  # fmt: skip
    emissions = np.array([bank.emissions[index] for index in sorted(bank.emissions)], dtype=np.int64)
    return TileResult(
        sequencer.end, emissions, {name: int(counts[name]) for name in COUNTS}, operations, charged,
        sequencer.busy, sequencer.stall_port, sequencer.stall_lif, sum(pe.busy for pe in pes), counts["lif_updates"],
        state, outputs,
    )  # fmt: skip


def _keeps(work: TileWork, known: bool) -> bool:
    """Whether the call leaves the membranes as they were: it does not come to them, or it cannot compute them."""
    return not (work.last_k and known)


def _close(array: PeArray, counts: Counter[str], neuron: TileNeuron | None) -> np.ndarray | None:
    """Outputs of a layer without LIF units: activations, or currents."""
    work = array.work
    size = (work.timesteps, work.p1 - work.p0, work.m1 - work.m0)
    counts["activations"] = int(np.prod(size)) if work.neuron == "relu" else 0
    if neuron is None:
        return None
    sums = array.sums()
    outputs = np.zeros(size)
    for t in range(work.timesteps):
        scale, offset = (part[min(t, len(part) - 1)] for part in (neuron.scale, neuron.offset))
        for i in range(size[1]):
            if work.neuron == "relu":
                relu_step(sums[t, i], outputs[t, i], scale, offset, neuron.current_step, neuron.relu_scale,
                          neuron.relu_high)  # fmt: skip
            else:
                current_row(sums[t, i], outputs[t, i], scale, offset, neuron.current_step)
    return outputs.astype(np.int32) if work.neuron == "relu" else outputs
