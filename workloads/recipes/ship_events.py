"""Writes a network trained on events as a workload: spec, weights, the shared data file, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwsim.network.encode import encode
from hwsim.neuromorphic import run_many
from hwsim.workload import save
from hwsim.workload.model import InputSpec
from hwsim.workload.samples import hash_file
from workloads.recipes.events import Events, EventSets
from workloads.recipes.spiking_loop import SpikingRecipe, SpikingTrainer
from workloads.recipes.spiking_recipes import beside

SCHEMA = "hwsim/workload/1"
Arrays = dict[str, np.ndarray]
INFERENCES = {
    "layered": "layered, until done",
    "rs": "asynchronous, random scheduling, F 8, one step after the first output spike",
    "ms": "asynchronous, momentum scheduling without noise, F 8, one step after the first output spike",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "layered": {"policy": "layer_order", "stop": "done", "drain": "all"},
    "rs": {"policy": "random", "group": 8, "stop": "output", "steps_after": 1},
    "ms": {"policy": "momentum", "group": 8, "stop": "output", "steps_after": 1},
}
"""The inferences as ``hwsim.neuromorphic.run`` takes them; layered also has ``group``, the number of neurons."""


def write(trainer: SpikingTrainer, folder: Path, suffix: str = "") -> tuple[Path, dict[str, dict[str, float]]]:
    """Writes the workload (some: into ``seeds/``, without samples) and its data file; path and measurements."""
    recipe, data = trainer.recipe, trainer.data
    sets = data.written()
    measured = measure_all(trainer, sets["test"])
    name = f"{recipe.name}{suffix}" if recipe.seed or not beside(recipe) else f"{recipe.name}{suffix}_s0"
    spec, arrays = network_spec(trainer, name)
    spec["training"] = training_block(trainer, measured, sets["test"])
    if beside(recipe):
        path = folder / "seeds" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, spec, arrays)
        return path, measured
    shared = write_data(data, sets, folder)
    spec["samples"] = {"file": shared.name, "sha256": hash_file(shared), "sets": set_entries(sets)}
    path = folder / f"{name}.npz"
    save(path, spec, arrays)
    return path, measured


def measure_all(trainer: SpikingTrainer, test: Events) -> dict[str, dict[str, float]]:
    """Every inference on the ideal machine (seed 0): accuracy, and means per sample.

    density: hidden spikes emitted per hidden neuron; propagated: spikes sent; synaptic_operations: those of spikes, not
    of input events; forward_steps: per timestep; silent: share of samples without an output spike.
    """
    shape, data = trainer.shape, trainer.data
    matrices = [matrix.T.astype(np.float64) for matrix in trainer.shape.matrices(trainer.used_weights())]
    encoded = [encode(input_spec(data), test.sample(number), data.timesteps) for number in range(len(test))]
    inputs, outputs = np.stack(encoded).reshape(len(test), data.timesteps, -1), int(shape.sizes[-1])
    hidden, found = int(shape.places[-2]), {}
    for method, settings in SETTINGS.items():
        own = {"group": trainer.neurons, "threshold": trainer.recipe.threshold, "leak": trainer.rule.leak} | settings
        counts = run_many(matrices, inputs, workers=1, **own)
        spikes = counts.counts[:, -outputs:]
        means = {
            "accuracy": (spikes.argmax(axis=1) == test.labels).mean(),
            "density": counts.counts[:, :-outputs].sum(axis=1).mean() / hidden, "propagated": counts.propagated.mean(),
            "synaptic_operations": counts.synaptic.mean(), "forward_steps": counts.steps.mean(),
            "silent": (spikes.sum(axis=1) == 0).mean(),
        }  # fmt: skip
        found[method] = {key: round(float(value), 4) for key, value in means.items()}
    return found


def input_spec(data: EventSets) -> InputSpec:
    """The input as the simulator has it."""
    kind: Any = "spike" if data.bits == 1 else "count"
    return InputSpec(data.shape, kind, data.bits, 1.0, "events", bin_us=data.bin_us)


def network_spec(trainer: SpikingTrainer, name: str) -> tuple[dict[str, Any], Arrays]:
    """Spec (without samples and training block) and arrays."""
    recipe, data = trainer.recipe, trainer.data
    arrays: Arrays = {}
    layers: list[dict[str, Any]] = []
    if len(data.shape) > 1:
        layers.append({"name": "flatten", "op": "flatten", "inputs": ["input"]})
    neuron = {"type": "if"} if recipe.tau_ms == 0.0 else {"type": "lif", "leak": trainer.rule.leak}
    neuron |= {"threshold": recipe.threshold, "compare": ">", "reset": "zero", "start": 0.0, "max_spikes": 1}
    for number, matrix in enumerate(trainer.shape.matrices(trainer.weights), start=1):
        member, previous = f"fc{number}.weight", layers[-1]["name"] if layers else "input"
        arrays[member], entry = stored_weights(matrix, recipe.bits)
        layers.append({
            "name": f"fc{number}", "op": "linear", "inputs": [previous], "channels": matrix.shape[1],
            "weights": {"member": member} | entry, "neuron": dict(neuron),
        })  # fmt: skip
    kind = "spike" if data.bits == 1 else "count"
    inputs = {"shape": list(data.shape), "kind": kind, "bits": data.bits, "encoding": "events", "bin_us": data.bin_us}
    spec = {
        "schema": SCHEMA, "kind": "network", "name": name, "timesteps": data.timesteps, "input": inputs,
        "layers": layers, "output": {"layer": layers[-1]["name"], "decision": "fire"},
        "classes": int(trainer.shape.sizes[-1]),
    }  # fmt: skip
    return spec, arrays


def stored_weights(matrix: np.ndarray, bits: int) -> tuple[np.ndarray, dict[str, Any]]:
    """A matrix [fan-in, fan-out] as [fan-out, fan-in] float32, or as int8 and a scale; and its spec entry."""
    if bits == 32:
        return np.ascontiguousarray(matrix.T, np.float32), {"bits": 32}
    scale = float(np.abs(matrix).max()) / (2 ** (bits - 1) - 1)
    return np.ascontiguousarray(np.rint(matrix.T / scale), np.int8), {"bits": bits, "scale": scale}


def training_block(trainer: SpikingTrainer, measured: dict[str, dict[str, float]], test: Events) -> dict[str, Any]:
    """What the file says about its training, and about the inference its accuracy was measured with."""
    recipe = trainer.recipe
    own = measured[recipe.method]
    block = {
        "recipe": f"workloads/recipes: {recipe.name}", "method": method_text(recipe), "seed": recipe.seed,
        "scheduling": recipe.method, "group": int(trainer.rule.group), "noise": trainer.rule.noise,
        "refractory_dropout": trainer.rule.refractory_dropout, "input_dropout": recipe.input_dropout,
        "stop": "done", "tau_ms": recipe.tau_ms, "threshold": recipe.threshold,
        "surrogate": f"arctan, steepness {recipe.steepness:g}: 1 / (pi (1 + (pi x {recipe.steepness:g} / 2)^2)); "
        "reset, order and refractory flag are not differentiated",
        "loss": f"cross entropy of the softmax over {recipe.logit_scale:g} x output spike counts",
        "optimiser": f"Adam, learning rate {recipe.rate:g} (up over a tenth, then a cosine), L2 {recipe.decay:g}, "
        f"batch {recipe.batch}",
        "epochs": trainer.epoch, "samples_per_epoch": len(trainer.labels) or recipe.samples,
        "history": trainer.history, "data_set": trainer.data.description, "data_file": f"{trainer.data.name}.npz",
        "framework": "numba",
        "inference": INFERENCES[recipe.method], "software_accuracy": own["accuracy"], "test_images": len(test),
        "density": own["density"], "inferences": measured,
    }  # fmt: skip
    return block | ({"weights": f"{recipe.bits} bits, symmetric, rounded in training"} if recipe.bits < 32 else {})


def method_text(recipe: SpikingRecipe) -> str:
    """The training in words."""
    if recipe.method == "layered":
        return "layered backpropagation through time"
    return f"unlayered backpropagation through time, {'random' if recipe.method == 'rs' else 'momentum'} scheduling"


def set_entries(sets: dict[str, Events]) -> dict[str, dict[str, str]]:
    """The members of every set in the data file."""
    return {name: {key: f"{name}.{key}" for key in ("time_us", "index", "offsets", "labels")} for name in sets}


def write_data(data: EventSets, sets: dict[str, Events], folder: Path) -> Path:
    """Writes the data file, unless it holds these samples already: its hash stands in other files."""
    arrays = {f"{name}.{key}": getattr(part, key) for name, part in sets.items() for key in Events._fields}
    path = folder / f"{data.name}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as present:
            if all(name in present and np.array_equal(present[name], array) for name, array in arrays.items()):
                return path
    save(path, {"schema": SCHEMA, "kind": "data", "name": data.name, "about": data.description}, arrays)
    return path
