"""The ``hwsim`` command. The only module that prints; everything heavy is imported by the command that needs it.

Exit codes: 0 done, 2 bad input (nothing written), 1 anything else.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hwsim import __version__
from hwsim.errors import Problem, SpecError, nearest

if TYPE_CHECKING:
    from hwsim.result import Result

DEPTHS = ("kernel", "process", "pass")
KINDS = ("architectures", "components", "devices", "dataflows", "workloads", "profiles", "targets")
REPORTS_FOLDER = "reports"
RUNS_FOLDER = "reports/runs"


class Commands(click.Group):
    """A group that suggests the nearest command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion in the error."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            close = nearest(args[0], self.commands)
            hint = f" Did you mean '{close}'?" if close else f" Commands: {', '.join(self.commands)}."
            raise click.UsageError(f"no such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _layers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``A:B``, 0-based and half-open, over the layers with weights."""
    if value is None:
        return None
    first, colon, last = value.partition(":")
    if not (colon and first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise click.BadParameter(f"must be A:B with 0 <= A < B, such as 0:3, not '{value}'")
    return int(first), int(last)


def _settings(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        path, equals, _text = value.partition("=")
        if not (equals and path):
            raise click.BadParameter(f"must be PATH=VALUE, such as array.rows=12, not '{value}'")
    return values


def _folder(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("must name a folder; '.' is the current one")
    return value


_RUN_OPTIONS = (
    click.option("--set", "overrides", metavar="PATH=VALUE", multiple=True, callback=_settings,
                 help="Override a value of the architecture, e.g. array.rows=12. May be repeated."),
    click.option("--profile", metavar="NAME", help="Account as a published tool does (see: hwsim list profiles)."),
    click.option("--samples", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Number of test samples to run."),
    click.option("--timesteps", metavar="T", type=click.IntRange(1, 1024), help="Run with T timesteps."),
    click.option("--layers", metavar="A:B", callback=_layers,
                 help="Only layers A to B-1 of those with weights, counted from 0."),
    click.option("--accuracy", metavar="N", type=click.IntRange(min=0), default=100, show_default=True,
                 help="Test images on which accuracy is measured where the machine changes it; 0: off."),
    click.option("--depth", type=click.Choice(DEPTHS), default="kernel", show_default=True,
                 help="Inside tile calls: one compiled call, or SimPy processes; pass: a whole sample in "
                      "one compiled call (neuromorphic machines). The same numbers."),
    click.option("--force", is_flag=True, help="Run also what is estimated to take over a minute."),
    click.option("--seed", metavar="S", type=int, default=0, show_default=True, help="Seed of everything random."),
    click.option("--out", metavar="DIR", type=click.Path(file_okay=False), callback=_folder,
                 help="Run folder; simulate goes on with an unfinished run in it and replaces a finished one. "
                      f"Default: in {RUNS_FOLDER}/."),
    click.option("--json", "as_json", is_flag=True, help="Print result.json instead of tables."),
)  # fmt: skip


def with_options(options: Sequence[Callable[..., Any]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that gives a command these options, in this order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


run_options = with_options(_RUN_OPTIONS)
"""The options that simulate and compare share."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="hwsim")
def commands() -> None:
    """What a spiking neural network costs on hardware.

    \b
    hwsim demo                                   a first result, offline
    hwsim simulate arch/sata.yaml workloads/vgg9.npz
    hwsim compare sata vgg9 --dataflow os,ws,is,tick-batch
    """


@commands.command()
@click.argument("arch")
@click.argument("workload")
@click.option("--dataflow", metavar="NAME", help="Instead of the architecture's (see: hwsim list dataflows).")
@run_options
def simulate(arch: str, workload: str, out: str | None, as_json: bool, **options: Any) -> None:
    """Run a workload on an architecture: energy, latency, area.

    ARCH and WORKLOAD are files or shipped names (hwsim list architectures).
    """
    _simulate(arch, workload, out, as_json, options)


def _simulate(arch: str, workload: str, out: str | None, as_json: bool, options: dict[str, Any]) -> None:
    from hwsim.run import simulate as run

    with _progress() as progress:
        result = run(arch, workload, progress=progress, out=out, **options)
    _show(result, _write(result, out), as_json)


def _write(result: Result, out: str | None) -> str:
    result.manifest.setdefault("command", shlex.join(["hwsim", *sys.argv[1:]]))
    return str(result.write(out if out is not None else f"{RUNS_FOLDER}/{result.name}"))


def _show(result: Result, folder: str, as_json: bool) -> None:
    if as_json:
        click.echo(result.to_json(), nl=False)
        return
    from hwsim.report.tables import report

    click.echo(report(result))
    click.echo(f"written: {folder}")


@commands.command()
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@click.option("--dataflow", "dataflows", metavar="A,B,...", help="Each of these dataflows.")
@click.option("--scale-to", metavar="'NODE, SUPPLY'",
              help="Bring all runs to one node, e.g. '28 nm, 0.9 V' (Stillmaker and Baas 2017).")  # fmt: skip
@run_options
def compare(items: tuple[str, ...], dataflows: str | None, out: str | None, as_json: bool, **options: Any) -> None:
    """Set several runs side by side.

    ITEMs are architectures and workloads, of which every pair is run, or run folders. With --out every run gets a
    folder of its own inside DIR.
    """
    import json

    from hwsim.comparison import compare as run

    parent = out if out is not None else RUNS_FOLDER

    def keep(result: Result) -> None:
        _write(result, f"{parent}/{result.name}")

    names = [name.strip() for name in dataflows.split(",")] if dataflows else None
    with _progress() as progress:
        comparison = run(items, dataflows=names, on_result=keep, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(comparison.as_dict(), indent=1, ensure_ascii=False))
        return
    from hwsim.report.comparison import comparison_report

    click.echo(comparison_report(comparison), nl=False)


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> None:
    """Validate FILEs, architectures or workloads; say what is inside."""
    from hwsim.tools.inspection import describe

    problems: list[Problem] = []
    for file in files:
        try:
            click.echo("\n".join(describe(file)))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)


@commands.command("import")
@click.argument("file")
@click.option("-o", "--output", metavar="W.npz", required=True, type=click.Path(dir_okay=False), help="File to write.")
@click.option("--shapes", metavar="G.json", help="Geometry of the layers of recorded spikes (.npz).")
@click.option("--timesteps", metavar="T", type=click.IntRange(1, 1024), help="Timesteps (of a recording: the first).")
@click.option("--density", metavar="D", type=click.FloatRange(0, 1), help="Share of inputs that are not zero.")
def import_(file: str, output: str, **options: Any) -> None:
    """Make a workload of a shape table or of recorded spikes.

    FILE is a hwsim shape table (.yaml), a SCALE-Sim topology (.csv) or recorded layer inputs (.npz).
    """
    from hwsim.report.numbers import plural
    from hwsim.workload import load, save
    from hwsim.workload.importers import import_file

    if not output.endswith(".npz"):
        raise click.BadParameter("must end in .npz", param_hint="'-o'")
    spec, arrays = import_file(file, **options)
    save(output, spec, arrays)
    made = load(output)
    steps, layers = plural(made.timesteps, "timestep"), plural(len(made.weighted), "layer")
    click.echo(f"written: {output} ({made.kind}, {steps}, {layers} with weights)")


_PICTURE_OPTIONS = (
    click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False),
                 help="File to write: .png, .svg or .pdf."),
    click.option("--layer", metavar="NAME", help="Layer to look at. Default: the first that fills an array most."),
    click.option("--set", "overrides", metavar="PATH=VALUE", multiple=True, callback=_settings,
                 help="Override a value of the architecture. May be repeated."),
    click.option("--samples", metavar="N", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Test samples whose spikes the picture looks at."),
    click.option("--accuracy", metavar="N", type=click.IntRange(min=1), default=100, show_default=True,
                 help="Test images of array-size and extra-steps."),
    click.option("--timesteps", metavar="T", type=click.IntRange(1, 1024), help="Run with T timesteps."),
    click.option("--seed", metavar="S", type=int, default=0, show_default=True, help="Seed of everything random."),
)  # fmt: skip


@commands.command()
@click.argument("kind")
@click.argument("arch")
@click.argument("workload")
@with_options(_PICTURE_OPTIONS)
def picture(kind: str, arch: str, workload: str, output: str, **options: Any) -> None:
    """Draw what a machine does to a network.

    \b
    KIND, of a crossbar machine:
      ir-drop        voltage that the cells of an array lack
      output-error   errors of column currents and psums, gain off and on
      adc            use of the ADC's codes and clipping, layer by layer
      array-size     accuracy against array size (takes minutes)
    \b
    of a neuromorphic machine:
      spike-latency  time and spikes to the first output, time of samples
      queue-lengths  spikes that wait when a turn begins
      core-time      what cores spend their time on
      link-load      the network on chip with the load of its links
      extra-steps    accuracy over turns after the first output spike

    WORKLOAD is a network with weights. Needs matplotlib (extra: pictures).
    """
    from hwsim.report.pictures import draw

    with _progress() as progress:
        made = draw(kind, arch, workload, output, progress=progress, **options)
    click.echo(f"written: {made}")


@commands.command()
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--list", "only_list", is_flag=True, help="List the targets and run nothing.")
@click.option("--all", "everything", is_flag=True, help="Every target, also those that take long.")
@click.option("--quick", is_flag=True, help="Those that take seconds; exit 1 where a verdict got worse.")
def reproduce(ids: tuple[str, ...], only_list: bool, everything: bool, quick: bool) -> None:
    """Repeat published numbers: theirs beside ours, into reports/.

    ID is a target or a group of targets. With --quick a verdict worse than the one in reports/ is not written there:
    to accept it, run that target by its ID.
    """
    if only_list:
        return _list("targets")
    if not (ids or everything or quick):
        raise click.UsageError("name targets or groups, or give --quick, --all or --list")
    from hwsim.report.outcomes import outcome_report
    from hwsim.reproduce import compare_verdicts, run, write_reports

    with _progress() as progress:
        outcomes = run(ids, quick=quick, progress=progress)
    click.echo(outcome_report(outcomes))
    worse = compare_verdicts(REPORTS_FOLDER, outcomes) if quick and not ids else []
    if worse:
        click.echo("\n".join(["worse than the verdicts in reports/:", *map(str, worse)]), err=True)
        raise click.exceptions.Exit(1)
    write_reports(outcomes, REPORTS_FOLDER)
    click.echo(f"\nwritten: {REPORTS_FOLDER}/")


@commands.command("list")
@click.argument("what", type=click.Choice(KINDS))
def list_(what: str) -> None:
    """List what hwsim knows of a kind."""
    _list(what)


def _list(what: str) -> None:
    from hwsim.tools.inspection import listing

    click.echo("\n".join(listing(what)))


@commands.command()
@click.argument("kind", type=click.Choice(("arch",)))
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--from", "base", metavar="NAME", default="sata", show_default=True, help="Architecture to start from.")
def new(kind: str, path: str, base: str) -> None:
    """Write a new architecture file that inherits another one."""
    from hwsim.tools.scaffold import new_architecture

    click.echo(f"written: {new_architecture(path, base)}\nnext: hwsim check {path}")


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print result.json instead of tables.")
def demo(as_json: bool) -> None:
    """Run a small shipped network on a shipped machine, offline."""
    _simulate("sata", "digits_mlp", None, as_json, {})


@commands.command()
def doctor() -> None:
    """Check this installation."""
    from hwsim.tools.doctor import examine

    findings = examine()
    for finding in findings:
        click.echo(f"{'ok ' if finding.good else 'BAD'} {finding.subject:24} {finding.text}".rstrip())
    if not all(finding.good for finding in findings):
        raise click.exceptions.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None] | None]:
    """A bar on the terminal's stderr, or None where stderr is no terminal. The callback takes (done, total, what)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: runs a command and turns what went wrong into a message and an exit code."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = commands.main(args=arguments, prog_name="hwsim", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SpecError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("hwsim: interrupted", err=True)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: say nothing more
        return 1
    except OSError as error:
        click.echo(f"hwsim: {error}", err=True)
        return 1
    except UnicodeEncodeError as error:  # a file name whose bytes are no text in this locale
        click.echo(f"hwsim: {error.object[:80]!a} cannot be written as text: {error.reason}", err=True)
        return 1
