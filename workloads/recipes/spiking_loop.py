"""Training by forward steps on event data: Adam, a checkpoint after every epoch, exact resumption. No torch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.rng import draw_key
from workloads.recipes import spiking_steps as steps
from workloads.recipes.adam import adam
from workloads.recipes.events import Events, EventSets
from workloads.recipes.spiking_types import DONE, LAYERED, MOMENTUM, RANDOM, Frames, Net, Rule

Report = Callable[[str], None]
HELD_OUT = 200  # calibration samples, looked at after every epoch
METHODS = {"layered": LAYERED, "rs": RANDOM, "ms": MOMENTUM}


@dataclass(frozen=True)
class SpikingRecipe:
    """Everything that decides a training. Times in ms; ``group`` in neurons; dropouts and ``noise`` only in training.

    ``tau_ms`` 0: no leak (IF). ``bits`` below 32: weights rounded, symmetric per layer, in every forward pass.
    """

    name: str
    data: str
    hidden: tuple[int, ...]
    method: str
    tau_ms: float
    steepness: float
    input_dropout: float
    refractory_dropout: float = 0.8
    noise: float = 0.0
    group: int = 8
    threshold: float = 0.3
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-5
    epochs: int = 30
    samples: int = 2000
    seed: int = 0
    bits: int = 32
    logit_scale: float = 1.0
    outputs: int = 0  # output neurons, where more than classes
    gain: float = 1.0
    dtype: str = "float32"


@dataclass(frozen=True)
class Shape:
    """Where things stand: see ``spiking_steps``."""

    sizes: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    layer_of: np.ndarray

    @classmethod
    def of(cls, sizes: tuple[int, ...]) -> Shape:
        """From the widths of all layers, the input first."""
        widths = np.array(sizes, np.int64)
        starts = np.concatenate([[0], np.cumsum(widths[:-1] * widths[1:])]).astype(np.int64)
        places = np.concatenate([[0], np.cumsum(widths[1:])]).astype(np.int64)
        return cls(widths, starts[:-1], places, np.repeat(np.arange(len(widths) - 1), widths[1:]))

    def matrices(self, weights: np.ndarray) -> list[np.ndarray]:
        """The flat weights as one [fan-in, fan-out] view per layer."""
        pairs = zip(self.starts, self.sizes[:-1], self.sizes[1:], strict=True)
        return [weights[start : start + rows * columns].reshape(rows, columns) for start, rows, columns in pairs]

    def net(self, weights: np.ndarray) -> Net:
        """The network of the kernels."""
        turned = np.concatenate([matrix.T.reshape(-1) for matrix in self.matrices(weights)])
        return Net(weights, turned, self.sizes, self.starts, self.places, self.layer_of)


def frames_of(events: Events, data: EventSets, dtype: type = np.float32) -> Frames:
    """Binned and counted events of all samples, behind each other; counts clipped to the input's bits."""
    size, timesteps = int(np.prod(data.shape)), data.timesteps
    sample = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    bins = events.time_us // data.bin_us
    inside = bins < timesteps
    code = (sample[inside] * timesteps + bins[inside]) * size + events.index[inside]
    places, counts = np.unique(code, return_counts=True)
    frame, place = places // size, places % size
    start = np.searchsorted(frame, np.arange(len(events) * timesteps + 1)).astype(np.int64)
    return Frames(start, place.astype(np.int64), np.minimum(counts, 2**data.bits - 1).astype(dtype))


def keys(seed: int, stream: str, timestep: int, numbers: np.ndarray) -> np.ndarray:
    """One uint64 key of random numbers per sample."""
    return np.array([draw_key(seed, stream, int(number), timestep) for number in numbers], np.uint64)


def training_rule(recipe: SpikingRecipe, data: EventSets, neurons: int) -> Rule:
    """The pass of training: until done, with dropouts."""
    policy = METHODS[recipe.method]
    leak = float(np.exp(-data.bin_us / 1000.0 / recipe.tau_ms)) if recipe.tau_ms else 1.0
    layered = policy == LAYERED
    return Rule(
        policy, neurons if layered else recipe.group, recipe.threshold, leak, recipe.steepness, DONE,
        0.0 if layered else recipe.refractory_dropout, recipe.input_dropout,
        recipe.noise if policy == MOMENTUM else 0.0,
    )  # fmt: skip


