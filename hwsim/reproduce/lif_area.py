"""Fig. 6a: area of the neuron module with one LIF unit for n channels, 1.38x at n=2 and 2.41x at n=4.

The law of a module with a membrane memory that shrinks to 1/n beside logic that stays: area(n) / area(1) = 1 - c + c/n,
c the memory's share. Sharing the logic too changes c only. Sharing: EfficientLIF-Net (Kim et al., arXiv:2305.18360).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hwsim.profiles import spikesim_ela as ela
from hwsim.profiles.prices import price_file
from hwsim.profiles.spikesim_ela import Mapped
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

Area = Callable[[int], float]
"""Channels that share a LIF unit -> area of the neuron module in m2."""

ARCHITECTURE = "spikesim"
MM2, MM2_OF_UM2 = 1e6, 1e-6
AFFINE = "area(n) = logic + memory / n: one share of the memory for all n"


def ratio_of(share: float, n: int) -> float:
    """area(1) / area(n) where the memory has ``share`` of area(1)."""
    return 1 / (1 - share + share / n)


def share_of(ratio: float, n: int) -> float:
    """The memory's share that area(1) / area(n) = ``ratio`` implies; the inverse of ``ratio_of``."""
    return (1 - 1 / ratio) / (1 - 1 / n)


def printed_shares(n: int) -> tuple[float, float]:
    """Least and largest share that the printed digits of one ratio allow."""
    data = published("spikesim")["lif_area"]
    half = data["step"] / 2
    return share_of(data["ratios"][n] - half, n), share_of(data["ratios"][n] + half, n)


def targets(area: Area | None = None) -> list[Target]:
    """The estimator's law, the affine law carried from one point to the other, and the machine's own.

    ``area`` gives the neuron module of a machine; by default what ``arch/spikesim.yaml`` declares.
    """
    return [target for n in published("spikesim")["lif_area"]["ratios"] for target in _of_sharing(n, area)]


def _of_sharing(n: int, area: Area | None) -> list[Target]:
    data = published("spikesim")["lif_area"]
    (other,) = (m for m in data["ratios"] if m != n)
    common: dict[str, Any] = {
        "paper": published()["paper"], "place": data["place"], "published": data["ratios"][n], "unit": "1",
        "tolerance": Tolerance("printed", step=data["step"]), "workload": data["workload"],
    }  # fmt: skip
    what = f"area of the LIF units / area with C#{n}"
    trend = "trend: sharing makes the module smaller"
    return [
        Target(f"spikesim-lif.tool-c{n}", what=f"{what}, membrane memory alone", run=functools.partial(_tool, n),
               options="--profile spikesim-ela, membrane_memory / n",
               assumptions=("the public estimator has no area for the logic of the neurons", trend), **common),
        Target(f"spikesim-lif.affine-c{n}", what=f"{what}, affine law through the printed C#{other}",
               run=functools.partial(_affine, n, other), options="no run: the other printed ratio alone",
               assumptions=(AFFINE, trend), **common),
        Target(f"spikesim-lif.machine-c{n}", what=f"{what}, memory / n and fixed logic of the machine",
               run=functools.partial(_machine, n, area or declared_area), architecture=ARCHITECTURE,
               options="membranes / n + neuron",
               assumptions=(AFFINE, "areas of arch/spikesim.yaml, the logic's assumed there",
                            "a neuron for every output of a spiking layer, 1 x 1 shortcuts "
                            + ("left out" if area is None else "among them"), trend),
               **common),
    ]  # fmt: skip


# --- the estimator ---------------------------------------------------------------------------------------------------


@functools.cache
def neurons() -> tuple[int, ...]:
    """Neurons of the published network by layer; shortcuts add to a block's sum and have none."""
    from hwsim import workload as workloads

    net = workloads.load(published("spikesim")["lif_area"]["workload"])
    spiking = [layer for layer in net.weighted if layer.neuron.spiking]
    return tuple(layer.geometry.M * layer.geometry.P for layer in spiking
                 if layer.op == "linear" or layer.kernel != (1, 1))  # fmt: skip


