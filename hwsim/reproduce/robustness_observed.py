"""What the study observes, each as a question to the table: a number, and whether it is so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

from hwsim.reproduce.robustness_cells import STUDY, Cell, Machine, Reader, margin
from hwsim.reproduce.robustness_chip import Adaptation
from hwsim.reproduce.robustness_plan import (
    ADAPTED,
    ADAPTED_IMAGES,
    LARGE,
    LONG_CONVERSION,
    NETWORKS,
    SIZES,
    SMALL,
)

ANN, CONVERSION, SURROGATE, BNTT = "vgg5_ann", "vgg5_conversion", "vgg5", "vgg5_bntt"
DEEP_ANN, DEEP_SURROGATE = "vgg9_ann", "vgg9"
SHORT, LONG = "vgg5_t10", "vgg5_t30"
TRAINED_AS_SNN = ("surrogate gradient", "BNTT")
MEAN, BOTH = "mean", "mean_variance"
MORE = "by more than the images can tell from none (95 %)"


class Seen(NamedTuple):
    """The answer: a value in the observation's unit, and whether the observation holds."""

    value: float
    holds: bool


Question = Callable[[Reader, Machine], Seen | None]
"""None where the machine was not measured for it."""


class Observation(NamedTuple):
    """One statement of the study. ``theirs``: the same value from its tables, where it prints both numbers."""

    key: str
    what: str
    rule: str
    unit: str
    ask: Question


def more(worse: Cell, better: Cell) -> Seen:
    """By how much one loses more than the other, and whether the images can tell it from none."""
    difference = worse.drop - better.drop
    return Seen(difference, difference > margin(worse, better))


def close(reader: Reader, machine: Machine) -> Seen:
    """ANN and converted SNN."""
    ann, snn = (reader.cell(machine, name, LARGE) for name in (ANN, CONVERSION))
    apart = abs(snn.drop - ann.drop)
    return Seen(apart, ann.usable and snn.usable and apart <= margin(ann, snn))


def worse(worse_one: str, better_one: str) -> Question:
    """One network loses more than another, at the larger arrays."""

    def ask(reader: Reader, machine: Machine) -> Seen:
        return more(*(reader.cell(machine, name, LARGE) for name in (worse_one, better_one)))

    return ask


def bntt_at_chance(reader: Reader, machine: Machine) -> Seen:
    """BNTT at both array sizes."""
    cells = [reader.cell(machine, BNTT, size) for size in SIZES]
    return Seen(max(cell.hardware for cell in cells), all(cell.at_chance for cell in cells))


def smaller_is_better(reader: Reader, machine: Machine) -> Seen:
    """ANN and surrogate of the deeper network at both sizes."""
    pairs = [more(*(reader.cell(machine, name, size) for size in SIZES)) for name in (DEEP_ANN, DEEP_SURROGATE)]
    return Seen(min(seen.value for seen in pairs), all(seen.holds for seen in pairs))


def harder_is_worse(reader: Reader, machine: Machine) -> Seen:
    """The deeper network on the harder data, as ANN and as surrogate."""
    names = ((DEEP_ANN, ANN), (DEEP_SURROGATE, SURROGATE))
    pairs = [more(*(reader.cell(machine, name, LARGE) for name in pair)) for pair in names]
    return Seen(min(seen.value for seen in pairs), all(seen.holds for seen in pairs))


def conversion_flat(reader: Reader, machine: Machine) -> Seen:
    """The converted network's first chip, half way and at the end."""
    short, long = (
        reader.cell(machine, CONVERSION, LARGE, timesteps=steps)
        for steps in (NETWORKS[CONVERSION].timesteps, LONG_CONVERSION)
    )
    apart = abs(long.drop - short.drop)
    return Seen(apart, short.usable and long.usable and apart <= margin(short, long))


def below_ann(reader: Reader, machine: Machine) -> Seen:
    """Every SNN that was trained as one, at both sizes, against the ANN of its architecture."""
    differences: list[Seen] = []
    for name, network in NETWORKS.items():
        if network.method not in TRAINED_AS_SNN:
            continue
        ann = ANN if network.architecture == NETWORKS[ANN].architecture else DEEP_ANN
        differences += [more(reader.cell(machine, name, size), reader.cell(machine, ann, size)) for size in SIZES]
    least = min(seen.value for seen in differences)
    return Seen(least, least > 0 and any(seen.holds for seen in differences))


def adapted(what: str, network: str = BNTT, images: int = ADAPTED_IMAGES[-1]) -> Question:
    """Points of relative drop that an adaptation of BN gives back."""

    def ask(reader: Reader, machine: Machine) -> Seen | None:
        before, after = _adaptation(reader, machine, network, what, images) or (None, None)
        return None if before is None or after is None else more(before, after)

    return ask


