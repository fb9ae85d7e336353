"""SCALE-Sim topologies: convolutions (name, ifmap, filter, channels, filters, stride) and products (name, M, N, K).

Format: SCALE-Sim v2 and v3, ``topology_utils``. Its layers are not connected and not padded. It rounds the output size
up, E = ceil((H - R + stride) / stride), so that the last windows may reach over the edge: such an ifmap is imported as
large as it is really read.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, SpecError
from hwsim.workload.build import read_parts
from hwsim.workload.fields import Collector, Node
from hwsim.workload.importers.tables import table_workload
from hwsim.workload.jsontext import decode, read_bytes
from hwsim.workload.model import Workload

LARGEST = 10**9
_CONV = ("ifmap height", "ifmap width", "filter height", "filter width", "channels", "num filter", "strides")
_GEMM = ("m", "n", "k")
_SPARSITY = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")


@dataclass
class _Row:
    """One line of the file: its number, its cells, and the columns that the header promises."""

    where: str
    cells: list[str]
    problems: list[Problem]

    def integer(self, column: int, name: str) -> int:
        """The cell as a positive integer."""
        text = self.cells[column] if column < len(self.cells) else ""
        if text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= LARGEST:
            return int(text)
        found = f"found '{text[:30]}'" if text else "found nothing"
        self.problems.append(Problem(self.where, f"column '{name}' must be an integer of at least 1, {found}"))
        return 1


def import_topology(path: Path, timesteps: int, density: float) -> Workload:
    """The shape workload of a topology. Raises ``SpecError`` with the line of every problem."""
    rows = _read(path)
    problems: list[Problem] = []
    convolutions = _is_convolutions(path, rows)
    layers: list[dict[str, Any]] = []
    places: list[str] = []
    notes: list[str] = []
    names: set[str] = set()
    for number, cells in rows[1:]:
        row = _Row(f"{path}:{number}", cells, problems)
        read = _convolution(row, notes) if convolutions else _product(row)
        layers.append({"name": _name(row, names), **read, "density": density, "connected": False})
        places.append(row.where)
    if not layers:
        problems.append(Problem(str(path), "has a header, but no layers"))
    if problems:
        raise SpecError(problems)
    return _workload(path, timesteps, layers, places, notes)


def _workload(
    path: Path, timesteps: int, layers: list[dict[str, Any]], places: list[str], notes: list[str]
) -> Workload:
    def locate(keys: tuple[str | int, ...], key: bool) -> str:
        return places[keys[1]] if len(keys) > 1 and isinstance(keys[1], int) else str(path)

    name = re.sub(r"[^A-Za-z0-9_.\-]", "_", path.stem).lstrip(".-") or "topology"
    training = {"imported_from": "SCALE-Sim topology"} | ({"notes": notes} if notes else {})
    about = {"schema": "", "kind": "shapes", "name": name[:100], "timesteps": timesteps}
    tree = about | {"layers": layers, "training": training}
    collector = Collector()
    parts = read_parts(collector, Node(tree, (), locate), "shapes", path.parent)
    if collector.problems:
        raise SpecError(collector.problems)
    return table_workload(parts, path)


def _read(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and cells of the lines that hold something; the empty cell after a closing comma is dropped."""
    text = decode(read_bytes(path), str(path))
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    rows = []
    try:
        for raw in reader:
            cells = [cell.strip() for cell in raw]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise SpecError(Problem(f"{path}:{reader.line_num}", f"is not CSV: {error}")) from None
    if not rows:
        raise SpecError(Problem(str(path), "the file is empty"))
    return rows


def _is_convolutions(path: Path, rows: list[tuple[int, list[str]]]) -> bool:
    """Whether the header is that of convolutions; of products otherwise."""
    number, header = rows[0]
    words = [" ".join(cell.lower().replace("_", " ").split()) for cell in header]
    if words[0].startswith("layer") and tuple(words[1:4]) == _GEMM:
        return False
    if (
        words[0].startswith("layer")
        and len(words) >= 8
        and all(_like(a, b) for a, b in zip(words[1:8], _CONV, strict=True))
    ):
        return True
    hint = f"Headers known: Layer name, {', '.join(name.title() for name in _CONV)}; or Layer, M, N, K."
    found = ", ".join(header)
    raise SpecError(Problem(f"{path}:{number}", f"is not the header of a SCALE-Sim topology: '{found[:80]}'", hint))


def _like(word: str, name: str) -> bool:
    """Whether a header cell means the column ``name``; files write 'Num Filters', 'Stride height', 'IFMAP H'."""
    first, *rest = name.split()
    return word.startswith(first.rstrip("s")) and (not rest or rest[0][0] in word.split(" ")[-1][:1])


def _convolution(row: _Row, notes: list[str]) -> dict[str, Any]:
    before = len(row.problems)
    height, width, kernel_y, kernel_x, channels, filters, stride = (
        row.integer(number, name) for number, name in enumerate(_CONV, 1)
    )
    stride_x, density = stride, 1.0
    for number in range(8, len(row.cells)):
        if number == 8 and row.cells[number].isdigit():
            stride_x = row.integer(number, "strides (width)")
        else:
            density = _sparsity(row, number)
    if len(row.problems) == before and (kernel_y > height or kernel_x > width):
        text = f"the filter of {kernel_y} x {kernel_x} is larger than the ifmap of {height} x {width}"
        row.problems.append(Problem(row.where, text))
    read = (_covered(height, kernel_y, stride), _covered(width, kernel_x, stride_x))
    if read != (height, width):
        notes.append(f"{row.cells[0]}: ifmap {height} x {width} read as {read[0]} x {read[1]}, outputs rounded up")
    return {
        "op": "conv2d", "input_shape": [channels, *read], "channels": filters, "kernel": [kernel_y, kernel_x],
        "stride": [stride, stride_x], "weight_density": density,
    }  # fmt: skip


def _covered(length: int, kernel: int, stride: int) -> int:
    """Elements that ceil((length - kernel + stride) / stride) windows reach over, at least ``length``."""
    outputs = -(-(length - kernel + stride) // stride)
    return max(length, kernel + (outputs - 1) * stride)


def _product(row: _Row) -> dict[str, Any]:
    """An M x K matrix times a K x N one: N filters of length K over M positions."""
    rows, filters, inner = (row.integer(number, name.upper()) for number, name in enumerate(_GEMM, 1))
    density = _sparsity(row, 4) if len(row.cells) > 4 else 1.0
    return {"op": "linear", "input_shape": [inner, rows], "channels": filters, "weight_density": density}


def _sparsity(row: _Row, column: int) -> float:
    """'2:4' (2 of 4 weights are kept) as a density."""
    match = _SPARSITY.fullmatch(row.cells[column])
    if match and int(match[1]) <= int(match[2]):
        return int(match[1]) / int(match[2])
    text = f"column {column + 1} must be a sparsity 'N:M' with N <= M, found '{row.cells[column][:30]}'"
    row.problems.append(Problem(row.where, text))
    return 1.0


def _name(row: _Row, taken: set[str]) -> str:
    """The layer's name in letters that rows and file names can hold; a second one of the same name gets a number."""
    plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", row.cells[0]).lstrip(".-")[:80] or "layer"
    name, number = plain, 1
    while name in taken or name == "input":
        number += 1
        name = f"{plain}_{number}"
    taken.add(name)
    return name
