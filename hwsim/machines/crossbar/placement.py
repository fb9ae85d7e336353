"""Where tiles stand on the network: by number, or those with much traffic close to the global node."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.components.topology import hop_counts
from hwsim.machines.crossbar.feeder import flits_in_use, wanted_rows
from hwsim.machines.crossbar.mapping import Placed


def place(runner: Any) -> tuple[dict[int, int], int, list[str]]:
    """(tile -> node, the global node, notes). ``runner`` knows machine, layers and, for activity, a sample's spikes."""
    topology = runner.machine.topology
    where = topology.centre if runner.machine.architecture.noc["global_node"] == "centre" else topology.corner
    free = [node for node in topology.terminals if node != where]
    tiles = runner.machine.plan.tiles
    assert len(free) >= tiles, (len(free), tiles)
    by_index = {tile: free[tile] for tile in range(tiles)}
    if runner.machine.architecture.mapping["placement"] == "index" or not tiles:
        return by_index, where, []
    traffic = tile_traffic(runner)
    hops = hop_counts(topology)[where]
    busy = sorted(range(tiles), key=lambda tile: (-traffic[tile], tile))
    near = sorted(free, key=lambda node: (int(hops[node]), node))
    by_activity = dict(zip(busy, near, strict=False))
    costs = [float(sum(traffic[tile] * _price(runner, int(hops[node])) for tile, node in places.items()))
             for places in (by_index, by_activity)]  # fmt: skip
    note = (
        f"placement by activity: NoC energy of sample 0 {costs[1]:.4g} J, by index {costs[0]:.4g} J "
        f"({1 - costs[1] / costs[0] if costs[0] else 0.0:.1%} less)"
    )
    return by_activity, where, [note]


def _price(runner: Any, hops: int) -> float:
    """J of a flit over so many hops and the routers at both ends."""
    architecture = runner.machine.architecture
    router, link = (architecture.price(name, "flit").count_J for name in ("router", "link"))
    return float(router * (hops + 1) + link * hops)


def tile_traffic(runner: Any) -> np.ndarray:
    """[tiles] flits to and from each tile for sample 0: rows of inputs (as packets send them) and rows of psums."""
    machine = runner.machine
    flit = int(machine.parameter("router", "flit"))
    traffic = np.zeros(machine.plan.tiles, dtype=np.int64)
    spikes = runner.spikes(0)
    for placed in runner.placed:
        for tile in placed.tiles:
            traffic[tile.node] += _inputs(runner, placed, tile, spikes, flit) + _psums(runner, placed, tile, flit)
    return traffic


def _inputs(runner: Any, placed: Placed, tile: Any, spikes: Any, flit: int) -> int:
    g = placed.geometry
    low, high = tile.channels
    rows = np.flatnonzero(wanted_rows(placed, tile)).tolist()
    if runner.machine.architecture.noc["packets"] == "bitmap":
        return int(runner.timesteps * len(rows) * max(1, -(-(high - low) * g.W * placed.planes // flit)))
    total = 0
    for t in range(runner.timesteps):
        x = spikes.inputs.at(placed.name, t).reshape(g.C, g.H, g.W)[low:high]
        total += sum(flits_in_use(np.ascontiguousarray(x[:, y].T).reshape(-1), placed.planes, flit) for y in rows)
    return total


def _psums(runner: Any, placed: Placed, tile: Any, flit: int) -> int:
    g = placed.geometry
    columns = sum(m1 - m0 for m0, m1 in {(placed.pes[index].m0, placed.pes[index].m1) for index in tile.pes})
    bits = columns * g.F * int(runner.machine.parameter("tile_adder", "psum_bits"))
    rows = len(range(tile.copy, g.E, placed.copies))
    return int(runner.timesteps * rows * max(1, -(-bits // flit)))
