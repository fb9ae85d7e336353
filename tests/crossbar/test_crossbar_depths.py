"""Whole runs at depth 'process' equal those at 'kernel' in everything, whatever the order in which processes start."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate_activity
from tests.crossbar.networks import SMALL, Drawn, machine, write
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

CASES = {
    "pipelined": ("pipelined", []),
    "by-timestep": ("by-timestep", ["options.zero_vectors=read"]),
    "sequential": ("sequential", ["mapping.scheme=im2col"]),
    "held": ("pipelined", ["options.sample_hold=true", "mapping.replication={conv1: 2}"]),
    "packets": ("pipelined", ["noc.packets=zero_checked", "noc.multicast=true", "mapping.pes_per_tile=1"]),
    "torus": ("sequential", ["noc.topology=torus", "mapping.placement=activity", "mapping.pes_per_tile=1"]),
    "tree": ("pipelined", ["noc.topology=tree", "mapping.share_tiles=true", "router.latency=12 ns"]),
    "exit, speculating": ("pipelined", ["options.early_exit={threshold: 0.99}"]),
    "exit, waiting": ("by-timestep", ["options.early_exit={threshold: 0.99, pipeline: wait}"]),
    "digital": ("pipelined", ["mapping.first_layer=digital", "mapping.linear=digital", "options.lif_sharing=2"]),
    "pairs": ("pipelined", ["mapping.encoding=differential_pair", "options.lif_sharing=4"]),
    "gated": ("pipelined", ["options.silent_rows=gated"]),
    "small buffers": ("pipelined", ["tile_buffer.capacity=64 B", "global_buffer.capacity=128 B", "router.buffer=1"]),
}


def assert_same(one, other):
    for name in ("counts", "cycles", "latency", "span", "ticks", "operations"):
        assert getattr(one, name) == getattr(other, name), name
    for first, second in zip(one.outcomes, other.outcomes, strict=True):
        assert (first.prediction, first.timesteps) == (second.prediction, second.timesteps)
        assert np.array_equal(first.output, second.output)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(4, 4), size=4, timesteps=2, samples=2)


@pytest.mark.parametrize("name", CASES)
def test_depths_agree_on_whole_runs(tiny, name):
    dataflow, overrides = CASES[name]
    plain, kernel = (
        simulate_activity("spikesim", tiny, dataflow=dataflow, overrides=[*SMALL, *overrides], depth=depth,
                          order_seed=seed, samples=1, force=True)[1]
        for depth, seed in (("process", 7), ("kernel", None))
    )  # fmt: skip
    assert_same(plain, kernel)


def check_drawn(seeds, path, depth):
    ran = 0
    for seed in seeds:
        rng, builder = random.Random(seed + 100), Drawn(seed)
        builder.chain()
        write(path, builder, seed=seed)
        dataflow, overrides = machine(rng, builder.timesteps)
        names = [layer["name"] for layer in builder.layers if "weights" in layer]
        if rng.random() < 0.4:
            overrides.append(f"mapping.replication={{{rng.choice(names)}: {rng.choice((2, 3))}}}")
        try:
            kernel = simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides)[1]
        except SpecError as error:
            assert "cannot share" in str(error)
            continue
        other = simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides, depth=depth,
                                  order_seed=seed, force=True)[1]  # fmt: skip
        assert_same(kernel, other)
        ran += 1
    assert ran >= 0.8 * len(seeds)


def test_the_order_in_which_processes_start_changes_nothing(tmp_path):
    check_drawn(range(12), tmp_path / "drawn.npz", "kernel")


@pytest.mark.slow
def test_drawn_networks_at_both_depths(tmp_path):
    check_drawn(range(25), tmp_path / "drawn.npz", "process")


@pytest.mark.slow
def test_many_orders(tmp_path):
    check_drawn(range(12, 300), tmp_path / "drawn.npz", "kernel")


@pytest.mark.parametrize("seed", range(1, 6))
def test_any_order_of_starting(tiny, seed):
    overrides = [*SMALL, "mapping.replication={conv1: 2}", "mapping.pes_per_tile=1", "options.sample_hold=true"]
    runs = [simulate_activity("spikesim", tiny, overrides=overrides, order_seed=order)[1] for order in (None, seed)]
    assert_same(*runs)


def test_copies_may_overtake_each_other(tmp_path):
    """A dark row is read faster than the bright one before it, by another copy; rows still leave in order."""
    builder = Builder((1, 4, 4), 2, bits=4, scale=1 / 15)
    fires = {"type": "if", "threshold": 0.1}
    builder.weighted("conv2d", (2, 1, 1, 1), fires, name="conv", inputs=["input"], kernel=[1, 1])
    builder.weighted("conv2d", (2, 2, 3, 3), fires, name="next", inputs=["conv"], kernel=[3, 3], padding=[1, 1])
    builder.add("flatten", inputs=["next"])
    builder.weighted("linear", (4, 32), {"type": "none"}, name="out")
    image = np.zeros((1, 1, 4, 4), np.uint8)
    image[0, 0, ::2] = 15
    path = write(tmp_path / "dark.npz", builder, inputs=image)
    ticks = {}
    for copies in (1, 2, 3):
        _, activity = simulate_activity("spikesim", path, overrides=[f"mapping.replication={{conv: {copies}}}"])
        ticks[copies] = activity.ticks[0]
    assert ticks[3] < ticks[1]


def test_work_that_would_take_minutes_is_refused(tmp_path):
    path = network(tmp_path / "large.npz", channels=(64, 64), size=32, timesteps=4)
    with pytest.raises(SpecError, match="depth 'process' would take about"):
        simulate_activity("spikesim", path, depth="process")
