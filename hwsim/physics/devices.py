"""Memory cells of a crossbar, from device files: YAML with ``schema: hwsim/device/1``, or the name of a shipped one.

A file gives the range of conductances, the levels a cell can hold, and laws for what is not ideal; every number has a
source and an error, as in an architecture. The laws are those of ``hwsim.physics.device_laws``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from hwsim import shipped
from hwsim.architecture.library import Library
from hwsim.architecture.pricing import NOT_MODELLED, OVERRIDE, Context, read_error, read_source, read_sourced
from hwsim.errors import Problem, SpecError, did_you_mean, nearest
from hwsim.physics import device_laws as laws
from hwsim.physics.device_laws import Block, CurrentVoltage, Drift, ReadNoise, Spread
from hwsim.units import Quantity, show
from hwsim.yamlfile import nodes as yamlnodes
from hwsim.yamlfile.nodes import Node, Problems
from hwsim.yamlfile.parameters import Unit, read_model
from hwsim.yamlfile.values import check_keys, choice, mapping, string

SCHEMA = "hwsim/device/1"
CONTINUOUS = "continuous"
"""The word for a cell that holds any conductance of its range."""

KEYS = (
    "schema", "name", "description", "source", "resistance", "conductance", "levels", "variation", "programming_noise",
    "read_noise", "stuck", "drift", "current_voltage", "programming", "sources",
)  # fmt: skip
_REQUIRED = ("schema", "name", "levels", "programming", "sources")


class Resistances(Block):
    """Range of a cell, as resistances."""

    low: Annotated[float, Unit("ohm"), Field(gt=0)]
    high: Annotated[float, Unit("ohm", unlimited=True), Field(gt=0)]


class Conductances(Block):
    """Range of a cell, as conductances."""

    low: Annotated[float, Unit("S"), Field(ge=0)]
    high: Annotated[float, Unit("S"), Field(gt=0)]


class Stuck(Block):
    """Probabilities that a cell is stuck at its smallest or largest conductance."""

    low: Annotated[float, Unit("1"), Field(ge=0, le=1)]
    high: Annotated[float, Unit("1"), Field(ge=0, le=1)]


@dataclass(frozen=True)
class Device:
    """A memory cell.

    g_min_S, g_max_S    conductances of the lowest and the highest code, g_min < g_max
    levels              conductances that a cell can hold apart; None for any number
    variation           spread of a cell's conductance from cell to cell, or None
    programming_noise   spread left by writing a cell, or None
    read_noise          noise of each read relative to the cell's current, or None
    stuck_low, stuck_high   probabilities of a cell stuck at g_min, at g_max
    drift               decay after programming, or None
    current_voltage     law of the current, linear for an ohmic cell
    program_energy_J, program_time_s   of writing one cell, verification included
    quantities          path in the file -> number with source and error; of a law, what it gives at g_max
    sources             identifier -> citation
    sha256              hash of the content, overrides included, places and file not
    """

    name: str
    g_min_S: float
    g_max_S: float
    levels: int | None = None
    variation: Spread | None = None
    programming_noise: Spread | None = None
    read_noise: ReadNoise | None = None
    stuck_low: float = 0.0
    stuck_high: float = 0.0
    drift: Drift | None = None
    current_voltage: CurrentVoltage = field(default_factory=lambda: laws.Linear())
    program_energy_J: Quantity = field(default_factory=lambda: Quantity(0.0, source=NOT_MODELLED, unit="J"))
    program_time_s: Quantity = field(default_factory=lambda: Quantity(0.0, source=NOT_MODELLED, unit="s"))
    description: str = ""
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    sha256: str = ""

    @property
    def iv(self) -> str:
        """Name of the law of the current: linear, sinh or cubic."""
        return next(name for name, law in laws.CURRENTS.items() if isinstance(self.current_voltage, law))

    @property
    def v0_V(self) -> float:
        """Voltage scale of a non-linear cell; infinite for a linear one."""
        return float(getattr(self.current_voltage, "v0", np.inf))

    @property
    def assumed(self) -> tuple[str, ...]:
        """Paths of the numbers that are guesses."""
        return tuple(path for path, quantity in self.quantities.items() if quantity.source.startswith("assumed:"))

    def read_noise_std(self, conductance_S: np.ndarray, elapsed_s: float = 0.0) -> np.ndarray:
        """Standard deviation of a read relative to the cell's current, in the shape of ``conductance_S``.

        ``conductance_S`` is the programmed conductance before drift; ``elapsed_s`` counts from the reference time t0
        of the drift law. Zeros where the device has no read noise.
        """
        if self.read_noise is None:
            return np.zeros(np.shape(conductance_S))
        return laws.relative_noise(self.read_noise, conductance_S, self.g_max_S, elapsed_s + self.reference_time_s)

    @property
    def reference_time_s(self) -> float:
        """Time after programming at which the programmed conductances are those of the file; 0 without drift."""
        return self.drift.t0 if self.drift is not None else 0.0

    def with_variation(self, fraction: float, source: str) -> Device:
        """The device whose programmed conductances have that relative standard deviation, and no other spread.

        It replaces variation and programming noise; 0 leaves neither. ``source`` is that of the number.
        """
        law = laws.Proportional(fraction=fraction, source=source) if fraction else None
        known = {key: value for key, value in self.quantities.items() if key != "programming_noise"}
        known["variation"] = Quantity(fraction * self.g_max_S, source=source, unit="S")
        digest = hashlib.sha256(f"{self.sha256} variation {fraction!r}".encode()).hexdigest()
        return replace(self, variation=law, programming_noise=None, quantities=known, sha256=digest)


def shipped_devices() -> dict[str, Path]:
    """Names of the shipped devices -> files, sorted."""
    found = (shipped.folder("arch") / "devices").glob("*.yaml")
    return dict(sorted((path.stem, path) for path in found))


def load_device(name: str | Path, overrides: Iterable[str] = (), where: str = "") -> Device:
    """The device of a file or of a shipped name; a file that exists wins over a name.

    overrides  texts such as 'variation.fraction=5 %', set over the file's values
    where      place that messages name where ``name`` is neither

    Raises ``SpecError`` with every problem found.
    """
    path = _find(name, where)
    root = yamlnodes.read(path)
    schema = root.value.get("schema")
    if schema is None:
        raise SpecError(Problem(root.where, f"missing key 'schema', expected 'schema: {SCHEMA}' as first line"))
    if schema.value != SCHEMA:
        raise SpecError(Problem(schema.where, f"expected the schema '{SCHEMA}', found {schema.found}"))
    problems = Problems()
    for text in overrides:
        root = _override(root, text, problems)
    device = _Reader(root, problems).read(path)
    problems.raise_any()
    return device


def _find(name: str | Path, where: str) -> Path:
    path, known = Path(name), shipped_devices()
    if path.is_file():
        return path
    if str(name) in known:
        return known[str(name)]
    hint = did_you_mean(path.name.split(".")[0], known, "Shipped devices")
    raise SpecError(Problem(where or str(name), f"no such file, and no shipped device of the name '{name}'", hint))


def _override(root: Node, text: str, problems: Problems) -> Node:
    """The tree with one value replaced; the key must be one that a device file may have."""
    origin = f"{OVERRIDE}{text}"
    path, equals, value = (part.strip() for part in text.partition("="))
    keys = path.split(".")
    if not equals:
        problems.add(origin, "expected PATH=VALUE, such as 'variation.fraction=5 %'")
    elif keys[0] not in KEYS or keys[0] == "schema" or "" in keys:
        settable = [node.path for node in root.walk() if node.path not in ("", "schema")]
        close = nearest(path, [*settable, *KEYS[1:]])
        hint = f"did you mean '{close}'?" if close else f"Paths begin with: {', '.join(KEYS[1:])}."
        problems.add(origin, f"unknown path '{path}'", hint)
    else:
        try:
            return _set(root, keys, yamlnodes.read_value(value, origin, path), origin)
        except SpecError as error:
            problems.found += [Problem(origin, problem.message, problem.hint) for problem in error.problems]
    return root


def _set(node: Node, keys: list[str], value: Node, origin: str) -> Node:
    if not keys:
        return value
    if not isinstance(node.value, dict):
        rest = ".".join(keys)
        raise SpecError(Problem(origin, f"{node.path} is {node.found} and has no '{rest}'", "Set it as a whole."))
    child = node.value.get(keys[0], Node({} if len(keys) > 1 else None, origin, path=keys[0]))
    return replace(node, value={**node.value, keys[0]: _set(child, keys[1:], value, origin)})


class _Reader:
    """Reads the blocks of a device file, noting problems as it goes."""

    def __init__(self, root: Node, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.entries = check_keys(root, problems, KEYS, _REQUIRED)
        self.quantities: dict[str, Quantity] = {}
        self.sources = self._sources()
        self.context = Context(problems, self.sources if "sources" in self.entries else None, Library())
        if "source" in self.entries:
            self.context.default_sources = {(self.entries["source"].file, ""): self.entries["source"]}

    def read(self, path: Path) -> Device:
        """The device; a useless one where problems were noted."""
        g_min, g_max = self._range()
        grid = np.linspace(g_min, g_max, 257)
        stuck_low, stuck_high = self._stuck()
        energy, time = self._programming()
        text = json.dumps(self.root.plain(), sort_keys=True, ensure_ascii=False)
        return Device(
            name=self._text("name"),
            g_min_S=g_min,
            g_max_S=g_max,
            levels=self._levels(),
            variation=self._spread("variation", grid),
            programming_noise=self._spread("programming_noise", grid),
            read_noise=self._read_noise(g_max),
            stuck_low=stuck_low,
            stuck_high=stuck_high,
            drift=self._drift(g_max),
            current_voltage=self._current_voltage(),
            program_energy_J=energy,
            program_time_s=time,
            description=self._text("description"),
            quantities=self.quantities,
            sources=self.sources,
            path=path,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )

    def _text(self, key: str) -> str:
        return string(self.entries[key], self.problems) if key in self.entries else ""

    def _sources(self) -> dict[str, str]:
        node = self.entries.get("sources")
        entries = mapping(node, self.problems, "a mapping 'name: citation'") if node is not None else {}
        return {key: string(child, self.problems, "a citation") for key, child in entries.items()}

    def _levels(self) -> int | None:
        node = self.entries.get("levels")
        if node is None or node.value == CONTINUOUS:
            return None
        if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 2:
            return node.value
        self.problems.add(node, f"expected a whole number >= 2 or '{CONTINUOUS}', found {node.found}")
        return None

    def _range(self) -> tuple[float, float]:
        """(g_min, g_max) in siemens; a stand-in range after a problem."""
        given = [key for key in ("resistance", "conductance") if key in self.entries]
        if len(given) != 1:
            found = "both" if given else "neither"
            self.problems.add(self.root, f"expected either 'resistance' or 'conductance', found {found}")
            return 0.0, 1.0
        key = given[0]
        model: type[Any] = Resistances if key == "resistance" else Conductances
        made = self._model(self.entries[key], model)
        if made is None:
            return 0.0, 1.0
        unit = "ohm" if key == "resistance" else "S"
        self._note(key, made.low, unit, f"{key}.low")
        self._note(key, made.high, unit, f"{key}.high")
        if made.low >= made.high:
            node = self.entries[key].value["high"]
            message = f"expected a {key} above 'low' ({show(made.low, unit)}), found {node.found}"
            self.problems.add(node, message, "'low' and 'high' are the ends of the range; are they exchanged?")
            return 0.0, 1.0
        return (1 / made.high, 1 / made.low) if key == "resistance" else (made.low, made.high)

    def _spread(self, key: str, grid: np.ndarray) -> Spread | None:
        law = self._law(key, laws.SPREADS)
        if law is None:
            return None
        sigma = law.sigma_S(grid, grid[-1])
        if isinstance(law, laws.Polynomial) and not np.all(law.value_S(grid) >= 0):
            bad = grid[int(np.argmin(law.value_S(grid)))]
            self.problems.add(self.entries[key], f"the polynomial of {key} is negative at {show(float(bad), 'S')}")
        self._note(key, float(sigma[-1]), "S")
        return law

    def _read_noise(self, g_max: float) -> ReadNoise | None:
        law = self._law("read_noise", laws.READ_NOISES)
        if law is not None:
            since = getattr(law, "read_time", 0.0)
            value = law.factor if since else float(laws.relative_noise(law, np.array([g_max]), g_max, since)[0])
            self._note("read_noise", value, "1")
        return law

    def _drift(self, g_max: float) -> Drift | None:
        law = self._law("drift", laws.DRIFTS)
        if law is not None:
            self._note("drift", float(law.exponents(np.array([g_max]), g_max)[0][0]), "1")
        return law

    def _current_voltage(self) -> CurrentVoltage:
        law: CurrentVoltage = self._law("current_voltage", laws.CURRENTS) or laws.Linear()
        if not isinstance(law, laws.Linear):
            self._note("current_voltage", law.v0, "V")
        return law

    def _stuck(self) -> tuple[float, float]:
        node = self.entries.get("stuck")
        made = self._model(node, Stuck) if node is not None and node.value != laws.NONE else None
        if node is None or made is None:
            return 0.0, 0.0
        if made.low + made.high > 1:
            self.problems.add(node, f"expected probabilities that sum to 1 at most, found {made.low + made.high:g}")
        self._note("stuck", made.low, "1", "stuck.low")
        self._note("stuck", made.high, "1", "stuck.high")
        return made.low, made.high

    def _programming(self) -> tuple[Quantity, Quantity]:
        """(energy, time) of writing one cell."""
        units = {"energy": "J", "time": "s"}
        made = {key: Quantity(0.0, source=NOT_MODELLED, unit=unit) for key, unit in units.items()}
        node = self.entries.get("programming")
        entries = check_keys(node, self.problems, units, units) if node is not None else {}
        for key, child in entries.items():
            quantity = read_sourced(child, units[key], f"programming.{key}", self.context)
            if quantity is not None:
                made[key] = self.quantities[f"programming.{key}"] = quantity
        return made["energy"], made["time"]

    def _law(self, key: str, known: Mapping[str, type[Any]]) -> Any:
        """The law that the block ``key`` names, or None."""
        node = self.entries.get(key)
        if node is None or node.value == laws.NONE:
            return None
        entries = dict(mapping(node, self.problems, f"a mapping with the key law, or '{laws.NONE}'"))
        law = entries.pop("law", None)
        if law is None:
            if node.is_mapping:
                hint = f"Laws of {key}: {', '.join(known)}."
                self.problems.add_key(node, f"missing key 'law' in {key}", hint)
            return None
        name = choice(law, self.problems, known, f"law of {key}")
        return self._model(replace(node, value=entries), known[name]) if name else None

    def _model(self, node: Node, model: type[Any]) -> Any:
        return read_model(model, mapping(node, self.problems), node, self.problems)

    def _note(self, key: str, value: float, unit: str, path: str = "") -> None:
        """Keep a number of the block ``key`` with the source and the error that the block gives."""
        node = self.entries[key]
        entries = node.value
        stated = next((child for child in node.walk() if child.file.startswith(OVERRIDE)), node)
        source = read_source(entries, stated, path or key, self.context)
        if "error" not in entries and not stated.file.startswith(OVERRIDE):
            hint = "Give 'error', one standard deviation of what the block gives: '10 %' or a factor 'x2'."
            self.problems.add(node, f"{key} has no error", hint)
        sigma, log_sigma = read_error(entries.get("error"), value, unit, self.problems)
        self.quantities[path or key] = Quantity(value, sigma, log_sigma, source, unit)
