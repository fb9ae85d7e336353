"""Shipped shape tables as layer lists for profiles, and the published numbers."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml

from hwsim.profiles import LayerShape
from hwsim.profiles.shapes import layer_shapes


@functools.cache
def layers(workload: str) -> tuple[LayerShape, ...]:
    """The layers with weights of a workload (shipped name or path), in order."""
    from hwsim import workload as workloads

    return layer_shapes(workloads.load(workload).weighted)


@functools.cache
def published() -> dict[str, Any]:
    """What ``published_sata.yaml`` holds, as plain data; copy it before changing it."""
    text = (resources.files("hwsim.reproduce") / "published_sata.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    assert data["schema"] == "hwsim/published/1"
    return data


def number(value: Any) -> float:
    """A number of the published file: YAML 1.1 reads 1.1e7 as text."""
    return float(value)
