"""The CIFAR-10 part of the layer synchronisation paper, asked of the VGG-7-like networks that are shipped.

Theirs is a VGG-7-like network on CIFAR-10; ours has far fewer channels, strides instead of pools, and digits on
textured colour backgrounds. One timestep, the image as currents, IF neurons, the class by the output's potentials when
no spike is left; groups of 512 in training and inference, as in the paper.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwsim.reproduce.layer_sync_claims import MARGIN, in_words
from hwsim.reproduce.layer_sync_seen import ERRORS, PERCENT, Difference, difference
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

if TYPE_CHECKING:
    from hwsim.machines.neuromorphic.frozen import Frozen

THEIRS = "vgg7_cifar10"
"""Shape table of the paper's network."""
OURS = "vgg7"
GROUP = 512
PAIRS = {
    "layered-layered": ("layered", "layered"), "layered-rs": ("layered", "rs"), "layered-ms": ("layered", "ms"),
    "rs-rs": ("rs", "rs"), "ms-ms": ("ms", "ms"), "rs-layered": ("rs", "layered"), "ms-layered": ("ms", "layered"),
}  # fmt: skip
"""Training-inference -> training and inference; the paper prints the first two and ``rs-rs``."""
SETTINGS: dict[str, dict[str, Any]] = {
    "layered": {"policy": "layer_order"},
    "rs": {"policy": "random", "group": GROUP},
    "ms": {"policy": "momentum", "group": GROUP},
}


class Run(NamedTuple):
    """A network on test samples [S]."""

    right: np.ndarray
    """1.0 where the class was found."""
    density: np.ndarray
    """Hidden spikes per hidden neuron."""
    operations: np.ndarray
    """Synaptic operations of spikes, those of the image left out."""
    steps: np.ndarray


class Claim(NamedTuple):
    """A statement on two of ``PAIRS``: one - other, or their ratio. ``more``: it holds where that is above 0 or 1."""

    key: str
    what: str
    one: str
    other: str
    field: str
    more: bool


CLAIMS = (
    Claim("loss", "accuracy that layered -> layered has over layered -> RS", "layered-layered", "layered-rs", "right",
          True),
    Claim("more-spikes", "density of layered -> RS / layered -> layered", "layered-rs", "layered-layered", "density",
          True),
    Claim("recovery", "accuracy that RS -> RS has over layered -> RS", "rs-rs", "layered-rs", "right", True),
    Claim("sparser", "density of RS -> RS / layered -> layered", "rs-rs", "layered-layered", "density", False),
)  # fmt: skip
RULES = {
    "right": f"holds from {MARGIN} of the difference on, paired by sample",
    "density": f"holds where the difference is {MARGIN}, paired by sample",
}
DIFFERENT = (
    "no tolerance: other data, a smaller network (9,216 hidden neurons), strides instead of pools",
    "ours in training: the unlayered networks start from the layered one's weights and are trained for minutes",
    "done: all spikes are sent and delivered, also a last group without positive currents",
)


def targets(samples: int) -> list[Target]:
    """How many of the statements hold, and each of them."""
    return [_overview_target(samples), *(_claim_target(claim, samples) for claim in CLAIMS)]


def _common(samples: int) -> dict[str, Any]:
    files = " and ".join(f"{OURS}_{method}" for method in SETTINGS)
    options = f"{samples} test images, F {GROUP}, until done, seed 0"
    return {"paper": published("layer_sync")["paper"], "place": "section 4.6, fig. 7", "quick": False,
            "tolerance": Tolerance("absolute", 0.0), "workload": files, "options": options}  # fmt: skip


def _overview_target(samples: int) -> Target:
    return Target(
        "layer-sync.cifar10", what="VGG-7-like network, one timestep: statements that hold", published=len(CLAIMS),
        unit="1", run=functools.partial(overview, samples), **_common(samples),
        assumptions=(
            *DIFFERENT, "each statement is a target below",
            "why its density is so far below the others: it is per neuron and sample, where the sample is one timestep "
            "(at most one spike) instead of ten and more, and the convolutions have hundreds of thousands of hidden "
            "neurons instead of 192 or 384; in spikes per sample it is of the others' size (beside)",
            "layers of the paper's network assumed, for its neurons: they stand in a figure only",
        ),
    )  # fmt: skip


