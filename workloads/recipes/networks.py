"""The trainable networks: plain stacks of convolution, 2x2 max pooling and full connection, spiking or analog."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from workloads.recipes.surrogate import fire

VGG9 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", "flatten", 1024, 10)
VGG5 = (64, "pool", 128, 128, "pool", "flatten", 1024, 10)
MLP = ("flatten", 64, 10)
GAMMA_FLOOR = 0.05


@dataclass(frozen=True)
class Plan:
    """What to build: ``stack`` of channel counts, "pool" and "flatten"; input [C, H, W]; neuron ``lif`` or ``relu``."""

    stack: tuple[int | str, ...]
    input_shape: tuple[int, int, int]
    timesteps: int
    neuron: str = "lif"
    leak: float = 0.5
    threshold: float = 1.0
    encoding: str = "direct"
    input_scale: float = 1.0 / 255.0
    normalise: str = "layer"  # layer | timestep | none
    biased: bool = False
    per_channel: bool = True
    options: dict = field(default_factory=dict)


def quantise_weights(weight: Tensor, per_channel: bool) -> tuple[Tensor, Tensor]:
    """Weights [M, ...] -> integers -127..127 as float, and their scale, [M, 1, ...] or a scalar tensor."""
    dims = tuple(range(1, weight.dim()))
    peak = weight.abs().amax(dim=dims, keepdim=True) if per_channel else weight.abs().amax()
    scale = peak.clamp(min=1e-8) / 127.0
    return torch.round(weight / scale), scale


def straight_through(weight: Tensor, per_channel: bool) -> Tensor:
    """Weights rounded to 8 bits going forward, untouched going back."""
    with torch.no_grad():
        integers, scale = quantise_weights(weight, per_channel)
        rounding = integers * scale - weight
    return weight + rounding


class Weighted(nn.Module):
    """A weighted layer, its batch normalisation (one, one per timestep or none) and, but for the output, its neuron."""

    range: Tensor

    def __init__(self, plan: Plan, name: str, inputs: int, channels: int, convolution: bool, output: bool) -> None:
        super().__init__()
        self.plan, self.name, self.convolution, self.output = plan, name, convolution, output
        shape = (channels, inputs, 3, 3) if convolution else (channels, inputs)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if output:
            nn.init.normal_(self.weight, std=inputs**-0.5)
        biased = plan.biased or (output and plan.normalise != "none")
        self.bias = nn.Parameter(torch.zeros(channels)) if biased else None
        norm = nn.BatchNorm2d if convolution else nn.BatchNorm1d
        count = 0 if output else {"layer": 1, "timestep": plan.timesteps, "none": 0}[plan.normalise]
        self.norms = nn.ModuleList(norm(channels) for _ in range(count))
        self.quantised = False
        self.register_buffer("range", torch.tensor(0.0))  # peak activation of a relu layer, running

    def current(self, x: Tensor) -> Tensor:
        """The weighted sum of inputs [N, ...], weights rounded to 8 bits when ``quantised``."""
        weight = straight_through(self.weight, self.plan.per_channel) if self.quantised else self.weight
        if self.convolution:
            return functional.conv2d(x, weight, self.bias, padding=1)
        return functional.linear(x, weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> [T, B, ...]; an input with T = 1 is the same at every timestep and is weighted once."""
        steps, batch = x.shape[:2]
        current = self.current(x.flatten(0, 1))
        if len(self.norms) == 1:
            current = self.norms[0](current)
        current = current.unflatten(0, (steps, batch))
        if len(self.norms) > 1:
            current = torch.stack([norm(part) for norm, part in zip(self.norms, self.spread(current), strict=False)])
        if self.output:
            return current
        return self.relu(current) if self.plan.neuron == "relu" else fire(self.spread(current), self.plan.leak)

    def spread(self, current: Tensor) -> Tensor:
        """The same current at each of the network's timesteps, where it came from an unchanging input."""
        steps = self.plan.options["timesteps"]
        return current if len(current) == steps else current.expand(steps, *current.shape[1:]).contiguous()

    def relu(self, current: Tensor) -> Tensor:
        """Rectified; once ``quantised``, rounded to 256 levels up to the running mean of the batches' peaks."""
        active = functional.relu(current)
        if self.training:
            with torch.no_grad():
                self.range.mul_(0.95).add_(0.05 * active.amax()) if self.range > 0 else self.range.fill_(active.amax())
        if not self.quantised:
            return active
        scale = self.range / 255.0
        with torch.no_grad():
            levels = torch.clamp(torch.round(active / scale), 0, 255) * scale
        inside = (active < self.range).to(active.dtype)
        return active * inside + (levels - active * inside).detach()


class Network(nn.Module):
    """A stack of layers: values [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, classes]."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        plan.options.setdefault("timesteps", plan.timesteps)
        self.plan = plan
        self.layers: nn.ModuleDict = nn.ModuleDict()
        channels, height, width = plan.input_shape
        counts = {"conv": 0, "fc": 0, "pool": 0}
        flat = False
        for place, item in enumerate(plan.stack):
            if item == "pool":
                counts["pool"] += 1
                self.layers[f"pool{counts['pool']}"] = nn.MaxPool2d(2)
                height, width = height // 2, width // 2
            elif item == "flatten":
                self.layers["flatten"] = nn.Flatten()
                channels, flat = channels * height * width, True
            else:
                kind = "fc" if flat else "conv"
                counts[kind] += 1
                name, output = f"{kind}{counts[kind]}", place == len(plan.stack) - 1
                self.layers[name] = Weighted(plan, name, channels, int(item), not flat, output)
                channels = int(item)

    def weighted(self) -> list[Weighted]:
        """The weighted layers in order."""
        return [layer for layer in self.layers.values() if isinstance(layer, Weighted)]

    def set_timesteps(self, timesteps: int) -> None:
        """Runs at another number of timesteps from now on (a warm-up at few is cheap)."""
        self.plan.options["timesteps"] = timesteps

    def set_quantised(self, quantised: bool) -> None:
        """Turns the rounding to 8 bits on or off in all layers."""
        for layer in self.weighted():
            layer.quantised = quantised

    def forward(self, x: Tensor) -> Tensor:
        x = x[None] if x.dim() == 4 else x
        for layer in self.layers.values():
            x = layer(x) if isinstance(layer, Weighted) else layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return x

    @torch.no_grad()
    def keep_gamma_positive(self) -> None:
        """Projects every BN gain to GAMMA_FLOOR or more, so that BN folds into a positive threshold per channel."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.clamp_(min=GAMMA_FLOOR)
