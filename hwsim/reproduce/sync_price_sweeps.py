"""Where the price of synchronisation becomes large: over the barrier's latency, cores, timesteps, chips' schedulers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hwsim.reproduce.layer_sync_seen import difference
from hwsim.reproduce.sync_price_runs import (
    BARRIER,
    DONE,
    NONE,
    OUTPUT,
    TIMESTEP,
    UNTIL_OUTPUT,
    Case,
    Condition,
    Observed,
)
from hwsim.reproduce.sync_price_tables import SHORT, Column, ratio, rows
from hwsim.reproduce.target import Beside, Measured, Target

SWEPT = 20
"""Samples of a sweep."""
CHIP, NETWORK = "seneca", "sequences_rs"
LATENCIES_NS = (0, 60, 600, 6_000, 60_000)
"""Of a barrier; SENECA's with four cores is 400 ns."""
NEURONS = (128, 64, 32, 16, 8)
"""Of a core: fewer spread the network over more cores."""
MORE_CORES = ("core.count=64", "noc.rows=8", "noc.columns=8")
TIMESTEPS = (1, 2, 5, 10, 20)
SCHEDULERS = ("fifo_scheduler", "round_robin_arbiter", "random_arbiter", "layer_scheduler", "momentum_queue")
TRAINED_FOR = {"sequences_rs": "random_arbiter", "sequences_ms": "momentum_queue"}
MOMENTUM = ("scheduler.level_time=1 ns",)
COMPARED = (BARRIER, TIMESTEP, DONE, UNTIL_OUTPUT)


def targets(samples: int, make: Callable[..., Target]) -> list[Target]:
    """The sweeps; ``make`` is ``sync_price._target``."""
    count = min(samples, SWEPT)
    common: dict[str, Any] = {"architecture": CHIP, "samples": count, "workload": NETWORK}
    return [
        make("sweep-latency", f"{NETWORK} on SENECA: time with a barrier of 60 us / of 0 ns", "1",
             functools.partial(latency, Case(CHIP, NETWORK, count)), "more with each step", **common),
        make("sweep-cores", f"{NETWORK} on SENECA: barrier / none, time, 8 neurons on a core over 128 on "
             "a core", "1", functools.partial(cores, count),
             "more on the most cores than on the fewest", assumptions=(f"64 cores in all: {' '.join(MORE_CORES)}",),
             **common),
        make("sweep-timesteps", f"{NETWORK} on SENECA: barrier / none, time, 20 timesteps over 1", "1",
             functools.partial(timesteps, count), "the barrier costs time with every number of timesteps", **common),
        make("schedulers", f"{NETWORK} on SENECA: accuracy of the best scheduler over the worst, until output, F 8",
             "points", functools.partial(schedulers, samples),
             "for each network trained without layers no other scheduler is better than its own",
             architecture=CHIP, samples=samples,
             workload="sequences_layered and sequences_rs and sequences_ms",
             assumptions=("all schedulers at the price of the chip's own; a priority queue takes 1 ns a level more",)),
        make("overlap", f"{NETWORK} on SENECA: time without synchronisation, a frame each mean phase of a barrier per "
             "timestep / when quiet", "1", functools.partial(overlap, samples),
             "less, and not less accuracy, on both networks", architecture=CHIP,
             samples=samples, workload="sequences_layered and sequences_rs",
             assumptions=("until nothing is left: a stop would cut off the timestep before",)),
    ]  # fmt: skip


def _with_ratio(case: Case, label: str, conditions: Sequence[Condition]) -> list[tuple[str, Observed]]:
    return [(f"{label}, {condition.name}", case.run(condition)) for condition in conditions]


