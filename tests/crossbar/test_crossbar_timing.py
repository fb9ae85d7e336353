"""Time on the chip: two layers worked out by hand, tick by tick; what overlaps, what copies and exits are worth."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hwsim.run import simulate, simulate_activity
from tests.crossbar.networks import write
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

SEND, EJECT = 1, 1
"""Ticks from a tile into its router, and out of it."""


def travel(hops, flits=1):
    """A packet: router (2) and link (1) for each hop, the last router, and one tick for each flit after the first."""
    return SEND + hops * (2 + 1) + 2 + EJECT + flits - 1


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """Image 3 0 / 2 1 (or another) in 2 bits - 1 x 1 kernel, 2 filters, fires wherever there is light - 3 classes."""

    def make(timesteps, image=(3, 0, 2, 1)):
        builder = Builder((1, 2, 2), timesteps, bits=2, scale=1 / 3)
        fires = {"type": "if", "threshold": 0.01}
        builder.weighted("conv2d", (2, 1, 1, 1), fires, name="a", inputs=["input"], kernel=[1, 1])
        builder.arrays["a.weight"][:] = 100
        builder.add("flatten", inputs=["a"])
        builder.weighted("linear", (3, 8), {"type": "none"}, name="b")
        path = tmp_path_factory.mktemp("w") / f"{timesteps}.npz"
        return write(path, builder, inputs=image, classes=3)

    return make


class Clock:
    """Adds up ticks, each with its reason."""

    def __init__(self, now=0):
        self.now = now

    def then(self, ticks, _reason):
        self.now += ticks
        return self


def back(clock, hops):
    """From a PE's last sum to the end of the neurons' update of that row."""
    clock.then(1, "one word of 64 bits up the H-tree, 4 or 3 sums of 16 bits").then(1, "latency of the tree")
    clock.then(travel(hops), "one flit to the global node")
    return clock.then(1, "from the global adder, with nothing to add, to the neurons").then(1, "update, 64 lanes")


def image_at_tile(clock, row):
    """Row of the image at the first tile; the tiles stand at nodes 0 and 1 of 2 x 2, the global node is number 3."""
    clock.then(1, "the controller hands rows in").then(1, "the inlet hands them on").then(1, "the feeder asks for them")
    clock.then(1 + row, "4 bits are one line, one line a tick")
    return clock.then(travel(2), "node 3 to 0")


def second_layer(clock):
    """From the end of the update of the first layer's last row to that of the only row of the second."""
    clock.then(1, "pool: flatten is complete").then(1, "feeder").then(1, "it asks").then(1, "8 bits are one line")
    clock.then(travel(1), "node 3 to 1").then(1, "the tile starts its PE")
    clock.then(1 + 1 + 3, "drive, read, convert 3 columns at once").then(1, "combine")
    return back(clock, 1)


READ, EMPTY = 1 + 1 + 3, 1
"""Ticks of a vector: drive, read and one conversion of 2 columns by 8 ADCs; looked at and found empty."""
ROW_0 = 2 * READ + 2 * EMPTY
"""Pixels 3 (planes 1, 1) and 0 (none)."""
ROW_1 = EMPTY + READ + READ + EMPTY
"""Pixels 2 (plane 1 only) and 1 (plane 0 only)."""


def first_layer(clock, rows):
    """The PE reads so many rows from when it has the first one; its last sum: an empty last plane adds nothing."""
    clock.then(1, "the tile starts its PE")
    for row in range(rows):
        clock.then(ROW_1 if row % 2 else ROW_0, "reads")
    return clock.then(-EMPTY, "the last plane of pixel 1 is empty: found after its sum is complete").then(1, "combine")


def ticks_of(path, dataflow, *overrides):
    _, activity = simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides)
    return activity


def test_two_layers_in_sequence(by_hand):
    end_of_a = back(first_layer(image_at_tile(Clock(), 0), rows=2), 2)
    end = second_layer(Clock(end_of_a.now))
    activity = ticks_of(by_hand(1), "sequential")
    assert (end_of_a.now, end.now) == (53, 82)
    assert activity.latency == {(0, 0): 53, (0, 1): 82 - 53}
    assert activity.ticks == {0: 82}
    assert activity.cycles[0, 0, "crossbar", "busy"] == 2 * (ROW_0 + ROW_1)  # two slices
    assert activity.cycles[0, 0, "adc", "busy"] == 4 * 3 * 2 * 8  # vectors read x conversion x slices x ADCs


