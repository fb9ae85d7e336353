"""What must hold in every run: operations once each, time adds up, rows add up, money is counts times prices."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate, simulate_activity
from tests.crossbar.networks import SMALL, Drawn, machine, write
from tests.machines.tiny import network

SCHEDULES = ("pipelined", "by-timestep", "sequential")
OPTIONS = {
    "shipped": [],
    "held": [*SMALL, "options.sample_hold=true", "mapping.scheme=im2col"],
    "read": [*SMALL, "options.zero_vectors=read", "mapping.encoding=differential_pair"],
    "copies": [*SMALL, "mapping.replication={conv1: 3, fc1: 2}", "mapping.first_layer=mapped"],
    "digital": [*SMALL, "mapping.linear=digital", "noc.multicast=true"],
    "exit": [*SMALL, "options.early_exit={threshold: 0.99}"],
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(6, 10), size=6, timesteps=3)


def dense_operations(runner, number):
    """Synaptic operations counted from the spikes by plain NumPy: padded input, ones, filters."""
    spikes, counts = runner.spikes(number), {}
    for index, layer in enumerate(runner.workload.weighted):
        g, total = layer.geometry, 0
        for t in range(spikes.timesteps):
            x = np.asarray(spikes.at(layer.name, t)).reshape(g.C, g.H, g.W)
            ones = np.unpackbits(x.astype(np.uint8)[..., None], axis=-1).sum(-1)
            padded = np.pad(ones.astype(np.int64), ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x)))
            for r in range(g.R):
                for s in range(g.S):
                    view = padded[:, r * g.dilation_y :, s * g.dilation_x :][:, :: g.stride_y, :: g.stride_x]
                    total += int(view[:, : g.E, : g.F].sum()) * g.M
        counts[0, index] = total
    return counts


@pytest.mark.parametrize("dataflow", SCHEDULES)
@pytest.mark.parametrize("scheme", ("kernel", "im2col"))
def test_every_synaptic_operation_is_in_exactly_one_tile(tiny, dataflow, scheme):
    overrides = [*SMALL, f"mapping.scheme={scheme}", "mapping.replication={conv1: 2}"]
    runner, activity = simulate_activity("spikesim", tiny, dataflow=dataflow, overrides=overrides)
    assert activity.operations == dense_operations(runner, 0)


def units_of(machine):
    arrays = machine.arrays
    counts = {
        "crossbar": arrays, "adc": arrays * machine.adcs, "h_tree": machine.plan.tiles, "global_adder": 1, "neuron": 1,
        "link": len(machine.topology.links), "global_buffer": 1,
    }  # fmt: skip
    counts |= {"entropy": 1} if machine.exit_rule else {}
    return counts | ({"digital": 1} if any(placed.digital for placed in machine.plan.layers) else {})


def check_time(runner, activity, samples):
    for sample in samples:
        states = defaultdict(int)
        for (number, _, component, _), ticks in activity.cycles.items():
            assert ticks > 0
            states[component] += ticks * (number == sample)
        expected = {name: count * activity.ticks[sample] for name, count in units_of(runner.machine).items()}
        assert dict(states) == {name: ticks for name, ticks in expected.items() if ticks}
        latency = sum(ticks for (number, _), ticks in activity.latency.items() if number == sample)
        assert latency == activity.ticks[sample]
        spans = [span for (number, _), span in activity.span.items() if number == sample]
        assert max(last for _, last in spans) == activity.ticks[sample]
        assert all(0 < first < last for first, last in spans)


@pytest.mark.parametrize("dataflow", SCHEDULES)
@pytest.mark.parametrize("name", OPTIONS)
def test_busy_stall_and_idle_fill_the_time(tiny, dataflow, name):
    runner, activity = simulate_activity("spikesim", tiny, dataflow=dataflow, overrides=OPTIONS[name], samples=2)
    check_time(runner, activity, (0, 1))


def test_time_adds_up_on_drawn_networks(tmp_path):
    ran = 0
    for seed in range(12):
        rng, builder = random.Random(seed + 100), Drawn(seed)
        builder.chain()
        path = write(tmp_path / "drawn.npz", builder, seed=seed)
        dataflow, overrides = machine(rng, builder.timesteps)
        try:
            runner, activity = simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides)
        except SpecError as error:
            assert "cannot share" in str(error)
            continue
        check_time(runner, activity, (0,))
        ran += 1
    assert ran >= 9


@pytest.mark.parametrize("name", OPTIONS)
def test_rows_add_up_to_the_totals(tiny, name):
    result = simulate("spikesim", tiny, overrides=OPTIONS[name], samples=2, accuracy=0)
    energy = math.fsum(row.value for row in result.rows if row.metric == "energy" and row.phase == "inference") / 2
    assert math.isclose(energy, result.totals["energy_J"], rel_tol=1e-12)
    area = math.fsum(row.value for row in result.rows if row.metric == "area")
    assert math.isclose(area, result.totals["area_m2"], rel_tol=1e-12)
    latency = math.fsum(row.value for row in result.rows if row.metric == "latency") / 2
    assert math.isclose(latency, result.totals["latency_s"], rel_tol=1e-12)
    low, high = result.intervals["energy_J"]
    assert 0 < low < result.totals["energy_J"] < high


@pytest.mark.parametrize("leaks", (True, False))
def test_energy_is_counts_times_prices_and_leakage_times_time(tiny, leaks):
    """All worked out again from the architecture's own numbers; the ADC's comes from its table by resolution."""
    overrides = [*SMALL, f"options.leakage={str(leaks).lower()}"]
    runner, activity = simulate_activity("spikesim", tiny, overrides=overrides)
    result = simulate("spikesim", tiny, overrides=overrides, accuracy=0)
    spec, units = runner.architecture, runner.machine.instances(runner.neurons)
    tick_s = 1 / 250e6
    joules = sum(times * spec.components[key[3]].actions[key[4]].count_J for key, times in activity.counts.items()
                 if key[4] != "clipped")  # fmt: skip
    unused = {"entropy", "digital"}  # no early exit, nothing added or computed there
    watts, square_metres = 0.0, 0.0
    for name, part in spec.components.items():
        watts += 0 if name in unused else units[name] * part.leakage.value
        square_metres += 0 if name in unused else units[name] * part.area.value
    joules += watts * activity.ticks[0] * tick_s * leaks
    assert math.isclose(result.totals["energy_J"], joules, rel_tol=1e-12)
    assert math.isclose(result.totals["area_m2"], square_metres, rel_tol=1e-12)
    assert math.isclose(result.totals["latency_s"], activity.ticks[0] * tick_s, rel_tol=1e-12)
    assert math.isclose(result.totals["edp_Js"], joules * activity.ticks[0] * tick_s, rel_tol=1e-12)


def test_the_price_of_a_conversion_follows_its_resolution(tiny):
    """2.03084 pJ at 6 bits and 1.675 pJ at 5 bits, on the same reads."""
    found = []
    for bits in (5, 6):
        result = simulate("spikesim", tiny, overrides=[f"adc.bits={bits} bit"], layers=(0, 1), accuracy=0)
        rows = [row for row in result.rows if (row.component, row.action) == ("adc", "convert")]
        times = sum(row.value for row in rows if row.metric == "count")
        found.append(sum(row.value for row in rows if row.metric == "energy") / times)
    assert found == pytest.approx([1.675e-12, 2.03084e-12], rel=1e-9)


def test_a_residual_addition_has_its_adder(tmp_path):
    """What adds edges is the digital unit: its additions, its area, its leakage are there."""
    from tests.network.snn_builder import Builder

    builder = Builder((2, 4, 4), 2)
    fires = {"type": "if", "threshold": 0.5}
    for name in ("left", "right"):
        builder.weighted("conv2d", (3, 2, 3, 3), {"type": "none"}, name=name, inputs=["input"], kernel=[3, 3],
                         padding=[1, 1])  # fmt: skip
    builder.add("add", "sum", inputs=["left", "right"], neuron=fires)
    builder.add("flatten", inputs=["sum"])
    builder.weighted("linear", (4, 48), {"type": "none"}, name="out")
    path = write(tmp_path / "sum.npz", builder)
    runner, activity = simulate_activity("spikesim", path, overrides=SMALL)
    per_timestep = {key[2]: times for key, times in activity.counts.items() if key[3:] == ("digital", "add")}
    assert per_timestep == {0: 48, 1: 48}
    updates = {key[1:3]: times for key, times in activity.counts.items() if key[3:] == ("neuron", "update")}
    assert updates == {(0, 0): 48, (0, 1): 48}  # of the sum, booked for the first layer behind it
    lines = {key[2:]: times for key, times in activity.counts.items() if key[3] == "membranes"}
    assert lines == {(0, "membranes", "write"): 4 * 5, (1, "membranes", "read"): 4 * 5}  # 12 x 22 bits a row
    assert runner.neurons == 48
    result = simulate("spikesim", path, overrides=SMALL, accuracy=0)
    assert any(row.component == "digital" and row.metric == "area" for row in result.rows)
    assert any(row.component == "digital" and row.action == "leakage" for row in result.rows)


def test_a_sample_starts_on_an_idle_chip(tiny):
    """Simulating a sample after another gives what simulating it alone gives."""
    _, both = simulate_activity("spikesim", tiny, samples=2, overrides=SMALL)
    _, one = simulate_activity("spikesim", tiny, overrides=SMALL)
    assert both.ticks[0] == one.ticks[0]
    assert {key[1:]: times for key, times in both.counts.items() if key[0] == 0} == {
        key[1:]: times for key, times in one.counts.items()
    }


def test_build_says_what_it_rounds(tiny):
    runner, _ = simulate_activity("spikesim", tiny, layers=(3, 4), overrides=["crossbar.read_time=9 ns"])
    assert runner.machine.timing.read == 3
    assert "crossbar.read_time: 2.25 ticks rounded up to 3" in runner.describe()
