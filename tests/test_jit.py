"""A cached kernel is compiled anew when a kernel of another file that it calls has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, types
import hwsim
hwsim.__path__.append({folder!r})
from hwsim.caller import outer
print(outer(1.0))
"""


def run(folder: Path) -> str:
    """What the kernel of ``caller.py`` gives, in a fresh interpreter."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM.format(folder=str(folder))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_change_of_a_called_kernel_is_seen(tmp_path: Path) -> None:
    head = "from hwsim.jit import njit\n"
    (tmp_path / "caller.py").write_text(
        head + "from hwsim.middle import middle\n\n@njit()\ndef outer(x):\n    return middle(x) + 1.0\n"
    )
    (tmp_path / "middle.py").write_text(
        head + "from hwsim.inner import inner\n\n@njit()\ndef middle(x):\n    return inner(x)\n"
    )
    (tmp_path / "inner.py").write_text(head + "\n@njit()\ndef inner(x):\n    return x * 2.0\n")
    assert run(tmp_path) == "3.0"
    (tmp_path / "inner.py").write_text(head + "\n@njit()\ndef inner(x):\n    return x * 20.0\n")
    assert run(tmp_path) == "21.0"
