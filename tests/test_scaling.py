"""Scaling between nodes: the published polynomial at table points, nothing lost, off-chip parts left alone."""

from __future__ import annotations

import math

import pytest

from hwsim.comparison.scaling import parse_target, scaled
from hwsim.errors import SpecError
from tests.result_builder import result


def test_factors_at_two_nodes_of_the_table():
    made = result(technology={"node_m": 65e-9, "voltage_V": 1.1, "clock_Hz": 400e6, "off_chip": ["dram"]})
    moved = scaled(made, parse_target("20 nm, 0.9 V"))
    energy = (0.373 * 0.81 - 0.1582 * 0.9 + 0.04104) / (3.755 * 1.21 - 4.398 * 1.1 + 1.975)
    delay = (34.63 * 0.81 - 66.37 * 0.9 + 41.15) / (-53.3 * 1.331 + 230.4 * 1.21 - 333.9 * 1.1 + 178.6)
    assert moved.totals["latency_s"] == pytest.approx(made.totals["latency_s"] * delay)
    assert moved.totals["area_m2"] == pytest.approx(made.totals["area_m2"] * 0.011 / 0.08)
    before, after = made.energy_by("component"), moved.energy_by("component")
    assert after["dram"] == before["dram"]
    assert after["buffer"] == pytest.approx(before["buffer"] * energy)
    assert moved.technology["clock_Hz"] == pytest.approx(400e6 / delay)
    assert moved.totals["energy_J"] == pytest.approx(math.fsum(after.values()), rel=1e-12)
    assert moved.estimate.energy_J == pytest.approx(made.estimate.energy_J * energy)
    assert "Stillmaker" in moved.notes[-1]


def test_a_node_between_two_of_the_table_lies_between_their_factors():
    made = result(technology={"node_m": 65e-9, "voltage_V": 1.1, "off_chip": []})
    areas = [scaled(made, parse_target(f"{node} nm, 0.9 V")).totals["area_m2"] for node in (32, 28, 20)]
    assert areas == sorted(areas, reverse=True)
    assert len(set(areas)) == 3


def test_scaling_to_the_same_node_and_supply_changes_nothing():
    made = result()
    moved = scaled(made, parse_target("28 nm, 0.9 V"))
    assert moved.rows == made.rows
    for name, value in made.totals.items():
        assert moved.totals[name] == pytest.approx(value, rel=1e-12)


def test_intervals_keep_their_relative_width_and_the_edp_its_samples():
    made = result(technology={"node_m": 28e-9, "voltage_V": 0.9, "off_chip": []})
    moved = scaled(made, parse_target("16 nm, 0.8 V"))
    for name in ("energy_J", "edp_Js"):
        low, high = made.intervals[name]
        assert moved.intervals[name][1] / moved.intervals[name][0] == pytest.approx(high / low)
    factor = moved.totals["energy_J"] / made.totals["energy_J"] * moved.totals["latency_s"] / made.totals["latency_s"]
    assert moved.totals["edp_Js"] == pytest.approx(made.totals["edp_Js"] * factor, rel=1e-12)
    assert moved.name != made.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("28 nm", "--scale-to must be a node and a supply voltage such as '28 nm, 0.9 V', not '28 nm'"),
        ("28, 0.9 V", "expected a length such as '28 nm', found '28'"),
        ("28 nm, 0.9 V, lp", "--scale-to: unknown transistors 'lp'"),
        ("3 nm, 0.7 V", "stillmaker2017 covers 7 nm to 180 nm, not 3 nm"),
        ("32 nm, 1.4 V", "stillmaker2017 does not cover 1.4 V at 32 nm (HP transistors)"),
    ],
)
def test_bad_targets_are_refused(text, message):
    with pytest.raises(SpecError) as caught:
        scaled(result(), parse_target(text))
    assert message in str(caught.value)


def test_a_machine_without_supply_is_refused():
    with pytest.raises(SpecError, match="no supply voltage"):
        scaled(result(technology={"node_m": 28e-9, "voltage_V": None}), parse_target("28 nm, 0.9 V"))
