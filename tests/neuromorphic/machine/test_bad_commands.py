"""What the command line says about machines that cannot be, and networks that do not fit: place, reason, what would
do; exit code 2, nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwsim import cli
from tests.neuromorphic.chips.networks import random_network

TOY = Path(__file__).with_name("toy.yaml")
SYNC = "  sync: {class: barrier, source: test, latency: {1: 100 ns}, actions: {barrier: {energy: 1 pJ, error: 10 %}}}\n"
PLACE = r"^\S*bad\.yaml:\d+:\d+: "


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """A function of YAML lines on top of the toy machine: the message of ``hwsim simulate``."""
    monkeypatch.chdir(tmp_path)
    workload = random_network(tmp_path / "net.npz")

    def message(*lines: str, depth: str = "pass") -> str:
        head = [f"schema: hwsim/arch/1\nname: bad\nbase: {TOY}\n"]
        Path("bad.yaml").write_text("".join([*head, *(f"{line}\n" for line in lines)]), "utf-8")
        assert cli._run(["simulate", "bad.yaml", workload, "--depth", depth]) == 2
        said = capsys.readouterr()
        assert not said.out and "Traceback" not in said.err and not Path("reports").exists()
        return said.err

    return message


@pytest.mark.parametrize(("core", "text"), [
    ("count: 2", "layer fc2 of net does not fit on 2 cores of 24 neurons, 16,384 bits of synapses (a layer begins on "
     "a core of its own): 4 neurons with 768 bits of synapses are left; 3 cores would do"),
    ("count: 1, neurons: 8", "layer fc0 of net does not fit on 1 core of 8 neurons, 16,384 bits of synapses (neurons "
     "run out): 24 neurons with 6,912 bits of synapses are left; 5 cores would do"),
    ("count: 1, synapse_memory: 400 B", "layer fc0 of net does not fit on 1 core of 24 neurons, 3,200 bits of synapses "
     "(synapses run out): 24 neurons with 6,912 bits of synapses are left; 4 cores would do"),
    ("synapse_memory: 40 B", "layer fc0 of net: one neuron needs 384 bits of synapses (24 of 16 bit); a core has 320\n"
     "  No number of cores would do; 'capacity: scaled' enlarges them."),
    ("axons_in: 20", "layer fc0 of net: one neuron needs 24 axons in; a core has 20\n"
     "  No number of cores would do; 'capacity: scaled' enlarges them."),
    ("axons_out: 15", "layer fc0 of net: core 0 needs 16 axons out; a core has 15\n"
     "  With at most 4 neurons on each (core.neurons), 8 cores would do."),
])  # fmt: skip
def test_networks_that_do_not_fit(refused, core, text):
    said = refused("components:", f"  core: {{{core}}}")
    assert re.match(PLACE, said) and text in said, said


def test_a_group_of_none(refused):
    said = refused("components:", "  core: {group: 0}")
    assert said == "bad.yaml:5:17: expected a whole number > 0, 'layer' or 'core', found 0\n"


def test_an_unknown_policy(refused):
    said = refused("components:", "  scheduler: {class: momentm_queue}")
    assert said.startswith("bad.yaml:5:22: unknown class 'momentm_queue'\n  did you mean 'momentum_queue'? ")


def test_cores_that_nothing_connects(refused):
    said = refused("remove: [components.channel]", "noc: {kind: none}")
    assert re.match(PLACE + "3 cores have nothing to connect them\n  Give the noc a kind, or add a component", said)


def test_a_torus_that_could_lock(refused):
    said = refused("components:", "  router: {virtual_channels: 1}", "  core: {neurons: 4}",
                   "noc: {kind: torus, rows: 1, columns: 16}")  # fmt: skip
    assert re.match(PLACE + "expected at least 2 on a torus, found 1: packets can wait for each other for ever", said)


@pytest.mark.parametrize("depth", ["pass", "kernel", "process"])
def test_a_deadlock_names_who_waits_for_whom(refused, depth):
    said = refused("noc: {kind: mesh}", "components:", SYNC + "  core: {input_queue: 1}", depth=depth)
    first, second = "channel 1 of router 0 from core 0", "channel 1 of router 1 from router 0"
    steps = [first, second, "core 1", "the start of the next phase", first]
    packets = [" (message 0 -> 1)", " (message 0 -> 1)", "", ""]
    ring = "; ".join(f"{a}{packet} waits for {b}" for a, packet, b in zip(steps, packets, steps[1:], strict=False))
    assert said == (f"bad.yaml:7:23: packets wait for each other for ever: {ring}\n"
                    "  Give the cores a longer input_queue, or leave it out.\n")  # fmt: skip


def test_too_few_output_slots(refused):
    said = refused("noc: {kind: mesh}", "components:", "  core: {output_slots: 3}")
    assert re.match(PLACE + r"a turn sends up to 4 messages \(F x destinations\); a core has 3 output slots\n", said)


def test_a_queue_at_the_router(refused):
    said = refused("noc: {kind: mesh}", "components:", "  router: {source_queue: 3}")
    assert said == "bad.yaml:6:26: a core's messages wait in its output slots\n  Use core.output_slots.\n"
