"""One network on both engines: everything must agree bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.network import engine, reference
from hwsim.network.encode import encode
from hwsim.network.freeze import freeze


def check_equal(case: Any) -> None:
    """Inputs, outputs, membranes and logits of one random network."""
    workload, raw, times, numerics = case
    frozen = freeze(workload, numerics)
    fast = engine.run(frozen, raw, times, seed=5, sample=2, membranes=True)
    plain = reference.run(frozen, encode(workload.input, raw, times, 5, 2), times, 2)
    for item in frozen.weighted:
        g = item.geometry
        source = plain.values[item.layer.inputs[0]].reshape(times, g.C, g.H, g.W)
        made = plain.values[item.name].reshape(times, g.M, g.E, g.F)
        assert fast.inputs[item.name].dtype in (np.uint8, np.int32)
        np.testing.assert_array_equal(np.broadcast_to(fast.inputs[item.name], source.shape), source)
        np.testing.assert_array_equal(np.broadcast_to(fast.outputs[item.name], made.shape), made)
        assert item.psum_low <= plain.psums[item.name].min() and plain.psums[item.name].max() <= item.psum_high
    for name, membranes in plain.membranes.items():
        np.testing.assert_array_equal(fast.membranes[name].reshape(membranes.shape), membranes)
    np.testing.assert_array_equal(fast.logits, plain.logits)
    assert fast.prediction == int(np.argmax(plain.logits[-1]))
