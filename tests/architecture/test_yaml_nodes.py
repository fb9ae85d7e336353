"""Nodes know their place; plain scalars mean what people mean; files that are no YAML say why and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import SpecError
from hwsim.yamlfile import nodes as yamlnodes
from hwsim.yamlfile import values as yamlvalues
from hwsim.yamlfile.nodes import Problems


def refused(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        yamlnodes.read_text(text, "f.yaml")
    return str(caught.value)


def test_every_node_has_its_place_and_path() -> None:
    root = yamlnodes.read_text("a: 1\nb:\n  - {c: x}\n  - 'y'\n", "f.yaml")
    places = {node.path: (node.line, node.column, node.key_line, node.key_column) for node in root.walk()}
    assert places == {
        "": (1, 1, 0, 0),
        "a": (1, 4, 1, 1),
        "b": (3, 3, 2, 1),
        "b[0]": (3, 5, 0, 0),
        "b[0].c": (3, 9, 3, 6),
        "b[1]": (4, 5, 0, 0),
    }
    assert root.value["b"].where == "f.yaml:3:3"
    assert root.value["b"].key_where == "f.yaml:2:1"
    assert root.plain() == {"a": 1, "b": [{"c": "x"}, "y"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-9", 1e-9), ("1e3", 1000.0), (".5", 0.5), ("-3", -3), ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("true", True), ("True", "True"), ("null", None), ("~", None),
        ("", None),
        ("'true'", "true"), ('"1"', "1"), ("1.2.3", "1.2.3"), ("28.63 pJ", "28.63 pJ"),
        ("9223372036854775", 9223372036854775),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    read = yamlnodes.read_text(f"a: {text}", "f.yaml").value["a"].value
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["010", "08", "0o17", "0x1F", "0b1", "1_000", ".inf", "-.INF", ".nan"])
def test_numbers_that_readers_disagree_about_are_refused(text: str) -> None:
    assert f"f.yaml:1:4: expected a decimal number, found '{text}'" in refused(f"a: {text}")


def test_all_structural_problems_of_a_file_are_reported_in_its_order() -> None:
    lines = refused("a: &x 1\na: 010\nb: !tag 2\n").split("\n")
    assert [line for line in lines if line.startswith("f.yaml")] == [
        "f.yaml:1:4: anchor '&x' is not read: write the value out, or inherit with 'base:'",
        "f.yaml:2:1: key 'a' stands twice (first in line 1)",
        "f.yaml:2:4: expected a decimal number, found '010'",
        "f.yaml:3:4: tag '!tag' is not read",
    ]


def test_a_flood_of_problems_is_cut_off() -> None:
    said = refused("\n".join("a: 010" for _ in range(1000)))
    assert said.count("f.yaml") <= yamlnodes.PROBLEM_LIMIT
    assert "are not listed" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: the file is empty"),
        ("# nothing\n", "f.yaml: the file is empty"),
        ("- a\n", "f.yaml:1:1: expected a mapping (lines 'key: value'), found a list"),
        ("word", "f.yaml:1:1: expected a mapping (lines 'key: value'), found 'word'"),
        ("a:\n\tb: 1", "f.yaml:2:1: found a tab: YAML is indented with spaces"),
        ("a: \x07", "f.yaml:1:4: character U+0007 is not allowed in YAML"),
        ("[a]: 1", "f.yaml:1:1: expected a name as key, found a list"),
        ("a: 1\n---\nb: 1", "f.yaml:2:1: a second document begins here ('---'), expected one document per file"),
    ],
)
def test_files_that_are_no_mapping(text: str, message: str) -> None:
    assert refused(text) == message


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    Path("utf16.yaml").write_bytes("a: 1\n".encode("utf-16"))
    Path("large.yaml").write_bytes(b"a: 1\n" * 100)
    Path("bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    said = {}
    for name, limit in (("latin.yaml", 99), ("utf16.yaml", 99), ("large.yaml", 99), ("none.yaml", 99), (".", 99)):
        with pytest.raises(SpecError) as caught:
            yamlnodes.read(name, limit)
        said[name] = str(caught.value)
    assert said == {
        "latin.yaml": "latin.yaml:2:4: is not UTF-8 text: byte 0xe9",
        "utf16.yaml": "utf16.yaml:1:1: is not UTF-8 text: byte 0xff",
        "large.yaml": "large.yaml: is larger than 99 bytes, the most that is read",
        "none.yaml": "none.yaml: cannot be read: No such file or directory",
        ".": ".: is a folder, expected a YAML file",
    }
    assert yamlnodes.read("bom.yaml").plain() == {"a": 1}


def test_a_value_from_the_command_line_says_so() -> None:
    node = yamlnodes.read_value("{a: [1 pJ]}", "--set x={a: [1 pJ]}", "x")
    assert node.value["a"].value[0].where == "--set x={a: [1 pJ]}"
    assert node.value["a"].value[0].path == "x.a[0]"


def test_typed_values_note_each_mistake_once_and_go_on() -> None:
    root = yamlnodes.read_text("n: -1\nb: yes\nt: 3\nc: soft\nk: {x: 1, yy: 2}\n", "f.yaml").value
    problems = Problems()
    assert yamlvalues.integer(root["n"], problems, 1, 7) == 7
    assert yamlvalues.boolean(root["b"], problems) is False
    assert yamlvalues.string(root["t"], problems) == ""
    assert yamlvalues.choice(root["c"], problems, ["hard", "sort"], "kind") == ""
    assert list(yamlvalues.check_keys(root["k"], problems, ["x", "y", "z"], ["x", "z"])) == ["x"]
    assert yamlvalues.number(root["n"], problems, 0, 1) == 0
    assert [str(problem).split("\n")[0] for problem in problems.found] == [
        "f.yaml:1:4: expected a whole number > 0, found '-1'",
        "f.yaml:2:4: expected true or false, found 'yes'",
        "f.yaml:3:4: expected text, found '3'",
        "f.yaml:4:4: unknown kind 'soft'",
        "f.yaml:5:11: unknown key 'yy' in k",
        "f.yaml:5:1: missing key 'z' in k",
        "f.yaml:1:4: expected a number >= 0 and <= 1, found '-1'",
    ]
