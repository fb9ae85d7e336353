"""Currents to the first spike of a neuron, on machines: those of the ideal machine, and what phases make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim import neuromorphic
from hwsim.kernels.core_state import COMPETING, PER_LAYER
from hwsim.machines.neuromorphic.calendar import WHEN_QUIET
from hwsim.machines.neuromorphic.measures import currents_to_spike
from hwsim.machines.neuromorphic.received import currents_to_first_spike
from hwsim.machines.neuromorphic.simulate import run_sample
from tests.neuromorphic.machine.cases import GRID, draw_case
from tests.neuromorphic.machine.test_one_core_is_ideal import ideal


def test_one_core_is_the_ideal_machine() -> None:
    seen = 0
    for number in range(5200, 5400):
        case = draw_case(number, one_core=True, asynchronous=True)
        if (not case.rules.refractory and case.reset == "subtract") or not case.rules.prioritise:
            continue
        setup = replace(case.setup, kind=WHEN_QUIET)
        made = run_sample(setup, case.inputs, len(case.inputs), seed=7, sample=number, depth="pass")
        frozen = neuromorphic.freeze(case.weights, threshold=0.3, leak=case.leak, grid=[GRID] * len(case.weights))
        wanted = currents_to_spike(ideal(case, number), frozen).currents
        found = currents_to_first_spike(setup, made)
        if case.rules.carry and case.rules.stop:
            continue  # what is carried over counts where it was sent there, where it is taken here
        assert sorted(found.tolist()) == sorted(wanted.tolist()), number
        seen += len(found)
    assert seen > 200


def test_between_barriers_a_neuron_has_heard_the_whole_layer_below() -> None:
    seen = 0
    for number in range(5400, 5520):
        case = draw_case(number)
        if case.setup.chip.order != PER_LAYER or (not case.rules.refractory and case.reset == "subtract"):
            continue
        made = run_sample(case.setup, case.inputs, len(case.inputs), sample=number, depth="pass")
        first, wanted = case.setup.network.first, []
        counts = np.zeros((len(case.inputs), first[-1]), dtype=np.int64)
        turn = made.emitted[:, 0].astype(np.int64)
        np.add.at(counts, (made.column("time")[turn] // case.setup.chip.layers, made.emitted[:, 1].astype(np.int64)), 1)
        for layer in range(1, case.setup.chip.layers):
            below, own = counts[:, first[layer - 1] : first[layer]], counts[:, first[layer] : first[layer + 1]]
            wanted += (below @ (case.weights[layer] != 0).T)[own > 0].tolist()
        assert sorted(currents_to_first_spike(case.setup, made).tolist()) == sorted(wanted), number
        seen += len(wanted)
    assert seen > 30


def test_nothing_is_said_where_inputs_compete() -> None:
    case = next(case for case in map(draw_case, range(50)) if (case.setup.chip.core[:-1, COMPETING] > 0).any())
    made = run_sample(case.setup, case.inputs, len(case.inputs), depth="pass")
    assert currents_to_first_spike(case.setup, made).size == 0
