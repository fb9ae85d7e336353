"""Training: one-cycle learning rate, stages, a checkpoint after every epoch, exact resumption."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwsim.errors import Problem, SpecError
from workloads.recipes.datasets import ImageSets
from workloads.recipes.networks import Network, Plan

Report = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """Some epochs at a number of timesteps, with weights rounded to 8 bits or not.

    ``images`` per epoch of this stage, where they are not the recipe's.
    """

    epochs: int
    timesteps: int
    quantised: bool
    images: int | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training: network, data set, stages, optimiser figures and seed."""

    name: str
    plan: Plan
    data: str
    stages: tuple[Stage, ...]
    batch: int = 40
    rate: float = 2e-3
    decay: float = 1e-2
    images_per_epoch: int | None = None
    seed: int = 1
    method: str = "surrogate"  # surrogate | bntt | ann | conversion
    start: str = ""  # the recipe whose checkpoint gives the first weights
    note: str = ""

    def with_epochs(self, epochs: int) -> Recipe:
        """The same recipe over another number of epochs, shared among its stages in proportion (one each at least)."""
        total = sum(stage.epochs for stage in self.stages)
        shares = [max(1, round(epochs * stage.epochs / total)) for stage in self.stages]
        return replace(self, stages=tuple(replace(s, epochs=n) for s, n in zip(self.stages, shares, strict=True)))

    def stage_of(self, epoch: int) -> Stage:
        """The stage that ``epoch`` (from 0) belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise AssertionError("epoch beyond the last stage")

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)


def encode(images: np.ndarray, plan: Plan, timesteps: int, generator: torch.Generator) -> Tensor:
    """Images uint8 [B, C, H, W] -> values 0..1 [1, B, ...] (direct) or Poisson spikes [T, B, ...]."""
    values = torch.from_numpy(images).float() * plan.input_scale
    if plan.encoding == "direct":
        return values[None]
    return (torch.rand((timesteps, *values.shape), generator=generator) < values).float()


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the logits averaged up to each timestep, averaged over timesteps: early answers count too."""
    steps = torch.arange(1, len(logits) + 1, dtype=logits.dtype).view(-1, 1, 1)
    averaged = logits.cumsum(0) / steps
    return functional.cross_entropy(averaged.flatten(0, 1), labels.repeat(len(logits)))


@torch.no_grad()
def accuracy(network: Network, images: np.ndarray, labels: np.ndarray, seed: int = 0, batch: int = 50) -> float:
    """Share of images whose summed logits are largest at their label; the network's present timesteps and rounding."""
    generator = torch.Generator().manual_seed(seed)
    network.eval()
    timesteps, right = network.plan.options["timesteps"], 0
    for start in range(0, len(labels), batch):
        x = encode(images[start : start + batch], network.plan, timesteps, generator)
        right += int((network(x).sum(0).argmax(1).numpy() == labels[start : start + batch]).sum())
    return right / len(labels)


