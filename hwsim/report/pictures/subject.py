"""What a picture is of: a crossbar machine with a network programmed onto it, a layer, one of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.machines import prepare
from hwsim.machines.crossbar.mapping import Placed
from hwsim.machines.crossbar.programmed import LayerArrays
from hwsim.machines.crossbar.run import Runner
from hwsim.machines.request import Request
from hwsim.network.spikes import Recorded, Spikes
from hwsim.report.pictures.asked import Asked

FAMILY = "crossbar"


@dataclass(frozen=True)
class Subject(Asked):
    """A picture of crossbars; everything is found when first needed."""

    def prepared(self, *more: str) -> Runner:
        """The machine with further overrides. Raises SpecError for other families, and as a simulation would."""
        spec = self.machine(FAMILY, "spikesim", more)
        made = prepare(spec, self.network, Request(samples=self.samples, timesteps=self.timesteps, seed=self.seed))
        assert isinstance(made, Runner)
        return made

    @cached_property
    def runner(self) -> Runner:
        """The machine, made ready."""
        made = self.prepared()
        if not made.network.arrays:
            raise SpecError(Problem(self.architecture, "every layer is declared digital: there are no arrays"))
        if self.layer is not None and self.layer not in made.network.arrays:
            hint = did_you_mean(self.layer, made.network.arrays, "Layers on arrays")
            raise SpecError(Problem("--layer", f"{self.network.name} has no layer '{self.layer}' on arrays", hint))
        return made

    @cached_property
    def chosen(self) -> LayerArrays:
        """The layer asked for, or the first of those with the fullest array."""
        arrays: Mapping[str, LayerArrays] = self.runner.network.arrays
        if self.layer is not None:
            return arrays[self.layer]
        return max(arrays.values(), key=lambda layer: int(written(layer).sum(axis=(1, 2)).max()))

    @property
    def placed(self) -> Placed:
        """Where the chosen layer stands."""
        return self.chosen.placed

    def inputs(self, sample: int, name: str) -> np.ndarray:
        """Integers [T or 1, H, W, C] that a layer receives for a sample, on this chip."""
        if sample not in self._spikes:
            self._spikes[sample] = self.runner.spikes(sample)
        g = self.runner.network.placed[name].geometry
        recorded = self._spikes[sample].inputs
        assert isinstance(recorded, Recorded)
        x = recorded.channel_last(name)
        return x.reshape(len(x), g.H, g.W, g.C)

    @cached_property
    def _spikes(self) -> dict[int, Spikes]:
        return {}

    def caption(self, *more: str) -> str:
        """Architecture, workload, what else a reader must know, and the seed."""
        options = [f"--set {text}" for text in self.overrides]
        options += [f"{self.timesteps} timesteps"] if self.timesteps else []
        name = self.runner.architecture.name
        device = self.runner.machine.model.device.name
        return "; ".join([f"{self.network.name} on {name} (device {device})", *more, *options, f"seed {self.seed}"])


def written(layer: LayerArrays) -> np.ndarray:
    """bool [arrays, rows, columns]: cells that hold a part of a weight."""
    return layer.layout(np.ones(layer.encoded.codes.shape, dtype=bool))


def patches(placed: Placed, x: np.ndarray) -> np.ndarray:
    """Inputs under the kernel [T, pixels, K], K in packed order, 0 in the padding; x [T, H, W, C]."""
    g = placed.geometry
    padded = np.pad(x, ((0, 0), (g.pad_y, g.pad_y), (g.pad_x, g.pad_x), (0, 0)))
    parts = []
    for r in range(g.R):
        for s in range(g.S):
            y0, x0 = r * g.dilation_y, s * g.dilation_x
            rows = slice(y0, y0 + g.stride_y * (g.E - 1) + 1, g.stride_y)
            columns = slice(x0, x0 + g.stride_x * (g.F - 1) + 1, g.stride_x)
            parts.append(padded[:, rows, columns])
    return np.concatenate(parts, axis=3).reshape(len(x), g.E * g.F, -1)
