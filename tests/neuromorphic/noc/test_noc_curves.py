"""Latency against injection, beside what BookSim 2 gave for the same router (``tests/data/noc.json``)."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hwsim.components import topology
from hwsim.errors import SpecError
from hwsim.kernels.noc_tables import NocParameters
from hwsim.machines.neuromorphic.traffic import destinations, knee, latency_curve

DATA = json.loads((Path(__file__).parents[2] / "data" / "noc.json").read_text())
B = DATA["cases"]["B"]["parameters"]
SHORT = dict(warmup=1000, window=3000, drain=3000)
ZERO_LOAD = 6.25 * 5 + 2
"""Of B on 8 x 8, uniform: 1 + 2 (k^2 - 1) / (3 k) routers on average."""


def measured(name, low, high, every=1):
    """[(offered, theirs, ours)] of points of a case, with offered rates from low to high, that they found stable."""
    case = DATA["cases"][name]
    points = [point for point in case["points"] if point[3] and low <= point[0] <= high][::every]
    made = topology.mesh(case["k"], case["k"])
    ours = latency_curve(made, NocParameters(**case["parameters"]), [point[0] for point in points],
                         traffic=case["traffic"], **SHORT)  # fmt: skip
    return [(theirs[0], theirs[1], own) for theirs, own in zip(points, ours, strict=True)]


# offered rate up to which latencies are compared
FLAT = {"A": 0.40, "B": 0.40, "C": 0.10, "D": 0.36, "E": 0.05, "B4": 0.70, "transpose": 0.10, "bitcomp": 0.20,
        "tornado": 0.25, "neighbour": 0.25, "shuffle": 0.20}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_curves(name):
    """Both are averages over few packets: at low rates, and of long packets near saturation."""
    points = measured(name, 0.0, FLAT[name], every=3 if len(DATA["cases"][name]["points"]) > 10 else 2)
    for offered, theirs, own in points:
        assert own.stable and own.accepted == pytest.approx(offered, rel=0.05, abs=0.001)
        assert own.latency == pytest.approx(theirs, rel=0.06 if name == "D" else 0.05), (offered, theirs, own.latency)
    assert len(points) >= 2


def test_knee():
    """Latency takes off where theirs does, and the network accepts what they accepted."""
    points = measured("B", 0.40, 0.44, every=2)
    own = knee([point for _, _, point in points], ZERO_LOAD)
    assert 0.40 < own < 0.42
    last = [point for offered, _, point in points if offered >= 0.42]
    assert all(0.41 < point.accepted < 0.42 for point in last)
    assert last[-1].accepted < 0.97 * last[-1].offered


@pytest.mark.parametrize(("channels", "buffer", "theirs"), DATA["overload"])
def test_overload(channels, buffer, theirs):
    parameters = NocParameters(virtual_channels=channels, buffer=buffer)
    (point,) = latency_curve(topology.mesh(8, 8), parameters, [1.0], **(SHORT | {"drain": 0}))
    assert not point.stable
    assert point.accepted == pytest.approx(theirs, rel=0.03)


def test_saturation_of_a_single_channel_and_of_transpose():
    made, one = topology.mesh(8, 8), NocParameters(**DATA["cases"]["C"]["parameters"])
    for rate in (0.2, 0.25):
        (point,) = latency_curve(made, one, [rate], **(SHORT | {"drain": 0}))
        assert point.accepted == pytest.approx(0.14, abs=0.006)
    low, high, over = latency_curve(made, NocParameters(**B), [0.15, 0.17, 0.2], traffic="transpose", drain=0)
    assert low.accepted == pytest.approx(0.15, rel=0.02) and 100 < low.latency < 200
    # rates are of all cores; those that send to themselves or near go on beyond saturation
    assert high.accepted < 0.99 * 0.17 and over.accepted == pytest.approx(0.1745, rel=0.05)


def test_channels_by_pair():
    """The same at low load, and less at saturation; nothing is reordered."""
    made = topology.mesh(8, 8)
    free, tied = (latency_curve(made, NocParameters(vc=vc), [0.05, 0.3, 1.0], **(SHORT | {"drain": 400}))
                  for vc in ("dynamic", "by_pair"))  # fmt: skip
    assert tied[0].latency == pytest.approx(free[0].latency, rel=0.02)
    assert 1.02 * free[1].latency < tied[1].latency < 1.1 * free[1].latency
    assert 0.35 < tied[2].accepted < 0.99 * free[2].accepted
    assert all(point.reordered == 0 for point in tied) and free[1].reordered > 0


def test_patterns():
    made = topology.mesh(8, 8)
    assert destinations(made, "transpose")[8 * 2 + 5] == 8 * 5 + 2
    assert destinations(made, "bitcomp")[0b010_110] == 0b101_001
    assert destinations(made, "shuffle")[0b101_100] == 0b011_001
    assert destinations(made, "tornado")[8 * 2 + 6] == 8 * 5 + 1
    assert destinations(made, "neighbour")[8 * 7 + 3] == 4
    assert (destinations(made, "uniform") == -1).all()
    for k in (3, 5, 6):
        for pattern in ("transpose", "bitcomp", "tornado", "neighbour", "shuffle"):
            assert sorted(destinations(topology.mesh(k, k), pattern)) == list(range(k * k)), (k, pattern)
    # the mean number of routers on a path is that of the published runs
    hops = topology.hop_counts(made)
    visited = {"transpose": 6.25, "bitcomp": 9, "tornado": 8.5, "neighbour": 4.5, "shuffle": 5}
    for pattern, mean in visited.items():
        assert 1 + hops[np.arange(64), destinations(made, pattern)].mean() == mean


def test_any_size_any_packets():
    for made in (topology.mesh(3, 5), topology.torus(5, 5), topology.tree(2, 3)):
        parameters = NocParameters(flits=3, vc="by_pair", cores_per_router=2)
        (point,) = latency_curve(made, parameters, [0.05], **SHORT)
        assert point.stable and point.accepted == pytest.approx(0.05, rel=0.1) and point.reordered == 0
    fixed = [1, 0, -1, 3]
    (point,) = latency_curve(topology.mesh(2, 2), NocParameters(), [0.1], traffic=fixed, **SHORT)
    assert point.stable and 7 <= point.latency < 19


def test_the_same_seed_gives_the_same_point():
    made = topology.mesh(4, 4)
    first, again, other = (latency_curve(made, NocParameters(), [0.3], seed=seed, **SHORT) for seed in (3, 3, 4))
    assert first == again != other


def test_nothing_offered_in_the_window():
    (point,) = latency_curve(topology.mesh(2, 2), NocParameters(), [1e-9], warmup=0, window=10, drain=0)
    assert math.isnan(point.latency) and point.packets == 0
    assert math.isnan(knee([point], 10.0))


@pytest.mark.parametrize(
    ("made", "parameters", "rates", "traffic", "said"),
    [
        (topology.mesh(2, 2), {}, [0.1], "transposed", "did you mean 'transpose'"),
        (topology.mesh(2, 3), {}, [0.1], "transpose", "as many rows as columns"),
        (topology.tree(1, 4), {}, [0.1], "tornado", "for a mesh or torus"),
        (topology.mesh(2, 2), {"cores_per_router": 2}, [0.1], "neighbour", "one core per router"),
        (topology.mesh(2, 2), {}, [0.1], [0, 1, 2, 4], "expected 4 cores, each 0 to 3"),
        (topology.mesh(2, 2), {}, [1.1], "uniform", "found 1.1"),
        (topology.mesh(2, 2), {}, [0.0], "uniform", "found 0.0"),
        (topology.mesh(2, 2), {"multicast": True}, [0.1], "uniform", "sets of cores"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(made, parameters, rates, traffic, said):
    with pytest.raises(SpecError, match=said):
        latency_curve(made, NocParameters(**parameters), rates, traffic=traffic)
