"""Cost: rows add up, intervals follow the sources, nothing is divided or lost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost import Instances, Labels, PriceList, bounds, interval, price, standard_deviation
from hwsim.errors import SpecError
from hwsim.units import Quantity
from tests.result_builder import activity, prices

LABELS = Labels("a run", "toy", "net")
Z = 1.959963984540054  # 97.5 % point of the normal distribution (NIST/SEMATECH e-Handbook, table 1.3.6.7.1: 1.960)


def test_rows_add_up_to_the_hand_worked_totals():
    costs = price(prices(), activity(), LABELS)
    # DRAM 2 layers x 1000 x (1 + 2) x 400 pJ; buffer 2 samples x (300 + 301) x 20 pJ;
    # PE 2 samples x 2 layers x 42 x 0.05 pJ; leakage 2 x 25 mW x (200 + 400) x 2.5 ns
    joules = 6000 * 400e-12 + 1202 * 20e-12 + 168 * 0.05e-12 + 2 * 0.025 * 600 * 2.5e-9
    assert costs.totals["energy_J"] == pytest.approx(joules / 2, rel=1e-12)  # rounding of a few sums
    assert costs.totals["latency_s"] == pytest.approx(300 * 2.5e-9, rel=1e-12)
    assert costs.totals["area_m2"] == pytest.approx(0.5e-6 + 128e-9, rel=1e-12)
    assert (costs.totals["cycles"], costs.totals["samples"]) == (600, 2)


def test_edp_is_the_mean_of_products_and_not_the_product_of_means():
    costs = price(prices(), activity(), LABELS)
    per_sample = {}
    for row in costs.rows:
        if row.metric == "energy":
            per_sample[row.sample] = per_sample.get(row.sample, 0.0) + row.value
    expected = (per_sample[0] * 200 + per_sample[1] * 400) * 2.5e-9 / 2
    assert costs.totals["edp_Js"] == pytest.approx(expected, rel=1e-12)
    product_of_means = costs.totals["energy_J"] * costs.totals["latency_s"]
    assert abs(costs.totals["edp_Js"] / product_of_means - 1) > 0.05
    assert costs.totals["power_W"] == costs.totals["energy_J"] / costs.totals["latency_s"]


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=30),
    st.lists(st.floats(1e-18, 1e-9), min_size=3, max_size=3),
    st.integers(1, 10**9),
)
def test_energy_rows_add_up_for_any_counts(times, energies, ticks):
    work = activity(1)
    work.counts.clear()
    actions = [("dram", "read"), ("buffer", "read"), ("pe", "accumulate")]
    for index, count in enumerate(times):
        work.count(0, index % 2, index, *actions[index % 3], count)
    work.ticks[0] = ticks
    made = {key: Quantity(energy, 0.0, 0.0, "s", "J") for key, energy in zip(actions, energies, strict=True)}
    costs = price(replace(prices(), prices=made), work, LABELS)
    rows = [row.value for row in costs.rows if row.metric == "energy"]
    assert math.fsum(rows) == pytest.approx(costs.totals["energy_J"], rel=1e-12)
    counted = [row.value for row in costs.rows if row.metric == "count" and row.component]
    assert sum(counted) == sum(times)


def test_shared_actions_and_leakage_have_no_timestep_and_are_not_divided():
    costs = price(prices(), activity(1), LABELS)
    fetches = [row for row in costs.rows if row.component == "dram" and row.metric == "count"]
    assert [(row.layer, row.timestep, row.value) for row in fetches] == [("conv1", None, 1000), ("fc1", None, 1000)]
    leakage = [row for row in costs.rows if row.action == "leakage"]
    assert [(row.layer, row.timestep, row.sample) for row in leakage] == [(None, None, 0)]
    steps = [row.timestep for row in costs.rows if row.component == "pe" and row.metric == "energy"]
    assert steps == [0, 1, 2, 0, 1, 2]


def test_what_is_not_modelled_has_no_row():
    costs = price(prices(), activity(), LABELS)
    assert {row.component for row in costs.rows if row.metric == "area"} == {"buffer", "pe"}
    assert not any(entry["component"] == "dram" and entry["action"] == "area" for entry in costs.prices)


def test_statistics_are_counted_but_cost_nothing():
    costs = price(prices(), activity(1), LABELS)
    for action in ("look_ups", "synaptic_operations"):
        rows = [row for row in costs.rows if row.action == action]
        assert [(row.metric, row.value, row.unit) for row in rows] == [("count", 42, "1")] * 2


def test_order_of_counting_does_not_change_the_rows():
    forward, backward = activity(), activity()
    for mapping in (backward.counts, backward.cycles, backward.latency, backward.operations):
        entries = list(mapping.items())
        mapping.clear()
        mapping.update(reversed(entries))
    assert price(prices(), forward, LABELS).rows == price(prices(), backward, LABELS).rows


def test_a_counted_action_without_price_is_refused_by_name():
    with pytest.raises(SpecError) as caught:
        prices().check([("pe", "accumulate"), ("pe", "shift"), ("lif", "update")])
    assert [problem.message for problem in caught.value.problems] == [
        "components.lif.actions.update is counted but has no price",
        "components.pe.actions.shift is counted but has no price",
    ]


def test_bounds_of_a_small_normal_error():
    low, high = bounds(Quantity(100.0, 10.0, 0.0, "s"))
    # cutting a normal distribution off ten sigma below its mean moves nothing that float64 can show
    assert (low, high) == (pytest.approx(100 - 10 * Z, rel=1e-9), pytest.approx(100 + 10 * Z, rel=1e-9))


def test_bounds_of_a_log_factor_are_powers_of_it():
    low, high = bounds(Quantity(100.0, 0.0, math.log(2), "s"))
    assert (low, high) == (pytest.approx(100 / 2**Z, rel=1e-9), pytest.approx(100 * 2**Z, rel=1e-9))
    assert standard_deviation(Quantity(100.0, 0.0, math.log(2), "s")) == pytest.approx((200 - 50) / 2)


@given(st.floats(1e-15, 1e3), st.floats(0, 5))
def test_a_lower_bound_is_above_zero_whatever_the_error(value, relative):
    low, high = bounds(Quantity(value, value * relative, 0.0, "s"))
    assert 0 < low <= value * (1 + 1e-9)
    assert high >= value * (1 - 1e-9)


def test_one_source_adds_linearly_and_two_in_quadrature():
    one, other = Quantity(1.0, 0.1, 0.0, "first"), Quantity(1.0, 0.1, 0.0, "second")
    low, high = interval([("a", 3, one), ("b", 4, one)])
    assert (high - 7, 7 - low) == (pytest.approx(0.7 * Z), pytest.approx(0.7 * Z))
    low, high = interval([("a", 3, one), ("b", 4, other)])
    assert (high - 7, 7 - low) == (pytest.approx(0.5 * Z), pytest.approx(0.5 * Z))


def test_guesses_without_a_path_are_independent():
    guess = Quantity(1.0, 0.1, 0.0, "assumed")
    assert interval([("a", 3, guess), ("b", 4, guess)])[1] == pytest.approx(7 + 0.5 * Z)
    assert interval([("a", 3, guess), ("a", 4, guess)])[1] == pytest.approx(7 + 0.7 * Z)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 3), st.sampled_from("abcd")), min_size=1, max_size=8))
def test_a_total_stays_above_zero_and_contains_its_value(terms):
    numbers = [("n", 1.0, Quantity(value, 0.0, spread, source)) for value, spread, source in terms]
    low, high = interval(numbers)
    value = math.fsum(value for value, _, _ in terms)
    assert 0 < low <= value * (1 + 1e-12)
    assert high >= value * (1 - 1e-12)


def test_intervals_of_totals_follow_the_sources():
    exact = {key: replace(number, sigma=0.0, log_sigma=0.0) for key, number in prices().prices.items()}
    only_dram = exact | {("dram", "read"): prices().prices["dram", "read"]}
    quiet = [Instances("buffer", 2, Quantity(0.025, 0.0, 0.0, "memory", "W"))]
    costs = price(replace(prices(), prices=only_dram, leakage=quiet), activity(), LABELS)
    dram = 6000 * 400e-12 / 2
    low, high = costs.intervals["energy_J"]
    # 20 % of the DRAM part; the cut at zero, five sigma away, moves it by less than 1e-5
    assert high - costs.totals["energy_J"] == pytest.approx(0.2 * Z * dram, rel=1e-5)
    assert costs.totals["energy_J"] - low == pytest.approx(0.2 * Z * dram, rel=1e-5)
    assert costs.intervals["power_W"][1] == pytest.approx(high / costs.totals["latency_s"])
    assert "latency_s" not in costs.intervals


def test_energy_and_leakage_of_one_source_move_together():
    made = PriceList(
        {("buffer", "read"): Quantity(1.0, 0.1, 0.0, "memory", "J")},
        [Instances("buffer", 1, Quantity(1.0, 0.1, 0.0, "memory", "W"))],
        [],
        1.0,
    )
    work = activity(1)
    work.counts.clear()
    work.count(0, 0, 0, "buffer", "read", 3)
    work.ticks[0] = 4
    costs = price(made, work, LABELS)
    assert costs.totals["energy_J"] == 7.0
    assert costs.intervals["energy_J"][1] == pytest.approx(7 + 0.7 * Z)


def test_every_row_of_energy_names_error_and_source():
    for row in price(prices(), activity(), LABELS).rows:
        if row.metric in ("energy", "area"):
            assert row.source
            assert row.error is not None
