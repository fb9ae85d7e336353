"""Accuracy on programmed arrays: over chips, with the gain calibration off beside it, and what the deviations are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.machines import Finding, Progress
from hwsim.machines.request import simulated_set
from hwsim.network.deviation import deviations
from hwsim.network.engine import accuracy as decide
from hwsim.network.freeze import Frozen
from hwsim.result import Accuracy

if TYPE_CHECKING:
    from hwsim.machines.crossbar.run import Runner

DEVIATION_IMAGES = 4
"""Images over which the deviations of layers are averaged."""


def measure(runner: Runner, images: int, progress: Progress | None) -> tuple[Accuracy, list[Finding]]:
    """Accuracy over ``images`` test images: mean over chips; rows for each chip, the exact network, gain off."""
    samples = simulated_set(runner.workload)
    count = min(images, len(samples))
    seeds = range(runner.request.seed, runner.request.seed + int(runner.machine.options["device_seeds"]))
    networks = list(_variants(runner, seeds))
    shares, findings, steps = {}, [], []
    for place, (name, make) in enumerate(networks):
        if progress:
            progress(place, len(networks), f"accuracy of {name}")
        frozen = make()
        found = decide(
            frozen, samples, count, runner.timesteps, seed=runner.request.seed, exit_rule=runner.machine.exit_rule
        )
        shares[name] = found.fraction
        if name.startswith("chip"):
            steps.append(float(found.timesteps.mean()))
        findings.append(Finding("accuracy", found.fraction, "1", {"component": name}))
    if progress:
        progress(len(networks), len(networks), "accuracy")
    chips = np.array([share for name, share in shares.items() if name.startswith("chip")])
    findings.append(Finding("accuracy_spread", float(chips.std(ddof=1)) if len(chips) > 1 else 0.0, "1", {}))
    findings.append(Finding("timesteps_mean", float(np.mean(steps)), "1", {}))
    findings += _causes(runner, min(DEVIATION_IMAGES, count))
    return Accuracy(float(chips.mean()), count, "measured"), findings


def _variants(runner: Runner, seeds: range) -> Any:
    """(name, how to make the network) of everything whose accuracy is measured."""
    yield "software", lambda: runner.exact
    for seed in seeds:
        yield f"chip {seed}", lambda seed=seed: runner.frozen if seed == runner.request.seed else _chip(runner, seed)
    if runner.machine.options["gain"] != "off":
        yield "gain off", lambda: _gain_off(runner)
    if runner.machine.options["adaptation"] is not None:
        yield "not adapted", lambda: runner.freeze_with(runner.products(runner.network))


def _chip(runner: Runner, seed: int) -> Frozen:
    products = runner.products(runner.chip(seed))
    return runner.freeze_with(products, runner.adapted(products))


def _gain_off(runner: Runner) -> Frozen:
    """The same chip without gain calibration; its converters keep their ranges in proportion to the currents."""
    products = runner.products(runner.chip(runner.request.seed, gain="off"))
    return runner.freeze_with(products, runner.adapted(products))


def _causes(runner: Runner, images: int) -> list[Finding]:
    """Rows of how far currents, membranes and outputs are from the exact network's; means and variances of both."""
    assert runner.exact is not None and runner.frozen is not None
    if not images:
        return []
    networks = {"chip": runner.frozen}
    if runner.machine.options["adaptation"] is not None:
        networks["not adapted"] = runner.freeze_with(runner.products(runner.network))
    made: list[Finding] = []
    for row in deviations(runner.exact, networks, simulated_set(runner.workload), images, timesteps=runner.timesteps):
        place = {"layer": row.layer, "timestep": row.timestep, "component": row.cause}
        values = {
            "deviation_current": row.current, "deviation_membrane": row.membrane, "deviation_output": row.output,
            "current_mean": row.hardware_mean, "current_variance": row.hardware_variance,
        }  # fmt: skip
        made += [Finding(name, value, "1", place) for name, value in values.items() if value is not None]
        if row.cause == "chip":
            clean = place | {"component": "software"}
            made.append(Finding("current_mean", row.ideal_mean, "1", clean))
            made.append(Finding("current_variance", row.ideal_variance, "1", clean))
    return [finding for finding in made if np.isfinite(finding.value)]
