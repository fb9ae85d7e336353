"""Tools for kernels over arrays of integers: sets of small numbers as bits, pointers, and parts of kernels.

Members of a set are 0 to 61, so that no set is negative and shifts are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from hwsim.jit import njit

_UNWRAPPED = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for a part of a kernel: inlined by the compiler wherever it is called, which is where a call with many
    arguments would be a copy of all of them, and not to be called from Python."""
    compiled: Callable[..., Any] = njit(nogil=True, forceinline=True, **_UNWRAPPED)(function)
    return compiled


def _first_bit(_context, _members):  # type: ignore[no-untyped-def]
    """The lowest member of a set (int64, not empty): one instruction."""

    def generate(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.int64(types.int64), generate


first_bit: Any = intrinsic(_first_bit)


@njit(nogil=True, inline="always")
def next_bit(members, start):  # type: ignore[no-untyped-def]
    """The first member at or after ``start`` (0 to 63), from the lowest one again after the highest; not empty."""
    after = members & (-1 << start)
    return first_bit(after if after != 0 else members)


def _pointer(_context, array):  # type: ignore[no-untyped-def]
    """The start of a contiguous array, which somebody else keeps alive: indexed without a look at the sign, and handed
    to other kernels without counting references, which together take two thirds of the time of kernels that jump."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


pointer: Any = intrinsic(_pointer)
