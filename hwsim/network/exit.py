"""Dynamic timesteps (DT-SNN, Li et al., NeurIPS 2023): stop a sample once its output is certain enough.

One decision function, called by the engine and by every depth of every machine, so that none can decide differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import SpecError


@dataclass(frozen=True)
class ExitRule:
    """Stop when the entropy of the time-averaged output is below ``threshold``; looked at every ``block`` timesteps."""

    threshold: float
    """In [0, 1]: entropy relative to that of equal probabilities, log(classes)."""
    block: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SpecError(f"the exit threshold must be from 0 to 1 (entropy / log classes), not {self.threshold}")
        if self.block < 1:
            raise SpecError(f"the block of timesteps between exits must be at least 1, not {self.block}")


def entropy(accumulated: np.ndarray, timesteps: int) -> float:
    """Entropy of softmax(accumulated / timesteps) over log(classes), in [0, 1]; DT-SNN eq. 6 and 7.

    accumulated [classes] is the sum of the output layer over the first ``timesteps`` timesteps.
    """
    mean = np.asarray(accumulated, dtype=np.float64) / timesteps
    if mean.size < 2:
        return 0.0
    exponential = np.exp(mean - mean.max())
    probability = exponential / exponential.sum()
    positive = probability[probability > 0]
    return float(-(positive * np.log(positive)).sum() / np.log(mean.size))


def exits(rule: ExitRule | None, accumulated: np.ndarray, timesteps: int) -> bool:
    """Whether a sample stops after ``timesteps`` timesteps, given its output [classes] accumulated until then."""
    if rule is None or timesteps % rule.block:
        return False
    return entropy(accumulated, timesteps) < rule.threshold


def exit_timesteps(rule: ExitRule | None, logits: np.ndarray) -> int:
    """Timesteps that a sample runs: the first exit, else all. ``logits`` [T, classes] is accumulated over time."""
    for timesteps in range(1, len(logits)):
        if exits(rule, logits[timesteps - 1], timesteps):
            return timesteps
    return len(logits)
