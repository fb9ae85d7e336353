"""Sums of products that something else than exact arithmetic makes: analog arrays, read layer by layer.

A machine gives one ``Product`` per layer (``Numerics.products``). The engine asks it for all psums of a layer, the
plain network for its witness; scale, offset and neuron that follow are those of every network.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Product(Protocol):
    """How one layer's psums come about, in the units of the layer's weights as they stand in the file.

    Psums of timestep t depend on the input of t and on the draws of (sample, t) alone, and are multiples of ``step``.
    Called from several threads at once, for different samples.
    """

    @property
    def full_scale(self) -> float | np.ndarray:
        """Largest magnitude that a psum can have: of the layer, or of each filter, float64 [M]."""
        ...

    @property
    def step(self) -> float:
        """Grid of the psums, a power of two; ``full_scale`` is at most 2^53 steps."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether draws differ per timestep: a constant input is then evaluated at every timestep all the same."""
        ...

    def psums(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """Psums float64 [T or 1, P, M] of the integers x [T or 1, H, W, C]; one row for a constant x, unless fresh."""
        ...

    def plain(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
        """The same by plain NumPy: the witness of ``psums``, equal bit for bit."""
        ...


def rows(product: Product, given: int, timesteps: int) -> int:
    """Rows of what ``product.psums`` returns for an input of ``given`` timesteps (1: constant)."""
    return timesteps if given > 1 or product.fresh else 1
