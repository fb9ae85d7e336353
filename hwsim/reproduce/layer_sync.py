"""Layer synchronisation (Koopman et al., TMLR 2025): table 3 from table 2, and its statements asked of our networks.

Theirs stands in ``published_layer_sync.yaml``. The energy targets are quick; the others run the shipped event networks
on the ideal machine, with all seeds that are there.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hwsim.reproduce import layer_sync_cifar, layer_sync_groups, layer_sync_trainings
from hwsim.reproduce.layer_sync_claims import ONE, ROWS, STATEMENTS, WORDS, in_words, row, table
from hwsim.reproduce.layer_sync_runs import METHODS, SAMPLES, Study, file_of, frames, seeds_of
from hwsim.reproduce.layer_sync_seen import PERCENT, Cell, Cells, Statement, column, mean, median, ratio
from hwsim.reproduce.shapes import number, published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

ARCHITECTURE = "ubrain"
PRICED = ("core", "synapse")
"""Component and action whose price a synaptic operation has."""
UJ, TEN_THOUSAND = 1e6, 1e4
ENERGY = Tolerance("relative", 1e-3)
NONE = Tolerance("absolute", 0.0)
CHANCE = "no tolerance: other data than the paper's, a value near its own would be chance"
UNITS = (
    "units recovered: operations in 1e4 and energy in uJ, per sample; density summed over the timesteps",
    "the paper's count: every hidden layer as active as the others, input events left out, output without targets",
)
HEADLINES = {
    "spikes": ("fewer spikes (density) of asynchronous networks than of layered ones, at best", "%"),
    "latency": ("latency in spikes of layered networks / of asynchronous ones, at best", "1"),
    "accuracy": ("accuracy of asynchronous networks over layered ones, at best", "points"),
}


def targets() -> list[Target]:
    """Twelve energies, the statements for each data set, headlines, group sizes, CIFAR-10."""
    made = [_energy_target(key, name) for key, data in sets().items() for name in data["rows"]]
    studies = {key: Study(data["ours"], SAMPLES, seeds_of(data["ours"])) for key, data in sets().items()}
    made += [_headline_target(name, tuple(studies.values())) for name in HEADLINES]
    for key, study in studies.items():
        made.append(_overview_target(key, study))
        made += [_statement_target(key, study, statement) for statement in STATEMENTS]
    made += [*layer_sync_groups.targets(SAMPLES), *layer_sync_trainings.targets(SAMPLES)]
    return [*made, *layer_sync_cifar.targets(SAMPLES)]


def sets() -> dict[str, Any]:
    """Published data sets."""
    found: dict[str, Any] = published("layer_sync")["sets"]
    return found


# --- table 3 ---------------------------------------------------------------------------------------------------------


def _energy_target(key: str, name: str) -> Target:
    data = sets()[key]
    return Target(
        f"layer-sync.energy.{key}.{name}", published("layer_sync")["paper"], "table 3",
        f"energy per sample, {data['name']}, {in_words(name)}", number(data["rows"][name]["energy"]), "uJ", ENERGY,
        functools.partial(energy, key, name), architecture=ARCHITECTURE,
        options="no run: density of table 2, price of a synaptic operation", assumptions=UNITS,
    )  # fmt: skip


def energy(key: str, name: str) -> Measured:
    """A row of table 3 from its row of table 2."""
    from hwsim.components.registry import load
    from hwsim.machines.neuromorphic import measures  # lazy: kernels

    data = sets()[key]
    theirs = data["rows"][name]
    operations = measures.published_operations(theirs["density"], data["sizes"])
    price_J = load(ARCHITECTURE).price(*PRICED).energy_J
    return Measured(
        UJ * measures.operation_energy(operations, price_J),
        beside=(
            Beside("synaptic operations per sample", TEN_THOUSAND * theirs["operations"], operations, "1"),
            Beside("energy per operation, theirs from the two columns", 100 * theirs["energy"] / theirs["operations"],
                   1e12 * price_J, "pJ"),
        ),
    )  # fmt: skip


# --- statements ------------------------------------------------------------------------------------------------------


def cells(key: str) -> Cells:
    """Table 2 as printed."""
    return {name: Cell(row["accuracy"], row["density"]) for name, row in sets()[key]["rows"].items()}


def _common(study: Study) -> dict[str, Any]:
    names = [file_of(study.data, method, seed) for seed in study.seeds for method in METHODS]
    seeds = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
    return {
        "paper": published("layer_sync")["paper"],
        "quick": False,
        "workload": " and ".join(names),
        "options": f"{study.samples} test samples, {seeds}; F 8, one step after the first output spike",
    }


def _statement_target(key: str, study: Study, statement: Statement) -> Target:
    theirs = statement.theirs(cells(key)) if statement.theirs else None
    return Target(
        f"layer-sync.{statement.key}.{study.data}", place=statement.place, published=theirs, unit=statement.unit,
        what=f"{study.data}: {statement.what}", tolerance=NONE, run=functools.partial(ask, study, statement),
        assumptions=(statement.rule, f"theirs: {sets()[key]['name']}; {CHANCE}"), **_common(study),
    )  # fmt: skip


def ask(study: Study, statement: Statement) -> Measured:
    """A statement's answer."""
    seen = statement.ask(study)
    return Measured(seen.value, trend=seen.holds, beside=seen.beside)


