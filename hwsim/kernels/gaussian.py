"""Standard normal draws by array, the same in numba and in NumPy, on every machine.

The cosine branch of Box and Muller (Annals of Mathematical Statistics 29(2), 1958) from the two halves of one 64-bit
draw: radius sqrt(-2 ln u) with u = (high half + 1) / 2^32, turn = low half / 2^32. So |draw| <= 6.66, beyond which a
normal variable lies once in 10^10. Logarithm and cosine are series in +, -, x, / and square root only, which IEEE 754
rounds alike everywhere; a library's own functions differ in the last bit from one library, and one vector width, to
the next. Both series are cut where the next term is below 2^-32, the step of the uniforms.
"""

from __future__ import annotations

import math

import numpy as np

from hwsim.jit import njit
from hwsim.rng import draw_bits

_LN2 = math.log(2.0)
_ROOT_HALF = math.sqrt(0.5)
_TURN = 2.0 * math.pi
_STEP = 2.0**-32
_LOG = tuple(4.0 / (2 * k + 1) for k in range(6))
"""-2 ln((1 - s) / (1 + s)) = sum of 4 / (2k + 1) s^(2k + 1); |s| < 0.172."""
_SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(8))
"""sin y = sum of (-1)^k / (2k + 1)! y^(2k + 1); |y| <= pi / 2."""

# Integers below 2^52 become float64 by their bits, which vector units without a conversion can do.
_TWO_52 = 2.0**52
_TWO_52_BITS = np.uint64(0x4330000000000000)
_MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)
_HALF_BITS = np.uint64(0x3FE0000000000000)
_LOW = np.uint64(0xFFFFFFFF)
_S32, _S52 = np.uint64(32), np.uint64(52)
_BIAS = _TWO_52 + 1022.0


@njit(nogil=True, error_model="numpy")
def fill_gaussians(key: np.uint64, first: np.uint64, out: np.ndarray, room: np.ndarray) -> None:
    """out[i] = the draw of ``key`` at index ``first`` + i. out, room: float64, contiguous, of one length."""
    bits, power = out.view(np.uint64), room.view(np.uint64)
    for i in range(out.size):
        drawn = draw_bits(key, first + np.uint64(i))
        bits[i] = (drawn >> _S32) | _TWO_52_BITS
        power[i] = (drawn & _LOW) | _TWO_52_BITS
    for i in range(out.size):
        turn = (room[i] - _TWO_52) * _STEP
        folded = min(turn, 1.0 - turn)
        y = (0.25 - folded) * _TURN
        z = y * y
        tail = _SINE[7]
        tail = tail * z + _SINE[6]
        tail = tail * z + _SINE[5]
        tail = tail * z + _SINE[4]
        tail = tail * z + _SINE[3]
        tail = tail * z + _SINE[2]
        tail = tail * z + _SINE[1]
        tail = tail * z + _SINE[0]
        room[i] = y * tail
        out[i] = (out[i] - _TWO_52 + 1.0) * _STEP
    for i in range(out.size):
        cosine, exponent = room[i], bits[i] >> _S52
        power[i] = exponent | _TWO_52_BITS
        bits[i] = (bits[i] & _MANTISSA) | _HALF_BITS
        fraction, exponent_of = out[i], room[i] - _BIAS
        small = fraction < _ROOT_HALF
        fraction = fraction + fraction if small else fraction
        exponent_of = exponent_of - 1.0 if small else exponent_of
        s = (1.0 - fraction) / (1.0 + fraction)
        z = s * s
        tail = _LOG[5]
        tail = tail * z + _LOG[4]
        tail = tail * z + _LOG[3]
        tail = tail * z + _LOG[2]
        tail = tail * z + _LOG[1]
        tail = tail * z + _LOG[0]
        out[i] = np.sqrt(s * tail - exponent_of * (2.0 * _LN2)) * cosine


def plain_gaussians(key: np.uint64, index: np.ndarray) -> np.ndarray:
    """The draws of ``key`` at ``index`` (integers >= 0), float64, by NumPy: equal to ``fill_gaussians`` bit for bit."""
    drawn = _bits(key, np.asarray(index, dtype=np.uint64))
    fraction, exponent = np.frexp(((drawn >> np.uint64(32)).astype(np.float64) + 1.0) * _STEP)
    small = fraction < _ROOT_HALF
    fraction, power = np.where(small, 2.0 * fraction, fraction), exponent - small.astype(np.float64)
    s = (1.0 - fraction) / (1.0 + fraction)
    radius = np.sqrt(s * _horner(_LOG, s * s) - power * (2.0 * _LN2))
    turn = (drawn & np.uint64(0xFFFFFFFF)).astype(np.float64) * _STEP
    y = (0.25 - np.minimum(turn, 1.0 - turn)) * _TURN
    return np.asarray(radius * (y * _horner(_SINE, y * y)))


def _horner(coefficients: tuple[float, ...], z: np.ndarray) -> np.ndarray:
    total = np.full(z.shape, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * z + coefficient
    return total


def _bits(key: np.uint64, index: np.ndarray) -> np.ndarray:
    """``hwsim.rng.draw_bits`` written once more, for arrays."""
    with np.errstate(over="ignore"):
        value = np.uint64(key) + (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(value ^ (value >> np.uint64(31)))
