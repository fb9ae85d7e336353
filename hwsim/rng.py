"""Randomness without state: a draw is a pure function of (seed, stream, sample, timestep, step, index).

The key of a draw is a chain of SplitMix64 finalisers (Steele, Lea, Flood, OOPSLA 2014) over the five scalars; the
value is the SplitMix64 output of that key at position ``index``. Streams are named (by component path), so adding a
component moves nobody's draws, and draws may be made in any order, by any worker, as often as wanted.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from hwsim.jit import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_ULP = 2.0**-53


@cache
def stream_number(stream: str) -> int:
    """The 64-bit number of a named stream: BLAKE2b of its UTF-8 name."""
    return int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")


def _finalise(value: int) -> int:
    value = ((value ^ (value >> 30)) * int(_MIX1)) & _MASK
    value = ((value ^ (value >> 27)) * int(_MIX2)) & _MASK
    return value ^ (value >> 31)


def draw_key(seed: int, stream: str, sample: int = 0, timestep: int = 0, step: int = 0) -> np.uint64:
    """The 64-bit key under which ``draw_bits`` and ``uniform`` give one value per index."""
    key = 0
    for part in (seed, stream_number(stream), sample, timestep, step):
        key = _finalise((key + int(_GOLDEN) + _finalise(part & _MASK)) & _MASK)
    return np.uint64(key)


@njit(nogil=True, inline="always")
def draw_bits(key: np.uint64, index: np.uint64) -> np.uint64:
    """64 random bits of ``key`` at ``index``: output ``index + 1`` of SplitMix64 seeded with ``key``. Both uint64."""
    value = key + (index + np.uint64(1)) * _GOLDEN
    value = (value ^ (value >> _S30)) * _MIX1
    value = (value ^ (value >> _S27)) * _MIX2
    return value ^ (value >> _S31)


@njit(nogil=True, inline="always")
def draw_uniform(key: np.uint64, index: np.uint64) -> float:
    """A float64 in [0, 1) with 53 random bits. Callable from kernels; both arguments uint64."""
    return np.float64(draw_bits(key, index) >> _S11) * _ULP


@njit(nogil=True)
def _fill_uniform(key: np.uint64, index: np.ndarray, out: np.ndarray) -> None:
    for i in range(index.size):
        out[i] = draw_uniform(key, np.uint64(index[i]))


@njit(nogil=True)
def _fill_bernoulli(key: np.uint64, first: np.uint64, limit: np.uint64, out: np.ndarray) -> None:
    for i in range(out.size):
        out[i] = (draw_bits(key, first + np.uint64(i)) >> _S11) < limit


def uniform(seed: int, stream: str, sample: int, timestep: int, step: int, index: np.ndarray) -> np.ndarray:
    """float64 draws in [0, 1), one per entry of ``index`` (integers >= 0), in its shape. Pure in all its arguments."""
    index = np.asarray(index)
    flat = np.ascontiguousarray(index, dtype=np.int64).reshape(-1)
    out = np.empty(flat.size)
    _fill_uniform(draw_key(seed, stream, sample, timestep, step), flat, out)
    return out.reshape(index.shape)


def bernoulli(
    seed: int, stream: str, sample: int, timestep: int, step: int, count: int, probability: float, first: int = 0
) -> np.ndarray:
    """uint8 [count]: 1 where ``uniform`` at ``first + position`` is below ``probability``."""
    out = np.empty(count, dtype=np.uint8)
    limit = np.uint64(int(np.ceil(min(max(probability, 0.0), 1.0) * 2.0**53)))
    _fill_bernoulli(draw_key(seed, stream, sample, timestep, step), np.uint64(first), limit, out)
    return out
