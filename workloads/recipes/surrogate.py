"""Spiking neurons with the piecewise-linear surrogate gradient (Bhattacharjee et al. 2022, eq. 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LeakyIntegrateAndFire(torch.autograd.Function):
    """All timesteps of LIF neurons in one step: u_t = leak * u_(t-1) + I_t, fire above the threshold, reset to zero.

    currents [T, ...] -> spikes [T, ...]. The reset takes part in the forward pass only (its gradient is left out, as is
    usual): dL/du_t = dL/do_t * max(0, 1 - |(u_t - threshold) / threshold|) + leak * (1 - o_t) * dL/du_(t+1), and
    dL/dI_t = dL/du_t.
    """

    @staticmethod
    def forward(ctx: Any, currents: Tensor, leak: float, threshold: float) -> Tensor:
        membranes = torch.empty_like(currents)
        membranes[0] = currents[0]
        for step in range(1, len(currents)):
            kept = membranes[step - 1] * (membranes[step - 1] <= threshold)
            torch.add(currents[step], kept, alpha=leak, out=membranes[step])
        ctx.save_for_backward(membranes)
        ctx.leak, ctx.threshold = leak, threshold
        return (membranes > threshold).to(currents.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (membranes,) = ctx.saved_tensors
        slope = (membranes - ctx.threshold).abs_().mul_(-1.0 / ctx.threshold).add_(1.0).clamp_(min=0.0)
        result = slope.mul_(gradient)
        for step in range(len(membranes) - 2, -1, -1):
            result[step].addcmul_(result[step + 1], (membranes[step] <= ctx.threshold).to(result.dtype), value=ctx.leak)
        return result, None, None


def fire(currents: Tensor, leak: float, threshold: float = 1.0) -> Tensor:
    """Spikes [T, ...] of LIF neurons (reset to zero) driven by currents [T, ...], differentiable by the surrogate."""
    spikes = LeakyIntegrateAndFire.apply(currents, leak, threshold)
    assert isinstance(spikes, Tensor)
    return spikes
