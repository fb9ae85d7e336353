"""An architecture: a YAML file with its bases and overrides, checked as a whole, as typed values with their sources.

All problems of a file are reported at once. What is checked against component classes and families comes in as a
``Catalogue``; ``hwsim.components.registry.load`` brings the one of all known classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.architecture import assembly, inherit
from hwsim.architecture.assembly import COMPONENT_KEYS, ComponentSpec, Technology
from hwsim.architecture.declarations import Catalogue, Family
from hwsim.architecture.inherit import TOP_KEYS
from hwsim.architecture.library import Library, read_library
from hwsim.architecture.pricing import Context, Price, read_error, source_name
from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.units import Quantity
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.parameters import read_model
from hwsim.yamlfile.values import check_keys, choice, mapping, string

__all__ = ["COMPONENT_KEYS", "Architecture", "ComponentSpec", "Price", "Quantity", "Technology", "load"]

_REQUIRED = ("schema", "name", "family", "technology", "dataflow", "components", "paths", "sources")


@dataclass(frozen=True)
class Architecture:
    """A checked architecture.

    dataflow     the name as given, or 'stationary;time' of an explicit one
    schedule     the dataflow as a plain dict of the family's model: stationary, time, block for systolic machines
    components   name -> ComponentSpec, in the order of the file
    paths        operand -> places that store it, outermost first
    options      the family's options with their defaults
    sources      identifier -> full citation
    overrides    the ``--set`` texts applied
    sha256       hash of the merged content, overrides included, places and files not
    """

    name: str
    family: str
    description: str
    technology: Technology
    dataflow: str
    schedule: Mapping[str, Any]
    components: Mapping[str, ComponentSpec]
    paths: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Any]
    sources: Mapping[str, str]
    mapping: Mapping[str, Any]
    noc: Mapping[str, Any]
    overrides: tuple[str, ...]
    files: tuple[Path, ...]
    sha256: str
    root: Node = field(repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The file that was asked for."""
        return self.files[0]

    def where(self, path: str) -> str:
        """``file:line:column`` of a dotted path, or of the nearest thing above it that exists."""
        node = self.root
        for key in path.split("."):
            if not node.is_mapping or key not in node.value:
                break
            node = node.value[key]
        return node.where

    def problem(self, path: str, message: str, hint: str = "") -> Problem:
        """A problem placed at a dotted path, for checks made later."""
        return Problem(self.where(path), message, hint)

    def component(self, name: str) -> ComponentSpec:
        """A component that the machine needs. Raises ``SpecError`` where the architecture has none of that name."""
        if name not in self.components:
            hint = did_you_mean(name, self.components, "Components here")
            raise SpecError(self.problem("components", f"component '{name}' is missing", hint))
        return self.components[name]

    def price(self, component: str, action: str) -> Price:
        """The price of an action. Raises ``SpecError`` where it has none."""
        actions = self.component(component).actions
        if action not in actions:
            place = f"components.{component}.actions"
            raise SpecError(self.problem(place, f"action '{action}' of {component} is counted but has no price"))
        return actions[action]

    def quantities(self) -> Iterator[tuple[str, Quantity]]:
        """Every number with a source: (dotted path, quantity), in the order of the file."""
        for key, quantity in self.technology.quantities.items():
            yield f"technology.{key}", quantity
        for name, part in self.components.items():
            for key, quantity in part.quantities.items():
                yield f"components.{name}.{key}", quantity
            for key, price in part.actions.items():
                yield f"components.{name}.actions.{key}", price.quantity
            yield f"components.{name}.area", part.area
            yield f"components.{name}.leakage", part.leakage

    @property
    def assumed(self) -> tuple[str, ...]:
        """Paths of the numbers that are guesses."""
        return tuple(path for path, quantity in self.quantities() if quantity.source.startswith("assumed:"))


def load(path: str | Path, overrides: Iterable[str] = (), *, catalogue: Catalogue) -> Architecture:
    """Read, merge, override and check an architecture file or shipped name.

    Raises ``SpecError`` with every problem found.
    """
    overrides = tuple(overrides)
    problems = Problems()
    tree = inherit.read_tree(path, overrides, problems)
    made = _Reader(tree, catalogue, problems).read(overrides)
    if made is not None and not problems.found:
        family = catalogue.families[made.family]
        if family.check is not None:
            family.check(made, lambda place, message, hint: problems.found.append(made.problem(place, message, hint)))
    problems.raise_any()
    assert made is not None
    return made


