"""A feed-forward network as the forward steps take it: weights turned round, everything on power-of-two grids.

The grid of a layer is 2^-40 of the largest sum of its weights' magnitudes in one neuron. Weights and thresholds are put
on it, and potentials are rounded to it after every decay; then V + I is exact however the currents are grouped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from hwsim.errors import Problem, SpecError
from hwsim.grid import current_step, power_of_two_above
from hwsim.kernels.forward_state import Network

_SMALLEST = 2.0**-500

Weights = Sequence[Any]
"""One array [fan-out, fan-in] per layer of neurons, or a sparse one of scipy."""


@dataclass(frozen=True)
class Frozen:
    """A network ready to run, from ``freeze``; ``run`` and ``run_many`` take it in place of weights."""

    network: Network = field(repr=False)
    inputs: int
    sizes: tuple[int, ...]
    """Neurons of each layer."""
    fan_in: np.ndarray = field(repr=False)
    """int64 [neurons]: weights other than 0."""
    largest_change: float
    """Largest change of a weight by its grid, in units of the largest weight of its layer."""

    @property
    def neurons(self) -> int:
        """All neurons of all layers."""
        return sum(self.sizes)

    def layer(self, number: int) -> np.ndarray:
        """float64 [fan-out, fan-in]: the weights of a layer of neurons, on their grid. A view unless sparse."""
        network, size = self.network, self.sizes[number]
        before = self.inputs if number == 0 else self.sizes[number - 1]
        first = 0 if number == 0 else self.inputs + sum(self.sizes[: number - 1])
        start = network.row[first]
        if network.scatter[first] < 0:
            return network.weights[start : start + before * size].reshape(before, size).T
        width, at = network.width[first : first + before], network.scatter[first]
        all_of, total = np.repeat(np.arange(before), width), int(width.sum())
        matrix = np.zeros((size, before))
        matrix[network.target[at : at + total] - network.begin[number], all_of] = network.weights[start : start + total]
        return matrix


def freeze(weights: Weights, *, threshold: Any, leak: Any = 1.0, grid: Sequence[float] | None = None) -> Frozen:
    """The network of these weights.

    weights    one array [fan-out, fan-in] per layer; 0 stands for no synapse. A sparse array of scipy keeps only the
               synapses that there are, as a convolution needs it
    threshold  a number, or one per neuron [neurons]; infinite where a neuron never fires
    leak       factor on the potential per timestep, 0 to 1: a number, or one per neuron
    grid       a power of two per layer; None: see above

    Errors: ``SpecError`` with every problem found.
    """
    problems: list[Problem] = []
    matrices = _matrices(weights, problems)
    sizes = [matrix.shape[0] for matrix in matrices]
    numbers = {"threshold": threshold, "leak": leak}
    for name, value in numbers.items():
        numbers[name] = per_neuron(name, value, sum(sizes) if matrices else None, problems, name == "threshold")
    outside = numbers["leak"][(numbers["leak"] < 0) | (numbers["leak"] > 1)]
    if outside.size:
        problems.append(Problem("leak", f"must be between 0 and 1 (found {outside[0]})"))
    if problems:
        raise SpecError(problems)
    steps = _grids(matrices, grid)
    return _turned(matrices, sizes, numbers["threshold"], numbers["leak"], steps)


def per_neuron(
    name: str, value: Any, neurons: int | None, problems: list[Problem], infinite: bool = False, finite: bool = True
) -> np.ndarray:
    """float64 [neurons] of a number or of one per neuron; what is wrong goes to ``problems``. ``neurons`` None: not
    known, any length. ``infinite``: plus infinity will do; not ``finite``: so will minus infinity."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        problems.append(Problem(name, f"must be a number or one per neuron, not {value!r}"))
        return np.zeros(neurons or 0)
    if array.ndim > 1 or (array.ndim == 1 and neurons is not None and array.size != neurons):
        problems.append(Problem(name, f"must be a number or one per neuron [{neurons}], not shape {list(array.shape)}"))
        return np.zeros(neurons or 0)
    bad = ~np.isfinite(array) if finite else np.isnan(array)
    bad &= ~(infinite & (array == np.inf))
    if np.any(bad):
        at = f" at neuron {np.flatnonzero(bad)[0]}" if array.ndim else ""
        problems.append(Problem(name, f"must be finite (found {array.reshape(-1)[bad.reshape(-1)][0]}{at})"))
        return np.zeros(neurons or 0)
    return np.full(1 if neurons is None else neurons, array) if array.ndim == 0 else array


def _real(matrix: Any) -> Any:
    """As float64, dense or (scipy) by columns without zeros."""
    if not sparse.issparse(matrix):
        return np.asarray(matrix, dtype=np.float64)
    found = sparse.csc_array(matrix, dtype=np.float64, copy=True)
    found.sum_duplicates()
    found.eliminate_zeros()
    found.sort_indices()
    return found


