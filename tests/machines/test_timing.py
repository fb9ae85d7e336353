"""Time on whole machines: a run worked out by hand, overlap, backlogs, closed forms, and what must never be slower."""

from __future__ import annotations

import random

import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from tests.machines.test_independent import draw_run


def run(path, text, dataflow, *overrides, architecture="sata", timesteps=1):
    path.write_text(f"schema: hwsim/shapes/1\nname: table\ntimesteps: {timesteps}\ndensity: 0.5\nlayers:\n{text}")
    return simulate_activity(architecture, path, dataflow=dataflow, overrides=overrides)


def stalls(activity):
    return {(layer, state[6:]): value for (_, layer, component, state), value in activity.cycles.items()
            if component == "array" and state.startswith("stall")}  # fmt: skip


def test_two_layers_by_hand(tmp_path):
    """8 - 3 - 2 neurons, one timestep, 2 x 2 PEs, a tick of 2.5 ns; DRAM: 2 ticks, then one burst of 32 bits a tick.

    Every message takes a tick. Layer 0 has 192 bits of weights (6 bursts) and 8 bits of spikes (1 burst):

        0   the plan is sent           1   loaders ask for room      2   buffers grant it
        3   loaders ask the DRAM       4   it takes the spikes (2 + 1), at 7 the weights (2 + 6)
        8   the spikes are filled in (one line, moved while they came) and stand ready at 11
        16  so are the weights, ready at 19
        19  the array starts: two folds (3 filters on 2 columns) of 8 + 2 + 2 - 2 cycles end at 39
        40  the LIF units end the second fold (one cycle, the last fold of the layer: a stall)
        41  writer; 42-43 one line is read; 45 the DRAM takes the 3 bits (2 + 1), at 48 they are written
        49  writer; 50 layer 0 is done: the next layer's spikes may be fetched, and the sequencer sees it

    Layer 1 has 48 bits of weights, fetched while layer 0 runs (asked for at 20, ready at 29):

        50  room asked for; 52 granted; 53 the DRAM takes the 3 bits (2 + 1); 57 fill; 60 ready: 20 ticks of stall
        60  one fold of 3 + 2 + 2 - 2 cycles ends at 65, no LIF units
        66  writer; 67-68 one line; 70 the DRAM takes two sums of 16 bits (2 + 1); 74 writer; 75 the end
    """
    layers = "  - {name: a, op: linear, input: [8], channels: 3}\n"
    layers += "  - {name: b, op: linear, channels: 2, neuron: none}\n"
    _, activity = run(tmp_path / "t.yaml", layers, "os", "array.rows=2", "array.columns=2", "dram.latency=5 ns",
                      "dram.bandwidth=12.8 Gbit/s")  # fmt: skip
    assert activity.latency == {(0, 0): 50, (0, 1): 25}
    assert activity.ticks == {0: 75}
    assert stalls(activity) == {(0, "lif"): 1, (1, "inputs"): 20}
    assert activity.span == {(0, 0): (19, 50), (0, 1): (60, 75)}
    assert activity.cycles[0, 0, "dram", "busy"] == 3 + 8 + 3
    assert activity.cycles[0, 1, "dram", "busy"] == 4 + 3 + 3
    assert activity.cycles[0, -1, "array", "idle"] == 75 - 20 - 5 - 21


def test_two_blocks_overlap_fetch_and_compute(tmp_path):
    """Weights of 256 x 64 stream in blocks: with two blocks a tile costs the longer of fetch and compute, with one
    their sum. 16 x 8 PEs, one pixel: a fold of 8 filters takes 256 + 22 cycles, its 16,384 bits 256 + 2 ticks."""
    layer = "  - {name: a, op: linear, input: [256], channels: 64}\n"
    slow = ("dram.bandwidth=25.6 Gbit/s", "dram.latency=5 ns")
    one, single = run(tmp_path / "t.yaml", layer, "os", *slow, "weight_buffer.capacity=2 KiB",
                      "options.double_buffering=false")  # fmt: skip
    two, double = run(tmp_path / "t.yaml", layer, "os", *slow, "weight_buffer.capacity=4 KiB")
    assert one.schedules[0].nest.m_block == two.schedules[0].nest.m_block == 8
    assert single.ticks[0] >= 8 * (278 + 258)
    assert 258 + 8 * 278 < double.ticks[0] < 258 + 8 * 278 + 40
    waited = {key: value for key, value in stalls(double).items() if key[1] != "lif"}
    assert not waited


