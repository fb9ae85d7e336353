"""Whole runs against an independent count: all accesses of all memories, cycles of the array, random machines."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from hwsim.workload import save
from tests.machines.recount import Recount
from tests.machines.tiny import conv, linear, network

DATAFLOWS = (
    "os", "ws", "is", "tick-batch", "ws/inner", "is/inner", "os/network", "ws/network", "is/network", "os/block:2",
    "ws/block:2", "is/block:2",
)  # fmt: skip
ELSEWHERE = {("pe", "accumulate"), ("pe", "weight_spad_read"), ("pe", "clock"), ("lif", "clock"),
             ("multiplier", "multiply"), ("pe", "activate"), ("entropy", "evaluate")}  # fmt: skip
"""Counts that depend on the spikes, or on time; checked by other tests."""


def counted(activity):
    found = Counter()
    for (_, layer, _, component, action), times in activity.counts.items():
        if (component, action) not in ELSEWHERE:
            found[layer, component, action] += times
    return found


def cycles(activity, state):
    return Counter({key[1]: value for key, value in activity.cycles.items() if key[2:] == ("array", state)})


def compare(runner, activity):
    again = Recount(runner, activity.outcomes[0].timesteps)
    assert counted(activity) == again.counts
    assert cycles(activity, "busy") == again.busy
    assert cycles(activity, "stall:port") == again.stalled


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", timesteps=5)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_network(tiny, dataflow):
    compare(*simulate_activity("sata", tiny, dataflow=dataflow))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_network_in_small_buffers(tiny, dataflow):
    """Blocks of every operand, partial sums that wait, membranes in DRAM; units shared by two channels."""
    small = ["weight_buffer.capacity=512 B", "ifmap_buffer.capacity=384 B", "ofmap_buffer.capacity=1 KiB",
             "array.rows=4", "array.columns=4", "options.lif_sharing=2"]  # fmt: skip
    runner, activity = simulate_activity("sata", tiny, dataflow=dataflow, overrides=small)
    assert any(s.nest.m_block < s.work.geometry.M for s in runner.schedules)
    compare(runner, activity)


@pytest.mark.parametrize("dataflow", ("tick-batch", "ws", "is/inner"))
def test_inputs_that_are_spikes_and_words_taken_whole(tmp_path, tiny, dataflow):
    compare(*simulate_activity("sata", network(tmp_path / "p.npz", direct=False), dataflow=dataflow))
    compare(*simulate_activity("sata", tiny, dataflow=dataflow, overrides=["options.direct_input=mac"]))


@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is"))
def test_one_shared_buffer(tiny, dataflow):
    """All operands read through one port: where lines are short, the array waits longer than for three ports."""
    compare(*simulate_activity("eyeriss", tiny, dataflow=dataflow))
    stalled = []
    for name, buffers in (("eyeriss", ["global"]), ("sata", ["weight", "ifmap", "ofmap"])):
        overrides = [f"{buffer}_buffer.{key}=4 B" for buffer in buffers
                     for key in ("line", "actions.read.per", "actions.write.per")]  # fmt: skip
        overrides += ["array.rows=14", "array.columns=12"]
        runner, activity = simulate_activity(name, tiny, dataflow=dataflow, overrides=overrides)
        compare(runner, activity)
        stalled.append(cycles(activity, "stall:port").total())
    assert stalled[0] > stalled[1]


@pytest.mark.parametrize("dataflow", ("os", "ws", "is", "ws/inner"))
def test_shared_membranes_that_move(tiny, dataflow):
    """Four channels share a membrane, which waits in the buffer between timesteps or passes."""
    overrides = ["array.rows=4", "array.columns=8", "options.lif_sharing=4"]
    runner, activity = simulate_activity("sata", tiny, dataflow=dataflow, overrides=overrides, timesteps=20)
    compare(runner, activity)


def test_until_an_early_exit(tiny):
    overrides = ["options.early_exit={threshold: 1.0, block: 2}"]
    runner, activity = simulate_activity("sata", tiny, dataflow="os/network", overrides=overrides)
    assert activity.outcomes[0].timesteps == 2
    compare(runner, activity)
    checks = {key[2]: value for key, value in activity.counts.items() if key[3] == "entropy"}
    assert checks == {1: 4}  # after the second timestep only: no unit looks where the rule does not ask


def pooled(path, pools, timesteps=3, neuron=None):
    """conv - pools - linear, 8 x 8 inputs of one channel."""
    rng = np.random.default_rng(0)
    side, parts, source = 8, [], "conv1"
    weights = rng.integers(-90, 91, (6, 1, 3, 3)).astype(np.int8)
    extra = {"neuron": neuron} if neuron else {}
    parts.append(conv("conv1", "input", weights, scale=1 / 40, **extra))
    for number, (op, window) in enumerate(pools):
        name = f"pool{number}"
        parts.append(({"name": name, "op": op, "inputs": [source], "kernel": [window] * 2, "stride": [window] * 2}, {}))
        source, side = name, side // window
    parts.append(({"name": "flat", "op": "flatten", "inputs": [source]}, {}))
    weights = rng.integers(-90, 91, (5, 6 * side * side)).astype(np.int8)
    parts.append(linear("fc", "flat", weights, scale=1 / 50, neuron={"type": "none"}))
    arrays = {name: array for _, more in parts for name, array in more.items()}
    arrays["test.inputs"] = rng.integers(0, 256, (1, 1, 8, 8)).astype(np.uint8)
    arrays["test.labels"] = np.zeros(1, np.int64)
    spec = {
        "schema": "hwsim/workload/1", "kind": "network", "name": "pooled", "timesteps": timesteps, "classes": 5,
        "input": {"shape": [1, 8, 8], "kind": "count", "bits": 8, "scale": 1 / 255, "encoding": "direct"},
        "layers": [layer for layer, _ in parts], "output": {"layer": "fc", "decision": "accumulate"},
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}}, "training": {},
    }  # fmt: skip
    save(path, spec, arrays)
    return path


POOLS = {
    "or": [("maxpool", 2)],
    "or of or": [("maxpool", 2), ("maxpool", 2)],
    "average": [("avgpool", 2)],
    "average of or": [("maxpool", 2), ("avgpool", 2)],
    "global": [("avgpool", 8)],
}


@pytest.mark.parametrize("pools", POOLS.values(), ids=POOLS.keys())
@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws/inner"))
def test_pools(tmp_path, pools, dataflow):
    compare(*simulate_activity("sata", pooled(tmp_path / "p.npz", pools), dataflow=dataflow))


def test_what_a_pool_leaves_is_what_the_next_layer_reads(tmp_path):
    """Windows of 2 x 2 spikes give counts to 4, three bits: 6 x 16 of them for each of 3 timesteps are 864 bits, or 27
    bursts, written and read again. Adding takes 3 additions a window; ORs join the 3 timesteps of a word at once."""
    _, activity = simulate_activity("sata", pooled(tmp_path / "a.npz", POOLS["average"]))
    found = counted(activity)
    assert found[0, "dram", "write"] == 27
    weights = 5 * 96 * 8 // 32
    assert found[1, "dram", "read"] == weights + 27
    assert found[0, "pool", "add"] == 6 * 16 * 3 * 3
    _, activity = simulate_activity("sata", pooled(tmp_path / "o.npz", POOLS["or of or"]))
    assert counted(activity)[0, "pool", "or"] == 6 * (16 + 4) * 3
    assert counted(activity)[0, "dram", "write"] == 6 * 4 * 3 // 32 + 1


def test_activations_of_an_analog_network(tmp_path):
    relu = {"type": "relu", "bits": 8, "scale": 0.02}
    path = pooled(tmp_path / "r.npz", POOLS["average"], timesteps=1, neuron=relu)
    for dataflow in ("tick-batch", "ws", "is"):
        for direct in ("bit_serial", "mac"):
            runner, activity = simulate_activity(
                "sata", path, dataflow=dataflow, overrides=[f"options.direct_input={direct}"]
            )
            compare(runner, activity)
            done = sum(v for k, v in activity.counts.items() if k[3:] == ("pe", "activate"))
            assert done == 6 * 64


# random tables on random machines ---------------------------------------------------------------------------------


def draw_layer(rng, number):
    name, bits = f"l{number}", rng.choice([1, 1, 1, 3])
    neuron = rng.choice(["lif", "if", "none"])
    if rng.random() < 0.6:
        groups = rng.choice([1, 1, 2, 3])
        kernel, stride, dilation = rng.choice([1, 2, 3]), rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
        return (f"{{name: {name}, op: conv2d, input: [{groups * rng.randint(1, 3)}, {rng.randint(5, 8)}, "
                f"{rng.randint(5, 8)}], channels: {groups * rng.randint(1, 9)}, kernel: {kernel}, stride: {stride}, "
                f"padding: {rng.choice([0, 1])}, dilation: {dilation}, groups: {groups}, connected: false, "
                f"neuron: {neuron}, input_bits: {bits}}}")  # fmt: skip
    positions = f", {rng.randint(2, 12)}" if rng.random() < 0.5 else ""
    return (f"{{name: {name}, op: linear, input: [{rng.randint(1, 90)}{positions}], channels: {rng.randint(1, 30)}, "
            f"connected: false, neuron: {neuron}, input_bits: {bits}}}")  # fmt: skip


def draw_run(rng, path, shared):
    layers = "".join(f"  - {draw_layer(rng, number)}\n" for number in range(rng.randint(1, 3)))
    path.write_text(
        f"schema: hwsim/shapes/1\nname: drawn\ntimesteps: {rng.randint(1, 10)}\ndensity: 0.3\nlayers:\n{layers}"
    )
    overrides = [f"array.rows={rng.choice([1, 2, 4, 8])}", f"array.columns={rng.choice([1, 2, 4, 8])}",
                 f"options.double_buffering={rng.choice(['true', 'false'])}",
                 f"dram.bandwidth={rng.choice(['unlimited', '0.1 GB/s', '12.8 GB/s'])}"]  # fmt: skip
    if shared:
        overrides.append(f"global_buffer.capacity={32 * rng.choice([2, 4, 6, 8, 12, 16, 24, 32, 64, 256])} B")
    for name in () if shared else ("weight_buffer", "ifmap_buffer", "ofmap_buffer"):
        overrides.append(f"{name}.capacity={32 * rng.choice([2, 3, 5, 8, 16, 64, 256])} B")
    return rng.choice(DATAFLOWS), overrides


@pytest.mark.parametrize("architecture", ("sata", "eyeriss"))
def test_random_tables_on_random_machines(tmp_path, architecture):
    """No drawn machine whose smallest blocks fit comes to a standstill; all counts are those of the second count."""
    ran = 0
    for seed in range(70):
        rng = random.Random(seed)
        dataflow, overrides = draw_run(rng, tmp_path / "t.yaml", architecture == "eyeriss")
        try:
            runner, activity = simulate_activity(
                architecture, tmp_path / "t.yaml", dataflow=dataflow, overrides=overrides
            )
        except SpecError as error:
            assert "does not fit the buffers even in the smallest blocks" in str(error)
            continue
        compare(runner, activity)
        ran += 1
    assert ran >= 40


def grouped(path):
    """Two convolutions, the second in two groups (4 filters each, stride 2), then a linear layer."""
    rng = np.random.default_rng(1)
    weights = [rng.integers(-90, 91, shape).astype(np.int8) for shape in ((6, 2, 3, 3), (8, 3, 3, 3), (4, 8 * 9))]
    parts = [
        conv("conv1", "input", weights[0], scale=1 / 60),
        conv("conv2", "conv1", weights[1], scale=1 / 30, stride=2, groups=2),
        ({"name": "flat", "op": "flatten", "inputs": ["conv2"]}, {}),
        linear("fc", "flat", weights[2], scale=1 / 50, neuron={"type": "none"}),
    ]
    arrays = {name: array for _, more in parts for name, array in more.items()}
    arrays["test.inputs"] = rng.integers(0, 256, (1, 2, 6, 6)).astype(np.uint8)
    arrays["test.labels"] = np.zeros(1, np.int64)
    spec = {
        "schema": "hwsim/workload/1", "kind": "network", "name": "grouped", "timesteps": 5, "classes": 4,
        "input": {"shape": [2, 6, 6], "kind": "count", "bits": 8, "scale": 1 / 255, "encoding": "direct"},
        "layers": [layer for layer, _ in parts], "output": {"layer": "fc", "decision": "accumulate"},
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}}, "training": {},
    }  # fmt: skip
    save(path, spec, arrays)
    return path


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_groups_that_share_lif_units(tmp_path, dataflow):
    """The run itself checks its spikes against the network's, where channels in pairs share a membrane."""
    path = grouped(tmp_path / "g.npz")
    array = ["array.rows=4", "array.columns=4", "options.lif_sharing=2"]
    small = ["weight_buffer.capacity=128 B", "ifmap_buffer.capacity=128 B", "ofmap_buffer.capacity=512 B"]
    for overrides in (array, array + small):
        compare(*simulate_activity("sata", path, dataflow=dataflow, overrides=overrides))


def test_a_fetch_has_a_timestep_only_if_that_timestep_causes_it(tiny):
    """The image of a direct-coded layer: one fetch for all timesteps where it stays, one in each where it streams."""

    def fetched(*overrides):
        runner, activity = simulate_activity("sata", tiny, dataflow="os", layers=(0, 1), overrides=overrides)
        found = {key[2]: value for key, value in activity.counts.items() if key[3:] == ("ifmap_buffer", "write")}
        return runner.schedules[0].nest, found

    nest, found = fetched()
    assert nest.inputs_resident and found == {-1: 2 * 8 * 8 * 8 // 256}
    nest, found = fetched("ifmap_buffer.capacity=96 B")
    assert not nest.inputs_resident and set(found) == {0, 1, 2, 3, 4}
