"""Finished chips of the robustness table, so that a stopped run goes on where it was.

Each chip's numbers are one JSON file, written whole, then renamed, beside the content cache (``HWSIM_CACHE``; 'off'
keeps nothing). Its name is a hash of all that decides the numbers: the job, the sources that compute it, the
architecture and the workload with its data. The folder may be deleted at any time.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hwsim
from hwsim.physics.cache import cache_folder
from hwsim.result import write_whole

FOLDER = "robustness"
SOURCES = (
    "grid.py", "rng.py", "workload", "network", "physics", "kernels", "machines/crossbar/mapping.py",
    "machines/crossbar/product.py", "machines/crossbar/programmed.py", "profiles/islped_arrays.py",
    "reproduce/measure.py", "reproduce/robustness_analog.py", "reproduce/robustness_chip.py",
)  # fmt: skip
"""What a chip's numbers depend on, relative to the package."""


def remember(key: Iterable[str], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``make`` gave for this key when it was first called with these sources; plain JSON data."""
    path = _path(key)
    if path is not None:
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        except (OSError, ValueError):
            pass  # a file that cannot be read is a chip that is not there: it is computed again
    made = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(made))
    return made


def known(key: Iterable[str]) -> bool:
    """Whether the key's numbers are there."""
    path = _path(key)
    return path is not None and path.is_file()


def _path(key: Iterable[str]) -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    total = hashlib.sha256(sources().encode())
    for part in key:
        total.update(part.encode() + b"\0")
    return folder / FOLDER / f"{total.hexdigest()[:40]}.json"


@functools.cache
def sources() -> str:
    """Hash of ``SOURCES`` as they are installed."""
    package = Path(hwsim.__file__).parent
    total = hashlib.sha256()
    for part in SOURCES:
        place = package / part
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.suffix in (".py", ".yaml"):
                total.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()
