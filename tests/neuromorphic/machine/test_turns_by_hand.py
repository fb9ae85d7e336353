"""A machine of two cores, worked out by hand, tick by tick."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.kernels.core_state import ASYNCHRONOUS, COUNTS, LOG, PER_LAYER, PER_TIMESTEP, UNITS, Ticks
from hwsim.kernels.policies import Fifo, Momentum
from hwsim.machines.neuromorphic.calendar import BARRIER, TIMER, WHEN_QUIET
from hwsim.machines.neuromorphic.setup import Setup
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.tables import Rules, make_chip
from tests.neuromorphic.machine.cases import dense_network

TICKS = Ticks(axon_in=2, lanes=1, synapse=3, update=5, idle=7, spike=11, choose=13, level=0, axon_out=17, wake=0)
HIDDEN = np.array([[0.5, 0.0], [0.0, 0.5]])
OUTPUT = np.array([[0.2, 0.2]])
"""Both hidden neurons fire on both inputs; the output (threshold 0.3) on the second of their spikes."""
DEPTHS = ("pass", "kernel", "process")


def two_cores(ticks=TICKS, kind=WHEN_QUIET, order=ASYNCHRONOUS, policy=None, outputs=1, **more):
    """Hidden layer on core 0, output on core 1 (or one output neuron on each of several cores)."""
    network = dense_network([HIDDEN, np.repeat(OUTPUT, outputs, axis=0)], 0.3, 1.0)
    rules = {name: more.pop(name) for name in ("multicast", "processed", "gated") if name in more}
    first = np.array([0, *range(2, 3 + outputs)])
    chip = make_chip(network, first, ticks, Rules(order=order, group=2, **rules))
    return Setup(network, chip, policy or Fifo(), kind=kind, channel_ticks=19, event_ticks=1, **more)


def turns(made, *names):
    return [tuple(row) for row in made.turns[:, [LOG.index(name) for name in names]].tolist()]


def counts(made, layer):
    return dict(zip(COUNTS, made.counts[layer].sum(axis=0).tolist(), strict=True))


@pytest.mark.parametrize("depth", DEPTHS)
def test_two_spikes_travel(depth):
    """Frame: ordered at 0, seen at 1, two events: with core 0 at 3. Its turn: 2 neurons go on to the timestep (14); the
    events are in at 14 + 2 and + 2, their 2 synapses each read by 22 and 28; 2 updates and 2 spikes: 60; chosen at 73
    and 86; out at 90 and 107. The messages arrive at 3 + 90 + 19 = 112 and 129. Core 1: one neuron goes on (7), a spike
    comes in (9), is read (12) and looked at (17): no spike. Then again, now with a spike: 2 + 3 + 5 + 11 + 13."""
    made = run_sample(two_cores(), np.array([[1, 1]]), 1, depth=depth)
    assert turns(made, "core", "start", "end") == [(0, 3, 110), (1, 112, 129), (1, 129, 163)]
    assert turns(made, "taken", "updated", "fired", "chosen", "messages", "output", "step") == [
        (2, 2, 2, 2, 2, 0, 1), (1, 1, 0, 0, 0, 0, 1), (1, 1, 1, 1, 0, 1, 2)]  # fmt: skip
    assert made.ticks == 163
    expected = dict.fromkeys(COUNTS, 0)
    hidden = {"axon_in": 2, "synapse": 4, "update": 2, "idle_update": 2, "spike": 2, "axon_out": 2, "insert": 2,
              "choose": 2, "propagated": 2}  # fmt: skip
    output = {"axon_in": 2, "synapse": 2, "update": 2, "idle_update": 1, "spike": 1, "insert": 1, "choose": 1,
              "propagated": 1}  # fmt: skip
    assert counts(made, 0) == expected | hidden
    assert counts(made, 1) == expected | output
    busy = dict(zip(UNITS, made.busy[0].tolist(), strict=True))
    assert busy == {"input_queue": 4, "synapse_memory": 12, "neuron_pipeline": 14 + 32, "scheduler": 26,
                    "axon_output": 34}  # fmt: skip


@pytest.mark.parametrize("depth", DEPTHS)
def test_lanes_priority_queue_and_waking(depth):
    """Two lanes read both synapses at once (16 + 3, 19 + 3 = 22); of two waiting spikes one is chosen in 13 + 2 x 2, of
    one in 13 + 1 x 2 while the first one goes out in 17; a core that is switched off takes 23 ticks to wake;
    core 1 is still at its first turn when the second message comes, and stays awake."""
    ticks = TICKS._replace(lanes=2, level=2, wake=23)
    made = run_sample(two_cores(ticks, policy=Momentum(), gated=True), np.array([[1, 1]]), 1, depth=depth)
    end = 3 + 23 + 22 + 32 + 17 + max(17, 15) + 17
    assert turns(made, "core", "start", "end")[0] == (0, 3, end)
    assert made.wakes.tolist() == [1, 1]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("multicast", [False, True])
def test_messages_to_two_cores(depth, multicast):
    """One after the other leaves the core, or both together; spikes are chosen at 73 and 86."""
    made = run_sample(two_cores(outputs=2, multicast=multicast), np.array([[1, 1]]), 1, depth=depth)
    left = [90, 90, 107, 107] if multicast else [90, 107, 124, 141]
    starts = {start for _, start in turns(made, "core", "start")}
    assert {3 + left[0] + 19, 3 + left[1] + 19} <= starts
    assert counts(made, 0)["axon_out"] == (2 if multicast else 4)
    assert turns(made, "core", "end")[0] == (0, 3 + left[-1])


@pytest.mark.parametrize("depth", DEPTHS)
def test_phases_wait_for_everything_and_the_barrier(depth):
    """Layer 0 from 3 to 110; its messages arrive at 112 and 129; seen at 130; the next phase starts 40 ticks later and
    takes both spikes: 7 + (2 + 3, 8) + 5 + 11 + 13."""
    made = run_sample(two_cores(kind=BARRIER, order=PER_LAYER, latency=40), np.array([[1, 1]]), 1, depth=depth)
    assert turns(made, "core", "start", "end") == [(0, 3, 110), (1, 170, 170 + 7 + 8 + 29)]
    assert (made.phases, made.ticks) == (2, 214)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_timer_takes_what_has_come(depth):
    """Phases start at 1, 121 and 241. In the second one only the spike that came at 112 is there; the other is late and
    taken in the third, when the output layer works on the second timestep: then the output fires."""
    setup = two_cores(kind=TIMER, order=PER_TIMESTEP, interval=120)
    made = run_sample(setup, np.array([[1, 1], [0, 0]]), 2, depth=depth)
    output = [row for row in turns(made, "core", "start", "taken", "fired") if row[0] == 1]
    assert output == [(1, 121, 1, 0), (1, 241, 1, 1)]
    assert counts(made, 1)["late"] == 1


@pytest.mark.parametrize("depth", DEPTHS)
def test_zeros_are_processed(depth):
    """Every synapse is read and every neuron looked at in a phase, though only one input is active: axon in at 16, then
    2 senders x 2 synapses x 3."""
    setup = two_cores(kind=BARRIER, order=PER_LAYER, processed=True)
    made = run_sample(setup, np.array([[1, 0]]), 1, depth=depth)
    assert counts(made, 0)["synapse"] == 4 and counts(made, 1)["synapse"] == 2
    assert turns(made, "core", "start", "end")[0] == (0, 2, 2 + 16 + 12 + 2 * 5 + 11 + 13 + 17)
