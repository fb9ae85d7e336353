"""What a report's numbers depend on: code, architecture and workload, as one hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import hwsim
from hwsim.reproduce.target import Target

LENGTH = 12


def digest(target: Target) -> str:
    """First hex digits of SHA-256 over the code that the target names, its architecture and its workloads."""
    package = Path(hwsim.__file__).parent
    parts = [package / part for part in target.code] or [package]
    files = sorted(file for part in parts for file in part.rglob("*") if file.suffix in (".py", ".yaml"))
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for file in _inputs(target):
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:LENGTH]


def _inputs(target: Target) -> list[Path]:
    """Files of the target's architecture (without its bases) and workloads."""
    from hwsim import workload as workloads
    from hwsim.components.registry import load

    files = list(load(target.architecture).files) if target.architecture else []
    return files + [workloads.find(name) for name in target.workload.split(" and ") if name]