def _adaptation(reader: Reader, machine: Machine, network: str, what: str, images: int) -> tuple[Cell, Cell] | None:
    """The first chip before and after."""
    if network not in ADAPTED.get((machine.name, LARGE), {}).get(machine.gain, ()):
        return None
    chip = reader.first(machine, network, LARGE)["accuracy"]
    plain = reader.cell(machine, network, LARGE)
    before, after = (chip[name][-1] for name in (machine.gain, Adaptation(machine.gain, what, images).name))
    return plain._replace(hardware=before, chips=1), plain._replace(hardware=after, chips=1)


def more_images_help(reader: Reader, machine: Machine) -> Seen | None:
    """The fewest and the most calibration images."""
    pairs = [_adaptation(reader, machine, BNTT, MEAN, images) for images in ADAPTED_IMAGES]
    cells = [pair[1] for pair in pairs if pair is not None]
    if not cells:
        return None
    found = more(cells[0], cells[-1])
    return Seen(found.value, found.holds and all(a.drop >= b.drop for a, b in itertools.pairwise(cells)))


def beats_ann(reader: Reader, machine: Machine) -> Seen | None:
    """BNTT, adapted, against the ANN as it is, on the same arrays."""
    pair = _adaptation(reader, machine, BNTT, MEAN, ADAPTED_IMAGES[-1])
    if pair is None:
        return None
    ann = reader.cell(machine, ANN, LARGE)
    return Seen(pair[1].hardware - ann.hardware, pair[1].hardware > ann.hardware)


def accumulates(reader: Reader, machine: Machine) -> Seen | None:
    """Deviation of the membranes of the longest surrogate network, last timestep over first, mean of the layers."""
    deviation = reader.first(machine, LONG, LARGE)["deviation"].get(machine.gain, {})
    ratios = [
        layer["membrane"][-1] / layer["membrane"][0] for layer in deviation.values() if (layer["membrane"][0] or 0) > 0
    ]
    return Seen(fmean(ratios), min(ratios) > 1) if ratios else None


OBSERVATIONS = (
    Observation("ann-conversion", "ANN and converted SNN lose about the same: points of relative drop between them",
                "holds: no further apart than the images can tell (95 %), both at least twice chance", "points", close),
    Observation("surrogate-vgg5", "surrogate gradient (VGG5, T=25) loses more than the ANN: difference of the drops",
                f"holds: {MORE}", "points", worse(SURROGATE, ANN)),
    Observation("surrogate-vgg9", "surrogate gradient (VGG9, T=4) loses more than the ANN: difference of the drops",
                f"holds: {MORE}", "points", worse(DEEP_SURROGATE, DEEP_ANN)),
    Observation("bntt", "BNTT (T=10) loses more than surrogate gradient (T=25): difference of the drops",
                f"holds: {MORE}", "points", worse(BNTT, SURROGATE)),
    Observation("bntt-chance", "BNTT is at chance at both array sizes: larger of the two accuracies",
                "holds: both within the 95 % interval of guesses", "%", bntt_at_chance),
    Observation("array-size", f"{SMALL}x{SMALL} loses less than {LARGE}x{LARGE} (VGG9, ANN and surrogate): smaller "
                "difference", f"holds: both {MORE}", "points", smaller_is_better),
    Observation("harder", "harder data and a deeper network lose more (VGG9 against VGG5, ANN and surrogate): smaller "
                "difference", f"holds: both {MORE}", "points", harder_is_worse),
    Observation("timesteps", "surrogate gradient loses more at T=30 than at T=10: difference of the drops",
                f"holds: {MORE}", "points", worse(LONG, SHORT)),
    Observation("conversion-timesteps", "the converted SNN loses the same at T=50 and T=100: points between them",
                "holds: no further apart than the images can tell (95 %), both at least twice chance", "points",
                conversion_flat),
    Observation("below-ann", "every SNN trained as one loses more than the ANN, at both sizes: smallest difference",
                f"holds: all above zero, one of them {MORE}", "points", below_ann),
    Observation("accumulation", "errors accumulate over timesteps: deviation of membranes at T=30 over that at T=1",
                "holds: it grows in every layer", "1", accumulates),
    Observation("adaptation-mean", "measuring BN means again (128 images) recovers BNTT: points of drop given back",
                f"holds: {MORE}", "points", adapted(MEAN)),
    Observation("adaptation-images", "more calibration images recover more: drop at 8 images less drop at 128",
                f"holds: never worse with more images, and {MORE}", "points", more_images_help),
    Observation("adaptation-beats-ann", "BNTT with adapted means decides better than the ANN on the same arrays",
                "holds: difference of the accuracies above zero", "points", beats_ann),
    Observation("adaptation-both", "measuring BN means and variances again (128 images) recovers BNTT: points of drop "
                "given back", f"holds: {MORE}", "points", adapted(BOTH)),
)  # fmt: skip
"""In the order of the study; the last one is of its sequel."""

__all__ = ["OBSERVATIONS", "STUDY", "Observation", "Seen"]
