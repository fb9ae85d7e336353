"""Flit-hops (one flit leaving one router) per second and core, 8 x 8 mesh, uniform 0.3, 4 channels of 8 flits.

BookSim 2 moved 0.42e6 on such a machine (``tests/data/noc.json``).
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from hwsim.components import topology
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.vc_network import VcNetwork
from hwsim.components.vc_plain import Packet
from hwsim.kernels import noc
from hwsim.kernels.noc_state import new_state
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.machines.neuromorphic.traffic import latency_curve

MADE, RATE = topology.mesh(8, 8), 0.3


def best_rate(work, repeats):
    """The best of some calls of ``work``, which gives flit-hops, after one that compiles; per CPU second."""
    work()
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        hops = work()
        rates.append(hops / (time.process_time() - start))
    return max(rates)


def simpy_run(depth, cycles=100):
    """Flit-hops of a network of processes: every core sends with probability ``RATE`` for some cycles."""
    env = Environment()
    board = Switchboard(env)
    tables = noc_tables(MADE, NocParameters())
    network = VcNetwork(env, board, tables, lambda core: f"core.{core}", depth=depth)
    rng = np.random.default_rng(0)

    def send():
        number = 0
        for _ in range(cycles):
            for core in np.flatnonzero(rng.random(tables.cores) < RATE).tolist():
                network.inject(f"core.{core}", Packet(number, core, int(rng.integers(tables.cores))))
                number += 1
            yield env.timeout(1)

    for process in [*network.processes(), send()]:
        env.process(process)
    env.run()
    assert network.waiting() == 0
    return int(network.channel_flits().sum())


@pytest.mark.perf
def test_pass():
    def work():
        (point,) = latency_curve(MADE, NocParameters(), [RATE], window=20_000)
        return point.flit_hops

    rate = best_rate(work, 7)
    print(f"pass: {rate / 1e6:.2f}e6 flit-hops/s")  # noqa: T201
    assert rate > 4e6, f"{rate / 1e6:.2f}e6 flit-hops/s"


@pytest.mark.perf
@pytest.mark.parametrize(("depth", "least"), [("kernel", 20e3), ("process", 6e3)])
def test_processes(depth, least):
    rate = best_rate(lambda: simpy_run(depth), 3)
    print(f"{depth}: {rate / 1e3:.1f}e3 flit-hops/s")  # noqa: T201
    assert rate > least, f"{rate / 1e3:.1f}e3 flit-hops/s"


@pytest.mark.perf
def test_idle_routers_cost_nothing():
    """One packet at a time takes as long in a network a hundred times as large, per router on its way."""

    def seconds(side, packets=300):
        state = new_state(noc_tables(topology.mesh(side, side), NocParameters()))
        start = time.process_time()
        cycle = 0
        for packet in range(packets):
            noc.inject(state, packet, 0, 5, cycle)
            while (cycle := noc.next_cycle(state, cycle)) >= 0:
                noc.noc_tick(state, cycle)
                cycle += 1
            cycle = 1000 * (packet + 1)
        return time.process_time() - start

    seconds(6)
    assert min(seconds(60) for _ in range(3)) < 2 * min(seconds(6) for _ in range(3))
