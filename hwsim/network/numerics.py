"""What a machine does to the function of the network: membrane bits, LIF units, timesteps, products, weights, BN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwsim.errors import SpecError, did_you_mean
from hwsim.network.neuron import ROUNDINGS
from hwsim.network.product import Product

LARGEST_TIMESTEPS = 1024

Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By layer: mean and variance of its BN, float64 in the shapes of the file, [M] or [T, M]."""


@dataclass(frozen=True)
class Numerics:
    """What is computed differently from the trained network. The default changes nothing.

    A membrane format in the workload wins over the ``membrane_*`` fields. ``lif_sharing`` n: n consecutive output
    channels of a layer share one membrane and take turns in each timestep (C#n of EfficientLIF-Net).

    ``products``, ``weights`` and ``statistics`` are by layer name, and copied. Two numerics are equal if these hold the
    same objects (their contents are not compared) and all else is equal.
    """

    membrane_bits: int | None = None
    """Signed membrane register; None: stored on the exact grid."""
    membrane_step_fraction: float = 1 / 32
    """Membrane step, as a fraction of the layer's largest threshold."""
    membrane_rounding: str = "nearest_even"
    membrane_saturate: bool = True
    """Clip to the register (else wrap around)."""
    lif_sharing: int = 1
    timesteps: int | None = None
    """Instead of the workload's."""
    products: Mapping[str, Product] = field(default_factory=dict, repr=False)
    """What makes a layer's psums, instead of exact sums over its weights."""
    weights: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    """Real weights [M, K] in units of the file's weights, K in the order (c, r, s), instead of the file's."""
    statistics: Statistics = field(default_factory=dict, repr=False)
    """Mean and variance of a layer's BN, instead of the file's."""

    def __post_init__(self) -> None:
        if self.membrane_bits is not None and not 2 <= self.membrane_bits <= 32:
            raise SpecError(f"membrane bits must be from 2 to 32, not {self.membrane_bits}")
        if not 0 < self.membrane_step_fraction <= 1:
            raise SpecError(f"the membrane step must be in (0, 1] thresholds, not {self.membrane_step_fraction}")
        if self.membrane_rounding not in ROUNDINGS:
            hint = did_you_mean(self.membrane_rounding, ROUNDINGS, "Known roundings")
            raise SpecError(f"unknown membrane rounding '{self.membrane_rounding}'; {hint}")
        if self.lif_sharing < 1:
            raise SpecError(f"LIF sharing must be at least 1, not {self.lif_sharing}")
        if self.timesteps is not None:
            check_timesteps(self.timesteps)
        for name in ("products", "weights", "statistics"):
            object.__setattr__(self, name, dict(getattr(self, name)))

    def _identity(self) -> tuple[object, ...]:
        plain = (
            self.membrane_bits, self.membrane_step_fraction, self.membrane_rounding, self.membrane_saturate,
            self.lif_sharing, self.timesteps,
        )  # fmt: skip
        # Arrays and products have no hash by content; as long as both numerics live, an id names one object.
        products = frozenset((name, id(product)) for name, product in self.products.items())
        weights = frozenset((name, id(matrix)) for name, matrix in self.weights.items())
        statistics = frozenset((name, id(mean), id(var)) for name, (mean, var) in self.statistics.items())
        return (*plain, products, weights, statistics)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Numerics) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())


def check_timesteps(timesteps: int) -> int:
    """``timesteps`` if the engine can run so many, else ``SpecError``."""
    if not 1 <= timesteps <= LARGEST_TIMESTEPS:
        raise SpecError(f"timesteps must be from 1 to {LARGEST_TIMESTEPS}, not {timesteps}")
    return timesteps
