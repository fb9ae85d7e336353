"""Writes a VGG-7-like network as a workload: spec, weights, the shared images, and what was measured on the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsim.network.encode import encode, take
from hwsim.neuromorphic import freeze_workload, run_many
from hwsim.workload import load
from workloads.recipes import ship
from workloads.recipes.export import SCHEMA
from workloads.recipes.vgg7_loop import SCALE, Vgg7Recipe, Vgg7Trainer

Arrays = dict[str, np.ndarray]
GROUP = 512
SETTINGS: dict[str, dict[str, Any]] = {
    "layered": {"policy": "layer_order"},
    "rs": {"policy": "random", "group": GROUP},
    "ms": {"policy": "momentum", "group": GROUP},
}
"""The inferences as ``hwsim.neuromorphic.run`` takes them, all until done; layered has room for every neuron."""
INFERENCES = {
    "layered": "layered, until done",
    "rs": f"asynchronous, random scheduling, F {GROUP}, until done",
    "ms": f"asynchronous, momentum scheduling without noise, F {GROUP}, until done",
}


def write(trainer: Vgg7Trainer, folder: Path) -> tuple[Path, dict[str, dict[str, float]]]:
    """Writes the workload, and its images where they are not there; path and measurements."""
    spec, arrays = network_spec(trainer)
    path = ship.write(spec, arrays, trainer.data, folder)
    measured = measure_all(path)
    spec["training"] = training_block(trainer, measured)
    return ship.write(spec, arrays, trainer.data, folder), measured


def measure_all(path: Path) -> dict[str, dict[str, float]]:
    """Every inference of a file's test images on the ideal machine (seed 0); see ``measure``."""
    return {method: measure(path, method) for method in SETTINGS}


def measure(path: Path, method: str, images: int | None = None) -> dict[str, float]:
    """One inference of a file's (first) test images: accuracy, and means per sample.

    density: hidden spikes per hidden neuron; propagated: spikes sent; synaptic_operations: those of spikes, not of the
    image; forward_steps.
    """
    workload = load(path)
    frozen, test = freeze_workload(workload), workload.samples("test")
    labels = np.asarray(test.labels)[:images]
    inputs = np.stack([encode(workload.input, take(test, n), 1).reshape(1, -1) for n in range(len(labels))])
    settings = {"group": frozen.neurons, "drain": "all"} | SETTINGS[method]
    counts = run_many(frozen, inputs, workers=1, **settings)
    hidden = sum(frozen.sizes[:-1])
    means = {
        "accuracy": (counts.potentials.argmax(axis=1) == labels).mean(),
        "density": counts.counts[:, :hidden].sum(axis=1).mean() / hidden, "propagated": counts.propagated.mean(),
        "synaptic_operations": counts.synaptic.mean(), "forward_steps": counts.steps.mean(),
    }  # fmt: skip
    return {key: round(float(value), 4) for key, value in means.items()}


def network_spec(trainer: Vgg7Trainer) -> tuple[dict[str, Any], Arrays]:
    """Spec (without samples and training block) and arrays; weights as float32."""
    recipe, arrays = trainer.recipe, {}
    layers: list[dict[str, Any]] = []
    stack, counts = recipe.stack, {"conv": 0, "fc": 0}
    neuron = {
        "type": "if", "threshold": recipe.threshold, "compare": ">", "reset": "zero", "start": 0.0, "max_spikes": 1,
    }  # fmt: skip
    for number, (weight, stride) in enumerate(zip(trainer.weights, stack.strides, strict=True)):
        kind = "conv" if stride else "fc"
        counts[kind] += 1
        name, previous = f"{kind}{counts[kind]}", layers[-1]["name"] if layers else "input"
        if not stride and counts[kind] == 1:
            layers.append({"name": "flatten", "op": "flatten", "inputs": [previous]})
            previous = "flatten"
        arrays[f"{name}.weight"] = weight.detach().numpy().astype(np.float32)
        entry: dict[str, Any] = {"op": "linear"}
        if stride:
            square = {"kernel": [3, 3], "stride": [stride] * 2, "padding": [1, 1], "dilation": [1, 1], "groups": 1}
            entry = {"op": "conv2d"} | square
        entry |= {"name": name, "inputs": [previous], "channels": len(weight)}
        entry |= {"weights": {"member": f"{name}.weight", "bits": 32}}
        layers.append(entry | {"neuron": {"type": "none"} if number == len(trainer.weights) - 1 else dict(neuron)})
    inputs = {"shape": list(stack.input_shape), "kind": "count", "bits": 8, "scale": SCALE, "encoding": "direct"}
    spec = {
        "schema": SCHEMA, "kind": "network", "name": recipe.name, "timesteps": 1, "input": inputs, "layers": layers,
        "output": {"layer": layers[-1]["name"], "decision": "accumulate"}, "classes": stack.full[-1],
    }  # fmt: skip
    return spec, arrays


def training_block(trainer: Vgg7Trainer, measured: dict[str, dict[str, float]]) -> dict[str, Any]:
    """What the file says about its training, and about the inference its accuracy was measured with."""
    recipe, data = trainer.recipe, trainer.data
    own, rule = measured[recipe.method], recipe.training_rule
    return {
        "recipe": f"workloads/recipes: {recipe.name}", "method": method_text(recipe), "seed": recipe.seed,
        "scheduling": recipe.method, "group": rule.group or int(recipe.stack.begin[-1]), "noise": rule.noise,
        "refractory_dropout": rule.refractory_dropout, "stop": "done", "threshold": recipe.threshold,
        "surrogate": f"arctan, steepness {recipe.steepness:g}: 1 / (pi (1 + (pi x {recipe.steepness:g} / 2)^2)); "
        "reset, order and refractory flag are not differentiated",
        "loss": "cross entropy of the softmax over the output's potentials when no spike is left",
        "optimiser": f"Adam, learning rate {' then '.join(map(str, recipe.rates))} (up, then a cosine), "
        f"batch {recipe.batch}, gradient of each layer at most {recipe.clip:g}",
        "start": recipe.start or "random weights", "epochs": trainer.epoch, "images_per_epoch": recipe.images,
        "history": trainer.history, "data_set": data.description + "; colours exchanged and inverted in training",
        "framework": f"torch {torch.__version__}, numba", "inference": INFERENCES[recipe.method],
        "software_accuracy": own["accuracy"], "test_images": len(data.sets["test"][1]), "density": own["density"],
        "inferences": measured,
    }  # fmt: skip


def method_text(recipe: Vgg7Recipe) -> str:
    """The training in words."""
    if recipe.method == "layered":
        return "layered backpropagation"
    return f"unlayered backpropagation, {'random' if recipe.method == 'rs' else 'momentum'} scheduling"
