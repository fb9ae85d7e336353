"""Neurons worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.network.neuron import LifParameters, lif_step, relu_step

STEP = 2.0**-40
PLAIN = LifParameters(0.5, -1, STEP, False, False, 1, False, 0.0, 0.0, 0.0, 0, True, 1)


def steps(
    lif: LifParameters, currents: list[list[float]], threshold: float = 1.0
) -> tuple[list[list[int]], list[list[float]]]:
    """Spikes and stored membranes after each timestep of one pixel; currents [T, M]."""
    channels = len(currents[0])
    u = np.zeros(-(-channels // lif.share))
    spikes = np.empty(channels, dtype=np.int32)
    fired, stored = [], []
    for row in currents:
        lif_step(np.array(row), u, spikes, np.ones(channels), np.zeros(channels), np.full(channels, threshold), lif)
        fired.append(spikes.tolist())
        stored.append(u.tolist())
    return fired, stored


def test_leak_then_current_then_reset_to_zero() -> None:
    fired, stored = steps(PLAIN, [[0.75], [0.5], [0.625], [0.25]])
    assert fired == [[0], [0], [1], [0]]  # 0.75; 0.875; 0.4375 + 0.625 = 1.0625 fires; 0.25
    assert stored == [[0.75], [0.875], [0.0], [0.25]]


def test_reset_by_subtraction_keeps_the_rest() -> None:
    fired, stored = steps(PLAIN._replace(reset_subtract=True, leak=1.0), [[1.75], [0.5]])
    assert (fired, stored) == ([[1], [1]], [[0.75], [0.25]])


@pytest.mark.parametrize(("equal", "spike"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("share", [1, 2])
def test_equality_at_the_threshold(equal: bool, spike: int, share: int) -> None:
    assert steps(PLAIN._replace(compare_ge=equal, share=share), [[1.0]])[0] == [[spike]]


def test_graded_spikes_count_thresholds() -> None:
    lif = PLAIN._replace(max_spikes=3, leak=1.0)
    assert steps(lif, [[3.5, 9.0, 2.0, 0.5]])[0] == [[3, 3, 1, 0]]
    assert steps(lif._replace(compare_ge=True), [[3.0, 2.0, 1.0, 0.5]])[0] == [[3, 2, 1, 0]]
    assert steps(lif._replace(reset_subtract=True), [[9.0], [0.0], [0.0]]) == ([[3], [3], [2]], [[6.0], [3.0], [1.0]])


def test_signed_spikes_mirror() -> None:
    lif = PLAIN._replace(signed=True, reset_subtract=True, leak=1.0)
    assert steps(lif, [[-1.25, 1.25, -1.0]]) == ([[-1, 1, 0]], [[-0.25, 0.25, -1.0]])


def test_shift_leak_is_arithmetic_on_the_stored_code() -> None:
    lif = PLAIN._replace(shift=2, quant_step=0.125, quant_low=-128.0, quant_high=127.0)
    # Codes 7 and -7: 7 - (7 >> 2) = 6, -7 - (-7 >> 2) = -7 + 2 = -5.
    assert steps(lif, [[0.875, -0.875], [0.0, 0.0]])[1][1] == [6 * 0.125, -5 * 0.125]


def test_membrane_is_stored_rounded_and_saturated_but_compared_in_full() -> None:
    lif = PLAIN._replace(leak=1.0, quant_step=0.25, quant_low=-4.0, quant_high=3.0)
    fired, stored = steps(lif, [[0.375, 0.99, -5.0, 1.01]])
    assert fired == [[0, 0, 0, 1]]
    assert stored == [[0.5, 0.75, -1.0, 0.0]]
    assert steps(lif._replace(quant_rounding=1), [[0.49, -0.01]])[1] == [[0.25, -0.25]]
    assert steps(lif._replace(quant_rounding=2), [[0.49, -0.49]])[1] == [[0.25, -0.25]]
    assert steps(lif._replace(quant_saturate=False), [[1.0, -1.25]], 9.0)[1] == [[-1.0, 0.75]]  # 4 wraps to -4, -5 to 3


def test_shared_membrane_passes_from_channel_to_channel() -> None:
    lif = PLAIN._replace(share=2)
    # Channels 0 and 1 share; channel 2 is alone in its group.
    # t 0: u = 0.75; then 0.375 + 0.75 = 1.125 fires and resets. t 1: u = 0.5 (no charge left); 0.25 + 0.5 = 0.75 stays.
    # t 2: 0.375 + 0.75 = 1.125 fires; 0 + 0.25.
    fired, stored = steps(lif, [[0.75, 0.75, 0.75], [0.5, 0.5, 0.75], [0.75, 0.25, 0.0]])
    assert fired == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert stored == [[0.0, 0.75], [0.75, 0.0], [0.25, 0.0]]


def test_decay_is_rounded_to_the_current_grid_half_to_even() -> None:
    lif = PLAIN._replace(leak=0.5, current_step=0.25)
    assert steps(lif, [[0.75], [0.0], [0.0]])[1] == [[0.75], [0.5], [0.25]]  # 0.375 -> 0.5 (even), 0.25


def test_relu_rounds_half_to_even_and_clips() -> None:
    out = np.empty(6)
    psum = np.array([5, 15, 25, -10, 10000, 14], dtype=np.int32)
    relu_step(psum, out, np.full(6, 0.125), np.zeros(6), STEP, 1.25, 255.0)
    assert out.tolist() == [0.0, 2.0, 2.0, 0.0, 255.0, 1.0]


def test_general_and_plain_rows_agree() -> None:
    random = np.random.default_rng(0)
    rows: list[Any] = []
    for lif in (PLAIN, PLAIN._replace(max_spikes=2)):
        u, spikes = np.zeros(64), np.empty(64, dtype=np.uint8)
        random = np.random.default_rng(0)
        for _ in range(10):
            psum = random.integers(-90, 90, 64).astype(np.int32)  # never two thresholds
            lif_step(psum, u, spikes, np.full(64, 0.01), np.full(64, 0.1), np.ones(64), lif)
            rows.append((u.copy(), spikes.copy()))
    for (u, spikes), (v, others) in zip(rows[:10], rows[10:], strict=True):
        np.testing.assert_array_equal(u, v)
        np.testing.assert_array_equal(spikes, others)
    assert 0 < sum(int(spikes.sum()) for _, spikes in rows[:10]) < 320
