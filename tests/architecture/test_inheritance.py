"""``base``, ``remove`` and ``--set``: what inherits, what replaces, and whose source a number has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hwsim.components import registry
from hwsim.errors import SpecError

TOY = Path(__file__).parent.parent / "bad_input" / "toy.yaml"
HEAD = "schema: hwsim/arch/1\nname: child\nbase: toy.yaml\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, tmp_path)


def child(text: str, overrides: list[str] | None = None):  # type: ignore[no-untyped-def]
    Path("child.yaml").write_text(HEAD + text, encoding="utf-8")
    return registry.load("child.yaml", overrides or [])


def refused(text: str, overrides: list[str] | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        child(text, overrides)
    return str(caught.value)


def test_mappings_merge_and_the_rest_replaces() -> None:
    made = child("components:\n  array: {rows: 4}\npaths: {weights: [buffer]}\n")
    assert made.name == "child"
    assert made.components["array"].parameters == {"rows": 4, "columns": 8, "spad_slice": 9, "fold_overlap": False}
    assert made.paths["weights"] == ("buffer",)
    assert made.paths["inputs"] == ("dram", "buffer")
    assert [path.name for path in made.files] == ["child.yaml", "toy.yaml"]


def test_a_choice_without_source_is_called_a_choice() -> None:
    made = child("components:\n  array: {rows: 4}\n")
    assert made.components["array"].quantities["rows"].source == "chosen:components.array.rows"


def test_the_source_of_a_component_covers_the_values_of_its_own_file_only() -> None:
    made = child("components:\n  array: {source: other, rows: 4}\n  dram: {source: other}\nsources: {other: A paper}\n")
    assert made.components["array"].quantities["rows"].source == "other"
    assert made.components["array"].quantities["columns"].source == "chosen:components.array.columns"
    assert made.components["dram"].quantities["latency"].source == "handbook"


def test_a_new_energy_does_not_inherit_the_source_and_error_of_the_old_one() -> None:
    said = refused("components:\n  buffer:\n    actions:\n      read: {energy: 30 pJ}\n")
    assert said == (
        "child.yaml:7:22: a new value needs its own 'error': the inherited one is '10 %' in toy.yaml:27:68\n"
        "child.yaml:7:22: a new value needs its own 'source': the inherited one is 'handbook' in toy.yaml:27:51"
    )


def test_a_better_source_or_error_may_be_given_for_an_inherited_value() -> None:
    made = child("components:\n  buffer:\n    actions:\n      read: {source: assumed, error: x2}\n")
    price = made.price("buffer", "read")
    assert price.count_J == pytest.approx(28.63e-12)
    assert price.source == "assumed:components.buffer.actions.read"


def test_parts_replace_a_stated_value_with_its_source() -> None:
    made = child("components:\n  buffer: {area: {parts: {register: 8 bit}}}\n  lif: {area: {value: 1 um^2, source: "
                 "assumed, error: x2}}\n")  # fmt: skip
    assert made.components["buffer"].area.value == pytest.approx(34.27e-12)
    assert made.components["lif"].area.source == "assumed:components.lif.area"


def test_another_class_replaces_the_component_whole() -> None:
    made = child("components:\n  buffer: {class: pe_array, rows: 2, columns: 2}\n")
    assert made.components["buffer"].actions == {}
    assert "capacity" not in made.components["buffer"].parameters
    same = child("components:\n  array: {class: pe_array, rows: 2}\n")
    assert same.components["array"].parameters["columns"] == 8


def test_removed_things_are_gone_and_must_have_been_there() -> None:
    said = refused("remove: [components.array, components.arry, options.lif_sharing]\n")
    assert "child.yaml:4:28: nothing to remove: the base has no 'components.arry'" in said
    assert "unknown factor 'array.rows' in a count" in said
    assert refused("remove: components.array\n").startswith("child.yaml:4:9: expected a list of dotted paths")


def test_a_chain_of_bases_and_a_circle() -> None:
    Path("grandchild.yaml").write_text("schema: hwsim/arch/1\nname: g\nbase: child.yaml\noptions: {lif_sharing: 4}\n")
    assert child("components:\n  array: {rows: 4}\n").components["lif"].count == 32
    assert registry.load("grandchild.yaml").components["lif"].count == 8
    text = TOY.read_text(encoding="utf-8").replace("name: toy\n", "name: toy\nbase: grandchild.yaml\n")
    Path("toy.yaml").write_text(text, encoding="utf-8")
    circle = r"toy\.yaml:3:7: .*closes a circle: grandchild\.yaml -> child\.yaml -> toy\.yaml -> grand"
    with pytest.raises(SpecError, match=circle):
        registry.load("grandchild.yaml")


def test_a_source_keeps_its_meaning() -> None:
    said = refused("sources: {handbook: Another book}\n")
    assert said == "child.yaml:4:11: source 'handbook' is already defined in toy.yaml:72:3"


def test_overrides_reach_what_the_file_leaves_to_defaults() -> None:
    texts = ["array.fold_overlap=true", "components.buffer.read_ports=2", "options.zero_spikes=ignored"]
    made = registry.load("toy.yaml", [*texts, "options.membrane.saturate=false"])
    assert made.components["array"].parameters["fold_overlap"] is True
    assert made.components["buffer"].parameters["read_ports"] == 2
    assert made.options["zero_spikes"] == "ignored"
    assert made.options["membrane"]["saturate"] is False
    assert made.overrides[0] == "array.fold_overlap=true"


def test_an_overridden_number_is_its_own_source() -> None:
    made = registry.load(
        "toy.yaml", ["dram.bandwidth=unlimited", "buffer.actions.read.energy=30 pJ", "technology.clock=1 GHz"]
    )
    assert made.components["dram"].parameters["bandwidth"] == float("inf")
    assert made.price("buffer", "read").source == "set:components.buffer.actions.read"
    assert made.price("buffer", "read").sigma_J == pytest.approx(3e-12)
    assert made.technology.tick_s == 1e-9


def test_a_whole_block_can_be_set() -> None:
    made = registry.load(
        "toy.yaml", ["dataflow={stationary: output, time: block, block: 2}", "options.early_exit.threshold=0.2"]
    )
    assert made.schedule == {"stationary": "output", "time": "block", "block": 2}
    assert made.options["early_exit"] == {"threshold": 0.2, "block": 1}
    assert registry.load("toy.yaml", ["dataflow={stationary: weight, time: layer}"]).dataflow == "ws"
