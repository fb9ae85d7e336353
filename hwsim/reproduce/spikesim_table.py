"""Table II, crossbar column: energies and improvements of six works on SpikeSim's estimator; and its own runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hwsim import profiles
from hwsim.profiles import LayerShape, ProfileResult, linear
from hwsim.profiles import spikesim_ela as ela
from hwsim.profiles.prices import price_file
from hwsim.profiles.run import pooled_sizes
from hwsim.profiles.spikesim_ela import Mapped
from hwsim.reproduce.shapes import layers, number, published
from hwsim.reproduce.table_two import NJ, works
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

ENERGY_STEP_NJ = 1e4
NJ_OF_PJ = 1e-3
PROFILE = "spikesim-ela"
UM2_OF_M2, PJ_OF_J, NS_OF_S = 1e12, 1e12, 1e9
KERNEL_TAPS, ONE_TAP = 9, 1
SAME_SIZE = "layers as the other estimator was fed them, outputs as large as inputs over the stride (padding 1)"
CONVOLUTIONS = "convolutions only, as the script maps them; one PE cycle per output pixel and PE"
CONSTANTS = "constants of 65 nm, not scaled to the 28 nm that the table names"
PROPORTIONAL = "trend: energies of two works with one network are to each other as their timesteps (printed digits)"


def targets() -> list[Target]:
    """Six energies, six improvements, three pairs, the search; and runs of the tool."""
    made = [target for work in spikesim_works() for target in _of_work(work)]
    return [*made, *(_pair(first, second) for first, second in _data()["pairs"]), _search_target(), *_tool_targets()]


def _data() -> dict[str, Any]:
    found: dict[str, Any] = published("spikesim")["table_two"]
    return found


def spikesim_works() -> dict[str, dict[str, Any]]:
    """Printed cells of the crossbar column by work."""
    found: dict[str, dict[str, Any]] = _data()["works"]
    return found


def _of_work(work: str) -> list[Target]:
    cells, data = spikesim_works()[work], works()[work]
    steps, table = data["printed"]["timesteps"], data["fed"]["table"]
    common: dict[str, Any] = {"paper": published()["paper"], "place": _data()["place"], "workload": table}
    name, energy = data["name"], number(cells["printed_nJ"])
    digits = Tolerance("printed", step=ENERGY_STEP_NJ)
    return [
        Target(f"spikesim-table2.energy.{work}", what=f"{name} ({data['cite']}): energy on SpikeSim", published=energy,
               unit="nJ", tolerance=digits, run=lambda: _energy(work),
               options=f"--profile {PROFILE} --timesteps {steps}",
               assumptions=(SAME_SIZE, CONVOLUTIONS, CONSTANTS, PROPORTIONAL), **common),
        Target(f"spikesim-table2.improvement.{work}", what=f"{name}: baseline energy / energy on SpikeSim",
               published=cells["printed_ratio"], unit="1", tolerance=Tolerance("printed", step=cells["ratio_step"]),
               run=lambda: _improvement(work), options="timesteps of the baseline / timesteps",
               assumptions=("timesteps of the baseline are not printed: those that the other estimator's committed "
                            "operation counts imply", "the same network in work and baseline"), **common),
    ]  # fmt: skip


@functools.cache
def convolutions(work: str) -> ProfileResult:
    """A work's convolutions under the profile, all timesteps, every output as large as its input over the stride."""
    data = works()[work]
    shapes = [layer.with_padding(1) for layer in layers(data["fed"]["table"]) if not layer.is_linear]
    return profiles.get(PROFILE).run(shapes, timesteps=data["printed"]["timesteps"])


def linear_nJ(work: str) -> float:
    """Energy of the linear layers of the scripts behind the table, as PEs of nine arrays, one position each."""
    return _linear_cycles("of the scripts", work) * works()[work]["printed"]["timesteps"] * cycle_nJ(KERNEL_TAPS)


def cycles_of(shapes: Sequence[LayerShape], outputs: Sequence[int]) -> int:
    """PE cycles of one timestep on arrays of the shipped size."""
    size = int(price_file("spikesim")["defaults"]["crossbar_size"])
    return sum(
        ela.pes(Mapped(shape.name, shape.C, shape.M, 0, 0), size) * count
        for shape, count in zip(shapes, outputs, strict=True)
    )


def cycle_nJ(taps: int) -> float:
    """Energy of one PE cycle of the tool's example, in nJ."""
    data = price_file("spikesim")
    defaults = data["defaults"]
    prices = ela.prices_of(data, defaults["device"])
    return ela.pe_cycle_pJ(prices, int(defaults["crossbar_size"]), taps) * NJ_OF_PJ