def latency(case: Case) -> Measured:
    """Time and energy over the barrier's latency: the function stays what it is."""
    made: list[tuple[str, Observed]] = []
    for nanoseconds in LATENCIES_NS:
        settings = (f"sync.latency={{1: {nanoseconds} ns}}",)
        for kind in (BARRIER, TIMESTEP):
            condition = Condition(kind.name, kind.kind, (*kind.settings, *settings))
            made.append((f"{kind.name} of {nanoseconds} ns", case.run(condition)))
    barriers = [seen for label, seen in made if label.startswith(f"{BARRIER.name} of")]
    times = [float(seen.seconds.mean()) for seen in barriers]
    made += _with_ratio(case, "reference", (DONE, UNTIL_OUTPUT))
    grows = all(a < b for a, b in pairwise(times))
    none, zero = float(case.run(DONE).seconds.mean()), times[0]
    phases = float(barriers[0].signals.mean()) / barriers[0].cores
    crossing = Beside("latency of a barrier at which it costs as much time as it takes without synchronisation", None,
                      1e9 * max(0.0, (2 * none - zero) / phases), "ns")  # fmt: skip
    return Measured(times[-1] / zero, grows, (*rows(SHORT, made), crossing))


def cores(samples: int) -> Measured:
    """The same network on more cores."""
    made, found = [], []
    for neurons in NEURONS:
        case = Case(CHIP, NETWORK, samples, (*MORE_CORES, f"core.neurons={neurons}"))
        used = case.run(BARRIER).cores
        made += _with_ratio(case, f"{used} cores", COMPARED)
        found.append(ratio(case, BARRIER, DONE, "seconds"))
    table = tuple(Beside(f"{neurons} neurons on a core, barrier / none", None, value, "1")
                  for neurons, value in zip(NEURONS, found, strict=True))  # fmt: skip
    return Measured(found[-1] / found[0], found[-1] > found[0], (*rows((*SHORT, *_IDLE), made), *table))


_IDLE: tuple[Column, ...] = (
    ("cores idle", "%", lambda seen: 100 * (1 - float(seen.core_time[:, 0].mean()))),
)  # fmt: skip


def timesteps(samples: int) -> Measured:
    """The first T timesteps of the samples."""
    made, found = [], []
    for count in TIMESTEPS:
        case = Case(CHIP, NETWORK, samples, timesteps=count)
        made += _with_ratio(case, f"{count} timesteps", COMPARED)
        found.append(ratio(case, BARRIER, DONE, "seconds"))
    table = tuple(Beside(f"T {count}, barrier / none", None, value, "1")
                  for count, value in zip(TIMESTEPS, found, strict=True))  # fmt: skip
    return Measured(found[-1] / found[0], all(value > 1 for value in found), (*rows(SHORT, made), *table))


def schedulers(samples: int) -> Measured:
    """Which waiting spikes go first, without synchronisation."""
    made, holds, spread = [], True, 0.0
    for network in ("sequences_layered", *TRAINED_FOR):
        right = {}
        for name in SCHEDULERS:
            settings = (OUTPUT, f"scheduler.class={name}", *(MOMENTUM if name == "momentum_queue" else ()))
            seen = Case(CHIP, network, samples).run(Condition(name, "none", (*settings, "core.group=8")))
            made.append((f"{network}, {name}", seen))
            right[name] = seen.right
        if network in TRAINED_FOR:
            own = right[TRAINED_FOR[network]]
            holds = holds and not any(difference([other], [own]).more for other in right.values())
        if network == NETWORK:
            means = [float(values.mean()) for values in right.values()]
            spread = max(means) - min(means)
    return Measured(100 * spread, holds, rows(SHORT, made))


def overlap(samples: int) -> Measured:
    """Frames that enter by the clock, not when all is quiet: timesteps overlap as with a barrier per timestep."""
    made: list[tuple[str, Observed]] = []
    found: list[float] = []
    holds = True
    for network in ("sequences_layered", NETWORK):
        case = Case(CHIP, network, samples)
        paced, quiet = case.run(TIMESTEP), case.run(DONE)
        period = float(paced.seconds.mean() / (paced.signals.mean() / paced.cores))
        settings = NONE.replace("}", f", input: period, period: {1e9 * period:.0f} ns}}")
        seen = case.run(Condition("none, a frame each period", "as set", (settings,)))
        made += [*_with_ratio(case, network, (TIMESTEP, DONE)), (f"{network}, none, a frame each period", seen)]
        found.append(float(seen.seconds.mean() / quiet.seconds.mean()))
        holds = holds and found[-1] < 1 and not difference([seen.right], [quiet.right]).less
    late: Column = ("late", "1", lambda seen: float(seen.late.mean()))
    return Measured(found[-1], holds, rows((*SHORT, late), made))
