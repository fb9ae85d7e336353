"""Text files of bounded size, and JSON without the traps: no repeated keys, no NaN, no endless nesting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, SpecError

SIZE_LIMIT_BYTES = 4 * 2**20


def read_bytes(path: Path) -> bytes:
    """The bytes of a text file; ``SpecError`` where it cannot be read or is larger than any honest one."""
    try:
        with path.open("rb") as stream:
            data = stream.read(SIZE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(Problem(str(path), f"cannot be read: {reason}")) from None
    if len(data) > SIZE_LIMIT_BYTES:
        raise SpecError(Problem(str(path), f"is larger than {SIZE_LIMIT_BYTES:,} bytes, the most that is read"))
    return data


def decode(data: bytes, where: str) -> str:
    """UTF-8 text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(Problem(where, f"is not UTF-8 text: byte {error.start}")) from None


def parse_json(data: bytes, where: str) -> Any:
    """The value of JSON text; ``where`` begins the messages."""
    text = decode(data, where)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except SpecError as error:
        raise SpecError([Problem(where, problem.message) for problem in error.problems]) from None
    except json.JSONDecodeError as error:
        raise SpecError(Problem(f"{where}, line {error.lineno}", f"is not JSON: {error.msg}")) from None
    except (RecursionError, ValueError):
        message = "is not JSON that can be read: nested too deeply, or a number too long"
        raise SpecError(Problem(where, message)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SpecError(f"key {key[:60]!r} stands twice in one mapping")
        found[key] = value
    return found


def _no_constant(text: str) -> float:
    raise SpecError(f"holds {text}, which is no JSON number")
