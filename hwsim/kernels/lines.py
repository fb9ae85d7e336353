"""Line accesses of operand streams: consecutive bits of one line, read through one line register, are one access.

A walk has one line register per operand and fold-pass (an array of one int64), empty (-1) at its start; an access is
counted when the line of the next word differs from the register's.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit


@njit(nogil=True)
def empty_register() -> np.ndarray:
    """A line register that holds no line."""
    return np.full(1, -1, dtype=np.int64)


@njit(nogil=True)
def ceil_div(a: int, b: int) -> int:
    """Least integer not below a / b."""
    return -(-a // b)


@njit(nogil=True)
def walk_run(first_word: int, words: int, word_bits: int, line_bits: int, register: np.ndarray) -> int:
    """Accesses of a run of stored words."""
    if words <= 0 or word_bits <= 0:
        return 0
    first = first_word * word_bits // line_bits
    last = ((first_word + words) * word_bits - 1) // line_bits
    accesses = last - first + (first != register[0])
    register[0] = last
    return accesses


@njit(nogil=True)
def walk_inputs(call, ka, kb, pa, pb, word_bits, register):  # type: ignore[no-untyped-def]
    """Accesses to the input stored as [C][H][W] words, for reduction elements ka:kb and output pixels pa:pb.

    For each channel, kernel row and output row: the run of words between the outermost ones that are used. Rows and
    columns in the padding are not stored.
    """
    total = 0
    window = call.R * call.S
    if window == call.H * call.W == 1:  # all the runs of a linear layer are one
        return walk_run(ka, kb - ka, word_bits, call.line_bits, register)
    for c in range(ka // window, (kb - 1) // window + 1):
        for r in range(call.R):
            start = c * window + r * call.S
            s_low, s_high = max(ka - start, 0), min(kb - start, call.S) - 1
            if s_low > s_high:
                continue
            for e in range(pa // call.F, (pb - 1) // call.F + 1):
                y = e * call.stride_y - call.pad_y + r * call.dilation_y
                if y < 0 or y >= call.H:
                    continue
                x0, x1 = max(pa - e * call.F, 0), min(pb - e * call.F, call.F) - 1
                low = max(0, x0 * call.stride_x - call.pad_x + s_low * call.dilation_x)
                high = min(call.W - 1, x1 * call.stride_x - call.pad_x + s_high * call.dilation_x)
                word = (c * call.H + y) * call.W
                total += walk_run(word + low, high - low + 1, word_bits, call.line_bits, register)
    return total


@njit(nogil=True)
def walk_elements(call, first, count, pa, pb, word_bits):  # type: ignore[no-untyped-def]
    """Input accesses of ``count`` (plane, k) elements from ``first``: elements of different planes are separate walks
    through one register."""
    total = 0
    register = empty_register()
    at = first
    while at < first + count:
        plane = at // call.depth
        end = min(first + count, (plane + 1) * call.depth)
        ka, kb = call.k0 + at - plane * call.depth, call.k0 + end - plane * call.depth
        total += walk_inputs(call, ka, kb, pa, pb, word_bits, register)
        at = end
    return total


@njit(nogil=True)
def walk_outputs(call, m, filters, pa, pb, timesteps):  # type: ignore[no-untyped-def]
    """Accesses to the outputs stored as [M][E F] words: for each of ``filters`` from ``m``, the run of pixels pa:pb."""
    bits = call.output_bits if call.accumulated else call.output_bits * timesteps
    total = 0
    register = empty_register()
    for filter_index in range(m, m + filters):
        first = filter_index * call.E * call.F + pa
        total += walk_run(first, pb - pa, bits, call.line_bits, register)
    return total


@njit(nogil=True)
def input_word_bits(call, timesteps):  # type: ignore[no-untyped-def]
    """Bits of one stored input word in a pass of ``timesteps``."""
    return call.word_bits if call.constant_input else call.word_bits * timesteps
