"""What a machine does to the function of the network: stored membrane bits, shared LIF units, timesteps."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import SpecError, did_you_mean
from hwsim.network.neuron import ROUNDINGS

LARGEST_TIMESTEPS = 1024


@dataclass(frozen=True)
class Numerics:
    """What is computed differently from the trained network. The default changes nothing.

    A membrane format in the workload wins over the ``membrane_*`` fields. ``lif_sharing`` n: n consecutive output
    channels of a layer share one membrane and take turns in each timestep (C#n of EfficientLIF-Net).
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


def check_timesteps(timesteps: int) -> int:
    """``timesteps`` if the engine can run so many, else ``SpecError``."""
    if not 1 <= timesteps <= LARGEST_TIMESTEPS:
        raise SpecError(f"timesteps must be from 1 to {LARGEST_TIMESTEPS}, not {timesteps}")
    return timesteps
