"""Runs of SpikeSim's script, as it printed them; origin in the file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.profiles.spikesim_ela import Mapped


@cache
def reference() -> dict[str, Any]:
    """All of the file."""
    path = Path(__file__).parents[1] / "data" / "spikesim.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


RUNS: list[dict[str, Any]] = reference()["ela_runs"]


def mapped(run: dict[str, Any]) -> list[Mapped]:
    """The layers of a run."""
    sizes = zip(run["in_ch"], run["out_ch"], run["in_dim"], run["out_dim"], strict=True)
    return [Mapped(f"layer{i}", c, m, h * h, o * o) for i, (c, m, h, o) in enumerate(sizes)]
