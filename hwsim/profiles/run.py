"""``--profile``: a workload under a published tool's accounting, as a ``Result`` like any other.

Of the architecture only the array's rows and columns are read: the tool's prices, buffers and clock are its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import profiles
from hwsim.architecture import Architecture
from hwsim.components.registry import load as load_architecture
from hwsim.cost import Labels, Row
from hwsim.errors import SpecError
from hwsim.network.engine import run_sample
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.network.replay import replay
from hwsim.profiles.result import ProfileResult
from hwsim.result import Result, run_name
from hwsim.workload import load as load_workload
from hwsim.workload.model import Layer, Workload

READ = ("array.rows", "array.columns")
"""Paths of the architecture that a profile reads."""


def simulate_profile(
    profile: str,
    architecture: str | Path,
    workload: str | Path,
    *,
    dataflow: str | None = None,
    overrides: Iterable[str] = (),
    timesteps: int | None = None,
    layers: tuple[int, int] | None = None,
    seed: int = 0,
) -> Result:
    """Counts and energies of one sample under ``profile``; ``layers`` [A, B) over layers with weights.

    Densities are those of a shape table, or measured on the first sample of a network or trace. Raises SpecError for
    an override that the tool cannot see, a dataflow that it has not, an array that is missing.
    """
    chosen = profiles.get(profile)
    overrides = tuple(overrides)
    _refuse_unseen(profile, overrides)
    spec, net = load_architecture(architecture, overrides), load_workload(workload)
    rows, columns = array_of(spec)
    selected = net.weighted if layers is None else net.weighted[slice(*layers)]
    if not selected or (layers is not None and layers[1] > len(net.weighted)):
        given = f"--layers {layers[0]}:{layers[1]}" if layers else "nothing to account for"
        raise SpecError(f"{given}: {net.name} has layers with weights 0 to {len(net.weighted) - 1}")
    steps = timesteps or net.timesteps
    found = chosen.run(
        selected,
        dataflow=dataflow or chosen.dataflows[0],
        timesteps=steps,
        densities=measured_densities(net, selected, steps, seed),
        rows=rows,
        columns=columns,
    )
    settings = {"profile": profile, "dataflow": found.dataflow, "timesteps": steps, "samples": 1, "seed": seed,
                "layers": list(layers) if layers else None, "overrides": list(overrides)}  # fmt: skip
    return _result(found, spec, net, settings)


def _refuse_unseen(profile: str, overrides: Sequence[str]) -> None:
    """A setting without effect would be believed: refuse it."""
    for override in overrides:
        path = override.partition("=")[0].removeprefix("components.").strip()
        if path not in READ:
            raise SpecError(
                f"--set {override}: profile {profile} reads {' and '.join(READ)} of the architecture only\n"
                "  Its prices, buffers and clock stand in its own file."
            )


def array_of(spec: Architecture) -> tuple[int, int]:
    """Rows and columns of the architecture's array."""
    parameters = spec.component("array").parameters
    return int(parameters["rows"]), int(parameters["columns"])


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


def _result(found: ProfileResult, spec: Architecture, net: Workload, settings: dict[str, Any]) -> Result:
    hashes = {"architecture": spec.sha256, "workload": net.sha256}
    hashes |= {"data": net.data_sha256} if net.data_sha256 else {}
    labels = Labels(run_name(spec.name, net.name, found.dataflow, settings, hashes), spec.name, net.name)
    rows = list(_rows(found, labels))
    return Result(
        spec.name, net.name, found.dataflow, rows, _totals(found), {},
        layers=[layer.name for layer in found.layers],
        technology={"node_m": None, "voltage_V": None, "clock_Hz": found.clock_Hz, "off_chip": ["dram"]},
        settings=settings, hashes=hashes,
        schedule=[f"accounting of {found.profile}: counts from formulas, not from a schedule that a machine executes"],
        notes=[*found.notes, f"array {found.rows_of_array} x {found.columns_of_array} from {spec.name}; prices, "
               f"buffers and clock are those of {found.profile}"],
        manifest={"depth": "profile"},
    )  # fmt: skip


def _rows(found: ProfileResult, labels: Labels) -> Iterator[Row]:
    yield labels.row("cycles", found.cycles, "1", sample=0)
    for layer in found.layers:
        if found.clock_Hz is not None:
            seconds = layer.counters["cycles"] / found.clock_Hz
            yield labels.row("latency", seconds, "s", sample=0, layer=layer.name)
    for row in found.rows():
        yield labels.row(row.metric, row.value, row.unit, sample=0, layer=row.layer, component=row.component,
                         action=row.action, source=row.source)  # fmt: skip


def _totals(found: ProfileResult) -> dict[str, float]:
    totals: dict[str, float] = {"cycles": found.cycles, "samples": 1}
    if found.latency_s is None:
        return totals
    energy, latency = found.total_energy_J, found.latency_s
    assert math.isfinite(energy) and latency > 0
    return {"energy_J": energy, "latency_s": latency, "edp_Js": energy * latency, "power_W": energy / latency} | totals
