"""Accuracy of a network on the machine, and what its samples did, as rows of the result."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwsim.machines import Finding, Progress
from hwsim.machines.neuromorphic.behaviour import Behaviour, behaviour
from hwsim.machines.neuromorphic.measures import published_operations, spike_density
from hwsim.machines.neuromorphic.received import currents_to_first_spike
from hwsim.machines.neuromorphic.record import Record
from hwsim.machines.neuromorphic.setup import Routing
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.request import simulated_set
from hwsim.network.engine import accuracy as decide
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.result import BEHAVIOUR, Accuracy

if TYPE_CHECKING:
    from hwsim.machines.neuromorphic.run import Runner

EXTRA_STEPS = (0, 1, 2, 4, 8)
_POINTS = {"minimum": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "maximum": 1.0}


def measure(runner: Runner, images: int, progress: Progress | None) -> tuple[Accuracy, list[Finding]]:
    """Accuracy over ``images`` test images, each simulated at depth ``pass``; beside it the stored network with layers
    synchronised, and the network as trained; and what the samples did."""
    samples = simulated_set(runner.workload)
    count = min(images, len(samples))
    right, seen, largest, flits, currents = 0, [], np.zeros(runner.machine.network.layers), [], []
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, count))) as pool:
        for number, made in enumerate(pool.map(lambda n: runner.record(n, "pass"), range(count))):
            if progress:
                progress(number, count, "accuracy")
            right += runner.decide(made) == int(samples.labels[number])
            seen.append(behaviour(runner.machine.setup, made))
            largest = np.maximum(largest, made.largest)
            flits.append(link_loads(runner, made))
            currents.append(currents_to_first_spike(runner.machine.setup, made))
    findings = [Finding("accuracy", right / count, "1", {"component": "machine"})]
    for name, frozen in (("layered", runner.machine.stored.frozen), ("software", _software(runner))):
        found = decide(frozen, samples, count, runner.timesteps, seed=runner.request.seed)
        findings.append(Finding("accuracy", found.fraction, "1", {"component": name}))
    findings += _spikes(runner, seen)
    findings += _distributions(runner, seen, np.concatenate(flits))
    findings += _points("currents_to_spike", np.concatenate(currents))
    findings += _times(runner, seen)
    findings += _extra_steps(runner, count)
    findings += _membranes(runner, largest)
    return Accuracy(right / count, count, "measured"), findings


def _software(runner: Runner):  # type: ignore[no-untyped-def]
    """The network as trained, before any requantisation."""
    return freeze(runner.workload, Numerics(timesteps=runner.timesteps))


def _row(metric: str, value: float, unit: str = "1", **place: object) -> Finding:
    return Finding(metric, float(value), unit, place, BEHAVIOUR)


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
    for word in ("messages", "signals", "late", "dropped"):
        yield _row(word, np.mean([getattr(sample, word) for sample in seen]))
    for name, value in zip(names, np.mean([sample.layer_busy for sample in seen], axis=0), strict=True):
        yield _row("utilisation", value, layer=name, component="core")


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


def _times(runner: Runner, seen: list[Behaviour]) -> Iterable[Finding]:
    """Where the time goes: of a sample in s, of the cores in use as shares of it."""
    tick_s = runner.architecture.technology.tick_s
    for name in vars(seen[0].elapsed):
        yield _row("elapsed", tick_s * np.mean([getattr(sample.elapsed, name) for sample in seen]), "s", action=name)
    for name in vars(seen[0].core_time):
        shares = [getattr(sample.core_time, name) / max(sample.core_time.total, 1) for sample in seen]
        yield _row("core_time", float(np.mean(shares)), component="core", action=name)


def _extra_steps(runner: Runner, count: int) -> Iterable[Finding]:
    """Accuracy with other numbers of turns after the first output spike; only where a timestep stops on output."""
    if runner.machine.setup.chip.stop:
        for steps in EXTRA_STEPS:
            right, _ = stopped_after(runner, steps, count)
            yield _row("accuracy", right / count, action=f"{steps} steps after")


def stopped_after(runner: Runner, steps: int | None, count: int) -> tuple[int, float]:
    """(samples that are right, mean time of a sample in s) of ``count`` test samples when a timestep stops ``steps``
    turns after its first output spike; None: when nothing is left. The machine must be one that stops on output."""
    setup, samples = runner.machine.setup, simulated_set(runner.workload)
    assert setup.chip.stop, "a machine that does not stop on output"
    chip = setup.chip._replace(stop=0) if steps is None else setup.chip._replace(steps_after=steps)
    changed = replace(setup, chip=chip)

    def run(number: int) -> tuple[bool, int]:
        made = run_sample(changed, runner.inputs(number), runner.timesteps, seed=runner.request.seed, sample=number,
                          depth="pass")  # fmt: skip
        return runner.decide(made) == int(samples.labels[number]), made.ticks

    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, count))) as pool:
        right, ticks = zip(*pool.map(run, range(count)), strict=True)
    return sum(right), sum(ticks) / count * runner.architecture.technology.tick_s


def link_loads(runner: Runner, made: Record) -> np.ndarray:
    """Share of the cycles in which each link carried a flit: those between routers, and those to cores."""
    routing = runner.machine.setup.routing
    if routing is None or made.flits is None:
        return np.zeros(0)
    return _loads(routing, made)[routing.tables.link[:, 0] >= 0]


def _loads(routing: Routing, made: Record) -> np.ndarray:
    """float64 [routers x ports]."""
    assert made.flits is not None
    return np.asarray(made.flits.sum(axis=2).reshape(-1) * routing.cycle_ticks / max(made.ticks, 1))


def link_loads_by_pair(runner: Runner, made: Record) -> dict[tuple[int, int], float]:
    """The same for the links between routers, by (from, to)."""
    routing = runner.machine.setup.routing
    assert routing is not None
    to, ports = routing.tables.link[:, 0], routing.tables.ports
    loads = _loads(routing, made)
    return {(at // ports, int(to[at])): float(loads[at]) for at in np.flatnonzero(to >= 0).tolist()
            if int(to[at]) != at // ports}  # fmt: skip


def _membranes(runner: Runner, largest: np.ndarray) -> Iterable[Finding]:
    """Bits that a membrane needs, in units of the smallest step of its layer's weights; and those that it has."""
    for number, layer in enumerate(runner.machine.stored.layers):
        step = runner.machine.stored.steps[layer.name]
        if largest[number] > 0 and step > 0:
            bits = 1 + math.ceil(math.log2(largest[number] / step + 1))
            yield _row("membrane_bits", bits, layer=layer.name, component="core", action="needed")
    yield _row("membrane_bits", runner.machine.parameter("core", "state_bits"), component="core", action="built")
