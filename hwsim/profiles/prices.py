"""Reading a profile's price file: a published tool's numbers, with unit and source, stand in YAML beside the code."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml

SCHEMA = "hwsim/profile/1"


@functools.cache
def price_file(name: str) -> dict[str, Any]:
    """The shipped price file ``<name>.yaml`` as plain data; quantities are still text. Copy it before changing it."""
    text = (resources.files("hwsim.profiles") / f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    assert data["schema"] == SCHEMA, f"{name}.yaml is not a profile price file"
    return data


@functools.cache
def quantity(text: str, unit: str) -> float:
    """``text`` ('28.63 pJ') in SI as a plain float; ``unit`` says what dimension is meant ('J', 'W', 'Hz')."""
    from hwsim import units  # lazy: the unit registry costs a tenth of a second that '--help' must not pay

    return float(units.parse(text, unit))


def capacity_bytes(text: str) -> int:
    """'32 KiB' as bytes; the tools know words of one byte only."""
    return int(quantity(text, "bit")) // 8
