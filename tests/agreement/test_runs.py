"""Whole runs at depth 'process' equal those at 'kernel' in every count, cycle, span and outcome."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from tests.machines.tiny import network

ARRAY = ["array.rows=4", "array.columns=4"]
CASES = [
    ("tick-batch", []), ("os", []), ("ws", []), ("is", []), ("ws/inner", []), ("is/inner", []), ("os/block:2", []),
    ("os", ["options.zero_spikes=skipped"]), ("tick-batch", ["options.lif_sharing=4"]),
    ("os/network", ["options.early_exit={threshold: 0.97, block: 1}"]), ("os", ["array.fold_overlap=true"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(4, 4), size=4, timesteps=2, samples=2)


@pytest.mark.parametrize("dataflow, overrides", CASES)
def test_depths_agree_on_whole_runs(tiny, dataflow, overrides):
    plain, kernel = (simulate_activity("sata", tiny, dataflow=dataflow, overrides=[*ARRAY, *overrides], depth=depth,
                                       order_seed=seed, samples=2)[1]
                     for depth, seed in (("process", 7), ("kernel", None)))  # fmt: skip
    assert plain.counts == kernel.counts
    assert plain.cycles == kernel.cycles
    assert (plain.latency, plain.span, plain.ticks) == (kernel.latency, kernel.span, kernel.ticks)
    assert plain.operations == kernel.operations
    for one, other in zip(plain.outcomes, kernel.outcomes, strict=True):
        assert (one.prediction, one.timesteps) == (other.prediction, other.timesteps)
        assert np.array_equal(one.output, other.output)


def test_work_that_would_take_minutes_is_refused(tmp_path):
    path = network(tmp_path / "large.npz", channels=(64, 64), size=32, timesteps=4)
    with pytest.raises(SpecError, match="depth 'process' would take about"):
        simulate_activity("sata", path, depth="process")
