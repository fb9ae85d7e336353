"""Image sets are fixed and disjoint; a training that was interrupted ends where an uninterrupted one does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from hwsim.errors import SpecError  # noqa: E402
from workloads.recipes import datasets  # noqa: E402
from workloads.recipes.evaluate import measure  # noqa: E402
from workloads.recipes.export import network_spec  # noqa: E402
from workloads.recipes.loop import Stage, Trainer, accuracy  # noqa: E402
from workloads.recipes.recipes import recipes  # noqa: E402


@pytest.fixture(scope="module")
def short():
    torch.set_num_threads(1)
    recipe = replace(recipes()["digits_mlp"], stages=(Stage(3, 4, False), Stage(2, 8, True)))
    return recipe, datasets.digits8()


def test_source_sets_are_disjoint_and_complete():
    sets = datasets.source_digits()
    assert sum(len(labels) for _, labels in sets.values()) == 1797
    from sklearn.datasets import load_digits

    known = {image.tobytes() for image in load_digits().images.astype(np.uint8)}
    seen = [image.tobytes() for images, _ in sets.values() for image in images]
    assert len(known) == 1797, "scikit-learn's digits are all different, so bytes tell them apart"
    assert set(seen) == known


def test_composites_are_fixed_by_their_seed():
    sources = datasets.source_digits()["demo"]
    first, labels = datasets.composite(*sources, 30, 5)
    again, _ = datasets.composite(*sources, 30, 5)
    other, _ = datasets.composite(*sources, 30, 6)
    assert first.shape == (30, 3, 32, 32) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(np.bincount(labels[:20], minlength=10), np.bincount(sources[1], minlength=10))


def test_interrupted_training_ends_the_same(short, tmp_path):
    recipe, data = short
    whole = Trainer(recipe, data, tmp_path / "whole.pt", lambda line: None)
    whole.run()
    Trainer(recipe, data, tmp_path / "parts.pt", lambda line: None).run(stop_after=2)
    resumed = Trainer(recipe, data, tmp_path / "parts.pt", lambda line: None)
    assert resumed.resume() and resumed.epoch == 2
    assert resumed.estimate() > 0.0
    resumed.run()
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[key]), key
    strip = [[{k: v for k, v in entry.items() if k != "seconds"} for entry in t.history] for t in (whole, resumed)]
    assert strip[0] == strip[1] and len(strip[0]) == 5


def test_checkpoint_of_another_length_is_refused(short, tmp_path):
    recipe, data = short
    first = Trainer(recipe, data, tmp_path / "kept.pt", lambda line: None)
    first.run(stop_after=1)
    with pytest.raises(SpecError, match="other epochs or images per epoch"):
        Trainer(recipe.with_epochs(9), data, tmp_path / "kept.pt", lambda line: None).resume()


def test_trained_network_is_measured_as_torch_measures_it(short, tmp_path):
    recipe, data = short
    trainer = Trainer(recipe, data, tmp_path / "short.pt", lambda line: None)
    network = trainer.run()
    spec, arrays = network_spec(network, "short", {})
    images, labels = data.sets["test"]
    found = measure(spec, arrays, images, labels)
    assert found["accuracy"] == pytest.approx(accuracy(network, images, labels), abs=0.0026)  # one image may tip
    assert found["accuracy"] > 0.5
    assert len(found["accuracy_by_timesteps"]) == 8


def test_weights_of_one_layer_normalisation_start_one_per_timestep(tmp_path):
    known = recipes()
    data = datasets.ImageSets("noise", "noise", {"train": (np.zeros((1, 1, 28, 28), np.uint8), np.zeros(1, np.int64))})
    source = Trainer(known["vgg5_ann"], data, tmp_path / "ann.pt", lambda line: None)
    source.network.layers["conv2"].norms[0].bias.data.fill_(0.25)
    source.save()
    bntt = Trainer(known["vgg5_bntt"], data, tmp_path / "bntt.pt", lambda line: None)
    bntt.start_from(tmp_path / "ann.pt")
    assert torch.equal(bntt.network.layers["conv3"].weight, source.network.layers["conv3"].weight)
    assert all((norm.bias == 0.25).all() for norm in bntt.network.layers["conv2"].norms)
