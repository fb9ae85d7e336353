"""A tile call worked out by hand: 2 arrays of 2 rows and 3 columns, 3 pixels of 2 bits, 2 ADCs per array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.components.analog_process import call_process
from hwsim.kernels.analog import Analog
from hwsim.kernels.analog_tile import TileConfig, TileResult, TileState, TileWork, call_kernel
from hwsim.network.kernels import Shape, list_events

NONE = np.zeros((0, 0))
SHAPE = Shape(4, 1, 3, 3, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 3)
INPUTS = np.array([[[1, 0, 2, 3], [0, 0, 0, 0], [1, 0, 0, 0]]])
CELLS = np.array([[1, 2, 3], [4, 5, 6], [0.5, 1.5, 2.5], [10, 0, 1]])
DEPTHS = pytest.mark.parametrize("depth", [call_kernel, call_process])
Depth = Callable[..., TileResult]


def analog(**changes: Any) -> Analog:
    """Codes 0 .. 7; a code of the second block is worth 2; every active row carries a correction of 1."""
    base = Analog(
        g=CELLS.copy(), unit=np.array([[1.0, 1, 1], [2, 2, 2]]), correction=np.ones((4, 3)),
        block_of=np.array([0, 0, 1, 1], dtype=np.int32), blocks=2, polarities_slices=1, codes=7, noise=NONE,
        current_grid=2.0**-20, position_of=np.array([0, 1, 0, 1], dtype=np.int32), polarities=1, solve=None,
    )  # fmt: skip
    return base._replace(**changes)


def call(depth: Depth, step: int, sample_hold: bool, zero_vectors: Any, backlog: int, **changes: Any) -> TileResult:
    first, channel, value = list_events(INPUTS, np.empty(0))
    work = TileWork(SHAPE, first[0], channel, value, 2, 0, 3, np.arange(2, dtype=np.int32), np.array([2, 2]), 0, 3,
                    np.zeros(2, dtype=np.uint64), True)  # fmt: skip
    config = TileConfig(1, 3, step, 1, 2, sample_hold, zero_vectors, line_bits=3)
    return depth(work, config, analog(**changes), TileState(backlog))


def times(result: TileResult) -> tuple[int, int, int, int, int, list[int]]:
    return (result.cycles, result.array_busy, result.array_stall_adc, result.adc_busy, result.state.adc_backlog,
            result.emissions.tolist())  # fmt: skip


@DEPTHS
def test_psums(depth: Depth) -> None:
    # pixel 0, plane 0: [1 2 3] + 2 [10 -> 7, 0, 1] - 2 = [13 0 3]; plane 1: 2 (2 [10.5 -> 7, 1.5 -> 2, 3.5 -> 4] - 2)
    result = call(depth, 2, False, "read", 0)
    assert result.psum.tolist() == [[13 + 24, 0 + 4, 3 + 12], [0, 0, 0], [0, 1, 2]]
    assert result.counts["clipped"] == 2


@DEPTHS
def test_psums_without_converter(depth: Depth) -> None:
    result = call(depth, 2, False, "skipped", 0, codes=0)
    assert result.psum.tolist() == [[19 + 38, 0 + 2, 3 + 10], [0, 0, 0], [0, 1, 2]]
    assert result.counts["clipped"] == 0


@DEPTHS
def test_every_vector_read(depth: Depth) -> None:
    result = call(depth, 2, False, "read", 0)
    assert times(result) == (48, 48, 0, 24, 0, [17, 33, 49])  # 6 vectors of 1 + 3 + 2 x 2 ticks
    assert result.counts == {
        "drive": 5, "read_row": 5, "read": 12, "select": 36, "convert": 36, "add": 36, "subtract": 36, "detect": 0,
        "input_lines": 12, "synaptic_operations": 15, "clipped": 2,
    }  # fmt: skip


@DEPTHS
def test_zero_vectors_skipped(depth: Depth) -> None:
    result = call(depth, 2, False, "skipped", 0)
    assert times(result) == (27, 27, 0, 12, 0, [17, 19, 27])  # read, read, 1, 1, read, 1
    assert result.counts == {
        "drive": 5, "read_row": 5, "read": 4, "select": 12, "convert": 12, "add": 12, "subtract": 12, "detect": 12,
        "input_lines": 12, "synaptic_operations": 15, "clipped": 2,
    }  # fmt: skip


@DEPTHS
def test_sample_and_hold(depth: Depth) -> None:
    # the ADCs are busy until 5, the first read has settled at 4; later reads of 4 ticks hide 4 ticks of conversions
    assert times(call(depth, 2, True, "read", 5)) == (25, 24, 1, 24, 4, [14, 22, 30])


@DEPTHS
def test_sample_and_hold_with_slow_converters(depth: Depth) -> None:
    # reads end at 4, 10 (settled at 8), 16; empty vectors at 10, 11 and 16; pixel 1 leaves with pixel 0
    assert times(call(depth, 3, True, "skipped", 0)) == (17, 15, 2, 18, 5, [17, 17, 23])
