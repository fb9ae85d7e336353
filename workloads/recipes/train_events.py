"""Trains an event workload and writes it: ``python -m workloads.recipes.train_events NAME``, from the root."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from hwsim.errors import SpecError
from workloads.recipes import event_files, events, ship_events
from workloads.recipes.command_line import SHIPPED, ended, say
from workloads.recipes.events import EventSets
from workloads.recipes.spiking_loop import SpikingRecipe, SpikingTrainer, with_seed
from workloads.recipes.spiking_recipes import spiking_recipes


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = argparse.ArgumentParser(description=__doc__)
    result.add_argument("name", choices=sorted(spiking_recipes()), help="the recipe")
    result.add_argument("--data", metavar="|".join(f"{kind}:PATH" for kind in event_files.READERS), help="local files")
    result.add_argument(
        "--seed", type=int, default=0, help="0 writes NAME.npz, another one (and variants) seeds/NAME_sSEED.npz"
    )
    result.add_argument("--epochs", type=int)
    result.add_argument("--samples", type=int, help="training samples")
    result.add_argument(
        "--checkpoints", type=Path, default=Path("checkpoints"), help="folder; an unfinished run goes on"
    )
    result.add_argument("--output", type=Path, default=SHIPPED, help="folder for the workload (and its data file)")
    result.add_argument("--export-only", action="store_true", help="write the workload from the checkpoint as it is")
    return result


def open_data(recipe: SpikingRecipe, text: str | None) -> EventSets:
    """The recipe's own samples or those of ``--data``, which must have the network's input shape and classes."""
    own = getattr(events, recipe.data)()
    if not text:
        return own
    data = event_files.open_set(text)
    if (data.shape, data.classes) != (own.shape, own.classes):
        found, expected = (f"{list(one.shape)} in {one.classes} classes" for one in (data, own))
        raise SpecError(f"--data {text}: events on {found}, {recipe.name} takes {expected}")
    return data


def adjusted(options: argparse.Namespace) -> SpikingRecipe:
    """The recipe with the command line's changes."""
    recipe = with_seed(spiking_recipes()[options.name], options.seed)
    changes = {"epochs": options.epochs, "samples": options.samples}
    return replace(recipe, **{key: value for key, value in changes.items() if value})


def run(options: argparse.Namespace) -> None:
    """Trains (or takes up) the recipe, measures the network, writes it and reports."""
    recipe = adjusted(options)
    data = open_data(recipe, options.data)
    suffix = f"-{data.name}" if options.data else ""
    trainer = SpikingTrainer(recipe, data, options.checkpoints / f"{recipe.name}{suffix}.npz", say)
    trainer.resume()
    if not options.export_only:
        left = recipe.epochs - trainer.epoch
        say(f"{recipe.name}: about {trainer.estimate() / 60:.1f} minutes for {left} epochs")
        trainer.run()
    path, measured = ship_events.write(trainer, options.output, suffix.replace("-", "_"))
    say(f"{path}: {path.stat().st_size:,} bytes")
    for inference, found in measured.items():
        say(f"{inference}: " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))


def main(arguments: list[str] | None = None) -> int:
    """The command line; mistakes in the input end with 2."""
    return ended(run, parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
