"""Training by forward steps: it learns, an interrupted run ends the same, and the file says what was trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.workload import load
from workloads.recipes import events, ship_events, spiking_loop, train_events
from workloads.recipes.spiking_loop import SpikingTrainer, frames_of, with_seed
from workloads.recipes.spiking_recipes import spiking_recipes


def patterns():
    """Twelve inputs, three classes of which each drives four inputs; three bins of 1 ms. Quick to learn."""

    def draw(name, count):
        generator = np.random.default_rng(events.SEEDS[name])
        labels = events.spread_labels(count, 3, generator)
        samples = []
        for label in labels:
            index = np.where(generator.random(15) < 0.8, label * 4 + generator.integers(0, 4, 15), 0)
            samples.append(events.camera.in_order(generator.integers(0, 3000, 15), index))
        return events.pack(samples, labels)

    return events.EventSets("patterns_data", "patterns", (3, 2, 2), 3, 3, 1000, draw)


def short(method, **changes):
    """A recipe for ``patterns`` in float64."""
    recipe = spiking_recipes()[f"sequences_{method}"]
    small = {"hidden": (12, 12), "samples": 60, "epochs": 6, "batch": 10, "dtype": "float64", "rate": 1e-2}
    return replace(recipe, name=f"patterns_{method}", **(small | {"steepness": 2.0, "tau_ms": 10.0} | changes))


def silent(line):
    """Reports nothing."""


@pytest.mark.parametrize("method", ["layered", "rs", "ms"])
def test_interrupted_training_ends_the_same(method, tmp_path):
    recipe, data = short(method), patterns()
    whole = SpikingTrainer(recipe, data, tmp_path / "whole.npz", silent)
    whole.run()
    SpikingTrainer(recipe, data, tmp_path / "parts.npz", silent).run(stop_after=2)
    resumed = SpikingTrainer(recipe, data, tmp_path / "parts.npz", silent)
    assert resumed.resume() and resumed.epoch == 2
    assert resumed.estimate() > 0.0
    resumed.run()
    assert np.array_equal(whole.weights, resumed.weights)
    strip = [[{k: v for k, v in entry.items() if k != "seconds"} for entry in t.history] for t in (whole, resumed)]
    assert strip[0] == strip[1] and len(strip[0]) == 6
    assert whole.history[-1]["loss"] < 0.9 * whole.history[0]["loss"]
    assert whole.history[-1]["calibration_accuracy"] > 0.6


def test_checkpoint_of_another_recipe_is_refused(tmp_path):
    SpikingTrainer(short("rs"), patterns(), tmp_path / "kept.npz", silent).run(stop_after=1)
    with pytest.raises(SpecError, match="other settings"):
        SpikingTrainer(short("rs", group=4), patterns(), tmp_path / "kept.npz", silent).resume()


def test_seeds_and_methods_differ(tmp_path):
    data = patterns()
    ends = []
    for recipe in (short("rs"), with_seed(short("rs"), 1), short("ms"), short("rs", group=2)):
        trainer = SpikingTrainer(recipe, data, tmp_path / "none.npz", silent)
        trainer.train_epoch()
        ends.append(trainer.weights)
    assert all(not np.array_equal(a, b) for n, a in enumerate(ends) for b in ends[:n])


def test_four_bit_weights_are_what_the_network_uses(tmp_path):
    recipe = short("rs", bits=4, outputs=5)
    trainer = SpikingTrainer(recipe, patterns(), tmp_path / "four.npz", silent)
    trainer.run()
    path, measured = ship_events.write(trainer, tmp_path)
    workload = load(path)
    assert workload.classes == 5 and workload.training["software_accuracy"] == measured["rs"]["accuracy"] > 0.6
    for layer, matrix in zip(workload.weighted, trainer.shape.matrices(trainer.used_weights()), strict=True):
        stored = workload.weight(layer)
        assert stored.dtype == np.int8 and np.abs(stored.astype(int)).max() == 7 and layer.weights.bits == 4
        assert np.allclose(stored.T * layer.weights.scale, matrix, rtol=1e-12)


def test_file_reads_back(tmp_path):
    trainer = SpikingTrainer(short("ms"), patterns(), tmp_path / "short.npz", silent)
    trainer.run()
    path, measured = ship_events.write(trainer, tmp_path)
    workload = load(path)
    assert workload.decision == "fire" and workload.input.encoding == "events" and workload.timesteps == 3
    assert [layer.name for layer in workload.layers] == ["flatten", "fc1", "fc2", "fc3"]
    assert workload.training["inferences"] == measured and workload.training["group"] == 8
    for layer, matrix in zip(workload.weighted, trainer.shape.matrices(trainer.weights), strict=True):
        assert np.array_equal(workload.weight(layer), matrix.T.astype(np.float32))
        assert layer.neuron.leak == trainer.rule.leak and layer.neuron.threshold == 0.3
    test = workload.samples("test")
    again = events.Events(test.time_us, test.index, test.offsets, test.labels)
    for method in ("layered", "ms"):  # the training's own pass, and the ideal machine
        own = trainer.measure(frames_of(again, trainer.data, np.float64), again.labels, method)
        assert own["accuracy"] == measured[method]["accuracy"]
        assert own["density"] == pytest.approx(measured[method]["density"], abs=1e-4)
    before = (tmp_path / "patterns_data.npz").stat().st_mtime_ns
    other = SpikingTrainer(with_seed(short("ms"), 2), trainer.data, tmp_path / "other.npz", silent)
    other.train_epoch()
    seeded, _ = ship_events.write(other, tmp_path)
    assert seeded == tmp_path / "seeds" / "patterns_ms_s2.npz" and not load(seeded).sample_sets
    variant = SpikingTrainer(short("ms_noise0"), trainer.data, tmp_path / "variant.npz", silent)
    assert variant.rule.noise == 0.0 and trainer.rule.noise == 0.1
    variant.recipe = replace(variant.recipe, name="sequences_ms_noise0")
    assert ship_events.write(variant, tmp_path)[0] == tmp_path / "seeds" / "sequences_ms_noise0_s0.npz"
    ship_events.write(trainer, tmp_path)
    assert (tmp_path / "patterns_data.npz").stat().st_mtime_ns == before


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(events, "patterns", patterns, raising=False)
    recipe = replace(short("rs"), data="patterns")
    monkeypatch.setattr(train_events, "spiking_recipes", lambda: {"patterns_rs": recipe})
    monkeypatch.setattr(spiking_loop, "HELD_OUT", 20)
    options = ["patterns_rs", "--epochs", "2", "--checkpoints", str(tmp_path / "kept"), "--output", str(tmp_path)]
    assert train_events.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("patterns_rs: about ") and lines[0].endswith(" minutes for 2 epochs")
    assert lines[1].startswith("epoch 1/2 loss") and lines[-1].startswith("ms: accuracy")
    first = (tmp_path / "patterns_rs.npz").read_bytes()
    assert train_events.main([*options, "--export-only"]) == 0
    assert (tmp_path / "patterns_rs.npz").read_bytes() == first
