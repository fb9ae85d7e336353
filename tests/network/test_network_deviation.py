"""How far hardware is from ideal."""

from __future__ import annotations

import numpy as np
import pytest
from snn_builder import LIF, Builder
from toy_product import toys

from hwsim.errors import SpecError
from hwsim.network import reference
from hwsim.network.deviation import Deviation, deviations
from hwsim.network.encode import encode
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.workload.model import Samples

RANDOM = np.random.default_rng(3)
SAMPLES = Samples(RANDOM.integers(0, 256, (6, 2, 6, 6)).astype(np.uint8), np.arange(6))


def tiny() -> Frozen:
    """Two neurons that add 2 and 6 per timestep, fire from 5 on and subtract 5; each spike is its class's logit."""
    b = Builder((2,), 3, scale=1.0)
    fires = {"type": "if", "threshold": 5.0, "compare": ">=", "reset": "subtract"}
    b.weighted("linear", (2, 2), fires, name="one", scale=1.0)
    b.weighted("linear", (2, 2), {"type": "none"}, name="out", scale=1.0)
    b.arrays["one.weight"][:] = [[2, 0], [0, 3]]
    b.arrays["out.weight"][:] = [[1, 0], [0, 1]]
    return freeze(b.build(classes=2))


def small(sharing: int = 1) -> Frozen:
    """A convolution and a join, BN per timestep, and an output."""
    b = Builder((2, 6, 6), 4, seed=3)
    bn = {key: b.member(key, RANDOM.uniform(0.5, 1.0, (4, 6)))["member"] for key in ("gamma", "beta", "mean", "var")}
    b.weighted("conv2d", (6, 2, 3, 3), LIF, kernel=[3, 3], name="one", bn=bn | {"eps": 0.0, "per_timestep": True})
    b.weighted("conv2d", (6, 6, 1, 1), LIF | {"threshold": 0.3}, kernel=[1, 1], name="two")
    b.add("add", "sum", inputs=["one", "two"])
    b.add("flatten")
    b.weighted("linear", (10, 96), {"type": "none"}, name="out")
    return freeze(b.build(), Numerics(lif_sharing=sharing))


def test_rows_worked_by_hand() -> None:
    ideal = tiny()
    # One weight of 1 instead of 2: the first neuron gains 1 per timestep, the second still 6.
    hardware = freeze(ideal.workload, Numerics(weights={"one": np.array([[1.0, 0.0], [0.0, 3.0]])}))
    samples = Samples(np.array([[1, 2]], dtype=np.uint8), np.array([0]))
    rows = deviations(ideal, hardware, samples)
    # Membranes after the timestep, ideal: (2, 1) (4, 2) (6 - 5, 3); hardware: (1, 1) (2, 2) (3, 3).
    one = [(np.sqrt(1 / 5), 0.0), (np.sqrt(4 / 20), 0.0), (np.sqrt(4 / 10), 0.5)]
    for t, (membrane, output) in enumerate(one):
        row = rows[t]
        assert row[:3] == ("", "one", t)
        assert row[3:] == pytest.approx((np.sqrt(1 / 40), membrane, output, 4.0, 4.0, 3.5, 6.25), rel=1e-14)
    # Spikes, ideal: (0, 1) (0, 1) (1, 1); hardware: (0, 1) (0, 1) (0, 1).
    assert rows[3:5] == [Deviation("", "out", t, 0.0, None, 0.0, 0.5, 0.25, 0.5, 0.25) for t in (0, 1)]
    assert rows[5] == pytest.approx(Deviation("", "out", 2, np.sqrt(1 / 2), None, 0.5, 1.0, 0.0, 0.5, 0.25))
    # Given the ideal spikes, the output layer makes no error of its own.
    local = deviations(ideal, hardware, samples, fed="ideal")
    assert local[:3] == rows[:3] and [row.output for row in local[3:]] == [0.0, 0.0, 0.0]
    assert local[5].hardware_mean == 1.0


