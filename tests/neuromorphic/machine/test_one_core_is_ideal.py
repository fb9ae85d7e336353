"""One core without a network is the ideal machine: order, emissions, keys, counts, potentials, steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim import neuromorphic
from hwsim.machines.neuromorphic.calendar import WHEN_QUIET
from hwsim.machines.neuromorphic.simulate import run_sample
from tests.neuromorphic.machine.cases import GRID, Case, draw_case


def ideal(case: Case, number: int) -> neuromorphic.Trace:
    """The same on the ideal machine."""
    rules = case.rules
    return neuromorphic.run(
        case.weights, case.inputs, group=rules.group, policy=case.policy, noise=case.noise, threshold=0.3,
        leak=case.leak, reset=case.reset, refractory=rules.refractory, prioritise_input=rules.prioritise,
        stop="output" if rules.stop else "done", steps_after=rules.steps_after, carry=rules.carry, drain="all",
        grid=[GRID] * len(case.weights), seed=7, sample=number,
    )  # fmt: skip


@pytest.mark.parametrize("depth", ["pass", "kernel", "process"])
@pytest.mark.parametrize("block", range(4))
def test_one_core_is_the_ideal_machine(block, depth):
    for number in range(5000 + 25 * block, 5025 + 25 * block):
        case = draw_case(number, one_core=True, asynchronous=True)
        setup = replace(case.setup, kind=WHEN_QUIET)
        if not case.rules.refractory and case.reset == "subtract":
            continue  # a neuron that fires for ever
        made = run_sample(setup, case.inputs, len(case.inputs), seed=7, sample=number, depth=depth)
        trace = ideal(case, number)
        time, step = made.column("time"), made.column("step")
        emitted = [(time[int(a)], step[int(a)], n, v) for a, n, v in made.emitted]
        assert emitted == [(r["timestep"], r["step"], r["neuron"], r["potential"]) for r in trace.emitted], number
        sent = [(time[int(a)], step[int(a)], n, m, k) for a, n, m, k in made.propagated]
        expected = [tuple(r[name] for name in ("timestep", "step", "neuron", "multiplicity", "priority"))
                    for r in trace.propagated]  # fmt: skip
        assert sent == expected, number
        steps = [max(step[time == t], default=0) for t in range(len(case.inputs))]
        assert steps == trace.steps.tolist(), number
        assert np.array_equal(made.potential, trace.potentials[-1]), number
        assert np.array_equal(made.spikes(setup.network.neurons, np.zeros(setup.network.neurons, int)), trace.counts)
