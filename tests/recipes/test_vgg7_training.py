"""Trainings of VGG-7-like networks: the loss falls, an interrupted one ends the same, what was run is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hwsim.errors import SpecError  # noqa: E402
from hwsim.shipped import folder  # noqa: E402
from hwsim.workload import load  # noqa: E402
from workloads.recipes import datasets, ship_vgg7, train_vgg7  # noqa: E402
from workloads.recipes.datasets import ImageSets  # noqa: E402
from workloads.recipes.vgg7_loop import VGG7, Vgg7Trainer, currents_of, first_weights, measure, varied  # noqa: E402
from workloads.recipes.vgg7_steps import Stack, current, forward  # noqa: E402

STACK = Stack((3, 8, 8), ((6, 2), (8, 1), (8, 2)), (4,))


def squares(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright square in one of four corners."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, 3, 8, 8)).astype(np.uint8)
    labels = generator.integers(0, 4, count)
    for image, label in zip(images, labels, strict=True):
        y, x = label // 2 * 4, label % 2 * 4
        image[:, y : y + 4, x : x + 4] += 150
    return images, labels


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)
    sets = {name: squares(count, seed) for name, count, seed in
            (("train", 96, 0), ("calibration", 32, 1), ("test", 32, 2), ("demo", 4, 3))}  # fmt: skip
    return ImageSets("squares", "squares in corners", sets)


def recipe(method: str, epochs: int = 9):
    base = VGG7[f"vgg7_{method}"]
    changed = {"stack": STACK, "group": 24, "batch": 16, "images": 96, "rates": (3e-3,), "start": "", "name": "small"}
    return replace(base, epochs=epochs, **changed)


@pytest.mark.parametrize("method", ["layered", "rs", "ms"])
def test_the_loss_falls(data, tmp_path, method):
    trainer = Vgg7Trainer(recipe(method), data, tmp_path / "small.pt", lambda line: None)
    images, labels = trainer.prepare()
    before = measure(trainer.recipe, trainer.weights, images, labels, method)["accuracy"]
    trainer.run()
    losses = [entry["loss"] for entry in trainer.history]
    assert losses[-1] < 0.8 * losses[0]
    found = measure(trainer.recipe, trainer.weights, images, labels, method)
    assert found["accuracy"] > max(0.5, before) and 0 < found["density"] < 1
    assert (found["forward_steps"] == 4) == (method == "layered")


def test_interrupted_training_ends_the_same(data, tmp_path):
    def trainer(name):
        return Vgg7Trainer(recipe("rs", 4), data, tmp_path / name, lambda line: None)

    whole = trainer("whole.pt")
    whole.run()
    trainer("parts.pt").run(stop_after=2)
    resumed = trainer("parts.pt")
    assert resumed.resume() and resumed.epoch == 2 and resumed.estimate() > 0
    resumed.run()
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(SpecError, match="other settings"):
        Vgg7Trainer(recipe("rs", 5), data, tmp_path / "whole.pt", lambda line: None).resume()


def test_first_currents_have_the_spread_asked_for(data):
    images = data.sets["train"][0]
    weights = first_weights(recipe("layered"), images)
    assert weights[0].mean((1, 2, 3)).abs().max() < 1e-6
    spikes = currents_of(images)
    for weight, stride in zip(weights, STACK.strides, strict=True):
        arriving = current(spikes, weight, stride)
        assert float(arriving.std()) == pytest.approx(0.3, rel=1e-4)
        spikes = (arriving > 0.2).float()


def test_varied_images_keep_their_pixels():
    images = squares(40, 5)[0]
    shown = varied(images, np.random.default_rng(0))
    turned = 0
    for one, other in zip(images, shown, strict=True):
        upright = sorted(channel.tobytes() for channel in other) == sorted(channel.tobytes() for channel in one)
        inverted = sorted((255 - channel).tobytes() for channel in other) == sorted(map(np.ndarray.tobytes, one))
        assert upright != inverted
        turned += inverted
    assert 10 < turned < 30 and not np.array_equal(images, shown)


def test_written_network_is_the_one_that_was_trained(data, tmp_path):
    trainer = Vgg7Trainer(recipe("ms", 2), data, tmp_path / "small.pt", lambda line: None)
    trainer.run()
    path, found = ship_vgg7.write(trainer, tmp_path)
    workload = load(path)
    assert (
        workload.training["inferences"] == found and workload.training["software_accuracy"] == found["ms"]["accuracy"]
    )
    assert [layer.stride for layer in workload.weighted] == [(2, 2), (1, 1), (2, 2), (1, 1)]
    frozen = ship_vgg7.freeze_workload(workload)
    images = data.sets["test"][0]
    made = forward(STACK, trainer.weights, currents_of(images), trainer.recipe.rule("layered"), range(32))
    theirs = ship_vgg7.run_many(
        frozen, images.reshape(32, 1, -1), group=frozen.neurons, policy="layer_order", drain="all"
    )
    assert np.abs(theirs.potentials - made.logits).max() < 1e-4
    hidden = int(STACK.begin[-2])
    assert np.array_equal(theirs.counts[:, :hidden], made.emitted[:, :hidden])


def test_missing_start_is_said(tmp_path, capsys, monkeypatch):
    small = ImageSets("digits32", "none", {"train": (np.full((300, 3, 32, 32), 9, np.uint8), np.zeros(300, np.int64))})
    monkeypatch.setattr(datasets, "digits32", lambda: small)
    assert train_vgg7.main(["vgg7_rs", "--checkpoints", str(tmp_path), "--images", "300"]) == 2
    assert "train that first" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["layered", "rs", "ms"])
def test_shipped_networks_have_the_accuracy_that_they_state(method):
    path = folder("workloads") / f"vgg7_{method}.npz"
    workload = load(path)
    assert path.stat().st_size < 1_000_000 and workload.timesteps == 1 and workload.decision == "accumulate"
    assert workload.training["scheduling"] == method and workload.training["group"] >= 512
    stated = workload.training["inferences"][method]
    found = ship_vgg7.measure(path, method, images=60)
    assert abs(found["accuracy"] - stated["accuracy"]) < 0.2  # 60 images: a standard error of at most 0.065
    assert found["density"] == pytest.approx(stated["density"], rel=0.05)
