"""Rows in buffers: what is promised room finds it, the smallest rooms lead to no deadlock, hints are enough."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.machines.crossbar import feeder
from hwsim.machines.crossbar.flow import window
from hwsim.machines.crossbar.run import Runner
from hwsim.run import simulate_activity
from tests.crossbar.networks import Drawn, machine, write
from tests.network.snn_builder import Builder

FIRES = {"type": "if", "threshold": 0.4}


def rows_under_a_kernel(machine, placed, tile):
    spans = (window(placed.geometry, y) for y in range(placed.geometry.E))
    return max(last - first for first, last in spans)


def least_rooms(runner):
    whole = runner.machine.overlap == "none"
    return {item.name: runner.flow.room_needed(item, whole) for item in runner.placed}


@pytest.fixture
def least_room(monkeypatch):
    """Every buffer of every layer holds just what it must."""
    monkeypatch.setattr(Runner, "_rooms", least_rooms)
    monkeypatch.setattr(feeder, "buffer_rows", rows_under_a_kernel)


def check_drawn(seeds, path):
    """No machine that is accepted comes to a standstill, with early exits, copies, multicast, routers' limits."""
    ran = 0
    for seed in seeds:
        rng, builder = random.Random(seed + 9000), Drawn(seed)
        builder.chain()
        write(path, builder, seed=seed)
        dataflow, overrides = machine(rng, builder.timesteps)
        names = [layer["name"] for layer in builder.layers if "weights" in layer]
        if rng.random() < 0.4:
            overrides.append(f"mapping.replication={{{rng.choice(names)}: {rng.choice((2, 3))}}}")
        if rng.random() < 0.3 and "noc.topology=torus" not in overrides:
            overrides.append(f"router.buffer={rng.choice((1, 2))}")
        layers = None
        if rng.random() < 0.3:
            first = rng.randrange(len(names))
            layers = first, rng.randint(first + 1, len(names))
            overrides = [text for text in overrides if "early_exit" not in text]
        try:
            simulate_activity("spikesim", path, dataflow=dataflow, overrides=overrides, layers=layers)
        except SpecError as error:
            assert "cannot share" in str(error)
            continue
        ran += 1
    assert ran >= 0.8 * len(seeds)


def test_the_least_room_is_enough(tmp_path, least_room):
    check_drawn(range(8), tmp_path / "drawn.npz")


@pytest.mark.slow
def test_the_least_room_is_enough_for_many(tmp_path, least_room):
    check_drawn(range(8, 600), tmp_path / "drawn.npz")


def residual(path, side=5):
    """A convolution whose result goes two ways, one of them through another 3 x 3 kernel, to where they are added."""
    builder = Builder((1, side, 4), 2)
    kernel = {"kernel": [3, 3], "padding": [1, 1]}
    builder.weighted("conv2d", (2, 1, 3, 3), FIRES, name="first", inputs=["input"], **kernel)
    builder.weighted("conv2d", (2, 2, 3, 3), FIRES, name="second", inputs=["first"], **kernel)
    builder.add("add", "sum", inputs=["first", "second"])
    builder.weighted("conv2d", (2, 2, 1, 1), FIRES, name="third", inputs=["sum"], kernel=[1, 1])
    builder.add("flatten", inputs=["third"])
    builder.weighted("linear", (4, 2 * side * 4), {"type": "none"}, name="out")
    return write(path, builder)


def test_the_short_way_waits_for_the_long_one(tmp_path):
    """Row y of the sum takes row y + 1 of the first layer: two rows before the first may leave; one is a deadlock.

    The flatten takes all 5 rows of the third layer; where layers do not overlap, whole maps wait.
    """
    path = residual(tmp_path / "residual.npz")
    runner, _ = simulate_activity("spikesim", path)
    assert least_rooms(runner) == {"first": 2, "second": 1, "third": 5, "out": 1}
    runner, _ = simulate_activity("spikesim", path, dataflow="sequential")
    assert least_rooms(runner) == {"first": 5, "second": 5, "third": 5, "out": 1}


