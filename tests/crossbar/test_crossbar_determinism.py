"""The same seed gives the same bytes, whatever is in the cache; another seed gives another chip."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.run import simulate, simulate_activity
from tests.crossbar.networks import write
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

SMALL = ["crossbar.rows=16", "crossbar.columns=16", "adc.calibration_images=1"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", channels=(4, 6), size=6, timesteps=2)


def files(tiny, folder, **given):
    """Both files that hold no date."""
    given = {"overrides": SMALL, "accuracy": 3, "samples": 2} | given
    simulate("spikesim", tiny, **given).write(folder)
    return [(folder / name).read_bytes() for name in ("rows.csv", "result.json")]


def cells(tiny, **given):
    """Effective conductances of all layers."""
    runner, _ = simulate_activity("spikesim", tiny, overrides=given.pop("overrides", SMALL), **given)
    return {name: layer.solved.copy() for name, layer in runner.network.arrays.items()}


def test_the_same_bytes_with_and_without_cache(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    first, again = files(tiny, tmp_path / "a"), files(tiny, tmp_path / "b")
    assert any((tmp_path / "cache").rglob("*.np?"))
    monkeypatch.setenv("HWSIM_CACHE", "off")
    assert first == again == files(tiny, tmp_path / "c")


def test_another_seed_is_another_chip(tiny, tmp_path):
    one, same, other = cells(tiny, seed=0), cells(tiny, seed=0), cells(tiny, seed=1)
    for name, conductances in one.items():
        assert np.array_equal(conductances, same[name])
        assert (conductances != other[name]).mean() > 0.5
    assert files(tiny, tmp_path / "a", accuracy=0, seed=0) != files(tiny, tmp_path / "b", accuracy=0, seed=1)


def test_a_layer_is_the_same_whatever_stands_beside_it(tiny):
    """Draws are named by layer: a layer's arrays do not change where only some layers are mapped, or with copies."""
    whole = cells(tiny)
    for given in ({"layers": (1, 3)}, {"overrides": [*SMALL, "mapping.first_layer=digital"]},
                  {"overrides": [*SMALL, "mapping.replication={conv2: 2}"]}):  # fmt: skip
        found = cells(tiny, **given)
        assert found and all(np.array_equal(found[name], whole[name]) for name in found)


OTHERS = {
    "resolution": ["adc.bits=4 bit"],
    "quantile": ["adc.quantile=0.9"],
    "gated": ["options.silent_rows=gated"],
    "gain": ["options.gain=off"],
    "encoding": ["mapping.encoding=offset_binary"],
    "cells": ["crossbar.cell_bits=2 bit"],
    "wires": ["crossbar.row_wire=50 ohm"],
    "terminals": ["options.terminals=segment"],
    "device": ["crossbar.device=pcm"],
    "age": ["crossbar.device=pcm", "options.age=1000 s"],
    "variation": ["crossbar.variation=0.3"],
    "mapping": ["mapping.scheme=im2col"],
    "inversion": ["mapping.inversion=true"],
    "noise": ["options.read_noise=false"],
    "digital": ["mapping.first_layer=digital"],
    "sharing": ["options.lif_sharing=2"],
    "membrane": ["neuron.membrane_bits=4 bit"],
}
"""Machines that differ from the shipped one in something that decides a layer's currents or ranges."""


def codes(tiny, overrides):
    """Of all layers: what a read gives, in the smallest detail."""
    runner, _ = simulate_activity("spikesim", tiny, overrides=overrides)
    made = {name: product.analog for name, product in runner.products(runner.network).items()}
    return {name: (analog.g, analog.unit, analog.correction, analog.codes) for name, analog in made.items()}


def test_what_another_machine_left_in_the_cache_is_not_taken(tiny, tmp_path, monkeypatch):
    """Currents and converter ranges of one machine are no other's (a range for 6 bits is wrong for 4)."""
    monkeypatch.setenv("HWSIM_CACHE", "off")
    alone = {name: codes(tiny, [*SMALL, *changes]) for name, changes in OTHERS.items()}
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    codes(tiny, SMALL)
    for name, changes in OTHERS.items():
        found = codes(tiny, [*SMALL, *changes])
        for layer, parts in alone[name].items():
            assert all(np.array_equal(one, other) for one, other in zip(parts, found[layer], strict=True)), name


def test_two_reads_of_the_same_image_differ(tmp_path):
    """Noise of reads is drawn for each sample and timestep: equal images give other sums, equal timesteps too."""
    builder = Builder((8,), 2, bits=2, scale=1 / 3)
    builder.weighted("linear", (4, 8), {"type": "none"}, name="out", inputs=["input"])
    path = write(tmp_path / "twice.npz", builder, inputs=[[3, 1, 2, 3, 1, 2, 3, 3]] * 2)
    device = ["crossbar.device=sonos", "options.converters=false"]
    _, noisy = simulate_activity("spikesim", path, overrides=device, samples=2)
    one, other = (outcome.output for outcome in noisy.outcomes)
    assert (one != other).all()
    assert (one[1] != 2 * one[0]).all()
    _, quiet = simulate_activity("spikesim", path, overrides=[*device, "options.read_noise=false"], samples=2)
    one, other = (outcome.output for outcome in quiet.outcomes)
    assert (one == other).all() and (one[1] == 2 * one[0]).all()


def test_samples_do_not_disturb_each_other(tiny):
    """Read noise is drawn by sample, layer, timestep, plane and place."""
    device = [*SMALL, "crossbar.device=sonos"]
    _, three = simulate_activity("spikesim", tiny, overrides=device, samples=3)
    _, one = simulate_activity("spikesim", tiny, overrides=device, samples=1)
    assert np.array_equal(three.outcomes[0].output, one.outcomes[0].output)
    assert {key: times for key, times in three.counts.items() if key[0] == 0} == one.counts
