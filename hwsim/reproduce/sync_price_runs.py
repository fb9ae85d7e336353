"""Runs behind the report on the price of synchronisation: chips, conditions, networks; what every sample did and cost.

All at depth ``pass``. Evaluations are kept for the process.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwsim.reproduce.progress import report
from hwsim.reproduce.shapes import published

if TYPE_CHECKING:
    from hwsim.machines.neuromorphic.record import Record
    from hwsim.machines.neuromorphic.run import Runner

SAMPLES = 80
NONE = "sync={class: asynchronous}"
OUTPUT = "options.stop=output"


class Condition(NamedTuple):
    """How a chip is synchronised. ``kind``: barrier, timer, none, or as set; ``settings``: what else is
    set."""

    name: str
    kind: str
    settings: tuple[str, ...] = ()


BARRIER = Condition("barrier", "barrier")
FREE = Condition("barrier, free", "barrier", tuple(published("sync_price")["free_barrier"]))
TIMESTEP = Condition("barrier per timestep", "barrier", ("sync.per=timestep",))
TIGHT = Condition("timer, tight", "timer")
REAL_TIME = Condition("timer, real time", "timer", (published("sync_price")["real_time"],))
DONE = Condition("none", "none")
UNTIL_OUTPUT = Condition("none, until output", "none", (OUTPUT,))
AFTER_8 = Condition("none, 8 turns after output", "none", (OUTPUT, "options.steps_after=8"))
GROUP_8 = Condition("none, until output, F 8", "none", (OUTPUT, "core.group=8"))
GROUP_1 = Condition("none, until output, F 1", "none", (OUTPUT, "core.group=1"))


class Case(NamedTuple):
    """One network on one chip; ``more``: settings beside the chip's own; ``timesteps``: None for the network's."""

    chip: str
    network: str
    samples: int = SAMPLES
    more: tuple[str, ...] = ()
    timesteps: int | None = None

    def run(self, condition: Condition) -> Observed:
        """What its samples did under a condition."""
        if condition == TIGHT:
            condition = condition._replace(settings=(tight_interval(self),))
        return observe(self, condition)


class Observed(NamedTuple):
    """What samples [S] did under one condition. Energies in J, times in s, counts per sample."""

    right: np.ndarray
    """1.0 where the class was found."""
    dynamic: np.ndarray
    static: np.ndarray
    sync: np.ndarray
    """Energy of barrier or timer; part of ``dynamic``."""
    seconds: np.ndarray
    working: np.ndarray
    """Time in which at least one core has a turn."""
    moving: np.ndarray
    synchronising: np.ndarray
    first_output: np.ndarray
    """Mean time from the start of a timestep to its first output spike, of timesteps that have one; else nan."""
    messages: np.ndarray
    signals: np.ndarray
    """Barriers or ticks, of all cores in use; without synchronisation stops, of all cores that get one."""
    emitted: np.ndarray
    wasted: np.ndarray
    """Spikes fired and never sent: masked by a stop, or left in a queue."""
    synapses: np.ndarray
    updates: np.ndarray
    turns: np.ndarray
    late: np.ndarray
    core_time: np.ndarray
    """[S, 6]: shares of the time of the cores in use, in the order of ``waiting.CoreTime``."""
    cores: int
    longest: int
    """Ticks of the longest phase from its start until all is done; 0 without synchronisation."""

    @property
    def energy(self) -> np.ndarray:
        """All of it."""
        return self.dynamic + self.static


def settings_of(case: Case, condition: Condition) -> tuple[str, ...]:
    """What ``--set`` would be given."""
    chip = published("sync_price")["chips"][case.chip]
    own = (*chip["chip"], *case.more)
    if condition.kind == "as set":
        return (*own, *condition.settings)
    if condition.kind == "none":
        return (*own, NONE, *condition.settings)
    if condition.kind == "barrier":
        return (*own, *chip["barrier"], *condition.settings)
    interval = condition.settings[0] if condition.settings else tight_interval(case)
    return (*own, *(text.replace("{interval}", interval) for text in chip["timer"]))


@functools.cache
def tight_interval(case: Case) -> str:
    """The shortest interval in which nothing comes late: that of the longest phase over all samples, and a few cycles
    of the routers, which phases do not begin with."""
    routing = prepared(case, TIMESTEP).machine.setup.routing
    cycle = routing.cycle_ticks if routing else 1
    ticks = case.run(TIMESTEP).longest + 1 + cycle
    while True:
        text = f"{ticks * _tick_s(case.chip) * 1e12:.0f} ps"
        if not observe(case, TIGHT._replace(settings=(text,))).late.any():
            return text
        ticks += cycle


@functools.cache
def _tick_s(chip: str) -> float:
    from hwsim.components.registry import load

    return load(chip).technology.tick_s


@functools.lru_cache(maxsize=2)  # machines take memory
def prepared(case: Case, condition: Condition) -> Runner:
    """The machine, ready for samples."""
    from hwsim.components.registry import load  # lazy: kernels
    from hwsim.machines import prepare
    from hwsim.machines.request import Request
    from hwsim.workload import load as load_workload

    spec = load(case.chip, settings_of(case, condition))
    request = Request(samples=case.samples, timesteps=case.timesteps, depth="pass")
    runner: Any = prepare(spec, load_workload(case.network), request)
    runner.check_prices()
    return runner


@functools.cache
def observe(case: Case, condition: Condition) -> Observed:
    """Run the first test samples."""
    runner = prepared(case, condition)
    rows, shares, longest = [], [], 0
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, case.samples))) as pool:
        for number, made in enumerate(pool.map(runner.record, range(case.samples))):
            report(number, case.samples, f"{case.chip}, {case.network}, {condition.name}")
            row, share, phase = _look(runner, number, made)
            rows.append(row)
            shares.append(share)
            longest = max(longest, phase)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Observed(**columns, core_time=np.array(shares), cores=runner.machine.setup.cores, longest=longest)


def _look(runner: Runner, number: int, made: Record) -> tuple[dict[str, float], list[float], int]:
    """One sample: values by field, shares of core time, longest phase in ticks."""
    from hwsim.machines.neuromorphic.behaviour import behaviour
    from hwsim.machines.neuromorphic.waiting import core_time, elapsed, phase_ends, phase_starts
    from hwsim.machines.request import simulated_set

    setup, tick_s = runner.machine.setup, runner.architecture.technology.tick_s
    did, where, spent = behaviour(setup, made), elapsed(setup, made), core_time(setup, made)
    energy = _energies(runner, number, made)
    longest = 0
    if made.phases:
        starts = phase_starts(setup, made)
        longest = int((phase_ends(setup, made, starts) - starts).max())
    row = {
        "right": float(runner.decide(made) == int(simulated_set(runner.workload).labels[number])),
        **energy,
        "seconds": made.ticks * tick_s,
        "working": where.working * tick_s,
        "moving": where.moving * tick_s,
        "synchronising": where.synchronising * tick_s,
        "first_output": float(did.first_ticks.mean()) * tick_s if len(did.first_ticks) else np.nan,
        "messages": did.messages,
        "signals": made.phases * setup.cores + int(made.column("masked").sum()) * (setup.cores - 1),
        "emitted": int(did.emitted.sum()),
        "wasted": int((did.masked + did.left).sum()),
        "synapses": did.synaptic + did.input_synaptic,
        "updates": int(made.count("update").sum()),
        "turns": len(made.turns),
        "late": did.late,
    }
    whole = max(spent.total, 1)
    return row, [value / whole for value in vars(spent).values()], longest


def _energies(runner: Runner, number: int, made: Record) -> dict[str, float]:
    """J of one sample, by the machine's own booking and prices."""
    from hwsim.activity import Activity
    from hwsim.machines.neuromorphic.run import book

    activity, prices = Activity(), runner.price_list()
    book(runner.machine, made, number, activity)
    by_part: dict[str, float] = {}
    for (_, _, _, part, action), times in activity.counts.items():
        if (part, action) not in prices.statistics:
            by_part[part] = by_part.get(part, 0.0) + times * prices.prices[part, action].value
    watts = sum(part.count * part.each.value for part in prices.leakage)
    static = watts * made.ticks * prices.tick_s
    return {"dynamic": sum(by_part.values()), "static": static, "sync": by_part.get("sync", 0.0)}