@pytest.mark.parametrize("fed", ["own", "ideal"])
def test_identical_networks_do_not_deviate(fed: str) -> None:
    ideal = small()
    rows = deviations(ideal, freeze(ideal.workload, Numerics(products=toys(ideal))), SAMPLES, fed=fed)
    assert [(row.layer, row.timestep) for row in rows] == [
        (name, t) for name in ("one", "two", "out") for t in range(4)
    ]
    for row in rows:
        assert row.current == row.output == 0.0 and row.membrane == (None if row.layer == "out" else 0.0)
        assert row.ideal_mean == row.hardware_mean and row.ideal_variance == row.hardware_variance > 0


def test_rows_are_those_of_the_plain_network() -> None:
    ideal = small()
    hardware = freeze(ideal.workload, Numerics(products=toys(ideal, spread=0.5, fresh=True, noise=200.0)))
    seen = []
    for frozen in (ideal, hardware):
        runs = [
            reference.run(frozen, encode(frozen.workload.input, image, 4), 4, number)
            for number, image in enumerate(SAMPLES.inputs[:3])  # type: ignore[index]
        ]
        seen.append({
            "current": np.stack([[run.psums["one"][t] * frozen.layers["one"].at(t)[0][:, None]
                                  + frozen.layers["one"].at(t)[1][:, None] for t in range(4)] for run in runs]),
            "membrane": np.stack([run.membranes["one"] for run in runs]),
            "output": np.stack([run.values["one"] for run in runs]),
        })  # fmt: skip
    rows = deviations(ideal, hardware, SAMPLES, 3, workers=3)
    assert rows == deviations(ideal, hardware, SAMPLES, 3, workers=1)
    for t, row in enumerate(rows[:4]):
        (i, h) = ({key: value[:, t] for key, value in both.items()} for both in seen)
        for key in ("current", "membrane"):
            expected = np.sqrt(np.sum((h[key] - i[key]) ** 2) / np.sum(i[key] ** 2))
            assert getattr(row, key) == pytest.approx(expected, rel=1e-9) and expected > 0.01
        assert row.output == np.mean(h["output"] != i["output"]) > 0
        expected_moments = [f(x["current"]) for x in (i, h) for f in (np.mean, np.var)]
        assert row[6:] == pytest.approx(expected_moments, rel=1e-9)


def test_each_cause_has_its_rows() -> None:
    ideal = small()
    weak = freeze(ideal.workload, Numerics(products=toys(ideal, factor=0.8)))
    strong = freeze(ideal.workload, Numerics(products=toys(ideal, spread=0.9)))
    rows = deviations(ideal, {"wires": weak, "variation": strong}, SAMPLES, 2)
    assert [row.cause for row in rows] == ["wires"] * 12 + ["variation"] * 12
    for cause, frozen in (("wires", weak), ("variation", strong)):
        alone = deviations(ideal, frozen, SAMPLES, 2)
        assert [row[1:] for row in rows if row.cause == cause] == [row[1:] for row in alone]


def test_silence_in_one_network_only() -> None:
    ideal = tiny()
    silent = freeze(ideal.workload, Numerics(weights={"one": np.zeros((2, 2))}))
    samples = Samples(np.array([[1, 2]], dtype=np.uint8), np.array([0]))
    assert [row.current for row in deviations(ideal, silent, samples)] == [1.0] * 6
    assert [row.current for row in deviations(silent, ideal, samples)] == [np.inf] * 6
    assert [row.current for row in deviations(silent, silent, samples)] == [0.0] * 6


def test_shared_membranes_are_not_compared() -> None:
    ideal = small()
    rows = deviations(ideal, freeze(ideal.workload, Numerics(lif_sharing=2)), SAMPLES, 1)
    assert {row.membrane for row in rows} == {None} and rows[4].output > 0


def test_timesteps_and_mistakes() -> None:
    ideal = small()
    assert len(deviations(ideal, ideal, SAMPLES, 1, timesteps=2)) == 6
    with pytest.raises(SpecError, match="unknown inputs 'ideals' for deviations; did you mean 'ideal'"):
        deviations(ideal, ideal, SAMPLES, fed="ideals")
    with pytest.raises(SpecError, match="at least one sample, not 0"):
        deviations(ideal, ideal, SAMPLES, 0)
    with pytest.raises(SpecError, match="4 timesteps, not 5"):
        deviations(ideal, ideal, SAMPLES, timesteps=5)
