"""Time of effective conductances, as shares of the time that sparse LU takes for one pattern of the same array.

The goals behind the shares, in seconds on 2 cores: 64 x 64 in 6 ms per array and core, 128 x 128 in 50 ms, and in a
batch of a network's arrays (about 1,500) 3 ms per array. SuperLU takes 25 ms and 0.2 s there.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from hwsim.crossbar import active_row_currents, effective_conductance, node_voltages, nonlinear_currents

OHM = (1e3, 5.0, 10.0, 1e3)


def cells(*shape):
    return np.random.default_rng(0).uniform(5e-6, 5e-5, shape)


def best(work, repeats):
    """Seconds of the best of some calls, after one that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def told(seconds, lu):
    return f"{seconds * 1e3:.2f} ms, sparse LU {lu * 1e3:.1f} ms"


@pytest.fixture(scope="module")
def witness():
    """Seconds of sparse LU for one pattern, by array size."""
    return {size: best(lambda size=size: node_voltages(cells(size, size), np.ones(size), *OHM), repeats)
            for size, repeats in ((64, 7), (128, 3))}  # fmt: skip


@pytest.mark.perf
@pytest.mark.parametrize(("size", "share", "repeats"), [(64, 1 / 4, 9), (128, 1 / 3, 5)])
def test_one_array(witness, size, share, repeats):
    seconds = best(lambda: effective_conductance(cells(size, size), *OHM), repeats)
    assert seconds < share * witness[size], told(seconds, witness[size])


@pytest.mark.perf
def test_arrays_of_a_network(witness):
    """A batch on two cores: time per array."""
    count = 60
    seconds = best(lambda: effective_conductance(cells(count, 64, 64), *OHM, threads=2), 5) / count
    assert seconds < witness[64] / 8, told(seconds, witness[64])


@pytest.mark.perf
def test_tall_arrays_are_turned():
    """The cost is that of the smaller dimension, whichever it is; without row or column wires there is next to none."""
    wide = best(lambda: effective_conductance(cells(4, 400), *OHM), 5)
    assert best(lambda: effective_conductance(cells(400, 4), *OHM), 5) < 4 * wide
    for ohm in ((1e3, 0, 10, 1e3), (1e3, 5, 0, 1e3)):
        square = best(lambda: effective_conductance(cells(64, 64), *OHM), 5)
        assert best(lambda ohm=ohm: effective_conductance(cells(64, 64), *ohm), 5) < square / 4


@pytest.mark.perf
def test_one_set_of_active_rows(witness):
    """20 % of the rows: what a gated array costs per distinct set."""
    active = np.arange(64) % 5 == 0
    seconds = best(lambda: active_row_currents(cells(64, 64), active, *OHM), 20)
    assert seconds < witness[64] / 50, told(seconds, witness[64])


@pytest.mark.perf
def test_nonlinear_cells(witness):
    """Newton's method takes less than sparse LU of the linear array."""
    seconds = best(lambda: nonlinear_currents(cells(64, 64), np.full(64, 0.2), *OHM, v0=0.1), 5)
    assert seconds < 1.5 * witness[64], told(seconds, witness[64])
