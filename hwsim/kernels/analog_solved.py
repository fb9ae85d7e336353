"""Reads of arrays that are solved one by one: silent rows are open, or cells do not follow Ohm's law.

The column currents then are no sums over rows: each set of active rows makes an array a network of its own
(``hwsim.physics.gated``, ``hwsim.physics.nonlinear``). A solution takes far longer than everything around it, so this
is Python around physics, and solutions are kept by what they are of, for as long as the process runs: the network reads
what the tile calls of the chip read again, and so do other gains and ranges of converters.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from hwsim.grid import to_grid
from hwsim.kernels import analog_reads as reads
from hwsim.network.kernels import Shape
from hwsim.physics.cache import array_bytes, digest
from hwsim.physics.gated import gated_currents
from hwsim.physics.nonlinear import Law, nonlinear_currents
from hwsim.physics.resistive import in_threads

if TYPE_CHECKING:
    from hwsim.kernels.analog import Analog, Events

LIMIT_BYTES = 1 << 28
"""Of all solutions that are kept: half a million reads of arrays with 64 columns."""

ENTRY_BYTES = 400
"""About what an entry takes beside its currents."""

OHMIC = ""
"""The law of cells whose current is proportional to their voltage."""


class Solve(NamedTuple):
    """The arrays of a layer, and what decides their currents. Array number = column block x blocks + row block."""

    stored: np.ndarray
    """[arrays, slices, rows, columns] siemens at small voltage, of whole arrays as programmed: cells that hold no
    weight conduct too. The polarities of a filter stand side by side."""
    names: tuple[bytes, ...]
    """Of each array and slice, in that order: what identifies its cells (``names_of``)."""
    resistances: tuple[float, float, float, float]
    """ohm: driver, row segment, column segment, sense, as ``hwsim.physics.resistive.terminal_ohm`` gives them."""
    lsb: np.ndarray
    """[blocks, Q] ADC steps per ampere at 1 V drive, gain included."""
    gated: bool
    """Silent rows are open instead of grounded."""
    law: str
    """Of a cell's current: ``OHMIC``, "sinh", "cubic"."""
    v0: float
    """Volt, of the law."""
    volts: float
    """At which non-linear cells are read. Their currents are divided by it, as if the drive were 1 V."""

    @property
    def columns(self) -> int:
        """Columns of an array."""
        return int(self.stored.shape[3])

    @property
    def slices(self) -> int:
        """Arrays that hold a weight."""
        return int(self.stored.shape[1])


def names_of(stored: np.ndarray) -> tuple[bytes, ...]:
    """What identifies each of the arrays [..., rows, columns]."""
    return tuple(digest((array_bytes(cells),)).encode() for cells in stored.reshape(-1, *stored.shape[-2:]))


