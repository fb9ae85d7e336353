"""Rules of the ideal machine on networks small enough to be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.neuromorphic import run

FAN = [np.array([[1.0], [2.0], [3.0]]), np.array([[1.0, 1.0, 1.0]])]
"""One input, three neurons that one event fires together at 1, 2 and 3, one output neuron that any of them fires."""


def order(trace):
    return list(zip(trace.propagated["step"].tolist(), trace.propagated["neuron"].tolist(), strict=True))


def emissions(trace):
    return list(zip(*(trace.emitted[name].tolist() for name in ("step", "neuron", "potential")), strict=True))


def test_momentum_one_by_one():
    """The highest first; the output fires after the first, and its spike, at 1, waits behind potential 2."""
    trace = run(FAN, [[1]], group=1, policy="momentum", threshold=0.5)
    assert emissions(trace) == [(1, 0, 1.0), (1, 1, 2.0), (1, 2, 3.0), (2, 3, 1.0)]
    assert order(trace) == [(1, 2), (2, 1), (3, 0), (4, 3)]  # 0 and 3 both crossed at 1: the lower index first
    assert trace.steps.tolist() == [4]
    assert (trace.synaptic.tolist(), trace.input_synaptic.tolist(), trace.delivered.tolist()) == ([3], [3], [3])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("fifo", [0, 1, 2, 3]), ("round_robin", [0, 1, 2, 3]), ("layer_order", [0, 1, 2, 3]), ("momentum", [2, 1, 0, 3])],
)
def test_orders(policy, expected):
    trace = run(FAN, [[1]], group=1, policy=policy, threshold=0.5)
    assert trace.propagated["neuron"].tolist() == expected


def test_round_robin_goes_on_where_it_was():
    """A stop ends the first timestep after neuron 2; the next one begins with 3, and goes around behind output 5."""
    weights = [np.ones((5, 1)), np.ones((1, 5))]
    stopped = run(weights, [[1], [1]], group=1, policy="round_robin", threshold=0.5, stop="output")
    assert stopped.propagated["neuron"].tolist() == [0, 1, 2, 3, 4, 5]
    whole = run(weights, [[1], [1]], group=2, policy="round_robin", threshold=0.5)
    assert whole.propagated["neuron"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("after", "steps", "left"), [(0, 3, 1), (1, 4, 0), (2, 4, 0)])
def test_stop_on_output(after, steps, left):
    """The output fires in step 2; steps up to 2 + after count, one more is run. By then nothing may be left."""
    trace = run(FAN, [[1]], group=1, policy="momentum", threshold=0.5, stop="output", steps_after=after)
    assert (trace.steps.tolist(), trace.queue.sum()) == ([steps], left)


LATE = [np.array([[1.0], [1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])]
"""Two chains: neurons 0 and 1 fire together, 0 fires output 2, 1 fires output 3."""


def test_spikes_after_the_stop_are_masked():
    """Output 3 crosses in step 3, which is masked: it is reset and rests, but is neither counted nor queued."""
    trace = run(LATE, [[1]], group=1, policy="fifo", threshold=0.5, stop="output")
    assert trace.emitted["masked"].tolist() == [False, False, False, True]
    assert emissions(trace)[-1] == (3, 3, 1.0)
    assert trace.counts.tolist() == [[1, 1, 1, 0]] and trace.masked.tolist() == [[0, 0, 0, 1]]
    assert trace.potentials.tolist() == [[0, 0, 0, 0]]
    assert order(trace) == [(1, 0), (2, 1), (3, 2)]  # the last step still chooses


@pytest.mark.parametrize("carry", [False, True])
def test_what_a_stop_leaves(carry):
    """Neuron 0 waits at the end of the first timestep; carried over, it comes last, at potential 0."""
    trace = run(FAN, [[1], [0]], group=1, policy="momentum", threshold=0.5, stop="output", carry=carry)
    assert trace.queue.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    later = trace.propagated[trace.propagated["timestep"] == 1]
    assert later["neuron"].tolist() == ([3] if carry else [])
    assert later["key"].tolist() == ([0.0] if carry else [])
    assert trace.steps.tolist() == [3, 1]


@pytest.mark.parametrize(("drain", "steps", "potential"), [("positive", 1, 0.0), ("all", 2, -1.0)])
def test_a_last_group_without_positive_current(drain, steps, potential):
    """An inhibitory spike alone is dropped as asynctorch drops it, or delivered."""
    trace = run([np.array([[1.0]]), np.array([[-1.0]])], [[1]], group=4, policy="fifo", threshold=0.5, drain=drain)
    assert trace.steps.tolist() == [steps]
    assert trace.potentials[0, 1] == potential
    assert (trace.delivered[0], trace.synaptic[0]) == (steps - 1, 1)


def test_mixed_last_groups():
    """A positive sum anywhere is enough; an exact cancellation to 0 is not."""
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, -1.0], [-1.0, -1.0]])]
    assert run(weights, [[1]], group=2, policy="fifo", threshold=0.5).steps.tolist() == [1]
    weights[1][0, 1] = -0.75
    assert run(weights, [[1]], group=2, policy="fifo", threshold=0.5).steps.tolist() == [2]


def test_several_crossings_add_up():
    """Without refractoriness the output crosses again and again; while it waits, its spikes are one entry."""
    weights = [np.array([[3.0], [2.0], [1.0]]), np.array([[0.25, 0.5, 0.75]])]
    trace = run(weights, [[1]], group=1, policy="momentum", threshold=0.125, refractory=False)
    assert emissions(trace)[3:] == [(2, 3, 0.25), (3, 3, 0.5), (4, 3, 0.75)]
    assert order(trace) == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert trace.propagated["multiplicity"].tolist() == [1, 1, 1, 3]
    assert trace.propagated["key"][-1] == 0.75
    resting = run(weights, [[1]], group=1, policy="momentum", threshold=0.125)
    assert resting.counts.tolist() == [[1, 1, 1, 1]]
    spared = run(weights, [[1]], group=1, policy="momentum", threshold=0.125, refractory_dropout=1.0)
    assert spared.counts.tolist() == trace.counts.tolist() == [[1, 1, 1, 3]]


def test_multiplicities_multiply_currents():
    """Two events at once are twice the current; a neuron fires once however far it is above its threshold."""
    trace = run([np.array([[0.5]])], [[2], [1]], group=1, policy="fifo", threshold=0.75)
    assert emissions(trace) == [(1, 0, 1.0)]
    assert trace.potentials.ravel().tolist() == [0.0, 0.5]
    assert trace.input_synaptic.tolist() == [2, 1]


def test_reset_by_subtraction():
    """The rest is kept. A resting neuron ignores currents; awake, it fires on as long as there are steps."""
    resting = run([np.array([[1.0]])], [[3], [0]], group=1, policy="fifo", threshold=1.0, reset="subtract")
    assert resting.counts.ravel().tolist() == [1, 1] and resting.potentials.ravel().tolist() == [2.0, 1.0]
    weights = [np.array([[4.0], [1.0]]), np.array([[0.5, 2.5]])]
    awake = run(weights, [[1]], group=1, policy="fifo", threshold=0.75, reset="subtract", refractory=False)
    assert awake.counts.tolist()[0][0] == 5  # 4, 3.25, ... 1: one in every step
    resting = run(weights, [[1]], group=1, policy="fifo", threshold=0.75, reset="subtract")
    assert resting.potentials.tolist() == [[3.25, 0.25, 3.0 - 0.75]]
    assert emissions(resting)[-1] == (3, 2, 3.0)


def test_threshold_is_exceeded_not_met():
    assert run([np.array([[0.5]])], [[1]], group=1, policy="fifo", threshold=0.5).counts.sum() == 0


def test_leak_once_per_timestep():
    """Between forward steps nothing decays."""
    trace = run(FAN, [[1], [0]], group=1, policy="fifo", threshold=10, leak=[0.5, 1.0, 0.0, 1.0])
    assert trace.potentials.tolist() == [[1, 2, 3, 0], [0.5, 2, 0, 0]]


def test_competing_inputs():
    """Inputs wait like everyone, as neurons -2 and -1, and are chosen before step 1; F = 1 takes them one by one."""
    weights = [np.array([[1.0, 1.0]]), np.array([[1.0]])]
    chosen = {"policy": "fifo", "threshold": 0.5, "prioritise_input": False}
    trace = run(weights, [[1, 2]], group=1, **chosen)
    assert order(trace) == [(0, -2), (1, -1), (2, 0), (3, 1)]
    assert trace.propagated["multiplicity"].tolist() == [1, 2, 1, 1]
    assert emissions(trace) == [(1, 0, 1.0), (3, 1, 1.0)]
    assert trace.input_synaptic.tolist() == [3]
    together = run(weights, [[1, 2]], group=2, **chosen)
    assert order(together) == [(0, -2), (0, -1), (1, 0), (2, 1)] and emissions(together)[0] == (1, 0, 3.0)
    stopped = run(weights, [[1, 1]], group=1, stop="output", **(chosen | {"policy": "momentum"}))
    assert order(stopped) == [(0, -2), (1, 0), (2, 1), (3, -1)]  # an input has potential 0
    left = run(
        [np.ones((3, 2)), np.ones((1, 3))], [[1, 3]], group=1, stop="output", **(chosen | {"policy": "momentum"})
    )
    assert left.input_queue.tolist() == [[0, 3]] and left.queue.tolist() == [[0, 0, 0, 1]]


def test_sync_threshold():
    """A neuron waits until it has heard more than that, and fires only in a step that brings it something."""
    weights = [np.array([[1.0], [1.0], [1.0]]), np.array([[1.0, 1.0, 0.0]])]
    chosen = {"group": 1, "policy": "fifo", "threshold": 0.5}
    assert emissions(run(weights, [[1]], **chosen))[-1] == (2, 3, 1.0)
    waits = run(weights, [[1]], sync_threshold=[0, 0, 0, 1], **chosen)
    assert emissions(waits)[-1] == (3, 3, 2.0)
    never = run(weights, [[1]], sync_threshold=[0, 0, 0, 2], **chosen)  # the third weight is no synapse
    assert never.counts.tolist() == [[1, 1, 1, 0]] and never.potentials[0, 3] == 2.0
    twice = run(weights, [[1], [0]], sync_threshold=[0, 0, 0, 2], **chosen)
    assert twice.counts[1].sum() == 0  # above its threshold, but hears nothing
    events = run(weights, [[2]], sync_threshold=[1, 1, 2, 0], **chosen)
    assert events.counts.tolist() == [[1, 1, 0, 1]]  # two events are two currents


@pytest.mark.parametrize("sync", [None, 0])
def test_currents_on_their_way_at_a_stop_are_lost(sync):
    """Neuron 2 is chosen in the last step; its current reaches nobody, in this timestep or the next."""
    trace = run(FAN, [[1], [0]], group=1, policy="fifo", threshold=0.5, stop="output", sync_threshold=sync)
    assert order(trace) == [(1, 0), (2, 1), (3, 2)]
    assert trace.counts.tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert trace.potentials[1].tolist() == [0, 0, 0, 0] and trace.delivered.tolist() == [2, 0]


def test_barrier_messages():
    """A neuron that heard of everyone and stays below its threshold says so, with multiplicity 0."""
    weights = [np.array([[1.0], [0.25]]), np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([[1.0, 1.0]])]
    trace = run(weights, [[1]], group=1, policy="fifo", threshold=0.5, barriers=True)
    messages = list(zip(trace.propagated["neuron"].tolist(), trace.propagated["multiplicity"].tolist(), strict=True))
    assert messages == [(0, 1), (1, 0), (3, 0), (2, 1), (4, 1)]  # 3 hears of nobody, and reports in step 1
    assert trace.steps.tolist() == [5]
    assert trace.counts.tolist() == [[1, 0, 1, 0, 1]]


def test_barriers_after_fewer():
    """With ``sync_threshold`` 0 the first message is enough."""
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, -1.0]])]
    chosen = {"group": 1, "policy": "fifo", "threshold": 0.5, "barriers": True}
    assert run(weights, [[1]], **chosen).counts.tolist() == [[1, 1, 0]]
    assert run(weights, [[1]], sync_threshold=0, **chosen).counts.tolist() == [[1, 1, 1]]


def test_dropouts():
    """At 1 every input event is gone, or every spike; at a half about half of many, each for itself."""
    weights, inputs = [np.eye(200), np.eye(200)], np.ones((5, 200))
    chosen = {"group": 50, "policy": "fifo", "threshold": 0.5}
    assert run(weights, inputs, input_dropout=1.0, **chosen).counts.sum() == 0
    silent = run(weights, inputs, network_dropout=1.0, **chosen)
    assert silent.counts.sum() == 0 and silent.masked.sum() == 1000
    assert 400 < run(weights, inputs, input_dropout=0.5, **chosen).counts[:, :200].sum() < 600
    half = run(weights, inputs, network_dropout=0.5, **chosen)
    assert 400 < half.counts[:, :200].sum() < 600
    assert half.counts[:, :200].sum() + half.masked[:, :200].sum() == 1000


def test_refractory_dropout():
    """A neuron that a current reaches twice in a timestep fires twice where its rest is dropped: about half of them."""
    weights = [np.ones((2, 1)), np.ones((400, 2))]
    trace = run(weights, [[1]], group=1, policy="fifo", threshold=0.5, refractory_dropout=0.5)
    assert 150 < (trace.counts[0, 2:] == 2).sum() < 250
