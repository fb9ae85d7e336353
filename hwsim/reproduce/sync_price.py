"""The price of synchronisation (Koopman et al., TMLR 2025): one network on one chip under barrier, timer and none.

The paper says in words that synchronised chips pay in latency and energy; it measures neither. So every target here is
a statement, asked of four chips with the shipped networks, with everything that was measured beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from hwsim.reproduce import sync_price_sweeps as sweeps
from hwsim.reproduce.layer_sync_seen import ERRORS, PERCENT, difference
from hwsim.reproduce.shapes import published
from hwsim.reproduce.sync_price_runs import (
    AFTER_8,
    BARRIER,
    DONE,
    FREE,
    GROUP_1,
    GROUP_8,
    REAL_TIME,
    SAMPLES,
    TIGHT,
    TIMESTEP,
    UNTIL_OUTPUT,
    Case,
    Condition,
)
from hwsim.reproduce.sync_price_tables import (
    ACCURACY,
    CORES,
    ENERGY,
    MESSAGES,
    SHORT,
    TIME,
    Column,
    apart,
    ratio,
    rows,
    runs_of,
    steps,
)
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

NETWORKS = ("sequences_layered", "sequences_rs", "sequences_ms", "events_digits_layered", "events_digits_rs")
ASYNCHRONOUS = ("sequences_rs", "sequences_ms", "events_digits_rs")
"""Trained to run without synchronisation."""
FEWER = ("sequences_layered", "sequences_rs", "events_digits_layered", "events_digits_rs")
"""Networks of chips that are asked less."""
PAIRS = (("sequences_layered", "sequences_rs"), ("events_digits_layered", "events_digits_rs"))
SHOWN = "sequences_rs"
CONDITIONS = (BARRIER, TIMESTEP, TIGHT, DONE, AFTER_8, UNTIL_OUTPUT, GROUP_8)
EVERY = (BARRIER, FREE, TIMESTEP, TIGHT, REAL_TIME, DONE, AFTER_8, UNTIL_OUTPUT, GROUP_8, GROUP_1)
"""Conditions of two networks on one chip, to save time."""
LADDER = (BARRIER, FREE, DONE, AFTER_8, UNTIL_OUTPUT, GROUP_8)
NOTHING = Tolerance("absolute", 0.0)
RULE = "more or less counts from two standard errors of the difference on, paired by sample"
COST = "section 2 and appendix A.11"


def conditions_of(case: Case) -> tuple[Condition, ...]:
    """The conditions that tables have of a network on a chip."""
    return EVERY if case.chip == "seneca" and case.network in PAIRS[0] else CONDITIONS


def networks_of(chip: str) -> tuple[str, ...]:
    """The networks that a chip is asked with."""
    return NETWORKS if chip == "seneca" else FEWER


def targets(samples: int = SAMPLES) -> list[Target]:
    """Four statements for each chip; then those on all chips, the parts of the price, sweeps."""
    made = []
    for chip in published("sync_price")["chips"]:
        cases = tuple(Case(chip, network, samples) for network in networks_of(chip))
        made += [_chip_target(chip, cases, *statement) for statement in STATEMENTS]
    chips = published("sync_price")["chips"]
    whole = tuple(Case(chip, network, samples) for chip in chips for network in networks_of(chip))
    return [*made, *(_whole_target(whole, *statement) for statement in WHOLE), *sweeps.targets(samples, _target)]


def _target(name: str, what: str, unit: str, run: Callable[[], Measured], rule: str, **more: Any) -> Target:
    samples = more.pop("samples", SAMPLES)
    return Target(
        f"sync-price.{name}", published("sync_price")["paper"], more.pop("place", COST), what, None, unit, NOTHING, run,
        options=more.pop("options", f"--depth pass, {samples} test samples"), quick=False,
        assumptions=(f"trend: {rule}", *more.pop("assumptions", ())), **more,
    )  # fmt: skip


def _chip_target(chip: str, cases: tuple[Case, ...], name: str, what: str, unit: str, ask: Ask, rule: str) -> Target:
    data = published("sync_price")["chips"][chip]
    return _target(
        f"{name}.{chip}", f"{data['name']}: {what}", unit, functools.partial(ask, cases), rule, architecture=chip,
        samples=cases[0].samples, workload=" and ".join(case.network for case in cases),
        assumptions=(f"the paper's table 5 has it as {data['said']}; what it does not have is assumed",
                     f"settings: {' '.join(data['chip']) or 'none'}", RULE),
    )  # fmt: skip


def _whole_target(cases: tuple[Case, ...], name: str, what: str, unit: str, ask: Ask, rule: str) -> Target:
    return _target(name, what, unit, functools.partial(ask, cases), rule, samples=cases[0].samples,
                   architecture=cases[0].chip, workload=" and ".join(NETWORKS), assumptions=(RULE,))  # fmt: skip


def _table(cases: Sequence[Case], columns: Sequence[Column]) -> tuple[Beside, ...]:
    return rows(columns, [run for case in cases for run in runs_of(case, conditions_of(case))])


def _chosen(cases: Sequence[Case], network: str = SHOWN) -> Case:
    return next(case for case in cases if case.network == network)


def _among(cases: Sequence[Case], networks: Sequence[str] = ASYNCHRONOUS) -> list[Case]:
    return [case for case in cases if case.network in networks]


# --- one chip --------------------------------------------------------------------------------------------------------


def latency(cases: Sequence[Case]) -> Measured:
    """Time of a sample, barrier over none."""
    holds = all(apart(case, BARRIER, DONE, "seconds").more for case in _among(cases))
    return Measured(ratio(_chosen(cases), BARRIER, DONE, "seconds"), holds, _table(cases, TIME))


def energy(cases: Sequence[Case]) -> Measured:
    """Energy of a sample, barrier over none."""
    holds = all(apart(case, BARRIER, DONE, "energy").more for case in _among(cases))
    ratios = {name: ratio(_chosen(cases), BARRIER, DONE, name) for name in ("energy", "dynamic", "static")}
    more = [Beside(f"{name}, barrier / none", None, value, "1") for name, value in ratios.items()]
    return Measured(ratios["energy"], holds, (*_table(cases, ENERGY), *more[1:]))


def accuracy(cases: Sequence[Case]) -> Measured:
    """Accuracy without synchronisation over that of the same network with a barrier, in points."""
    lost = [apart(case, DONE, BARRIER, "right") for case in _among(cases)]
    value = apart(_chosen(cases), DONE, BARRIER, "right").mean
    return Measured(PERCENT * value, not any(one.less for one in lost), _table(cases, ACCURACY))


def deployment(cases: Sequence[Case]) -> Measured:
    """The paper's choice: a layered network with barriers, or one trained for it without: energy of one over other."""
    ratios, holds, made = [], True, list[tuple[str, Any]]()
    for layered, own in PAIRS:
        one, other = _chosen(cases, layered).run(BARRIER), _chosen(cases, own).run(DONE)
        ratios.append(float(one.energy.mean() / other.energy.mean()))
        saved = [difference([getattr(one, name)], [getattr(other, name)]).more for name in ("energy", "seconds")]
        holds = holds and all(saved) and not difference([other.right], [one.right]).less
        made += runs_of(_chosen(cases, layered), (BARRIER,))
        made += runs_of(_chosen(cases, own), (DONE, AFTER_8, UNTIL_OUTPUT, GROUP_8))
    return Measured(ratios[0], holds, rows(SHORT, made))