def test_lif_units_work_on_while_the_array_waits(tmp_path):
    """256 filters on 2 x 2 PEs, 1 input, 4 timesteps, channels in pairs on a LIF unit: a fold takes 4 + 2 cycles, its
    LIF work 8. Every fold but the first waits 2 cycles and the layer ends 8 later; where the array waits for weights
    between its 16 blocks of 8 folds, the first fold of a block finds the LIF units idle."""
    layer = "  - {name: a, op: linear, input: [1], channels: 256}\n"
    machine = ("array.rows=2", "array.columns=2", "options.lif_sharing=2", "weight_buffer.capacity=32 B")
    runner, fast = run(tmp_path / "t.yaml", layer, "tick-batch", *machine, "dram.bandwidth=unlimited", timesteps=4)
    assert runner.schedules[0].nest.m_block == 16
    assert stalls(fast) == {(0, "lif"): 127 * 2 + 8}
    _, slow = run(tmp_path / "t.yaml", layer, "tick-batch", *machine, "dram.bandwidth=0.1 Gbit/s", timesteps=4)
    assert stalls(slow)[0, "lif"] == 16 * 7 * 2 + 8
    assert stalls(slow)[0, "weights"] > 0


LARGE = ("weight_buffer.capacity=64 MiB", "ifmap_buffer.capacity=64 MiB", "ofmap_buffer.capacity=64 MiB",
         "dram.bandwidth=unlimited", "dram.latency=0 ns")  # fmt: skip


