"""The shipped architectures load, say where each number comes from, and hold the published constants."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hwsim import shipped
from hwsim.architecture import Architecture
from hwsim.architecture.describe import describe, latency_ticks
from hwsim.components import registry
from hwsim.errors import SpecError


@pytest.fixture(scope="module")
def sata() -> Architecture:
    return registry.load("sata")


@pytest.mark.parametrize("name", shipped.architectures())
def test_every_shipped_architecture_loads_and_can_be_described(name: str) -> None:
    architecture = registry.load(name)
    assert architecture.name == name
    text = "\n".join(describe(architecture))
    assert all(component in text for component in architecture.components)
    for path, quantity in architecture.quantities():
        source = quantity.source
        known = source in architecture.sources or source in (f"assumed:{path}", "not modelled", "none")
        assert known or source == f"chosen:{path}", f"{path}: {source}"


def test_sata_numbers_all_have_a_citation_or_are_called_a_guess(sata: Architecture) -> None:
    assert not [path for path, quantity in sata.quantities() if quantity.source.startswith("chosen")]
    uncertain = [quantity for path, quantity in sata.quantities() if ".actions." in path]
    assert all(quantity.sigma or quantity.log_sigma for quantity in uncertain)
    assert len(uncertain) > 15


# Per PE and LIF unit, from SATA_Sim d447058, results/comp-stat.yaml (rounded there to two to four digits).
@pytest.mark.parametrize(
    ("component", "action", "picojoule"),
    [
        ("pe", "accumulate", 0.02511 * 2.5), ("pe", "clock", 0.01924 * 2.5), ("lif", "update", 0.01886 * 2.5),
        ("lif", "clock", 0.05625 * 2.5), ("pe", "weight_spad_read", 0.031225), ("pe", "psum_spad_write", 0.062775),
        ("weight_buffer", "read", 28.63), ("weight_buffer", "write", 28.22), ("ifmap_buffer", "read", 11.03),
        ("ofmap_buffer", "write", 12.77), ("dram", "read", 468.76), ("dram", "write", 468.77),
    ],
)  # fmt: skip
def test_energies_are_those_of_the_published_tables(
    sata: Architecture, component: str, action: str, picojoule: float
) -> None:
    # the published powers have four digits
    assert sata.price(component, action).count_J == pytest.approx(picojoule * 1e-12, rel=3e-4)


def test_area_and_leakage_are_those_of_the_published_tables(sata: Architecture) -> None:
    parts = sata.components
    # 1117 um2 and 0.669 uW per PE with its LIF unit; the four-bit leakage behind the sum is not in our tables
    assert parts["pe"].area.value + parts["lif"].area.value == pytest.approx(1117e-12, rel=1e-3)
    assert parts["pe"].leakage.value + parts["lif"].leakage.value == pytest.approx(0.669e-6, rel=3e-3)
    assert parts["weight_buffer"].leakage.value == pytest.approx(2 * 24.909e-3, rel=1e-12)
    assert parts["ifmap_buffer"].leakage.value == pytest.approx(2 * 6.2586e-3, rel=1e-12)
    assert parts["weight_buffer"].area.value == pytest.approx(0.902e-3 * 0.583e-3, rel=1e-9)
    assert parts["lif"].leakage.source == "assumed:components.lif.leakage"
    assert parts["lif"].leakage.log_sigma == pytest.approx(math.log(1.2))


def test_the_dram_error_covers_the_other_published_energy_per_bit(sata: Architecture) -> None:
    price = sata.price("dram", "read")
    per_bit, sigma = price.energy_J / 32, price.sigma_J / 32
    assert per_bit == pytest.approx(14.65e-12, rel=1e-3)
    assert abs(per_bit - 12.45e-12) < sigma


def test_sizes_and_defaults(sata: Architecture) -> None:
    parts = sata.components
    assert (parts["array"].parameters["rows"], parts["array"].parameters["columns"]) == (16, 8)
    assert (parts["pe"].count, parts["lif"].count) == (128, 128)
    buffers = ("weight_buffer", "ifmap_buffer", "ofmap_buffer")
    assert [parts[name].parameters["capacity"] for name in buffers] == [144 * 8192, 32 * 8192, 32 * 8192]
    assert (sata.technology.clock_Hz, sata.technology.node_m, sata.technology.voltage_V) == (400e6, 28e-9, None)
    assert sata.dataflow == "tick-batch"
    assert sata.schedule == {"stationary": "output", "time": "inner", "block": None}
    assert sata.options["zero_spikes"] == "gated"
    assert sata.options["early_exit"] is None
    assert parts["dram"].quantities["bandwidth"].source == "assumed:components.dram.bandwidth"
    assert latency_ticks(parts["dram"].parameters["latency"], sata.technology.tick_s) == 8


def test_eyeriss_has_one_buffer_priced_between_the_table_points(sata: Architecture) -> None:
    eyeriss = registry.load("eyeriss")
    buffer = eyeriss.components["global_buffer"]
    assert {"weight_buffer", "ifmap_buffer", "ofmap_buffer"}.isdisjoint(eyeriss.components)
    assert eyeriss.components["pe"].count == 14 * 12
    weight = (108 - 32) / (144 - 32)
    assert buffer.actions["read"].count_J == pytest.approx((11.03 + weight * (28.63 - 11.03)) * 1e-12, rel=1e-12)
    assert buffer.actions["read"].sigma_J == pytest.approx(0.2 * buffer.actions["read"].count_J)
    assert buffer.leakage.value == pytest.approx(2 * (6.2586 + weight * (24.909 - 6.2586)) * 1e-3, rel=1e-12)
    assert eyeriss.paths["membranes"] == ("pe", "global_buffer", "dram")
    assert eyeriss.price("pe", "accumulate") == sata.price("pe", "accumulate")


def test_sizes_set_from_outside_change_what_is_built_of_them() -> None:
    wide = registry.load("sata", ["lif.membrane_bits=16 bit", "weight_buffer.capacity=32 KiB", "options.lif_sharing=4"])
    assert wide.price("lif", "update").count_J == pytest.approx((25.11 + 6.370) * 2.5e-15, rel=1e-12)
    assert wide.price("weight_buffer", "read").count_J == pytest.approx(11.03e-12, rel=1e-12)
    assert wide.components["lif"].count == 32
    assert wide.components["lif"].quantities["membrane_bits"].source == "set:components.lif.membrane_bits"
    half = registry.load("sata", ["lif.membrane_bits=12 bit"])
    assert half.price("lif", "update").count_J == pytest.approx(((12.49 + 25.11) / 2 + 6.370) * 2.5e-15, rel=1e-12)
    assert half.components["lif"].area.value > registry.load("sata").components["lif"].area.value


def test_widths_beyond_the_table_of_energies_are_scaled_and_called_a_guess() -> None:
    widest = registry.load("sata", ["pe.psum_bits=64 bit"]).price("pe", "accumulate")
    assert widest.count_J == pytest.approx(2 * 49.75 * 2.5e-15, rel=1e-12)
    assert widest.source == "assumed:components.pe.actions.accumulate"
    assert widest.log_sigma > 0


def test_a_missing_price_or_component_is_said_with_its_place(sata: Architecture) -> None:
    with pytest.raises(SpecError, match=r"sata\.yaml:\d+:\d+: component 'bufer' is missing"):
        sata.component("bufer")
    with pytest.raises(SpecError, match=r"action 'erase' of dram is counted but has no price"):
        sata.price("dram", "erase")


def test_the_hash_follows_the_content_and_not_the_place() -> None:
    same = registry.load(shipped.find_architecture("sata"))
    assert same.sha256 == registry.load("sata").sha256
    assert same.sha256 != registry.load("sata", ["array.rows=12"]).sha256


def test_an_option_that_multiplies_needs_the_unit_for_it(tmp_path: Path) -> None:
    assert registry.load("sata", ["options.direct_input=mac"]).price("multiplier", "multiply").count_J > 0
    (tmp_path / "mine.yaml").write_text(
        "schema: hwsim/arch/1\nname: mine\nbase: sata\nremove: [components.multiplier]\n", encoding="utf-8"
    )
    registry.load(tmp_path / "mine.yaml")
    with pytest.raises(SpecError, match="need a component of class multiplier_unit"):
        registry.load(tmp_path / "mine.yaml", ["options.direct_input=mac"])
