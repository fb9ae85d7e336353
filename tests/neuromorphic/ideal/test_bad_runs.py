"""Arguments of ``run`` that cannot be: what is said, word by word, and all mistakes at once."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from hwsim import neuromorphic
from hwsim.errors import SpecError
from hwsim.neuromorphic import freeze, run, run_many

WEIGHTS = [np.ones((3, 2)), np.ones((1, 3))]
INPUTS = np.ones((2, 2))
GOOD = {"group": 1, "policy": "fifo", "threshold": 0.5}
NAN, INF = float("nan"), float("inf")


def with_one(value, at=1):
    weights = [matrix.copy() for matrix in WEIGHTS]
    weights[at][0, 1] = value
    return weights


def said(weights=WEIGHTS, inputs=INPUTS, call=run, **changes):
    with pytest.raises(SpecError) as caught:
        call(weights, inputs, **(GOOD | changes))
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"group": 0}, "group: must be a whole number, at least 1, not 0"),
        ({"group": 2.0}, "group: must be a whole number, at least 1, not 2.0"),
        ({"group": True}, "group: must be a whole number, at least 1, not True"),
        ({"steps_after": -1}, "steps_after: must be a whole number, at least 0, not -1"),
        ({"seed": "x"}, "seed: must be a whole number, not 'x'"),
        ({"sample": 0.5}, "sample: must be a whole number, not 0.5"),
        (
            {"policy": "momentom"},
            "policy: unknown policy 'momentom'\n"
            "  did you mean 'momentum'? Policies: fifo, layer_order, momentum, random, round_robin.",
        ),
        (
            {"policy": None},
            "policy: is missing: a name, or an object with a compiled key\n"
            "  Policies: fifo, layer_order, momentum, random, round_robin.",
        ),
        ({"stop": "outputs"}, "stop: unknown stop 'outputs'\n  did you mean 'output'? Allowed: done, output."),
        ({"reset": "soft"}, "reset: unknown reset 'soft'\n  Allowed: zero, subtract."),
        ({"drain": "al"}, "drain: unknown drain 'al'\n  did you mean 'all'? Allowed: positive, all."),
        ({"noise": -0.5, "policy": "momentum"}, "noise: must be a finite number, at least 0, not -0.5"),
        ({"noise": INF, "policy": "momentum"}, "noise: must be a finite number, at least 0, not inf"),
        ({"noise": 0.5}, "noise: belongs to policy 'momentum'; 'fifo' takes none (found 0.5)"),
        ({"refractory_dropout": 1.5}, "refractory_dropout: must be between 0 and 1, not 1.5"),
        ({"input_dropout": -0.1}, "input_dropout: must be between 0 and 1, not -0.1"),
        ({"network_dropout": NAN}, "network_dropout: must be between 0 and 1, not nan"),
        ({"threshold": None}, "threshold: is missing: a number, or one per neuron"),
        ({"threshold": [1, 2, 3]}, "threshold: must be a number or one per neuron [4], not shape [3]"),
        ({"threshold": np.ones((4, 1))}, "threshold: must be a number or one per neuron [4], not shape [4, 1]"),
        ({"threshold": "high"}, "threshold: must be a number or one per neuron, not 'high'"),
        ({"threshold": NAN}, "threshold: must be finite (found nan)"),
        ({"threshold": [1, 1, -INF, 1]}, "threshold: must be finite (found -inf at neuron 2)"),
        (
            {"threshold": [1, 1, -0.5, 1], "refractory": False},
            "threshold: must be above 0 without refractoriness, or a timestep would never end (found -0.5 at neuron 2)",
        ),
        (
            {"threshold": -0.5, "refractory_dropout": 1.0},
            "threshold: must be above 0 without refractoriness, or a timestep would never end (found -0.5 at neuron 0)",
        ),
        (
            {"threshold": 0, "refractory": False, "reset": "subtract"},
            "threshold: must be above 0 without refractoriness, or a timestep would never end (found 0.0 at neuron 0)",
        ),
        ({"leak": 1.5}, "leak: must be between 0 and 1 (found 1.5)"),
        ({"leak": [1, 1, -0.25, 1]}, "leak: must be between 0 and 1 (found -0.25)"),
        ({"leak": [1, NAN, 1, 1]}, "leak: must be finite (found nan at neuron 1)"),
        ({"sync_threshold": NAN}, "sync_threshold: must be finite (found nan)"),
        ({"sync_threshold": [1, 2]}, "sync_threshold: must be a number or one per neuron [4], not shape [2]"),
        (
            {"barriers": True, "prioritise_input": False},
            "barriers: need prioritise_input=True: the first layer reports in step 1",
        ),
        (
            {"barriers": True, "carry": True, "stop": "output"},
            "barriers: cannot be carried over: use carry=False, or stop='done'",
        ),
        ({"grid": [0.3, 1]}, "grid: must be one power of two per layer (2), not [0.3, 1.0]"),
        ({"grid": [0.5]}, "grid: must be one power of two per layer (2), not [0.5]"),
    ],
)
def test_settings(changes, text):
    assert said(**changes) == text


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([], "weights: must have at least one layer"),
        (3, "weights: must be one array [fan-out, fan-in] of numbers per layer"),
        ([[["x"]]], "weights: must be one array [fan-out, fan-in] of numbers per layer"),
        ([np.ones(3)], "weights[0]: must be an array [fan-out, fan-in], not shape [3]"),
        ([np.ones((0, 2))], "weights[0]: must be an array [fan-out, fan-in], not shape [0, 2]"),
        (
            [np.ones((3, 2)), np.ones((1, 2))],
            "weights[1]: must have fan-in 3, the fan-out of weights[0], not 2",
        ),
        (with_one(NAN), "weights[1]: must be finite (found nan at [0, 1])"),
        (with_one(-INF, 0), "weights[0]: must be finite (found -inf at [0, 1])"),
        (
            with_one(1e300),
            "weights[1]: must have a largest sum of magnitudes between 3.1e-151 and 3.3e+150, not 1.0e+300",
        ),
    ],
)
def test_weights(weights, text):
    assert said(weights) == text


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.ones(2), "inputs: must be an array [timesteps, 2] of event counts, not shape [2]"),
        (np.ones((2, 3)), "inputs: must be an array [timesteps, 2] of event counts, not shape [2, 3]"),
        ("spikes", "inputs: must be an array [timesteps, 2] of event counts, not str"),
        ([[1, 0], [0, -1]], "inputs: must be finite and at least 0 (found -1.0 at timestep 1, input 1)"),
        ([[1, NAN]], "inputs: must be finite and at least 0 (found nan at timestep 0, input 1)"),
    ],
)
def test_inputs(inputs, text):
    assert said(inputs=inputs) == text


def test_parts_of_events_cannot_wait():
    text = "inputs: must be whole numbers, at least 0, where inputs compete (prioritise_input=False)"
    assert said(inputs=[[1, 0.5]], prioritise_input=False) == f"{text} (found 0.5 at timestep 0, input 1)"


def test_all_mistakes_at_once():
    text = said(with_one(NAN), group=0, policy="lifo", stop="never", leak=2)
    places = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert places == ["weights[1]", "leak", "policy", "stop", "group"]


def test_a_wrong_name_is_a_type_error():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'treshold'; did you mean 'threshold'\?"):
        run(WEIGHTS, INPUTS, treshold=1)


def test_frozen_weights_have_their_threshold():
    frozen = freeze(WEIGHTS, threshold=0.5)
    assert said(frozen, leak=0.5).splitlines() == [
        "threshold: belongs to 'freeze' where the weights are frozen",
        "leak: belongs to 'freeze' where the weights are frozen",
    ]


def test_potentials_beyond_exact_sums():
    """2^53 units of 2^-40 of the full scale: 8192 times the full scale."""
    weights = [np.array([[-1.0]])]
    assert run(weights, [[8192]], **GOOD).potentials[0, 0] == -8192
    text = "inputs: the potential of neuron 0 outgrows exact sums in timestep 1"
    assert said(weights, [[8192], [1]]) == f"{text}: fewer or smaller inputs, or a leak below 1, keep it small"


def test_many_samples():
    assert said(inputs=INPUTS, call=run_many) == (
        "inputs: must be an array [samples, timesteps, 2] of event counts, not shape [2, 2]"
    )
    batch = np.ones((3, 1, 2))
    batch[1, 0, 1] = -2
    assert said(inputs=batch, call=run_many) == (
        "inputs[1]: must be finite and at least 0 (found -2.0 at timestep 0, input 1)"
    )
    batch = np.ones((3, 1, 2))
    assert said(inputs=batch, call=run_many, labels=[0, 0]) == "labels: must be one whole number per sample [3]"
    assert said(inputs=batch, call=run_many, labels=[0, 0, 1]) == "labels: must be 0 to 0 (found 0 to 1)"
    assert said(inputs=batch, call=run_many, workers=0) == "workers: must be a whole number, at least 1, not 0"


def test_example():
    assert doctest.testmod(neuromorphic) == (0, 5)