class Trainer:
    """One training with its state; ``run`` goes from the last checkpoint to the end of the recipe."""

    def __init__(self, recipe: Recipe, data: ImageSets, checkpoint: Path, report: Report) -> None:
        self.recipe, self.data, self.checkpoint, self.report = recipe, data, checkpoint, report
        torch.manual_seed(recipe.seed)
        self.network = Network(recipe.plan)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.count = recipe.images_per_epoch or len(data.sets["train"][1])
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        total = sum(stage.epochs * self.updates(stage) for stage in recipe.stages)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, recipe.rate, total_steps=total)
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    def updates(self, stage: Stage) -> int:
        """Updates of one epoch of this stage."""
        return -(-(stage.images or self.count) // self.recipe.batch)

    def enter(self, stage: Stage) -> None:
        """Sets timesteps and rounding."""
        self.network.set_timesteps(stage.timesteps)
        self.network.set_quantised(stage.quantised)

    def step(self, images: np.ndarray, labels: np.ndarray, generator: torch.Generator) -> float:
        """One update; returns the loss."""
        x = encode(images, self.recipe.plan, self.network.plan.options["timesteps"], generator)
        self.optimiser.zero_grad()
        loss = loss_of(self.network(x), torch.from_numpy(labels))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.network.keep_gamma_positive()
        return loss.item()

    def estimate(self) -> float:
        """Seconds that the remaining epochs will take, from two updates of each stage on a throw-away network."""
        trial = Trainer(self.recipe, self.data, self.checkpoint, self.report)
        images, labels = self.data.training_images(0, 2 * self.recipe.batch)
        seconds = 0.0
        for number, stage in enumerate(self.recipe.stages):
            trial.enter(stage)
            trial.network.train()
            generator = torch.Generator().manual_seed(0)
            for part in (0, 1):
                start = time.perf_counter()
                chosen = slice(part * self.recipe.batch, (part + 1) * self.recipe.batch)
                trial.step(images[chosen], labels[chosen], generator)
                update = time.perf_counter() - start
            before = sum(s.epochs for s in self.recipe.stages[:number])
            left = min(stage.epochs, max(0, before + stage.epochs - self.epoch))
            seconds += left * self.updates(stage) * update
        return seconds

    def train_epoch(self) -> None:
        """One epoch and the accuracy on the calibration set after it (the test set is left alone until the end)."""
        stage = self.recipe.stage_of(self.epoch)
        self.enter(stage)
        self.network.train()
        start, losses = time.perf_counter(), []
        images, labels = self.data.training_images(self.epoch, stage.images or self.count)
        generator = torch.Generator().manual_seed(self.recipe.seed * 7919 + self.epoch)
        for first in range(0, len(labels), self.recipe.batch):
            part = slice(first, first + self.recipe.batch)
            losses.append(self.step(images[part], labels[part], generator))
        seconds = time.perf_counter() - start
        right = accuracy(self.network, *self.data.sets["calibration"])
        self.epoch += 1
        entry = {"epoch": self.epoch, "timesteps": stage.timesteps, "loss": float(np.mean(losses))}
        self.history.append(entry | {"calibration_accuracy": right, "seconds": round(seconds, 1)})
        self.report(
            f"epoch {self.epoch}/{self.recipe.epochs} T={stage.timesteps} loss {entry['loss']:.4f} "
            f"calibration accuracy {right:.4f} {seconds:.0f} s"
        )

    def start_from(self, checkpoint: Path) -> None:
        """Takes the network's first weights from another recipe's checkpoint (same stack; BNTT copies the one BN)."""
        known = torch.load(checkpoint, weights_only=True)["network"]
        own = self.network.state_dict()
        for key in own:
            parts = key.split(".")
            if "norms" in parts:
                parts[parts.index("norms") + 1] = "0"
            own[key] = known[".".join(parts)]
        self.network.load_state_dict(own)

    def save(self) -> None:
        """Writes the checkpoint whole, then renames it."""
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "epoch": self.epoch}
        state |= {"schedule": self.schedule.state_dict(), "history": self.history, "name": self.recipe.name}
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def resume(self) -> bool:
        """Takes up the checkpoint if there is one; returns whether there was.

        Raises ``SpecError`` where it was made for another number of updates, for which the learning rate would not fit.
        """
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, weights_only=True)
        if state["schedule"]["total_steps"] != self.schedule.total_steps:
            text = "belongs to a run with other epochs or images per epoch; go on with those, or take another folder"
            raise SpecError(Problem(str(self.checkpoint), text))
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.history = state["epoch"], state["history"]
        return True

    def run(self, stop_after: int | None = None) -> Network:
        """Trains to the end of the recipe (or to epoch ``stop_after``), saving after each epoch."""
        while self.epoch < min(self.recipe.epochs, stop_after or self.recipe.epochs):
            self.train_epoch()
            self.save()
        self.enter(self.recipe.stages[-1])
        return self.network.eval()
