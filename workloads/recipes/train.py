"""Trains a workload and writes it: ``python -m workloads.recipes.train NAME`` from the root of the repository."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from hwsim.errors import SpecError
from workloads.recipes import datasets, files, ship
from workloads.recipes.command_line import SHIPPED, ended, say
from workloads.recipes.datasets import ImageSets
from workloads.recipes.loop import Recipe, Trainer
from workloads.recipes.recipes import recipes


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    known = recipes()
    result = argparse.ArgumentParser(description=__doc__)
    result.add_argument("name", choices=sorted(known), help="the recipe")
    result.add_argument(
        "--data", metavar="mnist:DIR|cifar10:DIR", help="local files instead of the recipe's own images"
    )
    result.add_argument("--epochs", type=int, help="epochs in all, shared among the recipe's stages in proportion")
    result.add_argument("--images", type=int, help="training images per epoch")
    result.add_argument("--threads", type=int, default=2)
    result.add_argument(
        "--checkpoints", type=Path, default=Path("checkpoints"), help="folder; an unfinished run goes on"
    )
    result.add_argument("--output", type=Path, default=SHIPPED, help="folder for the workload (and its data file)")
    result.add_argument("--export-only", action="store_true", help="write the workload from the checkpoint as it is")
    return result


def open_data(recipe: Recipe, text: str | None) -> ImageSets:
    """The recipe's own images or those of ``--data``, which must have the network's input shape."""
    data = files.open_set(text) if text else getattr(datasets, recipe.data)()
    found = tuple(data.sets["test"][0].shape[1:])
    if found != recipe.plan.input_shape:
        raise SpecError(f"--data {text}: images are {list(found)}, {recipe.name} takes {list(recipe.plan.input_shape)}")
    return data


def adjusted(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """The recipe with the command line's changes."""
    if options.epochs:
        recipe = recipe.with_epochs(options.epochs)
    count = options.images or (None if options.data else recipe.images_per_epoch)
    return replace(recipe, images_per_epoch=count)


def run(options: argparse.Namespace) -> None:
    """Trains (or takes up) the recipe, measures the network as written, writes it and reports."""
    torch.set_num_threads(options.threads)
    recipe = adjusted(recipes()[options.name], options)
    data = open_data(recipe, options.data)
    trainer = Trainer(recipe, data, options.checkpoints / f"{recipe.name}-{data.name}.pt", say)
    if not trainer.resume() and recipe.start:
        first = options.checkpoints / f"{recipe.start}-{data.name}.pt"
        if not first.exists():
            raise SpecError(
                f"{recipe.name} starts from the weights of {recipe.start}: train that first ({first} is missing)"
            )
        trainer.start_from(first)
    if not options.export_only:
        left = recipe.epochs - trainer.epoch
        say(f"{recipe.name}: about {trainer.estimate() / 60:.1f} minutes for {left} epochs")
    network = trainer.run(stop_after=trainer.epoch if options.export_only else None)
    spec, arrays = ship.build(recipe, trainer, network, data)
    training = ship.add_measurements(spec, arrays, data)
    path = ship.write(spec, arrays, data, options.output)
    say(f"{path}: {path.stat().st_size:,} bytes, accuracy {training['software_accuracy']:.4f}")
    for key in ("input_density", "output_density"):
        say(f"{key}: " + ", ".join(f"{name} {value:.3f}" for name, value in training[key].items()))


def main(arguments: list[str] | None = None) -> int:
    """The command line; mistakes in the input end with 2."""
    return ended(run, parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
