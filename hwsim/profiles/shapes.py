"""A layer as published tools see it: sizes of a convolution, whether padding is stored, nothing else.

A linear layer is a convolution of one pixel (SCALE-Sim's own convention): H = W = R = S = 1, C inputs, M outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwsim.errors import SpecError


def ceil_div(dividend: int, divisor: int) -> int:
    """Least integer at or above dividend / divisor, for positive integers."""
    return -(-dividend // divisor)


@dataclass(frozen=True)
class LayerShape:
    """Sizes of one layer: input [C, H, W], M filters of [C / groups, R, S]; all plain integers."""

    name: str
    H: int
    W: int
    C: int
    M: int
    R: int
    S: int
    stride_y: int = 1
    stride_x: int = 1
    pad_y: int = 0
    pad_x: int = 0
    dilation_y: int = 1
    dilation_x: int = 1
    groups: int = 1
    partial_windows: bool = False

    @property
    def E(self) -> int:
        """Output rows, padding counted."""
        return self._positions(self.H + 2 * self.pad_y - self.dilation_y * (self.R - 1) - 1, self.stride_y)

    @property
    def F(self) -> int:
        """Output columns, padding counted."""
        return self._positions(self.W + 2 * self.pad_x - self.dilation_x * (self.S - 1) - 1, self.stride_x)

    def _positions(self, travel: int, stride: int) -> int:
        """Windows along one axis; with ``partial_windows`` a last one that runs off the edge counts (SCALE-Sim)."""
        return (ceil_div(travel, stride) if self.partial_windows else travel // stride) + 1

    @property
    def P(self) -> int:
        """Output pixels."""
        return self.E * self.F

    @property
    def K(self) -> int:
        """Length of one filter's reduction: R S C / groups."""
        return self.R * self.S * self.C // self.groups

    @property
    def is_linear(self) -> bool:
        """True for a fully connected layer: one input pixel, one weight per input and output."""
        return self.H == self.W == self.R == self.S == 1

    def padded(self) -> LayerShape:
        """The same layer with its padding stored as part of the input, as SCALE-Sim's users must give it."""
        return replace(self, H=self.H + 2 * self.pad_y, W=self.W + 2 * self.pad_x, pad_y=0, pad_x=0)

    def as_scalesim(self) -> LayerShape:
        """The same layer with E = ceil((H - R + stride) / stride), SCALE-Sim's count of output positions."""
        return replace(self, partial_windows=True)

    def unpadded(self) -> LayerShape:
        """The same layer with its padding left out, as SATA_Sim's workload files give it."""
        return replace(self, pad_y=0, pad_x=0)

    def with_padding(self, pad: int) -> LayerShape:
        """The same layer with ``pad`` pixels on every side, whatever it had."""
        return replace(self, pad_y=pad, pad_x=pad)

    def one_group(self) -> LayerShape:
        """One of the layer's groups, as an ungrouped layer."""
        return replace(self, C=self.C // self.groups, M=self.M // self.groups, groups=1)


def conv(
    name: str, size: int, channels: int, filters: int, kernel: int = 3, stride: int = 1, pad: int = 0
) -> LayerShape:
    """A square convolution: input [channels, size, size], ``filters`` of kernel x kernel."""
    return LayerShape(name, size, size, channels, filters, kernel, kernel, stride, stride, pad, pad)


def linear(name: str, inputs: int, outputs: int) -> LayerShape:
    """A fully connected layer of ``inputs`` x ``outputs`` weights."""
    return LayerShape(name, 1, 1, inputs, outputs, 1, 1)


SIZES = ("H", "W", "C", "M", "R", "S", "stride_y", "stride_x", "pad_y", "pad_x", "dilation_y", "dilation_x", "groups")


def layer_shape(layer: Any, index: int) -> LayerShape:
    """A LayerShape from one, from a geometry (same size names), or from a layer that has a ``geometry``."""
    if isinstance(layer, LayerShape):
        return layer
    geometry = getattr(layer, "geometry", layer)
    sizes: dict[str, Any] = {size: int(getattr(geometry, size)) for size in SIZES if hasattr(geometry, size)}
    return LayerShape(name=str(getattr(layer, "name", f"layer{index}")), **sizes)


def layer_shapes(layers: Sequence[Any]) -> tuple[LayerShape, ...]:
    """All layers as LayerShape; SpecError where a layer has no output pixel."""
    shapes = tuple(layer_shape(layer, index) for index, layer in enumerate(layers))
    for shape in shapes:
        if shape.E < 1 or shape.F < 1:
            kernel, image = f"{shape.R}x{shape.S}", f"{shape.H}x{shape.W}"
            raise SpecError(f"layer {shape.name}: a {kernel} kernel does not fit a {image} input")
    return shapes
