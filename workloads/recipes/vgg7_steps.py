"""A convolutional network by forward steps, forward and backward.

Unlayered backpropagation, Koopman et al., TMLR 2025. One timestep, IF neurons, no batch normalisation, no bias, no
pooling: strides make the maps smaller. A spike that goes its own way leaves nothing a maximum could be taken of, and a
strided convolution is what an average pool and the layer behind it come to. The image reaches the first layer whole, in
step 1; then every step sends up to ``group`` spikes of a sample, from any layers, by a policy. The last layer fires no
spikes: its potentials, when none is left, are the logits. The last spikes are delivered whatever the sign of their
currents (``drain="all"`` of ``hwsim.neuromorphic.run``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwsim.kernels.scheduling import STREAM, sample_key
from hwsim.machines.neuromorphic.options import REFRACTORY
from workloads.recipes.vgg7_kernels import Rule, State, Step, decide, undo

KERNEL, PADDING = 3, 1


@dataclass(frozen=True)
class Stack:
    """Convolutions (channels, stride), 3x3, padded by 1, then full connections of these widths; the last is the output.

    ``input_shape`` [C, H, W].
    """

    input_shape: tuple[int, int, int]
    convolutions: tuple[tuple[int, int], ...]
    full: tuple[int, ...]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the input and of every layer."""
        found: list[tuple[int, ...]] = [self.input_shape]
        for channels, stride in self.convolutions:
            _, height, width = found[-1]
            found.append((channels, -(-height // stride), -(-width // stride)))
        return found + [(width,) for width in self.full]

    @property
    def strides(self) -> tuple[int, ...]:
        """Of every layer; 0: full connection."""
        return (*(stride for _, stride in self.convolutions), *(0 for _ in self.full))

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """[M, C, 3, 3], then [M, K]."""
        shapes = self.shapes
        convolved = len(self.convolutions)
        found: list[tuple[int, ...]] = [
            (shapes[n + 1][0], shapes[n][0], KERNEL, KERNEL) for n in range(convolved)
        ]  # fmt: skip
        return found + [(shapes[n + 1][0], int(np.prod(shapes[n]))) for n in range(convolved, len(shapes) - 1)]

    @property
    def begin(self) -> np.ndarray:
        """int64 [L + 1]: first neuron of each layer, and all."""
        return np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes[1:])]).astype(np.int64)


class Pass(NamedTuple):
    """What a forward pass leaves: ``logits`` [B, classes], ``emitted`` int [B, N], the steps, sums over the batch."""

    logits: np.ndarray
    emitted: np.ndarray
    steps: list[Step]
    images: Tensor


def keys(seed: int, stream: str, samples: Sequence[int]) -> np.ndarray:
    """uint64 [B]: where the draws of these samples begin."""
    return np.array([sample_key(seed, stream, int(sample)) for sample in samples], np.uint64)


def current(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Currents of a layer for multiplicities x of the layer before."""
    if stride:
        return functional.conv2d(x, weight, stride=stride, padding=PADDING)
    return functional.linear(x.flatten(1), weight)


def _transposed(
    by_current: Tensor, x: Tensor, weight: Tensor, stride: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Derivatives by what was sent, and by the weights; ``wanted``: which of them."""
    if stride:
        found = torch.ops.aten.convolution_backward(
            by_current, x, weight, None, [stride, stride], [PADDING, PADDING], [1, 1], False, [0, 0], 1,
            [*wanted, False],
        )  # fmt: skip
        return found[0], found[1]
    by_sent = (by_current @ weight).reshape(x.shape) if wanted[0] else None
    return by_sent, by_current.T @ x.flatten(1) if wanted[1] else None


def _map(stack: Stack, begin: np.ndarray, array: np.ndarray, layer: int) -> Tensor:
    """The map of a layer in an array [B, N]."""
    part = np.ascontiguousarray(array[:, begin[layer] : begin[layer + 1]])
    return torch.from_numpy(part).reshape(len(array), *stack.shapes[layer + 1])


@torch.no_grad()
def forward(
    stack: Stack, weights: Sequence[Tensor], images: Tensor, rule: Rule, samples: Sequence[int], seed: int = 0
) -> Pass:
    """All forward steps of a batch: images [B, C, H, W] as currents; ``samples``: their numbers, for the draws."""
    begin, batch = stack.begin, len(images)
    number, layers = int(begin[-1]), len(begin) - 1
    dtype = images.numpy().dtype
    state = State(
        np.zeros((batch, number), dtype), np.ones((batch, number), np.uint8), np.zeros((batch, number), np.uint8),
        np.zeros((batch, number), dtype), np.zeros((batch, number), np.uint8),
    )  # fmt: skip
    scheduling, refractory = keys(seed, STREAM, samples), keys(seed, REFRACTORY, samples)
    ahead = np.zeros((batch, layers), np.uint8)
    ahead[:, 0] = 1
    arriving = np.zeros((batch, number), dtype)
    arriving[:, : begin[1]] = current(images, weights[0], stack.strides[0]).flatten(1).numpy()
    steps: list[Step] = []
    while True:
        step = Step(
            np.empty((batch, number), dtype), np.empty((batch, number), np.uint8), np.zeros((batch, number), dtype),
            np.zeros(batch, np.uint8), ahead,
        )  # fmt: skip
        ahead, chosen = decide(state, step, arriving, begin, rule, scheduling, refractory, len(steps) + 1)
        steps.append(step)
        if not chosen:
            return Pass(state.potential[:, begin[-2] :].copy(), state.emitted, steps, images)
        for layer in range(1, layers):
            if ahead[:, layer].any():
                sent = _map(stack, begin, step.sent, layer - 1)
                found = current(sent, weights[layer], stack.strides[layer])
                arriving[:, begin[layer] : begin[layer + 1]] = found.flatten(1).numpy()


@torch.no_grad()
def backward(stack: Stack, weights: Sequence[Tensor], made: Pass, rule: Rule, by_logits: np.ndarray) -> list[Tensor]:
    """Derivatives by the weights of a loss whose derivative by the logits is ``by_logits`` [B, classes]."""
    begin, layers = stack.begin, len(weights)
    shape, dtype = made.steps[0].value.shape, made.steps[0].value.dtype
    by_potential, by_waiting, by_sent, by_current = (np.zeros(shape, dtype) for _ in range(4))
    by_potential[:, begin[-2] :] = by_logits
    gradients = [torch.zeros_like(weight) for weight in weights]
    for number in range(len(made.steps) - 1, -1, -1):
        step = made.steps[number]
        by_sent[:] = 0
        for layer in range(1, layers if number + 1 < len(made.steps) else 1):
            if not made.steps[number + 1].evaluated[:, layer].any():
                continue
            came = _map(stack, begin, by_current, layer)
            sent = _map(stack, begin, step.sent, layer - 1)
            wanted, own = _transposed(came, sent, weights[layer], stack.strides[layer], (True, True))
            assert wanted is not None and own is not None
            by_sent[:, begin[layer - 1] : begin[layer]] = wanted.flatten(1).numpy()
            gradients[layer] += own
        undo(step, begin, rule, by_potential, by_waiting, by_sent, by_current)
    came = _map(stack, begin, by_current, 0)
    own = _transposed(came, made.images, weights[0], stack.strides[0], (False, True))[1]
    assert own is not None
    gradients[0] += own
    return gradients
