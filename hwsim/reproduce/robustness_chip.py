"""One chip of the robustness table: a network programmed once, read with several gains, with and without BN adaptation.

Two machines. ``islped-2022``: the published study's (``hwsim.profiles.islped_arrays``), whose network has other weights
and else exact sums. ``spikesim``: the default machine of the architecture file, whose arrays are read plane by plane by
ADCs; buffers, NoC and schedule do not touch its accuracy and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwsim.architecture import Architecture
from hwsim.components.registry import load as load_architecture
from hwsim.machines.crossbar.build import Machine, build
from hwsim.machines.crossbar.product import ArrayProduct, ProgrammedNetwork
from hwsim.machines.crossbar.programmed import ArrayModel
from hwsim.machines.request import simulated_set
from hwsim.network.adapt import adapt
from hwsim.network.deviation import deviations
from hwsim.network.engine import run_sample
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.profiles.islped_arrays import SolvedChip, array_model, current_lost, placed, split_change, weight_change
from hwsim.reproduce.measure import decisions, right
from hwsim.reproduce.robustness_analog import network_of
from hwsim.workload.model import Workload

ISLPED, SPIKESIM = "islped-2022", "spikesim"
LOSS_ALONE, RESTORED = "loss alone", "factor restored"
"""Readings of no chip, from the chip with gain off: the network's own weights times each layer's common factor; and
the chip's weights with that factor taken out. IF neurons without bias do the same with thresholds found on the chip.
"""

CAUSES = ("all", "wires", "variation")
"""What disturbs the arrays: parasitics and variation, or one of them."""

IMAGES_LOOKED_AT = 4
"""For deviations and activities."""

DEVICE_LAWS = (
    "g_min_S", "g_max_S", "levels", "variation", "programming_noise", "read_noise", "stuck_low", "stuck_high", "drift",
    "current_voltage",
)  # fmt: skip
"""What of a device decides its conductances and currents."""

Make = Callable[[Any], Frozen]
"""BN statistics (or {}) -> the network as the chip computes it."""

WeightRows = dict[str, dict[str, list[float]]]
"""Gain -> layer -> [common factor of the weights, what it leaves unexplained, share of the current lost]."""


@dataclass(frozen=True)
class Adaptation:
    """BN statistics measured again: which, on how many calibration images, at which gain."""

    gain: str
    what: str
    images: int

    @property
    def name(self) -> str:
        """Its place in a chip's numbers."""
        return f"{self.gain}, {self.what} {self.images}"


@dataclass(frozen=True)
class Job:
    """One chip and what is measured on it. ``explain``: deviations and activities too."""

    network: str
    timesteps: int
    images: int
    machine: str
    size: int
    seed: int
    gains: tuple[str, ...]
    adaptations: tuple[Adaptation, ...] = ()
    encoding: str = "differential_pair"
    cause: str = "all"
    explain: bool = False

    def key(self) -> tuple[str, ...]:
        """What decides its numbers, apart from sources."""
        net = network_of(self.network)
        parts: list[Any] = [self, net.sha256, net.data_sha256]
        if self.machine == ISLPED:
            parts.append(_identity(array_model(net, self.size, self.size, encoding=self.encoding)))
        else:
            made = build(_architecture(self.size), net, None)
            adc = made.architecture.component("adc").parameters
            mapping = sorted(made.architecture.mapping.items())
            parts += [_identity(made.model), made.numerics(self.timesteps), mapping, sorted(adc.items())]
        return tuple(repr(part) for part in parts)

    @property
    def title(self) -> str:
        """In words."""
        more = "" if self.cause == "all" else f", {self.cause} alone"
        more += "" if self.encoding == "differential_pair" else f", {self.encoding}"
        return f"{self.network} T={self.timesteps} on {self.machine} {self.size}x{self.size}, chip {self.seed}{more}"


def _identity(model: ArrayModel) -> dict[str, Any]:
    """What decides the currents of arrays; of the device neither its prices nor its texts."""
    device = {name: value for name, value in vars(model.device).items() if name in DEVICE_LAWS}
    return vars(model) | {"device": device}


def software(network: str, timesteps: int, images: int) -> dict[str, Any]:
    """Accuracy in percent over the timesteps, exact arithmetic: {'accuracy': [T]}."""
    frozen = freeze(network_of(network), Numerics(timesteps=timesteps))
    return {"accuracy": _curve(frozen, images)}


