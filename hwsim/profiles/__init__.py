"""Accounting of published tools, each with its own price file: for comparisons, never the default.

``get(name).run(layers, ...)`` gives a ``ProfileResult``. Code counts; the numbers stand in the YAML files beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hwsim.errors import SpecError, did_you_mean
from hwsim.profiles.result import LayerResult, ProfileResult, ProfileRow
from hwsim.profiles.shapes import LayerShape, conv, linear

__all__ = ["LayerResult", "LayerShape", "Profile", "ProfileResult", "ProfileRow", "conv", "get", "linear", "names"]


class Profile(Protocol):
    """One tool's accounting."""

    name: str
    dataflows: tuple[str, ...]

    def run(self, layers: Sequence[Any], **options: Any) -> ProfileResult:
        """Counters and energies; options: timesteps, sparsity or densities, rows, columns, dataflow, padding."""
        ...


def names() -> tuple[str, ...]:
    """All profiles."""
    return ("sata-2023", "sata-2024", "scalesim")


def get(name: str) -> Profile:
    """The profile called ``name``; SpecError with the nearest name otherwise."""
    if name not in names():
        raise SpecError(f"unknown profile '{name}'; {did_you_mean(name, names(), 'Profiles')}")
    from hwsim.profiles import sata, scalesim  # lazy: numba

    profile: Any = scalesim.ScaleSim() if name == "scalesim" else sata.Sata(name)
    return profile
