"""``load`` and ``save``: one workload, one npz; shape tables also as YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.shipped import folder
from hwsim.workload.build import build, check_data, read_spec
from hwsim.workload.model import Workload
from hwsim.workload.npz import BUDGET_BYTES, MemoryArrays, NpzArrays, Remembering, write_npz
from hwsim.workload.samples import hash_file
from hwsim.workload.spec import TOP_KEYS


def load(name: str | Path, budget_bytes: int = BUDGET_BYTES) -> Workload:
    """The validated workload of a file (.npz, or .yaml for a shape table) or of a shipped name ('vgg9').

    Raises ``SpecError`` with every problem of the file: nothing of it is used before all of it is checked.
    """
    path = find(name)
    if path.suffix in (".yaml", ".yml"):
        from hwsim.workload.importers.tables import load_table

        return load_table(path)
    arrays = NpzArrays(path, budget_bytes)
    return build(str(path), path, Remembering(arrays), hash_file(path))


def save(path: str | Path, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check a workload (or a data file, kind 'data') and write it: same content, same bytes; whole, then renamed.

    Raises ``SpecError`` with every problem; then nothing is written.
    """
    path = Path(path)
    text = json.dumps(spec, indent=1, ensure_ascii=False, allow_nan=False).encode()
    members = {"spec": np.frombuffer(text, dtype=np.uint8)} | {name: np.asarray(arrays[name]) for name in arrays}
    if spec.get("kind") == "data":
        check_data(str(path), spec)
    else:
        build(str(path), path, MemoryArrays(members), "")
    write_npz(path, members)


def find(name: str | Path) -> Path:
    """The file of a path or of a shipped name; a shape table may be named 'shapes/vgg9' where 'vgg9' is a network."""
    path = Path(name)
    text = str(name)
    if path.suffix in (".npz", ".yaml", ".yml"):
        if not path.is_file():
            shipped_too = path.stem in _shipped_files()
            hint = f"'{path.stem}', without folder and ending, is a shipped workload" if shipped_too else ""
            raise SpecError(Problem(text, "there is no such file", hint))
        return path
    if path.is_file():
        hint = "a SCALE-Sim topology (.csv) becomes a workload by 'hwsim import'" if path.suffix == ".csv" else ""
        raise SpecError(Problem(text, "is not a workload: expected a .npz, or a .yaml with shapes", hint))
    if _is_name(text) and (folder("workloads") / f"{text}.npz").is_file():  # without opening all the others
        return folder("workloads") / f"{text}.npz"
    known = _shipped_files()
    if text not in known and path.is_dir():
        raise SpecError(Problem(text, "is a folder, not the file of a workload"))
    if text not in known:
        raise SpecError(Problem("", f"unknown workload '{text}'", did_you_mean(text, known, "Shipped workloads")))
    return known[text]


def shipped() -> list[str]:
    """Names of the shipped workloads and shape tables, sorted."""
    return list(_shipped_files())


def _shipped_files() -> dict[str, Path]:
    """Name to file, sorted. A network takes the name before the shape table of the same name."""
    place = folder("workloads")
    found = {file.stem: file for file in place.glob("*.npz") if _is_workload(file)}
    for file in (place / "shapes").glob("*.yaml"):
        found[f"shapes/{file.stem}" if file.stem in found else file.stem] = file
    return dict(sorted(found.items()))


def _is_name(text: str) -> bool:
    return text.replace("_", "").replace("-", "").isalnum()


def _is_workload(file: Path) -> bool:
    try:
        spec = read_spec(str(file), NpzArrays(file))
    except SpecError:
        return False
    return isinstance(spec, dict) and spec.get("kind") in TOP_KEYS