Ask = Callable[[tuple[Case, ...]], Measured]
STATEMENTS: tuple[tuple[str, str, str, Any, str], ...] = (
    ("latency", f"time of a sample of {SHOWN}, barrier after each layer / none", "1", latency,
     "longer with the barrier, on each network trained without layers"),
    ("energy", f"energy of a sample of {SHOWN}, barrier after each layer / none", "1", energy,
     "more with the barrier, on each network trained without layers"),
    ("accuracy", f"accuracy of {SHOWN} without synchronisation over its own with the barrier",
     "points", accuracy, "none of the networks trained without layers loses"),
    ("deployment", "energy of sequences_layered with the barrier / of sequences_rs without", "1",
     deployment, "on both data sets less energy and less time without synchronisation, and not less accuracy"),
)  # fmt: skip


# --- all chips -------------------------------------------------------------------------------------------------------


def _by_chip(cases: Sequence[Case]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.chip, []).append(case)
    return found


def _shown_on(chip: str, cases: Sequence[Case]) -> list[tuple[str, Any]]:
    case = _chosen(cases)
    return [(f"{chip}, {label}", seen) for label, seen in runs_of(case, conditions_of(case))]


def messages(cases: Sequence[Case]) -> Measured:
    """Messages of spikes and signals together, barrier over none, on the first chip."""
    ratios, made = [], []
    for chip, own in _by_chip(cases).items():
        case = _chosen(own)
        one, other = case.run(BARRIER), case.run(DONE)
        ratios.append(float((one.messages + one.signals).mean() / (other.messages + other.signals).mean()))
        made += _shown_on(chip, own)
    return Measured(ratios[0], all(value > 1 for value in ratios), rows(MESSAGES, made))


