"""Registering component classes, and prices of what is moved in lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from hwsim import architecture
from hwsim.architecture.declarations import Catalogue
from hwsim.architecture.library import Table
from hwsim.components import registry
from hwsim.errors import SpecError
from hwsim.yamlfile import nodes as yamlnodes
from hwsim.yamlfile.nodes import Problems
from hwsim.yamlfile.parameters import Parameters, Unit, read_model

TOY = Path(__file__).parent.parent / "bad_input" / "toy.yaml"


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A catalogue that forgets what the test registers."""
    registry.catalogue()
    monkeypatch.setattr(registry, "_components", dict(registry._components))
    yield
    registry.catalogue.cache_clear()


class Cache:
    class Parameters(Parameters):
        lines: registry.Count

    actions: ClassVar = {"hit": registry.Action("a hit"), "flush": registry.Action("a flush", required=False)}
    storages = ("tags",)


def test_a_registered_class_can_be_named_in_an_architecture(
    clean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    registry.component("cache", families=("systolic",))(Cache)
    registry.catalogue.cache_clear()
    shutil.copy(TOY, tmp_path)
    Path("new.yaml").write_text(
        "schema: hwsim/arch/1\nname: new\nbase: toy.yaml\ncomponents:\n  cache:\n    class: cache\n    lines: 4\n"
        "    actions: {hit: {energy: 1 pJ, per: 4, source: assumed, error: x2}}\n    area: not modelled\n"
        "    leakage: not modelled\npaths: {weights: [dram, tags]}\n"
    )
    made = registry.load("new.yaml")
    assert made.price("cache", "hit").count_J == pytest.approx(0.25e-12)
    assert made.paths["weights"] == ("dram", "tags")
    with pytest.raises(SpecError, match="has no price"):
        made.price("cache", "flush")


def test_two_classes_of_one_name_are_refused(clean: None) -> None:
    with pytest.raises(SpecError, match="component 'sram': is registered twice"):
        registry.component("sram", families=("systolic",))(Cache)


def test_a_broken_plug_in_is_named(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("mine", "hwsim_no_such_module", registry.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    registry.catalogue.cache_clear()
    with pytest.raises(SpecError, match=r"plug-in 'mine' .hwsim_no_such_module.: cannot be imported: ModuleN"):
        registry.catalogue()


def test_importing_the_registry_imports_no_component_and_no_pint() -> None:
    heavy = "{'pint', 'simpy', 'numba', 'hwsim.components.systolic'}"
    code = f"import sys, hwsim.components.registry; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_empty_catalogue_knows_nothing() -> None:
    with pytest.raises(SpecError, match="unknown family 'systolic'"):
        architecture.load(TOY, catalogue=Catalogue())


def test_a_line_costs_as_many_prices_as_it_has_units(tmp_path: Path) -> None:
    text = TOY.read_text(encoding="utf-8").replace("line: 32 B", "line: 64 B")
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    price = registry.load(tmp_path / "t.yaml").price("buffer", "read")
    assert (price.per, price.per_unit) == (256, "bit")
    assert price.count_J == pytest.approx(2 * 28.63e-12)
    assert price.quantity.sigma == pytest.approx(2 * 2.863e-12)


def test_errors_as_percentage_amount_and_factor(tmp_path: Path) -> None:
    made = registry.load(TOY)
    assert made.price("buffer", "read").sigma_J == pytest.approx(2.863e-12)
    assert made.price("buffer", "write").sigma_J == pytest.approx(3e-12)
    assert made.components["dram"].quantities["bandwidth"].log_sigma == pytest.approx(1.3862943611198906)


def test_tables_interpolate_between_and_scale_beyond() -> None:
    table = Table((8, 16), (10.0, 30.0), "J")
    assert [table.at(size) for size in (8, 12, 16, 4, 32)] == [
        (10.0, "point"), (20.0, "between"), (30.0, "point"), (5.0, "beyond"), (60.0, "beyond"),
    ]  # fmt: skip


class Nested(Parameters):
    threshold: float = Field(ge=0, le=1)


class Model(Parameters):
    size: registry.Bits
    rate: registry.Bandwidth = float("inf")
    when: Annotated[float | None, Unit("s")] = None
    inner: Nested | None = None
    names: tuple[str, ...] = ()


def read(text: str) -> tuple[Model | None, list[str]]:
    root = yamlnodes.read_text(text, "f.yaml")
    problems = Problems()
    return read_model(Model, root.value, root, problems), [str(problem) for problem in problems.found]


def test_models_read_units_nested_models_and_absence() -> None:
    made, problems = read("size: 2 B\nrate: 1 B/s\nwhen: null\ninner: {threshold: 1}\n")
    assert not problems
    assert made == Model(size=16, rate=8.0, when=None, inner=Nested(threshold=1.0))


def test_models_place_their_problems() -> None:
    made, problems = read("size: 0 B\nrate: 3\ninner: {threshold: 2}\nsise: 1 B\n")
    assert made is None
    assert sorted(line.split("\n")[0] for line in problems) == [
        "f.yaml:1:7: expected a size > 0 such as '32 KiB', found '0 B'",
        "f.yaml:2:7: expected a bandwidth such as '12.8 GB/s', found '3'",
        "f.yaml:3:20: expected a number >= 0 and <= 1, found '2'",
        "f.yaml:4:1: unknown key 'sise'",
    ]
