"""Weights as cell codes: the identity that every scheme keeps, hand-worked codes, and what inversion is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.physics.encoding import (
    SCHEMES,
    Encoded,
    decode,
    encode,
    high_resistance_share,
    polarities_of,
    slices_of,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    """(weights, bits, cell_bits, scheme, inversion, block_of)"""
    bits = draw(st.integers(2, 8))
    cell_bits = draw(st.integers(1, bits))
    scheme = draw(st.sampled_from(SCHEMES))
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if scheme == "differential_pair" and slices_of(bits, cell_bits, scheme) * cell_bits == bits - 1:
        low += 1
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    values = st.lists(st.integers(low, high), min_size=rows * columns, max_size=rows * columns)
    weights = np.array(draw(values)).reshape(rows, columns)
    block_of = draw(st.none() | st.lists(st.integers(0, 3), min_size=rows, max_size=rows).map(np.array))
    return weights, bits, cell_bits, scheme, draw(st.booleans()), block_of


def current(encoded: Encoded, rows: np.ndarray) -> np.ndarray:
    """What a crossbar of the codes computes for ``rows`` active, written out row by row."""
    total = np.zeros(encoded.codes.shape[3])
    for k in rows:
        for s in range(encoded.codes.shape[0]):
            for p in range(encoded.codes.shape[1]):
                total += encoded.factor[s, p, encoded.block_of[k]] * encoded.codes[s, p, k]
        total -= encoded.correction[k]
    return total


@settings(deadline=None, max_examples=400)
@given(cases(), st.data())
def test_codes_and_correction_are_exactly_the_weights(case: tuple, data: st.DataObject) -> None:
    weights, bits, cell_bits, scheme, inversion, block_of = case
    encoded = encode(weights, bits, cell_bits, scheme, inversion=inversion, block_of=block_of, levels=1 << cell_bits)
    assert encoded.codes.dtype == np.int16 and encoded.correction.dtype == np.int64
    assert encoded.codes.shape == (slices_of(bits, cell_bits, scheme), polarities_of(scheme), *weights.shape)
    assert encoded.codes.min() >= 0 and encoded.codes.max() < 1 << cell_bits
    np.testing.assert_array_equal(decode(encoded), weights)
    active = data.draw(st.lists(st.integers(0, len(weights) - 1), unique=True))
    np.testing.assert_array_equal(current(encoded, np.array(active, dtype=int)), weights[active].sum(axis=0))


@settings(deadline=None, max_examples=200)
@given(cases())
def test_inversion_never_raises_a_mean_code(case: tuple) -> None:
    weights, bits, cell_bits, scheme, _, block_of = case
    plain = encode(weights, bits, cell_bits, scheme)
    inverted = encode(weights, bits, cell_bits, scheme, inversion=True, block_of=block_of)
    for block in range(inverted.factor.shape[2]):
        rows = inverted.block_of == block
        before, after = plain.codes[:, :, rows].sum(axis=2), inverted.codes[:, :, rows].sum(axis=2)
        assert np.all(after <= before)
        flipped = np.sign(inverted.factor[:, :, block]) != np.sign(plain.factor[:, :, 0])
        assert np.all((after < before) == flipped), "a column is flipped exactly where that lowers its codes"


def test_codes_by_hand() -> None:
    weights = np.array([[5, -3, -8, 0]])
    codes = {scheme: encode(weights, 4, 4, scheme).codes[0, :, 0].tolist() for scheme in SCHEMES[:3]}
    assert codes == {
        "twos_complement": [[5, 13, 8, 0]],
        "diff": [[5, 5, 0, 0]],
        "offset_binary": [[13, 5, 0, 8]],
    }
    pair = encode(weights, 4, 4, "differential_pair")
    assert pair.codes[0, :, 0].tolist() == [[5, 0, 0, 0], [0, 3, 8, 0]]
    assert pair.factor[0, :, 0, 0].tolist() == [1.0, -1.0]
    assert not pair.correction.any()
    assert encode(weights, 4, 4, "twos_complement").correction.tolist() == [[0, 16, 16, 0]]
    assert encode(weights, 4, 4, "diff").correction.tolist() == [[0, 8, 8, 0]]
    assert encode(weights, 4, 4, "offset_binary").correction.tolist() == [[8, 8, 8, 8]]


def test_slices_by_hand() -> None:
    # -100 + 128 = 28 = 1 * 16 + 12
    encoded = encode(np.array([[-100], [77]]), 8, 4, "diff")
    assert encoded.codes[:, 0, :, 0].tolist() == [[12, 13], [1, 4]]
    assert encoded.factor[:, 0, 0, 0].tolist() == [1.0, 16.0]
    assert [slices_of(8, 3, scheme) for scheme in SCHEMES] == [3, 3, 3, 3]
    assert [slices_of(5, 4, scheme) for scheme in SCHEMES] == [2, 1, 2, 1]


def test_inversion_by_hand() -> None:
    # offset binary of 3 bits: codes 7, 6 (mean above 3.5: complemented, 0, 1) and 0, 1 (kept), each block for itself
    weights = np.array([[3], [2], [-4], [-3]])
    encoded = encode(weights, 3, 3, "offset_binary", inversion=True, block_of=np.array([0, 0, 1, 1]))
    assert encoded.codes[0, 0, :, 0].tolist() == [0, 1, 0, 1]
    assert encoded.factor[0, 0, :, 0].tolist() == [-1.0, 1.0]
    assert encoded.correction[:, 0].tolist() == [4 - 7, 4 - 7, 4, 4]


def test_the_most_significant_slice_is_inverted_within_its_bits() -> None:
    # 5 bits on cells of 4: the upper slice is one bit; its complement against 15 would be 14 and 15
    encoded = encode(np.array([[15], [15]]), 5, 4, "offset_binary", inversion=True)
    assert encoded.codes[1, 0, :, 0].tolist() == [0, 0]


def test_order_of_the_mean_codes_is_the_measured_one() -> None:
    """Two's complement 6.5, DIFF 3.3, offset binary 8.0, one array of a pair 0.8 for Gaussian 4-bit weights."""
    draws = np.random.default_rng(5).normal(0, 0.15, (64, 64))
    weights = np.clip(np.rint(draws * 15), -8, 7).astype(np.int64)
    mean = {scheme: high_resistance_share(encode(weights, 4, 4, scheme).codes, 16).mean_code for scheme in SCHEMES}
    assert mean["differential_pair"] < 1.2 < mean["diff"] < 4 < mean["twos_complement"] < mean["offset_binary"]
    assert mean["offset_binary"] == pytest.approx(8.0, abs=0.1)


def test_shares_by_hand() -> None:
    share = high_resistance_share(np.array([[0, 0, 1, 2], [3, 3, 1, 0]]), 4)
    assert share == (3 / 8, 5 / 8, 10 / 8)
    odd = high_resistance_share(np.array([0, 1, 2]), 3)
    assert odd.lower_half == pytest.approx(2 / 3), "the middle of three levels counts as lower"


def test_no_rows_or_columns_are_weights_too() -> None:
    for shape in ((0, 3), (3, 0)):
        encoded = encode(np.zeros(shape, dtype=np.int64), 8, 4, "diff", inversion=True)
        assert decode(encoded).shape == shape