def _claim_target(claim: Claim, samples: int) -> Target:
    return Target(
        f"layer-sync.cifar10.{claim.key}", what=f"VGG-7-like network: {claim.what}", published=_theirs(claim),
        unit="points" if claim.field == "right" else "1", run=functools.partial(ask, claim, samples),
        assumptions=(RULES[claim.field], *DIFFERENT), **_common(samples),
    )  # fmt: skip


def _theirs(claim: Claim) -> float:
    rows = published("layer_sync")["cifar10"]
    if claim.field == "right":
        return PERCENT * float(rows[claim.one]["accuracy"] - rows[claim.other]["accuracy"])
    return float(rows[claim.one]["density"] / rows[claim.other]["density"])


def ask(claim: Claim, samples: int) -> Measured:
    """A statement's answer."""
    one, other = (getattr(evaluate(*PAIRS[name], samples), claim.field) for name in (claim.one, claim.other))
    apart = difference([one], [other])
    error = Beside("two standard errors of the difference", None, _shown(claim, apart), _unit(claim))
    value = PERCENT * apart.mean if claim.field == "right" else float(one.mean() / other.mean())
    return Measured(value, trend=apart.more if claim.more else apart.less, beside=(error,))


def _shown(claim: Claim, apart: Difference) -> float:
    return (PERCENT if claim.field == "right" else 1.0) * ERRORS * apart.error


def _unit(claim: Claim) -> str:
    return "points" if claim.field == "right" else "1"


def overview(samples: int) -> Measured:
    """How many statements hold; accuracy and density of every training and inference, theirs where it is printed."""
    theirs = published("layer_sync")["cifar10"]
    assumed = sum(layer.M * layer.P for layer in layers(THEIRS)[:-1])
    hidden = sum(network("layered").sizes[:-1])
    rows = [Beside("hidden neurons; of theirs assumed", float(assumed), float(hidden), "1")]
    for name, (training, inference) in PAIRS.items():
        run, printed, words = evaluate(training, inference, samples), theirs.get(name), in_words(name)
        density = float(run.density.mean())
        rows += [
            Beside(f"accuracy, {words}", PERCENT * printed["accuracy"] if printed else None,
                   PERCENT * float(run.right.mean()), "%"),
            Beside(f"density, {words}", printed["density"] if printed else None, density, "1"),
            Beside(f"that density x neurons, {words}", printed["density"] * assumed if printed else None,
                   density * hidden, "spikes"),
            Beside(f"synaptic operations, {words}", None, float(run.operations.mean()), "1"),
            Beside(f"forward steps, {words}", None, float(run.steps.mean()), "1"),
        ]  # fmt: skip
    for data in published("layer_sync")["sets"].values():
        spikes = data["rows"]["layered-layered"]["density"] * sum(data["sizes"][:-1])
        rows.append(Beside(f"density x neurons, {data['name']}, layered -> layered", spikes, None, "spikes"))
    held = {claim.key: ask(claim, samples).trend for claim in CLAIMS}
    rows += [Beside(f"{key}: holds", None, float(bool(holds)), "1") for key, holds in held.items()]
    return Measured(float(sum(map(bool, held.values()))), beside=tuple(rows))


@functools.cache
def network(training: str) -> Frozen:
    """The network trained so, ready to run."""
    from hwsim.machines.neuromorphic.matrices import freeze_workload  # lazy: kernels
    from hwsim.workload import load

    return freeze_workload(load(f"{OURS}_{training}"))


@functools.cache
def images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the first test samples [S, 1, inputs] and their labels [S]."""
    from hwsim.network.encode import encode, take
    from hwsim.workload import load

    workload = load(f"{OURS}_layered")
    test = workload.samples("test")
    encoded = [encode(workload.input, take(test, number), workload.timesteps) for number in range(samples)]
    return np.stack(encoded).reshape(samples, 1, -1), np.asarray(test.labels)[:samples]


@functools.cache
def evaluate(training: str, inference: str, samples: int) -> Run:
    """One network under one inference, on the ideal machine."""
    from hwsim.machines.neuromorphic.ideal import run_many  # lazy: kernels

    frozen = network(training)
    inputs, labels = images(samples)
    settings: dict[str, Any] = {"group": frozen.neurons, "drain": "all"} | SETTINGS[inference]
    counts = run_many(frozen, inputs, **settings)
    hidden = sum(frozen.sizes[:-1])
    return Run(
        right=(counts.potentials.argmax(axis=1) == labels).astype(np.float64),
        density=counts.counts[:, :hidden].sum(axis=1) / hidden,
        operations=counts.synaptic.astype(np.float64),
        steps=counts.steps.mean(axis=1),
    )
