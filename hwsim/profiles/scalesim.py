"""Profile ``scalesim``: SCALE-Sim's stall-free counts of a dense network at one timestep, from closed forms.

DRAM counters follow the tool's buffer rule (see ``flush_buffer``) and are given where they were compared with the tool:
output stationary all three, weight stationary the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.errors import SpecError, did_you_mean
from hwsim.profiles import flush_buffer, folds
from hwsim.profiles.prices import capacity_bytes, price_file
from hwsim.profiles.result import LayerResult, ProfileResult
from hwsim.profiles.shapes import LayerShape, layer_shapes

SMALLEST_BUFFER_WORDS = 100
ARRAY: Mapping[str, str] = {"array.rows": "rows", "array.columns": "columns"}
"""Paths of an architecture that estimators of systolic arrays read -> options of ``run``."""


def array_size(data: dict[str, Any], rows: int | None, columns: int | None) -> tuple[int, int]:
    """Rows and columns of the array, the price file's where none is given; SpecError unless both are positive."""
    rows = int(data["array"]["rows"]) if rows is None else rows
    columns = int(data["array"]["columns"]) if columns is None else columns
    if rows < 1 or columns < 1:
        raise SpecError(f"array of {rows} x {columns} processing elements: both sizes must be at least 1")
    return rows, columns


class ScaleSim:
    """SCALE-Sim's accounting. Prices: none. Source of the formulas: see ``folds``."""

    name = "scalesim"
    dataflows = ("os", "ws", "is")
    reads = ARRAY
    options: Mapping[str, str] = {}
    wants = frozenset({"densities"})

    def run(
        self,
        layers: Sequence[Any],
        *,
        dataflow: str = "os",
        timesteps: int = 1,
        sparsity: float = 0.0,
        densities: Sequence[float] | None = None,
        rows: int | None = None,
        columns: int | None = None,
        padding: str = "stored",
        dram: bool = False,
        tool_artefacts: bool = False,
        ifmap_buffer_words: int | None = None,
        weight_buffer_words: int | None = None,
    ) -> ProfileResult:
        """Counts of ``layers`` (anything ``layer_shape`` takes) on ``rows`` x ``columns`` elements.

        sparsity, densities  taken and left out: the tool processes zeros like any other word
        padding  'stored': padded zeros are input words, as the tool's users give them; 'ignored': padding is dropped
        dram     also count DRAM words with the tool's buffer rule (walks every demand: about 0.1 s per layer)
        tool_artefacts  report cycles as the index of the last write, and the output-stationary ofmap writes with the
                 Ra + Ca empty cycles of every fold, as the tool prints them
        SpecError on an unknown dataflow, an empty array, several timesteps, or a buffer below 100 words.
        """
        data = price_file("scalesim")
        rows, columns = array_size(data, rows, columns)
        if dataflow not in self.dataflows:
            hint = did_you_mean(dataflow, self.dataflows, "Dataflows")
            raise SpecError(f"profile scalesim: unknown dataflow '{dataflow}'; {hint}")
        if timesteps != 1:
            raise SpecError(f"profile scalesim: the tool has no time; timesteps must be 1, not {timesteps}")
        memory = data["memory"]
        shipped = [capacity_bytes(memory[f"{operand}_buffer"]["capacity"]) for operand in ("ifmap", "weight")]
        ifmap_words = shipped[0] if ifmap_buffer_words is None else ifmap_buffer_words
        weight_words = shipped[1] if weight_buffer_words is None else weight_buffer_words
        if min(ifmap_words, weight_words) < SMALLEST_BUFFER_WORDS:
            raise SpecError(f"profile scalesim: a buffer must have at least {SMALLEST_BUFFER_WORDS} words")
        results = []
        for shape in layer_shapes(layers):
            shape = stored(shape, padding)
            counters = _counters(shape, dataflow, rows, columns, tool_artefacts)
            if dram:
                counters |= dram_counters(shape, dataflow, rows, columns, ifmap_words, weight_words)
            results.append(LayerResult(shape.name, counters))
        return ProfileResult(
            profile=self.name,
            dataflow=dataflow,
            timesteps=1,
            rows_of_array=rows,
            columns_of_array=columns,
            layers=tuple(results),
            sources={"counts": str(data["source"])},
            notes=("dense: zeros are processed", "no stalls, no energy, one timestep"),
        )


def stored(shape: LayerShape, padding: str) -> LayerShape:
    """The layer in SCALE-Sim's memory: 'stored' padding is part of the input, 'ignored' padding is dropped."""
    if padding not in ("stored", "ignored"):
        raise SpecError(f"padding must be 'stored' or 'ignored', not '{padding}'")
    return (shape.padded() if padding == "stored" else shape.unpadded()).as_scalesim()


def _counters(shape: LayerShape, dataflow: str, rows: int, columns: int, tool_artefacts: bool) -> dict[str, int]:
    """Counters of all groups, one after the other; the last write is that of the last group."""
    counts = folds.DATAFLOWS[dataflow](shape.one_group(), rows, columns)
    groups = shape.groups
    cycles = groups * counts.cycles
    last_write = cycles - counts.cycles + counts.last_write
    reported_writes = groups * (counts.ofmap_writes + counts.empty_writes)
    reported = last_write if tool_artefacts else cycles
    return {
        "folds": groups * counts.folds,
        "cycles": reported,
        "compute_cycles": reported,
        "last_write_cycle": last_write,
        "ifmap_sram_reads": groups * counts.ifmap_reads,
        "weight_sram_reads": groups * counts.weight_reads,
        "ofmap_sram_writes": reported_writes if tool_artefacts else groups * counts.ofmap_writes,
        "ofmap_sram_writes_reported": reported_writes,
    }


def dram_counters(
    shape: LayerShape, dataflow: str, rows: int, columns: int, ifmap_words: int, weight_words: int
) -> dict[str, int]:
    """DRAM words of one layer by the tool's buffer rule, where they were compared with the tool."""
    group = shape.one_group()
    if dataflow == "ws":
        return {"weight_dram_reads": shape.groups * group.K * group.M}
    if dataflow == "is":
        return {}
    limit = int(price_file("scalesim")["ofmap_flush"]["words"])
    return {
        "ifmap_dram_reads": shape.groups * flush_buffer.ifmap_misses(group, rows, columns, ifmap_words),
        "weight_dram_reads": shape.groups * flush_buffer.weight_misses(group, rows, columns, weight_words),
        "ofmap_dram_writes": shape.groups * flush_buffer.ofmap_drains(group, columns, limit),
    }
