"""The ideal machine against others' code: every spike of their runs, in their order."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.neuromorphic import run, run_many
from tests.neuromorphic.ideal.networks import CASES, DATA, drawn

FIELDS = {"t": "timestep", "step": "step", "n": "neuron"}


@pytest.mark.parametrize("case", CASES)
def test_every_spike(case):
    """Exact, but for potentials under a real decay: theirs are float32."""
    meta = CASES[case]
    weights, inputs = drawn(case)
    trace = run(
        weights,
        inputs,
        group=meta["F"],
        policy="momentum",
        threshold=meta["threshold"],
        leak=meta["beta"],
        refractory=meta["refractory"],
        stop=meta["stop"],
        steps_after=meta["post_output_steps"] or 0,
        carry=not meta["queue_cleared_each_timestep"],
        sync_threshold=meta["sync_threshold"],
    )
    theirs = {key.partition("/")[2]: DATA[key] for key in DATA.files if key.startswith(f"{case}/")}
    for short, name in (FIELDS | {"mult": "multiplicity"}).items():
        np.testing.assert_array_equal(trace.propagated[name], theirs[f"ord_{short}"], name)
    for short, name in FIELDS.items():
        np.testing.assert_array_equal(trace.emitted[name], theirs[f"em_{short}"], name)
    for name, ours in (("counts", trace.counts), ("steps", trace.steps), ("queue_left", trace.queue)):
        np.testing.assert_array_equal(ours, theirs[name], name)
    tolerance = 0 if meta["weight_bits"] else 1e-5
    for name, ours in (
        ("ord_key", trace.propagated["key"]),
        ("em_v", trace.emitted["potential"]),
        ("v_end", trace.potentials),
    ):
        np.testing.assert_allclose(ours, theirs[name], rtol=0, atol=tolerance, err_msg=name)


SEEDS = 40
RANDOM = {
    "shd_F1_done": (1, 680.8, 20.4, 686),
    "shd_F8_done": (8, 561.4, 13.5, 83.1),
    "shd_F128_layered": (64, 453.0, 0.0, 32),
    "nmnist_F1_done": (1, 283.8, 13.6, 288),
    "nmnist_F8_done": (8, 219.2, 7.6, 35),
}
"""Group, mean and standard deviation of their spikes over 40 seeds under random scheduling, their mean steps."""


@pytest.mark.parametrize("case", RANDOM)
def test_random_scheduling(case):
    """Our mean over as many seeds is within three standard errors of theirs; a spike more is a step more at F = 1."""
    group, mean, deviation, steps = RANDOM[case]
    weights, inputs = drawn(case)
    repeated = np.repeat(inputs[None], SEEDS, axis=0)
    found = run_many(weights, repeated, group=group, policy="random", threshold=CASES[case]["threshold"])
    error = deviation / np.sqrt(SEEDS)
    assert abs(found.counts.sum(axis=1).mean() - mean) <= 3 * error
    assert abs(found.steps.sum(axis=1).mean() - steps) <= 3 * error / group + 0.05 * bool(deviation)
    assert found.counts.sum(axis=1).std(ddof=1) == pytest.approx(deviation, rel=0.4)


def test_layered_n_mnist():
    weights, inputs = drawn("nmnist_F8_done")
    trace = run(weights, inputs, group=64, policy="random", threshold=0.3125)
    assert (trace.counts.sum(), trace.steps.sum()) == (192, 20)


def test_smaller_groups_make_more_spikes():
    """Untrained networks react more the fewer spikes are taken together."""
    weights, inputs = drawn("shd_F1_done")
    spikes = [
        run(weights, inputs, group=group, policy="momentum", threshold=0.3125).counts.sum() for group in (1, 8, 64)
    ]
    assert spikes == [643, 553, 453]
    many = np.repeat(inputs[None], 20, axis=0)
    single = run_many(weights, many, group=1, policy="random", threshold=0.3125).counts.sum(axis=1).mean()
    assert 1.4 < single / 453 < 1.6
