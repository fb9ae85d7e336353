"""The pipeline, one way: architecture -> machine -> spikes -> plan -> simulation -> activity -> cost -> result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hwsim import __version__
from hwsim.activity import Activity
from hwsim.architecture import Architecture
from hwsim.checkpoint import Checkpoint, merge
from hwsim.components.registry import load as load_architecture
from hwsim.cost import Labels, price
from hwsim.errors import SpecError, did_you_mean
from hwsim.machines.systolic.build import build
from hwsim.machines.systolic.dataflow import NAMED, parse
from hwsim.machines.systolic.run import Request, Runner, simulated_set
from hwsim.network.engine import accuracy as measure_accuracy
from hwsim.result import Accuracy, NaiveEstimate, Result, run_name
from hwsim.sensitivity import widen
from hwsim.workload import load as load_workload
from hwsim.workload.model import Workload

DEPTHS = ("kernel", "process")
Progress = Callable[[int, int, str], None]
"""(done, of how many, what)"""


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
            seed=seed,
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


def _result(runner: Runner, activity: Activity, images: int, progress: Progress | None) -> Result:
    """Counts become costs, with all that says where they come from."""
    machine, net, spec = runner.machine, runner.workload, runner.machine.architecture
    settings, hashes = _settings(runner, images, runner.request.seed), _hashes(spec, net)
    name = run_name(spec.name, net.name, machine.dataflow.name, settings, hashes)
    prices = machine.price_list()
    costs = price(prices, activity, Labels(name, spec.name, net.name))
    activity.notes.extend(widen(costs, runner, prices))
    return Result.of(
        costs,
        spec.name,
        net.name,
        machine.dataflow.name,
        layers=activity.layers,
        technology=_technology(machine),
        settings=settings,
        hashes=hashes,
        accuracy=_accuracy(runner, images, progress),
        estimate=_estimate(runner, activity),
        schedule=activity.schedule,
        notes=[*_notes(runner), *activity.notes],
    )


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
) -> tuple[Runner, Activity]:
    """The same up to the counts, before any price: the runner (machine, workload, schedules) and its activity.

    ``options`` are the fields of ``Request``.
    """
    request = request or Request(**options)
    spec = load_architecture(architecture, (*overrides, *_dataflow_override(dataflow)))
    net = load_workload(workload)
    _check_workload(net, request.samples, request.layers)
    runner = Runner(build(spec, parse(dataflow) if dataflow else None), net, request)
    works = [schedule.work for schedule in runner.schedules]
    runner.machine.price_list().check(runner.machine.counted(works), spec.where("components"))
    activity = Activity(layers=[layer.name for layer in net.weighted], schedule=runner.describe())
    finished = None
    if out is not None:
        settings = _settings(runner, 0, request.seed) | {
            "samples": None,
            "depth": request.depth,
            "version": __version__,
        }
        finished = Checkpoint(out, run_name(spec.name, net.name, "", settings, _hashes(spec, net)))
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
            f"--depth: unknown depth '{depth}'\n  {did_you_mean(depth, DEPTHS, 'Depths of systolic machines')}"
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


def _dataflow_override(dataflow: str | None) -> list[str]:
    """The dataflow as an override, so that an architecture is checked with the one that will run."""
    if dataflow is None:
        return []
    flow = parse(dataflow)
    if dataflow in NAMED:
        return [f"dataflow={dataflow}"]
    block = f", block: {flow.block}" if flow.time == "block" else ""
    return [f"dataflow={{stationary: {flow.stationary}, time: {flow.time}{block}}}"]


def _settings(runner: Runner, accuracy: int, seed: int) -> dict[str, Any]:
    request, machine = runner.request, runner.machine
    return {
        "dataflow": machine.dataflow.describe(),
        "samples": request.samples,
        "timesteps": runner.timesteps,
        "layers": list(request.layers) if request.layers else None,
        "accuracy": accuracy,
        "seed": seed,
        "overrides": list(machine.architecture.overrides),
    }


def _hashes(spec: Architecture, net: Workload) -> dict[str, str]:
    hashes = {"architecture": spec.sha256, "workload": net.sha256}
    return hashes | ({"data": net.data_sha256} if net.data_sha256 else {})


def _technology(machine: Any) -> dict[str, Any]:
    technology = machine.architecture.technology
    return {
        "node_m": technology.node_m,
        "voltage_V": technology.voltage_V,
        "clock_Hz": technology.clock_Hz,
        "off_chip": [machine.dram.name],
    }


def _accuracy(runner: Runner, images: int, progress: Progress | None) -> Accuracy | None:
    """Measured where the machine changes the function, else what the training recorded."""
    net = runner.workload
    recorded = net.training.get("software_accuracy") if net.training else None
    software = Accuracy(float(recorded), net.training.get("test_images"), "software") if recorded is not None else None
    if runner.frozen is None or images == 0 or not runner.changes_function:
        return software
    samples = simulated_set(net)
    count = min(images, len(samples))
    if progress:
        progress(0, count, "accuracy")
    found = measure_accuracy(
        runner.frozen, samples, count, runner.timesteps, seed=runner.request.seed, exit_rule=runner.machine.exit_rule
    )
    if progress:
        progress(count, count, "accuracy")
    return Accuracy(found.fraction, count, "measured")


def _estimate(runner: Runner, activity: Activity) -> NaiveEstimate | None:
    """FLOPs x T x density x E_AC, with the machine's own price of an accumulation (adder, AND gate and register)."""
    dense = sum(s.work.geometry.dense_operations * s.work.groups for s in runner.schedules)
    counted = sum(activity.operations.values()) / len(activity.ticks)
    planes = {s.work.index: s.work.planes for s in runner.schedules}
    first = sum(value for (_, layer), value in activity.operations.items() if planes[layer] > 1) / len(activity.ticks)
    price_ = runner.machine.accumulate_price()
    timesteps = sum(outcome.timesteps for outcome in activity.outcomes) / len(activity.outcomes)
    spiking = sum(s.work.geometry.dense_operations * s.work.groups for s in runner.schedules if s.work.planes == 1)
    density = (counted - first) / (spiking * timesteps) if spiking else 1.0
    return NaiveEstimate(dense, timesteps, density, price_)


def _notes(runner: Runner) -> list[str]:
    notes = []
    if not runner.machine.options["membrane_traffic"]:
        notes.append("membranes cost no traffic between timesteps: an accounting, not a schedule of a machine")
    rule = runner.machine.exit_rule
    if rule is not None and rule.block == runner.timesteps:
        notes.append(f"early exit looks every {rule.block} timesteps, that is at the end: it saves nothing")
    assumed = runner.machine.architecture.assumed
    if assumed:
        notes.append(
            f"{len(assumed)} numbers of {runner.machine.architecture.name} are assumed (hwsim check lists them)"
        )
    if runner.frozen is not None and runner.frozen.largest_change:
        notes.append(f"float weights put on an exact grid; largest relative change {runner.frozen.largest_change:.2g}")
    return notes