def inference_rule(rule: Rule, method: str, neurons: int, group: int = 8) -> Rule:
    """The pass of inference: no dropout, no noise; asynchronous ones stop one step after the first output spike."""
    layered = method == "layered"
    return rule._replace(
        policy=METHODS[method], group=neurons if layered else group, after=DONE if layered else 1,
        refractory_dropout=0.0, input_dropout=0.0, noise=0.0,
    )  # fmt: skip


def rounded(weights: np.ndarray, shape: Shape, bits: int) -> tuple[np.ndarray, list[float]]:
    """Weights rounded to ``bits`` bits, symmetric, and each layer's scale."""
    result, scales, peak = weights.copy(), [], 2 ** (bits - 1) - 1
    for matrix in shape.matrices(result):
        scale = float(np.abs(matrix).max()) / peak
        matrix[:] = np.rint(matrix / scale) * scale
        scales.append(scale)
    return result, scales


class SpikingTrainer:
    """One training with its state; ``run`` goes from the last checkpoint to the end of the recipe."""

    def __init__(self, recipe: SpikingRecipe, data: EventSets, checkpoint: Path, report: Report) -> None:
        self.recipe, self.data, self.checkpoint, self.report = recipe, data, checkpoint, report
        self.dtype = np.dtype(recipe.dtype).type
        width = int(np.prod(data.shape))
        self.shape = Shape.of((width, *recipe.hidden, recipe.outputs or data.classes))
        self.neurons = int(self.shape.places[-1])
        generator = np.random.default_rng(recipe.seed)
        parts = []
        for rows, columns in zip(self.shape.sizes[:-1], self.shape.sizes[1:], strict=True):
            bound = recipe.gain * np.sqrt(6.0 / (rows + columns))  # Xavier uniform
            parts.append(generator.uniform(-bound, bound, rows * columns))
        self.weights = np.concatenate(parts).astype(self.dtype)
        self.mean, self.square, self.gradient = (np.zeros_like(self.weights) for _ in range(3))
        self.rule = training_rule(recipe, data, self.neurons)
        self.epoch, self.update = 0, 0
        self.history: list[dict[str, float]] = []
        self.frames: Frames | None = None
        self.labels = np.zeros(0, np.int64)
        self.held: tuple[Frames, np.ndarray] | None = None

    def prepare(self) -> None:
        """Draws the training and calibration samples."""
        if self.frames is None:
            training, calibration = (
                self.data.draw("train", self.recipe.samples),
                self.data.draw("calibration", HELD_OUT),
            )
            self.frames, self.labels = frames_of(training, self.data, self.dtype), training.labels
            self.held = frames_of(calibration, self.data, self.dtype), calibration.labels

    @property
    def updates(self) -> int:
        """Updates of one epoch."""
        return -(-len(self.labels) // self.recipe.batch)

    def rate(self) -> float:
        """Learning rate of the next update: up over the first tenth, then down along a cosine."""
        share = self.update / max(1, self.recipe.epochs * self.updates)
        rise = min(1.0, (share + 1e-3) / 0.1)
        return self.recipe.rate * rise * 0.5 * (1.0 + np.cos(np.pi * min(1.0, share)))

    def used_weights(self) -> np.ndarray:
        """The weights as the network uses them."""
        return self.weights if self.recipe.bits == 32 else rounded(self.weights, self.shape, self.recipe.bits)[0]

    def step(self, chosen: np.ndarray, draws: np.ndarray) -> tuple[float, int]:
        """One update on the samples ``chosen``; loss and hits."""
        net = self.shape.net(self.used_weights())
        found = steps.learn(
            net, self.frames, self.data.timesteps, chosen, self.labels, self.rule, self.recipe.logit_scale, draws,
            self.gradient,
        )  # fmt: skip
        rate = self.rate()
        self.update += 1
        adam(self.weights, self.gradient, self.mean, self.square, rate, self.recipe.decay, self.update)
        return found

    def estimate(self) -> float:
        """Seconds that the remaining epochs will take, from the second of two updates of a throw-away network."""
        trial = SpikingTrainer(self.recipe, self.data, self.checkpoint, self.report)
        self.prepare()
        trial.frames, trial.labels = self.frames, self.labels
        chosen = np.arange(min(self.recipe.batch, len(self.labels)))
        for _ in range(2):
            start = time.perf_counter()
            trial.step(chosen, keys(0, "training", 0, chosen))
            seconds = time.perf_counter() - start
        return seconds * self.updates * (self.recipe.epochs - self.epoch)

    def train_epoch(self) -> None:
        """One epoch, and the accuracy on the calibration set after it (the test set is left alone until the end)."""
        self.prepare()
        start, losses, hits = time.perf_counter(), [], 0
        order = np.random.default_rng([self.recipe.seed, self.epoch]).permutation(len(self.labels))
        draws = keys(self.recipe.seed, "training", self.epoch, np.arange(len(order)))
        for first in range(0, len(order), self.recipe.batch):
            chosen = order[first : first + self.recipe.batch]
            loss, right = self.step(chosen, draws[chosen])
            losses.append(loss)
            hits += right
        seconds = time.perf_counter() - start
        self.epoch += 1
        found = self.measure(*self.held)
        entry = {
            "epoch": self.epoch, "loss": round(float(np.mean(losses)), 4), "accuracy": round(hits / len(order), 4),
            "calibration_accuracy": round(found["accuracy"], 4), "density": round(found["density"], 3),
        }  # fmt: skip
        self.history.append(entry | {"seconds": round(seconds, 1)})
        self.report(
            f"epoch {self.epoch}/{self.recipe.epochs} "
            + " ".join(f"{k} {v}" for k, v in list(self.history[-1].items())[1:])
        )

    def measure(
        self, frames: Frames, labels: np.ndarray, method: str = "", group: int = 8, seed: int = 0
    ) -> dict[str, Any]:
        """Accuracy, densities (hidden spikes emitted, propagated, per sample and hidden neuron), forward steps."""
        rule = inference_rule(self.rule, method or self.recipe.method, self.neurons, group)
        return measure(self.used_weights(), self.shape, frames, labels, self.data.timesteps, rule, seed)

    def save(self) -> None:
        """Writes the checkpoint whole, then renames it."""
        arrays = {"weights": self.weights, "mean": self.mean, "square": self.square}
        numbers = {"epoch": self.epoch, "update": self.update, "recipe": repr(self.recipe), "history": self.history}
        text = np.frombuffer(json.dumps(numbers).encode(), np.uint8)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(stream, state=text, **arrays)
        partial.replace(self.checkpoint)

    def resume(self) -> bool:
        """Takes up the checkpoint if there is one; raises ``SpecError`` where another recipe made it."""
        if not self.checkpoint.exists():
            return False
        with np.load(self.checkpoint, allow_pickle=False) as kept:
            state = json.loads(kept["state"].tobytes())
            if state["recipe"] != repr(self.recipe):
                text = "belongs to a run with other settings; go on with those, or take another folder"
                raise SpecError(Problem(str(self.checkpoint), text))
            self.weights, self.mean, self.square = (kept[name].copy() for name in ("weights", "mean", "square"))
        self.epoch, self.update, self.history = state["epoch"], state["update"], state["history"]
        return True

    def run(self, stop_after: int | None = None) -> None:
        """Trains to the end of the recipe (or to epoch ``stop_after``), saving after each epoch."""
        while self.epoch < min(self.recipe.epochs, stop_after or self.recipe.epochs):
            self.train_epoch()
            self.save()


def measure(
    weights: np.ndarray, shape: Shape, frames: Frames, labels: np.ndarray, timesteps: int, rule: Rule,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Accuracy and means per sample of a network under ``rule``, in float64. Equal counts: the lowest class wins."""
    wide = Frames(frames.start, frames.place, frames.count.astype(np.float64))
    draws = keys(seed, "inference", 0, np.arange(len(labels)))
    net = shape.net(weights.astype(np.float64))
    counts, work = steps.infer(net, wide, timesteps, len(labels), rule, draws)
    hidden = int(shape.places[-2])
    emitted, sent, forward_steps = work.mean(axis=0)
    return {
        "accuracy": float((counts.argmax(axis=1) == labels).mean()), "density": emitted / hidden,
        "propagated_density": sent / hidden, "forward_steps": forward_steps / timesteps,
        "silent": float((counts.sum(axis=1) == 0).mean()),
    }  # fmt: skip


def with_seed(recipe: SpikingRecipe, seed: int) -> SpikingRecipe:
    """The recipe with another seed, named for it."""
    return replace(recipe, seed=seed, name=f"{recipe.name}_s{seed}" if seed else recipe.name)
