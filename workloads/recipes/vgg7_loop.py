"""Training of the VGG-7-like networks by forward steps: Adam, a checkpoint after every epoch, exact resumption."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwsim.errors import Problem, SpecError
from workloads.recipes.datasets import ImageSets
from workloads.recipes.vgg7_kernels import LAYERED, MOMENTUM, RANDOM, Rule
from workloads.recipes.vgg7_steps import Stack, backward, current, forward

Report = Callable[[str], None]
METHODS = {"layered": LAYERED, "rs": RANDOM, "ms": MOMENTUM}
STACK = Stack((3, 32, 32), ((12, 2), (24, 2), (32, 1), (32, 2), (64, 1), (64, 1)), (10,))
"""Six convolutions and a full connection, the maps made smaller by strides: 9,216 hidden neurons."""
SCALE = 1.0 / 255.0
"""Of the pixels, 0 .. 255."""
CALIBRATING = 256
"""Images that the first weights are scaled by."""


@dataclass(frozen=True)
class Vgg7Recipe:
    """Everything that decides a training. ``images``: drawn once. ``spread``: see ``first_weights``.

    ``rates``: peaks of the learning rate, in cycles as long as each other.
    ``start``: the recipe whose checkpoint gives the first weights, if any.
    """

    name: str
    method: str
    stack: Stack = STACK
    group: int = 512
    threshold: float = 0.2
    steepness: float = 2.0
    refractory_dropout: float = 0.7
    noise: float = 0.0
    batch: int = 64
    rates: tuple[float, ...] = (1e-3,)
    epochs: int = 8
    images: int = 8000
    spread: float = 0.3
    clip: float = 1.0
    seed: int = 0
    logit_scale: float = 1.0
    data: str = "digits32"
    start: str = ""

    @property
    def training_rule(self) -> Rule:
        """The pass of training."""
        layered = self.method == "layered"
        dropout = 0.0 if layered else self.refractory_dropout
        return self.rule(self.method, dropout, self.noise if self.method == "ms" else 0.0)

    def rule(self, method: str, refractory_dropout: float = 0.0, noise: float = 0.0) -> Rule:
        """A pass by ``method``; without the arguments that of inference."""
        inputs = int(np.prod(self.stack.input_shape))
        group = 0 if method == "layered" else self.group
        return Rule(METHODS[method], group, self.threshold, self.steepness, refractory_dropout, noise, inputs)


VGG7 = {
    "vgg7_start": Vgg7Recipe("vgg7_start", "layered", epochs=24),
    "vgg7_layered": Vgg7Recipe("vgg7_layered", "layered", epochs=24, rates=(2e-3,), start="vgg7_start"),
    "vgg7_rs": Vgg7Recipe("vgg7_rs", "rs", epochs=16, rates=(1e-3, 2e-3), start="vgg7_start"),
    "vgg7_ms": Vgg7Recipe("vgg7_ms", "ms", noise=0.1, epochs=16, rates=(1e-3, 2e-3), start="vgg7_start"),
}
"""Thresholds, steepness, dropout, group and batch of Koopman et al. (TMLR 2025), table 6; learning rate and epochs are
ours, for minutes instead of days. The three networks have the same start, a layered network half trained: from random
weights features come late, after more updates than the unlayered trainings have, whose forward steps cost most."""


def first_weights(recipe: Vgg7Recipe, images: np.ndarray) -> list[Tensor]:
    """Xavier uniform from the recipe's seed; then each layer is scaled to currents of standard deviation ``spread``.

    Without batch normalisation or bias, spikes die out or flood the deeper layers otherwise. The first layer's filters
    have mean zero, so that what it fires upon is contrast, not brightness. ``images`` uint8 [B, C, H, W].
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    weights = [torch.empty(shape) for shape in recipe.stack.weight_shapes]
    for weight in weights:
        torch.nn.init.xavier_uniform_(weight, 1.0, generator)
    weights[0] -= weights[0].mean((1, 2, 3), keepdim=True)
    spikes = currents_of(images)
    for weight, stride in zip(weights, recipe.stack.strides, strict=True):
        weight *= recipe.spread / current(spikes, weight, stride).std()
        spikes = (current(spikes, weight, stride) > recipe.threshold).float()
    return weights


def currents_of(images: np.ndarray) -> Tensor:
    """Images uint8 [B, C, H, W] as multiplicities of the input's currents, 0 to 1."""
    return torch.from_numpy(images).float() * SCALE


