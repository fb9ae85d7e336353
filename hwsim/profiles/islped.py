"""Profile ``islped-2022``: accuracy of a network whose weights are the effective conductances of programmed crossbars.

An accounting without energy and time, as in the study: weights go onto arrays, parasitics and device variation change
them, the changed weights run in exact arithmetic. Chips differ by their seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.machines.request import simulated_set
from hwsim.network.adapt import WHAT, adapt
from hwsim.network.deviation import deviations
from hwsim.network.engine import accuracy
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.physics.encoding import SCHEMES
from hwsim.profiles.islped_arrays import GAINS, SolvedChip, array_model, current_lost, placed, study, weight_change
from hwsim.profiles.result import LayerResult, ProfileResult, ProfileRow
from hwsim.result import Accuracy
from hwsim.workload.model import Workload

DEVIATION_IMAGES = 4
"""Images over which the deviations of the first chip are averaged."""

NOTES = (
    "no energy, time or area: the study gives none; the accuracy is all that this accounting has",
    "weights become conductances, exact effective conductances become weights; sums, BN and neurons are exact",
    "no converters, no read noise: every timestep sees the same wrong weights",
)


class Islped:
    """The study's accounting. Settings: ``islped_2022.yaml``. Source: Bhattacharjee et al., ISLPED 2022."""

    name = "islped-2022"
    dataflows = ("inference",)
    reads: Mapping[str, str] = {"crossbar.rows": "rows", "crossbar.columns": "columns"}
    options: Mapping[str, str] = {
        "gain": f"{', '.join(GAINS)}: how much of the lost current is made up for",
        "encoding": f"{', '.join(SCHEMES)}: how cells hold signed weights",
        "chips": "an integer: programmed chips over which the accuracy is averaged",
        "adapt": "an integer: calibration images on which the statistics of BN are measured again; 0: none",
        "adapt_what": f"{' or '.join(WHAT)}: which statistics",
    }
    wants = frozenset({"network"})

    def run(
        self,
        layers: Sequence[Any],
        *,
        dataflow: str = "inference",
        timesteps: int = 1,
        rows: int | None = None,
        columns: int | None = None,
        network: Workload | None = None,
        images: int = 100,
        seed: int = 0,
        gain: str | None = None,
        encoding: str | None = None,
        chips: int | str = 1,
        adapt: int | str = 0,
        adapt_what: str = "mean",
    ) -> ProfileResult:
        """Accuracy of ``network`` over the first ``images`` test images, chip by chip from ``seed`` on.

        rows, columns  of the arrays (default 64); the other settings as in ``options``
        SpecError without a whole network of integer weights, and on an unknown option.
        """
        if dataflow not in self.dataflows:
            raise SpecError(f"profile {self.name} has one dataflow, 'inference', not '{dataflow}'")
        if network is None or network.kind != "network" or len(layers) != len(network.weighted):
            raise SpecError(f"profile {self.name} measures the accuracy of a whole network with weights")
        data = study()
        gain = _chosen("gain", data["assumed"]["gain"]["value"] if gain is None else gain, GAINS)
        encoding = data["assumed"]["encoding"]["value"] if encoding is None else encoding
        _chosen("encoding", encoding, SCHEMES)
        _chosen("adapt_what", adapt_what, WHAT)
        size = (
            data["array"]["rows"] if rows is None else rows,
            data["array"]["columns"] if columns is None else columns,
        )
        model = array_model(network, *size, encoding=encoding)
        measured = _Measurement(network, timesteps, seed, max(images, 0), _whole("adapt", adapt, 0), adapt_what)
        where = placed(network, model)
        for number in range(seed, seed + _whole("chips", chips, 1)):
            measured.add(SolvedChip(network, measured.ideal, where, model, number), gain)
        shown = [LayerResult(layer.name, {}) for layer in network.weighted]
        return ProfileResult(
            profile=self.name, dataflow=dataflow, timesteps=timesteps, rows_of_array=size[0],
            columns_of_array=size[1], layers=tuple(shown), sources={"counts": data["source"]},
            notes=(*NOTES, *_assumed(data, gain, encoding), *measured.notes), accuracy=measured.result(),
            findings=tuple(measured.findings),
        )  # fmt: skip


