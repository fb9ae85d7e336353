"""Prices against published sums: Loihi fitted and from its paper, the energies that contradict each other."""

from __future__ import annotations

import pytest

from hwsim.activity import SHARED, Activity
from hwsim.architecture import Architecture
from hwsim.components import registry
from hwsim.cost import Costs, Labels, PriceList, bounds, price

# SANA-FE (8951ab0) on Loihi: 350-128-128-128-20, inputs as neurons, all fire in 10 of 20 timesteps; 80,128 synapses.
SOMAS, FIRED, MESSAGES = 754 * 20, 754 * 10, 734 * 10
COUNTS = {
    ("core", "synapse"): 80_128 * 10,
    ("core", "idle_update"): SOMAS,
    ("core", "update"): SOMAS,
    ("core", "spike"): FIRED,
    ("core", "axon_in"): MESSAGES,
    ("core", "axon_out"): MESSAGES,
    ("router", "flit"): MESSAGES + 1_280,
    ("link", "flit_ns"): 1_280,
    ("link", "flit_local"): MESSAGES,
}
SYNAPSE = {("core", "synapse")}
SOMA = {("core", "idle_update"), ("core", "update"), ("core", "spike")}
NETWORK = {("core", "axon_in"), ("core", "axon_out"), ("router", "flit"), ("link", "flit_ns"), ("link", "flit_local")}


def costed(name: str) -> tuple[Architecture, Costs]:
    """The counts through the prices of an architecture, without leakage."""
    chip = registry.load(name)
    found = {(part, action): chip.price(part, action).quantity for part, action in COUNTS}
    activity = Activity(["all"])
    for (part, action), times in COUNTS.items():
        activity.count(0, SHARED, SHARED, part, action, times)
    activity.ticks[0] = 1
    return chip, price(PriceList(found, [], [], 1e-10), activity, Labels("", name, "sana-fe"))


def microjoule(costs: Costs, actions: set[tuple[str, str]]) -> float:
    """Energy of these actions."""
    rows = [row for row in costs.rows if row.metric == "energy"]
    return 1e6 * sum(row.value for row in rows if (row.component, row.action) in actions)


def test_fitted_loihi_gives_the_energies_of_the_other_simulator() -> None:
    _, costs = costed("loihi_fitted")
    assert COUNTS["core", "synapse"] == 801_280 and (SOMAS, FIRED, MESSAGES) == (15_080, 7_540, 7_340)
    assert f"{microjoule(costs, SYNAPSE):.3f}" == "28.445"
    assert f"{microjoule(costs, SOMA):.3f}" == "1.620"
    assert f"{microjoule(costs, NETWORK):.4f}" == "0.8201"
    low, high = costs.intervals["energy_J"]
    total = costs.totals["energy_J"]
    assert (high - total) / total == pytest.approx(0.117, rel=0.02), "its published error, as the 95 % point"
    assert (total - low) / total == pytest.approx(0.117, rel=0.02)


def test_prices_from_before_silicon_are_a_lower_bound() -> None:
    _, fitted = costed("loihi_fitted")
    chip, costs = costed("loihi")
    assert microjoule(costs, SYNAPSE) == pytest.approx(801_280 * 23.6e-6)
    assert microjoule(costs, SOMA - {("core", "spike")}) == pytest.approx(15_080 * 81e-6), "active: 52 + 29 pJ"
    cited = {key for key in COUNTS if chip.price(*key).source == "davies2018"}
    assert set(COUNTS) - cited == {("core", "axon_in"), ("core", "axon_out"), ("core", "spike")}
    assert microjoule(costs, cited) == pytest.approx(20.149, abs=5e-4)
    assert microjoule(costs, cited) < microjoule(costs, set(COUNTS)) < 0.7 * microjoule(fitted, set(COUNTS))
    assert costs.intervals["energy_J"][1] > fitted.totals["energy_J"], "its interval holds the chip's all the same"


def test_truenorth_26_pJ_an_operation_is_2_5_pJ_and_all_that_does_not_depend_on_spikes() -> None:
    chip = registry.load("truenorth")
    core = chip.components["core"]
    neurons = core.count * core.parameters["neurons"]
    operations_Hz = neurons * 20 * 128
    rest_W = core.count * core.leakage.value + neurons * 1000 * chip.price("core", "idle_update").count_J
    power_W = rest_W + operations_Hz * chip.price("core", "synapse").count_J
    assert chip.price("core", "synapse").count_J == pytest.approx(1 / 400e9)
    assert 63e-3 < power_W < 70e-3
    assert power_W / operations_Hz == pytest.approx(26e-12, rel=0.05)


def test_spinnaker_is_priced_in_nanojoules_below_what_a_board_can_have_used() -> None:
    chip = registry.load("spinnaker")
    price_J = chip.price("core", "synapse").quantity
    assert price_J.value == 13.3e-9
    assert price_J.value < 48 * 1.0 / 1.8e9 < bounds(price_J)[1]
    assert bounds(price_J)[0] > 45e-12, "45 pJ is a slip of the unit"
    per_core_s = chip.components["core"].count / 1.8e9
    assert chip.components["core"].parameters["synapse_time"] < per_core_s


def test_seneca_is_the_sum_of_its_instructions() -> None:
    chip = registry.load("seneca")
    assert chip.price("core", "update").count_J == pytest.approx((3.7 + 1.2 + 3.9) * 1e-12)
    assert chip.price("core", "spike").count_J == pytest.approx((0.5 + 1.1) * 1e-12)


def test_brainscales_draws_the_power_of_its_published_inference() -> None:
    chip = registry.load("brainscales2")
    core = chip.components["core"]
    assert core.count * core.leakage.value == pytest.approx(192e-6 / 276e-6, rel=1e-3)
    assert chip.components["sync"].parameters["period"] * 1000 == pytest.approx(10e-3)
