"""SCALE-Sim's read buffers in stall-free mode, as a miss counter.

The buffer of S words acts as a cache of 50 floor(S / 100) distinct words that is emptied completely each time it
fills: neither least-recently-used nor a double buffer. DRAM reads are the misses of the demand stream walked in order:
column folds outside, row folds inside, then cycle by cycle with the systolic skew (lane i asks for element k of its
stream at cycle i + k), lanes in index order.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit

from hwsim.profiles.shapes import LayerShape, ceil_div


def capacity_words(buffer_words: int) -> int:
    """Distinct words that the buffer holds before it is emptied: half of it in blocks of a hundredth."""
    return 50 * (buffer_words // 100)


@njit(cache=True)
def _walk(lanes, elements, room, reach, height, repeat_all, repeat_fold, capacity, words):  # type: ignore[no-untyped-def]
    """Misses over folds of ``height`` lanes; int64 arrays; address = lanes[i] + elements[k], below ``words``.

    ``room`` [lanes, 2] and ``reach`` [K, 2]: rows and columns left below and right of a window's corner, and those
    that an element needs. A window may run off the edge (see ``LayerShape.as_scalesim``); such demands reach no memory.
    """
    stamp = np.zeros(words, np.int64)
    epoch, filled, misses = 1, 0, 0
    for _outer in range(repeat_all):
        for first in range(0, lanes.size, height):
            used = min(height, lanes.size - first)
            for _inner in range(repeat_fold):
                for cycle in range(elements.size + used - 1):
                    low = max(0, cycle - elements.size + 1)
                    for lane in range(low, min(used, cycle + 1)):
                        i, k = first + lane, cycle - lane
                        if reach[k, 0] >= room[i, 0] or reach[k, 1] >= room[i, 1]:
                            continue
                        address = lanes[i] + elements[k]
                        if stamp[address] != epoch:
                            stamp[address] = epoch
                            misses += 1
                            filled += 1
                            if filled == capacity:
                                epoch += 1
                                filled = 0
    return misses


def _windows(layer: LayerShape) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Address of each window's corner, offset of its K words in SCALE-Sim's order (r, s, c), room and reach."""
    row, column = np.divmod(np.arange(layer.P, dtype=np.int64), layer.F)
    row, column = row * layer.stride_y, column * layer.stride_x
    corners = (row * layer.W + column) * layer.C
    room = np.stack((layer.H - row, layer.W - column), axis=1)
    r, s, c = np.indices((layer.R, layer.S, layer.C)).reshape(3, -1).astype(np.int64)
    r, s = r * layer.dilation_y, s * layer.dilation_x
    return corners, (r * layer.W + s) * layer.C + c, room, np.stack((r, s), axis=1)


@functools.lru_cache(maxsize=1024)
def ifmap_misses(layer: LayerShape, rows: int, columns: int, buffer_words: int) -> int:
    """DRAM reads of ifmap words, output stationary; ``layer`` has no padding and one group."""
    assert layer.pad_y == layer.pad_x == 0 and layer.groups == 1
    corners, offsets, room, reach = _windows(layer)
    capacity, column_folds = capacity_words(buffer_words), ceil_div(layer.M, columns)
    words = layer.H * layer.W * layer.C
    return int(_walk(corners, offsets, room, reach, rows, column_folds, 1, capacity, words))


@functools.lru_cache(maxsize=1024)
def weight_misses(layer: LayerShape, rows: int, columns: int, buffer_words: int) -> int:
    """DRAM reads of weight words, output stationary; ``layer`` has one group."""
    assert layer.groups == 1
    filters = np.arange(layer.M, dtype=np.int64)
    elements = np.arange(layer.K, dtype=np.int64) * layer.M
    room, reach = np.ones((layer.M, 2), np.int64), np.zeros((layer.K, 2), np.int64)
    capacity, row_folds = capacity_words(buffer_words), ceil_div(layer.P, rows)
    return int(_walk(filters, elements, room, reach, columns, 1, row_folds, capacity, layer.K * layer.M))


def ofmap_drains(layer: LayerShape, columns: int, limit_words: int) -> int:
    """DRAM writes of ofmap words: P M, and one partial line of columns - 1 more once the buffer has been flushed.

    Seen on 8 columns only (+7 above 16,384 words with a 32 KiB buffer); the general form is our reading.
    """
    words = layer.P * layer.M
    return words + (columns - 1 if words > limit_words else 0)
