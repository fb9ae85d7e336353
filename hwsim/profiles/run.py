"""``--profile``: a workload under a published tool's accounting, as a ``Result`` like any other.

Of the architecture only what the profile ``reads`` is taken, such as the array's rows and columns: prices, buffers and
the rest are the tool's own. ``--set profile.NAME=VALUE`` sets an option of the profile itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import profiles
from hwsim.architecture import Architecture
from hwsim.components.registry import load as load_architecture
from hwsim.cost import Labels, Row
from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.network.engine import run_sample
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.network.replay import replay
from hwsim.profiles import Profile
from hwsim.profiles.result import ProfileResult
from hwsim.result import Result, run_name
from hwsim.workload import load as load_workload
from hwsim.workload.model import POOLS, Layer, Workload, spatial

OWN = "profile."
"""Overrides of this prefix are options of the profile, not paths of the architecture."""


def simulate_profile(
    profile: str,
    architecture: str | Path,
    workload: str | Path,
    *,
    dataflow: str | None = None,
    overrides: Iterable[str] = (),
    timesteps: int | None = None,
    layers: tuple[int, int] | None = None,
    accuracy: int = 100,
    seed: int = 0,
) -> Result:
    """Counts and energies of one sample under ``profile``; ``layers`` [A, B) over layers with weights.

    ``accuracy``: test images, for profiles that run the network.

    Densities are those of a shape table, or measured on the first sample of a network or trace. Raises SpecError for
    an override that the tool cannot see, a dataflow that it has not, an array that is missing.
    """
    chosen = profiles.get(profile)
    overrides = tuple(overrides)
    _refuse_unseen(chosen, overrides)
    options = _own_options(chosen, overrides)
    paths = [override for override in overrides if not override.startswith(OWN)]
    spec, net = load_architecture(architecture, paths), load_workload(workload)
    selected = net.weighted if layers is None else net.weighted[slice(*layers)]
    if not selected or (layers is not None and layers[1] > len(net.weighted)):
        given = f"--layers {layers[0]}:{layers[1]}" if layers else "nothing to account for"
        raise SpecError(f"{given}: {net.name} has layers with weights 0 to {len(net.weighted) - 1}")
    steps = timesteps or net.timesteps
    options |= {"dataflow": dataflow or chosen.dataflows[0], "timesteps": steps} | read_options(chosen, spec)
    if "densities" in chosen.wants:
        options["densities"] = measured_densities(net, selected, steps, seed)
    if "pooled_sizes" in chosen.wants:
        options["pooled_sizes"] = pooled_sizes(net, selected)
    if "network" in chosen.wants:
        options |= {"network": net, "images": accuracy, "seed": seed}
    found = _located(chosen, selected, options, net)
    settings = {"profile": profile, "dataflow": found.dataflow, "timesteps": steps, "samples": 1, "seed": seed,
                "layers": list(layers) if layers else None, "overrides": list(overrides)}  # fmt: skip
    settings |= {"accuracy": accuracy} if "network" in chosen.wants else {}
    return _result(found, spec, net, settings, chosen)


def _refuse_unseen(profile: Profile, overrides: Sequence[str]) -> None:
    """A setting without effect would be believed: refuse it."""
    for override in overrides:
        path = override.partition("=")[0].removeprefix("components.").strip()
        if path not in profile.reads and not override.startswith(OWN):
            *most, last = profile.reads
            raise SpecError(
                f"--set {override}: profile {profile.name} reads {', '.join(most)} and {last} of the architecture "
                f"only\n  {_own_words(profile)}"
            )


def _own_words(profile: Profile) -> str:
    """What stands in the profile itself, and what of it can be set."""
    words = "Everything else is the tool's own."
    return (
        f"{words} Its own settings: {', '.join(OWN + name for name in profile.options)}." if profile.options else words
    )


def _own_options(profile: Profile, overrides: Iterable[str]) -> dict[str, Any]:
    """The settings of the profile itself, as text; SpecError on one that it does not have."""
    found: dict[str, Any] = {}
    for override in overrides:
        if override.startswith(OWN):
            name, _, value = override.removeprefix(OWN).partition("=")
            if name.strip() not in profile.options:
                hint = did_you_mean(name, profile.options, "Settings") if profile.options else "It has no settings."
                raise SpecError(f"--set {override}: profile {profile.name} has no setting '{name.strip()}'; {hint}")
            found[name.strip()] = value.strip()
    return found


def read_options(profile: Profile, spec: Architecture) -> dict[str, Any]:
    """What the profile reads of the architecture. SpecError, with its place, where a component is missing."""
    found: dict[str, Any] = {}
    for path, option in profile.reads.items():
        block, _, key = path.partition(".")
        if block == "technology":
            found[option] = getattr(spec.technology, f"{key}_Hz")
        elif block == "mapping":
            found[option] = spec.mapping[key]
        else:
            found[option] = spec.component(block).parameters[key]
    return found


def _located(profile: Profile, selected: Sequence[Layer], options: dict[str, Any], net: Workload) -> ProfileResult:
    """Run the profile; problems of a layer are placed in the workload's file."""
    try:
        return profile.run(selected, **options)
    except SpecError as error:
        raise SpecError(
            Problem(f"{net.path}: {p.where}", p.message, p.hint) if p.where and net.path else p for p in error.problems
        ) from None


