"""Published numbers and how hwsim repeats them: a registry of targets, reports, and a comparison of verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim.errors import SpecError, nearest
from hwsim.reproduce.progress import Progress, listening
from hwsim.reproduce.target import VERDICTS, Beside, Measured, Target, Tolerance, verdict

__all__ = [
    "Beside", "Measured", "Outcome", "Target", "Tolerance", "Worse", "compare_verdicts", "registry", "run", "verdict",
    "write_reports",
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One target, what its run gave, the verdict."""

    target: Target
    measured: Measured

    @property
    def verdict(self) -> str:
        """One of ``target.VERDICTS``."""
        return verdict(self.target, self.measured)


@dataclass(frozen=True)
class Worse:
    """A target whose verdict got worse; ``new`` is 'missing' where a quick target has gone."""

    id: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.id}: was '{self.old}', is '{self.new}'"


def registry() -> dict[str, Target]:
    """All targets by id, in the order of the reports."""
    from hwsim.reproduce import early_exit, exit_machine, figures, lif, machine, table_two, tool_runs
    from hwsim.reproduce import crossbar_machine, dynamic_crossbar, edp, encoding, lif_area, resparc, spikesim_table  # isort: skip

    from hwsim.reproduce import layer_sync, robustness, sync_price  # isort: skip

    systolic = (table_two, tool_runs, figures, lif, early_exit, exit_machine, machine)
    crossbar = (spikesim_table, crossbar_machine, dynamic_crossbar, encoding)
    found = [target for module in (*systolic, *crossbar) for target in module.targets()]
    found += edp.targets(machine=crossbar_machine.series, settings=crossbar_machine.SETTINGS)
    found += lif_area.targets(area=crossbar_machine.neuron_area)
    found += robustness.targets()
    found += resparc.targets()
    found += layer_sync.targets()
    found += sync_price.targets()
    groups = list(dict.fromkeys(target.group for target in found))
    found.sort(key=lambda target: groups.index(target.group))
    ids = [target.id for target in found]
    assert len(ids) == len(set(ids)), "two targets of one id"
    return dict(zip(ids, found, strict=True))


def select(ids: Iterable[str] = (), quick: bool = False) -> list[Target]:
    """Targets by id or by group ('table2'); all where none is named. ``quick``: only those that take seconds.

    SpecError with the nearest name for one that is neither.
    """
    known, wanted = registry(), list(ids)
    groups = {target.group for target in known.values()}
    for name in wanted:
        if name not in known and name not in groups:
            close = nearest(name, [*groups, *known])
            hint = f"did you mean '{close}'? " if close else ""
            raise SpecError(f"unknown target '{name}'; {hint}Groups: {', '.join(sorted(groups))}.")
    chosen = [t for t in known.values() if not wanted or t.id in wanted or t.group in wanted]
    return [target for target in chosen if target.quick or not quick]


def run(
    ids: Iterable[str] = (),
    quick: bool = False,
    reports_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Run targets, and write their reports where ``reports_dir`` is given (other targets' rows there stay)."""
    chosen = select(ids, quick)
    outcomes: list[Outcome] = []
    for number, target in enumerate(chosen):
        if progress:
            progress(number, len(chosen), target.id)
        with listening(progress):
            outcomes.append(Outcome(target, target.run()))
    if progress:
        progress(len(chosen), len(chosen), "done")
    if reports_dir is not None:
        write_reports(outcomes, reports_dir)
    return outcomes


def write_reports(outcomes: Iterable[Outcome], reports_dir: str | Path) -> None:
    """Write outcomes into the report folder; other targets' rows there stay."""
    from hwsim.reproduce import report
    from hwsim.reproduce.hashing import digest

    rows = [row for o in outcomes for row in report.rows_of(o.target, o.measured, digest(o.target))]
    report.write(Path(reports_dir), rows, list(registry()))


def compare_verdicts(old_dir: str | Path, new: Sequence[Outcome] | str | Path) -> list[Worse]:
    """Quick targets whose verdict is worse than in the reports of ``old_dir``; empty when all is well.

    ``new``: outcomes of a run over all quick targets, or another report folder. A quick target that is no longer
    there counts as worse. Targets that take long are not compared.
    """
    from hwsim.reproduce import report

    if isinstance(new, str | Path):
        now = {row.id: row.verdict for row in report.read(Path(new)) if row.kind == "target"}
    else:
        now = {outcome.target.id: outcome.verdict for outcome in new}
    before = [row for row in report.read(Path(old_dir)) if row.kind == "target" and row.quick == "yes"]
    return [
        Worse(row.id, row.verdict, now.get(row.id, "missing"))
        for row in before
        if row.id not in now or VERDICTS.index(now[row.id]) > VERDICTS.index(row.verdict)
    ]
