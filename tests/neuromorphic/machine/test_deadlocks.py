"""Where nothing can move any more it is said who waits for whom; the same at all depths."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.components.topology import mesh
from hwsim.errors import SpecError
from hwsim.kernels.core_state import ASYNCHRONOUS, PER_LAYER, Ticks
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.kernels.policies import Fifo
from hwsim.machines.neuromorphic.calendar import BARRIER, WHEN_QUIET
from hwsim.machines.neuromorphic.setup import Routing, Setup
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.tables import Rules, make_chip
from tests.neuromorphic.machine.cases import dense_network

TICKS = Ticks(axon_in=1, lanes=1, synapse=1, update=1, idle=0, spike=1, choose=1, level=0, axon_out=1, wake=0)
DEPTHS = ("pass", "kernel", "process")


def ring(kind, order, input_queue, output_slots=None, group=1):
    """Three layers on two cores that send to each other: 0 -> 1 -> 0."""
    weights = [np.eye(6), np.full((6, 6), 1.0), np.full((6, 6), 1.0)]
    network = dense_network(weights, 0.5, 1.0)
    first = np.array([0, 3, 9, 18])  # core 0: layer 0, core 1: layers 0 and 1, core 2: layers 1 and 2
    chip = make_chip(network, first, TICKS, Rules(order=order, group=group, routed=True))
    tables = noc_tables(mesh(1, 3), NocParameters(virtual_channels=1, buffer=1, vc="by_pair"))
    return Setup(network, chip, Fifo(), kind=kind, routing=Routing(tables, 1, input_queue), output_slots=output_slots)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_phase_and_a_full_core_wait_for_each_other(depth):
    with pytest.raises(SpecError) as error:
        run_sample(ring(BARRIER, PER_LAYER, 2), np.ones((1, 6), int), 1, depth=depth)
    assert "wait for each other for ever" in str(error.value)
    assert "the start of the next phase" in str(error.value)


@pytest.mark.parametrize("depth", DEPTHS)
def test_with_room_the_same_machine_runs(depth):
    made = run_sample(ring(BARRIER, PER_LAYER, 40), np.ones((1, 6), int), 1, depth=depth)
    assert made.phases == 3


@pytest.mark.parametrize("depth", DEPTHS)
def test_slots_and_queues_of_one_message_still_let_everything_through(depth):
    """Without phases a core that waits for slots gets them when its messages are taken: layers only send forward."""
    setup = ring(WHEN_QUIET, ASYNCHRONOUS, 1, output_slots=2)
    made = run_sample(setup, np.ones((2, 6), int), 2, depth=depth)
    assert made.count("spike").sum() > 20
