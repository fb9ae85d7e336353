"""Shipped shape tables as layer lists for profiles, and the published numbers."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml

from hwsim.profiles.shapes import LayerShape, layer_shapes


@functools.cache
def layers(workload: str) -> tuple[LayerShape, ...]:
    """The layers with weights of a workload (shipped name or path), in order."""
    from hwsim import workload as workloads

    return layer_shapes(workloads.load(workload).weighted)


PARTS = ("sata", "spikesim", "robustness", "resparc", "layer_sync", "sync_price")
"""Files of published numbers, ``published_<part>.yaml``."""


@functools.cache
def published(part: str = "sata") -> dict[str, Any]:
    """What ``published_<part>.yaml`` holds, as plain data, with all parts' ``pages``; copy it before changing it."""
    return _read(part) | {"pages": {group: page for name in PARTS for group, page in _read(name)["pages"].items()}}


@functools.cache
def _read(part: str) -> dict[str, Any]:
    text = (resources.files("hwsim.reproduce") / f"published_{part}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    assert data["schema"] == "hwsim/published/1"
    return data


def number(value: Any) -> float:
    """A number of the published file: YAML 1.1 reads 1.1e7 as text."""
    return float(value)
