"""One output row at one timestep: sums that are exact integers (digital layers), and the neurons behind any sums."""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.network.kernels import (
    KIND_LIF,
    Outputs,
    add_scaled_rows,
    collect_rows,
    finish_row,
)


@njit(nogil=True)
def finish_rows(psum, u, scale, offset, threshold, step, neuron, spikes, currents):  # type: ignore[no-untyped-def]
    """Neurons of the pixels of a row: psum [F, M] float64, u [F, units] updated.

    scale, offset, threshold [M] of the timestep. Results in ``spikes`` [F, M], or ``currents`` [F, M] without neuron
    (the other has no pixels).
    """
    none = np.empty((0, 0, 0), dtype=np.float64)
    out = Outputs(spikes.reshape((1, *spikes.shape)), currents.reshape((1, *currents.shape)), none)
    current = np.empty(psum.shape[1])
    for p in range(psum.shape[0]):
        membrane = u[p] if neuron.kind == KIND_LIF else current
        finish_row(psum[p], membrane, scale, offset, threshold, step, neuron, out, 0, p, current)


@njit(nogil=True)
def exact_psums(first, channel, value, weight, shape, p0, p1, out):  # type: ignore[no-untyped-def]
    """Sums of pixels p0 .. p1 over all weights, [p1 - p0, M] float64; returns the products that were not zero.

    weight [R S C, M] float64 (``FrozenLayer.packed``), events of one timestep as in ``network.kernels.list_events``.
    """
    rows = np.empty(weight.shape[0] + 1, dtype=np.int64)
    values = np.empty(weight.shape[0] + 1, dtype=np.float64)
    done = 0
    for p in range(p0, p1):
        count = collect_rows(first, channel, value, shape, p // shape.out_width, p % shape.out_width, rows, values)
        out[p - p0, :] = 0.0
        add_scaled_rows(out[p - p0], weight, rows, values, count)
        done += count * shape.filters
    return done
