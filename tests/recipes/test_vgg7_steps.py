"""Forward steps on maps: the spikes of ``hwsim.neuromorphic.run``, and the gradient of automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hwsim import neuromorphic  # noqa: E402
from workloads.recipes.vgg7_kernels import LAYERED, MOMENTUM, RANDOM, Rule  # noqa: E402
from workloads.recipes.vgg7_steps import Stack, backward, current, forward  # noqa: E402

STACK = Stack((2, 6, 6), ((4, 2), (4, 1), (5, 2)), (7, 3))
INPUTS = 72
SHARED = {"threshold": 0.25, "steepness": 2.0, "inputs": INPUTS}
RULES = {
    "layered": Rule(LAYERED, 0, refractory_dropout=0.0, noise=0.0, **SHARED),
    "random": Rule(RANDOM, 5, refractory_dropout=0.0, noise=0.0, **SHARED),
    "random, with dropout": Rule(RANDOM, 4, refractory_dropout=0.7, noise=0.0, **SHARED),
    "momentum": Rule(MOMENTUM, 5, refractory_dropout=0.0, noise=0.0, **SHARED),
    "momentum, with dropout and noise": Rule(MOMENTUM, 3, refractory_dropout=0.5, noise=0.125, **SHARED),
    "one by one": Rule(RANDOM, 1, refractory_dropout=0.0, noise=0.0, **SHARED),
}
POLICIES = {LAYERED: "layer_order", RANDOM: "random", MOMENTUM: "momentum"}


def case(seed: int):
    """Weights and images, all of few bits: sums are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    weights = []
    for shape in STACK.weight_shapes:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * 1.3 / np.prod(shape[1:]) ** 0.5 + 0.02
        weights.append(torch.round(drawn * 2**12) / 2**12)
    images = torch.randint(0, 5, (3, *STACK.input_shape), generator=generator).double() / 4
    return weights, images


def matrices(weights) -> list[np.ndarray]:
    """Every layer [fan-out, fan-in], from its response to one input at a time."""
    found = []
    for weight, shape, stride in zip(weights, STACK.shapes, STACK.strides, strict=False):
        units = torch.eye(int(np.prod(shape)), dtype=weight.dtype).reshape(-1, *shape)
        found.append(current(units, weight, stride).flatten(1).T.numpy())
    return found


@pytest.mark.parametrize("name", RULES)
def test_pass_is_that_of_run(name):
    rule, sent = RULES[name], 0
    for seed in range(4):
        weights, images = case(seed)
        made = forward(STACK, weights, images, rule, range(10, 13), seed)
        dense, begin = matrices(weights), STACK.begin
        threshold = np.full(begin[-1], rule.threshold)
        threshold[begin[-2] :] = 1e6
        for number, image in enumerate(images):
            trace = neuromorphic.run(
                dense, image.reshape(1, -1).numpy(), sample=10 + number, seed=seed, threshold=threshold, drain="all",
                group=rule.group or int(begin[-1]), policy=POLICIES[rule.policy], noise=rule.noise,
                refractory_dropout=rule.refractory_dropout,
            )  # fmt: skip
            assert np.array_equal(trace.counts[0], made.emitted[number])
            assert np.array_equal(trace.potentials[0, begin[-2] :], made.logits[number])
            rows = [(k, i, step.sent[number, i]) for k, step in enumerate(made.steps, 1)
                    for i in np.flatnonzero(step.sent[number])]  # fmt: skip
            theirs = trace.propagated[["step", "neuron", "multiplicity"]].tolist()
            assert rows == sorted(theirs)
            sent += len(rows)
    assert sent > 300


class Fire(torch.autograd.Function):
    """A step with the arctan surrogate."""

    @staticmethod
    def forward(ctx, distance, steepness):
        ctx.save_for_backward(distance)
        ctx.steepness = steepness
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return gradient / (np.pi * (1.0 + (np.pi * ctx.steepness / 2.0 * distance) ** 2)), None


def replayed(weights, images, made, rule):
    """The same pass in torch, its decisions (who is looked at, alive, chosen) given: logits [B, classes]."""
    begin, layers, batch = STACK.begin, len(weights), len(images)
    maps = [torch.zeros(batch, *shape, dtype=torch.float64) for shape in STACK.shapes[1:]]
    queues = [torch.zeros_like(one) for one in maps]
    arriving = [current(images, weights[0], STACK.strides[0])] + [None] * (layers - 1)
    for step in made.steps:
        sent = []
        for layer, shape in enumerate(STACK.shapes[1:]):
            place = slice(begin[layer], begin[layer + 1])
            looked = torch.tensor(step.evaluated[:, layer]).bool().reshape(-1, *[1] * len(shape))
            alive = torch.tensor(step.alive[:, place] * step.evaluated[:, layer, None]).reshape(-1, *shape)
            came = maps[layer] if arriving[layer] is None else maps[layer] + arriving[layer]
            potential = torch.where(looked, came * alive, maps[layer])
            if layer == layers - 1:
                maps[layer] = potential
                continue
            spikes = torch.where(looked, Fire.apply(potential - rule.threshold, rule.steepness), 0.0)
            maps[layer] = potential * (1.0 - spikes.detach())
            mask = torch.tensor((step.sent[:, place] > 0) | (step.room[:, None] > 0)).double().reshape(-1, *shape)
            queue = queues[layer] + spikes
            sent.append(queue * mask)
            queues[layer] = queue * (1.0 - mask)
        arriving = [None] + [
            current(one, weight, stride)
            for one, weight, stride in zip(sent, weights[1:], STACK.strides[1:], strict=True)
        ]
    return maps[-1]


@pytest.mark.parametrize("name", RULES)
def test_gradient_is_that_of_automatic_differentiation(name):
    rule = RULES[name]
    for seed in range(3):
        weights, images = case(seed)
        made = forward(STACK, weights, images, rule, range(3), seed)
        by_logits = torch.randn(3, STACK.full[-1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        found = backward(STACK, weights, made, rule, by_logits.numpy())
        own = [weight.clone().requires_grad_() for weight in weights]
        logits = replayed(own, images, made, rule)
        assert np.array_equal(logits.detach().numpy(), made.logits)
        (logits * by_logits).sum().backward()
        for mine, weight in zip(found, own, strict=True):
            assert weight.grad.abs().max() > 0 and torch.allclose(mine, weight.grad, rtol=1e-9, atol=1e-11)


def test_layered_passes_have_a_step_per_layer():
    weights, images = case(0)
    made = forward(STACK, weights, images, RULES["layered"], range(3))
    assert len(made.steps) == 5 and [step.evaluated.sum(0).argmax() for step in made.steps] == [0, 1, 2, 3, 4]
