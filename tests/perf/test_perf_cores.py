"""Speed and memory of machines of cores at depth ``pass``; weights follow a rule and are stored nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import neuromorphic, workload
from hwsim.components.registry import load
from hwsim.components.topology import fitting
from hwsim.kernels.core_state import ASYNCHRONOUS, PER_LAYER, Ticks
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.kernels.policies import Fifo
from hwsim.machines.neuromorphic.calendar import BARRIER, WHEN_QUIET
from hwsim.machines.neuromorphic.connect import banded
from hwsim.machines.neuromorphic.run import prepare
from hwsim.machines.neuromorphic.setup import Routing, Setup
from hwsim.machines.neuromorphic.simulate import run_sample
from hwsim.machines.neuromorphic.tables import Rules, make_chip
from hwsim.machines.request import Request

pytestmark = pytest.mark.perf
ROOT = Path(__file__).parents[2]
ORDERS = {"asynchronous": ASYNCHRONOUS, "barrier": PER_LAYER}
TICKS = Ticks(axon_in=2, lanes=8, synapse=1, update=1, idle=0, spike=2, choose=1, level=0, axon_out=2, wake=0)


def machine(layer: int, fan_out: int, cores: int, order: int, threshold: float, routed: bool = True) -> Setup:
    """Four layers of equal width, their senders' targets side by side."""
    network = banded([layer] * 5, fan_out, threshold=threshold, leak=0.9)
    first = np.linspace(0, network.neurons, cores + 1).astype(np.int64)
    chip = make_chip(network, first, TICKS, Rules(order=order, group=8, routed=routed))
    routing = None
    if routed:
        parameters = NocParameters(virtual_channels=4, buffer=4, vc="by_pair")
        routing = Routing(noc_tables(fitting("mesh", cores), parameters), 1, None)
    kind = WHEN_QUIET if order == ASYNCHRONOUS else BARRIER
    return Setup(network, chip, Fifo(), kind=kind, latency=10, channel_ticks=5, routing=routing)


def rate(setup: Setup, timesteps: int, share: float, depth: str = "pass") -> tuple[float, int]:
    """Synaptic events per second of processor time, and how many, after a run that compiles."""
    inputs = (np.random.default_rng(0).random((timesteps, setup.network.inputs)) < share).astype(int)
    run_sample(setup, inputs[:1] * 0, 1, depth=depth)
    start = time.process_time()
    made = run_sample(setup, inputs, timesteps, depth=depth)
    seconds = time.process_time() - start
    events = int(made.count("synapse").sum())
    return events / seconds, events


def report(**numbers: Any) -> None:
    """One line of JSON."""
    print(json.dumps(numbers))  # noqa: T201


@pytest.mark.parametrize("depth", ["pass", "kernel"])
@pytest.mark.parametrize("routed", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_synaptic_events_per_second(order, routed, depth):
    """The goal is 10^7 on one core at depth pass, times and network included; depth kernel beside it."""
    timesteps = 8 if depth == "pass" else 1
    found, events = rate(machine(2048, 512, 32, ORDERS[order], 2.0, routed), timesteps, 0.05, depth)
    report(test="synaptic events", order=order, noc=routed, depth=depth, events=events, per_second=round(found))
    assert depth == "kernel" or (events > 10**6 and found > 10**7)


def grown(order: str, layer: int) -> dict[str, Any]:
    """A machine of 4 x ``layer`` neurons of fan-in 1000 on 1024 cores: what it took, in this process."""
    start = time.process_time()
    setup = machine(layer, 1000, 1024, ORDERS[order], 6.0)
    built = time.process_time()
    found, events = rate(setup, 2, 0.02)
    # not ru_maxrss, which a process inherits from the one that started it
    peak = next(line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM"))
    neurons = setup.network.neurons
    return {"test": "growth", "order": order, "neurons": neurons, "synapses": neurons * 1000,
            "build_s": round(built - start, 2), "total_s": round(time.process_time() - start, 2), "events": events,
            "per_second": round(found), "peak_bytes": int(peak.split()[1]) * 1024}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_a_million_neurons_of_fan_in_a_thousand(order):
    """On 1024 cores within 8 GB, and how time and memory grow on the way there; each size in a process of its own."""
    found = []
    for layer in (25_000, 75_000, 250_000):
        code = f"from tests.perf.test_perf_cores import *; report(**grown({order!r}, {layer}))"
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(run.stdout))
        report(**found[-1])
    last = found[-1]
    assert last["neurons"] == 10**6 and last["events"] > 3 * 10**7
    assert last["per_second"] > 10**7 and last["peak_bytes"] < 8 * 10**9
    assert last["peak_bytes"] < 20 * found[0]["peak_bytes"], "ten times the neurons"


@pytest.mark.parametrize("chip", ["loihi", "seneca", "speck"])
def test_a_thousand_samples_of_sequences_on_a_chip(chip):
    """With cores, network, queues and times, under 60 s on one core. The 500 samples of the test set, twice."""
    made = prepare(load(chip), workload.load("sequences_rs"), Request(depth="pass"))
    made.record(0)
    start, totals = time.process_time(), Counter()
    for number in range(1000):
        record = run_sample(made.machine.setup, made.inputs(number % 500), made.timesteps, sample=number, depth="pass")
        totals.update(turns=len(record.turns), synaptic_events=int(record.count("synapse").sum()),
                      messages=int(record.column("messages").sum()), spikes=len(record.emitted))  # fmt: skip
    seconds = time.process_time() - start
    report(test="1000 samples of sequences_rs", chip=chip, seconds=round(seconds, 2), **totals)
    assert seconds < 60 and totals["synaptic_events"] > 10**8


@pytest.mark.parametrize("policy", ["random", "momentum"])
def test_a_thousand_samples_of_sequences_without_a_machine(policy):
    """Through ``run_many`` at F = 1 on one core."""
    net = workload.load("sequences_rs")
    made = prepare(load("seneca"), net, Request(depth="pass"))
    weights = [net.weight(layer) for layer in net.weighted]
    inputs = np.stack([made.inputs(number % 500) for number in range(1000)])
    thresholds = np.concatenate([np.full(layer.channels, layer.neuron.threshold) for layer in net.weighted])
    leak = np.concatenate([np.full(layer.channels, layer.neuron.leak) for layer in net.weighted])
    options = {"group": 1, "policy": policy, "threshold": thresholds, "leak": leak}
    neuromorphic.run_many(weights, inputs[:2], **options)
    start = time.process_time()
    counts = neuromorphic.run_many(weights, inputs, **options)
    seconds = time.process_time() - start
    spikes = int(counts.propagated.sum())
    report(test="1000 samples of sequences_rs", policy=policy, seconds=round(seconds, 2), propagated=spikes,
           per_second=round(spikes / seconds))  # fmt: skip
    assert seconds < 60 and spikes > 10**5


@pytest.mark.parametrize("kind", ["mesh", "torus"])
def test_a_chip_of_4096_routers_is_laid_out_soon(kind):
    """TrueNorth's."""
    parameters = NocParameters(virtual_channels=2, buffer=4, vc="by_pair")
    noc_tables(fitting(kind, 9), parameters)
    start = time.process_time()
    tables = noc_tables(fitting(kind, 4096), parameters)
    seconds = time.process_time() - start
    report(test="laid out", kind=kind, routers=tables.routers, seconds=round(seconds, 2))
    assert seconds < 4
