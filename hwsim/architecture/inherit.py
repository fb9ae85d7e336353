"""From files to one tree of nodes: ``base:`` inheritance, ``remove:``, and ``--set PATH=VALUE``.

A file that names a base is laid over it: mappings merge key by key, everything else replaces. A component whose
``class`` changes replaces the inherited one whole, and so do a stated ``value`` and built ``parts`` each other. Nodes
keep the file they came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hwsim import shipped
from hwsim.errors import Problem, SpecError, did_you_mean, nearest
from hwsim.yamlfile import nodes as yamlnodes
from hwsim.yamlfile.nodes import Node, Problems

SCHEMA = "hwsim/arch/1"
TOP_KEYS = (
    "schema", "name", "base", "remove", "description", "family", "technology", "dataflow", "components", "paths", "noc",
    "mapping", "options", "sources", "library",
)  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """The merged root, the files it was made of (the given one first), and each file's default sources.

    default_sources   (file, component) -> the node of that component's own ``source`` key in that file
    ranks             file name in nodes -> 0 for the given file, higher for its bases
    """

    root: Node
    files: tuple[Path, ...]
    default_sources: dict[tuple[str, str], Node]
    ranks: dict[str, int]


def read_tree(path: str | Path, overrides: Iterable[str], problems: Problems) -> Tree:
    """The tree of an architecture file or shipped name with overrides applied.

    Raises ``SpecError`` where a file cannot be read; notes what else is wrong in ``problems``.
    """
    layers: list[Node] = []
    files: list[Path] = []
    found = shipped.find_architecture(path)
    while True:
        root = yamlnodes.read(_shown(found))
        _check_schema(root)
        layers.append(root)
        files.append(found)
        base = root.value.get("base")
        if base is None:
            break
        found = _find_base(base, found, files)
    tree = layers[-1]
    for layer in reversed(layers[:-1]):
        _check_sources(tree, layer, problems)
        tree = _merge(_remove(tree, layer, problems), layer)
    tree = _override(tree, overrides, problems)
    ranks = {layer.file: rank for rank, layer in enumerate(layers)}
    return Tree(tree, tuple(files), _default_sources(layers), ranks)


def find(root: Node, path: str) -> Node | None:
    """The node at a dotted path, or None."""
    node = root
    for key in path.split("."):
        if not isinstance(node.value, dict) or key not in node.value:
            return None
        node = node.value[key]
    return node


def _shown(path: Path) -> str:
    """The path as messages show it: relative where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.startswith("..") else relative


def _check_schema(root: Node) -> None:
    schema = root.value.get("schema")
    if schema is None:
        raise SpecError(Problem(root.where, f"missing key 'schema', expected 'schema: {SCHEMA}' as first line"))
    if schema.value != SCHEMA:
        raise SpecError(Problem(schema.where, f"expected the schema '{SCHEMA}', found {schema.found}"))


def _find_base(base: Node, file: Path, files: list[Path]) -> Path:
    if not isinstance(base.value, str):
        raise SpecError(Problem(base.where, f"expected the name of an architecture file, found {base.found}"))
    beside = file.parent / base.value
    known = shipped.architectures()
    found = beside if beside.is_file() else known.get(base.value.removesuffix(".yaml"))
    if found is None:
        others = [path.stem for path in sorted(file.parent.glob("*.yaml")) if path != file]
        close = nearest(base.value.removesuffix(".yaml"), [*others, *known])
        raise SpecError(
            Problem(base.where, f"base {base.found} is not found", f"did you mean '{close}'?" if close else "")
        )
    if any(found.resolve() == other.resolve() for other in files):
        chain = " -> ".join(path.name for path in [*files, found])
        raise SpecError(Problem(base.where, f"base {base.found} closes a circle: {chain}"))
    return found


def _check_sources(tree: Node, layer: Node, problems: Problems) -> None:
    """A source identifier means one thing: what inherits may add sources, not redefine them."""
    mine, theirs = find(layer, "sources"), find(tree, "sources")
    if mine is None or theirs is None or not mine.is_mapping or not theirs.is_mapping:
        return
    for key, node in mine.value.items():
        if key in theirs.value:
            problems.add_key(node, f"source '{key}' is already defined in {theirs.value[key].key_where}")