def _tool(n: int) -> Measured:
    prices = ela.prices_of(price_file("spikesim"), "rram")
    mapped = [Mapped("", 1, 1, 1, count) for count in neurons()]
    first = ela.memory_um2(prices, ela.membrane_words(prices, mapped)) * MM2_OF_UM2
    whole = ela.memory_um2(prices, sum(neurons())) * MM2_OF_UM2
    logic = [first * (1 - share) / share for share in (share_of(r, m) for m, r in _ratios().items())]
    return Measured(
        ratio_of(1.0, n),
        trend=ratio_of(1.0, n) > 1,
        beside=(
            Beside("membrane memory of the first five layers, as the estimator counts", None, first, "mm2"),
            Beside("membrane memory of all layers", None, whole, "mm2"),
            *(
                Beside(f"logic beside the former that C#{m} implies", None, area, "mm2")
                for m, area in zip(_ratios(), logic, strict=True)
            ),
        ),
    )


def _ratios() -> dict[int, float]:
    found: dict[int, float] = published("spikesim")["lif_area"]["ratios"]
    return found


# --- one law through both points? ------------------------------------------------------------------------------------


def _affine(n: int, other: int) -> Measured:
    ours = ratio_of(share_of(_ratios()[other], other), n)
    rows = []
    for m in (n, other):
        low, high = printed_shares(m)
        rows += [
            Beside(f"C#{m}: share of the memory that the printed ratio implies", None, 100 * share_of(_ratios()[m], m),
                   "%"),
            Beside(f"C#{m}: least that its digits allow", None, 100 * low, "%"),
            Beside(f"C#{m}: largest that its digits allow", None, 100 * high, "%"),
        ]  # fmt: skip
    overhead, share = with_overhead()
    rows += [
        Beside("law with overhead per shared channel, o (n - 1), through both: share of the memory", None, 100 * share,
               "%"),
        Beside("the same: overhead in shares of area(1) (below zero: no such hardware)", None, 100 * overhead, "%"),
    ]  # fmt: skip
    return Measured(ours, trend=ours > 1, beside=tuple(rows))


def with_overhead() -> tuple[float, float]:
    """(o, c) of area(n) / area(1) = 1 - c + c/n + o (n - 1) through both printed points."""
    (n, first), (m, second) = _ratios().items()
    falls = (1 - 1 / first, 1 - 1 / second)  # c (1 - 1/n) - o (n - 1)
    a, b, c, d = 1 - 1 / n, -(n - 1), 1 - 1 / m, -(m - 1)
    determinant = a * d - b * c
    share = (falls[0] * d - b * falls[1]) / determinant
    return (a * falls[1] - c * falls[0]) / determinant, share


# --- the machine -----------------------------------------------------------------------------------------------------


def declared_area(n: int) -> float:
    """Area in m2 as ``arch/spikesim.yaml`` declares it: 1/n of an SRAM for all membranes, and the neuron lanes."""
    memory, logic = _declared()
    return memory / n + logic


@functools.cache
def _declared() -> tuple[float, float]:
    from hwsim.components.registry import load

    spec = load(ARCHITECTURE)
    neuron = spec.component("neuron")
    bits = sum(neurons()) * int(neuron.parameters["membrane_bits"])
    return bits * spec.component("membranes").area.value, int(neuron.parameters["lanes"]) * neuron.area.value


def _machine(n: int, area: Area) -> Measured:
    whole, shared = area(1), area(n)
    share = share_of(whole / shared, n)
    return Measured(
        whole / shared,
        trend=shared < whole,
        beside=(
            Beside("neuron module", None, whole * MM2, "mm2"),
            Beside(f"neuron module with C#{n}", None, shared * MM2, "mm2"),
            Beside("share of the memory", 100 * share_of(_ratios()[n], n), 100 * share, "%"),
        ),
    )
