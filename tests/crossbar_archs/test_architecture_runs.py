"""RESPARC and ISAAC at work: counts by hand, three array sizes, what checks for zeros may and may not change."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.activity import Activity
from hwsim.run import simulate_activity
from tests.machines.tiny import network

Counts = dict[tuple[int, int], int]
SIZES = (32, 64, 128)


def run(architecture: str, workload: str, *overrides: str, **options: Any) -> tuple[Any, Activity]:
    return simulate_activity(architecture, workload, overrides=list(overrides), **options)


def total(activity: Activity, component: str, action: str) -> int:
    return sum(times for key, times in activity.counts.items() if key[3:] == (component, action))


def by_place(activity: Activity, component: str, action: str) -> Counts:
    """(layer, timestep) -> times."""
    found: Counts = defaultdict(int)
    for (_, layer, timestep, *name), times in activity.counts.items():
        if name == [component, action]:
            found[layer, timestep] += times
    return found


@pytest.fixture(scope="module")
def conv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two convolutions and two linear layers, 96 channels wide, so that a row of spikes is many packets."""
    folder = tmp_path_factory.mktemp("conv")
    return str(network(folder / "conv.npz", timesteps=3, channels=(8, 96), samples=1))


@pytest.mark.parametrize("workload", ["digits_mlp", "conv", "nmnist_mlp"])
def test_a_zero_check_moves_no_more_flits_and_changes_no_spike(workload: str, request: pytest.FixtureRequest) -> None:
    name = request.getfixturevalue("conv") if workload == "conv" else workload
    checked, plain = (run("resparc", name, f"noc.packets={kind}")[1] for kind in ("zero_checked", "bitmap"))
    for component in ("router", "link"):
        ours, most = (by_place(activity, component, "flit") for activity in (checked, plain))
        assert ours.keys() == most.keys()
        assert all(ours[place] <= most[place] for place in most)
        if workload == "nmnist_mlp":  # 37 packets of 64 inputs, 5 % of which spike: some packets are empty
            assert sum(ours.values()) < sum(most.values())
    assert checked.operations == plain.operations
    assert total(checked, "crossbar", "read") == total(plain, "crossbar", "read")
    if workload != "nmnist_mlp":  # a shape table has no output
        assert (checked.outcomes[0].output == plain.outcomes[0].output).all()


def test_arrays_without_an_active_row_are_not_read_and_the_result_stays(conv: str) -> None:
    skipped, read = (run("resparc", conv, f"options.zero_vectors={kind}")[1] for kind in ("skipped", "read"))
    assert total(skipped, "crossbar", "read") < total(read, "crossbar", "read")
    assert total(skipped, "pe_adder", "add") < total(read, "pe_adder", "add")
    for action in (("crossbar", "read_row"), ("driver", "drive"), ("neuron", "update"), ("router", "flit")):
        assert total(skipped, *action) == total(read, *action)
    assert (skipped.outcomes[0].output == read.outcomes[0].output).all()
    assert skipped.ticks[0] < read.ticks[0]


def test_all_three_sizes_run_and_larger_arrays_integrate_less() -> None:
    reads, arrays = [], []
    for size in SIZES:
        runner, activity = run("resparc", "digits_mlp", f"crossbar.rows={size}", f"crossbar.columns={size}")
        reads.append(by_place(activity, "pe_adder", "add"))
        arrays.append(runner.machine.arrays)
        # fc1 takes the image: the same rows are active whatever the arrays are
        assert activity.operations[0, 0] == 30208
        assert sum(n for (layer, _), n in by_place(activity, "driver", "drive").items() if layer == 0) == (
            30208 // 64 * 2 * -(-64 // (size // 2))
        ), "each active row is driven in both slices of every column block"
    assert arrays == [2 * 2 * 4 + 2 * 2, 2 * 2 + 2, 2 + 2], "slices x row blocks x column blocks, fc1 and fc2"
    fc1 = [sum(n for (layer, _), n in found.items() if layer == 0) for found in reads]
    assert fc1[0] > fc1[1] == fc1[2], "two row blocks of 32, then one"
    assert fc1[1] % (2 * 2 * 64) == 0, "a read integrates every column: slices x pair x filters"


def test_a_neuron_of_resparc_has_no_converter_and_no_memory() -> None:
    runner, activity = run("resparc", "digits_mlp")
    components = {key[3] for key in activity.counts}
    assert not components & {"adc", "mux", "diff"}
    prices = runner.price_list().prices
    assert prices["membranes", "read"].value == prices["membranes", "write"].value == 0
    assert prices["pe_adder", "add"].value > 0


def test_activations_of_an_ann_go_through_isaac_bit_by_bit() -> None:
    """fc2 of VGG5: 1024 inputs of 8 bits, 10 outputs: 8 row blocks, 4 cells a weight."""
    runner, activity = run("isaac", "vgg5_ann", layers=(4, 5))
    planes, blocks, slices, filters = 8, 8, 4, 10
    assert runner.machine.arrays == blocks * slices
    assert total(activity, "crossbar", "read") == planes * blocks * slices
    assert total(activity, "adc", "convert") == planes * blocks * slices * filters
    assert total(activity, "diff", "subtract") == planes * blocks * filters
    # the planes overlap conversions with the next read: 128 ticks each, and the last conversions
    busy = {key[3]: ticks for key, ticks in activity.cycles.items() if key[2] == "crossbar"}["busy"]
    assert busy == planes * 128 * blocks * slices


def test_without_wires_and_spread_isaac_computes_what_the_network_says() -> None:
    """Converters of 8 bits on exact currents: a few percent of error; with wires offset weights drown in it."""
    errors = {}
    wires = (
        "crossbar.driver=1 kohm",
        "crossbar.sense=1 kohm",
        "crossbar.row_wire=5 ohm",
        "crossbar.column_wire=10 ohm",
    )
    for name, overrides in (("exact", ()), ("wires", wires)):
        runner, _ = run("isaac", "vgg5_ann", *overrides, layers=(4, 5))
        placed = runner.placed[0]
        inputs = runner.spikes(0).inputs.at(placed.name, 0).reshape(1, 1, 1, -1)
        made = runner.frozen.layers[placed.name].product.psums(inputs, 1, 0).reshape(-1)
        right = np.asarray(runner.ideal.layers[placed.name].matrix, dtype=np.int64) @ inputs.reshape(-1)
        errors[name] = float(np.sqrt(((made - right) ** 2).mean() / right.std() ** 2))
    assert errors["exact"] < 0.1
    assert errors["wires"] > 3 * errors["exact"]


def test_both_machines_run_both_kinds_of_network(tmp_path: Path) -> None:
    """So that compare can set every pair side by side."""
    spiking = str(network(tmp_path / "snn.npz", timesteps=2, samples=1))
    for architecture in ("resparc", "isaac"):
        for workload, layers in ((spiking, None), ("vgg5_ann", (4, 5))):
            _, activity = run(architecture, workload, layers=layers)
            assert activity.ticks[0] > 0
