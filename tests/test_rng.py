"""Draws are pure functions of their coordinates, and look random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.rng import bernoulli, draw_bits, draw_key, uniform

MASK = 2**64 - 1


def split_mix(state: int, count: int) -> list[int]:
    """Steele, Lea and Flood's generator, in Python's integers."""
    out = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        value = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(value ^ (value >> 31))
    return out


def test_bits_are_split_mix_64() -> None:
    # The first outputs for seed 1234567, as published with the reference implementation.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert split_mix(1234567, 5) == published
    assert [int(draw_bits(np.uint64(1234567), np.uint64(i))) for i in range(5)] == published


@given(st.integers(0, 2**63), st.text(max_size=20), st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_uniform_is_split_mix_under_a_key(seed: int, stream: str, index: list[int]) -> None:
    key = int(draw_key(seed, stream, 1, 2, 3))
    drawn = uniform(seed, stream, 1, 2, 3, np.array(index))
    expected = [split_mix((key + i * 0x9E3779B97F4A7C15) & MASK, 1)[0] >> 11 for i in index]
    np.testing.assert_array_equal(drawn, np.array(expected) * 2.0**-53)


def test_order_and_shape_do_not_matter() -> None:
    index = np.arange(600).reshape(20, 30)
    whole = uniform(7, "a.b", 0, 0, 0, index)
    np.testing.assert_array_equal(whole[3:5, ::-1], uniform(7, "a.b", 0, 0, 0, index[3:5, ::-1]))


@pytest.mark.parametrize(
    "other", [(8, "s", 1, 2, 3), (7, "t", 1, 2, 3), (7, "s", 2, 2, 3), (7, "s", 1, 3, 3), (7, "s", 1, 2, 4)]
)
def test_each_coordinate_changes_the_draw(other: tuple[int, str, int, int, int]) -> None:
    index = np.arange(20000)
    one, two = uniform(7, "s", 1, 2, 3, index), uniform(*other, index)
    assert not np.any(one == two)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03  # 4 standard deviations of independent draws


def test_swapped_coordinates_differ() -> None:
    assert len({int(draw_key(0, "s", *parts)) for parts in [(1, 2, 3), (3, 2, 1), (2, 1, 3), (1, 3, 2)]}) == 4


def test_uniform_over_the_unit_interval() -> None:
    drawn = uniform(0, "moments", 0, 0, 0, np.arange(200_000))
    assert drawn.min() >= 0 and drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 160  # chi squared, 99 degrees of freedom: p = 1e-4
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.01


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0, 2.0**-53])
def test_bernoulli_is_uniform_below_probability(probability: float) -> None:
    drawn = bernoulli(3, "x", 1, 2, 0, 500, probability, first=40)
    np.testing.assert_array_equal(drawn, uniform(3, "x", 1, 2, 0, np.arange(40, 540)) < probability)
    assert drawn.dtype == np.uint8
