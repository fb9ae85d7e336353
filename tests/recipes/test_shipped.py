"""The shipped networks are what the recipes say: structure, gains, sizes, and the accuracy that their files state."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.network import engine
from hwsim.network.freeze import freeze
from hwsim.workload import load

VGG5 = [(64, 9), (128, 576), (128, 1152), (1024, 6272), (10, 1024)]
VGG9 = [(64, 27), (64, 576), (128, 576), (128, 1152), (256, 1152), (256, 2304), (256, 2304), (1024, 4096), (10, 1024)]
SHIPPED = {
    "digits_mlp": (8, "lif", [(64, 64), (10, 64)], 0.95),
    "vgg5": (25, "lif", VGG5, 0.95),
    "vgg5_conversion": (50, "if", VGG5, 0.90),
    "vgg5_bntt": (10, "lif", VGG5, 0.95),
    "vgg5_ann": (1, "relu", VGG5, 0.95),
    "vgg9": (4, "lif", VGG9, 0.90),
    "vgg9_ann": (1, "relu", VGG9, 0.90),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_structure_and_training_block(name):
    timesteps, neuron, matrices, floor = SHIPPED[name]
    workload = load(name)
    layers = workload.weighted
    assert workload.timesteps == timesteps
    assert [(layer.geometry.M, layer.geometry.K) for layer in layers] == matrices
    assert {layer.neuron.type for layer in layers[:-1]} == {neuron} and layers[-1].neuron.type == "none"
    assert workload.decision == "accumulate" and workload.output_layer == layers[-1].name
    assert workload.training["software_accuracy"] >= floor
    assert set(workload.training["input_density"]) == {layer.name for layer in layers}
    assert {"recipe", "loss", "optimiser", "seed", "data_set", "test_images"} <= set(workload.training)
    assert workload.path.stat().st_size < 8_000_000


@pytest.mark.parametrize("name", SHIPPED)
def test_batch_normalisation_folds_into_positive_thresholds(name):
    workload = load(name)
    for layer in workload.weighted:
        assert workload.weight(layer).dtype == np.int8 and np.abs(workload.weight(layer).astype(int)).max() == 127
        if layer.bn is not None:
            gamma, var = workload.array(layer.bn.gamma), workload.array(layer.bn.var)
            assert gamma.min() > 0 and var.min() >= 0
            assert gamma.shape == ((workload.timesteps, layer.channels) if name == "vgg5_bntt" else (layer.channels,))


@pytest.mark.parametrize("name", SHIPPED)
def test_sample_sets_are_balanced_and_disjoint(name):
    workload = load(name)
    seen = set()
    for part in ("calibration", "test", "demo"):
        samples = workload.samples(part)
        images = {image.tobytes() for image in samples.inputs}
        assert len(images) == len(samples) and not images & seen
        seen |= images
        assert np.bincount(samples.labels, minlength=10).max() < 0.3 * max(len(samples), 10)


def test_engine_reproduces_the_stated_accuracy():
    workload = load("digits_mlp")
    samples, frozen = workload.samples("test"), freeze(workload)
    logits = [engine.run(frozen, image, workload.timesteps).logits for image in samples.inputs]
    right = (np.array(logits).argmax(2) == samples.labels[:, None]).mean(0)
    assert right[-1] == workload.training["software_accuracy"]
    assert np.allclose(right, workload.training["accuracy_by_timesteps"], atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg9", "vgg9_ann", "vgg5", "vgg5_ann", "vgg5_bntt", "vgg5_conversion"])
def test_engine_reproduces_the_stated_accuracy_of_the_large_networks(name):
    workload = load(name)
    found = engine.accuracy(freeze(workload), workload.samples("test"))
    assert found.fraction == workload.training["software_accuracy"]


@pytest.mark.parametrize("name", ["digits_mlp", "vgg9", "vgg5_bntt"])
def test_engine_and_torch_fire_the_same_spikes(name):
    torch = pytest.importorskip("torch")
    from workloads.recipes.evaluate import propagate

    workload = load(name)
    arrays = {member: workload.array(member) for member in workload.arrays.headers}
    ours = engine.run_sample(freeze(workload), workload.samples("demo"), 0)
    first = np.asarray(ours.inputs[workload.weighted[0].name]).reshape(-1, 1, *workload.input.shape)
    seen = {}
    logits = propagate(
        dict(workload.spec), arrays, torch.tensor(first).double(), lambda key, _, after: seen.update({key: after})
    )
    assert np.allclose(logits.cumsum(0)[:, 0].numpy(), ours.logits, atol=1e-4)
    for layer in workload.weighted[:-1]:
        theirs, mine = seen[layer.name][:, 0].numpy(), np.asarray(ours.outputs[layer.name])
        assert np.array_equal(theirs.reshape(-1), mine.reshape(-1)) and mine.any()