class _Measurement:
    """What is measured chip by chip."""

    def __init__(
        self, network: Workload, timesteps: int, seed: int, images: int, adapt_images: int, what: str
    ) -> None:  # fmt: skip
        self.network, self.timesteps, self.seed = network, timesteps, seed
        self.what, self.adapt_images = what, adapt_images
        self.ideal = freeze(network, Numerics(timesteps=timesteps))
        self.samples = simulated_set(network)
        self.images = min(images, len(self.samples))
        self.findings: list[ProfileRow] = []
        self.notes: list[str] = []
        self.shares: list[float] = []
        if self.images:
            self._keep("software", self._decide(self.ideal))

    def add(self, chip: SolvedChip, gain: str) -> None:
        """Measure one chip; of the first one also what explains its accuracy."""
        programmed = chip.network(gain)
        weights = programmed.weights()
        plain = freeze(self.network, Numerics(timesteps=self.timesteps, weights=weights))
        frozen = self._adapted(weights, chip.seed) if self.adapt_images else plain
        if not self.shares:
            for name, arrays in programmed.arrays.items():
                factor, rest = weight_change(self.ideal.layers[name].matrix, weights[name])
                self._row("current_lost", current_lost(arrays), name, "chip")
                self._row("weight_factor", factor, name, "chip")
                self._row("weight_residual", rest, name, "chip")
            self._deviations({"chip": frozen} | ({"not adapted": plain} if self.adapt_images else {}))
        if self.images:
            if not self.shares and self.adapt_images:
                self._keep("not adapted", self._decide(plain))
            self.shares.append(self._decide(frozen))
            self._keep(f"chip {chip.seed}", self.shares[-1])

    def result(self) -> Accuracy | None:
        """Mean over chips."""
        if not self.shares:
            return None
        spread = float(np.std(self.shares, ddof=1)) if len(self.shares) > 1 else 0.0
        self._row("accuracy_spread", spread)
        return Accuracy(float(np.mean(self.shares)), self.images, "measured")

    def _adapted(self, weights: Mapping[str, np.ndarray], seed: int) -> Frozen:
        sets = self.network.sample_sets
        samples = self.network.samples("calibration" if "calibration" in sets else next(iter(sets)))

        def made(statistics: Any) -> Frozen:
            return freeze(self.network, Numerics(timesteps=self.timesteps, weights=weights, statistics=statistics))

        return made(adapt(made, samples, self.adapt_images, self.what, timesteps=self.timesteps, seed=seed))

    def _decide(self, frozen: Frozen) -> float:
        return accuracy(frozen, self.samples, self.images, self.timesteps, seed=self.seed).fraction

    def _deviations(self, networks: Mapping[str, Frozen]) -> None:
        count = min(DEVIATION_IMAGES, self.images)
        if not count:
            return
        for row in deviations(self.ideal, networks, self.samples, count, timesteps=self.timesteps, seed=self.seed):
            values = {"deviation_current": row.current, "deviation_membrane": row.membrane,
                      "deviation_output": row.output, "current_mean": row.hardware_mean}  # fmt: skip
            for metric, value in values.items():
                if value is not None and np.isfinite(value):
                    self._row(metric, value, row.layer, row.cause, row.timestep)

    def _keep(self, what: str, share: float) -> None:
        self._row("accuracy", share, "", what)

    def _row(self, metric: str, value: float, layer: str = "", component: str = "", t: int | None = None) -> None:
        self.findings.append(ProfileRow(layer, component, "", metric, value, "1", "", t))


def _chosen(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        hint = did_you_mean(str(value), allowed, f"Values of {name}")
        raise SpecError(f"profile islped-2022: unknown {name} '{value}'; {hint}")
    return value


def _whole(name: str, value: int | str, least: int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if number < least:
        raise SpecError(f"profile islped-2022: {name} must be a whole number of at least {least}, not '{value}'")
    return number


def _assumed(data: Mapping[str, Any], gain: str, encoding: str) -> list[str]:
    """What the study does not tell."""
    notes = [
        f"not told by the study, {name}: {entry['note']} ({entry['value']})"
        for name, entry in data["assumed"].items()
        if name not in ("gain", "encoding")
    ]
    made_up = {"off": "nothing is made up for", "global": "one factor per layer", "per_column": "one factor per column"}
    return [*notes, f"not told by the study, encoding of signed weights: {encoding}",
            f"not told by the study, gain of what is lost: {gain} ({made_up[gain]})"]  # fmt: skip
