"""The compiled forward steps against the same in plain Python: every field equal."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.machines.neuromorphic.plain import run_plain
from hwsim.neuromorphic import SpecError, freeze, run
from tests.neuromorphic.ideal.networks import drawn, networks, settings_of


def assert_equal(trace, witness):
    for name, ours, theirs in zip(trace._fields, trace, witness, strict=True):
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs, name)


@given(st.data())
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_settings(data):
    weights, inputs = data.draw(networks())
    chosen = data.draw(settings_of(sum(map(len, weights))))
    if chosen.get("prioritise_input", True) and data.draw(st.booleans()):
        inputs = inputs * np.float64(1 / 3)  # multiplicities that are not whole
    sample = data.draw(st.integers(0, 3))
    try:
        trace = run(weights, inputs, sample=sample, **chosen)
    except SpecError:
        return
    assert_equal(trace, run_plain(weights, inputs, sample=sample, **chosen))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_thresholds_at_and_below_zero(data):
    """A neuron above its threshold at rest fires once per timestep."""
    weights, inputs = data.draw(networks())
    chosen = {
        "group": data.draw(st.integers(1, 4)),
        "policy": "random",
        "threshold": data.draw(st.sampled_from([0, -0.1])),
    }
    assert_equal(run(weights, inputs, **chosen), run_plain(weights, inputs, **chosen))


def test_float_weights_and_decay():
    """Weights on no grid of their own are put on one, and decayed potentials are rounded to it, alike."""
    weights, inputs = drawn("shd_F8_tau100_dt10")
    for policy in ("random", "momentum"):
        chosen = {"group": 8, "policy": policy, "threshold": 0.3, "leak": np.exp(-0.1)}
        assert_equal(run(weights, inputs[:3], **chosen), run_plain(weights, inputs[:3], **chosen))
    frozen = freeze(weights, threshold=0.3, leak=np.exp(-0.1))
    assert 0 < frozen.largest_change < 2.0**-33
    assert_equal(
        run(frozen, inputs, group=8, policy="fifo"),
        run(weights, inputs, group=8, policy="fifo", threshold=0.3, leak=np.exp(-0.1)),
    )
    for number, matrix in enumerate(weights):
        np.testing.assert_allclose(frozen.layer(number), matrix, rtol=0, atol=2.0**-36)


def test_a_grid_of_ones_own():
    """Decay rounds to the grid given, half to even."""
    trace = run([np.array([[0.75]])], [[1], [0], [0]], group=1, policy="fifo", threshold=9, leak=0.5, grid=[0.25])
    assert trace.potentials.ravel().tolist() == [0.75, 0.5, 0.25]  # 0.375 and then 0.25
