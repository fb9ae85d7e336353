"""hwsim: what a spiking neural network costs on hardware.

``hwsim.simulate(arch, workload, ...)`` runs one network on one machine and returns a ``Result``;
``hwsim.compare(items, ...)`` sets several beside each other. Both are imported when first used, so that
``import hwsim`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.comparison import compare as compare
    from hwsim.result import Result as Result
    from hwsim.run import simulate as simulate

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "compare", "simulate"]

_LAZY = {"simulate": "hwsim.run", "compare": "hwsim.comparison", "Result": "hwsim.result"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'hwsim' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
