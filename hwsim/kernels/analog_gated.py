"""Reads of arrays whose silent rows are open: one solution of the resistive network per set of active rows and array.

A solution takes far longer than everything around it, so this is Python around ``hwsim.physics.gated``; a set of
active rows that comes again in the same call is not solved again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hwsim.grid import to_grid
from hwsim.kernels import analog_reads as reads
from hwsim.physics.gated import gated_currents

if TYPE_CHECKING:
    from hwsim.kernels.analog import Analog


def block_currents(analog: Analog, rows: np.ndarray, block: int, m0: int, m1: int) -> np.ndarray:
    """[slices x polarities, m1 - m0] currents of one read in LSB, on their grid; ``rows`` are the active ones."""
    filters, width = analog.filters, analog.array_columns // analog.polarities
    out = np.empty((analog.polarities_slices, m1 - m0))
    rows = rows[np.argsort(analog.position_of[rows])]  # packed order is not the order in the array
    position = analog.position_of[rows].astype(np.int64)
    for begin in range(m0 // width * width, m1, width):
        held = np.arange(begin, min(begin + width, filters))
        taken = (held >= m0) & (held < m1)
        for group in range(0, analog.polarities_slices, analog.polarities):
            pair = np.arange(group, group + analog.polarities)
            columns = (held[:, None] + pair * filters).reshape(-1)  # polarities side by side
            cells = np.ascontiguousarray(analog.cells[rows][:, columns])
            found = gated_currents(cells, position, analog.array_rows, *analog.resistances.tolist())
            current = (found * analog.lsb[block, columns]).reshape(-1, analog.polarities)
            out[group : group + analog.polarities, held[taken] - m0] = current[taken].T
    return to_grid(out, analog.current_grid)


def _solved(analog: Analog, starts: np.ndarray, rows: np.ndarray, cells: range, block: int, m0: int, m1: int
            ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:  # fmt: skip
    """(number, active rows, currents) of those ``cells`` of ``starts`` that have active rows."""
    known: dict[bytes, np.ndarray] = {}
    for number, cell in enumerate(cells):
        active = rows[starts[cell] : starts[cell + 1]]
        if active.size:
            name = active.tobytes()
            if name not in known:
                known[name] = block_currents(analog, active, block, m0, m1)
            yield number, active, known[name]


def read_all(analog: Analog, starts: np.ndarray, rows: np.ndarray, given: int, wanted: np.ndarray,
             window: reads.Window, weight: float, keys: np.ndarray, out: np.ndarray) -> int:  # fmt: skip
    """``hwsim.kernels.analog_reads.read_all`` for gated rows."""
    columns, slots, pixels = analog.columns, len(wanted), window.p1 - window.p0
    room, clipped = np.empty((reads.ROOM, columns.groups * (window.m1 - window.m0))), 0
    for slot, block in enumerate(wanted.tolist()):
        cells = range(slot, given * pixels * slots, slots)
        for number, active, currents in _solved(analog, starts, rows, cells, block, window.m0, window.m1):
            t, p = divmod(number, pixels)
            index0 = np.uint64(((window.p0 + p) * columns.blocks + block) * columns.unit.shape[1])
            for time in range(t, len(out) if t == given - 1 else t + 1):
                room[0] = currents.reshape(-1)
                clipped += reads.convert_block(columns, active, block, window.m0, weight, keys[time], index0, room,
                                               out[time, p])  # fmt: skip
    return clipped


def count_all(analog: Analog, starts: np.ndarray, rows: np.ndarray, wanted: np.ndarray, top: np.ndarray,
              counts: np.ndarray) -> None:  # fmt: skip
    """``hwsim.kernels.analog_reads.count_all`` for gated rows."""
    slots = len(wanted)
    for slot, block in enumerate(wanted.tolist()):
        cells = range(slot, len(starts) - 1, slots)
        for _, _, currents in _solved(analog, starts, rows, cells, block, 0, analog.filters):
            for group, current in enumerate(currents):
                reads.count_currents(current, group, counts.shape[1] / top[group], counts)
