"""Fig. 4a: EDP over timesteps on crossbars (10.4x from T=1 to T=4), and what early exit makes of it (2.54x).

A law says how energy and latency of one image depend on its timesteps T: as T, or as (r + T) / (r + 1) where a part of
the value at T=1 does not depend on T. EDP per image is their product. Early exit gives each image its own T; the
paper's factor is a mean over images, and the mean of products is not the product of means.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim import profiles
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

Series = Callable[[], Mapping[int, tuple[float, float]]]
"""Timesteps -> (energy in J, latency in s) of one image, T=1, 2, ... without a gap."""

READINGS = {
    "energy": "energy with a fixed share, latency as T",
    "latency": "latency with a fixed share, energy as T",
    "both": "energy and latency with one fixed share",
}
TOOL_LAW = "both as T (the estimator)"
FITTED = "one parameter fitted to one number: a calibration, no evidence that such a share exists"


@dataclass(frozen=True)
class Law:
    """EDP of one image relative to T=1: ``edp[t - 1]`` at t timesteps, increasing."""

    edp: tuple[float, ...]
    energy: tuple[float, ...]
    latency: tuple[float, ...]

    @classmethod
    def of(cls, energy: Sequence[float], latency: Sequence[float]) -> Law:
        """From energies and latencies at T=1, 2, ... in any unit."""
        relative_energy = tuple(value / energy[0] for value in energy)
        relative_latency = tuple(value / latency[0] for value in latency)
        products = tuple(e * s for e, s in zip(relative_energy, relative_latency, strict=True))
        return cls(products, relative_energy, relative_latency)

    @property
    def growth(self) -> float:
        """EDP at the last T over that at T=1."""
        return self.edp[-1]

    def mean_of_products(self, shares: Sequence[float]) -> float:
        """Factor saved against all timesteps: EDP averaged over images, ``shares`` of which stop at T=1, 2, ..."""
        return self.growth / _mean(shares, self.edp)

    def product_of_means(self, shares: Sequence[float]) -> float:
        """The same with mean energy times mean latency, which is the EDP of no image."""
        return self.growth / (_mean(shares, self.energy) * _mean(shares, self.latency))

    def bounds(self, mean_timesteps: float) -> tuple[float, float]:
        """Least and largest ``mean_of_products`` over all shares with this mean T.

        EDP is convex in T: its mean is largest where images stop at the first or last T, least at two neighbours.
        """
        below = min(int(mean_timesteps), len(self.edp) - 1)
        near = _between(self.edp[below - 1], self.edp[below], mean_timesteps - below)
        far = _between(self.edp[0], self.edp[-1], (mean_timesteps - 1) / (len(self.edp) - 1))
        return self.growth / far, self.growth / near


def _mean(shares: Sequence[float], values: Sequence[float]) -> float:
    assert abs(math.fsum(shares) - 1) < 1e-12 and len(shares) == len(values)
    return math.fsum(share * value for share, value in zip(shares, values, strict=True))


def _between(low: float, high: float, part: float) -> float:
    return low + part * (high - low)


def fixed_over_variable(growth: float, timesteps: int, affine: int) -> float:
    """r = a / b of a + b T in ``affine`` of energy and latency (1 or 2), so that EDP grows by ``growth`` to T.

    Solves ((r + T) / (r + 1))^affine T^(2 - affine) = growth.
    """
    factor = (growth / timesteps ** (2 - affine)) ** (1 / affine)
    return (timesteps - factor) / (factor - 1)


def reading(name: str, growth: float, timesteps: int) -> tuple[float, Law]:
    """(share of the value at T=1 that does not depend on T, the law) that gives ``growth`` under a reading."""
    ratio = fixed_over_variable(growth, timesteps, 2 if name == "both" else 1)
    steps = range(1, timesteps + 1)
    plain, affine = [float(t) for t in steps], [ratio + t for t in steps]
    energy, latency = (affine if name in (part, "both") else plain for part in ("energy", "latency"))
    return ratio / (1 + ratio), Law.of(energy, latency)


def first_exits(law: Law, mean_timesteps: float, factor: float) -> tuple[float, float] | None:
    """Least and largest share of images that stop at T=1 if the mean T and the factor are given (four timesteps).

    Shares p1..p4 have three conditions (sum, mean, mean EDP), so that p4 is free within p >= 0. None: impossible.
    """
    import numpy as np

    assert len(law.edp) == 4
    conditions = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], law.edp[:3]])
    totals = np.array([1.0, mean_timesteps, law.growth / factor])
    base = np.linalg.solve(conditions, totals)
    slope = np.linalg.solve(conditions, np.array([1.0, 4.0, law.edp[3]]))  # p1..p3 = base - slope p4
    low, high = 0.0, 1.0
    for start, change in zip(base, slope, strict=True):
        if change > 0:
            high = min(high, start / change)
        elif change < 0:
            low = max(low, start / change)
        elif start < 0:
            return None
    if low > high:
        return None
    ends = [float(base[0] - slope[0] * share) for share in (low, high)]
    return min(ends), max(ends)


# --- targets ---------------------------------------------------------------------------------------------------------


def targets(machine: Series | None = None, settings: str = "") -> list[Target]:
    """The estimator, three fitted readings, early exit; and, if ``machine`` gives its series, that without any fit.

    ``settings``: options of the command line that the machine was run with, for the report.
    """
    data = published("spikesim")["edp"]
    common: dict[str, Any] = {"paper": published()["paper"], "place": data["place"], "workload": data["workload"]}
    last = data["timesteps"][-1]
    digits = Tolerance("printed", step=0.1)
    made = [
        Target("spikesim-edp.tool", what=f"EDP at T={last} / EDP at T=1 on the public estimator",
               published=data["growth"], unit="1", tolerance=digits, run=_tool,
               options=f"--profile spikesim-ela --timesteps 1..{last}",
               assumptions=("the estimator stops beyond 12 layers; its latency formula is extended to 13",
                            "trend: the paper says that energy and latency grow linearly with T"), **common),
        *(Target(f"spikesim-edp.fixed-{name}", what=f"share of T=1 that does not depend on T, fitted to "
                 f"{data['growth']}x: {words}", published=None, unit="%", tolerance=Tolerance("relative"),
                 run=functools.partial(_fitted, name), options="no run: the printed factor alone",
                 assumptions=(FITTED, "trend: there is such a share between 0 and 100 %"), **common)
          for name, words in READINGS.items()),
        Target("spikesim-edp.dt-snn", what=f"EDP at T={last} / mean EDP of early exit, mean T={data['mean_timesteps']}",
               published=data["dt_snn"], unit="1", tolerance=Tolerance("printed", step=0.01), run=_early_exit,
               options="mean over images of energy x latency",
               assumptions=("which share of the images exits when is not printed: from the mean alone only bounds "
                            "follow", f"exit shares of the rows 'assumed shares': {data['exit_shares']['value']}, "
                            f"{data['exit_shares']['source'].removeprefix('assumed: ')}"), **common),
    ]  # fmt: skip
    if machine is not None:
        made.append(_machine_target(machine, settings, common, digits))
    return made


def _machine_target(machine: Series, settings: str, common: dict[str, Any], digits: Tolerance) -> Target:
    data = published("spikesim")["edp"]
    return Target(
        "spikesim-edp.machine", what=f"EDP at T={data['timesteps'][-1]} / EDP at T=1 on the machine's own schedule",
        published=data["growth"], unit="1", tolerance=digits, run=lambda: _on_machine(machine()), quick=False,
        architecture="spikesim", options=f"--timesteps 1..4 {settings}, nothing fitted",
        assumptions=("energy and latency of executable schedules; prices of arch/spikesim.yaml",
                     "trend: the paper says that energy and latency grow linearly with T"), **common,
    )  # fmt: skip


@functools.cache
def tool_series() -> dict[int, tuple[float, float]]:
    """Timesteps -> (J, s) of the estimator on the published network, its convolutions after pooling."""
    from hwsim import workload as workloads
    from hwsim.profiles.run import pooled_sizes

    data = published("spikesim")["edp"]
    net = workloads.load(data["workload"])
    found = {}
    for steps in data["timesteps"]:
        run = profiles.get("spikesim-ela").run(
            layers(data["workload"]), timesteps=steps, pooled_sizes=pooled_sizes(net, net.weighted)
        )
        assert run.latency_s is not None
        found[steps] = (run.total_energy_J, run.latency_s)
    return found


def law_of(series: Mapping[int, tuple[float, float]]) -> Law:
    """The law of a series without a gap from T=1 on."""
    assert list(series) == list(range(1, len(series) + 1)), "timesteps 1, 2, ... in order"
    energy, latency = zip(*series.values(), strict=True)
    return Law.of(energy, latency)


def _series_rows(series: Mapping[int, tuple[float, float]]) -> list[Beside]:
    law, rows = law_of(series), []
    for index, (steps, (energy, latency)) in enumerate(series.items()):
        rows += [
            Beside(f"T={steps}: energy", None, energy * 1e6, "uJ"),
            Beside(f"T={steps}: latency", None, latency * 1e3, "ms"),
            Beside(f"T={steps}: EDP", None, energy * latency * 1e9, "nJs"),
            Beside(f"T={steps}: EDP / EDP at T=1", None, law.edp[index], "1"),
        ]
    return rows


def _tool() -> Measured:
    series = tool_series()
    return Measured(law_of(series).growth, trend=grows_linearly(series), beside=tuple(_series_rows(series)))


def grows_linearly(series: Mapping[int, tuple[float, float]], tolerance: float = 0.02) -> bool:
    """Whether energy and latency rise with T in equal steps, within ``tolerance`` of the largest step: a line."""
    for values in zip(*series.values(), strict=True):
        steps = [after - before for before, after in itertools.pairwise(values)]
        if min(steps) <= 0 or max(steps) - min(steps) > tolerance * max(steps):
            return False
    return True


def _fitted(name: str) -> Measured:
    data = published("spikesim")["edp"]
    share, law = reading(name, data["growth"], data["timesteps"][-1])
    rows = [Beside(f"EDP at T={t} / EDP at T=1", None, value, "1") for t, value in enumerate(law.edp[:-1], start=1)]
    rows += [
        Beside(f"EDP at T={data['timesteps'][-1]} / EDP at T=1 (fitted)", data["growth"], law.growth, "1"),
        Beside("energy at the last T / energy at T=1", None, law.energy[-1], "1"),
        Beside("latency at the last T / latency at T=1", None, law.latency[-1], "1"),
        *_exit_rows(law),
    ]
    return Measured(100 * share, trend=0 < share < 1, beside=tuple(rows))


def _exit_rows(law: Law) -> list[Beside]:
    """What early exit gives under one law, theirs beside ours."""
    data = published("spikesim")["edp"]
    shares, theirs = data["exit_shares"]["value"], data["dt_snn"]
    low, high = law.bounds(data["mean_timesteps"])
    exits = first_exits(law, data["mean_timesteps"], theirs)
    rows = [
        Beside("early exit, mean of products, assumed shares", theirs, law.mean_of_products(shares), "1"),
        Beside("early exit, product of means, assumed shares", theirs, law.product_of_means(shares), "1"),
        Beside("early exit, least factor that the mean T allows", theirs, low, "1"),
        Beside("early exit, largest factor that the mean T allows", theirs, high, "1"),
    ]
    if exits is not None:
        rows += [
            Beside("images that exit at T=1 if both printed numbers hold, least", None, 100 * exits[0], "%"),
            Beside("images that exit at T=1 if both printed numbers hold, most", None, 100 * exits[1], "%"),
        ]
    return rows


def _early_exit() -> Measured:
    """No number follows from what is printed: the intervals of four laws, and the two ways to average."""
    data = published("spikesim")["edp"]
    shares, mean = data["exit_shares"]["value"], data["mean_timesteps"]
    laws = {TOOL_LAW: law_of(tool_series())}
    laws |= {words: reading(name, data["growth"], data["timesteps"][-1])[1] for name, words in READINGS.items()}
    rows = [Beside("mean T of the assumed shares", mean, _mean(shares, range(1, len(shares) + 1)), "1")]
    for words, law in laws.items():
        low, high = law.bounds(mean)
        rows += [
            Beside(f"{words}: mean of products", None, law.mean_of_products(shares), "1"),
            Beside(f"{words}: product of means", None, law.product_of_means(shares), "1"),
            Beside(f"{words}: least", None, low, "1"),
            Beside(f"{words}: largest", None, high, "1"),
        ]
    return Measured(None, beside=tuple(rows))


def _on_machine(series: Mapping[int, tuple[float, float]]) -> Measured:
    """The machine's own series: no parameter is fitted."""
    law = law_of(series)
    last = len(law.edp)
    rows = _series_rows(series)
    for name, values in (("energy", law.energy), ("latency", law.latency)):
        slope = (values[-1] - values[0]) / (last - 1)
        rows.append(Beside(f"share of the {name} at T=1 that does not depend on T", None, 100 * (1 - slope), "%"))
    return Measured(law.growth, trend=grows_linearly(series), beside=tuple(rows + _exit_rows(law)))
