"""Finished samples of an unfinished run, so that a stopped run goes on where it was.

Each sample's ``Activity`` is one JSON file in ``samples.partial/`` of the run folder, written whole, then renamed. A
file counts only if it was made from the same inputs (``key``); a finished run removes the folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.activity import Activity, SampleOutcome
from hwsim.result import write_whole

FOLDER = "samples.partial"


class Checkpoint:
    """The samples that a run folder has. ``key``: hash of all that decides the numbers, the version included."""

    def __init__(self, folder: str | os.PathLike[str], key: str) -> None:
        self.folder = Path(folder) / FOLDER
        self.key = key

    def load(self, sample: int) -> Activity | None:
        """The activity of one sample as it was saved, or None if there is none of these inputs."""
        try:
            data = json.loads(self._path(sample).read_text(encoding="utf-8"))
            return decode(data["activity"]) if data["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a file that cannot be read is a sample that is not there: it is simulated again

    def save(self, sample: int, activity: Activity) -> None:
        """Keep one finished sample."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(sample), json.dumps({"key": self.key, "activity": encode(activity)}))

    def clear(self) -> None:
        """Remove all samples: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, sample: int) -> Path:
        return self.folder / f"{sample:06d}.json"


def merge(whole: Activity, part: Activity) -> None:
    """Add one sample's activity to the run's; layers, schedule and notes of the whole stay if it has them."""
    for field in dataclasses.fields(whole):
        mine, theirs = getattr(whole, field.name), getattr(part, field.name)
        if isinstance(mine, dict):
            assert not mine.keys() & theirs.keys(), f"{field.name}: two parts of one sample"
            mine.update(theirs)
        elif field.name == "outcomes":
            mine.extend(theirs)
        elif field.name == "events":
            whole.events += part.events
        elif not mine:
            mine.extend(theirs)


def encode(activity: Activity) -> dict[str, Any]:
    """An activity as JSON: mappings with tuple keys become lists of [key..., value]; floats read back equal."""
    data: dict[str, Any] = {}
    for field in dataclasses.fields(activity):
        value = getattr(activity, field.name)
        if field.name == "outcomes":
            data[field.name] = [_encode_outcome(outcome) for outcome in value]
        elif isinstance(value, dict):
            data[field.name] = [[_plain(key), _plain(number)] for key, number in value.items()]
        else:
            data[field.name] = value
    return data


def decode(data: dict[str, Any]) -> Activity:
    """Inverse of ``encode``."""
    activity = Activity()
    for field in dataclasses.fields(activity):
        value, empty = data[field.name], getattr(activity, field.name)
        if field.name == "outcomes":
            value = [_decode_outcome(outcome) for outcome in value]
        elif isinstance(empty, dict):
            pairs = {_tuple(key): _tuple(number) for key, number in value}
            value = defaultdict(int, pairs) if isinstance(empty, defaultdict) else pairs
        setattr(activity, field.name, value)
    return activity


def _encode_outcome(outcome: SampleOutcome) -> dict[str, Any]:
    output = outcome.output
    return {**vars(outcome), "output": None if output is None else output.tolist()}


def _decode_outcome(data: dict[str, Any]) -> SampleOutcome:
    output = data["output"]
    return SampleOutcome(**{**data, "output": None if output is None else np.array(output, dtype=np.float64)})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
