"""The one place that knows matplotlib's files and style: no display, no user settings, the same bytes for one input."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, SpecError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""
MAP = "viridis"
"""Colour map whose lightness rises evenly: readable for any colour vision, and in print without colour."""
FAINT = "#e5e5e5"
WIDTH = 8.0
"""Inches."""

_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "hwsim",
    "pdf.compression": 6,
}
_DPI = 150
_CAPTION_CHARACTERS = 140


def check(output: str | Path) -> None:
    """SpecError where matplotlib is missing, or the file's ending is none that is written."""
    path = Path(output)
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        hint = did_you_mean(suffix, _METADATA, "Endings")
        raise SpecError(Problem(str(output), f"must end in .png, .svg or .pdf, not in '{suffix}'", hint))
    if path.is_dir():
        raise SpecError(Problem(str(output), "is a folder, not a file to write"))
    if find_spec("matplotlib") is None:
        hint = "Install the extra 'pictures': pip install '.[pictures]' in the folder of hwsim."
        raise SpecError(Problem("", "pictures need matplotlib, which is not installed", hint))


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's settings are; figures are made and saved inside."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(height: float, title: str, caption: str) -> Figure:
    """An empty figure of ``WIDTH`` x ``height`` inches with a title, and a caption below all axes."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained")
    made.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    made.supxlabel(wrapped(caption), fontsize=7.5, color=GREY, x=0.01, ha="left")
    return made


def wrapped(caption: str) -> str:
    """A caption in lines, broken between its parts (``; ``) where a part fits into a line."""
    space = "\u00a0"
    parts = [part.replace(" ", space) if len(part) < _CAPTION_CHARACTERS else part for part in caption.split("; ")]
    lines = textwrap.wrap("; ".join(parts), _CAPTION_CHARACTERS, break_on_hyphens=False)
    return "\n".join(lines).replace(space, " ")


def percent_axis(axis: Any, ticks: int = 6) -> None:
    """At most so many ticks of an axis (``axes.xaxis`` or ``axes.yaxis``) that holds shares of one, as percent."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %".replace("-", "−")))


def save(made: Figure, output: str | Path) -> Path:
    """Write a figure under another name, then rename it; without anything that changes from run to run."""
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        suffix = path.suffix.lower()
        made.savefig(draft, format=suffix.removeprefix("."), metadata=_METADATA[suffix])
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def legend_below(axes: Axes, columns: int) -> None:
    """A legend above the plot, left: never on the data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.6)
