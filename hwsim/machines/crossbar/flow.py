"""Rows of feature maps and who needs which: the dependences that let layers and timesteps overlap.

An edge of the workload's graph is cut into rows (of a map H x W; an edge without height is one row). A weighted layer
computes an output row when the input rows under its kernel are there; operations between (pools, flatten, add) turn
rows into rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from hwsim.machines.crossbar.mapping import Placed
from hwsim.workload.model import INPUT, POOLS, Geometry, Layer, Workload

Shape3 = tuple[int, int, int]


def map_shape(shape: tuple[int, ...]) -> Shape3:
    """(channels, rows, columns) of an edge."""
    if len(shape) == 3:
        return shape
    return (shape[0], 1, shape[1] if len(shape) == 2 else 1)


def window(geometry: Geometry, row: int) -> tuple[int, int]:
    """Input rows [first, last) that an output row of a weighted layer needs."""
    first = row * geometry.stride_y - geometry.pad_y
    last = first + (geometry.R - 1) * geometry.dilation_y + 1
    return max(0, min(first, geometry.H - 1)), max(1, min(last, geometry.H))


@dataclass(frozen=True)
class Consumer:
    """Who takes a row of an edge: an operation without weights (``layer``, as its input number ``place``)."""

    layer: Layer
    place: int


class Flow:
    """The graph of a workload as rows. ``placed`` are the layers that are simulated."""

    def __init__(self, workload: Workload, placed: tuple[Placed, ...]) -> None:
        self.workload = workload
        self.placed = {item.name: item for item in placed}
        self.connected = workload.kind != "trace"
        self.between = tuple(layer for layer in workload.layers if not layer.has_weights) if self.connected else ()
        self.shapes: dict[str, Shape3] = {INPUT: map_shape(workload.input.shape)}
        for layer in workload.layers:
            self.shapes[layer.name] = map_shape(layer.output_shape)
        self.takers: dict[str, list[Consumer]] = {}
        for layer in self.between:
            for place, name in enumerate(layer.inputs):
                self.takers.setdefault(name, []).append(Consumer(layer, place))
        self.readers: dict[str, list[Placed]] = {}
        for item in placed:
            self.readers.setdefault(self.source(item), []).append(item)
        self.made = self._made()
        names = list(self.placed)
        alone = [name for name in names[1:] if not self._has_edge(self.placed[name])]
        self.after = {names[names.index(name) - 1]: f"{name} (input)" for name in alone}
        """Layers that stand alone in a table or trace follow each other: a timestep of one enters when the layer before
        it in the list has finished that timestep."""

    def source(self, item: Placed) -> str:
        """The edge that feeds a layer; one that stands alone in a table or trace has an edge of its own."""
        return item.layer.inputs[0] if self._has_edge(item) else f"{item.name} (input)"

    def _has_edge(self, item: Placed) -> bool:
        return self.connected and bool(item.layer.inputs)

    def rows(self, edge: str) -> int:
        """Rows of an edge."""
        if edge in self.shapes:
            return self.shapes[edge][1]
        return self.placed[edge.removesuffix(" (input)")].geometry.H

    def _made(self) -> frozenset[str]:
        """Edges that the simulated layers make; all others are there at the start."""
        made = set(self.placed)
        for layer in self.between:
            if any(name in made for name in layer.inputs):
                made.add(layer.name)
        return frozenset(made)

    def given(self) -> Iterator[str]:
        """Edges that must be there from the start: the image, or what layers that are not simulated would give."""
        wanted = dict.fromkeys(self.readers)
        for layer in self.between:
            if layer.name in self.made:
                wanted |= dict.fromkeys(layer.inputs)
        yield from (edge for edge in wanted if edge not in self.made)

    def needed(self, layer: Layer, row: int, place: int) -> tuple[int, int]:
        """Rows [first, last) of input number ``place`` that row ``row`` of an operation without weights needs."""
        height = self.rows(layer.inputs[place])
        if layer.op in POOLS:
            stride, kernel, padding = _first(layer.stride), _first(layer.kernel), _first(layer.padding)
            if len(layer.input_shape) < 3:
                return 0, height
            first = row * stride - padding
            return max(0, first), min(height, first + kernel)
        if layer.op in ("add", "concat") and self.shapes[layer.name][1] == height:
            return row, row + 1
        return 0, height

    def origins(self, edge: str, row: int) -> dict[str, int]:
        """Weighted layers behind row ``row`` of an edge, with how many of their rows are used up by then."""
        return self._origins(edge, row)

    @cache  # noqa: B019 - a flow lives as long as its run
    def _origins(self, edge: str, row: int) -> dict[str, int]:
        if edge in self.placed:
            return {edge: row + 1}
        layer = next((item for item in self.between if item.name == edge and edge in self.made), None)
        found: dict[str, int] = {}
        for place, name in enumerate(layer.inputs if layer is not None else ()):
            assert layer is not None
            last = self.needed(layer, row, place)[1]
            for origin, count in self._origins(name, last - 1).items():
                found[origin] = max(found.get(origin, 0), count)
        return found

    @cache  # noqa: B019 - a flow lives as long as its run
    def reach(self, edge: str, row: int, whole: bool) -> dict[str, int]:
        """All weighted layers behind row ``row`` of an edge, with how many of their rows it takes to make it.

        ``whole``: layers start only when their whole input is there.
        """
        if edge not in self.made:
            return {}
        found: dict[str, int] = {}
        if edge in self.placed:
            item = self.placed[edge]
            found[edge] = row + 1
            behind = [(self.source(item), item.geometry.H if whole else window(item.geometry, row)[1])]
        else:
            layer = next(item for item in self.between if item.name == edge)
            behind = [(name, self.needed(layer, row, place)[1]) for place, name in enumerate(layer.inputs)]
        for name, last in behind:
            for origin, count in self.reach(name, last - 1, whole).items():
                found[origin] = max(found.get(origin, 0), count)
        return found

    def room_needed(self, item: Placed, whole: bool) -> int:
        """Output rows of a layer that must find room at once, so that what follows can go on.

        Of two ways to where they join, the shorter one's rows wait for those of the longer one.
        """
        need = 1
        for edge in self.readers:
            if edge not in self.made or item.name not in self.origins(edge, self.rows(edge) - 1):
                continue
            before = 0
            for row in range(self.rows(edge)):
                if not whole or row == self.rows(edge) - 1:
                    need = max(need, self.reach(edge, row, whole).get(item.name, 0) - (0 if whole else before))
                before = max(before, self.origins(edge, row).get(item.name, 0))
        return need


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
