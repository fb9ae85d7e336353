"""Three ways to compile the kernels of cores and calendars, which call each other with large tuples of arrays.

They allocate nothing, so they need no reference counts (``_nrt=False``), which for such tuples are a good part of what
would have to be compiled; and only few of them are called from Python, for which code would be made that takes the
tuples apart.
"""

from __future__ import annotations

from hwsim.jit import njit

outer = njit(nogil=True, _nrt=False)
"""Called from Python and from kernels."""

inner = njit(nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Called from kernels only."""

small = njit(nogil=True, _nrt=False, inline="always")
"""Becomes part of the kernels that call it."""
