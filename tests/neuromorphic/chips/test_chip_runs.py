"""Every chip runs a small network and refuses what it has no room for; Loihi beside another simulator of it."""

from __future__ import annotations

from collections import Counter

import pytest

import hwsim
from hwsim.activity import Activity
from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from tests.neuromorphic.chips.networks import all_fire, random_network
from tests.neuromorphic.chips.test_chips import CHIPS
from tests.neuromorphic.chips.test_published_energies import COUNTS

SMALLER = {"truenorth": ["core.count=64", "noc.rows=8", "noc.columns=8"]}
"""4096 routers take seconds to lay out; the whole chip is a slow test."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_network(tmp_path_factory.mktemp("networks") / "small.npz")


@pytest.fixture(scope="module")
def results(small: str) -> dict[str, hwsim.Result]:
    return {name: hwsim.simulate(name, small, accuracy=0, overrides=SMALLER.get(name, [])) for name in CHIPS}


def counts(activity: Activity) -> Counter[tuple[str, str]]:
    """(component, action) -> times."""
    found: Counter[tuple[str, str]] = Counter()
    for (_, _, _, component, action), times in activity.counts.items():
        found[component, action] += times
    return found


@pytest.mark.parametrize("name", CHIPS)
def test_a_small_network_runs(name: str, results: dict[str, hwsim.Result]) -> None:
    result = results[name]
    low, high = result.intervals["energy_J"]
    assert 0 < low < result.totals["energy_J"] < high
    assert result.totals["latency_s"] > 0
    assert any("assumed" in note for note in result.notes)


def test_intervals_are_wider_the_more_is_guessed(results: dict[str, hwsim.Result]) -> None:
    width = {name: result.intervals["energy_J"][1] / result.totals["energy_J"] for name, result in results.items()}
    assert width["loihi"] < width["loihi2"], "its prices are scaled guesses"
    assert width["spinnaker"] < width["spinnaker2"] and width["spinnaker"] < width["poets"]
    assert max(width["loihi"], width["spinnaker"], width["truenorth"]) < 5 < width["loihi2"]


def test_a_timer_lasts_and_a_barrier_does_not(results: dict[str, hwsim.Result]) -> None:
    """3 timesteps through 3 layers: 5 phases, with a timer all of one length."""
    for name in ("seneca", "poets"):
        assert results[f"{name}_timer"].totals["latency_s"] == pytest.approx(5e-3, rel=1e-4)
        assert results[name].totals["latency_s"] < 1e-4
    assert results["brainscales2"].totals["latency_s"] < 3 * 10e-6


@pytest.mark.slow
def test_the_whole_of_truenorth_runs(small: str, results: dict[str, hwsim.Result]) -> None:
    whole, part = hwsim.simulate("truenorth", small, accuracy=0), results["truenorth"]
    assert whole.totals["latency_s"] == part.totals["latency_s"]
    assert whole.totals["area_m2"] == pytest.approx(64 * part.totals["area_m2"])


def test_loihi_counts_what_the_other_simulator_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """350-128-128-128-20, inputs as neurons, all fire in 10 of 20 timesteps: their counts but for two of them.

    They update every neuron with a bias in every timestep; here a neuron is evaluated where it got current or is above
    its threshold: 7,540 updates less, 0.163 uJ of 30.886. Their tiles are numbered along columns, ours along rows, so
    the messages to the second tile go E-W: 1,280 x 1.2 pJ less. Barriers have no energy there: 4 nJ here.
    """
    network = all_fire(tmp_path_factory.mktemp("networks") / "all_fire.npz")
    runner, activity = simulate_activity("loihi_fitted", network)
    found = counts(activity)
    theirs = Counter(COUNTS)
    theirs["core", "update"] -= 7_540
    theirs["link", "flit_ew"] = theirs.pop(("link", "flit_ns"))
    assert {key: found[key] for key in theirs} == dict(theirs)
    prices = runner.price_list().prices
    energy_J = sum(found[key] * prices[key].value for key in found if key in prices)
    published_J = 28.445e-6 + 1.620e-6 + 0.8201e-6
    assert energy_J / published_J == pytest.approx(0.9948, abs=1e-4)
    assert energy_J - published_J == pytest.approx((-7_540 * 21.6 - 1_280 * 1.2 + 500 * 8) * 1e-12, abs=1e-9)


def test_what_does_not_fit_is_refused_with_the_way_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("networks")
    wide = random_network(folder / "wide.npz", (200, 300, 260, 4), 1)
    with pytest.raises(SpecError, match=r"layer fc1 of wide does not fit on 1 core .* are left; 3 cores would do"):
        hwsim.simulate("pulsar", wide, accuracy=0)
    with pytest.raises(SpecError, match=r"layer fc0 of wide: one neuron needs 200 axons in; a core has 128"):
        hwsim.simulate("truenorth", wide, accuracy=0, overrides=SMALLER["truenorth"])
    scaled = hwsim.simulate("pulsar", wide, accuracy=0, overrides=["options.capacity=scaled"])
    assert any("capacity scaled" in note for note in scaled.notes)
