"""The recipes of the event workloads, by name; hyper-parameters of Koopman et al. (TMLR 2025), table 6.

Batch, epochs and learning rate are ours: the sets are smaller. The paper's logits are spike counts per timestep, which
train slowly in so few updates; ``logit_scale`` times the counts lies between those and the bare counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workloads.recipes.spiking_loop import SpikingRecipe

DIGITS = SpikingRecipe(
    "", "events_digits", (64, 64, 64), "", tau_ms=1.0, steepness=2.0, input_dropout=0.25, noise=1e-6, decay=1e-5,
    batch=64, rate=4e-3, epochs=40, samples=8000, logit_scale=0.3,
)  # fmt: skip
SEQUENCES = SpikingRecipe(
    "", "sequences", (128, 128, 128), "", tau_ms=100.0, steepness=10.0, input_dropout=0.2, noise=0.1, decay=1e-4,
    batch=32, epochs=40, samples=2000, logit_scale=0.2,
)  # fmt: skip
GESTURES = SpikingRecipe(
    "", "gestures", (128, 128, 128), "", tau_ms=100.0, steepness=10.0, input_dropout=0.2, noise=0.1, decay=1e-5,
    batch=32, epochs=40, samples=1176, logit_scale=0.2,
)  # fmt: skip
UBRAIN = SpikingRecipe(
    "", "digits_rate", (64,), "", tau_ms=0.0, steepness=2.0, input_dropout=0.1, decay=1e-5, batch=32, epochs=60,
    samples=1177, logit_scale=0.5, bits=4, outputs=16, refractory_dropout=0.5,
)  # fmt: skip
SEEDS = 5
"""Seeds that events_digits and sequences are trained with; the other workloads have fewer or seed 0 only."""
VARIANTS: dict[str, dict[str, float]] = {
    "rs_f2": {"group": 2},
    "ms_f2": {"group": 2},
    "ms_noise0": {"noise": 0.0},
    "rs_refractory0": {"refractory_dropout": 0.0},
    "ms_refractory0": {"refractory_dropout": 0.0},
    "rs_refractory1": {"refractory_dropout": 1.0},
    "ms_refractory1": {"refractory_dropout": 1.0},
}
"""Trainings of ``sequences`` that differ from the others in one thing (the paper's appendix A.7); all in seeds/."""


def spiking_recipes() -> dict[str, SpikingRecipe]:
    """All recipes; seed 0."""
    listed = [
        replace(base, name=f"{base.data}_{method}", method=method)
        for base in (DIGITS, SEQUENCES, GESTURES)
        for method in ("layered", "rs", "ms")
    ]
    for group in (4, 16):
        for method in ("rs", "ms"):
            listed.append(replace(SEQUENCES, name=f"sequences_{method}_f{group}", method=method, group=group))
    for name, changes in VARIANTS.items():
        changed: Any = changes
        listed.append(replace(SEQUENCES, name=f"sequences_{name}", method=name[:2], **changed))
    listed.append(replace(UBRAIN, name="digits_ubrain", method="rs"))
    listed.append(replace(UBRAIN, name="digits_ubrain_layered", method="layered"))
    return {recipe.name: recipe for recipe in listed}


def beside(recipe: SpikingRecipe) -> bool:
    """Whether the network is shipped in seeds/, without samples: other seeds and ``VARIANTS``."""
    return recipe.seed > 0 or recipe.name.removeprefix("sequences_") in VARIANTS
