"""Compiled kernels whose cache on disk knows what they were compiled from.

numba keys a cached kernel on its own source file only. A kernel that calls a kernel of another file contains that
kernel's machine code, and would be loaded stale after the other file changed. Here the files behind everything that a
kernel's module took from other modules of this package belong to the key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_PACKAGE = __name__.partition(".")[0]


def njit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``numba.njit`` with ``cache=True``, to be used in its place. Where the package's folder cannot be written, numba
    itself caches in the user's cache folder."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled = numba.njit(**(options | {"cache": True}))(function)
        file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
        if file is not None:  # with NUMBA_DISABLE_JIT there is neither dispatcher nor cache
            file._source_stamp = (file._source_stamp, *source_stamps(function.__globals__))
        return compiled

    return decorate


def source_stamps(names: dict[str, Any]) -> list[Any]:
    """What identifies the sources of ``names``, a module's globals: stamps of other modules of the package."""
    own, found = names.get("__name__"), set()
    for value in list(names.values()):
        module = getattr(getattr(value, "py_func", value), "__module__", None)
        if not isinstance(module, str) or module == own or module.partition(".")[0] != _PACKAGE:
            continue
        status = Path(str(sys.modules[module].__file__)).stat()
        found.add((module, status.st_mtime_ns, status.st_size))
        inner = getattr(getattr(value, "_cache", None), "_cache_file", None)
        if inner is not None:  # what that kernel was compiled from in its turn
            found.update(stamp for stamp in inner._source_stamp[1:])
    return sorted(found)
