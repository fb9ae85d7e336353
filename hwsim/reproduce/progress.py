"""Progress of a target that takes long, for whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int, str], None]
"""(done, of how many, what)"""

_listener: ContextVar[Progress | None] = ContextVar("progress of a target", default=None)


@contextmanager
def listening(progress: Progress | None) -> Iterator[None]:
    """``report`` calls ``progress`` inside this context."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)


def report(done: int, total: int, what: str) -> None:
    """Tell the listener, if there is one."""
    progress = _listener.get()
    if progress is not None:
        progress(done, total, what)