def test_timesteps_in_sequence(by_hand):
    """The next one enters when the last layer's row has gone through the pool unit to the controller."""
    once = second_layer(back(first_layer(image_at_tile(Clock(), 0), rows=2), 2)).now
    assert ticks_of(by_hand(2), "sequential").ticks == {0: 2 * once + 2}
    assert ticks_of(by_hand(2), "by-timestep").ticks == {0: 2 * once + 2}


def test_timesteps_that_overlap(by_hand):
    """All rows are in the tile's buffer before the PE, which reads without a pause, needs them."""
    end = second_layer(back(first_layer(image_at_tile(Clock(), 0), rows=4), 2))
    assert ticks_of(by_hand(2), "pipelined").ticks == {0: end.now} == {0: 106}


def test_sample_and_hold(by_hand):
    """Row 0: reads end at 2 and, when the ADC is free, 5 (1 tick stalled); conversions at 5 and 8; two empty vectors
    until 7. Row 1 finds the ADC busy for 1 tick: empty 1, read until 3, converted at 6; read at 5, held until 6,
    converted at 9, complete at 10."""
    clock = image_at_tile(Clock(), 0).then(1, "start").then(7, "row 0").then(10, "row 1")
    activity = ticks_of(by_hand(1), "sequential", "options.sample_hold=true")
    assert activity.ticks == {0: second_layer(back(clock, 2)).now} == {0: 75}
    assert activity.cycles[0, 0, "crossbar", "stall:adc"] == 2 * 2
    assert activity.cycles[0, 0, "crossbar", "busy"] == 2 * (6 + 6)


def test_conversions_that_run_into_the_next_row(by_hand):
    """Image 0 3 / 3 0. Row 0: empty until 2, read at 4 and 7 (1 stalled), converted at 10, the arrays free at 7. Row 1
    finds the ADC busy for 3 ticks: read at 2, held until 3, the second held from 5 to 6, converted at 9, complete at
    10; two empty vectors until 8."""
    clock = image_at_tile(Clock(), 0).then(1, "start").then(7, "row 0").then(10, "row 1")
    activity = ticks_of(by_hand(1, (0, 3, 3, 0)), "sequential", "options.sample_hold=true")
    assert activity.ticks == {0: second_layer(back(clock, 2)).now} == {0: 75}
    assert activity.cycles[0, 0, "crossbar", "stall:adc"] == 2 * (1 + 2)
    assert activity.cycles[0, 0, "crossbar", "busy"] == 2 * (6 + 6)


def test_adders_on_the_way(by_hand):
    """The second layer's 8 rows in two arrays of 4, whose 3 sums each are added in the tile or in the global node."""
    path, halves = by_hand(1), "crossbar.rows=4"
    one_more_word = 82 + 1
    assert ticks_of(path, "sequential", halves).ticks == {0: one_more_word}  # 8 lanes add 3 sums while it moves
    assert ticks_of(path, "sequential", halves, "tile_adder.lanes=1").ticks == {0: one_more_word + 2}
    # another tile gets its row a tick later, and adding 3 sums takes one
    apart = (halves, "mapping.pes_per_tile=1")
    assert ticks_of(path, "sequential", *apart).ticks == {0: 82 + 1 + 1}
    assert ticks_of(path, "sequential", *apart, "global_adder.lanes=1").ticks == {0: 82 + 1 + 3}
    # ports share the lines of one row: a row of one line takes its tick
    assert ticks_of(path, "sequential", *apart, "global_buffer.read_ports=2").ticks == {0: 82 + 1 + 1}


def test_slower_parts(by_hand):
    """Each latency enters as often as it stands on the path."""
    path, base = by_hand(1), 82
    vectors = 4  # of the first layer, all before its last sum; the second layer reads one
    for override, more in (
        ("crossbar.read_time=8 ns", vectors + 1), ("driver.drive_time=12 ns", 2 * (vectors + 1)),
        ("adc.conversion_time=16 ns", vectors + 1), ("diff.combine_time=8 ns", 2), ("h_tree.latency=8 ns", 2),
        ("neuron.update_time=8 ns", 2), ("link.latency=8 ns", 2 + 2 + 1 + 1),
        ("router.latency=12 ns", 3 + 3 + 2 + 2),
        # of 2 columns one after the other, and 3: one conversion more for each vector, two in the second layer
        ("mux.columns_per_adc=64", 3 * vectors + 6),
    ):  # fmt: skip
        assert ticks_of(path, "sequential", override).ticks == {0: base + more}, override


