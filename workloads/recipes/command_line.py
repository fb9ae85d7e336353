"""What the command lines of all recipes have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from hwsim.errors import SpecError

SHIPPED = Path(__file__).resolve().parent.parent
"""Where the workloads lie."""


def say(line: str) -> None:
    """One line on standard output, at once."""
    print(line, flush=True)


def ended(run: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Exit code of a run; mistakes in the input end with 2."""
    try:
        run(options)
    except SpecError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
