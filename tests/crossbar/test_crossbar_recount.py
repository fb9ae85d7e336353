"""Whole runs against an independent count: all accesses of all parts, on drawn networks and drawn machines."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from tests.crossbar.networks import SMALL, Drawn, machine, write
from tests.crossbar.recount import Recount
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

ELSEWHERE = {("adc", "clipped"), ("entropy", "evaluate")}
"""What the currents or the decisions decide; checked by other tests."""


def compare(runner, activity):
    again = Recount(runner, activity.outcomes[0].timesteps)
    found = Counter({key[1:]: times for key, times in activity.counts.items() if key[3:] not in ELSEWHERE})
    assert found == again.counts
    assert {key[1]: times for key, times in activity.operations.items() if times} == +again.operations
    instances = runner.machine.instances(runner.neurons)
    assert {name: instances[name] for name in again.units} == again.units
    return again


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(6, 10), size=6, timesteps=2)


MACHINES = {
    "as shipped": [],
    "small arrays": SMALL,
    "packed rows": [*SMALL, "mapping.scheme=im2col"],
    "pairs": [SMALL[0], "mapping.encoding=differential_pair", "crossbar.columns=6"],
    "all vectors read": [*SMALL, "options.zero_vectors=read", "options.sample_hold=true"],
    "one-bit cells": [*SMALL, "crossbar.cell_bits=1 bit", "mapping.encoding=twos_complement"],
    "copies": [*SMALL, "mapping.replication={conv1: 2, conv2: 4, fc1: 2}"],
    "shared tiles": [*SMALL, "mapping.share_tiles=true", "mapping.pes_per_tile=3", "mapping.replication={conv1: 3}"],
    "multicast": [*SMALL, "noc.multicast=true", "mapping.pes_per_tile=1", "mapping.replication={conv2: 2}"],
    "checked packets": [*SMALL, "noc.packets=zero_checked", "noc.topology=torus"],
    "tree": [*SMALL, "noc.topology=tree", "noc.global_node=corner", "noc.multicast=true", "mapping.pes_per_tile=2"],
    "placed by traffic": [*SMALL, "mapping.placement=activity", "noc.topology=mesh", "mapping.pes_per_tile=2"],
    "given mesh": [*SMALL, "noc.rows=3", "noc.columns=12", "noc.global_node=corner"],
    "digital": [*SMALL, "mapping.first_layer=digital", "mapping.linear=digital"],
    "shared neurons": [*SMALL, "options.lif_sharing=4", "neuron.membrane_bits=13 bit"],
    "no converters": [*SMALL, "options.converters=false"],
}


@pytest.mark.parametrize("overrides", MACHINES.values(), ids=MACHINES.keys())
def test_a_network(tiny, overrides):
    compare(*simulate_activity("spikesim", tiny, overrides=overrides))


@pytest.mark.parametrize("dataflow", ("by-timestep", "sequential"))
def test_schedules_count_the_same(tiny, dataflow):
    runner, activity = simulate_activity("spikesim", tiny, dataflow=dataflow, overrides=SMALL)
    compare(runner, activity)
    assert activity.counts == simulate_activity("spikesim", tiny, overrides=SMALL)[1].counts


@pytest.mark.parametrize("layers", ((0, 1), (1, 3), (2, 4), (3, 4)))
def test_some_layers(tiny, layers):
    """What layers before them would give is there at the start; spikes are written at every timestep."""
    _, activity = found = simulate_activity("spikesim", tiny, layers=layers, overrides=SMALL)
    compare(*found)
    written = {key[2] for key in activity.counts if key[1] == layers[0] and key[3:] == ("global_buffer", "write")}
    assert written >= ({0} if layers[0] == 0 else {0, 1})


def run(seed, path):
    """One drawn network on one drawn machine, sometimes with copies or only some layers; None where that is refused."""
    rng = random.Random(seed + 700)
    builder = Drawn(seed)
    builder.chain()
    write(path, builder, seed=seed)
    dataflow, overrides = machine(rng, builder.timesteps)
    # what later timesteps begin while the decision falls depends on time
    overrides = [text for text in overrides if "speculate" not in text]
    names = [layer["name"] for layer in builder.layers if "weights" in layer]
    if rng.random() < 0.4:
        overrides.append(f"mapping.replication={{{rng.choice(names)}: {rng.choice((2, 3))}}}")
    layers = None
    if rng.random() < 0.3:
        first = rng.randrange(len(names))
        layers = first, rng.randint(first + 1, len(names))
        overrides = [text for text in overrides if "early_exit" not in text]
    try:
        return simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides, layers=layers)
    except SpecError as error:
        assert "cannot share" in str(error)
        return None


def check_seeds(seeds, path):
    ran = [seed for seed in seeds if (found := run(seed, path)) and compare(*found)]
    assert len(ran) >= 0.8 * len(seeds)


def test_drawn_networks_on_drawn_machines(tmp_path):
    check_seeds(range(16), tmp_path / "drawn.npz")


@pytest.mark.slow
def test_many_drawn_networks_on_drawn_machines(tmp_path):
    check_seeds(range(16, 400), tmp_path / "drawn.npz")


def test_an_exit_that_waits_counts_the_timesteps_it_ran(tmp_path):
    exit_rule = "options.early_exit={threshold: 0.98, block: 2, pipeline: wait}"
    path = network(tmp_path / "exits.npz", channels=(6, 10), size=6, timesteps=6)
    runner, activity = simulate_activity("spikesim", path, overrides=[*SMALL, exit_rule])
    assert activity.outcomes[0].timesteps == 2
    compare(runner, activity)
    checks = {key[2]: times for key, times in activity.counts.items() if key[3] == "entropy"}
    assert checks == {1: 4}  # the unit looks after the second timestep only, at 4 classes


def counted(activity, component, action):
    return sum(times for key, times in activity.counts.items() if key[3:] == (component, action))


def test_hand_counts_of_one_pixel(tmp_path):
    """A linear layer 10 -> 6 on 4 x 4 arrays, T = 1, 2-bit inputs 3 1 0 2 / 0 0 0 0 / 1 0.

    Row blocks of 4, 4 and 2 rows; 8-bit DIFF weights leave 7 bits: two 4-bit cells, so 2 slices; columns 4 + 2. Plane 0
    has the active rows {0, 1}, {}, {8}, plane 1 {0, 3}, {}, {}: 5 in all, and 3 (block, plane) that are read.
    """
    builder = Builder((10,), 1, bits=2, scale=1 / 3)
    builder.weighted("linear", (6, 10), {"type": "none"}, name="out", inputs=["input"])
    path = write(tmp_path / "pixel.npz", builder, inputs=[3, 1, 0, 2, 0, 0, 0, 0, 1, 0], classes=6)
    overrides = ["crossbar.rows=4", "crossbar.columns=4"]
    _, activity = simulate_activity("spikesim", path, overrides=overrides)
    expected = {
        ("driver", "drive"): 5 * 2 * 2,  # active rows x slices x column blocks
        ("crossbar", "read"): 3 * 2 * 2, ("adc", "convert"): 3 * 2 * 6, ("pe_adder", "add"): 3 * 2 * 6,
        ("diff", "subtract"): 3 * 6,
        # 8 bits of 4 rows, 4 bits of 2: a line of 64 bits each, for both column blocks; each of the 6 PEs (one row
        # block, one column block) stands in the one tile, whose buffer is written once: 10 x 2 bits
        ("tile_buffer", "read"): 3 * 2, ("tile_buffer", "write"): 1, ("global_buffer", "write"): 1,
        ("global_buffer", "read"): 1,
        # 4 x 16 bits are one word, 2 x 16 bits one more, from 3 PEs each; sums of 2 of 3 are added to the first
        ("h_tree", "move"): 6, ("tile_adder", "add"): 2 * 6, ("router", "flit"): 2 + 2, ("link", "flit"): 1 + 1,
        ("global_adder", "add"): 6,
    }  # fmt: skip
    assert {key: counted(activity, *key) for key in expected} == expected
    assert activity.operations[0, 0] == 5 * 6
    _, activity = simulate_activity("spikesim", path, overrides=[*overrides, "options.zero_vectors=read"])
    assert counted(activity, "crossbar", "read") == 3 * 2 * 2 * 2  # blocks x planes x slices x column blocks
    assert counted(activity, "adc", "convert") == 3 * 2 * 2 * 6
    assert counted(activity, "driver", "drive") == 5 * 2 * 2
