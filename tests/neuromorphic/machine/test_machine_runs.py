"""Whole runs through the pipeline: architecture and workload in, energy, time and accuracy out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim import neuromorphic
from hwsim.errors import SpecError
from hwsim.machines.neuromorphic import run as machine_run
from hwsim.run import simulate_activity
from tests.neuromorphic.chips.networks import random_network

TOY = Path(__file__).with_name("toy.yaml")
SYNC = {
    "none": "",
    "barrier": "  sync:\n    class: barrier\n    source: test\n    per: layer\n    latency: {1: 100 ns}\n"
    "    actions: {barrier: {energy: 1 pJ, error: 10 %}}\n",
    "timestep": "  sync:\n    class: barrier\n    source: test\n    per: timestep\n    latency: {1: 100 ns}\n"
    "    actions: {barrier: {energy: 1 pJ, error: 10 %}}\n",
    "timer": "  sync:\n    class: timer\n    interval: 5 us\n    source: test\n"
    "    actions: {tick: {energy: 1 pJ, error: 10 %}}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_network(tmp_path_factory.mktemp("workload") / "net.npz")


def toy(folder: Path, sync: str = "none", noc: str = "mesh", more: str = "") -> Path:
    """The small machine with another synchronisation."""
    path = folder / f"toy_{sync}.yaml"
    parts = f"components:\n{SYNC[sync]}{more}" if SYNC[sync] or more else ""
    path.write_text(f"schema: hwsim/arch/1\nname: toy_{sync}\nbase: {TOY}\nnoc: {{kind: {noc}}}\n{parts}", "utf-8")
    return path


def rows(result: hwsim.Result, metric: str) -> dict[tuple[str | None, str | None], float]:
    return {(row.component, row.action): row.value for row in result.rows if row.metric == metric}


@pytest.mark.parametrize("sync", SYNC)
def test_results_do_not_depend_on_the_depth(tmp_path, workload, sync):
    made = [hwsim.simulate(toy(tmp_path, sync), workload, depth=depth, samples=2, accuracy=2)
            for depth in ("pass", "kernel", "process")]  # fmt: skip
    assert made[0].to_json() == made[1].to_json() == made[2].to_json()
    assert made[0].rows == made[1].rows == made[2].rows
    assert made[0].totals["energy_J"] > 0 and made[0].totals["latency_s"] > 0


def test_the_price_of_synchronisation(tmp_path, workload):
    """One network on one machine: with barriers and with a slow timer the function is that of synchronised layers; the
    timer is slowest and idle most; without synchronisation it is over soonest."""
    made = {sync: hwsim.simulate(toy(tmp_path, sync), workload, depth="pass", accuracy=6) for sync in SYNC}
    accuracy = {sync: rows(result, "accuracy") for sync, result in made.items()}
    for sync in ("barrier", "timestep", "timer"):
        assert accuracy[sync]["machine", None] == accuracy[sync]["layered", None]
    seconds = {sync: result.totals["latency_s"] for sync, result in made.items()}
    assert seconds["none"] < seconds["timestep"] < seconds["barrier"] < seconds["timer"]
    assert seconds["timer"] == 5 * 5e-6  # 3 timesteps through 3 layers
    idle = {sync: rows(result, "cycles")["core", "idle"] / result.totals["cycles"] for sync, result in made.items()}
    assert idle["timer"] == max(idle.values())
    priced = {sync: rows(result, "energy") for sync, result in made.items()}
    assert ("sync", "barrier") not in priced["none"] and priced["barrier"]["sync", "barrier"] > 0


def test_switched_off_cores_leak_less(tmp_path, workload):
    """What is left: the share of all cores all the time, the rest of those that run while they do."""
    on = hwsim.simulate(toy(tmp_path), workload, depth="pass", accuracy=0)
    gated = "  core: {power_gated: true, gated_leakage: 0.25, wake_time: {value: 0 ns, source: test}}\n"
    off = hwsim.simulate(toy(tmp_path, more=gated), workload, depth="pass", accuracy=0)
    running = rows(off, "cycles")["core", "busy"]
    full = rows(on, "energy")["core", "leakage"]
    expected = 0.25 * full + 0.75 * 10e-6 * running * 1e-9
    energy = rows(off, "energy")
    assert energy["core", "leakage"] + energy["core", "powered"] == pytest.approx(expected)
    assert energy["core", "wake"] > 0 and off.totals["cycles"] == on.totals["cycles"]


def test_what_is_counted_must_have_a_price(tmp_path, workload):
    parts = ("router", "channel", "core")
    for part in parts:
        path = tmp_path / f"without_{part}.yaml"
        text = TOY.read_text("utf-8")
        if part == "core":
            text = text.replace("      wake: {energy: 6 pJ, error: 10 %}\n", "").replace(
                "    group: 4\n", "    group: 4\n    power_gated: true\n"
            )
        else:
            begin = text.index(f"  {part}:\n")
            text = text[:begin] + text[text.index("\n\n", begin) + 2 :]
        path.write_text(text.replace("kind: none", "kind: mesh" if part == "router" else "kind: none"), "utf-8")
        with pytest.raises(SpecError, match=r"wake is counted but has no price|router missing|nothing to connect them"):
            hwsim.simulate(path, workload, depth="pass")


def test_depth_pass_is_for_this_family_only():
    with pytest.raises(SpecError, match=r"--depth pass: sata is a systolic machine; depths for it: kernel, process"):
        hwsim.simulate("sata", "digits_mlp", depth="pass")


def test_layers_cannot_be_run_alone(workload):
    with pytest.raises(SpecError, match=r"--layers: spikes are made on the machine, which needs the whole network"):
        hwsim.simulate(TOY, workload, layers=(0, 1))


def test_slow_processes_are_refused(workload, monkeypatch):
    monkeypatch.setattr(machine_run, "PROCESS_LIMIT_SECONDS", 1e-6)
    with pytest.raises(SpecError, match=r"depth 'process' would take about .*\n  Use depth 'kernel' or 'pass'"):
        hwsim.simulate(TOY, workload, depth="process")
    assert hwsim.simulate(TOY, workload, depth="process", force=True, accuracy=0).totals["energy_J"] > 0


def test_the_order_in_which_processes_start_cannot_matter(tmp_path, workload):
    path = toy(tmp_path)
    plain = simulate_activity(path, workload)[1]
    for seed in range(3):
        shuffled = simulate_activity(path, workload, order_seed=seed)[1]
        assert (shuffled.counts, shuffled.cycles, shuffled.ticks) == (plain.counts, plain.cycles, plain.ticks)


def test_one_core_behaves_as_the_ideal_machine(tmp_path, workload):
    """Spikes, density, steps and operations in the result are those of ``neuromorphic.run_many``."""
    more = "  core: {count: 1, neurons: 400, synapse_memory: 100 KiB}\n"
    path = toy(tmp_path, noc="none", more=more)
    overrides = ["mapping.share_cores=true", "core.group=2"]
    result = hwsim.simulate(path, workload, depth="pass", accuracy=2, overrides=overrides)
    net = hwsim.workload.load(workload)
    weights = [net.weight(layer) / 128 for layer in net.weighted]
    inputs = net.samples("test").inputs.reshape(len(net.samples("test")), net.timesteps, -1)
    thresholds = np.concatenate([np.full(layer.channels, layer.neuron.threshold) for layer in net.weighted])
    leak = np.concatenate([np.full(layer.channels, layer.neuron.leak) for layer in net.weighted])
    counts = neuromorphic.run_many(weights, inputs, group=2, policy="fifo", threshold=thresholds, leak=leak,
                                   drain="all", seed=0)  # fmt: skip
    sizes = [layer.channels for layer in net.weighted]
    density = counts.counts[:, : sum(sizes[:-1])].sum() / 2 / sum(sizes[:-1])
    assert rows(result, "spike_density")[None, None] == pytest.approx(density)
    emitted = [row.value for row in result.rows if row.metric == "spikes_emitted"]
    first = np.concatenate([[0], np.cumsum(sizes)])
    assert emitted == [counts.counts[:, a:b].sum() / 2 for a, b in pairwise(first)]
    assert rows(result, "forward_steps")[None, "mean"] == counts.steps.mean()


def test_a_scaled_machine_says_so(tmp_path, workload):
    path = toy(tmp_path, more="  core: {count: 1, neurons: 8}\n")
    with pytest.raises(SpecError, match=r"does not fit on 1 core of 8 neurons"):
        hwsim.simulate(path, workload, depth="pass")
    result = hwsim.simulate(path, workload, depth="pass", accuracy=0, overrides=["options.capacity=scaled"])
    assert any(note.startswith("capacity scaled: 5 cores instead of 1") for note in result.notes)
    assert rows(result, "area")["core", None] == pytest.approx(5 * 0.1e-6)


def test_a_stop_is_a_message_to_every_other_core(tmp_path, workload):
    """Over channels as many messages are paid for as leave the axon outputs, stops included."""
    overrides = ["options.stop=output", "options.steps_after=0", "core.group=1"]
    made = [hwsim.simulate(toy(tmp_path, noc="none"), workload, depth="pass", accuracy=0, overrides=overrides[:number])
            for number in (0, 3)]  # fmt: skip
    sent = []
    for result in made:
        counted = [(row.component, row.value) for row in result.rows
                   if row.metric == "count" and row.action in ("message", "axon_out")]  # fmt: skip
        moved, left = (sum(value for name, value in counted if name == part) for part in ("channel", "core"))
        assert moved == left > 10
        sent.append(moved)
    assert sent[0] != sent[1]
