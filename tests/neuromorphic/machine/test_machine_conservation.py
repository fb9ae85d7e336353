"""Nothing is lost: spikes, messages, ticks, flits."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.kernels.core_state import ASYNCHRONOUS, COUNTS
from hwsim.machines.neuromorphic.simulate import run_sample
from tests.neuromorphic.machine.cases import draw_case


def records(routed):
    for number in range(7000, 7120):
        case = draw_case(number, routed=routed)
        try:
            yield case, run_sample(case.setup, case.inputs, len(case.inputs), seed=1, sample=number, depth="pass")
        except SpecError as error:
            assert "wait" in str(error)


@pytest.mark.parametrize("routed", [False, True])
def test_spikes_and_messages(routed):
    seen = 0
    for case, made in records(routed):
        total = {name: int(made.count(name).sum()) for name in COUNTS}
        assert total["spike"] == total["propagated"] + total["masked"] + total["left"]
        assert len(made.emitted) == total["spike"] and made.column("fired").sum() == total["spike"]
        assert made.column("taken").sum() == total["axon_in"]
        own = made.propagated[:, 1] >= 0
        assert made.propagated[own, 2].sum() == total["propagated"]
        assert made.column("chosen").sum() == len(made.propagated) == total["choose"]
        if case.setup.chip.order == ASYNCHRONOUS:
            assert total["late"] == 0 or case.setup.kind == 1
        seen += total["spike"]
    assert seen > 1000


@pytest.mark.parametrize("routed", [False, True])
def test_ticks(routed):
    for _, made in records(routed):
        start, end, core = (made.column(name) for name in ("start", "end", "core"))
        assert (end > start).all() and end.max() <= made.ticks
        for number in range(len(made.busy)):
            own = core == number
            assert (start[own][1:] >= end[own][:-1]).all(), "a core has one turn at a time"
        assert (made.busy.sum(axis=1) >= 0).all()
        assert (made.busy.max(axis=1) <= made.running).all()


def test_flits_are_messages_times_links():
    """On a mesh without multicast: every message leaves as many routers as lie on its way."""
    found = 0
    for case, made in records(True):
        routing = case.setup.routing
        if made.flits is None or case.rules.multicast:
            continue
        tables = routing.tables
        local = (tables.link[:, 4] == 2).reshape(tables.routers, -1)
        stops = int(made.column("masked").sum()) * (case.setup.cores - 1)
        delivered = made.flits.sum(axis=2)[local].sum()
        assert delivered == (made.column("messages").sum() + stops) * tables.flits
        found += int(made.flits.sum())
    assert found > 500


def test_samples_draw_their_own_numbers():
    """Same seed and sample: same bytes; another sample: other choices."""
    case = next(case for case in map(draw_case, range(100)) if case.policy == "random" and len(case.inputs) > 2)
    one, same, other = (run_sample(case.setup, case.inputs, len(case.inputs), seed=1, sample=n, depth="pass")
                        for n in (0, 0, 1))  # fmt: skip
    assert np.array_equal(one.propagated, same.propagated)
    assert not np.array_equal(one.propagated[:, 3], other.propagated[:, 3])
