"""Whole small machines: equal at all depths, equal to the ideal machine, equal to layered inference; nothing lost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim import neuromorphic
from hwsim.errors import SpecError
from hwsim.kernels.core_state import ASYNCHRONOUS, PER_LAYER, PER_TIMESTEP
from hwsim.machines.neuromorphic.simulate import run_sample
from tests.neuromorphic.machine.small_machines import THRESHOLD, draw

SEED = 3


def record_of(drawn, case, depth, order=None):
    """The record, or the text of the deadlock in which finite queues have ended."""
    try:
        return run_sample(
            drawn.setup, drawn.inputs, len(drawn.inputs), seed=SEED, sample=case, depth=depth, order=order
        )
    except SpecError as error:
        return str(error)


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    names = [field.name for field in dataclasses.fields(one) if field.name != "events"]
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)


def check_depths(case):
    drawn = draw(case)
    found = record_of(drawn, case, "pass")
    for depth in ("kernel", "process"):
        shuffled = np.random.default_rng(case) if case % 2 else None
        assert same(found, record_of(drawn, case, depth, shuffled)), (case, depth)
    return found


def test_depths_agree_in_every_field_whatever_order_processes_start_in():
    found = [check_depths(case) for case in range(40)]
    assert sum(not isinstance(record, str) for record in found) > 30


@pytest.mark.slow
def test_depths_agree_on_three_hundred_machines():
    for case in range(1000, 1300):
        check_depths(case)


def test_one_core_without_network_is_the_ideal_machine():
    for case in range(60):
        drawn = draw(case, cores=1, routed=False, order=ASYNCHRONOUS)
        found = record_of(drawn, case, "pass")
        trace = neuromorphic.run(drawn.frozen, drawn.inputs, drain="all", seed=SEED, sample=case,
                                 **{k: v for k, v in drawn.options.items() if k != "leak"})  # fmt: skip
        time, step = found.column("time"), found.column("step")
        emitted = [(time[int(at)], step[int(at)], n, v) for at, n, v in found.emitted]
        propagated = [(time[int(at)], step[int(at)], n, m, key) for at, n, m, key in found.propagated]
        assert emitted == [tuple(row) for row in trace.emitted[["timestep", "step", "neuron", "potential"]].tolist()]
        fields = ["timestep", "step", "neuron", "multiplicity", "priority"]
        assert propagated == [tuple(row) for row in trace.propagated[fields].tolist()]
        steps = [max([0, *step[time == t]]) for t in range(len(drawn.inputs))]
        assert steps == trace.steps.tolist()


def layered(drawn):
    """Spikes [T, N] of layer after layer, plainly."""
    layers = [drawn.frozen.layer(i) for i in range(len(drawn.frozen.sizes))]
    state = [np.zeros(len(w)) for w in layers]
    found = []
    for x in drawn.inputs:
        row, spikes = [], x.astype(float)
        for i, w in enumerate(layers):
            state[i] = np.rint(state[i] * drawn.options["leak"] / 2.0**-40) * 2.0**-40 + w @ spikes
            fires = state[i] > THRESHOLD
            state[i] = np.where(fires, state[i] - THRESHOLD if drawn.options["reset"] == "subtract" else 0.0, state[i])
            spikes = fires.astype(float)
            row.append(spikes)
        found.append(np.concatenate(row))
    return np.array(found)


@pytest.mark.parametrize("order", [PER_LAYER, PER_TIMESTEP])
def test_barriers_compute_layered_inference(order):
    tried = 0
    for case in range(40):
        drawn = draw(case, order=order)
        found = record_of(drawn, case, "pass")
        if isinstance(found, str) or drawn.options["reset"] == "subtract":
            continue
        assert np.array_equal(found.count("spike").T, _by_layer(drawn, layered(drawn))), case
        tried += 1
    assert tried > 20


def _by_layer(drawn, spikes):
    return np.add.reduceat(spikes, np.cumsum([0, *drawn.frozen.sizes[:-1]]), axis=1).astype(np.int64)


def test_what_is_emitted_is_sent_or_masked_or_left():
    for case in range(40):
        drawn = draw(case, order=ASYNCHRONOUS)
        found = record_of(drawn, case, "pass")
        if isinstance(found, str):
            continue
        ends = ("propagated", "masked", "left")
        assert found.count("spike").sum() == sum(found.count(name).sum() for name in ends), case
