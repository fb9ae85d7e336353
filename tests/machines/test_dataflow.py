"""Names of dataflows, and what each can do."""

import pytest

from hwsim.errors import SpecError
from hwsim.machines.systolic.dataflow import parse


def test_the_named_ones():
    assert [(parse(n).stationary, parse(n).time) for n in ("os", "ws", "is", "tick-batch")] == [
        ("output", "layer"), ("weight", "layer"), ("input", "layer"), ("output", "inner")]  # fmt: skip


def test_any_pair():
    flow = parse("ws/block:2")
    assert (flow.stationary, flow.time, flow.block, flow.can_exit) == ("weight", "block", 2, True)
    assert parse("output/network").can_exit and not parse("os/inner").can_exit


@pytest.mark.parametrize("text", ("tick", "os/", "os/block", "os/block:0", "os/inner:2", "xs/layer", "os/later", ""))
def test_everything_else_is_refused_with_the_known_ones(text):
    with pytest.raises(SpecError, match="--dataflow: "):
        parse(text)


def test_the_nearest_name_is_offered():
    with pytest.raises(SpecError) as error:
        parse("tickbatch")
    assert "did you mean 'tick-batch'?" in str(error.value)
