"""``hwsim doctor``: what this installation has, and what keeps it from working."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import hwsim
from hwsim import __version__, shipped, workload

OPTIONAL = {
    "matplotlib": "pictures", "torch": "training recipes", "scikit-learn": "training recipes", "pytest": "tests",
    "hypothesis": "tests",
}  # fmt: skip


PACKAGE = Path(hwsim.__file__).resolve().parent


@dataclass(frozen=True)
class Finding:
    """One line: is it good, what was looked at, what was found."""

    good: bool
    subject: str
    text: str


def examine() -> list[Finding]:
    """Everything that was looked at, in the order in which it is to be read."""
    return [*_platform(), *_requirements(), *_extras(), _numba_cache(), _working_folder(), *_shipped()]


def _platform() -> Iterator[Finding]:
    yield Finding(True, "hwsim", f"{__version__} in {PACKAGE}")
    good = sys.version_info >= (3, 11)
    yield Finding(good, "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(True, "processors", str(os.cpu_count()))


def _requirements() -> Iterator[Finding]:
    """The installed distribution's own requirements; of a bare checkout that is not installed, none are known."""
    try:
        lines = metadata.requires("hwsim") or []
    except metadata.PackageNotFoundError:
        yield Finding(True, "installation", "not installed: running from a checkout")
        return
    for line in lines:
        if "extra ==" not in line:
            name = "".join(
                character if character.isalnum() or character in "-_." else " " for character in line
            ).split()[0]
            version = _version(name)
            yield Finding(version is not None, name, version or f"missing; needed: {line}")


def _extras() -> Iterator[Finding]:
    for name, purpose in OPTIONAL.items():
        yield Finding(True, name, _version(name) or f"not installed; only {purpose} need it")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numba_cache() -> Finding:
    """Compiled kernels are kept beside the code, or, where that cannot be written, in a folder of the user."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    candidates = [Path(chosen)] if chosen else [PACKAGE / "kernels", _user_cache()]
    for folder in candidates:
        if _writable(folder):
            return Finding(True, "kernel cache", str(folder))
    return Finding(False, "kernel cache", f"cannot be written: {', '.join(map(str, candidates))}; set NUMBA_CACHE_DIR")


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _writable(folder: Path) -> bool:
    """Whether a file can be made there, or in the nearest folder above that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _working_folder() -> Finding:
    here = Path.cwd()
    good = _writable(here)
    return Finding(good, "current folder", str(here) if good else f"{here} cannot be written: give --out DIR")


def _shipped() -> Iterator[Finding]:
    found = {"arch": list(shipped.architectures()), "workloads": workload.shipped()}
    for kind, word in (("arch", "architectures"), ("workloads", "workloads")):
        names = found[kind]
        text = ", ".join(names) if len(names) <= 8 else f"{len(names)} ('hwsim list {word}')"
        yield Finding(bool(names), word, text or f"none in {shipped.folder(kind)}")