def check_solve(analog: Analog, filters: int) -> None:
    """Our own mistakes in an ``Analog`` that is solved per read."""
    solve = analog.solve
    assert solve is not None and (solve.gated or solve.law != OHMIC), "grounded linear arrays need no solution"
    assert solve.law == OHMIC or (solve.v0 > 0 and solve.volts > 0), (solve.law, solve.v0, solve.volts)
    arrays = analog.blocks * -(-filters // (solve.columns // analog.polarities))
    assert solve.stored.shape[:2] == (arrays, analog.slices) and len(solve.names) == arrays * analog.slices, (
        solve.stored.shape
    )
    assert solve.stored.dtype == np.float64 and solve.lsb.shape == analog.unit.shape, solve.lsb.shape
    assert analog.position_of.shape == analog.block_of.shape and not analog.g.size, "currents are no sums over rows"


class Memory:
    """Solutions by what they are of; beyond ``limit_bytes`` those that came first go first. For several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes, self.bytes = limit_bytes, 0
        self.made = 0
        """Solutions that have been computed and kept, ever."""
        self._known: dict[Hashable, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> np.ndarray | None:
        """[columns] currents, not to be changed; None if they are not known."""
        return self._known.get(key)

    def keep(self, key: Hashable, currents: np.ndarray) -> None:
        """Remember ``currents``."""
        with self._lock:
            if key in self._known:
                return
            self._known[key] = currents
            self.made += 1
            self.bytes += currents.nbytes + ENTRY_BYTES
            while self.bytes > self.limit_bytes:
                self.bytes -= self._known.pop(next(iter(self._known))).nbytes + ENTRY_BYTES


MEMORY = Memory(LIMIT_BYTES)


def array_currents(solve: Solve, array: int, part: int, positions: Sequence[np.ndarray]) -> np.ndarray:
    """[reads, columns] ampere for 1 V drive out of slice ``part`` of an array, for reads with these active rows.

    positions   of each read, its active rows in the array: int64, ascending, at least one
    """
    cells = solve.stored[array, part]
    name = solve.names[array * solve.slices + part]
    network = (name, solve.resistances, solve.gated, solve.law, solve.v0, solve.volts)
    keys = [(*network, np.packbits(_active(position, len(cells))).tobytes()) for position in positions]
    found = [MEMORY.get(key) for key in keys]
    missing = [number for number, currents in enumerate(found) if currents is None]

    def work(first: int, last: int) -> None:
        for number in missing[first:last]:
            found[number] = _solved(solve, cells, positions[number])

    in_threads(work, len(missing), None)
    for number in missing:
        MEMORY.keep(keys[number], found[number])  # type: ignore[arg-type]
    return np.stack(found)  # type: ignore[arg-type]


def _active(position: np.ndarray, rows: int) -> np.ndarray:
    active = np.zeros(rows, dtype=bool)
    active[position] = True
    return active


def _solved(solve: Solve, cells: np.ndarray, position: np.ndarray) -> np.ndarray:
    """[columns] ampere for 1 V drive of one read."""
    if solve.law == OHMIC:
        return np.asarray(gated_currents(cells[position], position, len(cells), *solve.resistances))
    active = _active(position, len(cells))
    connected = np.where(active[:, None], cells, 0.0) if solve.gated else cells
    voltages, law = active * solve.volts, cast(Law, solve.law)
    made = nonlinear_currents(connected, voltages, *solve.resistances, law=law, v0=solve.v0, threads=1)
    return made.currents / solve.volts


def block_currents(analog: Analog, rows: np.ndarray, block: int, m0: int, m1: int) -> np.ndarray:
    """[slices x polarities, m1 - m0] currents of one read in LSB, on their grid; ``rows`` are the active ones."""
    return _currents(analog, [rows], block, m0, m1)[0]


def _currents(analog: Analog, sets: Sequence[np.ndarray], block: int, m0: int, m1: int) -> np.ndarray:
    """[sets, slices x polarities, m1 - m0]: ``block_currents`` of reads with these active rows."""
    solve, pair, filters = analog.solve, analog.polarities, analog.filters
    assert solve is not None
    width, positions = solve.columns // pair, [_positions(analog.position_of, rows) for rows in sets]
    found = np.empty((len(sets), solve.slices, pair, m1 - m0))
    for column_block in range(m0 // width, -(-m1 // width)):
        begin, end = max(m0, column_block * width), min(m1, (column_block + 1) * width)
        columns = slice((begin - column_block * width) * pair, (end - column_block * width) * pair)
        for part in range(solve.slices):
            whole = array_currents(solve, column_block * analog.blocks + block, part, positions)
            own = whole[:, columns].reshape(len(sets), end - begin, pair)
            found[:, part, :, begin - m0 : end - m0] = own.transpose(0, 2, 1)
    lsb = solve.lsb[block].reshape(-1, filters)[:, m0:m1]
    return to_grid(found.reshape(len(sets), -1, m1 - m0) * lsb, analog.current_grid)


def _positions(position_of: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where packed ``rows`` stand in their array; packed order is not the order there."""
    return np.sort(position_of[rows]).astype(np.int64)


def _sets(starts: np.ndarray, rows: np.ndarray, cells: range) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    """(the different sets of active rows, (number, set) of those ``cells`` of ``starts`` that have active rows)."""
    places: dict[bytes, int] = {}
    sets: list[np.ndarray] = []
    numbers = []
    for number, cell in enumerate(cells):
        active = rows[starts[cell] : starts[cell + 1]]
        if active.size:
            place = places.setdefault(active.tobytes(), len(sets))
            if place == len(sets):
                sets.append(active)
            numbers.append((number, place))
    return sets, numbers


def _reads(analog: Analog, starts: np.ndarray, rows: np.ndarray, cells: range, block: int, m0: int, m1: int
           ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:  # fmt: skip
    """(number, active rows, currents) of those ``cells`` of ``starts`` that have active rows."""
    sets, numbers = _sets(starts, rows, cells)
    if sets:
        currents = _currents(analog, sets, block, m0, m1)
        for number, place in numbers:
            yield number, sets[place], currents[place]


def read_all(analog: Analog, starts: np.ndarray, rows: np.ndarray, given: int, wanted: np.ndarray,
             window: reads.Window, weight: float, keys: np.ndarray, out: np.ndarray) -> int:  # fmt: skip
    """``hwsim.kernels.analog_reads.read_all`` for arrays solved per read."""
    columns, slots, pixels = analog.columns, len(wanted), window.p1 - window.p0
    room, clipped = np.empty((reads.ROOM, columns.groups * (window.m1 - window.m0))), 0
    for slot, block in enumerate(wanted.tolist()):
        cells = range(slot, given * pixels * slots, slots)
        for number, active, currents in _reads(analog, starts, rows, cells, block, window.m0, window.m1):
            t, p = divmod(number, pixels)
            index0 = np.uint64(((window.p0 + p) * columns.blocks + block) * columns.unit.shape[1])
            for time in range(t, len(out) if t == given - 1 else t + 1):
                room[0] = currents.reshape(-1)
                clipped += reads.convert_block(columns, active, block, window.m0, weight, keys[time], index0, room,
                                               out[time, p])  # fmt: skip
    return clipped


def count_all(analog: Analog, starts: np.ndarray, rows: np.ndarray, wanted: np.ndarray, top: np.ndarray,
              counts: np.ndarray) -> None:  # fmt: skip
    """``hwsim.kernels.analog_reads.count_all`` for arrays solved per read."""
    slots = len(wanted)
    for slot, block in enumerate(wanted.tolist()):
        cells = range(slot, len(starts) - 1, slots)
        for _, _, currents in _reads(analog, starts, rows, cells, block, 0, analog.filters):
            for group, current in enumerate(currents):
                reads.count_currents(current, group, counts.shape[1] / top[group], counts)


def total_currents(solve: Solve, block_of: np.ndarray, position_of: np.ndarray, events: Events, shape: Shape,
                   planes: int) -> np.ndarray:  # fmt: skip
    """[arrays, slices, columns] ampere for 1 V drive, summed over all reads of a layer's ``events``."""
    total, blocks = np.zeros((len(solve.stored), solve.slices, solve.columns)), int(block_of.max()) + 1
    every, pixels = np.arange(blocks, dtype=np.int32), shape.out_height * shape.out_width
    for plane in range(planes):
        starts, rows = reads.bucket_rows(*events, shape, plane, block_of, every, blocks, 0, pixels)
        for block in range(blocks):
            sets, numbers = _sets(starts, rows, range(block, len(starts) - 1, blocks))
            if not sets:
                continue
            times = np.bincount([place for _, place in numbers]).astype(np.float64)
            positions = [_positions(position_of, chosen) for chosen in sets]
            for array in range(block, len(total), blocks):
                for part in range(solve.slices):
                    total[array, part] += (array_currents(solve, array, part, positions) * times[:, None]).sum(axis=0)
    return total
