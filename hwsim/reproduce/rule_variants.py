"""Every combination of the rules that Fig. 5a leaves open, and which of them give the published saving.

An enumeration of our own: 3 networks x 2 paddings x 3 spike words x 3 output words x 2 (leakage) x 2 (weight buffer
reads) x 2 (weight DRAM reads) = 432. A match among so many says that the rule set is plausible, not that it is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwsim.profiles import LayerShape, linear, sata_dataflows
from hwsim.profiles.sata_dataflows import PairRules

CLOSE_POINTS = 1.2
"""Distance in percentage points up to which a variant counts as a match."""


@dataclass(frozen=True)
class Variant:
    """One combination and the share of data-movement energy that tick-batch saves under it, in percent."""

    network: str
    rules: PairRules
    saving: float

    def describe(self) -> str:
        """The combination in words."""
        rules = self.rules
        words = {"timesteps": "T-bit", "byte": "8-bit", "bit": "1-bit"}
        return ", ".join(
            (
                self.network,
                f"padding {rules.padding}",
                f"{words[rules.spike_word]} spike words",
                f"{words[rules.output_word]} output words",
                "with leakage" if rules.leakage else "without leakage",
                f"OS weights from the buffer {'per pixel fold' if rules.weight_sram == 'per_fold' else 'once'}",
                f"from DRAM {'by the flush rule' if rules.weight_dram == 'flush' else 'once a timestep'}",
            )
        )


def networks(vgg9: Sequence[LayerShape]) -> dict[str, list[LayerShape]]:
    """The full VGG9, the one with a 4096-input first linear layer (another pool before it), its convolutions alone."""
    convolutions = [layer for layer in vgg9 if not layer.is_linear]
    connected = [layer for layer in vgg9 if layer.is_linear]
    pooled = [linear(connected[0].name, connected[0].K // 4, connected[0].M), *connected[1:]]
    return {
        "VGG9": list(vgg9),
        "VGG9 with one more pool": [*convolutions, *pooled],
        "VGG9 convolutions only": convolutions,
    }


def saving(layers: Sequence[LayerShape], timesteps: int, sparsity: float, rules: PairRules) -> float:
    """Data-movement energy that tick-batch saves against output-stationary, in percent."""
    ours, plain = (
        sata_dataflows.run(layers, dataflow=dataflow, timesteps=timesteps, sparsity=sparsity, rules=rules).movement_J
        for dataflow in ("tick-batch", "os")
    )
    return 100 * (1 - ours / plain)


def all_rules() -> Iterator[PairRules]:
    """The 144 rule combinations of one network."""
    words = ("timesteps", "byte", "bit")
    for padding, spike, output, leakage, sram, dram in itertools.product(
        ("stored", "ignored"), words, words, (True, False), ("per_fold", "once"), ("resident", "flush")
    ):
        yield PairRules(padding, spike, output, leakage, sram, dram)


def variants(vgg9: Sequence[LayerShape], timesteps: int, sparsity: float) -> list[Variant]:
    """All 432 variants, in a fixed order."""
    return [
        Variant(name, rules, saving(layers, timesteps, sparsity, rules))
        for name, layers in networks(vgg9).items()
        for rules in all_rules()
    ]


def close(found: Sequence[Variant], published: float) -> list[Variant]:
    """The variants within ``CLOSE_POINTS`` of the published saving, nearest first."""
    near = [variant for variant in found if abs(variant.saving - published) <= CLOSE_POINTS]
    return sorted(near, key=lambda variant: abs(variant.saving - published))
