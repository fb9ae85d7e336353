"""``hwsim new``: a first file of the user's own, that runs as it is."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from hwsim import shipped
from hwsim.errors import Problem, SpecError
from hwsim.result import write_whole

_TEMPLATE = """\
schema: hwsim/arch/1
name: {name}
base: {base}

# Everything is as in {base} until something here says otherwise. Remove the # of what you want to change:
# mappings are merged key by key, everything else replaces what it inherits. Quantities carry their unit, prices their
# source; 'hwsim check {file}' says what is wrong and where, and prints the machine that came out.

# dataflow: ws
{examples}
"""

_COMPONENT = """\
# components:
#   array: {rows: 32, columns: 16}
#   weight_buffer:
#     capacity: 64 KiB
#     actions:
#       read: {energy: 15 pJ, per: 32 B, source: assumed, error: x1.5}
# options:
#   zero_spikes: skipped
"""


_PLAIN = re.compile(r"([A-Za-z]|\.{1,2}/)[\w./-]*")
_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")
"""What some reader of YAML takes for something else than text."""


def new_architecture(path: str | os.PathLike[str], base: str) -> Path:
    """Write an architecture file at ``path`` that inherits ``base`` (a shipped name or a file), with examples.

    Raises SpecError if the file exists (nothing is overwritten) or if there is no such base.
    """
    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise SpecError(Problem(str(target), "an architecture file must end in .yaml"))
    if target.exists():
        raise SpecError(Problem(str(target), "exists already; choose another name or remove it first"))
    if not target.parent.is_dir():
        raise SpecError(Problem(str(target), "its folder does not exist"))
    origin = shipped.find_architecture(base)
    inherited = base if base in shipped.architectures() else os.path.relpath(origin, target.parent)
    name, root = _text(target.stem), _text(inherited)
    text = _TEMPLATE.format(name=name, base=root, file=target.name, examples=_COMPONENT.rstrip())
    write_whole(target, text)
    return target


def _text(value: str) -> str:
    """A YAML scalar that reads back as this text: in quotes unless it can be nothing else."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else json.dumps(value, ensure_ascii=False)