def _overview_target(key: str, study: Study) -> Target:
    return Target(
        f"layer-sync.overview.{study.data}", place="tables 2 and 3", published=len(STATEMENTS), unit="1",
        what=f"{study.data}: statements that hold", tolerance=NONE, run=functools.partial(overview, key, study),
        assumptions=("all count the same; each is a target below", f"theirs: {sets()[key]['name']}"), **_common(study),
    )  # fmt: skip


def overview(key: str, study: Study) -> Measured:
    """How many statements hold; table 2 and what it leaves out."""
    from hwsim.machines.neuromorphic.measures import published_operations  # lazy: kernels

    held = {statement.key: statement.ask(study).holds for statement in STATEMENTS}
    data, rows, timesteps = sets()[key], [], frames(study.data, study.samples)[0].shape[1]
    for name, theirs in data["rows"].items():
        runs, words = row(study, name), in_words(name)
        rows += [Beside(f"accuracy, {words}", PERCENT * theirs["accuracy"], PERCENT * mean(runs, "right"), "%"),
                 Beside(f"density, {words}", theirs["density"], mean(runs, "density"), "1"),
                 Beside(f"density per timestep, {words}", _per_timestep(data, theirs["density"]),
                        mean(runs, "density") / timesteps, "1"),
                 Beside(f"synaptic operations as they count, {words}", TEN_THOUSAND * theirs["operations"],
                        published_operations(mean(runs, "density"), data["sizes"]), "1")]  # fmt: skip
    rows += [Beside(f"{name}: holds", None, float(holds), "1") for name, holds in held.items()]
    return Measured(sum(held.values()), beside=(*rows, *table(study)))


def _per_timestep(data: dict[str, Any], density: float) -> float | None:
    """Theirs, where the number of their timesteps is known."""
    return density / data["timesteps"] if data["timesteps"] else None


# --- headlines -------------------------------------------------------------------------------------------------------


def _headline_target(name: str, studies: tuple[Study, ...]) -> Target:
    what, unit = HEADLINES[name]
    common = _common(studies[0])
    common["workload"] = " and ".join(_common(study)["workload"] for study in studies)
    common["options"] = f"{studies[0].samples} test samples; F 8, one step after the first output spike"
    return Target(
        f"layer-sync.headline-{name}", place="abstract", what=what, unit=unit,
        published=published("layer_sync")["headlines"][name], tolerance=NONE,
        run=functools.partial(headline, name, studies),
        assumptions=("trend: at least as much as theirs, mean over seeds, on one of the three data sets with one of "
                     "the two schedulings",
                     "asynchronous: trained and run so; layered: trained and run layered", CHANCE),
        **common,
    )  # fmt: skip


def headline(name: str, studies: tuple[Study, ...]) -> Measured:
    """The best of three data sets and two schedulings."""
    found: dict[str, float] = {}
    rows = []
    for study in studies:
        for method, word in WORDS.items():
            label, values = f"{study.data}, {word} -> {word}", _gains(name, study, method)
            found[label] = next(iter(values.values()))
            rows += [Beside(f"{label}: {what}", None, value, HEADLINES[name][1]) for what, value in values.items()]
            rows += _each(name, study, method, label)
    if name != "latency":
        rows += [line for key in sets() for line in _printed(name, key)]
    best = max(found.values())
    return Measured(best, trend=best >= published("layer_sync")["headlines"][name], beside=tuple(rows))


def _gains(name: str, study: Study, method: str) -> dict[str, float]:
    """What a data set gains with one scheduling: first by the paper's count, then by others."""
    layered, own = row(study, "layered-layered"), row(study, f"{method}-{method}")
    if name == "accuracy":
        return {"F 8": PERCENT * (mean(own, "right") - mean(layered, "right"))}
    if name == "spikes":
        words = {"density": "emitted, hidden", "propagated": "propagated, all", "operations": "synaptic operations"}
        return {what: PERCENT * (1 - ratio(own, layered, field)) for field, what in words.items()}
    base = median(column(layered, "first_output"))
    sent = [
        median([traced.processed for traced in study.traces(*ROWS[name])])
        for name in ("layered-layered", f"{method}-{method}")
    ]
    return {
        "emitted, F 8": base / median(column(own, "first_output")),
        "emitted, F 1": base / median(column(study.runs(method, ONE[method]), "first_output")),
        "sent, F 8": sent[0] / sent[1],
    }


def _each(name: str, study: Study, method: str, label: str) -> list[Beside]:
    """The first of the gains seed by seed: its standard deviation, least and most; nothing of a single seed."""
    if len(study.seeds) < 2:
        return []
    each = [next(iter(_gains(name, study._replace(seeds=(seed,)), method).values())) for seed in study.seeds]
    found = {"spread of seeds": float(np.std(each, ddof=1)), "least": min(each), "most": max(each)}
    return [Beside(f"{label}: {what}", None, value, HEADLINES[name][1]) for what, value in found.items()]


def _printed(name: str, key: str) -> list[Beside]:
    """The same from table 2."""
    printed, rows = cells(key), []
    for method, word in WORDS.items():
        own, layered = printed[f"{method}-{method}"], printed["layered-layered"]
        value = PERCENT * (1 - own.density / layered.density if name == "spikes" else own.accuracy - layered.accuracy)
        rows.append(Beside(f"table 2, {sets()[key]['name']}, {word}", value, None, HEADLINES[name][1]))
    return rows
