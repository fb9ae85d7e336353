"""SCALE-Sim's closed forms: folds, cycles and SRAM words of one dense layer on a Ra x Ca array.

They equal the tool's stall-free mode (scale-sim-v2 187e81c, SCALE-Sim v3 1d62b68) for output, weight and input
stationary arrays. Two artefacts of the tool are kept apart: ``empty_writes`` (the output-stationary write matrix counts
Ra + Ca empty cycles of each fold as writes) and ``last_write`` (its "Total Cycles" is the index of the last write).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.profiles.shapes import LayerShape, ceil_div


@dataclass(frozen=True)
class Folds:
    """Counts of one layer at one timestep. Words are operand elements; cycles are array clocks."""

    folds: int
    cycles_per_fold: int
    ifmap_reads: int
    weight_reads: int
    ofmap_writes: int
    empty_writes: int
    last_write: int

    @property
    def cycles(self) -> int:
        """Folds never overlap: fill and drain are paid on every fold."""
        return self.folds * self.cycles_per_fold


def output_stationary(layer: LayerShape, rows: int, columns: int) -> Folds:
    """Rows hold output pixels, columns filters; the reduction streams for K cycles."""
    P, K, M = layer.P, layer.K, layer.M
    folds = ceil_div(P, rows) * ceil_div(M, columns)
    per_fold = K + rows + columns - 2
    unused_columns = -M % columns
    return Folds(
        folds=folds,
        cycles_per_fold=per_fold,
        ifmap_reads=P * K * ceil_div(M, columns),
        weight_reads=K * M * ceil_div(P, rows),
        ofmap_writes=P * M,
        empty_writes=folds * (rows + columns),
        last_write=folds * per_fold - 1 - unused_columns,
    )


def weight_stationary(layer: LayerShape, rows: int, columns: int) -> Folds:
    """Rows hold the reduction, columns filters; the P output pixels stream."""
    P, K, M = layer.P, layer.K, layer.M
    folds = ceil_div(K, rows) * ceil_div(M, columns)
    per_fold = 2 * rows + columns + P - 2
    return Folds(
        folds=folds,
        cycles_per_fold=per_fold,
        ifmap_reads=P * K * ceil_div(M, columns),
        weight_reads=K * M,
        ofmap_writes=P * M * ceil_div(K, rows),
        empty_writes=0,
        last_write=folds * per_fold - 1,
    )


def input_stationary(layer: LayerShape, rows: int, columns: int) -> Folds:
    """Rows hold the reduction, columns output pixels; the M filters stream."""
    P, K, M = layer.P, layer.K, layer.M
    folds = ceil_div(K, rows) * ceil_div(P, columns)
    per_fold = 2 * rows + columns + M - 2
    return Folds(
        folds=folds,
        cycles_per_fold=per_fold,
        ifmap_reads=P * K,
        weight_reads=K * M * ceil_div(P, columns),
        ofmap_writes=P * M * ceil_div(K, rows),
        empty_writes=0,
        last_write=folds * per_fold - 1,
    )


DATAFLOWS: dict[str, Callable[[LayerShape, int, int], Folds]] = {
    "os": output_stationary,
    "ws": weight_stationary,
    "is": input_stationary,
}


def weight_fill_cycles(layer: LayerShape, rows: int, columns: int) -> int:
    """SATA_Sim's weight loading time: a whole weight-stationary schedule up to its last weight, streaming included."""
    folds = weight_stationary(layer, rows, columns)
    return (folds.folds - 1) * folds.cycles_per_fold + rows - 1
