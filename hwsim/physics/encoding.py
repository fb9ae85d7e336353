"""Signed weights as cell codes, and the digital correction that makes up for cells holding nothing negative.

A weight is cut into slices of ``cell_bits``, least significant first. Schemes, for a weight w of ``bits``:

twos_complement     the cells hold w, or w + 2^bits where w < 0; 2^bits is subtracted for every such active weight
diff                the cells hold w, or w + 2^(bits-1) where w < 0, which needs one bit less: the digital module that
                    subtracts 2^(bits-1) for active negative weights keeps the sign (DIFF of SpikeSim, Moitra et al.,
                    IEEE TCAD 2023, as in its released code)
offset_binary       the cells hold w + 2^(bits-1); 2^(bits-1) is subtracted for every active row
differential_pair   a plus column holds w where w > 0, a minus column -w where w < 0; no correction

``inversion`` stores the complement of a column's codes where that lowers their mean, so that more cells have a high
resistance, which parasitics disturb less ("weight encoding" of Moitra et al., "Are SNNs truly energy-efficient? A
hardware perspective", 2023, which states the aim and not the rule; the rule is our own).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean

SCHEMES = ("twos_complement", "diff", "offset_binary", "differential_pair")
WEIGHT_BITS = (2, 16)
"""Fewest and most bits of a signed weight."""


class Encoded(NamedTuple):
    """Weights [K, M] as cell codes, so that exactly

    ``w[k, m] = sum over s, p of factor[s, p, block_of[k], m] * codes[s, p, k, m]  -  correction[k, m]``.

    codes        int16 [slices, polarities, K, M], 0 .. 2^cell_bits - 1; polarity 0 is the plus column
    factor       float64 [slices, polarities, blocks, M]: weight units of one code unit, sign included
    correction   int64 [K, M]: weight units that the digital side subtracts per active row
    block_of     int32 [K]: which block of ``factor`` a row uses; zeros where ``factor`` has one block
    """

    codes: np.ndarray
    factor: np.ndarray
    correction: np.ndarray
    block_of: np.ndarray


class HighResistance(NamedTuple):
    """How much of an array is at high resistance. Reports give ``at_g_min`` and ``mean_code``.

    at_g_min     share of the cells with code 0, the highest resistance
    lower_half   share of the cells in the lower half of the codes
    mean_code    mean of the codes, 0 .. levels - 1
    """

    at_g_min: float
    lower_half: float
    mean_code: float


def slices_of(bits: int, cell_bits: int, scheme: str) -> int:
    """Cells per weight and polarity."""
    return -(-_stored_bits(bits, scheme) // cell_bits)


def polarities_of(scheme: str) -> int:
    """Columns per weight and slice: 2 for a differential pair, else 1."""
    return 2 if scheme == "differential_pair" else 1


def encode(
    weights: np.ndarray,
    bits: int,
    cell_bits: int,
    scheme: str,
    *,
    inversion: bool = False,
    block_of: np.ndarray | None = None,
    levels: int | None = None,
    where: str = "",
) -> Encoded:
    """The codes of ``weights`` (integers [K, M]) for cells of ``cell_bits``.

    block_of  int [K], row block of each row: ``inversion`` is decided per slice, polarity, row block and column, and
              ``factor`` then has that many blocks. Otherwise ``factor`` has one block.
    levels    levels that the device holds; None for any number
    where     place named by messages

    Raises ``SpecError`` for an unknown scheme, bits that do not fit each other, the device or the weights.
    """
    weights = np.asarray(weights)
    assert weights.ndim == 2 and np.issubdtype(weights.dtype, np.integer), "weights are integers [K, M]"
    check_encoding(bits, cell_bits, scheme, levels, where)
    values, correction = _values(weights.astype(np.int64), bits, scheme)
    slices = slices_of(bits, cell_bits, scheme)
    _check_range(weights, values, bits, slices * cell_bits, scheme, where)
    shifts = cell_bits * np.arange(slices)
    codes = ((values[None] >> shifts[:, None, None, None]) & ((1 << cell_bits) - 1)).astype(np.int16)
    signs = np.array([1.0, -1.0])[: len(values)]
    factor = 2.0 ** shifts[:, None] * signs
    factor = np.repeat(factor[:, :, None, None], weights.shape[1], axis=3)
    if not inversion:
        return Encoded(codes, factor, correction, np.zeros(len(weights), dtype=np.int32))
    rows = np.zeros(len(weights), dtype=np.int32) if block_of is None else np.asarray(block_of, dtype=np.int32)
    assert rows.shape == weights.shape[:1], "block_of gives one block per row"
    return _inverted(Encoded(codes, factor, correction, rows), _largest_codes(bits, cell_bits, scheme))


def decode(encoded: Encoded) -> np.ndarray:
    """The weights int64 [K, M] that the codes stand for: ``encode``'s witness."""
    codes, factor, correction, block_of = encoded
    total = (factor[:, :, block_of].astype(np.int64) * codes).sum(axis=(0, 1))
    return total - correction


