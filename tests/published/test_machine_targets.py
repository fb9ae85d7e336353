"""Targets that run the machine: what the papers say in words must hold on executable schedules."""

from __future__ import annotations

import pytest

from hwsim.reproduce import machine, registry
from hwsim.reproduce.target import REPRODUCED, TREND_ONLY, verdict


def test_movement_and_the_rest_are_the_whole_energy() -> None:
    run = machine.simulate("digits_mlp", dataflow="os")
    parts = run.energy_by("component")
    moved = machine.movement_J(run)
    computed = sum(
        parts.get(name, 0.0) for name in parts if name not in ("dram",) and not str(name).endswith("_buffer")
    )
    assert 0 < moved < run.totals["energy_J"]
    assert moved + computed == pytest.approx(run.totals["energy_J"], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [("fig4b.machine-tick-batch", TREND_ONLY), ("fig4b.machine-os", TREND_ONLY), ("snn-ann.machine", REPRODUCED)],
)
def test_trends_hold_on_the_machine(name: str, expected: str) -> None:
    target = registry()[name]
    assert verdict(target, target.run()) == expected
