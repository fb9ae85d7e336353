"""What a picture of cores is of: a neuromorphic machine with a network on it, and what its samples did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.machines import prepare
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.run import Runner
from hwsim.machines.request import Request
from hwsim.report.pictures.asked import Asked

FAMILY = "neuromorphic"


@dataclass(frozen=True)
class CoreSubject(Asked):
    """A picture of cores."""

    def prepared(self, *more: str) -> Runner:
        """The machine with further overrides. Raises SpecError for other families, and as a simulation would."""
        spec = self.machine(FAMILY, "seneca, loihi, speck, ... (hwsim list architectures)", more)
        made = prepare(spec, self.network, Request(self.samples, self.timesteps, None, "pass", False, self.seed))
        assert isinstance(made, Runner)
        names = [layer.name for layer in made.machine.stored.layers]
        if self.layer is not None and self.layer not in names:
            hint = did_you_mean(self.layer, names, "Layers")
            raise SpecError(Problem("--layer", f"{made.workload.name} has no layer '{self.layer}'", hint))
        return made

    def records(self, runner: Runner) -> Iterator[Record]:
        """What the samples did, at depth ``pass``."""
        with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, self.samples))) as pool:
            for number, made in enumerate(pool.map(runner.record, range(self.samples))):
                self.say(number, self.samples, "samples")
                yield made

    def caption(self, runner: Runner, *more: str, count: str | None = None) -> str:
        """Architecture, workload, synchronisation, how many samples, what else a reader must know, and the seed."""
        count = count or (f"{self.samples} samples" if self.samples > 1 else "sample 0")
        options = [f"--set {text}" for text in self.overrides]
        options += [f"{self.timesteps} timesteps"] if self.timesteps else []
        head = f"{runner.workload.name} on {runner.architecture.name}, sync: {runner.machine.sync}"
        return "; ".join([head, count, *more, *options, f"seed {self.seed}"])


def held_layers(runner: Runner) -> list[str]:
    """Names of the layers that each mapped core holds, joined."""
    part, names = runner.machine.setup.chip.part[:-1], [layer.name for layer in runner.machine.stored.layers]
    return [", ".join(names[layer] for layer in np.unique(part[part[:, 0] == core, 1]))
            for core in range(runner.machine.setup.cores)]  # fmt: skip


__all__ = ["CoreSubject", "held_layers"]
