"""A network's weights as the crossbars of the ISLPED 2022 study make them: solved once, read with any gain.

Source: Bhattacharjee et al., "Examining the robustness of spiking neural networks on non-ideal memristive crossbars"
(ISLPED 2022), section IV-B; what it leaves open is listed in ``islped_2022.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.machines.crossbar.mapping import Placed, plan
from hwsim.machines.crossbar.product import ProgrammedNetwork
from hwsim.machines.crossbar.programmed import ArrayModel, LayerArrays
from hwsim.network.freeze import Frozen
from hwsim.physics.devices import load_device
from hwsim.physics.encoding import WEIGHT_BITS, polarities_of, slices_of
from hwsim.physics.resistive import effective_conductance
from hwsim.profiles.prices import price_file, quantity
from hwsim.workload.model import Workload

PARTS = ("driver", "row_wire", "column_wire", "sense")
GAINS = ("off", "global", "per_column")
"""What is made up for: nothing; the mean loss of a layer; the loss of each column with all its rows on."""


def study() -> dict[str, Any]:
    """The study's set-up as plain data; quantities are still text."""
    return price_file("islped_2022")


def array_model(workload: Workload, rows: int, columns: int, *, encoding: str, gain: str = "off") -> ArrayModel:
    """Arrays of the study for a network: one cell of continuous conductance per weight and polarity, no converters.

    Raises SpecError where weights are not integers of one width.
    """
    data = study()
    ohms = [quantity(data["resistances"][part], "ohm") for part in PARTS]
    return ArrayModel(
        rows=rows,
        columns=columns,
        polarities=polarities_of(encoding),
        device=load_device(data["device"], [f"levels={data['levels']}"]),
        cell_bits=cell_bits(workload, encoding),
        resistances=(ohms[0], ohms[1], ohms[2], ohms[3]),
        terminals=data["assumed"]["terminals"]["value"],
        scheme=encoding,
        inversion=False,
        age_s=0.0,
        gain=gain,
        gated=False,
        read_noise=False,
        codes=0,
    )


def cell_bits(workload: Workload, encoding: str) -> int:
    """Bits that one cell must hold, so that the largest weight has the largest conductance. SpecError: see above."""
    widths = {layer.name: layer.weights.bits for layer in workload.weighted if layer.weights is not None}
    low, high = WEIGHT_BITS
    bits = next(iter(widths.values()))
    if set(widths.values()) != {bits} or not low <= bits <= high:
        found = ", ".join(f"{name} {width}" for name, width in widths.items())
        message = f"expected integer weights of one width from {low} to {high} bits in all layers, found {found}"
        raise SpecError(Problem(workload.name, message))
    return next(held for held in range(1, bits + 1) if slices_of(bits, held, encoding) == 1)


def placed(workload: Workload, model: ArrayModel) -> tuple[Placed, ...]:
    """The layers on arrays, rows packed as the study does. SpecError for what crossbars do not take."""
    mapping = {
        "scheme": study()["assumed"]["rows"]["value"], "encoding": model.scheme, "pes_per_tile": 1,
        "share_tiles": False, "replication": {}, "first_layer": "mapped", "linear": "mapped",
    }  # fmt: skip
    return plan(
        workload, mapping, rows=model.rows, columns=model.columns, polarities=model.polarities,
        cell_bits=model.cell_bits, layers=None, where="profile islped-2022",
    ).layers  # fmt: skip


class SolvedChip:
    """One programmed chip whose effective conductances are solved once and then read with different gains.

    ``cached``: whether they are looked for and kept in the content cache (100 MB for a vgg5).
    """

    def __init__(
        self, workload: Workload, ideal: Frozen, layers: tuple[Placed, ...], model: ArrayModel, seed: int,
        *, cached: bool = True,
    ) -> None:  # fmt: skip
        self.workload, self.ideal, self.layers, self.model, self.seed = workload, ideal, layers, model, seed
        self._first = ProgrammedNetwork(workload, ideal, layers, model, seed)
        self._first.encodings()
        for arrays in self._first.arrays.values():
            if not cached:
                arrays.solved = solve(arrays)

    def network(self, gain: str) -> ProgrammedNetwork:
        """The chip with a gain."""
        made = ProgrammedNetwork(self.workload, self.ideal, self.layers, replace(self.model, gain=gain), self.seed)
        for name, arrays in made.arrays.items():
            known = self._first.arrays[name]
            arrays.encoded, arrays.solved = known.encoded, known.solved
        return made


def solve(arrays: LayerArrays) -> np.ndarray:
    """Effective conductances [arrays, rows, columns] in S, past the cache."""
    model = arrays.model
    driver, row, column, sense = model.resistances
    return effective_conductance(arrays.stored(), driver, row, column, sense, terminals=model.terminals)


def current_lost(arrays: LayerArrays) -> float:
    """Share of the layer's column currents that parasitics take, all rows that hold weights on; gain not counted."""
    plain = replace(arrays.model, gain="off")
    ideal = plain.device.g_min_S + arrays.layout(arrays.encoded.codes) * plain.unit_S
    used = arrays.used_rows[:, :, None]
    return 1.0 - float((arrays.solved * used).sum() / (ideal * used).sum())


def weight_change(given: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """How weights [M, K] became others: their common factor (least squares), and rms of what it does not explain
    over rms of the scaled weights.
    """
    given = given.astype(np.float64)
    factor = float((given * made).sum() / (given * given).sum())
    rest = made - factor * given
    return factor, float(np.sqrt((rest * rest).sum() / (given * given).sum()) / abs(factor))


def split_change(
    weights: Mapping[str, np.ndarray], ideal: Frozen
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The two parts of what arrays did to a network's weights: its own weights times each layer's common factor, and
    ``weights`` with that factor taken out again.
    """
    shrunk, restored = {}, {}
    for name, matrix in weights.items():
        own = np.asarray(ideal.layers[name].matrix, dtype=np.float64)
        factor, _ = weight_change(own, matrix)
        shrunk[name], restored[name] = own * factor, matrix / factor
    return shrunk, restored