def varied(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The images with their colours exchanged, and half of them inverted: of digits32 as likely as they were."""
    batch, colours = images.shape[:2]
    order = generator.permuted(np.tile(np.arange(colours), (batch, 1)), axis=1)
    result = images[np.arange(batch)[:, None], order]
    inverted = generator.random(batch) < 0.5
    result[inverted] = 255 - result[inverted]
    return result


class Vgg7Trainer:
    """One training with its state; ``run`` goes from the last checkpoint to the end of the recipe."""

    def __init__(self, recipe: Vgg7Recipe, data: ImageSets, checkpoint: Path, report: Report) -> None:
        self.recipe, self.data, self.checkpoint, self.report = recipe, data, checkpoint, report
        self.training: tuple[np.ndarray, np.ndarray] | None = None
        self.weights = first_weights(recipe, self.prepare()[0][:CALIBRATING])
        self.optimiser = torch.optim.Adam(self.weights, lr=recipe.rates[0])
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    @property
    def updates(self) -> int:
        """Updates of one epoch."""
        return -(-self.recipe.images // self.recipe.batch)

    def prepare(self) -> tuple[np.ndarray, np.ndarray]:
        """The training images, the same in all epochs."""
        if self.training is None:
            self.training = self.data.training_images(0, self.recipe.images)
        return self.training

    def rate(self, update: int) -> float:
        """Learning rate of an update: up over the first twentieth of a cycle, then down along a cosine."""
        rates = self.recipe.rates
        cycle, share = divmod(update * len(rates) / (self.recipe.epochs * self.updates), 1.0)
        return rates[int(cycle)] * min(1.0, (share + 1e-3) / 0.05) * 0.5 * (1.0 + float(np.cos(np.pi * share)))

    def step(self, chosen: np.ndarray, update: int) -> dict[str, float]:
        """One update on the training images ``chosen``; loss, accuracy, density and forward steps."""
        images, labels = self.prepare()
        rule, begin = self.recipe.training_rule, self.recipe.stack.begin
        shown = varied(images[chosen], np.random.default_rng([self.recipe.seed, update]))
        made = forward(self.recipe.stack, self.weights, currents_of(shown), rule, chosen, update)
        logits = torch.from_numpy(made.logits).requires_grad_()
        target = torch.from_numpy(labels[chosen])
        loss = torch.nn.functional.cross_entropy(self.recipe.logit_scale * logits, target)
        (by_logits,) = torch.autograd.grad(loss, logits)
        for weight, gradient in zip(
            self.weights, backward(self.recipe.stack, self.weights, made, rule, by_logits.numpy()), strict=True
        ):
            norm = gradient.norm()
            weight.grad = gradient / norm * self.recipe.clip if norm > self.recipe.clip else gradient
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(update)
        self.optimiser.step()
        return {
            "loss": float(loss.detach()), "accuracy": float((made.logits.argmax(1) == labels[chosen]).mean()),
            "density": float(made.emitted[:, : begin[-2]].mean()), "forward_steps": float(len(made.steps)),
        }  # fmt: skip

    def estimate(self) -> float:
        """Seconds that the remaining epochs will take, from the second of two updates of a throw-away network."""
        trial = Vgg7Trainer(self.recipe, self.data, self.checkpoint, self.report)
        trial.training = self.prepare()
        trial.weights = [weight.clone() for weight in self.weights]
        trial.optimiser = torch.optim.Adam(trial.weights, lr=self.recipe.rates[0])
        for number in range(2):
            start = time.perf_counter()
            trial.step(np.arange(min(self.recipe.batch, self.recipe.images)), number)
            seconds = time.perf_counter() - start
        return seconds * self.updates * (self.recipe.epochs - self.epoch)

    def train_epoch(self) -> None:
        """One epoch, and the accuracy on the calibration set after it (the test set is left alone until the end)."""
        self.prepare()
        start, found = time.perf_counter(), []
        order = np.random.default_rng([self.recipe.seed, self.epoch]).permutation(self.recipe.images)
        for number, first in enumerate(range(0, len(order), self.recipe.batch)):
            chosen = order[first : first + self.recipe.batch]
            found.append(self.step(chosen, self.epoch * self.updates + number))
        seconds = time.perf_counter() - start
        self.epoch += 1
        means = {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}
        held = measure(self.recipe, self.weights, *self.data.sets["calibration"], self.recipe.method)
        entry: dict[str, Any] = {"epoch": self.epoch} | means
        entry |= {"calibration_accuracy": round(held["accuracy"], 4), "calibration_density": round(held["density"], 4)}
        self.history.append(entry | {"seconds": round(seconds, 1)})
        self.report(f"{self.recipe.name}: " + " ".join(f"{key} {value}" for key, value in self.history[-1].items()))

    def start_from(self, checkpoint: Path) -> None:
        """Takes the first weights from another recipe's checkpoint."""
        with torch.no_grad():
            for own, known in zip(self.weights, torch.load(checkpoint, weights_only=True)["weights"], strict=True):
                own.copy_(known)

    def save(self) -> None:
        """Writes the checkpoint whole, then renames it."""
        state = {"weights": self.weights, "optimiser": self.optimiser.state_dict(), "epoch": self.epoch}
        state |= {"history": self.history, "recipe": repr(self.recipe)}
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def resume(self) -> bool:
        """Takes up the checkpoint if there is one; raises ``SpecError`` where another recipe made it."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, weights_only=True)
        if state["recipe"] != repr(self.recipe):
            text = "belongs to a run with other settings; go on with those, or take another folder"
            raise SpecError(Problem(str(self.checkpoint), text))
        for own, known in zip(self.weights, state["weights"], strict=True):
            own.copy_(known)
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.history = state["epoch"], state["history"]
        return True

    def run(self, stop_after: int | None = None) -> None:
        """Trains to the end of the recipe (or to epoch ``stop_after``), saving after each epoch."""
        while self.epoch < min(self.recipe.epochs, stop_after or self.recipe.epochs):
            self.train_epoch()
            self.save()


def measure(
    recipe: Vgg7Recipe, weights: list[Tensor], images: np.ndarray, labels: np.ndarray, method: str
) -> dict[str, float]:
    """Accuracy, density (hidden spikes per hidden neuron) and forward steps under an inference, without dropout."""
    right, spikes, steps = 0, 0.0, 0
    for first in range(0, len(labels), recipe.batch):
        part = slice(first, first + recipe.batch)
        samples = range(first, first + len(labels[part]))
        made = forward(recipe.stack, weights, currents_of(images[part]), recipe.rule(method), samples)
        right += int((made.logits.argmax(1) == labels[part]).sum())
        spikes += float(made.emitted[:, : recipe.stack.begin[-2]].sum())
        steps = max(steps, len(made.steps))
    hidden = int(recipe.stack.begin[-2])
    return {"accuracy": right / len(labels), "density": spikes / hidden / len(labels), "forward_steps": steps}
