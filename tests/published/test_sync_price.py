"""The price of synchronisation: same cores and function where it must be so, parts that add up, statements, sweeps."""

from __future__ import annotations

import numpy as np
import pytest

import hwsim
from hwsim import reproduce
from hwsim.components.registry import load
from hwsim.reproduce import hashing, report, sync_price, sync_price_sweeps
from hwsim.reproduce.shapes import published
from hwsim.reproduce.sync_price_runs import (
    AFTER_8,
    BARRIER,
    DONE,
    FREE,
    GROUP_1,
    GROUP_8,
    REAL_TIME,
    TIGHT,
    TIMESTEP,
    UNTIL_OUTPUT,
    Case,
    Condition,
    prepared,
    settings_of,
    tight_interval,
)
from hwsim.reproduce.sync_price_tables import SHORT, rows, steps
from hwsim.reproduce.target import TREND_ONLY, verdict

CHIPS = tuple(published("sync_price")["chips"])
ALL = (BARRIER, FREE, TIMESTEP, TIGHT, REAL_TIME, DONE, AFTER_8, UNTIL_OUTPUT, GROUP_8, GROUP_1)
SAME = (BARRIER, FREE, TIMESTEP, TIGHT)
"""Conditions of one function, spike for spike."""
FEW = 4
TARGETS = {target.id: target for target in sync_price.targets(FEW)}


def case(chip: str = "seneca", network: str = "events_digits_rs", samples: int = FEW) -> Case:
    return Case(chip, network, samples)


# --- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_conditions_differ_in_the_synchronisation_only(chip: str) -> None:
    """Same cores, places, prices; beside them: what the condition's name says."""
    machines = {condition: prepared(case(chip), condition).machine for condition in ALL}
    base = machines[BARRIER]
    for condition, machine in machines.items():
        assert np.array_equal(machine.placement.first, base.placement.first), condition
        assert machine.instances() == base.instances(), condition
        for name, part in machine.architecture.components.items():
            if name == "sync":
                continue
            parameters, wanted = dict(part.parameters), dict(base.architecture.components[name].parameters)
            if name == "core" and "F" in condition.name:
                wanted["group"] = int(condition.name[-1])
            assert parameters == wanted, (condition, name)
            assert part.actions == base.architecture.components[name].actions, (condition, name)
        kind = {"none": "asynchronous"}.get(condition.kind, condition.kind)
        assert machine.sync == kind and (machine.options["stop"] == "output") == ("output" in condition.name)


@pytest.mark.parametrize("chip", CHIPS)
def test_what_a_chip_has_is_taken_as_it_is(chip: str) -> None:
    own = load(chip).components["sync"]
    made = prepared(case(chip), REAL_TIME if own.class_name == "timer" else BARRIER).architecture.components["sync"]
    assert made.class_name == own.class_name and made.actions == own.actions
    assert own.class_name in published("sync_price")["chips"][chip]["said"]


@pytest.mark.parametrize("chip", CHIPS)
def test_synchronised_conditions_compute_the_same(chip: str) -> None:
    """Barriers, per layer or timestep, free or not, and a timer in which nothing is late: spike for spike."""
    seen = [case(chip).run(condition) for condition in SAME]
    for other in seen[1:]:
        for name in ("right", "emitted", "synapses", "updates", "messages"):
            assert (getattr(other, name) == getattr(seen[0], name)).all(), name
    assert not seen[-1].late.any()
    assert (
        seen[0].right.mean()
        == hwsim.simulate(
            chip, case(chip).network, overrides=settings_of(case(chip), TIGHT), depth="pass", accuracy=FEW
        ).totals["accuracy"]
    )


def test_the_tight_interval_is_tight() -> None:
    """A fifth less and something comes late."""
    shorter = float(tight_interval(case()).removesuffix(" ps")) * 0.8
    timer = Condition("timer, shorter", "timer", (f"{shorter:.0f} ps",))
    assert case().run(timer).late.any() and not case().run(TIGHT).late.any()


# --- what is measured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ALL, ids=lambda condition: condition.name)
def test_energies_and_times_are_those_of_a_simulation(condition: Condition) -> None:
    seen = case().run(condition)
    result = hwsim.simulate("seneca", case().network, overrides=settings_of(case(), condition), depth="pass",
                            samples=FEW, accuracy=FEW)  # fmt: skip
    assert seen.energy.mean() == pytest.approx(result.totals["energy_J"])
    assert seen.seconds.mean() == pytest.approx(result.totals["latency_s"])
    assert seen.right.mean() == result.totals["accuracy"]
    assert seen.sync.mean() == pytest.approx(result.energy_by("component").get("sync", 0.0))
    leakage = [row.value for row in result.rows if row.metric == "energy" and row.action == "leakage"]
    assert seen.static.mean() == pytest.approx(sum(leakage) / FEW)
    told = result.behaviour()
    assert seen.messages.mean() == pytest.approx(told["messages"]) and seen.signals.mean() == told["signals"]
    assert seen.core_time.sum(axis=1) == pytest.approx(np.ones(FEW))
    assert seen.working + seen.moving + seen.synchronising == pytest.approx(seen.seconds)


