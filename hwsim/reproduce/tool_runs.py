"""The head of the public SATA estimator: the six works under its present rules, and one real run of a true VGG9."""

from __future__ import annotations

import functools

from hwsim import profiles
from hwsim.profiles import ProfileResult
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.table_two import FED, NJ, total, works
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

TOOL = "SATA_Sim d447058"


def targets() -> list[Target]:
    """Six totals by recomputation with the head's rules, energy and cycles of the real run."""
    exact = Tolerance("relative", 1e-6)
    head = [
        Target(
            f"sata-2024.{work}", TOOL, "head, recomputed", f"{data['name']}: total energy",
            data["tool"]["head"], "nJ", exact, functools.partial(_head, work), workload=data["fed"]["table"],
            options=_options(data["printed"]["timesteps"], data["fed"]["sparsity"]),
            assumptions=(FED,),
        )
        for work, data in works().items()
    ]  # fmt: skip
    run = published()["head_run"]
    options = _options(run["timesteps"], run["sparsity"])
    unpadded = ("padding left out of memory, counted in operations, as in the tool's topology file",)
    return [
        *head,
        Target("sata-2024.vgg9", TOOL, "own run of the tool", "VGG9, CIFAR-10: total energy", run["total_nJ"], "nJ",
               exact, lambda: Measured(vgg9().total_energy_J * NJ, beside=_parts()), workload=run["workload"],
               options=options, assumptions=unpadded),
        Target("sata-2024.vgg9-cycles", TOOL, "own run of the tool", "VGG9, CIFAR-10: cycles", run["cycles"], "cycle",
               Tolerance("absolute", 0.0), lambda: Measured(vgg9().cycles), workload=run["workload"],
               options=options, assumptions=unpadded),
    ]  # fmt: skip


def _options(timesteps: int, sparsity: float) -> str:
    return f"--profile sata-2024 --timesteps {timesteps}, sparsity {sparsity}"


def vgg9() -> ProfileResult:
    """The run on the true VGG9."""
    run = published()["head_run"]
    return profiles.get("sata-2024").run(layers(run["workload"]), timesteps=run["timesteps"], sparsity=run["sparsity"])


def _parts() -> tuple[Beside, ...]:
    ours = vgg9()
    components = ("spike_mac", "lif", "spad", "ifmap_buffer", "weight_buffer", "ofmap_buffer", "dram")
    return tuple(
        Beside(component.replace("_", " "), None, ours.energy(component) * NJ, "nJ") for component in components
    )


def _head(work: str) -> Measured:
    old = total(work).total_energy_J * NJ
    return Measured(
        total(work, profile="sata-2024").total_energy_J * NJ,
        beside=(Beside("the same work under the 2023 rules (Table II)", None, old, "nJ"),),
    )
