"""Accuracy of a network on the machine, and what its samples did, as rows of the result."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hwsim.machines import Finding, Progress
from hwsim.machines.neuromorphic.behaviour import Behaviour, behaviour
from hwsim.machines.neuromorphic.measures import published_operations, spike_density
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.request import simulated_set
from hwsim.network.engine import accuracy as decide
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.result import Accuracy

if TYPE_CHECKING:
    from hwsim.machines.neuromorphic.run import Runner

PHASE = "behaviour"
_POINTS = {"minimum": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "maximum": 1.0}


def measure(runner: Runner, images: int, progress: Progress | None) -> tuple[Accuracy, list[Finding]]:
    """Accuracy over ``images`` test images, each simulated at depth ``pass``; beside it the stored network with layers
    synchronised, and the network as trained; and what the samples did."""
    samples = simulated_set(runner.workload)
    count = min(images, len(samples))
    right, seen, largest, flits = 0, [], np.zeros(runner.machine.network.layers), []
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, count))) as pool:
        for number, made in enumerate(pool.map(lambda n: runner.record(n, "pass"), range(count))):
            if progress:
                progress(number, count, "accuracy")
            right += runner.decide(made) == int(samples.labels[number])
            seen.append(behaviour(runner.machine.setup, made))
            largest = np.maximum(largest, made.largest)
            flits.append(_link_loads(runner, made))
    findings = [Finding("accuracy", right / count, "1", {"component": "machine"})]
    for name, frozen in (("layered", runner.machine.stored.frozen), ("software", _software(runner))):
        found = decide(frozen, samples, count, runner.timesteps, seed=runner.request.seed)
        findings.append(Finding("accuracy", found.fraction, "1", {"component": name}))
    findings += _spikes(runner, seen)
    findings += _distributions(runner, seen, np.concatenate(flits))
    findings += _membranes(runner, largest)
    return Accuracy(right / count, count, "measured"), findings


def _software(runner: Runner):  # type: ignore[no-untyped-def]
    """The network as trained, before any requantisation."""
    return freeze(runner.workload, Numerics(timesteps=runner.timesteps))


def _row(metric: str, value: float, unit: str = "1", **place: object) -> Finding:
    return Finding(metric, float(value), unit, place, PHASE)


def _spikes(runner: Runner, seen: list[Behaviour]) -> Iterable[Finding]:
    """Means per sample: spikes by layer, density, synaptic operations, messages."""
    names = [layer.name for layer in runner.machine.stored.layers]
    for word in ("emitted", "propagated", "masked", "left"):
        each = np.mean([getattr(sample, word) for sample in seen], axis=0)
        yield from (_row(f"spikes_{word}", value, layer=name) for name, value in zip(names, each, strict=True))
    sizes = np.diff(runner.machine.network.first).tolist()
    density = spike_density(np.array([sample.spikes for sample in seen]), sizes)
    if math.isfinite(density):
        yield _row("spike_density", density)
        yield _row("synaptic_operations", published_operations(density, sizes), action="as published")
    yield _row("synaptic_operations", float(np.mean([sample.synaptic for sample in seen])), action="spikes")
    yield _row("synaptic_operations", float(np.mean([sample.input_synaptic for sample in seen])), action="input")
    for word in ("messages", "late", "dropped"):
        yield _row(word, np.mean([getattr(sample, word) for sample in seen]))


def _points(metric: str, values: np.ndarray, unit: str = "1", **place: object) -> Iterable[Finding]:
    """Least, quartiles, largest; and the mean."""
    if values.size:
        yield _row(metric, values.mean(), unit, action="mean", **place)
        for name, share in _POINTS.items():
            yield _row(metric, np.quantile(values, share), unit, action=name, **place)


def _distributions(runner: Runner, seen: list[Behaviour], flits: np.ndarray) -> Iterable[Finding]:
    """Over timesteps and samples: steps, latencies, queues; over cores: utilisation; over links: load."""
    tick_s = runner.architecture.technology.tick_s

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([np.ravel(getattr(sample, name)) for sample in seen])

    busiest = np.concatenate([sample.steps.max(axis=1) for sample in seen])
    if runner.machine.sync != "asynchronous":  # a timestep takes one phase per layer
        busiest = np.full_like(busiest, runner.machine.network.layers)
    yield from _points("forward_steps", busiest)
    yield from _points("spikes_to_output", all_of("first_spikes"))
    yield from _points("steps_to_output", all_of("first_steps"))
    yield from _points("time_to_output", all_of("first_ticks") * tick_s, "s")
    yield from _points("sample_latency", np.array([sample.ticks for sample in seen]) * tick_s, "s")
    yield from _points("queue_length", all_of("spike_queue"), component="scheduler")
    yield from _points("queue_length", all_of("input_queue"), component="core")
    yield from _points("utilisation", all_of("utilisation"), component="core")
    yield from _points("link_load", flits, component="link")


def _link_loads(runner: Runner, made: Record) -> np.ndarray:
    """Share of the cycles in which each link between routers carried a flit."""
    routing = runner.machine.setup.routing
    if routing is None or made.flits is None:
        return np.zeros(0)
    used = routing.tables.link[:, 0] >= 0
    return made.flits.sum(axis=2).reshape(-1)[used] * routing.cycle_ticks / max(made.ticks, 1)


def _membranes(runner: Runner, largest: np.ndarray) -> Iterable[Finding]:
    """Bits that a membrane needs, in units of the smallest step of its layer's weights; and those that it has."""
    for number, layer in enumerate(runner.machine.stored.layers):
        step = runner.machine.stored.steps[layer.name]
        if largest[number] > 0 and step > 0:
            bits = 1 + math.ceil(math.log2(largest[number] / step + 1))
            yield _row("membrane_bits", bits, layer=layer.name, component="core", action="needed")
    yield _row("membrane_bits", runner.machine.parameter("core", "state_bits"), component="core", action="built")
