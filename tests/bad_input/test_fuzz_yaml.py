"""Whatever is in the file: an architecture, or a SpecError with places; nothing else, and no endless run."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hwsim import units
from hwsim.components import registry
from hwsim.errors import SpecError
from hwsim.yamlfile import nodes as yamlnodes

TOY = (Path(__file__).parent / "toy.yaml").read_text(encoding="utf-8")
WORDS = sorted(set(re.findall(r"[^\s,{}\[\]]+", TOY)))
ODD = [
    "", "0", "-1", "1e999", "null", "true", "~", "{}", "[]", "[[", "}", ": ", "\t", "&a", "*a", "!!int", "|", ">", "'",
    '"', "%", "10 %", "x2", "x0", "unlimited", "unknown", "not modelled", "assumed", "1 J", "1 bit", "0 bit", "-", "?",
    "1e99 bit", "<<: {}", "\x00", "\ud800", "\u2028", "é", "---", "...", "#", "0x1F", "1_0", ".nan", "9" * 20,
]  # fmt: skip
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(path: Path, overrides: list[str] | None = None) -> None:
    """Load; a refusal must have messages, and each must be one that can be printed."""
    try:
        registry.load(path, overrides or [])
    except SpecError as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)


@given(st.text(max_size=200))
@example("a: [1, 2")
@example("? [a]\n: b")
@example("a: &x [*x]")
@settings(deadline=None)
def test_random_text(text: str) -> None:
    try:
        assert yamlnodes.read_text(text, "f.yaml").is_mapping
    except SpecError as error:
        assert str(error).startswith("f.yaml")


@given(data=st.binary(max_size=200))
@SLOW
def test_random_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(data)
    with contextlib.suppress(SpecError):
        yamlnodes.read(path)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The valid file with up to four words replaced, lines dropped, doubled or moved, or characters cut out."""
    text = TOY
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["word", "drop", "double", "move", "cut", "indent"]))
        if kind == "word":
            spots = [match.span() for match in re.finditer(r"[^\s,{}\[\]]+", text)]
            start, end = draw(st.sampled_from(spots)) if spots else (0, 0)
            text = text[:start] + draw(st.sampled_from(ODD + WORDS)) + text[end:]
            continue
        lines = text.split("\n")
        index = draw(st.integers(0, len(lines) - 1))
        if kind == "drop":
            del lines[index]
        elif kind == "double":
            lines.insert(index, lines[index])
        elif kind == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(index))
        elif kind == "indent":
            lines[index] = draw(st.sampled_from([" ", "  ", "\t", "- "])) + lines[index]
        text = "\n".join(lines)
        if kind == "cut":
            start = draw(st.integers(0, len(text)))
            text = text[:start] + text[start + draw(st.integers(1, 30)) :]
    return text


@given(text=mutated())
@SLOW
def test_a_damaged_architecture(text: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome(path)


PATHS = [node.path for node in yamlnodes.read_text(TOY, "toy.yaml").walk() if node.path]


@given(
    path=st.one_of(st.sampled_from(PATHS), st.text(max_size=20)),
    value=st.one_of(st.sampled_from(ODD + WORDS), st.text(max_size=20)),
)
@SLOW
def test_any_override(path: str, value: str, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(TOY, encoding="utf-8")
    outcome(file, [f"{path}={value}"])


@given(st.text(max_size=40), st.sampled_from(["J", "m^2", "bit", "bit/s", "1", "Hz"]))
@example("1e99 J^4*J^4*J^4*J^4", "J")
@example("1" * 80 + " J", "J")
@settings(deadline=None)
def test_any_quantity(text: str, unit: str) -> None:
    try:
        assert isinstance(units.parse(text, unit), float)
    except SpecError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize("count", [10, 30])
def test_nested_aliases_are_refused_without_expanding_them(count: int) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, count)]
    with pytest.raises(SpecError, match="anchor '&a0' is not read"):
        yamlnodes.read_text("\n".join(lines), "bomb.yaml")