def pooled_sizes(net: Workload, selected: Sequence[Layer]) -> list[tuple[int, int]]:
    """Rows and columns of what is left of each layer's output after the pools that take it and nothing else does."""
    takers: dict[str, list[Layer]] = {}
    for layer in net.layers:
        for source in layer.inputs:
            takers.setdefault(source, []).append(layer)
    sizes = []
    for layer in selected:
        last = layer
        while len(takers.get(last.name, ())) == 1 and takers[last.name][0].op in POOLS:
            last = takers[last.name][0]
        shape = last.output_shape
        sizes.append((1, 1) if len(shape) == 1 else spatial(shape)[1:])
    return sizes


def measured_densities(net: Workload, selected: Sequence[Layer], timesteps: int, seed: int) -> list[float]:
    """Share of inputs that are not zero, per layer: declared by a shape table, else measured on the first sample."""
    if net.kind == "shapes":
        return [1.0 if layer.density is None else layer.density for layer in selected]
    if net.kind == "trace":
        spikes = replay(net, 0, timesteps, seed)
    else:
        samples = next(net.samples(name) for name in ("test", "demo", "calibration") if name in net.sample_sets)
        spikes = run_sample(freeze(net, Numerics(timesteps=timesteps)), samples, 0, timesteps, seed=seed)
    return [float(np.count_nonzero(spikes.inputs[layer.name]) / spikes.inputs[layer.name].size) for layer in selected]


def _result(
    found: ProfileResult, spec: Architecture, net: Workload, settings: dict[str, Any], profile: Profile
) -> Result:
    hashes = {"architecture": spec.sha256, "workload": net.sha256}
    hashes |= {"data": net.data_sha256} if net.data_sha256 else {}
    labels = Labels(run_name(spec.name, net.name, found.dataflow, settings, hashes), spec.name, net.name)
    rows = list(_rows(found, labels))
    return Result(
        spec.name, net.name, found.dataflow, rows, _totals(found), {},
        layers=[layer.name for layer in found.layers],
        technology={"node_m": None, "voltage_V": None, "clock_Hz": found.clock_Hz, "off_chip": ["dram"]},
        settings=settings, hashes=hashes, accuracy=found.accuracy,
        schedule=[f"accounting of {found.profile}: counts from formulas, not from a schedule that a machine executes"]
        if found.counted else [],
        notes=[*found.notes, f"array {found.rows_of_array} x {found.columns_of_array} from {spec.name}; read there: "
               f"{', '.join(profile.reads)}; everything else is that of {found.profile}"],
        manifest={"depth": "profile"},
    )  # fmt: skip


def _rows(found: ProfileResult, labels: Labels) -> Iterator[Row]:
    if found.counted:
        yield labels.row("cycles", found.cycles, "1", sample=0)
    for layer in found.layers:
        if found.clock_Hz is not None:
            seconds = layer.counters["cycles"] / found.clock_Hz
            yield labels.row("latency", seconds, "s", sample=0, layer=layer.name)
    for row in found.rows():
        sample = None if row.metric == "area" else 0
        yield labels.row(row.metric, row.value, row.unit, sample=sample, layer=row.layer or None,
                         component=row.component, action=row.action or None, source=row.source)  # fmt: skip
    about = replace(labels, phase="accuracy")
    for row in found.findings:
        yield about.row(row.metric, row.value, row.unit, layer=row.layer or None, timestep=row.timestep,
                        component=row.component or None)  # fmt: skip


def _totals(found: ProfileResult) -> dict[str, float]:
    totals: dict[str, float] = {"cycles": found.cycles, "samples": 1} if found.counted else {"samples": 1}
    totals |= {"area_m2": math.fsum(found.area_m2.values())} if found.area_m2 else {}
    if found.latency_s is None:
        return totals
    energy, latency = found.total_energy_J, found.latency_s
    assert math.isfinite(energy) and latency > 0
    return {"energy_J": energy, "latency_s": latency, "edp_Js": energy * latency, "power_W": energy / latency} | totals
