"""The house rules that can be read off the source: imports point down, modules stay short, only cli.py prints."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "hwsim").rglob("*.py"))
LINE_LIMIT = 400
FUNCTION_LIMIT = 60

RANKS = {
    "errors": 0, "__init__": 0, "py.typed": 0,
    "units": 1, "rng": 1, "grid": 1, "yamlfile": 1, "shipped": 1, "jit": 1,
    "workload": 2, "activity": 2, "architecture": 2,
    "network": 3, "physics": 3, "cost": 3, "result": 3, "checkpoint": 3,
    "components": 4, "kernels": 4,
    "machines": 5, "profiles": 5,
    "run": 6, "sensitivity": 6,
    "comparison": 7, "crossbar": 7, "neuromorphic": 7, "reproduce": 7, "report": 7, "tools": 7, "testing": 7,
    "cli": 8, "__main__": 9,
}  # fmt: skip
"""Every module or package directly under hwsim/. Imports point to the same rank or down."""


def part_of(path: Path) -> str:
    """The module or package directly under hwsim/ that a file belongs to."""
    return path.relative_to(ROOT / "hwsim").parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Parts of hwsim that a module imports, anywhere in it, except for type checkers only."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} if node.module != "hwsim" else {f"hwsim.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("hwsim.")} & set(RANKS)


def is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_every_part_has_a_rank():
    assert {part_of(path) for path in MODULES} <= set(RANKS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    part = part_of(path)
    upward = {name for name in imported(tree) if RANKS[name] > RANKS[part] and part != "__init__"}
    assert not upward, f"imports {upward} above rank {RANKS[part]}"
    assert text.count("\n") <= LINE_LIMIT
    assert ast.get_docstring(tree) or not text.strip(), "no module docstring"
    if path.name != "cli.py":
        assert not any(is_call_of(node, "print") for node in ast.walk(tree)), "prints"
    assert not re.search(
        r"import (c?pickle|dill|shelve|marshal)\b|allow_pickle\s*=\s*True|yaml\.(unsafe_)?load\(", text
    )
    assert not re.search(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError|https?://", text)


def functions(tree: ast.AST):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(tree)}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LIMIT} == {}


def test_no_pickle_is_loaded_by_numpy():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                settings = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert settings.get("allow_pickle") == "False", f"{path.name}:{node.lineno}"


def test_layout_test_sees_an_upward_import():
    tree = ast.parse("from hwsim.errors import SpecError\ndef f():\n    from hwsim import cli\n    import hwsim.run\n")
    assert imported(tree) == {"errors", "cli", "run"}
    guarded = ast.parse("if TYPE_CHECKING:\n    from hwsim.run import simulate\n")
    assert imported(guarded) == set()


def test_the_wheel_lists_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    folders = {path.parent for path in MODULES}
    present = {".".join(path.relative_to(ROOT).parts) for path in folders}
    assert listed == present | {"hwsim.shipped.arch", "hwsim.shipped.workloads"}


def test_setup_cfg_alone_owns_the_metadata():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "project" not in project
