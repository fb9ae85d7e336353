"""``import_file``: which importer reads which file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.workload.importers.scalesim import import_topology
from hwsim.workload.importers.tables import load_table
from hwsim.workload.importers.trace import import_trace
from hwsim.workload.spec import MAX_TIMESTEPS

Imported = tuple[Mapping[str, Any], dict[str, np.ndarray]]


def import_file(
    path: str | Path, shapes: str | Path | None = None, timesteps: int | None = None, density: float | None = None
) -> Imported:
    """(spec, arrays) for ``save``, from a shape table (.yaml), a SCALE-Sim topology (.csv) or recorded spikes (.npz).

    shapes      geometry (.json) of the layers; recorded spikes need it
    timesteps   1 to 1024; a topology needs it, of a recording the first ones are taken
    density     share of inputs that are not zero, 0 to 1; a topology needs it
    """
    path = Path(path)
    if not path.exists():
        raise SpecError(Problem(str(path), "there is no such file"))
    if path.is_dir():
        raise SpecError(Problem(str(path), "is a folder, not a file"))
    _check_options(path, shapes, timesteps, density)
    if path.suffix == ".npz":
        assert shapes is not None
        return import_trace(path, Path(shapes), timesteps)
    if path.suffix == ".csv":
        assert timesteps is not None and density is not None
        return import_topology(path, timesteps, density).spec, {}
    return load_table(path, timesteps, density).spec, {}


def _check_options(path: Path, shapes: object, timesteps: int | None, density: float | None) -> None:
    problems = []
    if path.suffix not in (".npz", ".csv", ".yaml", ".yml"):
        text = "cannot be imported: expected .yaml (shape table), .csv (SCALE-Sim topology) or .npz (recorded spikes)"
        raise SpecError(Problem(str(path), text))
    if timesteps is not None and not 1 <= timesteps <= MAX_TIMESTEPS:
        problems.append(Problem("--timesteps", f"must be an integer from 1 to {MAX_TIMESTEPS}, found {timesteps}"))
    if density is not None and not 0 <= density <= 1:
        problems.append(Problem("--density", f"must be a number from 0 to 1, found {density:g}"))
    if path.suffix == ".npz" and shapes is None:
        problems.append(Problem(str(path), "recorded spikes need the geometry of their layers: --shapes geometry.json"))
    if path.suffix != ".npz" and shapes is not None:
        problems.append(Problem("--shapes", f"belongs to recorded spikes (.npz), but '{path.name}' has its own shapes"))
    if path.suffix == ".npz" and density is not None:
        problems.append(Problem("--density", "does not apply to recorded spikes: they have their own"))
    if path.suffix == ".csv" and timesteps is None:
        problems.append(Problem(str(path), "a SCALE-Sim topology does not say the timesteps: give --timesteps"))
    if path.suffix == ".csv" and density is None:
        problems.append(Problem(str(path), "a SCALE-Sim topology does not say the spike density: give --density"))
    if problems:
        raise SpecError(problems)