def test_a_free_barrier_costs_no_energy_and_a_tick_or_two() -> None:
    free, paid = case().run(FREE), case().run(BARRIER)
    assert not free.sync.any() and paid.sync.all() and free.synchronising.mean() < 0.02 * paid.synchronising.mean()
    assert paid.dynamic - paid.sync == pytest.approx(free.dynamic)
    assert free.signals == pytest.approx(paid.signals)


def test_steps_add_up_to_the_whole_way() -> None:
    ladder = (BARRIER, FREE, DONE, UNTIL_OUTPUT)
    made = steps(case(), ladder, "x")
    each = [row.ours for row in made if row.what.endswith(": energy")]
    assert sum(each[:-1]) == pytest.approx(each[-1]) and len(each) == len(ladder)  # type: ignore[arg-type]
    assert {row.unit for row in made if row.what.endswith("accuracy")} == {"points"}


# --- targets ---------------------------------------------------------------------------------------------------------


def test_every_target_names_what_it_ran() -> None:
    known = set(reproduce.registry())
    for name, target in TARGETS.items():
        assert name in known and not target.quick and target.published is None
        assert target.assumptions[0].startswith("trend: ") and "none asked" not in target.assumptions[0]
        assert len(hashing.digest(target)) == hashing.LENGTH
    assert {name.split(".")[-1] for name in TARGETS if name.startswith("sync-price.latency.")} == set(CHIPS)


@pytest.mark.parametrize("name", ["latency.seneca", "energy.seneca", "accuracy.seneca", "deployment.seneca"])
def test_a_chip_s_statement(name: str) -> None:
    target = TARGETS[f"sync-price.{name}"]
    found = target.run()
    assert found.value is not None and np.isfinite(found.value) and found.trend is not None
    tables, rest = report.pivot(report.rows_of(target, found, "x")[1:])
    assert tables and len(rest) <= 4
    names = [line[0] for line in tables[0][1]]
    assert len(names) == len(set(names))


def test_statements_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With barrier and none exchanged the same numbers say the opposite."""
    target = TARGETS["sync-price.latency.seneca"]
    before = target.run()
    monkeypatch.setattr(sync_price, "BARRIER", DONE)
    monkeypatch.setattr(sync_price, "DONE", BARRIER)
    after = target.run()
    assert before.value == pytest.approx(1 / after.value)  # type: ignore[operator]
    assert verdict(target, before) == TREND_ONLY and verdict(target, after) != TREND_ONLY


def test_a_barrier_s_latency_costs_time_in_every_phase() -> None:
    found = sync_price_sweeps.latency(case())
    told = {row.what: row.ours for row in found.beside}
    phases = 10 * 4  # timesteps, layers
    grown = told["barrier of 60000 ns: time"] - told["barrier of 6000 ns: time"]  # type: ignore[operator]
    assert grown == pytest.approx((phases - 1) * 54.0) and found.trend


def test_sweeps_change_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_price_sweeps, "NETWORK", "events_digits_rs")
    monkeypatch.setattr(sync_price_sweeps, "NEURONS", (64, 16))
    monkeypatch.setattr(sync_price_sweeps, "TIMESTEPS", (2, 4))
    cores = {row.what: row.ours for row in sync_price_sweeps.cores(2).beside}
    assert cores["4 cores, barrier: synapses"] == cores["13 cores, barrier: synapses"]
    assert cores["4 cores, barrier: signals"] == 40 * 4 and cores["13 cores, barrier: signals"] == 40 * 13
    steps_ = {row.what: row.ours for row in sync_price_sweeps.timesteps(2).beside}
    assert steps_["2 timesteps, barrier: signals"] == 2 * 4 * 4 == steps_["4 timesteps, barrier: signals"] / 2  # type: ignore[operator]


def test_tables_are_means_over_samples() -> None:
    seen = case().run(BARRIER)
    told = {row.what: (row.ours, row.unit) for row in rows(SHORT, [("x", seen)])}
    assert told["x: time"] == (pytest.approx(1e6 * seen.seconds.mean()), "us")
    assert told["x: accuracy"] == (100 * seen.right.mean(), "%")


def test_a_chip_with_a_timer_keeps_it_and_one_with_barriers_too() -> None:
    assert any(part.startswith("sync.interval=") for part in settings_of(case("spinnaker"), TIGHT))
    assert settings_of(case(), BARRIER) == ()