def _remove(tree: Node, layer: Node, problems: Problems) -> Node:
    """The tree without the paths that ``remove:`` of the inheriting file lists."""
    listed = layer.value.get("remove")
    if listed is None:
        return tree
    if not isinstance(listed.value, list):
        problems.add(listed, f"expected a list of dotted paths, found {listed.found}")
        return tree
    for item in listed.value:
        path = item.value if isinstance(item.value, str) else ""
        if find(tree, path) is None:
            known = [node.path for node in tree.walk() if node.path]
            close = nearest(path, known)
            hint = f"did you mean '{close}'?" if close else ""
            problems.add(item, f"nothing to remove: the base has no {item.found}", hint)
        else:
            tree = _without(tree, path.split("."))
    return tree


def _without(node: Node, keys: list[str]) -> Node:
    entries = dict(node.value)
    if len(keys) == 1:
        del entries[keys[0]]
    else:
        entries[keys[0]] = _without(entries[keys[0]], keys[1:])
    return replace(node, value=entries)


def _merge(base: Node, layer: Node) -> Node:
    """``layer`` over ``base``."""
    if not isinstance(base.value, dict) or not isinstance(layer.value, dict):
        return layer
    old, new = base.value.get("class"), layer.value.get("class")
    if old is not None and new is not None and old.value != new.value:
        return layer
    if ("value" in layer.value and "parts" in base.value) or ("parts" in layer.value and "value" in base.value):
        return layer
    entries = dict(base.value)
    for key, node in layer.value.items():
        entries[key] = _merge(entries[key], node) if key in entries else node
    return replace(layer, value=entries)


def _default_sources(layers: list[Node]) -> dict[tuple[str, str], Node]:
    found = {}
    for layer in layers:
        for place in ("components", "technology"):
            block = layer.value.get(place)
            if block is None or not isinstance(block.value, dict):
                continue
            owners = block.value.items() if place == "components" else [("technology", block)]
            for name, node in owners:
                if isinstance(node.value, dict) and "source" in node.value:
                    found[node.file, name] = node.value["source"]
    return found


def _override(tree: Node, overrides: Iterable[str], problems: Problems) -> Node:
    seen: set[str] = set()
    for text in overrides:
        path, equals, value = text.partition("=")
        origin = f"--set {text}"
        full = _full_path(tree, path.strip(), origin, problems) if equals else None
        if not equals:
            problems.add(origin, "expected PATH=VALUE, such as 'array.rows=12'")
        elif full in seen:
            problems.add(origin, f"'{path.strip()}' is set twice")
        elif full is not None:
            seen.add(full)
            try:
                tree = _set(tree, full.split("."), yamlnodes.read_value(value, origin, full), origin)
            except SpecError as error:
                problems.found += [Problem(origin, problem.message, problem.hint) for problem in error.problems]
    return tree


def _full_path(tree: Node, path: str, origin: str, problems: Problems) -> str | None:
    """The path from the root; ``components.`` is optional. A problem and None if its beginning names nothing."""
    components = find(tree, "components")
    names = list(components.value) if components is not None and components.is_mapping else []
    keys = path.split(".")
    if keys[0] in names and keys[0] not in TOP_KEYS:
        keys = ["components", *keys]
    known = [*TOP_KEYS, *names] if keys[0] != "components" else [f"components.{name}" for name in names]
    start = keys[0] if keys[0] != "components" else ".".join(keys[:2])
    if path in ("schema", "base", "remove"):
        problems.add(origin, f"'{path}' can only be given in a file")
        return None
    if path == "components":
        problems.add(origin, "'components' cannot be set as a whole", f"Components here: {', '.join(names)}.")
        return None
    if start not in known or "" in keys:
        settable = [node.path.removeprefix("components.") for node in tree.walk() if node.path and not node.is_list]
        close = nearest(path.removeprefix("components."), settable)
        hint = f"did you mean '{close}'?" if close else did_you_mean(start, known, "Paths begin with")
        problems.add(origin, f"unknown path '{path}'", hint)
        return None
    return ".".join(keys)


def _set(node: Node, keys: list[str], value: Node, origin: str) -> Node:
    if not keys:
        # the new value stands for itself, also in place of {value, source, error}: its source is the override
        return value
    if node.value is None:
        node = replace(node, value={}, file=origin)
    if not isinstance(node.value, dict):
        parent, rest = node.path or "the file", ".".join(keys)
        raise SpecError(Problem(origin, f"{parent} is {node.found} and has no '{rest}'", f"Set {parent} as a whole."))
    entries = dict(node.value)
    child = entries.get(keys[0])
    if child is None:
        child = Node({} if len(keys) > 1 else None, origin, path=f"{node.path}.{keys[0]}" if node.path else keys[0])
    entries[keys[0]] = _set(child, keys[1:], value, origin)
    return replace(node, value=entries)
