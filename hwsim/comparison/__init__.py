"""Several runs beside each other: architectures x workloads x dataflows, or finished run folders.

The module is not called ``compare`` because ``hwsim.compare`` is the function.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim import shipped
from hwsim import workload as workload_files
from hwsim.comparison.scaling import origin, parse_target, scaled
from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.result import RESULT_FILE, Result

SCHEMA = "hwsim/comparison/1"
Item = str | os.PathLike[str] | Result


@dataclass
class Comparison:
    """Runs in the order in which they were asked for; changes are against the first. ``warnings``: what limits it."""

    runs: list[Result]
    warnings: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """The shortest names that tell the runs apart: only the parts in which they differ."""
        parts = [(run.architecture, run.workload, run.dataflow) for run in self.runs]
        differing = [index for index in range(3) if len({part[index] for part in parts}) > 1]
        names = ["/".join(part[index] for index in differing) or part[2] for part in parts]
        if len(set(names)) < len(names):  # cores that are synchronised differently: 'event-driven: barrier'
            found = [str(run.settings.get("dataflow", "")).partition(": ")[2] for run in self.runs]
            if all(found) and len(set(found)) > 1:
                names = [detail if differing == [] else f"{name}, {detail}"
                         for name, detail in zip(names, found, strict=True)]  # fmt: skip
        hashes = [run.name[-8:] for run in self.runs]
        return [
            name if names.count(name) == 1 else f"{name} {hash_}" for name, hash_ in zip(names, hashes, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every run's result.json, in order."""
        return {"schema": SCHEMA, "runs": [run.as_dict() for run in self.runs], "warnings": self.warnings}


def compare(
    items: Sequence[Item],
    *,
    dataflows: Iterable[str] | None = None,
    scale_to: str | None = None,
    on_result: Callable[[Result], None] | None = None,
    **options: Any,
) -> Comparison:
    """Run every architecture on every workload in every dataflow, or read run folders, and set them side by side.

    ``options`` are those of ``hwsim.simulate``. ``scale_to`` ('28 nm, 0.9 V') moves all runs to one node by the rule of
    ``hwsim.comparison.scaling``. ``on_result`` is called with each run as soon as it is there. Raises SpecError for an
    item that is neither, before anything runs.
    """
    ready, architectures, workloads = sort_items(items)
    target = parse_target(scale_to) if scale_to is not None else None
    if target is not None:
        _check_scalable(architectures, options.get("overrides", ()))
    runs = list(ready)
    choices: list[str | None] = [*dataflows] if dataflows else [None]
    for architecture in architectures:
        for workload in workloads:
            for dataflow in choices:
                runs.append(_run(architecture, workload, dataflow, options))
                if on_result:
                    on_result(runs[-1])
    if target is not None:
        runs = [scaled(run, target) for run in runs]
    return Comparison(runs, warnings(runs))


def _check_scalable(architectures: Iterable[str], overrides: Iterable[str]) -> None:
    """SpecError, before anything runs, for an architecture that cannot be moved to another node."""
    from hwsim.components.registry import load

    for name in architectures:
        technology = load(name, tuple(overrides)).technology
        origin(name, technology.node_m, technology.voltage_V)


def _run(architecture: str, workload: str, dataflow: str | None, options: dict[str, Any]) -> Result:
    from hwsim.run import simulate

    return simulate(architecture, workload, dataflow=dataflow, **options)


def sort_items(items: Sequence[Item]) -> tuple[list[Result], list[str], list[str]]:
    """Results that are there, architectures, workloads; in the order given. SpecError with every item that is none."""
    ready: list[Result] = []
    architectures: list[str] = []
    workloads: list[str] = []
    problems: list[Problem] = []
    for item in items:
        try:
            if isinstance(item, Result):
                ready.append(item)
            elif (Path(item) / RESULT_FILE).is_file():
                ready.append(Result.read(item))
            elif kind(os.fspath(item)) == "arch":
                architectures.append(os.fspath(item))
            else:
                workloads.append(os.fspath(item))
        except SpecError as error:
            problems += error.problems
    if not problems and bool(architectures) != bool(workloads):
        missing = "a workload" if architectures else "an architecture"
        problems.append(Problem("", f"nothing to run: give {missing} as well, or run folders only"))
    if not problems and not (ready or architectures):
        problems.append(Problem("", "nothing to compare"))
    if problems:
        raise SpecError(problems)
    return ready, architectures, workloads


def kind(item: str) -> str:
    """``arch`` or ``workloads``: by ending, by a YAML file's schema line, or by shipped name. SpecError if neither."""
    path = Path(item)
    if path.is_dir():
        raise SpecError(Problem(item, f"is not a run folder: it has no {RESULT_FILE}"))
    if path.is_file():
        return "arch" if path.suffix in (".yaml", ".yml") and not _is_workload_yaml(path) else "workloads"
    architectures, workloads = list(shipped.architectures()), workload_files.shipped()
    if item in architectures or item in workloads:
        return "arch" if item in architectures else "workloads"
    known = [*architectures, *workloads]
    raise SpecError(
        Problem(item, "is no file, no run folder and no shipped name", did_you_mean(item, known, "Shipped"))
    )


def _is_workload_yaml(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(4096)
    plain = (re.sub("[\\s'\"]", "", line) for line in head.splitlines())
    return any(line.startswith(("schema:hwsim/shapes/", "schema:hwsim/workload/")) for line in plain)


def warnings(runs: Sequence[Result]) -> list[str]:
    """Why the numbers of these runs may not be comparable as they stand."""
    found: list[str] = []
    nodes = {node for run in runs if (node := run.technology.get("node_m"))}
    if len(nodes) > 1:
        names = ", ".join(f"{node * 10**9:g} nm" for node in sorted(nodes, reverse=True))
        found.append(f"runs of different technology nodes ({names}): use --scale-to '28 nm, 0.9 V' or the like")
    profiles = {run.settings.get("profile") for run in runs}
    if len(profiles) > 1:
        found.append("runs with different accounting (profiles): their energies do not mean the same")
    if len({run.workload for run in runs}) > 1:
        found.append("runs of different workloads: compare energies together with accuracies")
    for name in ("samples", "timesteps", "layers"):
        if len({str(run.settings.get(name)) for run in runs}) > 1:
            found.append(f"runs with different {name}")
    return found
