"""Writes a trained network as a workload file: spec, arrays, samples or the shared data file, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsim.workload import save
from workloads.recipes.convert import balance_thresholds, spiking_spec
from workloads.recipes.datasets import ImageSets
from workloads.recipes.evaluate import Arrays, measure
from workloads.recipes.export import WRITTEN, data_spec, network_spec, sample_arrays, sha256
from workloads.recipes.loop import Recipe, Trainer
from workloads.recipes.networks import Network
from workloads.recipes.recipes import CONVERSION_TIMESTEPS

BALANCING_IMAGES = 100
SURROGATE = (
    "max(0, 1 - |(u - threshold) / threshold|), Bhattacharjee et al. 2022, eq. 3; the reset is not differentiated"
)


def training_block(recipe: Recipe, trainer: Trainer, data: ImageSets) -> dict[str, Any]:
    """What the file says about its training."""
    spiking = recipe.method in ("surrogate", "bntt")
    images = [recipe.stage_of(epoch).images or trainer.count for epoch in range(trainer.epoch)]
    block: dict[str, Any] = {
        "recipe": f"workloads/recipes: {recipe.name}", "method": recipe.method, "seed": recipe.seed,
        "note": recipe.note,
        "loss": "cross entropy of the logits averaged up to each timestep, averaged over timesteps",
        "optimiser": f"AdamW, one-cycle learning rate {recipe.rate}, weight decay {recipe.decay}, batch {recipe.batch}",
        "epochs": trainer.epoch, "images_per_epoch": images, "history": trainer.history,
        "data_set": data.description, "framework": f"torch {torch.__version__}",
        "weights": "8 bits, symmetric, rounded in the last epochs of training",
    }  # fmt: skip
    return block | ({"surrogate": SURROGATE} if spiking else {})


def build(recipe: Recipe, trainer: Trainer, network: Network, data: ImageSets) -> tuple[dict[str, Any], Arrays]:
    """Spec without samples, and arrays; a conversion recipe is converted here."""
    name = recipe.name if data.name == recipe.data else f"{recipe.name}_{data.name}"
    spec, arrays = network_spec(network, name, training_block(recipe, trainer, data))
    if recipe.method == "conversion":
        spec = spiking_spec(spec, CONVERSION_TIMESTEPS, reset="subtract")
        images, _ = data.training_images(0, BALANCING_IMAGES)
        thresholds = balance_thresholds(spec, arrays, images)
        spec["training"]["thresholds"] = thresholds
    return spec, arrays


def add_measurements(spec: dict[str, Any], arrays: Arrays, data: ImageSets) -> dict[str, Any]:
    """Accuracy and densities of the network as written, on the test images as written, into the training block."""
    images, labels = (part[: WRITTEN["test"]] for part in data.sets["test"])
    found = measure(spec, arrays, images, labels)
    spec["training"] |= {"software_accuracy": found.pop("accuracy"), "test_images": len(labels)} | found
    return spec["training"]


def write(spec: dict[str, Any], arrays: Arrays, data: ImageSets, folder: Path) -> Path:
    """Writes the workload, and the shared data file where the images are not tiny; returns the workload's path."""
    path = folder / f"{spec['name']}.npz"
    entries, samples = sample_arrays(data)
    if data.name == "digits8":
        save(path, spec | {"samples": entries}, arrays | samples)
        return path
    shared = folder / f"{data.name}.npz"
    if not shared.exists() or not same_arrays(shared, samples):
        save(shared, data_spec(data), samples)
    save(path, spec | {"samples": {"file": shared.name, "sha256": sha256(shared), "sets": entries}}, arrays)
    return path


def same_arrays(path: Path, arrays: Arrays) -> bool:
    """Whether the data file holds these arrays already, so that its hash, which other files name, stays."""
    with np.load(path, allow_pickle=False) as present:
        return all(name in present and np.array_equal(present[name], array) for name, array in arrays.items())