def measure(job: Job) -> dict[str, Any]:
    """The chip's numbers as plain data.

    accuracy   reading -> accuracy in percent after each timestep; readings: gains, names of adaptations, and of the
               study's first chips LOSS_ALONE and RESTORED
    weights    gain -> layer -> [common factor, residual, share of the current lost]
    activity   reading (gains, adaptations on the most images) -> layer -> mean output over that of the exact network
    deviation  the same readings -> layer -> name of a deviation -> value after each timestep
    """
    net = network_of(job.network)
    ideal = freeze(net, Numerics(timesteps=job.timesteps))
    weights, makers = (_on_islped if job.machine == ISLPED else _on_spikesim)(job, net, ideal)
    found: dict[str, Any] = {"accuracy": {}, "weights": weights, "activity": {}, "deviation": {}}
    frozen = {gain: make({}) for gain, make in makers.items()}
    for adaptation in job.adaptations:
        frozen[adaptation.name] = _adapted(adaptation, makers[adaptation.gain], job)
    for name, network in frozen.items():
        found["accuracy"][name] = _curve(network, job.images)
    if job.explain:
        most = max((adaptation.images for adaptation in job.adaptations), default=0)
        looked_at = [*job.gains, *(adaptation.name for adaptation in job.adaptations if adaptation.images == most)]
        found["activity"] = {name: _activity(frozen[name], ideal, job) for name in looked_at}
        found["deviation"] = _deviations(ideal, {name: frozen[name] for name in looked_at}, job)
    return found


def _architecture(size: int) -> Architecture:
    return load_architecture(SPIKESIM, [f"crossbar.rows={size}", f"crossbar.columns={size}"])


def _on_islped(job: Job, net: Workload, ideal: Frozen) -> tuple[WeightRows, dict[str, Make]]:
    """How the weights changed, by gain; and by reading what makes its network."""
    model = array_model(net, job.size, job.size, encoding=job.encoding)
    if job.cause == "variation":
        model = replace(model, resistances=(0.0, 0.0, 0.0, 0.0))
    elif job.cause == "wires":
        model = replace(model, device=model.device.with_variation(0.0, "none"))
    chip = SolvedChip(net, ideal, placed(net, model), model, job.seed, cached=False)
    rows, made = {}, {}
    for gain in job.gains:
        network = chip.network(gain)
        made[gain] = network.weights()
        rows[gain] = _weight_rows(network, made[gain], ideal)
    if job.explain and "off" in made:
        made[LOSS_ALONE], made[RESTORED] = split_change(made["off"], ideal)
    return rows, {name: _with_weights(net, job.timesteps, weights) for name, weights in made.items()}


def _on_spikesim(job: Job, net: Workload, ideal: Frozen) -> tuple[WeightRows, dict[str, Make]]:
    machine = build(_architecture(job.size), net, None)
    adc = machine.architecture.component("adc").parameters
    chip = SolvedChip(net, ideal, machine.plan.layers, machine.model, job.seed, cached=False)
    rows, makers = {}, {}
    for gain in job.gains:
        network = chip.network(gain)
        rows[gain] = _weight_rows(network, network.weights(), ideal)
        samples = net.samples("calibration")
        numerics = machine.numerics(job.timesteps)
        ranges = network.ranges(samples, adc["calibration_images"], adc["quantile"], numerics)
        makers[gain] = _with_products(machine, net, job.timesteps, network.products(ranges))
    return rows, makers


def _with_products(machine: Machine, net: Workload, timesteps: int, products: dict[str, ArrayProduct]) -> Make:
    return lambda statistics: freeze(net, machine.numerics(timesteps, products=products, statistics=statistics))


def _with_weights(net: Workload, timesteps: int, weights: Mapping[str, np.ndarray]) -> Make:
    return lambda statistics: freeze(net, Numerics(timesteps=timesteps, weights=weights, statistics=statistics))


def _curve(frozen: Frozen, images: int) -> list[float]:
    outputs, labels = decisions(frozen, images)
    return [right(outputs[:, t], labels) for t in range(outputs.shape[1])]


def _weight_rows(
    network: ProgrammedNetwork, weights: Mapping[str, np.ndarray], ideal: Frozen
) -> dict[str, list[float]]:
    return {
        name: [*weight_change(ideal.layers[name].matrix, weights[name]), current_lost(arrays)]
        for name, arrays in network.arrays.items()
    }


def _adapted(adaptation: Adaptation, make: Make, job: Job) -> Frozen:
    samples = network_of(job.network).samples("calibration")
    return make(adapt(make, samples, adaptation.images, adaptation.what, timesteps=job.timesteps, seed=job.seed))


def _activity(frozen: Frozen, ideal: Frozen, job: Job) -> dict[str, float]:
    """By layer, mean output (spikes, activations) over that of the exact network; the output layer is left out."""
    sums: dict[str, list[float]] = {}
    samples = simulated_set(frozen.workload)
    for number in range(IMAGES_LOOKED_AT):
        for place, network in enumerate((frozen, ideal)):
            spikes = run_sample(network, samples, number, job.timesteps)
            for layer in frozen.workload.weighted[:-1]:
                sums.setdefault(layer.name, [0.0, 0.0])[place] += float(np.mean(spikes.outputs[layer.name]))
    return {name: chip / exact if exact else 0.0 for name, (chip, exact) in sums.items()}


def _deviations(ideal: Frozen, frozen: Mapping[str, Frozen], job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {}
    samples = simulated_set(ideal.workload)
    for row in deviations(ideal, frozen, samples, IMAGES_LOOKED_AT, timesteps=job.timesteps):
        values = found.setdefault(row.cause, {}).setdefault(row.layer, {})
        for name, value in row._asdict().items():
            if name not in ("cause", "layer", "timestep"):
                known = value is not None and np.isfinite(value)
                values.setdefault(name, []).append(value if known else None)
    return found
