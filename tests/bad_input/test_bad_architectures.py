"""Every broken architecture of ``corpus.yaml`` is refused with exactly the message written there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hwsim.components import registry
from hwsim.errors import SpecError
from hwsim.yamlfile import nodes as yamlnodes

HERE = Path(__file__).parent
CORPUS: dict[str, dict[str, Any]] = yamlnodes.read(HERE / "corpus.yaml").plain()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The valid file of the corpus, alone in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(HERE / "toy.yaml", tmp_path)
    return tmp_path / "toy.yaml"


def said(overrides: list[str]) -> str:
    with pytest.raises(SpecError) as caught:
        registry.load("toy.yaml", overrides)
    return str(caught.value)


def test_the_unbroken_file_is_accepted(toy: Path) -> None:
    architecture = registry.load("toy.yaml")
    assert architecture.components["lif"].count == 128
    assert architecture.components["buffer"].parameters["capacity"] == 144 * 8192


@pytest.mark.parametrize("name", CORPUS)
def test_the_message_is_word_for_word(name: str, toy: Path) -> None:
    case = CORPUS[name]
    text = toy.read_text(encoding="utf-8")
    for edit in case.get("edits", []):
        assert edit["from"] in text, "the edit must change the valid file"
        text = text.replace(edit["from"], edit["to"], 1)
    toy.write_text(text, encoding="utf-8")
    assert said(case.get("set", [])) == case["say"]


def test_the_corpus_is_not_thinned_out() -> None:
    assert len(CORPUS) >= 100


def test_problems_of_file_and_command_line_are_reported_together(toy: Path) -> None:
    toy.write_text(toy.read_text(encoding="utf-8").replace("rows: 16", "rows: 0"), encoding="utf-8")
    assert said(["array.columns=0", "nothing"]) == (
        "--set nothing: expected PATH=VALUE, such as 'array.rows=12'\n"
        "toy.yaml:33:11: expected a whole number > 0, found '0'\n"
        "--set array.columns=0: expected a whole number > 0, found '0'"
    )


def test_an_unknown_name_lists_the_shipped_ones(toy: Path) -> None:
    with pytest.raises(SpecError, match="did you mean 'sata'"):
        registry.load("satta")
