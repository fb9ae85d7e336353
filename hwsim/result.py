"""A run's result: totals with intervals, tidy rows, provenance; and the run folder it is written to and read from."""

from __future__ import annotations

import contextlib
import csv
import datetime
import hashlib
import io
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import NormalDist
from typing import Any

from hwsim.cost import CONFIDENCE, LEAKAGE, Costs, Row
from hwsim.errors import Problem, SpecError
from hwsim.units import Quantity

SCHEMA = "hwsim/result/1"
TOTALS = ("energy_J", "latency_s", "edp_Js", "area_m2", "power_W", "cycles", "samples", "accuracy")
BEHAVIOUR = "behaviour"
"""Phase of rows that say what the samples behind the accuracy did."""
RESULT_FILE, ROWS_FILE, RUN_FILE = "result.json", "rows.csv", "run.json"
_TEXT_COLUMNS = ("run", "architecture", "workload", "phase", "metric", "unit")
_VERSIONED = ("hwsim", "numpy", "numba", "simpy", "scipy")
_PLAIN = ("layers", "technology", "settings", "hashes", "prices", "schedule", "notes")
_INTEGER_COLUMNS = ("sample", "timestep")


@dataclass(frozen=True)
class NaiveEstimate:
    """The energy that papers quote for an SNN: E = FLOPs x timesteps x (1 - sparsity) x E_AC.

    Source: Bhattacharjee et al., "Are SNNs Truly Energy-efficient? A Hardware Perspective" (2023), Table II, footnote
    2. ``operations``: dense multiply-accumulates of one timestep, all weighted layers; ``density``: share of them
    whose input is not zero; ``accumulate``: the machine's own price of one accumulate in J.
    """

    operations: int
    timesteps: float
    density: float
    accumulate: Quantity

    @property
    def energy_J(self) -> float:
        """The estimate, in J per sample."""
        return self.operations * self.timesteps * self.density * self.accumulate.value

    def as_dict(self) -> dict[str, Any]:
        """JSON form, the energy included."""
        return {
            "energy_J": self.energy_J,
            "operations": self.operations,
            "timesteps": self.timesteps,
            "density": self.density,
            "accumulate": vars(self.accumulate),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NaiveEstimate:
        """Inverse of ``as_dict``."""
        return cls(data["operations"], data["timesteps"], data["density"], Quantity(**data["accumulate"]))


@dataclass(frozen=True)
class Accuracy:
    """Share of ``images`` that were classified rightly: ``measured`` here, or the ``software`` one that training
    recorded.
    """

    value: float
    images: int | None
    kind: str = "measured"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """95 % interval of the true share (Wilson, J. Am. Stat. Assoc. 22, 1927); None if the images are unknown."""
        if not self.images:
            return None
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        n, p = self.images, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass
class Result:
    """What one run gave. ``totals`` in SI, means over samples; a total that the run does not have is absent.

    technology   node_m, voltage_V, clock_Hz, off_chip (components outside the chip)
    settings     every option that changes the numbers (never the depth, the date or the folder)
    hashes       SHA-256 of each input file, by name
    manifest     what else belongs into run.json: depth, wall time, versions, events
    """

    architecture: str
    workload: str
    dataflow: str
    rows: list[Row]
    totals: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    layers: list[str] = field(default_factory=list)
    technology: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    accuracy: Accuracy | None = None
    estimate: NaiveEstimate | None = None
    prices: list[dict[str, Any]] = field(default_factory=list)
    schedule: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.accuracy is not None:
            self.totals.setdefault("accuracy", self.accuracy.value)
            if self.accuracy.kind == "measured" and self.accuracy.bounds:
                self.intervals.setdefault("accuracy", self.accuracy.bounds)

    @classmethod
    def of(cls, costs: Costs, architecture: str, workload: str, dataflow: str, **more: Any) -> Result:
        """A result from costs; ``more`` are the other fields."""
        return cls(architecture, workload, dataflow, costs.rows, dict(costs.totals), dict(costs.intervals),
                   prices=list(costs.prices), **more)  # fmt: skip

    @property
    def name(self) -> str:
        """Name of the run: arch-workload-dataflow-8 hex of the input hash."""
        return run_name(self.architecture, self.workload, self.dataflow, self.settings, self.hashes)

    def energy_by(self, column: str) -> dict[str | None, float]:
        """Energy in J per sample by a column of the rows (component, layer, action, timestep); None collects the
        shared.
        """
        return _by(self.rows, column, "energy", int(self.totals.get("samples", 1)))

    def behaviour(self) -> dict[str, Any]:
        """What samples did on a neuromorphic machine: metric -> value, or -> 'layer.component.action' -> value; and the
        energy of a sample by kind, in J. Empty for other families."""
        found: dict[str, Any] = {}
        for row in self.rows:
            if row.phase == BEHAVIOUR:
                place = ".".join(part for part in (row.layer, row.component, row.action) if part)
                found.setdefault(row.metric, {})[place] = row.value
        plain = {metric: values[""] if set(values) == {""} else values for metric, values in found.items()}
        return {"energy_J": self.energy_by_kind(), **plain} if plain else {}

    def energy_by_kind(self) -> dict[str, float]:
        """Energy in J per sample: static is leakage, dynamic the rest."""
        actions = self.energy_by("action")
        static = actions.pop(LEAKAGE, 0.0)
        return {"dynamic": math.fsum(actions.values()), "static": static}

    def as_dict(self) -> dict[str, Any]:
        """The content of result.json: no date, wall time, command or depth."""
        return {
            "schema": SCHEMA,
            "run": self.name,
            "architecture": self.architecture,
            "workload": self.workload,
            "dataflow": self.dataflow,
            "totals": self.totals,
            "intervals": {name: list(bounds) for name, bounds in self.intervals.items()},
            "accuracy": None if self.accuracy is None else vars(self.accuracy),
            "estimate": None if self.estimate is None else self.estimate.as_dict(),
            "energy_J_by_component": _named(self.energy_by("component")),
            "energy_J_by_layer": _named(self.energy_by("layer")),
            **({"behaviour": behaviour} if (behaviour := self.behaviour()) else {}),
            "layers": self.layers,
            "technology": self.technology,
            "settings": self.settings,
            "hashes": self.hashes,
            "prices": self.prices,
            "schedule": self.schedule,
            "notes": self.notes,
        }

    def to_json(self) -> str:
        """result.json as text; the same run gives the same bytes."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write rows.csv, run.json and, last, result.json into ``folder``; each whole, then renamed. Returns the
        folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        (target / RESULT_FILE).unlink(missing_ok=True)  # a folder without it is an unfinished run
        write_whole(target / ROWS_FILE, rows_csv(self.rows))
        inputs = {"run": self.name, "settings": self.settings, "hashes": self.hashes}
        manifest = {**environment(), **inputs, **self.manifest}
        write_whole(target / RUN_FILE, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        write_whole(target / RESULT_FILE, self.to_json())
        return target

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Result:
        """Read a run folder. Raises SpecError where a file is missing, broken or of another schema."""
        source = Path(folder)
        data = _read_json(source / RESULT_FILE)
        if data.get("schema") != SCHEMA:
            raise SpecError(
                Problem(str(source / RESULT_FILE), f"schema must be '{SCHEMA}', not {data.get('schema')!r}")
            )
        problems = [Problem(str(source / RESULT_FILE), text) for text in _wrong_content(data)]
        if problems:
            raise SpecError(problems)
        run = source / RUN_FILE
        try:
            return cls._from_dict(data, read_rows(source / ROWS_FILE), _read_json(run) if run.exists() else {})
        except (KeyError, TypeError, AttributeError, AssertionError) as error:
            raise SpecError(Problem(str(source / RESULT_FILE), f"not a complete result: {error!r}")) from None

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any], rows: list[Row], manifest: dict[str, Any]) -> Result:
        accuracy, estimate = data["accuracy"], data["estimate"]
        for key in ("run", "settings", "hashes"):
            manifest.pop(key, None)
        return cls(
            data["architecture"], data["workload"], data["dataflow"], rows, dict(data["totals"]),
            {name: (low, high) for name, (low, high) in data["intervals"].items()},
            accuracy=Accuracy(**accuracy) if accuracy else None,
            estimate=NaiveEstimate.from_dict(estimate) if estimate else None,
            manifest=manifest,
            **{name: data[name] for name in _PLAIN},
        )  # fmt: skip


_CONTENT = {
    "architecture": str, "workload": str, "dataflow": str, "totals": dict, "intervals": dict, "technology": dict,
    "settings": dict, "hashes": dict, "layers": list, "prices": list, "schedule": list, "notes": list,
}  # fmt: skip
_JSON_NAMES = {str: "text", dict: "an object", list: "a list"}


def _wrong_content(data: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a result.json from being used: each key that lacks, or holds something else than it should."""
    for key in (*_CONTENT, "accuracy", "estimate"):
        if key not in data:
            yield f"not a complete result: lacks '{key}'"
        elif key in _CONTENT and not isinstance(data[key], _CONTENT[key]):
            yield f"key {key}: must be {_JSON_NAMES[_CONTENT[key]]}, found {data[key]!r:.40}"
    for key in ("layers", "schedule", "notes"):
        for item in data.get(key) or () if isinstance(data.get(key), list) else ():
            if not isinstance(item, str):
                yield f"key {key}: must hold texts, found {item!r:.40}"
    for key, wanted in (("totals", "a number"), ("intervals", "two numbers")):
        for name, value in data[key].items() if isinstance(data.get(key), dict) else ():
            pair = value if isinstance(value, list) and len(value) == 2 else [None]
            if not all(map(_is_number, [value] if key == "totals" else pair)):
                yield f"key {key}.{name}: must be {wanted}, found {value!r:.40}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def environment() -> dict[str, Any]:
    """Date and versions, for run.json."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"date": date, "versions": versions, "platform": platform.platform()}


def run_name(
    architecture: str, workload: str, dataflow: str, settings: Mapping[str, Any], hashes: Mapping[str, str]
) -> str:
    """arch-workload-dataflow-8 hex digits of the SHA-256 of everything that decides the numbers."""
    inputs = [architecture, workload, dataflow, settings, hashes]
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    words = (architecture, workload, dataflow)
    return "-".join("".join(c if c.isalnum() or c in "._-+" else "_" for c in word) for word in words) + f"-{digest}"


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name, then rename it, so that no reader ever sees a part of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def rows_csv(rows: Iterable[Row]) -> str:
    """rows.csv as text: header, then one line per row; floats in the shortest form that reads back equal."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)  # the csv module writes None as nothing and floats by repr
    return stream.getvalue()


def read_rows(path: Path) -> list[Row]:
    """Read rows.csv back, exactly. Raises SpecError with the line of the first thing that does not fit."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            if tuple(header) != Row._fields:
                raise SpecError(Problem(f"{path}:1", f"expected the columns {', '.join(Row._fields)}"))
            return [_parse_row(path, reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(Problem(str(path), _reason(error))) from None


def _parse_row(path: Path, line: int, cells: list[str]) -> Row:
    if len(cells) != len(Row._fields):
        raise SpecError(Problem(f"{path}:{line}", f"expected {len(Row._fields)} cells, found {len(cells)}"))
    values: dict[str, Any] = {}
    try:
        for name, cell in zip(Row._fields, cells, strict=True):
            values[name] = _parse_cell(name, cell)
    except ValueError as error:
        raise SpecError(Problem(f"{path}:{line}", f"column {name}: {error}")) from None
    return Row(**values)


def _parse_cell(name: str, cell: str) -> Any:
    if name in _TEXT_COLUMNS:
        return cell
    if not cell:
        return None
    if name in _INTEGER_COLUMNS:
        return int(cell)
    if name in ("value", "error"):
        return int(cell) if cell.lstrip("-").isdigit() else float(cell)
    return cell


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(Problem(str(path), _reason(error))) from None
    if not isinstance(data, dict):
        raise SpecError(Problem(str(path), f"expected a JSON object, found {type(data).__name__}"))
    return data


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _by(rows: Iterable[Row], column: str, metric: str, samples: int) -> dict[str | None, float]:
    parts: dict[str | None, list[float]] = {}
    for row in rows:
        if row.metric == metric:
            parts.setdefault(getattr(row, column), []).append(row.value)
    return {name: math.fsum(values) / samples for name, values in parts.items()}


def _named(parts: Mapping[str | None, float]) -> dict[str, float]:
    """Parts by name; what belongs to none alone stands under ``shared``."""
    return {"shared" if name is None else str(name): value for name, value in parts.items()}
