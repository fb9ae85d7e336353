"""A systolic array moved register by register, for small products: a witness of SCALE-Sim's closed forms.

Every operand really travels through the array, the product is compared with NumPy's, reads are counted where an operand
enters an edge and writes where a sum is done. Nothing here knows a formula for cycles.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Counts:
    """What one product took; ``product`` [P, M] is what the array computed."""

    product: np.ndarray
    cycles: int = 0
    ifmap_reads: int = 0
    weight_reads: int = 0
    ofmap_writes: int = 0
    folds: int = 0
    last_write: int = field(default=0)


def windows(inputs: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """im2col of [C, H, W] without padding, windows in raster order, elements (r, s, c): [P, K].

    A last window that runs off the edge counts, as in SCALE-Sim, with zeros outside.
    """
    C, H, W = inputs.shape
    (R, S), (step_y, step_x) = kernel, stride
    rows, columns = range(0, H - R + step_y, step_y), range(0, W - S + step_x, step_x)
    wide = np.zeros((C, H + step_y, W + step_x), inputs.dtype)
    wide[:, :H, :W] = inputs
    return np.array(
        [wide[:, y : y + R, x : x + S].transpose(1, 2, 0).ravel() for y, x in itertools.product(rows, columns)]
    )


def output_stationary(a: np.ndarray, w: np.ndarray, rows: int, columns: int) -> Counts:
    """a [P, K] enters from the left, row i a cycle later than row i - 1; w [K, M] from the top likewise."""
    P, K, M = a.shape[0], a.shape[1], w.shape[1]
    counts = Counts(np.zeros((P, M), np.int64))
    for m0, p0 in itertools.product(range(0, M, columns), range(0, P, rows)):
        left, top = a[p0 : p0 + rows], w[:, m0 : m0 + columns]
        sums, right, down = (np.zeros((rows, columns), np.int64) for _ in range(3))
        done = np.zeros((rows, columns), np.int64)
        have_right, have_down = (np.zeros((rows, columns), bool) for _ in range(2))
        cycle = 0
        while not (done == K).all():
            right[:, 1:], have_right[:, 1:] = right[:, :-1].copy(), have_right[:, :-1].copy()
            down[1:], have_down[1:] = down[:-1].copy(), have_down[:-1].copy()
            for i in range(rows):  # unused rows take as long: the controller does not know them
                k = cycle - i
                have_right[i, 0] = 0 <= k < K
                real = have_right[i, 0] and i < left.shape[0]
                right[i, 0] = left[i, k] if real else 0
                counts.ifmap_reads += int(real)
            for j in range(columns):
                k = cycle - j
                have_down[0, j] = 0 <= k < K
                real = have_down[0, j] and j < top.shape[1]
                down[0, j] = top[k, j] if real else 0
                counts.weight_reads += int(real)
            both = have_right & have_down
            sums += np.where(both, right * down, 0)
            done += both
            cycle += 1
        height, width = left.shape[0], top.shape[1]
        counts.product[p0 : p0 + rows, m0 : m0 + columns] = sums[:height, :width]
        counts.ofmap_writes += height * width
        counts.cycles += cycle
        counts.folds += 1
        counts.last_write = counts.cycles - 1 - (columns - width)
    return counts


def stationary(held: np.ndarray, streamed: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, Counts, int, int]:
    """held [K, N] sits in the array, streamed [L, K] enters from the left; sums [L, N] leave at the bottom.

    Returns the product, counts without reads, words loaded and words streamed.
    """
    (K, N), L = held.shape, streamed.shape[0]
    product = np.zeros((L, N), np.int64)
    counts, loaded, entered = Counts(product), 0, 0
    for n0, k0 in itertools.product(range(0, N, columns), range(0, K, rows)):
        tile = np.zeros((rows, columns), np.int64)
        part = held[k0 : k0 + rows, n0 : n0 + columns]
        tile[: part.shape[0], : part.shape[1]] = part
        loaded += part.size
        cycle = rows  # one array row of the tile enters per cycle
        sums, right = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), np.int64)
        left = np.zeros(columns, np.int64)
        step = 0
        while (left < L).any():
            right[:, 1:] = right[:, :-1].copy()
            for i in range(rows):
                index = step - i
                real = 0 <= index < L and k0 + i < K
                right[i, 0] = streamed[index, k0 + i] if real else 0
                entered += int(real)
            above = np.vstack((np.zeros((1, columns), np.int64), sums[:-1]))
            sums = above + right * tile
            for j in range(columns):
                index = step - (rows - 1) - j
                if 0 <= index < L:
                    left[j] += 1
                    if n0 + j < N:
                        product[index, n0 + j] += sums[-1, j]
                        counts.ofmap_writes += 1
            step += 1
        counts.cycles += cycle + step
        counts.folds += 1
        counts.last_write = counts.cycles - 1
    return product, counts, loaded, entered


def weight_stationary(a: np.ndarray, w: np.ndarray, rows: int, columns: int) -> Counts:
    """Weights sit, windows stream."""
    product, counts, loaded, entered = stationary(w, a, rows, columns)
    counts.product, counts.weight_reads, counts.ifmap_reads = product, loaded, entered
    return counts


def input_stationary(a: np.ndarray, w: np.ndarray, rows: int, columns: int) -> Counts:
    """Windows sit, filters stream."""
    product, counts, loaded, entered = stationary(a.T.copy(), w.T.copy(), rows, columns)
    counts.product, counts.ifmap_reads, counts.weight_reads = product.T, loaded, entered
    return counts


WITNESSES = {"os": output_stationary, "ws": weight_stationary, "is": input_stationary}


def flush_misses(lanes: list[list[object]], height: int, outer: int, inner: int, capacity: int) -> int:
    """Misses of a buffer emptied when full; lanes hold their words in order, None where a word lies off the edge."""
    held: set[object] = set()
    misses = 0
    for _ in range(outer):
        for first in range(0, len(lanes), height):
            fold = lanes[first : first + height]
            for _ in range(inner):
                demands = sorted((i + k, i, k) for i, lane in enumerate(fold) for k in range(len(lane)))
                for _, i, k in demands:
                    word = fold[i][k]
                    if word is None or word in held:
                        continue
                    misses += 1
                    held.add(word)
                    if len(held) == capacity:
                        held.clear()
    return misses
