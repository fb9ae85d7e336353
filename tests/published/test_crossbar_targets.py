"""Crossbar targets: Table II, EDP over timesteps, area of the neuron module; values from tests/data or by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hwsim.reproduce import edp, lif_area, registry, report, spikesim_table
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.target import NOT_REPRODUCIBLE, REPRODUCED, TREND_ONLY, Measured, verdict
from tests.profiles.spikesim_runs import RUNS, reference

PRINTED = {
    "sbp": (50, 2.3e5, 5.2), "bntt": (20, 0.9e5, 4), "direct": (10, 2.6e5, 4), "tssl": (5, 1.3e5, 16),
    "lth": (5, 2.6e5, 2), "tdbn": (4, 2.1e5, 25),
}  # fmt: skip
"""Table II: timesteps, nJ, improvement."""

CYCLE_NJ = 0.8284861472
CYCLES = {"sbp": 3456, "bntt": 3456, "direct": 28672, "tssl": 28672, "lth": 63488, "tdbn": 63488}
"""PE cycles of one timestep, worked out by hand from the layer lists."""


def beside(measured: Measured) -> dict[str, tuple[float | None, float | None]]:
    return {row.what: (row.theirs, row.ours) for row in measured.beside}


# --- Table II --------------------------------------------------------------------------------------------------------


def test_published_file_says_what_the_paper_and_the_tool_say() -> None:
    works, sata = spikesim_table.spikesim_works(), published()["table_two"]["works"]
    for work, (steps, energy, ratio) in PRINTED.items():
        assert sata[work]["printed"]["timesteps"] == steps
        assert (float(works[work]["printed_nJ"]), works[work]["printed_ratio"]) == (energy, ratio)
        assert works[work]["linear"] == sata[work]["estimate"].get("linear", works[work]["linear"])
    assert works["tdbn"]["linear"] == works["lth"]["linear"]
    tool = published("spikesim")["tool"]["runs"]
    known = {(r["energy_total_pJ"], r["latency_ns"], r["area_um2"]["total_printed"]) for r in RUNS}
    known.add((82291872.02908163, 228327424.0, 50948174.99835001))  # its latency is the formula's
    assert {(run["energy_pJ"], run["latency_ns"], run["area_um2"]) for run in tool.values()} <= known


@pytest.mark.parametrize("work", PRINTED)
def test_improvement_is_timesteps_over_timesteps(work: str) -> None:
    steps, _, ratio = PRINTED[work]
    target = registry()[f"spikesim-table2.improvement.{work}"]
    measured = target.run()
    baseline = {"sbp": 260, "bntt": 80, "direct": 40, "tssl": 80, "lth": 10, "tdbn": 100}[work]
    assert measured.value == pytest.approx(baseline / steps, rel=1e-15) == ratio
    implied, inferred = next(value for name, value in beside(measured).items() if name.startswith("timesteps of the"))
    assert implied == pytest.approx(baseline) and inferred == baseline
    assert verdict(target, measured) == REPRODUCED


@pytest.mark.parametrize("work", PRINTED)
def test_energy_is_cycles_times_cycle_energy_times_timesteps(work: str) -> None:
    steps, printed, _ = PRINTED[work]
    target = registry()[f"spikesim-table2.energy.{work}"]
    measured = target.run()
    assert measured.value == pytest.approx(CYCLES[work] * CYCLE_NJ * steps, rel=1e-12)
    assert verdict(target, measured) == (REPRODUCED if work in ("lth", "tdbn") else TREND_ONLY)
    rows = beside(measured)
    assert rows["PE cycles of one timestep"][1] == CYCLES[work]
    least, most = (rows[f"PE cycles of a timestep by the printed digits, {end}"][1] for end in ("least", "most"))
    assert least is not None and most is not None
    assert (least <= CYCLES[work] < most) is (work in ("lth", "tdbn"))
    assert (printed - 5e3, printed + 5e3) == pytest.approx((least * CYCLE_NJ * steps, most * CYCLE_NJ * steps))


def test_energies_of_one_network_are_to_each_other_as_timesteps() -> None:
    for first, second in (("sbp", "bntt"), ("direct", "tssl"), ("lth", "tdbn")):
        target = registry()[f"spikesim-table2.timesteps.{first}-{second}"]
        assert verdict(target, target.run()) == REPRODUCED
        assert layers(f"table2_{first}_as_fed") == layers(f"table2_{second}_as_fed")
    assert not spikesim_table.proportional("sbp", "tssl"), "two networks"


def test_the_search_is_counted_and_has_one_best_rule() -> None:
    rules = list(spikesim_table.rules())
    assert len(rules) == 28 == len(set(rules))
    met = {rule: spikesim_table.rows_met(rule) for rule in rules}
    best = [rule for rule in rules if len(met[rule]) == 5]
    assert [(rule.positions, rule.linear, rule.taps) for rule in best] == [("as fed, same size", "of the scripts", 9)]
    assert set(PRINTED) - set(met[best[0]]) == {"lth"}
    assert spikesim_table.rule_nJ(best[0], "lth") == pytest.approx(64000 * CYCLE_NJ * 5, rel=1e-12)
    assert max(len(works) for works in met.values()) == 5
    alone = spikesim_table.Rule("as fed, same size", "none", 9)
    assert met[alone] == ("lth", "tdbn")
    for work in PRINTED:
        assert spikesim_table.rule_nJ(alone, work) == pytest.approx(CYCLES[work] * CYCLE_NJ * PRINTED[work][0])
    target = registry()["spikesim-table2.search"]
    assert verdict(target, target.run()) == TREND_ONLY


def test_true_sizes_after_pooling_are_the_tools_own_example() -> None:
    pooled = spikesim_table.Rule("true sizes, after pooling", "none", 9)
    assert spikesim_table.rule_nJ(pooled, "sbp") / 50 == pytest.approx(RUNS[0]["energy_total_pJ"] * 1e-3, rel=1e-12)


def test_runs_of_the_tool() -> None:
    chosen = [target for target in registry().values() if target.group == "spikesim-ela"]
    assert len(chosen) == 10
    for target in chosen:
        measured = target.run()
        assert verdict(target, measured) == REPRODUCED
        for theirs, ours in beside(measured).values():
            assert theirs is not None and ours == pytest.approx(theirs, rel=1e-12), target.id


# --- EDP -------------------------------------------------------------------------------------------------------------


def test_the_tool_grows_with_the_square_of_time() -> None:
    rows = {row["T"]: row for row in reference()["vgg16_tinyimagenet_derived"]["rows"]}
    series = edp.tool_series()
    assert list(series) == list(rows) == [1, 2, 3, 4]
    for steps, (energy, latency) in series.items():
        assert energy * latency * 1e21 == pytest.approx(rows[steps]["EDP_pJ_ns"], rel=1e-12)
    assert edp.law_of(series).edp == pytest.approx((1, 4, 9, 16), rel=1e-12)
    target = registry()["spikesim-edp.tool"]
    assert verdict(target, target.run()) == TREND_ONLY


@pytest.mark.parametrize(("name", "share"), [("energy", 7 / 15), ("latency", 7 / 15), ("both", 0.258366)])
def test_three_readings_are_fitted_to_one_number(name: str, share: float) -> None:
    found, law = edp.reading(name, 10.4, 4)
    assert found == pytest.approx(share, rel=1e-5)
    assert law.growth == pytest.approx(10.4, rel=1e-12)
    plain, fixed = [1.0, 2.0, 3.0, 4.0], [found + (1 - found) * t for t in (1, 2, 3, 4)]
    assert law.energy == pytest.approx(plain if name == "latency" else fixed)
    assert law.latency == pytest.approx(plain if name == "energy" else fixed)
    measured = registry()[f"spikesim-edp.fixed-{name}"].run()
    assert measured.value == pytest.approx(100 * share, rel=1e-5)


def test_fixed_share_of_another_growth() -> None:
    """No fixed share: T^2; everything fixed: T, or not at all."""
    assert edp.fixed_over_variable(16.0, 4, 1) == pytest.approx(0)
    assert edp.fixed_over_variable(16.0, 4, 2) == pytest.approx(0)
    assert edp.fixed_over_variable(4.0 + 1e-9, 4, 1) > 1e9
    ratio = edp.fixed_over_variable(5.0, 3, 1)
    assert 3 * (ratio + 3) / (ratio + 1) == pytest.approx(5.0)


def test_mean_of_products_is_not_the_product_of_means() -> None:
    shares = (0.38, 0.27, 0.18, 0.17)
    _, law = edp.reading("energy", 10.4, 4)
    assert round(law.mean_of_products(shares), 2) == 2.54
    assert round(law.product_of_means(shares), 2) == 3.02
    assert published("spikesim")["edp"]["exit_shares"]["value"] == list(shares)
    images = [t for t, share in enumerate(shares, start=1) for _ in range(round(100 * share))]
    by_image = [t * (0.875 + t) / 1.875 for t in images]
    assert law.mean_of_products(shares) == pytest.approx(10.4 / np.mean(by_image))


def compositions(total: int) -> list[tuple[float, ...]]:
    """All shares of four exits in steps of 1 / total."""
    cuts = itertools.combinations_with_replacement(range(total + 1), 3)
    return [tuple(np.diff((0, *cut, total)) / total) for cut in cuts]


@pytest.mark.parametrize("name", ["tool", "energy", "both"])
def test_bounds_are_those_of_all_shares_with_that_mean(name: str) -> None:
    law = edp.law_of(edp.tool_series()) if name == "tool" else edp.reading(name, 10.4, 4)[1]
    shares = [p for p in compositions(50) if abs(np.dot(p, (1, 2, 3, 4)) - 2.14) < 1e-9]
    factors = [law.mean_of_products(p) for p in shares]
    low, high = law.bounds(2.14)
    assert low - 1e-9 <= min(factors) and max(factors) <= high + 1e-9
    assert (min(factors), max(factors)) == pytest.approx((low, high), rel=1e-9), "both ends are among the shares"
    assert low < 2.54 < high < min(law.product_of_means(p) for p in shares)
    near = [p[0] for p, factor in zip(shares, factors, strict=True) if abs(factor - 2.54) < 0.01]
    exits = edp.first_exits(law, 2.14, 2.54)
    assert exits is not None
    assert exits[0] - 0.02 <= min(near) and max(near) <= exits[1] + 0.02
    assert (min(near), max(near)) == pytest.approx(exits, abs=0.03)


def test_bounds_at_the_ends_of_time() -> None:
    _, law = edp.reading("energy", 10.4, 4)
    assert law.bounds(4) == pytest.approx((1, 1))
    assert law.bounds(1) == pytest.approx((10.4, 10.4))
    assert edp.first_exits(law, 2.14, 4.0) is None, "beyond the largest factor"


def test_early_exit_does_not_follow_from_what_is_printed() -> None:
    target = registry()["spikesim-edp.dt-snn"]
    measured = target.run()
    assert verdict(target, measured) == NOT_REPRODUCIBLE
    grids, _ = report.pivot(report.rows_of(target, measured, "x")[1:])
    (header, cells) = grids[0]
    assert header[1:] == ["mean of products", "product of means", "least", "largest"]
    assert len(cells) == 4 and cells[1][1:3] == ["2.5415", "3.0223"]


def test_the_machine_is_taken_without_a_fit() -> None:
    assert "spikesim-edp.machine" not in {target.id for target in edp.targets()}

    def series() -> dict[int, tuple[float, float]]:
        return {t: (2e-6 + 1e-6 * t, 1e-3 * t) for t in (1, 2, 3, 4)}

    (target,) = (target for target in edp.targets(machine=series) if target.id == "spikesim-edp.machine")
    measured = target.run()
    assert measured.value == pytest.approx(4 * 6 / 3)
    assert measured.trend is True and not target.quick
    rows = beside(measured)
    assert rows["share of the energy at T=1 that does not depend on T"][1] == pytest.approx(100 * 2 / 3)
    assert rows["share of the latency at T=1 that does not depend on T"][1] == pytest.approx(0, abs=1e-9)
    bent = {1: (1.0, 1.0), 2: (2.0, 2.0), 3: (4.0, 3.0), 4: (8.0, 4.0)}
    assert not edp.grows_linearly(bent) and edp.grows_linearly(series())
    assert not edp.grows_linearly({t: (1.0, 1.0 * t) for t in (1, 2, 3)}), "no growth"
    with pytest.raises(AssertionError):
        edp.law_of({1: (1.0, 1.0), 4: (2.0, 2.0)})


# --- area of the neuron module ---------------------------------------------------------------------------------------


def test_each_point_implies_another_share_of_the_memory() -> None:
    assert lif_area.share_of(1.38, 2) == pytest.approx(0.5507, abs=5e-5)
    assert lif_area.share_of(2.41, 4) == pytest.approx(0.7801, abs=5e-5)
    for ratio, n in ((1.38, 2), (2.41, 4)):
        assert lif_area.ratio_of(lif_area.share_of(ratio, n), n) == pytest.approx(ratio, rel=1e-12)
        low, high = lif_area.printed_shares(n)
        assert low < lif_area.share_of(ratio, n) < high
    assert lif_area.printed_shares(2)[1] < lif_area.printed_shares(4)[0], "no share in both: no affine law"


def test_no_affine_law_carries_one_point_to_the_other() -> None:
    expected = {2: 1 / (1 - lif_area.share_of(2.41, 4) / 2), 4: 1 / (1 - 0.75 * lif_area.share_of(1.38, 2))}
    for n, theirs in ((2, 1.38), (4, 2.41)):
        target = registry()[f"spikesim-lif.affine-c{n}"]
        measured = target.run()
        assert measured.value == pytest.approx(expected[n], rel=1e-12)
        assert target.published == theirs and verdict(target, measured) == TREND_ONLY


def test_overhead_that_would_reconcile_them_is_negative() -> None:
    overhead, share = lif_area.with_overhead()
    for n, ratio in ((2, 1.38), (4, 2.41)):
        assert 1 / (1 - share + share / n + overhead * (n - 1)) == pytest.approx(ratio, rel=1e-12)
    assert overhead < 0


def test_memory_of_the_tool_and_of_the_machine() -> None:
    assert sum(lif_area.neurons()) == 5 * 262144 + 4 * (131072 + 65536 + 32768)
    rows = beside(registry()["spikesim-lif.tool-c2"].run())
    five = rows["membrane memory of the first five layers, as the estimator counts"][1]
    assert five == pytest.approx(5 * 262144 * 22 * 0.7391e-6, rel=1e-12)
    assert [registry()[f"spikesim-lif.tool-c{n}"].run().value for n in (2, 4)] == [2.0, 4.0]
    for n in (2, 4):
        value = registry()[f"spikesim-lif.machine-c{n}"].run().value
        assert value is not None and n * 0.9 < value < n
    memory = lif_area.declared_area(1) - lif_area.declared_area(2)
    assert memory == pytest.approx(sum(lif_area.neurons()) * 22 * 0.7391e-12 / 2, rel=1e-9)


def test_another_area_can_be_given() -> None:
    chosen = {target.id: target for target in lif_area.targets(area=lambda n: 3.0 + 7.0 / n)}
    measured = chosen["spikesim-lif.machine-c4"].run()
    assert measured.value == pytest.approx(10 / 4.75)
    assert beside(measured)["share of the memory"][1] == pytest.approx(70)
    assert math.isclose(sum(chosen["spikesim-lif.machine-c2"].run().value or 0 for _ in "a"), 10 / 6.5)
