"""What it takes to write a network into its arrays: once, before any inference, and never part of its totals.

Only cells that hold a part of a weight are written (the others stay as they were formed, at high resistance). Each cell
takes the device's ``program_energy_J`` and ``program_time_s``, verification included. An array writes one cell at a
time; all arrays of the chip write at once, so the fullest one decides the time. That is the least time: a chip whose
supply cannot write all arrays at once takes longer, the energy stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.architecture.pricing import NOT_MODELLED
from hwsim.cost import standard_deviation
from hwsim.machines import Finding
from hwsim.machines.crossbar.mapping import Placed
from hwsim.units import Quantity

if TYPE_CHECKING:
    from hwsim.machines.crossbar.run import Runner

PHASE = "programming"
"""Phase of these rows: neither inference nor accuracy."""
COMPONENT, ACTION = "crossbar", "program"


def programming(runner: Runner) -> list[Finding]:
    """Rows ``programming_cells`` and ``programming_energy_J`` by layer, and one ``programming_time_s`` of the chip.

    The error is one standard deviation. Empty where ``options.programming`` is off; a number that the device's file
    says is not modelled gets no row. Works for shape tables too: cells follow from the mapping.
    """
    if not runner.machine.options["programming"]:
        return []
    model, made = runner.machine.model, []
    mapped = [placed for placed in runner.placed if not placed.digital]
    for placed in mapped:
        cells, place = written_cells(placed, model.polarities), {"layer": placed.name}
        what = {**place, "component": COMPONENT, "action": ACTION}
        made.append(Finding("programming_cells", cells, "1", what, PHASE))
        made += _priced("programming_energy_J", cells, model.device.program_energy_J, place)
    fullest = max((fullest_array(placed, model.columns, model.polarities) for placed in mapped), default=0)
    return made + _priced("programming_time_s", fullest, model.device.program_time_s, {})


def written_cells(placed: Placed, polarities: int) -> int:
    """Cells of all copies of a layer that hold a part of a weight."""
    g = placed.geometry
    return placed.copies * placed.slices * polarities * g.R * g.S * g.C * g.M


def fullest_array(placed: Placed, columns: int, polarities: int) -> int:
    """Written cells of the layer's fullest array."""
    return int(placed.rows_of_block().max()) * min(columns // polarities, placed.geometry.M) * polarities


def _priced(metric: str, count: int, each: Quantity, place: dict[str, str]) -> list[Finding]:
    if not count or each.source in ("", "none", NOT_MODELLED):
        return []
    more = {"component": COMPONENT, "action": ACTION, "error": count * standard_deviation(each), "source": each.source}
    return [Finding(metric, count * each.value, each.unit, {**place, **more}, PHASE)]
