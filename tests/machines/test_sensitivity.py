"""Intervals of time: the machine is run at both ends of what is known of the DRAM."""

from __future__ import annotations

import math

import pytest

from hwsim.run import simulate
from tests.machines.tiny import network


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", samples=2)


def cycles(tiny, bandwidth):
    return simulate("sata", tiny, dataflow="os", accuracy=0, overrides=[f"dram.bandwidth={bandwidth}"]).totals["cycles"]


def test_the_interval_of_latency_is_that_of_runs_at_its_ends(tiny):
    """12.8 GB/s x 4: the 95 % points are a factor of 4^1.96 away. The DRAM's latency adds little, in quadrature."""
    result = simulate("sata", tiny, dataflow="os", accuracy=0)
    low, high = result.intervals["latency_s"]
    value = result.totals["latency_s"]
    factor = 4**1.959964
    slow, fast = cycles(tiny, f"{12.8 / factor:.9f} GB/s"), cycles(tiny, f"{12.8 * factor:.9f} GB/s")
    assert high - value >= (slow - result.totals["cycles"]) * 2.5e-9 * (1 - 1e-9)
    assert value - low >= (result.totals["cycles"] - fast) * 2.5e-9 * (1 - 1e-9)
    assert math.isclose(high - value, (slow - result.totals["cycles"]) * 2.5e-9, rel_tol=0.05)


def test_other_totals_follow(tiny):
    wide = simulate("sata", tiny, dataflow="os", accuracy=0)
    known = simulate(
        "sata", tiny, dataflow="os", accuracy=0, overrides=["dram.bandwidth=12.8 GB/s", "dram.latency=20 ns"]
    )
    assert "latency_s" not in known.intervals or known.intervals["latency_s"][0] == known.totals["latency_s"]
    for name in ("energy_J", "edp_Js"):
        spread = [result.intervals[name][1] - result.totals[name] for result in (wide, known)]
        assert spread[0] > spread[1] * (1 + 1e-9)
        assert wide.intervals[name][0] > 0


def test_the_note_says_what_it_does(tiny):
    notes = simulate("sata", tiny, accuracy=0).notes
    assert any(note.startswith("dram.bandwidth 12.8 GB/s x/÷ 4 (95 %): latency ") for note in notes)
    for note in notes:
        if "latency " in note and note.startswith("dram."):
            low, high = (float(factor.removesuffix("x")) for factor in note.rpartition(": latency ")[2].split(" to "))
            assert low <= high, note
