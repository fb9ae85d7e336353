"""The architectures and workloads that come with hwsim, by name; the same from a checkout and from an installed wheel.

In a wheel ``arch/`` and ``workloads/`` lie inside this package (``package_dir`` in setup.cfg); in a checkout they are
the folders beside ``hwsim/``.
"""

from __future__ import annotations

from pathlib import Path

from hwsim.errors import Problem, SpecError, did_you_mean

KINDS = ("arch", "workloads")


def folder(kind: str) -> Path:
    """The folder of shipped files of one kind: ``arch`` or ``workloads``. It is absent in a broken installation."""
    assert kind in KINDS, kind
    here = Path(__file__).resolve().parent
    checkout = here.parent.parent
    return checkout / kind if (checkout / "setup.cfg").is_file() else here / kind


def architectures() -> dict[str, Path]:
    """Names of the shipped architectures -> files, sorted. (Names of workloads: ``hwsim.workload.shipped``.)"""
    return {path.stem: path for path in sorted(folder("arch").glob("*.yaml"))}


def find_architecture(name: str | Path) -> Path:
    """The file of a path or of a shipped architecture's name; a file that exists wins over a name.

    Raises SpecError naming the nearest shipped name where there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = architectures()
    if str(name) in known:
        return known[str(name)]
    if path.is_dir():
        raise SpecError(Problem(str(name), "is a folder, not the file of an architecture"))
    hint = did_you_mean(path.name.split(".")[0], known, "Shipped architectures")
    raise SpecError(Problem(str(name), "no such file, and no shipped architecture of that name", hint))