def up(a, b):
    return -(-a // b)


def closed_form(dataflow, rows, columns, pixels, reduction, filters):
    """Cycles of SCALE-Sim's stall-free mode (its report gives one less, the index of the last write)."""
    fill = rows + columns - 2
    if dataflow == "os":
        return up(pixels, rows) * up(filters, columns) * (reduction + fill)
    if dataflow == "ws":
        return up(reduction, rows) * up(filters, columns) * (pixels + rows + fill)
    return up(reduction, rows) * up(pixels, columns) * (filters + rows + fill)


def array_busy(activity):
    return sum(v for key, v in activity.cycles.items() if key[2:] == ("array", "busy"))


SCALE_SIM = {
    "  - {name: a, op: conv2d, input: [3, 32, 32], channels: 64, kernel: 3}\n": (22_343, 15_007, 23_051),
    "  - {name: a, op: conv2d, input: [128, 8, 8], channels: 128, kernel: 3}\n": (56_351, 85_247, 59_759),
    "  - {name: a, op: linear, input: [256], channels: 40}\n": (1_389, 3_119, 1_247),
}


@pytest.mark.parametrize("layer", SCALE_SIM)
def test_cycles_that_scale_sim_printed(tmp_path, layer):
    found = [array_busy(run(tmp_path / "t.yaml", layer, dataflow, *LARGE)[1]) for dataflow in ("os", "ws", "is")]
    assert found == [printed + 1 for printed in SCALE_SIM[layer]]


@pytest.mark.parametrize("dataflow", ("os", "ws", "is"))
def test_closed_forms_on_random_shapes(tmp_path, dataflow):
    """One timestep, nothing to wait for; SCALE-Sim pads nothing, so it is given the padded sizes.

    (A stride above the kernel skips rows, and the nest then cuts pixels to fetch only what is used.)"""
    for seed in range(12):
        rng = random.Random(seed)
        rows, columns = rng.choice([1, 2, 5, 8, 16]), rng.choice([1, 3, 4, 8])
        channels, filters, kernel = rng.randint(1, 6), rng.randint(1, 20), rng.choice([1, 2, 3])
        stride, padding, side = rng.randint(1, min(2, kernel)), rng.choice([0, 1]), rng.randint(3, 9)
        layer = (f"  - {{name: a, op: conv2d, input: [{channels}, {side}, {side}], channels: {filters}, "
                 f"kernel: {kernel}, stride: {stride}, padding: {padding}, input_bits: 1}}\n")  # fmt: skip
        machine = (f"array.rows={rows}", f"array.columns={columns}")
        _, activity = run(tmp_path / "t.yaml", layer, dataflow, *machine, *LARGE)
        edge = (side + 2 * padding - kernel) // stride + 1
        assert array_busy(activity) == closed_form(
            dataflow, rows, columns, edge * edge, channels * kernel * kernel, filters
        )


def drawn(path, seed):
    """A random table on a random machine, as a function of further overrides: (runner, activity)."""
    rng = random.Random(seed)
    architecture = rng.choice(["sata", "eyeriss"])
    dataflow, overrides = draw_run(rng, path, architecture == "eyeriss")
    overrides = [text for text in overrides if not text.startswith(("options", "dram"))]

    def again(*more, larger=1):
        sizes = [text.split(" B")[0].partition("=") for text in overrides]
        machine = [f"{name}={int(size) * larger} B" if "capacity" in name else f"{name}={size}"
                   for name, _, size in sizes]  # fmt: skip
        return simulate_activity(architecture, path, dataflow=dataflow, overrides=[*machine, *more])

    return again


def blocks(runner):
    return [(s.nest.order, s.nest.m_block, s.nest.p_block, s.nest.k_block, s.nest.weights_resident,
             s.nest.inputs_resident, s.membranes) for s in runner.schedules]  # fmt: skip


def dram_bursts(activity):
    return sum(value for key, value in activity.counts.items() if key[3] == "dram")


def test_what_must_not_be_slower(tmp_path):
    """Bandwidth never hurts; larger buffers never cost DRAM bits; with the same nest a second block hardly ever does.

    The channel serves in the order of asking: a block fetched ahead may stand before one that is needed at once, which
    costs a little. Larger buffers may cost much time: the nest is chosen for DRAM bits, and one large block overlaps
    less than two small ones.
    """
    ran = same = 0
    for seed in range(100, 118):
        again = drawn(tmp_path / "t.yaml", seed)
        try:
            runs = [again(f"dram.bandwidth={width}") for width in ("unlimited", "1 GB/s", "0.1 GB/s")]
        except SpecError:
            continue
        ticks = [activity.ticks[0] for _, activity in runs]
        assert ticks == sorted(ticks)
        single, alone = again("dram.bandwidth=0.1 GB/s", "options.double_buffering=false")
        if blocks(single) == blocks(runs[2][0]):
            assert ticks[2] <= 1.01 * alone.ticks[0]
            same += 1
        _, large = again("dram.bandwidth=0.1 GB/s", larger=2)
        assert dram_bursts(large) <= dram_bursts(runs[2][1])
        ran += 1
    assert ran >= 10 and same >= 4


TAKEN_BY_ALL = """  - {name: a, op: conv2d, input: [8, 6, 6], channels: 24, kernel: 3, groups: 4}
  - {name: b, op: linear, input: [40, 12], channels: 30, connected: false}
"""


@pytest.mark.parametrize("dataflow", ("os", "ws", "is", "tick-batch", "is/block:2"))
def test_operands_that_run_ahead_leave_room_for_the_rest(tmp_path, dataflow):
    """One buffer for all operands, of every size from the least: resident operands of later groups and timesteps do not
    take the room that the tile in work waits for."""
    ran = 0
    for lines in range(2, 60, 3):
        overrides = ("array.rows=4", "array.columns=4", f"global_buffer.capacity={32 * lines} B")
        try:
            _, activity = run(tmp_path / "t.yaml", TAKEN_BY_ALL, dataflow, *overrides, architecture="eyeriss",
                              timesteps=5)  # fmt: skip
        except SpecError:
            assert ran == 0, "what fits a buffer fits a larger one"
            continue
        assert sum(activity.latency.values()) == activity.ticks[0]
        ran += 1
    assert ran > 10