def idle(cases: Sequence[Case]) -> Measured:
    """Share of the time in which cores in use have no turn, barrier minus none, on the first chip."""
    apart_, made = [], []
    for chip, own in _by_chip(cases).items():
        case = _chosen(own)
        one, other = (case.run(condition).core_time[:, 0] for condition in (BARRIER, DONE))
        apart_.append(difference([other], [one]))
        made += _shown_on(chip, own)
    return Measured(PERCENT * apart_[0].mean, all(one.more for one in apart_), rows(CORES, made))


def timer(cases: Sequence[Case]) -> Measured:
    """Time with the tightest timer over that with a barrier per timestep, on the first chip."""
    shown = [_chosen(own) for own in _by_chip(cases).values()]
    made = tuple(Beside(f"{case.chip}, {case.network}: {condition.name}", None,
                        1e6 * float(case.run(condition).seconds.mean()), "us")
                 for case in cases for condition in (TIMESTEP, TIGHT, BARRIER))  # fmt: skip
    holds = all(apart(case, TIGHT, TIMESTEP, "seconds").more for case in cases)
    return Measured(ratio(shown[0], TIGHT, TIMESTEP, "seconds"), holds, made)


def pipelined(cases: Sequence[Case]) -> Measured:
    """Time with a barrier per timestep over that without synchronisation, on the first chip."""
    trained = _among(cases)
    values = [ratio(case, TIMESTEP, DONE, "seconds") for case in trained]
    made = tuple(row for case, value in zip(trained, values, strict=True) for row in (
        Beside(f"{case.chip}, {case.network}: time", None, value, "1"),
        Beside(f"{case.chip}, {case.network}: energy", None, ratio(case, TIMESTEP, DONE, "energy"), "1"),
        Beside(f"{case.chip}, {case.network}: first output of a timestep", None,
               ratio(case, TIMESTEP, DONE, "first_output"), "1")))  # fmt: skip
    holds = all(apart(case, TIMESTEP, DONE, "seconds").more for case in trained)
    return Measured(ratio(_chosen(cases), TIMESTEP, DONE, "seconds"), holds, made)


def parts(cases: Sequence[Case]) -> Measured:
    """Share of signalling in what the barrier costs, on the first chip; each step from the barrier to none."""
    shares, waiting, made = [], [], []
    for chip, own in _by_chip(cases).items():
        case = _chosen(own)
        whole = apart(case, BARRIER, DONE, "energy").mean
        shares.append(apart(case, BARRIER, FREE, "energy").mean / whole)
        waiting.append(apart(case, FREE, DONE, "energy").more)
        made += list(steps(case, LADDER, chip))
    return Measured(PERCENT * shares[0], all(waiting), tuple(made))


WHOLE: tuple[tuple[str, str, str, Any, str], ...] = (
    ("messages", f"{SHOWN} on SENECA: messages and signals, barrier / none", "1", messages,
     "more with the barrier on every chip"),
    ("idle", f"{SHOWN} on SENECA: time in which cores in use have no turn, barrier over none", "points",
     idle, "more with the barrier on every chip"),
    ("timer", f"{SHOWN} on SENECA: time with the tightest timer / with a barrier per timestep, for the same work", "1",
     timer, "longer with the timer, on every chip and network: the interval is that of the worst timestep"),
    ("pipelined", f"{SHOWN} on SENECA: time with a barrier per timestep / none", "1", pipelined,
     "longer with the barrier, on every chip and network trained without layers"),
    ("parts", f"{SHOWN} on SENECA: share of signalling (messages and latency of the barrier, and leakage meanwhile) in "
     "the energy that none saves", "%", parts, "a free barrier still costs energy, on every chip"),
)  # fmt: skip

__all__ = ["ERRORS", "NETWORKS", "STATEMENTS", "WHOLE", "conditions_of", "targets"]
