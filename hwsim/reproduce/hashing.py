"""What a report's numbers depend on: code, architecture and workload, as one hash.

The code is found by following imports, also those inside functions, from the module of the target's run and from the
family of its architecture. So a change elsewhere in the package leaves the hash, and with it the report, as it is.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hwsim
from hwsim.reproduce.target import Target
from hwsim.shipped import folder

LENGTH = 12
PACKAGE = Path(hwsim.__file__).parent
APART = {("hwsim.run", "hwsim.profiles.run"), ("*", "hwsim.reproduce")}
"""Imports (from, to) that are not followed: what a run of a machine does not use, and the list of all targets."""


def digest(target: Target) -> str:
    """First hex digits of SHA-256 over the code behind the target, its architecture and its workloads."""
    total = hashlib.sha256()
    for file in sorted(_files(target)):
        total.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + _content(file))
    for file in _inputs(target):
        total.update(file.name.encode() + b"\0" + _content(file))
    return total.hexdigest()[:LENGTH]


def modules_behind(roots: tuple[str, ...]) -> set[str]:
    """All modules of this package that ``roots`` import, directly or not; ``roots`` among them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in found or _file(module) is None:
            continue
        found.add(module)
        waiting += imported(module)
    return found


@cache
def imported(module: str) -> tuple[str, ...]:
    """Modules of this package that a module imports, anywhere in it."""
    file = _file(module)
    assert file is not None, module
    names = set(_names(ast.parse(file.read_text(encoding="utf-8"))))
    kept = (name for name in names if not any((source, name) in APART for source in (module, "*")))
    return tuple(sorted(kept))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "hwsim")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hwsim":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file(inner) is not None else node.module


@cache
def _file(module: str) -> Path | None:
    place = PACKAGE.joinpath(*module.split(".")[1:])
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _files(target: Target) -> set[Path]:
    """Sources, and the YAML files that stand beside them and are named in them."""
    roots = [getattr(target.run, "func", target.run).__module__]
    if target.architecture:
        roots.append(f"hwsim.machines.{_architecture(target.architecture)[0]}.run")
    sources = {file for module in modules_behind(tuple(roots)) if (file := _file(module)) is not None}
    return sources | {file for source in sources for file in _beside(source)}


@cache
def _beside(source: Path) -> tuple[Path, ...]:
    text = source.read_text(encoding="utf-8")
    return tuple(file for file in source.parent.glob("*.yaml") if file.stem in text)


def _inputs(target: Target) -> list[Path]:
    """Files of the target's architecture (without its bases) and workloads; these by name, or below the shipped folder
    ('seeds/sequences_rs_s1')."""
    from hwsim import workload as workloads

    def file_of(name: str) -> Path:
        below = folder("workloads") / f"{name}.npz"
        return below if below.is_file() else workloads.find(name)

    files = list(_architecture(target.architecture)[1]) if target.architecture else []
    return files + [file_of(name) for name in target.workload.split(" and ") if name]


@cache
def _architecture(name: str) -> tuple[str, tuple[Path, ...]]:
    """(family, files)."""
    from hwsim.components.registry import load

    made = load(name)
    return made.family, made.files


@cache
def _content(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()
