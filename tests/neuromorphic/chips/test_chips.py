"""Every chip: its numbers have sources, guesses have wide errors, it synchronises as published, and it runs."""

from __future__ import annotations

import math

import pytest

from hwsim.architecture import Architecture
from hwsim.components import registry
from hwsim.cost import bounds
from hwsim.units import Quantity

# Koopman et al., TMLR 2025, table 5: class of synchronisation, and forward group ("# neu/layer" or "# neu/core"). Of
# uBrain the class only: its neurons fire as spikes come, one at a time, where the table has "# neu/layer".
TABLE_5 = {
    "loihi": ("barrier", "layer"),
    "seneca": ("barrier", "layer"),
    "poets": ("barrier", "layer"),
    "seneca_timer": ("timer", "core"),
    "spinnaker": ("timer", "core"),
    "truenorth": ("timer", "core"),
    "poets_timer": ("timer", "core"),
    "speck": ("asynchronous", "layer"),
    "ubrain": ("asynchronous", 1),
}
OTHERS = {
    "loihi_fitted": ("barrier", "layer"),
    "loihi2": ("barrier", "layer"),
    "spinnaker2": ("timer", "core"),
    "pulsar": ("asynchronous", "layer"),
    "brainscales2": ("asynchronous", 1),
    "gpu": ("barrier", "layer"),
}
"""Successors as what they succeed; the rest as the paper's text or the physics of the chip says."""
CHIPS = TABLE_5 | OTHERS
GUESS = math.log(2)
"""The least error of a price that is a guess: a factor of two either way at one standard deviation."""


def prices(chip: Architecture) -> dict[str, Quantity]:
    """Energies of actions, areas and leakages that are above zero."""
    found = {path: quantity for path, quantity in chip.quantities() if quantity.unit in ("J", "W", "m^2")}
    return {path: quantity for path, quantity in found.items() if quantity.value}


@pytest.fixture(scope="module", params=CHIPS)
def chip(request: pytest.FixtureRequest) -> Architecture:
    return registry.load(request.param)


def test_synchronisation_is_that_of_the_published_table(chip: Architecture) -> None:
    assert (chip.components["sync"].class_name, chip.components["core"].parameters["group"]) == CHIPS[chip.name]
    if chip.components["sync"].class_name == "barrier":
        assert chip.components["sync"].parameters["per"] == "layer"


def test_every_number_has_a_source_and_every_price_an_error(chip: Architecture) -> None:
    for path, quantity in chip.quantities():
        known = quantity.source in chip.sources or quantity.source in (f"assumed:{path}", "not modelled", "none")
        assert known or path in ("components.sync.period", "components.sync.interval"), f"{path}: {quantity.source}"
    for path, quantity in prices(chip).items():
        assert quantity.sigma or quantity.log_sigma, path


def test_guesses_are_less_certain_than_what_was_published(chip: Architecture) -> None:
    for path, quantity in prices(chip).items():
        guess = quantity.source.startswith("assumed")
        assert quantity.log_sigma >= GUESS if guess else quantity.log_sigma <= GUESS, f"{path}: {quantity}"
        low, high = bounds(quantity)
        assert not guess or high / low > 15, path


def test_times_have_errors_too(chip: Architecture) -> None:
    for path, quantity in chip.quantities():
        if path.startswith("components") and quantity.unit == "s" and quantity.source.startswith("assumed"):
            if path.startswith("components.sync") or not quantity.value:
                continue
            assert quantity.sigma or quantity.log_sigma, path


def test_all_that_costs_nothing_says_where_it_is_paid(chip: Architecture) -> None:
    """A price of zero is a decision: it has a note in the file."""
    for name, part in chip.components.items():
        for action, price in part.actions.items():
            node = chip.root.value["components"].value[name].value["actions"].value[action]
            assert price.count_J or "note" in node.value, f"{chip.name}: {name}.{action}"
