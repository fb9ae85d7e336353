"""RESPARC, its digital baseline and ISAAC: they load, every number says where it comes from, sizes as published."""

from __future__ import annotations

import pytest

from hwsim.architecture import Architecture
from hwsim.components import registry
from hwsim.errors import SpecError
from hwsim.machines.crossbar.build import build
from hwsim.workload import load as load_workload

NAMES = ("resparc", "isaac")
EXACT = {
    "resparc": {
        "crossbar.actions.read", "mux.actions.select", "adc.actions.convert", "diff.actions.subtract",
        "tile_adder.actions.add", "membranes.actions.read", "membranes.actions.write",
    },
    "isaac": {"crossbar.actions.read", "crossbar.actions.read_row"},
}  # fmt: skip
"""Prices of nothing: no such circuit, or paid elsewhere. They have no error."""


@pytest.fixture(scope="module", params=NAMES)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return registry.load(request.param)


def test_every_number_has_a_source_and_prices_have_an_error(architecture: Architecture) -> None:
    free = set()
    for path, quantity in architecture.quantities():
        source = quantity.source
        known = source in architecture.sources or source in (f"assumed:{path}", "not modelled", "none")
        assert known or source == f"chosen:{path}", f"{path}: {source}"
        if ".actions." in path and not (quantity.sigma or quantity.log_sigma):
            assert quantity.value == 0, path
            free.add(path.removeprefix("components."))
    assert free == EXACT[architecture.name]


def test_what_the_abstract_of_resparc_does_not_say_is_called_a_guess() -> None:
    found = registry.load("resparc")
    cited = {path for path, quantity in found.quantities() if quantity.source == "resparc"}
    assert not cited, "the abstract has no size and no price"
    sources = dict(found.quantities())
    for path in ("technology.clock", "technology.node", "components.crossbar.rows", "components.crossbar.cell_bits",
                 "components.router.flit"):  # fmt: skip
        assert sources[path].source == f"assumed:{path}"


def test_resparc_is_made_of_macro_engines_of_four_arrays() -> None:
    made = build(registry.load("resparc"), load_workload("vgg5"), (3, 5))
    full = [tile for placed in made.plan.layers for tile in placed.tiles if len(tile.pes) == 32]
    assert full, "a tile that is full"
    arrays = 32 * made.plan.layers[0].slices
    assert arrays == 4 * 4 * 4, "4 arrays an engine, 4 x 4 engines a NeuroCell, 8-bit weights"
    assert made.adcs == 64 and not made.options["converters"]
    counts = made.instances(0)
    prices = made.price_list(0)
    assert counts["crossbar"] == made.arrays
    assert not {item.component for item in prices.area} & {"adc", "mux"}, "no converter on the chip"


def test_a_tile_of_isaac_has_96_arrays_of_one_converter() -> None:
    made = build(registry.load("isaac"), load_workload("vgg5_ann"), None)
    full = [(placed, tile) for placed in made.plan.layers for tile in placed.tiles if len(tile.pes) == 24]
    assert full
    assert {24 * placed.slices for placed, _ in full} == {12 * 8}
    assert made.adcs == 1
    timing = made.timing
    assert timing.drive + timing.read == 128 * timing.convert, "a read lasts as long as 128 conversions"
    assert made.architecture.technology.tick_s * 128 == pytest.approx(100e-9)


@pytest.mark.parametrize(
    ("component", "action", "picojoule"),
    [
        ("adc", "convert", 1.6667), ("driver", "drive", 0.41667), ("tile_buffer", "read", 20.45),
        ("router", "flit", 20.74), ("h_tree", "move", 0.054 * 256), ("pe_adder", "add", 0.021),
    ],
)  # fmt: skip
def test_energies_of_isaac_are_those_of_the_component_library(component: str, action: str, picojoule: float) -> None:
    price = registry.load("isaac").price(component, action)
    assert price.count_J == pytest.approx(picojoule * 1e-12, rel=1e-9)
    assert price.source == "isaac_library"


def test_prices_of_a_row_follow_the_columns() -> None:
    """Four times the cells in a row cost four times as much; a size beyond the table is called a guess."""
    small, large, huge = (
        registry.load("resparc", [f"crossbar.rows={size}", f"crossbar.columns={size}"]) for size in (32, 128, 256)
    )
    price = small.price("crossbar", "read_row").count_J
    assert large.price("crossbar", "read_row").count_J == pytest.approx(4 * price, rel=1e-12)
    assert huge.price("crossbar", "read_row").count_J == pytest.approx(8 * price, rel=1e-12)
    area = small.components["crossbar"].area.value
    assert large.components["crossbar"].area.value == pytest.approx(16 * area, rel=1e-2)


def test_the_baseline_differs_from_sata_in_array_and_clock_only() -> None:
    ours, sata = registry.load("resparc_cmos"), registry.load("sata")
    assert (ours.components["pe"].count, ours.technology.clock_Hz) == (16, 1e9)
    assert sata.price("pe", "accumulate") == ours.price("pe", "accumulate")
    assert sata.price("dram", "read") == ours.price("dram", "read")
    assert sata.options == ours.options


def test_networks_without_spikes_need_an_activation_price(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Both machines can be compared on both kinds of network; without the price the machine says so."""
    from hwsim.run import simulate_activity

    path = tmp_path / "none.yaml"
    path.write_text(
        "schema: hwsim/arch/1\nname: none\nbase: isaac\nremove: [components.neuron.actions.activate]\n",
        encoding="utf-8",
    )
    with pytest.raises(SpecError, match="activate"):
        simulate_activity(str(path), "vgg5_ann", layers=(4, 5), overrides=["options.gain=off"])
