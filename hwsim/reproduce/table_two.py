"""Table II: six works on the SATA estimator, their baselines, the printed cells and the naive estimate."""

from __future__ import annotations

import functools
from typing import Any

from hwsim import profiles
from hwsim.profiles import LayerShape, ProfileResult, linear
from hwsim.profiles.prices import price_file, quantity
from hwsim.reproduce.shapes import layers, number, published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

NJ = 1e9
TOOL = "SATA 7bcc804, committed results"
FED = "layers as the estimator was fed them (unpadded, some sizes wrong); the table of the true sizes stands beside"
INFERRED = "timesteps and sparsity of the baseline inferred from committed operation counts"


def works() -> dict[str, dict[str, Any]]:
    """Published numbers and settings by work."""
    found: dict[str, dict[str, Any]] = published()["table_two"]["works"]
    return found


@functools.cache
def total(work: str, baseline: bool = False, profile: str = "sata-2023", true_sizes: bool = False) -> ProfileResult:
    """One work, or its baseline, under a profile's rules."""
    data = works()[work]
    fed = data["fed"]
    return profiles.get(profile).run(
        layers(fed["true_table" if true_sizes else "table"]),
        timesteps=fed["baseline_timesteps"] if baseline else data["printed"]["timesteps"],
        sparsity=fed["baseline_sparsity"] if baseline else fed["sparsity"],
    )


def estimated_nJ(work: str) -> float:
    """Footnote 2: FLOPs x timesteps x (1 - sparsity) x E_AC with the 250 MHz unit powers; TDBN from its own counts."""
    units = price_file("sata_units")
    rule, estimate = units["naive_estimate"], works()[work]["estimate"]
    power = {name: quantity(units["dynamic"][name][8], "W") for name in ("adder", "register", "multiplier")}
    period_s = 1 / quantity(rule["clock"], "Hz")
    if "additions" in estimate:
        additions, multiplications = number(estimate["additions"]), number(estimate["multiplications"])
        return (additions * power["adder"] + multiplications * power["multiplier"]) * period_s * NJ
    timesteps = works()[work]["printed"]["timesteps"]
    accumulate_J = (power["adder"] + power["register"]) * period_s
    return dense_operations(estimate) * timesteps * (1 - estimate["sparsity"]) * accumulate_J * NJ


def dense_operations(estimate: dict[str, Any]) -> int:
    """Multiply-accumulates of one timestep as the estimate's script counts them: same-size convolutions, given FCs."""
    convolutions = [layer.with_padding(1) for layer in layers(estimate["convolutions"]) if not layer.is_linear]
    connected: list[LayerShape] = [linear("fc", inputs, outputs) for inputs, outputs in estimate["linear"]]
    return sum(layer.M * layer.K * layer.P for layer in (*convolutions, *connected))


def targets() -> list[Target]:
    """All targets of the table."""
    return [target for work in works() for target in _of_work(work)]


