"""What must hold in every run: operations once each, time adds up, rows add up, gating does not move memory."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hwsim.machines.systolic.build import build
from hwsim.machines.systolic.dataflow import parse
from hwsim.run import simulate, simulate_activity
from hwsim.workload import save
from hwsim.workload.importers import import_file
from tests.machines.tiny import network

TRACES = Path(__file__).parents[3] / "shared" / "traces"
"""Spikes recorded by others, beside the checkout where a user has them; not part of the project."""

DATAFLOWS = (
    "tick-batch",
    "os",
    "ws",
    "is",
    "ws/inner",
    "is/inner",
    "os/network",
    "ws/network",
    "os/block:2",
    "ws/block:2",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz")


def dense_operations(runner, number):
    """Synaptic operations counted from the spikes by plain NumPy: im2col, ones, filters."""
    spikes, counts = runner.spikes(number), {}
    for schedule in runner.schedules:
        work, layer = schedule.work, schedule.work.layer
        g, total = layer.geometry, 0
        for t in range(spikes.timesteps):
            x = np.asarray(spikes.at(layer.name, t)).reshape(g.C, g.H, g.W)
            ones = np.unpackbits(x.astype(np.uint8)[..., None], axis=-1).sum(-1) if work.planes > 1 else (x != 0)
            padded = np.pad(ones.astype(np.int64), ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x)))
            for r in range(g.R):
                for s in range(g.S):
                    view = padded[:, r * g.dilation_y :, s * g.dilation_x :][:, :: g.stride_y, :: g.stride_x]
                    total += int(view[:, : g.E, : g.F].sum()) * (g.M // g.groups)
        counts[work.index] = total
    return counts


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_every_synaptic_operation_is_in_exactly_one_tile(tiny, dataflow):
    runner, activity = simulate_activity("sata", tiny, dataflow=dataflow)
    expected = dense_operations(runner, 0)
    assert {layer: activity.operations[0, layer] for layer in expected} == expected
    accumulates = sum(v for (_, _, _, c, a), v in activity.counts.items() if (c, a) == ("pe", "accumulate"))
    assert accumulates == sum(expected.values())


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_busy_stall_and_idle_fill_the_time(tiny, dataflow):
    runner, activity = simulate_activity("sata", tiny, dataflow=dataflow, samples=2)
    units = {"array": 1, "pe": runner.machine.pes, "lif": runner.machine.lif_units, "dram": 1}
    for sample in (0, 1):
        for component, count in units.items():
            states = {}
            for (number, _, name, state), value in activity.cycles.items():
                if (number, name) == (sample, component):
                    assert value > 0, (component, state)
                    states[state] = states.get(state, 0) + value
            assert sum(states.values()) == activity.ticks[sample] * count, (component, states)
        latency = sum(value for (number, _), value in activity.latency.items() if number == sample)
        assert latency == activity.ticks[sample]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_rows_add_up_to_the_totals(tiny, dataflow):
    result = simulate("sata", tiny, dataflow=dataflow, samples=2, accuracy=0)
    energy = math.fsum(row.value for row in result.rows if row.metric == "energy") / 2
    assert math.isclose(energy, result.totals["energy_J"], rel_tol=1e-12)
    area = math.fsum(row.value for row in result.rows if row.metric == "area")
    assert math.isclose(area, result.totals["area_m2"], rel_tol=1e-12)
    low, high = result.intervals["energy_J"]
    assert 0 < low < result.totals["energy_J"] < high


@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is"))
def test_gating_leaves_memory_alone(tmp_path, dataflow):
    """SRAM and DRAM accesses do not depend on spike density; accumulates do."""
    counts = []
    for density in (0.02, 0.6):
        table = tmp_path / f"d{density}.yaml"
        table.write_text(f"""schema: hwsim/shapes/1
name: shapes
timesteps: 4
layers:
  - {{name: conv1, op: conv2d, input: [16, 10, 10], channels: 24, kernel: 3, stride: 1, padding: 1, density: {density}}}
  - {{name: fc1, op: linear, input: [300], channels: 40, density: {density}, connected: false}}
""")
        _, activity = simulate_activity("sata", table, dataflow=dataflow)
        counts.append({})
        for (_, layer, _, component, action), value in activity.counts.items():
            counts[-1][layer, component, action] = counts[-1].get((layer, component, action), 0) + value
    thin, thick = counts
    memory = [key for key in thick if key[1] == "dram" or key[1].endswith("_buffer")]
    assert len(memory) >= 10
    assert all(thin[key] == thick[key] for key in memory)
    assert thick[0, "pe", "accumulate"] > 10 * thin[0, "pe", "accumulate"]


def test_the_order_in_which_processes_start_changes_nothing(tiny):
    runs = [simulate_activity("sata", tiny, dataflow="ws", order_seed=seed)[1] for seed in (None, 1, 2, 3)]
    assert all(
        run.counts == runs[0].counts and run.cycles == runs[0].cycles and run.ticks == runs[0].ticks for run in runs
    )


def test_a_sample_starts_on_an_idle_machine(tiny):
    """Simulating a sample after another gives what simulating it alone gives."""
    _, both = simulate_activity("sata", tiny, samples=2)
    _, one = simulate_activity("sata", tiny, samples=1)
    assert both.ticks[0] == one.ticks[0]
    first = {key[1:]: value for key, value in both.counts.items() if key[0] == 0}
    assert first == {key[1:]: value for key, value in one.counts.items()}


def test_build_describes_what_it_rounds():
    from hwsim.components.registry import load

    machine = build(load("sata"), parse("os"))
    assert machine.dram.latency_ticks == 8
    assert machine.rounding == ("dram.latency: 7.96 ticks rounded up to 8",)


@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is"))
@pytest.mark.parametrize("traces", [TRACES] if TRACES.is_dir() else [])
def test_a_recorded_vgg9_does_80_595_072_synaptic_operations(tmp_path, traces, dataflow):
    """conv2d_1..5 and fc_0 of a network that others trained (Prosperity, HPCA 2025), of 620,756,992 dense ones."""
    spec, arrays = import_file(traces / "vgg9_cifar10.npz", shapes=traces / "vgg9_cifar10.json")
    save(tmp_path / "trace.npz", spec, arrays)
    runner, activity = simulate_activity("sata", tmp_path / "trace.npz", dataflow=dataflow, layers=(1, 7))
    assert sum(activity.operations.values()) == 80_595_072
    assert 4 * sum(schedule.work.geometry.dense_operations for schedule in runner.schedules) == 620_756_992
