"""Accounting of published tools, each with its own price file: for comparisons, never the default.

``get(name).run(layers, ...)`` gives a ``ProfileResult``. Code counts; the numbers stand in the YAML files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hwsim.errors import SpecError, did_you_mean
from hwsim.profiles.result import LayerResult, ProfileResult, ProfileRow
from hwsim.profiles.shapes import LayerShape, conv, linear

__all__ = ["LayerResult", "LayerShape", "Profile", "ProfileResult", "ProfileRow", "conv", "get", "linear", "names"]


class Profile(Protocol):
    """One tool's accounting.

    reads    what it takes from an architecture: dotted path -> option of ``run``
    options  what else a user may choose, by ``--set profile.NAME=VALUE``: option of ``run`` -> what it takes
    wants    what it takes from a workload: 'densities' of inputs, 'pooled_sizes' of outputs after pooling, the
             'network' itself (with it the options ``images`` and ``seed``)
    """

    name: str
    dataflows: tuple[str, ...]
    reads: Mapping[str, str]
    options: Mapping[str, str]
    wants: frozenset[str]

    def run(self, layers: Sequence[Any], **options: Any) -> ProfileResult:
        """Counters and energies; options: dataflow, timesteps, and those of ``reads``, ``options`` and ``wants``."""
        ...


def names() -> tuple[str, ...]:
    """All profiles."""
    return ("sata-2023", "sata-2024", "scalesim", "spikesim-ela", "islped-2022")


def get(name: str) -> Profile:
    """The profile called ``name``; SpecError with the nearest name otherwise."""
    if name not in names():
        raise SpecError(f"unknown profile '{name}'; {did_you_mean(name, names(), 'Profiles')}")
    from hwsim.profiles import islped, sata, scalesim, spikesim  # lazy: numba

    others = {"scalesim": scalesim.ScaleSim, "spikesim-ela": spikesim.SpikeSimEla, "islped-2022": islped.Islped}
    profile: Any = others[name]() if name in others else sata.Sata(name)
    return profile
