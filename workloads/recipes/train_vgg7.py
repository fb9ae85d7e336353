"""Trains a VGG-7-like network and writes it: ``python -m workloads.recipes.train_vgg7 NAME``, from the root."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from hwsim.errors import SpecError
from workloads.recipes import datasets, ship_vgg7
from workloads.recipes.command_line import SHIPPED, ended, say
from workloads.recipes.vgg7_loop import VGG7, Vgg7Recipe, Vgg7Trainer


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = argparse.ArgumentParser(description=__doc__)
    result.add_argument("name", choices=sorted(VGG7), help="the recipe")
    result.add_argument("--epochs", type=int)
    result.add_argument("--images", type=int, help="training images")
    result.add_argument("--threads", type=int, default=2)
    result.add_argument(
        "--checkpoints", type=Path, default=Path("checkpoints"), help="folder; an unfinished run goes on"
    )
    result.add_argument("--output", type=Path, default=SHIPPED, help="folder for the workload (and its data file)")
    result.add_argument("--export-only", action="store_true", help="write the workload from the checkpoint as it is")
    return result


def adjusted(options: argparse.Namespace) -> Vgg7Recipe:
    """The recipe with the command line's changes."""
    changes = {"epochs": options.epochs, "images": options.images}
    return replace(VGG7[options.name], **{key: value for key, value in changes.items() if value})


def prepared(recipe: Vgg7Recipe, folder: Path) -> Vgg7Trainer:
    """A trainer at its last checkpoint, or at its first weights. ``SpecError`` where these are missing."""
    trainer = Vgg7Trainer(recipe, getattr(datasets, recipe.data)(), folder / f"{recipe.name}.pt", say)
    if not trainer.resume() and recipe.start:
        first = folder / f"{recipe.start}.pt"
        if not first.exists():
            text = f"{recipe.name} starts from the weights of {recipe.start}: train that first"
            raise SpecError(f"{text} ({first} is missing)")
        trainer.start_from(first)
    return trainer


def run(options: argparse.Namespace) -> None:
    """Trains (or takes up) the recipe, measures the network as written, and reports."""
    torch.set_num_threads(options.threads)
    trainer = prepared(adjusted(options), options.checkpoints)
    if not options.export_only:
        left = trainer.recipe.epochs - trainer.epoch
        say(f"{trainer.recipe.name}: about {trainer.estimate() / 60:.1f} minutes for {left} epochs")
        trainer.run()
    path, measured = ship_vgg7.write(trainer, options.output)
    say(f"{path}: {path.stat().st_size:,} bytes")
    for inference, found in measured.items():
        say(f"{inference}: " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))


def main(arguments: list[str] | None = None) -> int:
    """The command line; mistakes in the input end with 2."""
    return ended(run, parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
