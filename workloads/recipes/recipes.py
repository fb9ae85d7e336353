"""The recipes of the shipped workloads, by name."""

from __future__ import annotations

from workloads.recipes.loop import Recipe, Stage
from workloads.recipes.networks import MLP, VGG5, VGG9, Plan

COLOUR = (3, 32, 32)
GREY = (1, 28, 28)
CONVERSION_TIMESTEPS = 50


def recipes() -> dict[str, Recipe]:
    """All recipes, made afresh (a plan carries its network's present number of timesteps)."""
    listed = [
        Recipe(
            "digits_mlp",
            Plan(MLP, (1, 8, 8), 8, input_scale=1.0 / 16.0, normalise="none", biased=True, per_channel=False),
            "digits8",
            (Stage(30, 8, False), Stage(10, 8, True)),
            rate=1e-2,
        ),
        Recipe(
            "vgg9_ann",
            Plan(VGG9, COLOUR, 1, neuron="relu"),
            "digits32",
            (Stage(8, 1, False), Stage(2, 1, True)),
            images_per_epoch=4000,
            rate=1e-3,
            method="ann",
        ),
        Recipe(
            "vgg9",
            Plan(VGG9, COLOUR, 4),
            "digits32",
            (Stage(2, 1, False), Stage(1, 4, True), Stage(1, 4, True, images=4000)),
            images_per_epoch=8000,
            rate=1e-3,
            start="vgg9_ann",
            note="starts from the weights of vgg9_ann; the first two epochs run at one timestep",
        ),
        Recipe(
            "vgg5_ann",
            Plan(VGG5, GREY, 1, neuron="relu", per_channel=False),
            "digits28",
            (Stage(8, 1, False), Stage(4, 1, True)),
            rate=1e-3,
            method="ann",
        ),
        Recipe(
            "vgg5",
            Plan(VGG5, GREY, 25, encoding="poisson", per_channel=False),
            "digits28",
            (Stage(8, 5, False), Stage(1, 25, True)),
            rate=1e-3,
            note="the first epochs run at five timesteps",
        ),
        *(
            Recipe(
                f"vgg5_t{timesteps}",
                Plan(VGG5, GREY, timesteps, encoding="poisson", per_channel=False),
                "digits28",
                (Stage(8, 5, False), Stage(1, timesteps, True)),
                rate=1e-3,
                note="as vgg5; the last epoch runs at the network's own number of timesteps",
            )
            for timesteps in (10, 20, 30)
        ),
        Recipe(
            "vgg5_bntt",
            Plan(VGG5, GREY, 10, encoding="poisson", normalise="timestep", per_channel=False),
            "digits28",
            (Stage(4, 10, False), Stage(2, 10, True)),
            rate=1e-3,
            method="bntt",
        ),
        Recipe(
            "vgg5_conversion",
            Plan(VGG5, GREY, 1, neuron="relu", normalise="none", per_channel=False),
            "digits28",
            (Stage(8, 1, False), Stage(4, 1, True)),
            rate=1e-3,
            method="conversion",
            note="an analog network without bias and BN, trained, then converted to IF neurons",
        ),
    ]
    return {recipe.name: recipe for recipe in listed}