@pytest.mark.parametrize("dataflow, layer", [("pipelined", "first"), ("sequential", "second"), ("pipelined", "third")])
def test_less_than_the_least_room_is_a_deadlock_and_is_said(tmp_path, monkeypatch, dataflow, layer):
    """So the rule above is not merely generous; and whoever gets past it is told who waits for what."""
    path = residual(tmp_path / "residual.npz")
    monkeypatch.setattr(Runner, "_rooms", lambda runner: least_rooms(runner) | {layer: least_rooms(runner)[layer] - 1})
    with pytest.raises(SpecError) as caught:
        simulate_activity("spikesim", path, dataflow=dataflow)
    assert re.search(r"^deadlock: timestep 0 of layer \w+ never finished\n", str(caught.value))
    assert f"tile.{layer}.0000 waits for room in the global buffer (output row" in str(caught.value)
    assert str(caught.value).endswith("\n  Give the tile buffers or the global buffer more room.")


def test_rows_that_a_pool_leaves_over_leave_the_buffer(tmp_path, least_room):
    """Windows of 2 over 5 rows: nobody reads the fifth, and still the next timestep finds room for two rows."""
    builder = Builder((1, 5, 4), 3)
    builder.weighted("conv2d", (2, 1, 3, 3), FIRES, name="conv", inputs=["input"], kernel=[3, 3], padding=[1, 1])
    builder.add("maxpool", "pool", inputs=["conv"], kernel=[2, 2], stride=[2, 2])
    builder.weighted("conv2d", (2, 2, 1, 1), FIRES, name="next", inputs=["pool"], kernel=[1, 1])
    builder.add("flatten", inputs=["next"])
    builder.weighted("linear", (4, 8), {"type": "none"}, name="out")
    for dataflow in ("pipelined", "by-timestep", "sequential"):
        runner, _ = simulate_activity("spikesim", write(tmp_path / "odd.npz", builder), dataflow=dataflow)
    assert runner.rooms["conv"] == 4  # whole maps: the two windows


@pytest.mark.parametrize("kernel, stride, padding, dilation", [
    (1, 3, 0, 1), (2, 3, 0, 1), (3, 1, 2, 2), (1, 1, 2, 1), (3, 2, 2, 2), (5, 4, 1, 1),
])  # fmt: skip
def test_odd_windows(tmp_path, least_room, kernel, stride, padding, dilation):
    """Strides beyond the kernel, rows all in the padding, dilation beyond the map."""
    builder = Builder((2, 5, 1), 2)
    keys = {"kernel": [kernel, 1], "stride": [stride, 1], "padding": [padding, 0], "dilation": [dilation, 1]}
    builder.weighted("conv2d", (3, 2, kernel, 1), FIRES, name="conv", inputs=["input"], **keys)
    height = (5 + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    builder.add("flatten", inputs=["conv"])
    builder.weighted("linear", (4, 3 * height), {"type": "none"}, name="out")
    path = write(tmp_path / "odd.npz", builder)
    for overrides in ([], ["mapping.replication={conv: 2}", "noc.multicast=true"], ["mapping.scheme=im2col"]):
        simulate_activity("spikesim", path, overrides=overrides)


def test_a_row_keeps_its_room_until_it_has_been_read():
    lane = feeder.Lane(None, "port", (0, 1), 2, np.array([True, False, True]))
    lane.asked.append(0)
    lane.sent = 2
    assert (lane.left, lane.held(3)) == (0, 1)
    lane.asked.popleft()
    assert (lane.left, lane.held(3)) == (2, 1)
    lane.freed = 1
    assert lane.held(3) == 0


def refused(path, overrides):
    with pytest.raises(SpecError) as caught:
        simulate_activity("spikesim", path, overrides=overrides)
    return str(caught.value)


def test_hints_are_enough(tmp_path):
    """Whoever follows them gets a run, also where layers share a tile's buffer."""
    path = residual(tmp_path / "residual.npz")
    for more in ([], ["mapping.share_tiles=true"], ["mapping.share_tiles=true", "mapping.replication={first: 2}"]):
        small = "tile_buffer.capacity=1 B"
        found = refused(path, [small, *more])
        size = max(int(number) for number in re.findall(r"Set tile_buffer.capacity to at least (\d+) B", found))
        price = [f"tile_buffer.{key}" for key in ("line=8 bit", "actions.read.per=8 bit", "actions.write.per=8 bit")]
        simulate_activity("spikesim", path, overrides=[f"tile_buffer.capacity={size} B", *price, *more])
        assert "needs 3 input rows" in refused(path, [f"tile_buffer.capacity={size - 1} B", *price, *more])
        found = refused(path, ["global_buffer.capacity=8 B", *more])
        size = max(int(number) for number in re.findall(r"Set global_buffer.capacity to at least (\d+) KiB", found))
        simulate_activity("spikesim", path, overrides=[f"global_buffer.capacity={size} KiB", *more])