class _Reader:
    """Reads the merged tree block by block, noting problems as it goes."""

    def __init__(self, tree: inherit.Tree, catalogue: Catalogue, problems: Problems) -> None:
        self.tree = tree
        self.catalogue = catalogue
        self.problems = problems
        self.entries = check_keys(tree.root, problems, TOP_KEYS, _REQUIRED)

    def read(self, overrides: tuple[str, ...]) -> Architecture | None:
        """The architecture; None where a block is missing altogether."""
        sources = self._sources()
        library = self._library(sources)
        context = Context(self.problems, sources, library, self.tree.default_sources, self.tree.ranks)
        family = self._family()
        technology = assembly.read_technology(self.entries.get("technology"), context)
        components = assembly.read_components(self.entries.get("components"), family, self.catalogue, context)
        options = self._model("options", family.options if family else None)
        dataflow, schedule = self._dataflow(family)
        paths = self._paths(family)
        if family is not None:
            known = assembly.whole_numbers(self.entries.get("components"), components, family, options, self.catalogue)
            assembly.read_counts(self.entries.get("components"), components, known, self.problems)
        if technology is None or family is None or any(key not in self.entries for key in _REQUIRED):
            return None
        return Architecture(
            name=string(self.entries["name"], self.problems, "a name"),
            family=family.name,
            description=self._description(),
            technology=technology,
            dataflow=dataflow,
            schedule=schedule,
            components=components,
            paths=paths,
            options=options or {},
            sources=sources or {},
            mapping=self._block("mapping", family),
            noc=self._block("noc", family),
            overrides=overrides,
            files=self.tree.files,
            sha256=_hash(self.tree.root),
            root=self.tree.root,
        )

    def _description(self) -> str:
        node = self.entries.get("description")
        return string(node, self.problems) if node is not None else ""

    def _block(self, key: str, family: Family) -> dict[str, Any]:
        """A block that only some families have; refused, and not ignored, where it would do nothing."""
        if key in self.entries and key not in family.blocks:
            self.problems.add_key(self.entries[key], f"machines of family '{family.name}' have no block '{key}'")
        return self._model(key, family.blocks.get(key)) or {}

    def _sources(self) -> dict[str, str] | None:
        node = self.entries.get("sources")
        if node is None:
            return None
        found = {}
        for key, child in mapping(node, self.problems, "a mapping 'name: citation'").items():
            found[key] = string(child, self.problems, "a citation")
            if key in ("assumed", "library") or ":" in key:
                self.problems.add_key(child, f"'{key}' cannot be the name of a source")
        return found

    def _library(self, sources: dict[str, str] | None) -> Library:
        context = Context(self.problems, sources, Library())
        return read_library(
            self.entries.get("library"), self.problems, read_error, lambda node, path: source_name(node, path, context)
        )

    def _family(self) -> Family | None:
        node = self.entries.get("family")
        if node is None:
            return None
        name = choice(node, self.problems, self.catalogue.families, "family")
        return self.catalogue.families.get(name)

    def _model(self, key: str, model: Any) -> dict[str, Any] | None:
        if model is None:
            return None
        node = self.entries.get(key)
        place = node if node is not None else Node({}, self.tree.root.file, path=key)
        made = read_model(model, mapping(place, self.problems), place, self.problems)
        return made.model_dump() if made is not None else None

    def _dataflow(self, family: Family | None) -> tuple[str, Mapping[str, Any]]:
        node = self.entries.get("dataflow")
        if node is None or family is None:
            return "", {}
        if not node.is_mapping:
            name = choice(node, self.problems, family.dataflows, "dataflow")
            return name, family.dataflows.get(name, {})
        made = read_model(family.dataflow, node.value, node, self.problems)
        plain = made.model_dump() if made is not None else {}
        named = next((name for name, schedule in family.dataflows.items() if schedule == plain), None)
        return named or ";".join(str(value) for value in plain.values() if value is not None), plain

    def _paths(self, family: Family | None) -> dict[str, tuple[str, ...]]:
        node = self.entries.get("paths")
        if node is None or family is None:
            return {}
        places = []
        for name, declared in assembly.declared_classes(self.entries.get("components"), self.catalogue).items():
            places += [name, *(declared.storages if declared else ())]
        found = {}
        for operand, child in check_keys(node, self.problems, family.operands, family.operands).items():
            if not child.is_list or not child.value:
                self.problems.add(child, f"expected a list of places, outermost first, found {child.found}")
                continue
            for item in child.value:
                if places and item.value not in places:
                    hint = did_you_mean(item.text, places, "Places here")
                    self.problems.add(item, f"paths.{operand} names {item.found}, which is no component", hint)
            found[operand] = tuple(str(item.value) for item in child.value)
        return found


def _hash(root: Node) -> str:
    plain = {key: value for key, value in root.plain().items() if key not in ("base", "remove")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
