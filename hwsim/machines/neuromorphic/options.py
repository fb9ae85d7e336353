"""The arguments of ``run``, checked: all mistakes at once, then numbers that kernels take."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.kernels.forward_state import Keys, Network, Options
from hwsim.kernels.scheduling import STREAM, Rule, find_policy, rule_of, sample_key
from hwsim.machines.neuromorphic.frozen import Frozen, Weights, freeze, per_neuron

STOPS, RESETS, DRAINS = ("done", "output"), ("zero", "subtract"), ("positive", "all")
REFRACTORY, INPUT, NETWORK = "refractory_dropout", "input_dropout", "network_dropout"
"""Streams of the draws beside ``hwsim.kernels.scheduling.STREAM``."""

_EXEMPT = -0.5


class Settings(TypedDict, total=False):
    """The keyword arguments of ``run``, which says what they mean."""

    group: int
    policy: Any
    threshold: Any
    leak: Any
    reset: str
    refractory: bool
    refractory_dropout: float
    prioritise_input: bool
    stop: str
    steps_after: int
    carry: bool
    sync_threshold: Any
    barriers: bool
    drain: str
    noise: float
    input_dropout: float
    network_dropout: float
    grid: Sequence[float] | None
    seed: int


@dataclass(frozen=True)
class Job:
    """What to run, whatever the sample."""

    frozen: Frozen
    network: Network = field(repr=False)
    """That of ``frozen``, with the counts of currents to wait for."""
    options: Options
    policy: Any
    """Kept alive as long as ``rule`` is used."""
    rule: Rule
    seed: int

    def keys(self, sample: int) -> Keys:
        """Where the draws of a sample begin."""
        return Keys(*(sample_key(self.seed, stream, sample) for stream in (STREAM, REFRACTORY, INPUT, NETWORK)))


def job_of(weights: Weights | Frozen, settings: Settings) -> Job:
    """The job of these settings. Errors: ``SpecError`` with every problem found."""
    values: dict[str, Any] = dict(_DEFAULTS) | dict(settings)
    unknown = [name for name in values if name not in _NAMES]
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}; {did_you_mean(unknown[0], _NAMES, 'Known')}")
    problems: list[Problem] = []
    frozen, (policy, rule) = _frozen(weights, values, problems), _policy(values, problems)
    numbers = _numbers(values, problems)
    waits = 0.0 if values["sync_threshold"] is None else values["sync_threshold"]
    sync = per_neuron("sync_threshold", waits, frozen.neurons if frozen else None, problems, finite=False)
    _check_together(values, numbers, frozen, problems)
    if problems or frozen is None or rule is None:
        raise SpecError(problems)
    counted = values["barriers"] or values["sync_threshold"] is not None
    network = frozen.network
    if counted:
        sync = frozen.fan_in - 0.5 if values["sync_threshold"] is None else sync
        first = network.layer == 0
        network = network._replace(sync=np.where(first, _EXEMPT, sync) if values["barriers"] else sync)
    options = Options(
        inputs=frozen.inputs,
        counted=int(counted),
        drain=int(values["drain"] == "all" or bool(values["barriers"])),
        label=-1,
        **numbers,
    )
    return Job(frozen, network, options, policy, rule, int(values["seed"]))


def frames_of(inputs: Any, job: Job, where: str = "inputs") -> np.ndarray:
    """float64 [T, inputs] of one sample. Errors: ``SpecError``."""
    expected = f"must be an array [timesteps, {job.frozen.inputs}] of event counts"
    try:
        frames = np.ascontiguousarray(inputs, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError(Problem(where, f"{expected}, not {type(inputs).__name__}")) from None
    if np.ndim(inputs) != 2 or frames.shape[1] != job.frozen.inputs:
        raise SpecError(Problem(where, f"{expected}, not shape {list(np.shape(inputs))}"))
    wrong = ~((frames >= 0) & (frames < np.inf))
    if not job.options.prioritise:
        wrong |= frames != np.rint(frames)
        expected = "must be whole numbers, at least 0, where inputs compete (prioritise_input=False)"
    else:
        expected = "must be finite and at least 0"
    if wrong.any():
        t, i = np.argwhere(wrong)[0]
        raise SpecError(Problem(where, f"{expected} (found {frames[t, i]} at timestep {t}, input {i})"))
    return frames


def check_whole(name: str, value: Any, least: int | None = None) -> int:
    """A whole number of the user's, at least ``least``. Errors: ``SpecError``."""
    problems: list[Problem] = []
    number = _whole(name, value, problems, least)
    if problems:
        raise SpecError(problems)
    return number


