"""Laws of a memory cell: spread of its conductance, noise of its reads, drift, current over voltage.

Each law is a parameter model that is read from a device file and computes in siemens, seconds and volts; its numbers
come from the file alone. A spread law gives a standard deviation for a target conductance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from hwsim.yamlfile.parameters import Parameters, Unit

NONE = "none"
"""The word for a law that a device does not have."""

_SMALLEST = 1e-7
"""Smallest conductance, of the largest, that logarithms and powers see; they are cut off far above it."""

Fraction = Annotated[float, Unit("1"), Field(ge=0)]
PositiveSiemens = Annotated[float, Unit("S"), Field(gt=0)]
PositiveSeconds = Annotated[float, Unit("s"), Field(gt=0)]
Volts = Annotated[float, Unit("V"), Field(gt=0)]


class Block(Parameters):
    """What every block of a device file may say besides its numbers."""

    source: str | None = None
    error: str | None = None
    """One standard deviation of what the block gives."""
    note: str | None = None


class Proportional(Block):
    """sigma = ``fraction`` times the conductance. As read noise: the same relative noise for every cell."""

    fraction: Fraction

    def sigma_S(self, conductance_S: np.ndarray, g_max_S: float) -> np.ndarray:
        """Standard deviation in siemens for target conductances in siemens."""
        return self.fraction * conductance_S


class Independent(Block):
    """sigma = ``fraction`` of the largest conductance, for every cell."""

    fraction: Fraction

    def sigma_S(self, conductance_S: np.ndarray, g_max_S: float) -> np.ndarray:
        """Standard deviation in siemens for target conductances in siemens."""
        return np.full(np.shape(conductance_S), self.fraction * g_max_S)


class Polynomial(Block):
    """sigma = ``unit`` times the sum of ``coefficients[i] * (g / reference)^i``; zero where that is negative."""

    unit: PositiveSiemens
    reference: PositiveSiemens
    coefficients: list[float]

    @field_validator("coefficients")
    @classmethod
    def _not_empty(cls, value: list[float]) -> list[float]:
        if not value:
            raise ValueError("expected at least one coefficient, the constant one first")
        return value

    def value_S(self, conductance_S: np.ndarray) -> np.ndarray:
        """The polynomial in siemens, which may be negative."""
        ratio = np.asarray(conductance_S, dtype=np.float64) / self.reference
        total = np.zeros_like(ratio)
        for coefficient in reversed(self.coefficients):
            total = total * ratio + coefficient
        return self.unit * total

    def sigma_S(self, conductance_S: np.ndarray, g_max_S: float) -> np.ndarray:
        """Standard deviation in siemens for target conductances in siemens."""
        return np.maximum(self.value_S(conductance_S), 0.0)


class Saturating(Block):
    """sigma = ``height * (1 - exp(-g / scale))``: proportional for small conductances, constant for large ones."""

    height: PositiveSiemens
    scale: PositiveSiemens

    def sigma_S(self, conductance_S: np.ndarray, g_max_S: float) -> np.ndarray:
        """Standard deviation in siemens for target conductances in siemens."""
        return -self.height * np.expm1(-np.asarray(conductance_S) / self.scale)


class Flicker(Block):
    """1/f noise of reads that last ``read_time``, at a time t after programming: the relative sigma is

    ``min(factor * x^-exponent, largest) * sqrt(ln((t + read_time) / (2 read_time)))`` with x = g / g_max; zero before
    t = read_time.
    """

    factor: Fraction
    exponent: Annotated[float, Field(ge=0)]
    largest: Fraction
    read_time: PositiveSeconds

    def relative(self, conductance_S: np.ndarray, g_max_S: float, since_s: float) -> np.ndarray:
        """Relative standard deviation of a read, ``since_s`` seconds after programming."""
        x = np.maximum(np.asarray(conductance_S) / g_max_S, _SMALLEST)
        growth = np.log((since_s + self.read_time) / (2 * self.read_time))
        return np.minimum(self.factor * x**-self.exponent, self.largest) * np.sqrt(max(growth, 0.0))


class ConstantDrift(Block):
    """g(t) = g(t0) (t / t0)^-nu with nu drawn per cell: the magnitude of a Gaussian of mean ``nu`` and ``nu_sigma``."""

    nu: Annotated[float, Field(ge=0)]
    nu_sigma: Annotated[float, Field(ge=0)]
    t0: PositiveSeconds

    def exponents(self, conductance_S: np.ndarray, g_max_S: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of nu for target conductances."""
        shape = np.shape(conductance_S)
        return np.full(shape, self.nu), np.full(shape, self.nu_sigma)


class Clipped(Parameters):
    """slope * ln(g / g_max) + intercept, kept between ``low`` and ``high``."""

    slope: float
    intercept: float
    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(ge=0)]

    def at(self, log_x: np.ndarray) -> np.ndarray:
        """The value for the logarithms of relative conductances."""
        return np.clip(self.slope * log_x + self.intercept, self.low, self.high)


class LogarithmicDrift(Block):
    """As ``ConstantDrift``, with mean and spread of nu linear in ln(g / g_max) between bounds."""

    nu: Clipped
    nu_sigma: Clipped
    t0: PositiveSeconds

    def exponents(self, conductance_S: np.ndarray, g_max_S: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of nu for target conductances."""
        log_x = np.log(np.maximum(np.asarray(conductance_S) / g_max_S, _SMALLEST))
        return self.nu.at(log_x), self.nu_sigma.at(log_x)


class Linear(Block):
    """I = g v."""


class Sinh(Block):
    """I = g v0 sinh(v / v0)."""

    v0: Volts


class Cubic(Block):
    """I = g (v + v^3 / v0^2)."""

    v0: Volts


Spread = Proportional | Independent | Polynomial | Saturating
ReadNoise = Proportional | Saturating | Flicker
Drift = ConstantDrift | LogarithmicDrift
CurrentVoltage = Linear | Sinh | Cubic

SPREADS: Mapping[str, type[Any]] = {
    "proportional": Proportional, "independent": Independent, "polynomial": Polynomial, "saturating": Saturating,
}  # fmt: skip
READ_NOISES: Mapping[str, type[Any]] = {"proportional": Proportional, "saturating": Saturating, "flicker": Flicker}
"""Without laws that leave a noise at zero conductance: read noise is relative to the cell's current."""
DRIFTS: Mapping[str, type[Any]] = {"constant": ConstantDrift, "logarithmic": LogarithmicDrift}
CURRENTS: Mapping[str, type[Any]] = {"linear": Linear, "sinh": Sinh, "cubic": Cubic}


def relative_noise(law: ReadNoise, conductance_S: np.ndarray, g_max_S: float, since_s: float) -> np.ndarray:
    """Relative standard deviation of a read of cells, ``since_s`` seconds after programming; 0 for cells of 0 S."""
    if isinstance(law, Flicker):
        return np.where(np.asarray(conductance_S) > 0, law.relative(conductance_S, g_max_S, since_s), 0.0)
    conductance = np.asarray(conductance_S, dtype=np.float64)
    sigma = law.sigma_S(conductance, g_max_S)
    return np.divide(sigma, conductance, out=np.zeros_like(sigma), where=conductance > 0)
