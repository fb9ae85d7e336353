"""Layer lists of the reference runs, as the published tools were fed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.profiles import LayerShape, conv, linear


@cache
def reference() -> dict[str, Any]:
    """Measured outputs of the tools; origin in the file."""
    path = Path(__file__).parents[1] / "data" / "sata_reference.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def chain(*sizes: tuple[int, ...]) -> list[LayerShape]:
    """Layers from (size, channels, filters[, stride]); a size of 1 is a linear layer."""
    layers = []
    for index, (size, channels, filters, *stride) in enumerate(sizes):
        name = f"layer{index}"
        step = stride[0] if stride else 1
        layers.append(
            linear(name, channels, filters) if size == 1 else conv(name, size, channels, filters, stride=step)
        )
    return layers


VGG_LIKE = chain(
    (32, 3, 64), (32, 64, 64), (16, 64, 128), (8, 128, 128), (4, 128, 256), (4, 256, 256), (4, 256, 256),
    (1, 1024, 1024), (1, 1024, 512),
)  # fmt: skip
WIDE = chain(
    (32, 3, 128), (32, 128, 256), (16, 256, 512), (8, 512, 1024), (4, 1024, 512), (1, 8192, 1024), (1, 1024, 512)
)
RESNET19 = chain(
    (32, 3, 128), *[(32, 128, 128)] * 6, (32, 128, 256, 2), *[(16, 256, 256)] * 5, (16, 256, 512, 2),
    *[(8, 512, 512)] * 3, (1, 8192, 256),
)  # fmt: skip
TABLE_TWO = {"sbp": VGG_LIKE, "bntt": VGG_LIKE, "direct": WIDE, "tssl": WIDE, "lth": RESNET19, "tdbn": RESNET19}


def vgg9(size: int, classes: int, padding: int = 1) -> list[LayerShape]:
    """The VGG9 of the papers: seven convolutions and two linear layers on a size x size image."""
    half, quarter = size // 2, size // 4
    convs = [(size, 3, 64), (size, 64, 64), (half, 64, 128), (half, 128, 128), (quarter, 128, 256)]
    convs += [(quarter, 256, 256)] * 2
    layers = chain(*convs, (1, 256 * (size // 8) ** 2, 1024), (1, 1024, classes))
    return [layer if layer.is_linear else layer.with_padding(padding) for layer in layers]
