"""Pictures of cores: the numbers behind them by other ways, files, texts, mistakes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim import cli
from hwsim.report.pictures import (
    KINDS,
    OF_ARRAYS,
    OF_CORES,
    canvas,
    core_time,
    extra_steps,
    link_load,
    queue_lengths,
    spike_latency,
)
from hwsim.report.pictures.core_subject import CoreSubject, held_layers
from tests.neuromorphic.chips.networks import random_network
from tests.report.test_pictures import shown

NONE = "sync={class: asynchronous}"
SENECA = ("core.count=16", "core.neurons=8")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_network(tmp_path_factory.mktemp("net") / "small.npz")


def subject(network: str, *overrides: str, chip: str = "seneca", **more: Any) -> CoreSubject:
    return CoreSubject(chip, network, (*SENECA, *overrides) if chip == "seneca" else overrides, **more)


def run(*arguments: str) -> int:
    return cli._run(list(arguments))


def test_kinds_are_told_apart() -> None:
    assert set(OF_ARRAYS) | set(OF_CORES) == set(KINDS) and not set(OF_ARRAYS) & set(OF_CORES)


# The numbers.


def test_latencies_are_those_of_the_result(network: str) -> None:
    found = spike_latency.collect(subject(network, NONE, samples=2))
    result = hwsim.simulate("seneca", network, overrides=(*SENECA, NONE), depth="pass", samples=2, accuracy=2)
    told = result.behaviour()
    assert told["time_to_output"]["mean"] == pytest.approx(found.to_output_s.mean())
    assert told["spikes_to_output"]["maximum"] == found.to_output_spikes.max()
    assert result.totals["latency_s"] == pytest.approx(found.sample_s.mean())
    assert len(found.to_output_s) + found.silent == 2 * 3


def test_shares_of_turns_that_find_at_least_as_many() -> None:
    assert queue_lengths.at_least(np.array([0, 0, 1, 3])).tolist() == [1, 0.5, 0.25, 0.25, 0]
    assert queue_lengths.at_least(np.zeros(0, dtype=np.int64)).tolist() == [0]


def test_queues_are_those_of_all_turns(network: str) -> None:
    asked = subject(network, NONE, samples=2)
    found = queue_lengths.collect(asked)
    turns = [len(made.turns) for made in asked.records(asked.prepared())]
    assert sum(len(lengths) for lengths in found.waiting_input.values()) == sum(turns)
    one = queue_lengths.collect(subject(network, NONE, layer="fc1"))
    assert list(one.waiting_input) == ["fc1"]


@pytest.mark.parametrize("sync", ["", NONE, "sync.per=timestep"])
def test_the_time_of_a_core_is_whole(network: str, sync: str) -> None:
    asked = subject(network, *([sync] if sync else []), samples=2)
    found = core_time.collect(asked)
    assert np.allclose(found.shares.sum(axis=1), 1.0) and (found.shares >= 0).all()
    runner = asked.prepared()
    assert found.names == [f"core {core}: {name}" for core, name in enumerate(held_layers(runner))]
    assert len(found.names) == runner.machine.setup.cores > 3


def test_many_cores_share_rows(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = core_time.collect(subject(network)).shares
    monkeypatch.setattr(core_time, "MOST", 3)
    found = core_time.collect(subject(network))
    assert found.shares[0] == pytest.approx(every[:2].mean(axis=0)) and found.names[0].startswith("core 0 to 1: ")


def test_loads_are_flits_over_cycles(network: str) -> None:
    asked = subject(network, samples=1)
    found, runner = link_load.collect(asked), asked.prepared()
    made, routing = next(asked.records(runner)), runner.machine.setup.routing
    assert routing is not None and made.flits is not None and runner.machine.topology is not None
    local = made.flits.sum(axis=2)[:, routing.tables.network_ports :].sum()
    crossing = sum(found.loads.values()) * made.ticks / routing.cycle_ticks
    assert crossing == pytest.approx(made.flits.sum() - local) and crossing > 0
    assert set(found.loads) == set(runner.machine.topology.links)
    assert found.names[0] == "fc0"


def test_extra_steps_are_runs_of_their_own(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra_steps, "STEPS", (0, 2))
    found = extra_steps.collect(subject(network, NONE, accuracy=2))
    for steps, right, seconds in zip((0, 2), found.right, found.seconds, strict=True):
        overrides = (*SENECA, NONE, "options.stop=output", f"options.steps_after={steps}")
        result = hwsim.simulate("seneca", network, overrides=overrides, depth="pass", samples=2, accuracy=2)
        assert result.totals["accuracy"] == right / 2 and result.totals["latency_s"] == pytest.approx(seconds)
    done = hwsim.simulate("seneca", network, overrides=(*SENECA, NONE), depth="pass", samples=2, accuracy=2)
    assert found.done == (done.totals["accuracy"] * 2, pytest.approx(done.totals["latency_s"]))


# The files.


@pytest.mark.parametrize("kind", OF_CORES)
def test_a_picture_is_the_same_bytes(kind: str, network: str, tmp_path: Path, capsys: Any) -> None:
    made = []
    for name in ("a.png", "b.png"):
        arguments = ["--accuracy", "2", "--samples", "2", "--set", NONE]
        assert run("picture", kind, "seneca", network, "-o", str(tmp_path / name), *arguments) == 0
        made.append((tmp_path / name).read_bytes())
    assert made[0].startswith(b"\x89PNG") and made[0] == made[1]
    assert capsys.readouterr().out.startswith(f"written: {tmp_path / 'a.png'}\n")


@pytest.mark.parametrize("chip", ["seneca", "speck", "spinnaker"])
@pytest.mark.parametrize("kind", OF_CORES)
def test_texts_stay_inside_and_the_caption_says_what_it_is(kind: str, chip: str, network: str) -> None:
    asked = subject(network, *([NONE] if chip != "speck" else []), chip=chip, accuracy=2)
    module = import_module(f"hwsim.report.pictures.{kind.replace('-', '_')}")
    with canvas.style():
        figure = module.paint(module.collect(asked), asked)
        figure.draw_without_rendering()
        texts = shown(figure)
        boxes = [text.get_window_extent() for text in texts]
    whole = " ".join(text.get_text().replace("\n", " ") for text in texts)
    for part in ("small on", chip, "asynchronous", "seed 0"):
        assert part in whole
    for text, box in zip(texts, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["core-time", "sata", "digits_mlp"], "this picture is of the family 'neuromorphic', this is 'systolic'"),
        (["extra-steps", "seneca", "sequences_rs"], "only machines without synchronisation stop on output"),
        (["link-load", "ubrain", "digits_ubrain"], "the noc is of kind 'none'"),
        (["queue-lengths", "seneca", "sequences_rs", "--layer", "fc9"], "has no layer 'fc9'"),
        (["core-time", "seneca", "sequences_rs", "--samples", "100000"], "--samples 100000: sequences_rs has"),
        (["link-laod", "seneca", "sequences_rs"], "did you mean 'link-load'?"),
    ],
)
def test_mistakes_exit_2_and_write_nothing(arguments: list[str], message: str, tmp_path: Path, capsys: Any) -> None:
    assert run("picture", *arguments, "-o", str(tmp_path / "x.png")) == 2
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []
