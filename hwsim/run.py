"""The pipeline, one way: architecture -> machine -> spikes -> plan -> simulation -> activity -> cost -> result."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim import __version__
from hwsim.activity import Activity
from hwsim.architecture import Architecture
from hwsim.checkpoint import Checkpoint, merge
from hwsim.components.registry import load as load_architecture
from hwsim.cost import Labels, Row, price
from hwsim.errors import SpecError, did_you_mean
from hwsim.machines import Finding, Prepared, Progress, dataflow_override, prepare
from hwsim.machines.request import Request, simulated_set
from hwsim.result import Result, run_name
from hwsim.sensitivity import widen
from hwsim.workload import load as load_workload
from hwsim.workload.model import Workload

DEPTHS = ("kernel", "process", "pass")


def simulate(
    architecture: str | Path,
    workload: str | Path,
    *,
    dataflow: str | None = None,
    overrides: Iterable[str] = (),
    profile: str | None = None,
    samples: int = 1,
    timesteps: int | None = None,
    layers: tuple[int, int] | None = None,
    accuracy: int = 100,
    depth: str = "kernel",
    force: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a workload on an architecture and price what it did.

    ``samples``: how many are simulated; ``layers`` [A, B) over layers with weights; ``accuracy``: test images on which
    the accuracy is measured where the machine changes the network's function (0: off). ``profile``: the accounting of a
    published tool instead of the machine. ``out``: a run folder; samples finished there by an interrupted run of the
    same inputs are not simulated again (``Result.write`` writes the result). Raises SpecError for the user's mistakes,
    before anything runs.
    """
    _check(samples, timesteps, accuracy, depth)
    if profile is not None:
        from hwsim.profiles.run import simulate_profile

        if samples > 1:
            raise SpecError(f"--samples {samples}: profile {profile} accounts for one sample")
        return simulate_profile(
            profile, architecture, workload, dataflow=dataflow, overrides=overrides, timesteps=timesteps, layers=layers,
            accuracy=accuracy, seed=seed,
        )  # fmt: skip
    started = time.monotonic()
    request = Request(samples, timesteps, layers, depth, force, seed)
    runner, activity = simulate_activity(
        architecture, workload, dataflow=dataflow, overrides=overrides, request=request, out=out, progress=progress
    )
    result = _result(runner, activity, accuracy, progress)
    events = {"depth": depth, "events": activity.events, "wall_s": time.monotonic() - started}
    result.manifest.update({"version": __version__, **events})
    return result


def _result(runner: Prepared, activity: Activity, images: int, progress: Progress | None) -> Result:
    """Counts become costs, with all that says where they come from."""
    net, spec, flow = runner.workload, runner.architecture, runner.dataflow[0]
    settings, hashes = _settings(runner, images, runner.request.seed), _hashes(runner)
    labels = Labels(run_name(spec.name, net.name, flow, settings, hashes), spec.name, net.name)
    prices = runner.price_list()
    costs = price(prices, activity, labels)
    activity.notes.extend(widen(costs, runner, prices))
    accuracy, findings = runner.accuracy(images, progress)
    costs.rows.extend(_finding_row(labels, finding) for finding in (*findings, *runner.once()))
    return Result.of(
        costs,
        spec.name,
        net.name,
        flow,
        layers=activity.layers,
        technology=_technology(runner),
        settings=settings,
        hashes=hashes,
        accuracy=accuracy,
        estimate=runner.estimate(activity),
        schedule=activity.schedule,
        notes=[*runner.notes(), *_assumed(spec), *activity.notes],
    )


def _finding_row(labels: Labels, finding: Finding) -> Row:
    return replace(labels, phase=finding.phase).row(finding.metric, finding.value, finding.unit, **finding.place)


def simulate_activity(
    architecture: str | Path,
    workload: str | Path,
    *,
    dataflow: str | None = None,
    overrides: Iterable[str] = (),
    request: Request | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[Any, Activity]:
    """The same up to the counts, before any price: the runner (machine, workload, schedules) and its activity.

    ``options`` are the fields of ``Request``.
    """
    request = request or Request(**options)
    flow = () if dataflow is None else (dataflow_override(dataflow),)
    spec = load_architecture(architecture, (*overrides, *flow))
    if request.depth == "pass" and spec.family != "neuromorphic":
        raise SpecError(f"--depth pass: {spec.name} is a {spec.family} machine; depths for it: kernel, process")
    net = load_workload(workload)
    _check_workload(net, request.samples, request.layers)
    runner = prepare(spec, net, request)
    runner.check_prices()
    activity = Activity(layers=[layer.name for layer in net.weighted], schedule=runner.describe())
    finished = None
    if out is not None:
        settings = _settings(runner, 0, request.seed) | {
            "samples": None,
            "depth": request.depth,
            "version": __version__,
        }
        finished = Checkpoint(out, run_name(spec.name, net.name, "", settings, _hashes(runner)))
    for number in range(request.samples):
        if progress:
            progress(number, request.samples, "samples")
        part = finished.load(number) if finished else None
        if part is None:
            part = runner.run_one(number)
            if finished and request.samples > 1:
                finished.save(number, part)
        merge(activity, part)
    if finished:
        finished.clear()
    return runner, activity


def _check(samples: int, timesteps: int | None, accuracy: int, depth: str) -> None:
    if samples < 1:
        raise SpecError(f"--samples must be at least 1, found {samples}")
    if accuracy < 0:
        raise SpecError(f"--accuracy must be 0 (off) or a number of images, found {accuracy}")
    if timesteps is not None and not 1 <= timesteps <= 1024:
        raise SpecError(f"--timesteps must be from 1 to 1024, found {timesteps}")
    if depth not in DEPTHS:
        raise SpecError(
            f"--depth: unknown depth '{depth}'\n  {did_you_mean(depth, DEPTHS, 'Depths of these machines')}"
        )


def _check_workload(net: Workload, samples: int, layers: tuple[int, int] | None) -> None:
    count = len(net.weighted)
    if layers is not None and not 0 <= layers[0] < layers[1] <= count:
        raise SpecError(f"--layers {layers[0]}:{layers[1]}: {net.name} has layers with weights 0 to {count - 1}")
    if net.kind == "network":
        have = len(simulated_set(net))
        if samples > have:
            raise SpecError(f"--samples {samples}: {net.name} has {have} samples")
    if net.kind == "trace" and samples > 1:
        raise SpecError(f"--samples {samples}: the trace {net.name} holds one sample")


def _settings(runner: Prepared, accuracy: int, seed: int) -> dict[str, Any]:
    request = runner.request
    return {
        "dataflow": runner.dataflow[1],
        "samples": request.samples,
        "timesteps": runner.timesteps,
        "layers": list(request.layers) if request.layers else None,
        "accuracy": accuracy,
        "seed": seed,
        "overrides": list(runner.architecture.overrides),
    }


def _hashes(runner: Prepared) -> dict[str, str]:
    net = runner.workload
    hashes = {"architecture": runner.architecture.sha256, "workload": net.sha256} | runner.hashes
    return hashes | ({"data": net.data_sha256} if net.data_sha256 else {})


def _technology(runner: Prepared) -> dict[str, Any]:
    technology = runner.architecture.technology
    return {
        "node_m": technology.node_m,
        "voltage_V": technology.voltage_V,
        "clock_Hz": technology.clock_Hz,
        "off_chip": runner.off_chip,
    }


def _assumed(spec: Architecture) -> list[str]:
    assumed = spec.assumed
    return [f"{len(assumed)} numbers of {spec.name} are assumed (hwsim check lists them)"] if assumed else []