def _energy(work: str) -> Measured:
    steps = works()[work]["printed"]["timesteps"]
    run = convolutions(work)
    ours, theirs = run.total_energy_J * NJ, number(spikesim_works()[work]["printed_nJ"])
    half, more = ENERGY_STEP_NJ / 2, ours + linear_nJ(work)
    return Measured(
        ours,
        trend=proportional(*_partners(work)),
        beside=(
            Beside("PE cycles of one timestep", None, run.counter("pe_activations") // steps, "1"),
            Beside("energy of a PE cycle", None, cycle_nJ(KERNEL_TAPS) / NJ_OF_PJ, "pJ"),
            Beside("timesteps", None, steps, "1"),
            Beside("PE cycles of a timestep by the printed digits, least", None, _cycles(theirs - half, steps), "1"),
            Beside("PE cycles of a timestep by the printed digits, most", None, _cycles(theirs + half, steps), "1"),
            Beside("rounded as printed", theirs, _rounded(ours), "nJ"),
            Beside("with the linear layers of the scripts, nine arrays a PE (found by search)", theirs, more, "nJ"),
            Beside("the same rounded", theirs, _rounded(more), "nJ"),
        ),
    )


def _rounded(energy_nJ: float) -> float:
    return ENERGY_STEP_NJ * round(energy_nJ / ENERGY_STEP_NJ)


def _cycles(energy_nJ: float, steps: int) -> float:
    return energy_nJ / steps / cycle_nJ(KERNEL_TAPS)


def _improvement(work: str) -> Measured:
    data = works()[work]
    steps, baseline = data["printed"]["timesteps"], data["fed"]["baseline_timesteps"]
    implied = spikesim_works()[work]["printed_ratio"] * steps
    return Measured(
        baseline / steps,
        trend=baseline > steps,
        beside=(
            Beside("timesteps of the baseline: printed ratio x T, and inferred from the other estimator", implied,
                   baseline, "1"),
            Beside("timesteps", None, steps, "1"),
            Beside("improvement on the systolic array, printed", data["printed"]["sata_ratio"], None, "1"),
        ),
    )  # fmt: skip


# --- what holds without any model of the hardware --------------------------------------------------------------------


def _partners(work: str) -> tuple[str, str]:
    first, second = next(pair for pair in _data()["pairs"] if work in pair)
    return str(first), str(second)


def bounds(first: str, second: str) -> tuple[float, float]:
    """Least and largest ratio of two printed energies, given that the last digit of each was rounded."""
    half = ENERGY_STEP_NJ / 2
    one, two = (number(spikesim_works()[work]["printed_nJ"]) for work in (first, second))
    return (one - half) / (two + half), (one + half) / (two - half)


def proportional(first: str, second: str) -> bool:
    """Whether two works with one network cost in proportion to their timesteps, within the printed digits."""
    low, high = bounds(first, second)
    return low <= _steps_ratio(first, second) <= high


def _steps_ratio(first: str, second: str) -> float:
    one, two = (works()[work]["printed"]["timesteps"] for work in (first, second))
    return float(one / two)


def _pair(first: str, second: str) -> Target:
    one, two = (number(spikesim_works()[work]["printed_nJ"]) for work in (first, second))
    low, high = bounds(first, second)
    ratio = one / two
    names = [works()[work]["name"] for work in (first, second)]

    def run() -> Measured:
        return Measured(
            _steps_ratio(first, second),
            trend=True,
            beside=(
                Beside("least ratio that the printed digits allow", None, low, "1"),
                Beside("largest ratio that the printed digits allow", None, high, "1"),
            ),
        )

    return Target(
        f"spikesim-table2.timesteps.{first}-{second}", published()["paper"], _data()["place"],
        f"energy of {names[0]} / energy of {names[1]}, which have one network", ratio, "1",
        Tolerance("absolute", min(ratio - low, high - ratio)), run, options="timesteps / timesteps",
        assumptions=("both works were evaluated on one layer list", "tolerance: the printed digits of both"),
    )  # fmt: skip


# --- which layers give the column: a search --------------------------------------------------------------------------


class Rule(NamedTuple):
    """Which positions of which convolutions, which linear layers, and arrays per PE of those."""

    positions: str
    linear: str
    taps: int

    def __str__(self) -> str:
        arrays = "" if self.linear == "none" else f", {self.taps} array{'s'[: self.taps > 1]} a PE"
        return f"{self.positions}; linear layers {self.linear}{arrays}"


POSITIONS = ("as fed, same size", "as fed, no padding", "true sizes, before pooling", "true sizes, after pooling")
LINEAR = ("none", "as fed", "true sizes", "of the scripts")


def rules() -> Iterator[Rule]:
    """All 28."""
    for positions in POSITIONS:
        yield Rule(positions, "none", KERNEL_TAPS)
        for which in LINEAR[1:]:
            for taps in (KERNEL_TAPS, ONE_TAP):
                yield Rule(positions, which, taps)


def rule_nJ(rule: Rule, work: str) -> float:
    """Energy of a work under a rule."""
    steps = works()[work]["printed"]["timesteps"]
    convolved = _convolution_cycles(rule.positions, work) * cycle_nJ(KERNEL_TAPS)
    return steps * (convolved + _linear_cycles(rule.linear, work) * cycle_nJ(rule.taps))


@functools.cache
def _convolution_cycles(positions: str, work: str) -> int:
    from hwsim import workload as workloads

    fed = works()[work]["fed"]
    if positions.startswith("as fed"):
        shapes = [layer for layer in layers(fed["table"]) if not layer.is_linear]
        padded = [layer.with_padding(1) for layer in shapes] if positions.endswith("same size") else shapes
        return cycles_of(padded, [layer.P for layer in padded])
    net = workloads.load(fed["true_table"])
    chosen = [layer for layer in net.weighted if layer.op != "linear"]
    shapes = [layer for layer in layers(fed["true_table"]) if not layer.is_linear]
    if positions.endswith("after pooling"):
        return cycles_of(shapes, [rows * columns for rows, columns in pooled_sizes(net, chosen)])
    return cycles_of(shapes, [layer.P for layer in shapes])


def _linear_cycles(which: str, work: str) -> int:
    fed = works()[work]["fed"]
    if which == "of the scripts":
        shapes = [linear("fc", inputs, outputs) for inputs, outputs in spikesim_works()[work]["linear"]]
    elif which == "none":
        shapes = []
    else:
        table = fed["table" if which == "as fed" else "true_table"]
        shapes = [layer for layer in layers(table) if layer.is_linear]
    return cycles_of(shapes, [1] * len(shapes))


def rows_met(rule: Rule) -> tuple[str, ...]:
    """Works whose printed energy a rule gives, rounded to the printed digit."""
    digits = Tolerance("printed", step=ENERGY_STEP_NJ)
    return tuple(
        work
        for work, cells in spikesim_works().items()
        if digits.holds(rule_nJ(rule, work), number(cells["printed_nJ"]))
    )


def _search_target() -> Target:
    return Target(
        "spikesim-table2.search", published()["paper"], _data()["place"],
        "rows that one rule of the 28 gives to the printed digit, at most", len(spikesim_works()), "rows",
        Tolerance("absolute", 0.0), _search, options=f"--profile {PROFILE}, layers and positions varied",
        assumptions=("one rule for all works: which layers, which positions, how linear layers are priced",
                     "1 x 1 shortcuts of the true ResNet19 are priced as 3 x 3", CONSTANTS),
    )  # fmt: skip


def _search() -> Measured:
    found = {rule: len(rows_met(rule)) for rule in rules()}
    best = sorted(found, key=lambda rule: -found[rule])
    return Measured(
        max(found.values()),
        trend=max(found.values()) > 0,
        beside=tuple(Beside(str(rule), None, found[rule], "rows") for rule in best if found[rule]),
    )


# --- runs of the tool ------------------------------------------------------------------------------------------------


def _tool_targets() -> list[Target]:
    data = published("spikesim")["tool"]
    return [
        Target(f"spikesim-ela.{name}", data["source"], "stdout", f"total energy, {run['workload']}", run["energy_pJ"],
               "pJ", Tolerance("relative", 1e-12), functools.partial(_tool, name), workload=run["workload"],
               options=f"--profile {PROFILE} --timesteps {run['timesteps']}{_settings(run)}",
               assumptions=("a pooled layer counts the positions left by its pooling, as in the tool's example"
                            if "pooling" not in run else "a pooled layer counts all its positions",))
        for name, run in data["runs"].items()
    ]  # fmt: skip


def _choices(run: dict[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("rows", "pes_per_tile", "clock_Hz", "device", "pooling") if key in run}


def _settings(run: dict[str, Any]) -> str:
    return "".join(f", {key} {value:g}" if isinstance(value, float) else f", {key} {value}"
                   for key, value in _choices(run).items())  # fmt: skip


@functools.cache
def tool_run(name: str) -> ProfileResult:
    """One run of the tool, by the profile."""
    from hwsim import workload as workloads

    run = published("spikesim")["tool"]["runs"][name]
    net = workloads.load(run["workload"])
    sizes = pooled_sizes(net, net.weighted)
    return profiles.get(PROFILE).run(net.weighted, timesteps=run["timesteps"], pooled_sizes=sizes, **_choices(run))


def _tool(name: str) -> Measured:
    run, ours = published("spikesim")["tool"]["runs"][name], tool_run(name)
    assert ours.latency_s is not None
    area = sum(ours.area_m2.values()) * UM2_OF_M2
    return Measured(
        ours.total_energy_J * PJ_OF_J,
        beside=(
            Beside("latency", run["latency_ns"], ours.latency_s * NS_OF_S, "ns"),
            Beside("area", run["area_um2"], area, "um2"),
        ),
    )
