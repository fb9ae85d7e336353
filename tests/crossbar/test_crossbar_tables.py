"""Workloads without weights: shape tables and recorded spikes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hwsim.run import simulate, simulate_activity
from hwsim.workload import save
from hwsim.workload.importers import import_file
from tests.crossbar.test_crossbar_recount import compare
from tests.workload.test_workload_importers import recorded

SHAPES = Path(__file__).parents[2] / "workloads" / "shapes"
TABLE = """schema: hwsim/shapes/1
name: table
timesteps: 3
density: 0.3
layers:
  - {name: conv1, op: conv2d, input: [6, 7, 5], channels: 9, kernel: 3, stride: 2, padding: 1}
  - {name: conv2, op: conv2d, input: [9, 4, 3], channels: 5, kernel: 1, connected: false, input_bits: 3}
  - {name: fc1, op: linear, input: [70], channels: 12, connected: false, density: 0.02}
"""
SMALL = ["crossbar.rows=8", "crossbar.columns=8"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize("dataflow", ("pipelined", "by-timestep", "sequential"))
def test_a_table_is_counted_like_a_network(table, dataflow):
    for overrides in (SMALL, [*SMALL, "mapping.scheme=im2col", "mapping.replication={conv1: 2}", "noc.multicast=true"]):
        runner, activity = simulate_activity("spikesim", table, dataflow=dataflow, overrides=overrides)
        compare(runner, activity)
        assert activity.outcomes[0].prediction is None


def test_drawn_spikes_follow_the_density(tmp_path):
    """Ten times the density, about ten times the operations; memory and network carry the same rows."""
    found = []
    for density in (0.02, 0.2):
        path = tmp_path / f"{density}.yaml"
        path.write_text(re.sub(r"density: [0-9.]+", f"density: {density}", TABLE))
        found.append(simulate_activity("spikesim", path, overrides=SMALL)[1])
    thin, thick = (sum(activity.operations.values()) for activity in found)
    assert 7 < thick / thin < 14
    rows = [{key: times for key, times in activity.counts.items() if key[3] in ("router", "link", "global_buffer")}
            for activity in found]  # fmt: skip
    assert rows[0] == rows[1]


def test_recorded_spikes(tmp_path):
    spikes, geometry = recorded(tmp_path)
    save(tmp_path / "trace.npz", *import_file(spikes, geometry))
    runner, activity = simulate_activity("spikesim", tmp_path / "trace.npz", overrides=SMALL)
    with np.load(spikes) as archive:
        # 8 planes of 255 under a 3 x 3 kernel on 4 x 4 ones: 4 corners see 4, 8 edges 6, 4 inner ones 9
        assert activity.operations[0, 0] == 4 * 8 * 2 * (4 * 4 + 8 * 6 + 4 * 9)
        assert activity.operations[0, 1] == 10 * int(archive["fc1"].sum())
    compare(runner, activity)


def energies(result):
    found = {}
    for row in result.rows:
        if row.metric == "energy" and row.phase == "inference":
            found[row.component] = found.get(row.component, 0.0) + row.value
    return found


@pytest.mark.slow
def test_shipped_tables_are_of_a_sensible_size():
    """VGG9 and VGG16: synaptic operations are those of the densities, time lies in the first layer, ADCs cost most."""
    for name, timesteps, more in (("vgg9_cifar10", 4, []), ("vgg16_tinyimagenet", 1, ["tile_buffer.capacity=2 KiB"])):
        path = SHAPES / f"{name}.yaml"
        runner, activity = simulate_activity("spikesim", path, timesteps=timesteps, overrides=more)
        for index, layer in enumerate(runner.workload.weighted[1:], start=1):
            g = layer.geometry
            wanted = timesteps * g.M * g.K * g.E * g.F * layer.density
            assert 0.65 * wanted < activity.operations[0, index] < 1.1 * wanted  # padding takes up to 44 of 144 taps
        assert activity.latency[0, 0] > 0.5 * activity.ticks[0]
        result = simulate("spikesim", path, timesteps=timesteps, overrides=more, accuracy=0)
        costs = energies(result)
        assert max(costs, key=lambda part: costs[part]) == "adc"
        assert 10e-6 < result.totals["energy_J"] < 1e-3
        assert 1e-3 < result.totals["latency_s"] < 10e-3
        assert activity.events < 250_000
