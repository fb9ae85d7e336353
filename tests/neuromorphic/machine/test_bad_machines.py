"""What is wrong with a machine is said in one line each, with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hwsim
from hwsim.components.registry import load
from hwsim.errors import SpecError
from tests.neuromorphic.chips.networks import random_network

TOY = Path(__file__).with_name("toy.yaml")
BARRIER = "sync:\n    class: barrier\n    source: test\n    actions: {barrier: {energy: 1 pJ, error: 10 %}}\n    "


def changed(folder: Path, components: str = "", rest: str = "") -> Path:
    path = folder / "bad.yaml"
    parts = f"components:\n  {components}\n" if components else ""
    path.write_text(f"schema: hwsim/arch/1\nname: bad\nbase: {TOY}\n{parts}{rest}\n", "utf-8")
    return path


@pytest.mark.parametrize(("components", "text"), [
    (BARRIER + "latency: {2: 1 ns}", "no latency for 1 core"),
    (BARRIER + "latency: {one: 1 ns}", "expected a number of cores, found 'one'"),
    (BARRIER + "latency: {1: 5 V}", "V"),
    (BARRIER + "per: layer", "missing key 'latency' in components.sync"),
    (BARRIER + "latency: {1: 1 ns}\n    per: neuron", "unknown per 'neuron'"),
    ("sync: {input: period}", "'input: period' and a 'period' are given together"),
    ("sync: {period: 1 us}", "'input: period' and a 'period' are given together"),
    ("core: {zeros: processed}", "a core without synchronisation computes what it gets: zeros are skipped"),
    ("core: {group: 0}", "expected a whole number > 0, 'layer' or 'core', found 0"),
    ("core: {input_queue: 4}", "without a network on chip no message can be made to wait"),
    ("core: {weight_bits: 4}", "expected a size such as '8 bit'"),
    ("core: {synapse_tme: 4 ns}", "did you mean 'synapse_time'?"),
    ("scheduler: {count: 3}", "how many there are follows from core.count and the network"),
    ("scheduler: {class: random_arbitr}", "did you mean 'random_arbiter'?"),
    ("scheduler: {level_time: {value: 1 ns, source: test}}", "unknown key 'level_time'"),
])  # fmt: skip
def test_components(tmp_path, components, text):
    with pytest.raises(SpecError) as error:
        load(changed(tmp_path, components))
    assert text in str(error.value), error.value
    assert re.search(r"bad\.yaml:\d+:\d+: |toy\.yaml:\d+:\d+: ", str(error.value))


@pytest.mark.parametrize(("rest", "text"), [
    ("noc: {kind: ring}", "unknown kind 'ring'"),
    ("noc: {kind: mesh, rows: 4}", "rows and columns of the NoC are given together, or neither"),
    ("remove: [components.router]\nnoc: {kind: mesh}", "a mesh needs the components router and link: router missing"),
    ("options: {stop: never}", "unknown stop 'never'"),
    ("options: {carri: true}", "did you mean 'carry'?"),
    ("mapping: {share: true}", "unknown key 'share'"),
    ("dataflow: pipelined", "unknown dataflow 'pipelined'"),
])  # fmt: skip
def test_blocks(tmp_path, rest, text):
    with pytest.raises(SpecError) as error:
        load(changed(tmp_path, rest=rest))
    assert text in str(error.value), error.value


def test_a_class_of_another_part_is_no_scheduler(tmp_path):
    text = TOY.read_text("utf-8")
    begin, end = text.index("  scheduler:\n"), text.index("  sync:\n")
    overhead = "  scheduler:\n    class: chip_overhead\n    area: not modelled\n    leakage: not modelled\n\n"
    path = tmp_path / "bad.yaml"
    path.write_text(text[:begin] + overhead + text[end:], "utf-8")
    with pytest.raises(SpecError, match="'scheduler' cannot be a chip_overhead"):
        load(path)


def test_a_turn_must_find_output_slots(tmp_path):
    workload = random_network(tmp_path / "net.npz")
    path = changed(tmp_path, "core: {neurons: 8, output_slots: 5}", "noc: {kind: mesh}")
    with pytest.raises(SpecError, match=r"a turn sends up to 8 messages \(F x destinations\); a core has 5"):
        hwsim.simulate(path, workload, depth="pass")


def test_all_problems_are_found_at_once(tmp_path):
    with pytest.raises(SpecError) as error:
        load(changed(tmp_path, "core: {zeros: processed, input_queue: 2}", "noc: {kind: none, columns: 3}"))
    assert len(error.value.problems) == 3


def test_a_component_that_is_needed_is_missing(tmp_path):
    text = TOY.read_text("utf-8")
    begin, end = text.index("  input:\n"), text.index("  channel:\n")
    path = tmp_path / "bad.yaml"
    path.write_text(text[:begin] + text[end:], "utf-8")
    with pytest.raises(SpecError, match="component 'input' is missing"):
        hwsim.simulate(path, random_network(tmp_path / "net.npz"), depth="pass")
