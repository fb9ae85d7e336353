"""The component classes and families of machines that hwsim knows, and how to add more.

    @component("sram", families=("systolic",))
    class Sram:
        class Parameters(registry.Parameters):
            capacity: Bits

        actions = {"read": Action("a line read", granule="line"), "write": ...}

Other packages register theirs by an entry point of the group ``hwsim.components`` that names a module; it is imported
when a catalogue is first asked for, never by ``--help``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from hwsim import architecture
from hwsim.architecture import Architecture
from hwsim.architecture.declarations import Action, Catalogue, ComponentClass, Family
from hwsim.errors import Problem, SpecError
from hwsim.yamlfile.parameters import Bandwidth, Bits, Count, Parameters, Seconds, Unit, Width

__all__ = [
    "Action", "Bandwidth", "Bits", "Count", "Family", "Parameters", "Seconds", "Unit", "Width",
    "catalogue", "component", "family", "load",
]  # fmt: skip

GROUP = "hwsim.components"
SHIPPED = (
    "hwsim.components.memory",
    "hwsim.components.systolic",
    "hwsim.components.entropy",
    "hwsim.components.crossbar",
    "hwsim.components.mesh",
    "hwsim.components.neuromorphic",
    "hwsim.components.vc_router",
)
"""Modules that register what hwsim ships."""

_components: dict[str, ComponentClass] = {}
_families: dict[str, Family] = {}
Class = TypeVar("Class", bound=type)


def component(name: str, *, families: tuple[str, ...], physical: bool = True) -> Callable[[Class], Class]:
    """Class decorator: ``class: name`` in an architecture means this class.

    The class has ``Parameters`` (a model of ``hwsim.yamlfile.parameters``), ``actions`` (name -> Action) and perhaps
    ``storages``.
    """

    def register(implementation: Class) -> Class:
        if name in _components and _components[name].implementation is not implementation:
            raise SpecError(
                Problem(
                    f"component '{name}'",
                    "is registered twice: by "
                    f"{_components[name].implementation.__module__} and {implementation.__module__}",
                )
            )
        model = implementation.Parameters  # type: ignore[attr-defined]
        reserved = set(model.model_fields) & set(architecture.COMPONENT_KEYS)
        assert not reserved, f"{name}: parameters may not be called {reserved}"
        storages = tuple(getattr(implementation, "storages", ()))
        actions = dict(implementation.actions)  # type: ignore[attr-defined]
        _components[name] = ComponentClass(name, implementation, model, actions, families, storages, physical)
        return implementation

    return register


def family(declared: Family) -> Family:
    """Make a family of machines known."""
    assert declared.name not in _families or _families[declared.name] == declared, declared.name
    _families[declared.name] = declared
    return declared


@functools.cache
def catalogue() -> Catalogue:
    """All known classes and families; imports the shipped modules and the plug-ins."""
    for module in SHIPPED:
        importlib.import_module(module)
    _import_plugins()
    return Catalogue(dict(sorted(_components.items())), dict(sorted(_families.items())))


def load(path: str | Path, overrides: Iterable[str] = ()) -> Architecture:
    """The architecture of a file or shipped name, checked against all known classes. Raises ``SpecError``."""
    return architecture.load(path, overrides, catalogue=catalogue())


def _import_plugins() -> None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            # whatever a plug-in raises while it is imported is its fault, and the user must learn whose
            reason = f"{type(error).__name__}: {error}"
            raise SpecError(
                Problem(f"plug-in '{entry.name}' ({entry.value})", f"cannot be imported: {reason}")
            ) from error