def _matrices(weights: Weights, problems: list[Problem]) -> list[Any]:
    """The weights as float64 [fan-out, fan-in]; none where something is wrong with them."""
    try:
        matrices = [_real(matrix) for matrix in weights]
    except (TypeError, ValueError):
        problems.append(Problem("weights", "must be one array [fan-out, fan-in] of numbers per layer"))
        return []
    found: list[Problem] = []
    if not matrices:
        found.append(Problem("weights", "must have at least one layer"))
    for number, matrix in enumerate(matrices):
        if matrix.ndim != 2 or not matrix.shape[0]:
            shape = list(matrix.shape)
            found.append(Problem(f"weights[{number}]", f"must be an array [fan-out, fan-in], not shape {shape}"))
        elif not np.isfinite(matrix.sum()) and not np.isfinite(_values(matrix)).all():  # the sum alone may overflow
            matrix = matrix.toarray() if sparse.issparse(matrix) else matrix
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            at = f"[{row}, {column}]"
            found.append(Problem(f"weights[{number}]", f"must be finite (found {matrix[row, column]} at {at})"))
    if not found:
        for number, (below, above) in enumerate(pairwise(matrices)):
            if above.shape[1] != below.shape[0]:
                text = f"must have fan-in {below.shape[0]}, the fan-out of weights[{number}], not {above.shape[1]}"
                found.append(Problem(f"weights[{number + 1}]", text))
    problems.extend(found)
    return [] if found else matrices


def _values(matrix: Any) -> np.ndarray:
    """The numbers that are kept of it."""
    return matrix.data if sparse.issparse(matrix) else matrix


def _grids(matrices: list[Any], grid: Sequence[float] | None) -> list[float]:
    """The power of two of every layer."""
    if grid is not None:
        steps = [float(step) for step in grid]
        if len(steps) != len(matrices) or not all(0 < x < np.inf and power_of_two_above(x) == x for x in steps):
            raise SpecError(Problem("grid", f"must be one power of two per layer ({len(matrices)}), not {steps}"))
        return steps
    scales = [float(np.asarray(abs(matrix).sum(axis=1)).max(initial=0.0)) for matrix in matrices]
    for number, scale in enumerate(scales):
        if scale and not _SMALLEST <= scale <= 1 / _SMALLEST:
            text = f"must have a largest sum of magnitudes between {_SMALLEST:.1e} and {1 / _SMALLEST:.1e}, not"
            raise SpecError(Problem(f"weights[{number}]", f"{text} {scale:.1e}"))
    return [current_step(scale) for scale in scales]


def _on_grid(matrix: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """The weights on the grid, and the largest change in units of the largest weight."""
    scaled = matrix * (1.0 / step)
    rounded = np.rint(scaled)
    largest = max(rounded.max(initial=0.0), -rounded.min(initial=0.0))
    scaled -= rounded
    change = max(scaled.max(initial=0.0), -scaled.min(initial=0.0))
    rounded *= step
    return rounded, float(change / max(largest, 0.5)) if change else 0.0


def _turned(
    matrices: list[Any], sizes: list[int], threshold: np.ndarray, leak: np.ndarray, steps: list[float]
) -> Frozen:
    inputs, layers = matrices[0].shape[1], len(sizes)
    senders = [inputs, *sizes[:-1]]
    begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    slots = inputs + int(begin[-1])
    start = np.concatenate([[0], np.cumsum([_values(matrix).size for matrix in matrices])])
    flat = np.empty(int(start[-1]))
    row, width, first, fan_out = (np.zeros(slots, dtype=np.int64) for _ in range(4))
    scatter, targets = np.full(slots, -1, dtype=np.int64), [np.zeros(0, dtype=np.int64)]
    fan_in, change, slot = np.zeros(int(begin[-1]), dtype=np.int64), 0.0, 0
    for number, matrix in enumerate(matrices):
        weights, moved = _on_grid(_values(matrix), steps[number])
        change = max(change, moved)
        mine, heard = slice(slot, slot + senders[number]), slice(begin[number], begin[number + 1])
        place = flat[start[number] : start[number + 1]]
        first[mine] = begin[number]
        if sparse.issparse(matrix):
            place[...] = weights
            kept = sparse.csc_array((weights != 0, matrix.indices, matrix.indptr), matrix.shape)
            width[mine], row[mine] = np.diff(matrix.indptr), start[number] + matrix.indptr[:-1]
            scatter[mine] = sum(len(one) for one in targets) + matrix.indptr[:-1]
            targets.append(matrix.indices + begin[number])
            fan_out[mine], fan_in[heard] = kept.sum(axis=0), kept.sum(axis=1)
        else:
            place.reshape(senders[number], sizes[number])[...] = weights.T
            row[mine] = start[number] + sizes[number] * np.arange(senders[number])
            width[mine] = sizes[number]
            if np.count_nonzero(weights) == weights.size:
                fan_out[mine], fan_in[heard] = weights.shape
            else:
                fan_out[mine], fan_in[heard] = np.count_nonzero(weights, axis=0), np.count_nonzero(weights, axis=1)
        slot += senders[number]
    grids = np.repeat(np.array(steps), sizes)
    network = Network(
        weights=flat,
        row=row,
        width=width,
        first=first,
        scatter=scatter,
        target=np.concatenate(targets).astype(np.int64),
        fan_out=fan_out,
        layer=np.repeat(np.arange(layers), sizes),
        begin=begin,
        threshold=np.rint(threshold / grids) * grids,
        leak=np.ascontiguousarray(leak, dtype=np.float64),
        grid=grids,
        sync=np.full(int(begin[-1]), -np.inf),
    )
    return Frozen(network, inputs, tuple(sizes), fan_in, change)


__all__ = ["Frozen", "Weights", "freeze", "per_neuron"]