def high_resistance_share(codes: np.ndarray, levels: int) -> HighResistance:
    """Shares of high-resistance cells of ``codes`` (integers 0 .. levels - 1, any shape, not empty)."""
    codes = np.asarray(codes)
    assert codes.size and levels >= 2, "shares of at least one cell of at least two levels"
    return HighResistance(
        float(np.mean(codes == 0)), float(np.mean(2 * codes.astype(np.int64) < levels)), float(np.mean(codes))
    )


def check_encoding(bits: int, cell_bits: int, scheme: str, levels: int | None = None, where: str = "") -> None:
    """Raise ``SpecError`` where the scheme is unknown or cells cannot hold their bits; see ``encode``."""
    low, high = WEIGHT_BITS
    if scheme not in SCHEMES:
        raise SpecError(Problem(where, f"unknown encoding '{scheme}'", did_you_mean(scheme, SCHEMES, "Encodings")))
    if not low <= bits <= high:
        raise SpecError(Problem(where, f"expected weights of {low} to {high} bits, found {bits}"))
    if not 1 <= cell_bits <= min(bits, high - 1):
        raise SpecError(Problem(where, f"expected cells of 1 to {min(bits, high - 1)} bits, found {cell_bits}"))
    if levels is not None and levels < 1 << cell_bits:
        message = f"a cell of {cell_bits} bits needs {1 << cell_bits} levels, the device holds {levels}"
        hint = f"Take cells of at most {max(levels.bit_length() - 1, 1)} bits, or another device."
        raise SpecError(Problem(where, message, hint))


def _stored_bits(bits: int, scheme: str) -> int:
    """Bits of a weight that cells hold: without the sign where something else keeps it."""
    return bits - 1 if scheme in ("diff", "differential_pair") else bits


def _values(weights: np.ndarray, bits: int, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """What the cells of a weight hold together, int64 [polarities, K, M] >= 0, and the correction int64 [K, M]."""
    if scheme == "differential_pair":
        return np.stack([np.maximum(weights, 0), np.maximum(-weights, 0)]), np.zeros_like(weights)
    offset = 1 << (bits if scheme == "twos_complement" else bits - 1)
    moved = np.ones_like(weights) if scheme == "offset_binary" else (weights < 0).astype(np.int64)
    return (weights + offset * moved)[None], offset * moved


def _check_range(weights: np.ndarray, values: np.ndarray, bits: int, held_bits: int, scheme: str, where: str) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if not weights.size:
        return
    if weights.min() < low or weights.max() > high:
        message = f"weights of {bits} bits lie in {low} .. {high}, found {weights.min()} .. {weights.max()}"
        raise SpecError(Problem(where, message))
    if values.max() >= 1 << held_bits:
        message = f"the encoding '{scheme}' holds magnitudes up to {(1 << held_bits) - 1}, found the weight {low}"
        hint = f"Quantise to {low + 1} .. {high}, or take another encoding or more bits per cell."
        raise SpecError(Problem(where, message, hint))


def _largest_codes(bits: int, cell_bits: int, scheme: str) -> np.ndarray:
    """Largest code of each slice, int64 [slices]: the most significant slice may hold fewer bits."""
    first = cell_bits * np.arange(slices_of(bits, cell_bits, scheme))
    return (1 << np.minimum(cell_bits, _stored_bits(bits, scheme) - first)) - 1


def _inverted(encoded: Encoded, largest: np.ndarray) -> Encoded:
    """The complement (largest code of the slice - code) wherever it has the lower mean in its block and column."""
    codes, factor, correction, block_of = encoded
    blocks = int(block_of.max(initial=0)) + 1
    members = [np.flatnonzero(block_of == block) for block in range(blocks)]
    tops = largest[:, None, None]
    invert = np.zeros((*codes.shape[:2], blocks, codes.shape[3]), dtype=bool)
    for block, rows in enumerate(members):
        chosen = codes[:, :, rows]
        # a weight of -2^(bits-1) may need a code above the usual largest one in a differential pair
        holds = chosen.max(axis=2, initial=0) <= tops
        invert[:, :, block] = holds & (2 * chosen.sum(axis=2, dtype=np.int64) > tops * len(rows))
    factor = np.repeat(factor, blocks, axis=2)
    rows_inverted = invert[:, :, block_of]
    codes = np.where(rows_inverted, tops[..., None] - codes, codes).astype(np.int16)
    constants = (factor * tops[..., None] * invert).astype(np.int64).sum(axis=(0, 1))
    return Encoded(codes, np.where(invert, -factor, factor), correction - constants[block_of], block_of)