def test_packets_of_several_flits(by_hand):
    """Rows of 4 and 8 bits and sums of 64 and 48 bits in flits of 16: the tail comes 3 and 2 ticks after the head."""
    price = "actions.flit={energy: 1 pJ, per: 16 bit, source: isaac, error: x2}"
    flits = [f"{name}.{text}" for name in ("router", "link") for text in ("flit=16 bit", price)]
    assert ticks_of(by_hand(1), "sequential", *flits).ticks == {0: 82 + 3 + 2}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(6, 10), size=8, timesteps=6)


def test_what_overlaps_is_shorter_and_costs_the_same(tiny):
    runs = [ticks_of(tiny, dataflow) for dataflow in ("pipelined", "by-timestep", "sequential")]
    ticks = [run.ticks[0] for run in runs]
    assert ticks[0] < ticks[1] < ticks[2]
    assert runs[0].counts == runs[1].counts == runs[2].counts
    assert runs[0].operations == runs[1].operations == runs[2].operations
    assert all(np.array_equal(run.outcomes[0].output, runs[0].outcomes[0].output) for run in runs)


def test_copies_of_the_first_layer_shorten_the_run(tiny):
    """Directly coded inputs are read bit by bit, so the first layer decides; sums and reads stay what they were."""
    plain, doubled, threefold = (
        ticks_of(tiny, "pipelined", f"mapping.replication={{conv1: {copies}}}") for copies in (1, 2, 3)
    )
    assert doubled.ticks[0] < 0.65 * plain.ticks[0]
    assert threefold.ticks[0] < 0.8 * doubled.ticks[0]

    parts = ("crossbar", "driver", "adc", "pe_adder", "diff", "h_tree", "neuron")

    def reads(activity):
        return Counter({key[1:]: times for key, times in activity.counts.items() if key[3] in parts})

    assert reads(plain) == reads(doubled) == reads(threefold)
    areas = [simulate("spikesim", tiny, overrides=[f"mapping.replication={{conv1: {n}}}"], accuracy=0).totals["area_m2"]
             for n in (1, 2)]  # fmt: skip
    assert areas[0] < areas[1]


def test_an_early_exit_saves_energy(tiny):
    """Waiting saves most; speculating costs what later timesteps had begun when the decision fell."""
    results = {}
    for name, rule in (("all", "null"), ("speculate", "{threshold: 0.99}"),
                       ("wait", "{threshold: 0.99, pipeline: wait}")):  # fmt: skip
        overrides = [f"options.early_exit={rule}"]
        _, activity = simulate_activity("spikesim", tiny, overrides=overrides)
        result = simulate("spikesim", tiny, overrides=overrides, accuracy=0)
        results[name] = activity.outcomes[0].timesteps, result.totals["energy_J"], activity
    assert [results[name][0] for name in ("all", "speculate", "wait")] == [6, 1, 1]
    assert results["wait"][1] < results["speculate"][1] < results["all"][1]
    first = results["all"][2].outcomes[0].output[:1]
    assert np.array_equal(results["wait"][2].outcomes[0].output, first)
    assert np.array_equal(results["speculate"][2].outcomes[0].output, first)
    begun = {key[2] for key in results["speculate"][2].counts if key[3] == "crossbar"}
    assert begun > {0} == {key[2] for key in results["wait"][2].counts if key[3] == "crossbar"}


def test_nothing_is_certain_at_threshold_zero(tiny):
    """The unit looks after every timestep but the last, and no sample stops: only the looks are added."""
    plain = ticks_of(tiny, "by-timestep")
    looked = ticks_of(tiny, "by-timestep", "options.early_exit={threshold: 0}")
    looks = {key: times for key, times in looked.counts.items() if key[3] == "entropy"}
    assert looks == {(0, 3, t, "entropy", "evaluate"): 4 for t in range(5)}
    assert {key: times for key, times in looked.counts.items() if key[3] != "entropy"} == plain.counts
    # 3 ticks for each of 4 classes, a tick to ask and one for the answer
    assert looked.ticks[0] == plain.ticks[0] + 5 * (3 * 4 + 2)
