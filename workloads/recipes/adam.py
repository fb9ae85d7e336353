"""Adam (Kingma and Ba, 2015; betas 0.9 and 0.999) in one pass over flat weights."""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit


@njit(nogil=True)
def adam(weights, gradient, mean, square, rate, decay, update):
    """Update number ``update`` (from 1); ``decay``: L2, added to the gradient. Clears the gradient."""
    kind = weights.dtype
    first, second, tiny, one = kind.type(0.9), kind.type(0.999), kind.type(1e-8), kind.type(1.0)
    step, root = kind.type(rate / (1.0 - 0.9**update)), kind.type(1.0 / np.sqrt(1.0 - 0.999**update))
    shrink = kind.type(decay)
    for i in range(len(weights)):
        slope = gradient[i] + shrink * weights[i]
        mean[i] = first * mean[i] + (one - first) * slope
        square[i] = second * square[i] + (one - second) * slope * slope
        weights[i] -= step * mean[i] / (np.sqrt(square[i]) * root + tiny)
        gradient[i] = 0