def _frozen(weights: Weights | Frozen, values: dict[str, Any], problems: list[Problem]) -> Frozen | None:
    if isinstance(weights, Frozen):
        problems.extend(
            Problem(name, "belongs to 'freeze' where the weights are frozen")
            for name in ("threshold", "leak", "grid")
            if values[name] is not None
        )
        return weights
    if values["threshold"] is None:
        problems.append(Problem("threshold", "is missing: a number, or one per neuron"))
    try:
        leak, threshold = values["leak"], values["threshold"]
        return freeze(
            weights,
            threshold=1.0 if threshold is None else threshold,
            leak=1.0 if leak is None else leak,
            grid=values["grid"],
        )
    except SpecError as error:
        problems.extend(error.problems)
        return None


def _policy(values: dict[str, Any], problems: list[Problem]) -> tuple[Any, Rule | None]:
    """The policy and its rule."""
    try:
        found = find_policy(values["policy"], _real("noise", values["noise"], problems, 0.0, np.inf))
        return found, rule_of(found)
    except SpecError as error:
        problems.extend(error.problems)
        return None, None


def _numbers(values: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The fields of ``Options`` that stand in the settings."""
    for name, allowed in (("stop", STOPS), ("reset", RESETS), ("drain", DRAINS)):
        if values[name] not in allowed:
            hint = did_you_mean(str(values[name]), allowed, "Allowed")
            problems.append(Problem(name, f"unknown {name} {values[name]!r}", hint))
    _whole("seed", values["seed"], problems, None)
    return {
        "group": _whole("group", values["group"], problems, 1),
        "refractory": int(bool(values["refractory"])),
        "refractory_dropout": _real("refractory_dropout", values["refractory_dropout"], problems, 0.0, 1.0),
        "subtract": int(values["reset"] == "subtract"),
        "prioritise": int(bool(values["prioritise_input"])),
        "stop": int(values["stop"] == "output"),
        "steps_after": _whole("steps_after", values["steps_after"], problems, 0),
        "carry": int(bool(values["carry"])),
        "barriers": int(bool(values["barriers"])),
        "input_dropout": _real("input_dropout", values["input_dropout"], problems, 0.0, 1.0),
        "network_dropout": _real("network_dropout", values["network_dropout"], problems, 0.0, 1.0),
    }


def _check_together(
    values: dict[str, Any], numbers: dict[str, Any], frozen: Frozen | None, problems: list[Problem]
) -> None:
    """Settings that exclude each other."""
    if values["barriers"] and not values["prioritise_input"]:
        problems.append(Problem("barriers", "need prioritise_input=True: the first layer reports in step 1"))
    if values["barriers"] and values["carry"] and values["stop"] == "output":
        problems.append(Problem("barriers", "cannot be carried over: use carry=False, or stop='done'"))
    tireless = not numbers["refractory"] or numbers["refractory_dropout"] == 1
    if frozen is not None and tireless:
        threshold = frozen.network.threshold
        endless = threshold <= 0 if numbers["subtract"] else threshold < 0
        if endless.any():
            neuron = int(np.flatnonzero(endless)[0])
            text = "must be above 0 without refractoriness, or a timestep would never end"
            problems.append(Problem("threshold", f"{text} (found {threshold[neuron]} at neuron {neuron})"))


def _whole(name: str, value: Any, problems: list[Problem], least: int | None) -> int:
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f", at least {least}"
        problems.append(Problem(name, f"must be a whole number{bound}, not {value!r}"))
        return least or 0
    return min(number, 2**62) if least is not None else number


def _real(name: str, value: Any, problems: list[Problem], low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (low <= number <= high and number < np.inf):
        text = f"between {low:g} and {high:g}" if high < np.inf else f"a finite number, at least {low:g}"
        problems.append(Problem(name, f"must be {text}, not {value!r}"))
        return low
    return number


_DEFAULTS: Settings = {
    "group": None,  # type: ignore[typeddict-item]  # has no default
    "policy": None,
    "threshold": None,
    "leak": None,
    "reset": "zero",
    "refractory": True,
    "refractory_dropout": 0.0,
    "prioritise_input": True,
    "stop": "done",
    "steps_after": 0,
    "carry": False,
    "sync_threshold": None,
    "barriers": False,
    "drain": "positive",
    "noise": 0.0,
    "input_dropout": 0.0,
    "network_dropout": 0.0,
    "grid": None,
    "seed": 0,
}
_NAMES = tuple(Settings.__annotations__)

__all__ = [
    "DRAINS",
    "INPUT",
    "NETWORK",
    "REFRACTORY",
    "RESETS",
    "STOPS",
    "Job",
    "Settings",
    "check_whole",
    "frames_of",
    "job_of",
]
