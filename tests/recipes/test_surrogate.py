"""The surrogate gradient is its published equation; the backward pass equals automatic differentiation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from workloads.recipes.surrogate import fire  # noqa: E402


def written_out(currents, leak, threshold):
    """LIF neurons step by step; a spike's gradient comes from a quadratic whose derivative is the triangle."""
    membrane, spikes = torch.zeros_like(currents[0]), []
    for drive in currents:
        membrane = leak * membrane + drive
        hard = (membrane.detach() > threshold).to(currents.dtype)
        inside = torch.clamp(membrane, 0.0, 2.0 * threshold)
        distance = inside - threshold
        soft = distance - distance * distance.abs() / (2.0 * threshold)
        spikes.append(hard + (soft - soft.detach()))
        membrane = membrane * (1.0 - hard)
    return torch.stack(spikes)


@pytest.mark.parametrize("threshold", [0.5, 1.0, 3.0])
def test_gradient_of_one_step_is_equation_3(threshold):
    membrane = torch.linspace(-1.0, 3.0 * threshold, 401, dtype=torch.float64)[None].requires_grad_()
    spikes = fire(membrane, leak=0.5, threshold=threshold)
    spikes.sum().backward()
    expected = torch.clamp(1.0 - ((membrane.detach() - threshold) / threshold).abs(), min=0.0)
    assert torch.equal(spikes.detach(), (membrane.detach() > threshold).double())
    assert torch.allclose(membrane.grad, expected, rtol=0.0, atol=1e-15)
    assert membrane.grad.max() > 0.99


@pytest.mark.parametrize("leak", [0.5, 0.9, 1.0])
def test_gradient_over_timesteps_equals_automatic_differentiation(leak):
    generator = torch.Generator().manual_seed(4)
    currents = torch.randn((6, 3, 50), generator=generator, dtype=torch.float64) * 0.8 + 0.3
    weights = torch.randn((6, 3, 50), generator=generator, dtype=torch.float64)
    ours, theirs = currents.clone().requires_grad_(), currents.clone().requires_grad_()
    spikes = fire(ours, leak, 1.0)
    reference = written_out(theirs, leak, 1.0)
    (spikes * weights).sum().backward()
    (reference * weights).sum().backward()
    assert 0.1 < spikes.detach().mean() < 0.9
    assert torch.equal(spikes.detach(), reference.detach())
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)