def _of_work(work: str) -> list[Target]:
    data = works()[work]
    printed, fed, tool = data["printed"], data["fed"], data["tool"]
    common = {"paper": published()["paper"], "place": published()["table_two"]["place"], "workload": fed["table"]}
    settings = f"--profile sata-2023 --timesteps {printed['timesteps']}, sparsity {fed['sparsity']}"
    baseline = f"--profile sata-2023 --timesteps {fed['baseline_timesteps']}, sparsity {fed['baseline_sparsity']}"
    name = data["name"]
    sata, estimate = number(printed["sata_nJ"]), number(printed["estimate_nJ"])
    exact = Tolerance("relative", 1e-6)
    return [
        Target(f"table2.tool.{work}", TOOL, "results", f"{name}: total energy", tool["total"], "nJ", exact,
               lambda: Measured(total(work).total_energy_J * NJ),
               workload=fed["table"], options=settings, assumptions=(FED,)),
        Target(f"table2.tool.{work}-baseline", TOOL, "results/baseline", f"{name}: total energy of its baseline",
               tool["baseline"], "nJ", exact, lambda: Measured(total(work, True).total_energy_J * NJ),
               workload=fed["table"], options=baseline, assumptions=(FED, INFERRED)),
        Target(f"table2.energy.{work}", what=f"{name} ({data['cite']}): energy on SATA", published=sata, unit="nJ",
               tolerance=Tolerance("printed", step=1e6), run=lambda: _energy(work), options=settings,
               assumptions=(FED,), **common),
        Target(f"table2.improvement.{work}", what=f"{name}: baseline energy / energy on SATA",
               published=printed["sata_ratio"], unit="1", tolerance=Tolerance("printed", 0.1, step=0.1),
               run=lambda: _improvement(work), options=f"{settings}; baseline {baseline}",
               assumptions=(FED, INFERRED), **common),
        Target(f"table2.estimate.{work}", what=f"{name}: estimated energy", published=estimate, unit="nJ",
               tolerance=Tolerance("printed", step=1e3), run=lambda: Measured(estimated_nJ(work)),
               options="footnote 2 with E_AC = 0.1175 pJ (250 MHz)",
               assumptions=_estimate_assumptions(work), **common),
        Target(f"table2.estimated-improvement.{work}", what=f"{name}: estimated improvement over its baseline",
               published=printed["estimate_ratio"], unit="1", tolerance=Tolerance("printed", step=1.0),
               run=lambda: _estimated_improvement(work), options="timesteps x (1 - sparsity), baseline / work",
               assumptions=(INFERRED, "same operations in work and baseline"), **common),
    ]  # fmt: skip


def _estimate_assumptions(work: str) -> tuple[str, ...]:
    if work == "tdbn":
        return ("numbers of additions and multiplications that its authors print, not footnote 2",)
    if work in ("sbp", "bntt"):
        return ("the script's linear layers, 8192-1024-512, are those of another network",)
    return (
        ("the script's layers: last convolution at 4x4",) if work != "lth" else ("weight sparsity taken for spikes'",)
    )


def _energy(work: str) -> Measured:
    data, ours = works()[work], total(work)
    printed = data["printed"]
    leakage = sum(ours.energy(f"{name}_buffer", "leakage") for name in ("ifmap", "weight", "ofmap"))
    gated = ours.energy("spike_mac", "accumulate") + ours.energy("spad", "access")
    return Measured(
        ours.total_energy_J * NJ,
        beside=(
            Beside("accuracy (not simulated: no such network is published)", printed["accuracy"], None, "%"),
            Beside(
                "sparsity: printed, and what the estimator was fed",
                printed["sparsity"],
                100 * data["fed"]["sparsity"],
                "%",
            ),
            Beside(
                "energy of the true layer sizes, same rules",
                None,
                total(work, true_sizes=True).total_energy_J * NJ,
                "nJ",
            ),
            Beside("processing elements", None, sum(ours.energy(g) for g in ("spike_mac", "lif", "spad")) * NJ, "nJ"),
            Beside("DRAM", None, ours.energy("dram") * NJ, "nJ"),
            Beside("buffer leakage", None, leakage * NJ, "nJ"),
            Beside("share of the energy that follows the spike count", None, 100 * gated / ours.total_energy_J, "%"),
        ),
    )


def _improvement(work: str) -> Measured:
    ours, base = total(work).total_energy_J, total(work, True).total_energy_J
    rounded = number(works()[work]["printed"]["sata_nJ"])
    return Measured(
        base / ours,
        trend=base > ours,
        beside=(Beside("baseline / printed (rounded) energy", None, base * NJ / rounded, "1"),),
    )


def _estimated_improvement(work: str) -> Measured:
    data = works()[work]
    fed, printed = data["fed"], data["printed"]
    base = fed["baseline_timesteps"] * (1 - fed["baseline_sparsity"])
    ratio = base / (printed["timesteps"] * (1 - fed["sparsity"]))
    with_printed = base / (printed["timesteps"] * (1 - printed["sparsity"] / 100))
    return Measured(ratio, trend=ratio > 1, beside=(Beside("with the printed sparsity", None, with_printed, "1"),))
