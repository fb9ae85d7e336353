"""Small random networks as files, over all operations that a crossbar machine takes, and machines to run them on."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from hwsim.workload import save
from tests.network.snn_builder import Builder

CLASSES = 4


class Drawn(Builder):
    """A network whose geometry and neurons come from ``rng``; ``kind`` 'snn' or 'ann'."""

    def __init__(self, seed: int, *, timesteps: int | None = None, encoding: str | None = None) -> None:
        rng = self.rng = random.Random(seed)
        self.kind = rng.choice(("snn", "snn", "snn", "ann"))
        encoding = encoding or rng.choice(("direct", "direct", "poisson", "counts"))
        times = timesteps or (1 if self.kind == "ann" else rng.randint(1, 3))
        shape = rng.choice(((2, 6, 6), (3, 5, 7), (4, 4, 4), (5, 1, 6), (2, 7, 1), (3, 8)))
        bits = 8 if encoding == "poisson" else rng.choice((2, 4, 8))
        super().__init__(shape, times, seed, encoding=encoding, bits=bits, scale=1 / (2**bits - 1))

    def neuron(self, name: str, channels: int) -> dict[str, Any]:
        rng = self.rng
        if self.kind == "ann":
            return {"type": "relu", "bits": rng.choice((2, 4)), "scale": 0.2}
        made: dict[str, Any] = {"type": rng.choice(("lif", "lif", "if")), "threshold": rng.choice((0.3, 0.6))}
        if rng.random() < 0.3:
            made["threshold"] = self.member(f"{name}.threshold", self.random.uniform(0.2, 0.9, channels))
        if made["type"] == "lif":
            made["leak"] = rng.choice((0.5, 0.9))
        return made | {"compare": rng.choice((">", ">=")), "reset": rng.choice(("zero", "subtract"))}

    def normalised(self, name: str, channels: int) -> dict[str, Any]:
        """Bias and BN (for all timesteps, or one each: BNTT), or neither."""
        keys: dict[str, Any] = {}
        if self.rng.random() < 0.3:
            keys["bias"] = self.member(f"{name}.bias", self.random.normal(0, 0.1, channels).astype(np.float32))
        if self.rng.random() < 0.4:
            each = self.rng.random() < 0.5
            shape = (self.timesteps, channels) if each else (channels,)
            bn: dict[str, Any] = {"eps": 1e-5, "per_timestep": each}
            for key, low, high in (("gamma", 0.7, 1.5), ("beta", -0.2, 0.3), ("mean", -0.2, 0.2), ("var", 0.3, 1.5)):
                drawn = self.random.uniform(low, high, shape).astype(np.float32)
                bn[key] = self.member(f"{name}.{key}", drawn)["member"]
            keys["bn"] = bn
        return keys

    def window(self, shape: tuple[int, ...], *, pool: bool) -> tuple[dict[str, Any], tuple[int, ...]]:
        """Kernel, stride (also beyond the kernel), padding and dilation that fit, and the output lengths."""
        rng, out = self.rng, []
        keys: dict[str, Any] = {"kernel": [], "stride": [], "padding": []} | ({} if pool else {"dilation": []})
        for length in shape[1:]:
            kernel = rng.randint(1, min(3, length))
            padding = rng.randint(0, kernel // 2) if pool else rng.randint(0, 2)
            room = (length + 2 * padding - 1) // max(kernel - 1, 1)
            dilation = 1 if pool else rng.randint(1, max(1, min(2, room)))
            stride = rng.choice((1, 1, 2, 3))
            for key, value in (("kernel", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)):
                if key in keys:
                    keys[key].append(value)
            out.append((length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        return keys, tuple(out)

    def convolution(self, shape: tuple[int, ...], source: str) -> tuple[str, tuple[int, ...]]:
        keys, lengths = self.window(shape, pool=False)
        op, filters = ("conv2d" if len(shape) == 3 else "conv1d"), self.rng.choice((2, 4, 6, 11))
        name = f"{op}{len(self.layers)}"
        keys |= self.normalised(name, filters)
        size = (filters, shape[0], *keys["kernel"])
        self.weighted(op, size, self.neuron(name, filters), name=name, inputs=[source], **keys)
        return name, (filters, *lengths)

    def pool(self, shape: tuple[int, ...], source: str) -> tuple[str, tuple[int, ...]]:
        keys, lengths = self.window(shape, pool=True)
        op = self.rng.choice(("maxpool", "avgpool", "sumpool"))
        return self.add(op, inputs=[source], **keys), (shape[0], *lengths)

    def residual(self, shape: tuple[int, ...], source: str) -> tuple[str, tuple[int, ...]]:
        """Two arms of the same input (one of them longer), added or concatenated."""
        rng, op, arms = self.rng, ("conv2d" if len(shape) == 3 else "conv1d"), []
        for _ in range(2):
            name = f"{op}{len(self.layers)}"
            kernel = [rng.choice((1, 3)) for _ in shape[1:]]
            keys = {"kernel": kernel, "padding": [k // 2 for k in kernel]}
            size = (shape[0], shape[0], *kernel)
            arms.append(self.weighted(op, size, self.neuron(name, shape[0]), name=name, inputs=[source], **keys))
        if rng.random() < 0.5:
            name = f"{op}{len(self.layers)}"
            ones = [1] * (len(shape) - 1)
            size = (shape[0], shape[0], *ones)
            arms[0] = self.weighted(op, size, self.neuron(name, shape[0]), name=name, inputs=[arms[0]], kernel=ones)
        if rng.random() < 0.5:
            arms[1] = self.add("maxpool", inputs=[arms[1]], kernel=[1] * (len(shape) - 1))
        if rng.random() < 0.5:
            return self.add("concat", inputs=arms), (2 * shape[0], *shape[1:])
        name = f"add{len(self.layers)}"
        keys = {"neuron": self.neuron(name, shape[0])} if rng.random() < 0.6 else {}
        return self.add("add", name, inputs=arms, **keys), shape

    def chain(self) -> None:
        """Up to three stages, a flatten, one or two linear layers."""
        rng, source = self.rng, "input"
        shape = tuple(self.input["shape"])
        for _ in range(rng.randint(0, 3)):
            stage = rng.choice((self.convolution, self.convolution, self.pool, self.residual))
            source, shape = stage(shape, source)
        features = int(np.prod(shape))
        source = self.add("flatten", inputs=[source])
        if rng.random() < 0.5:
            name = f"linear{len(self.layers)}"
            source = self.weighted("linear", (9, features), self.neuron(name, 9), name=name, inputs=[source])
            features = 9
        end = {"type": "none"}
        self.weighted("linear", (CLASSES, features), end, name="out", inputs=[source])


def write(
    path: Any, builder: Builder, *, samples: int = 2, seed: int = 0, name: str = "drawn", inputs: Any = None,
    classes: int = CLASSES,
) -> Any:  # fmt: skip
    """The network as a file, with ``inputs`` or random test samples (a third of the pixels dark). Returns the path."""
    rng = np.random.default_rng(seed)
    shape = tuple(builder.input["shape"])
    if builder.input["encoding"] == "counts":
        shape = (builder.timesteps, *shape)
    if inputs is None:
        high = 2 ** builder.input["bits"]
        inputs = rng.integers(0, high, (samples, *shape)) * (rng.random((samples, *shape)) < 0.66)
    inputs = np.asarray(inputs).reshape(-1, *shape)
    arrays = dict(builder.arrays) | {
        "test.inputs": inputs.astype(np.uint8),
        "test.labels": rng.integers(0, classes, len(inputs)).astype(np.int64),
    }
    spec = builder.spec(classes=classes) | {
        "name": name,
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}},
    }
    save(path, spec, arrays)
    return path


def drawn(path: Any, seed: int, **given: Any) -> Any:
    """A whole random network as a file."""
    builder = Drawn(seed, **given)
    builder.chain()
    return write(path, builder, seed=seed, name=f"drawn{seed}")


SMALL = ["crossbar.rows=8", "crossbar.columns=8", "adc.calibration_images=1"]
"""Arrays in which even small layers have several row and column blocks."""


def machine(rng: random.Random, timesteps: int) -> tuple[str, list[str]]:
    """A schedule and overrides."""
    overrides = [
        f"crossbar.rows={rng.choice((4, 8, 16))}",
        f"crossbar.columns={rng.choice((4, 8, 16))}",
        f"crossbar.cell_bits={rng.choice((1, 2, 4))} bit",
        f"mux.columns_per_adc={rng.choice((1, 3, 8))}",
        f"mapping.pes_per_tile={rng.choice((1, 2, 8))}",
        f"mapping.scheme={rng.choice(('kernel', 'im2col'))}",
        f"mapping.encoding={rng.choice(('twos_complement', 'diff', 'offset_binary', 'differential_pair'))}",
        f"mapping.inversion={rng.choice(('true', 'false'))}",
        f"mapping.share_tiles={rng.choice(('true', 'false'))}",
        f"mapping.placement={rng.choice(('index', 'activity'))}",
        f"mapping.first_layer={rng.choice(('mapped', 'mapped', 'digital'))}",
        f"mapping.linear={rng.choice(('mapped', 'mapped', 'digital'))}",
        f"noc.topology={rng.choice(('mesh', 'torus', 'tree'))}",
        f"noc.global_node={rng.choice(('corner', 'centre'))}",
        f"noc.packets={rng.choice(('bitmap', 'zero_checked'))}",
        f"noc.multicast={rng.choice(('true', 'false'))}",
        f"options.zero_vectors={rng.choice(('read', 'skipped'))}",
        f"options.sample_hold={rng.choice(('true', 'false'))}",
        f"options.read_noise={rng.choice(('true', 'false'))}",
        f"options.lif_sharing={rng.choice((1, 1, 2, 4))}",
        f"options.gain={rng.choice(('off', 'global', 'per_column'))}",
        "adc.calibration_images=1",
    ]
    flit = rng.choice((5, 32, 256))
    for name in ("router", "link"):
        overrides += [
            f"{name}.flit={flit} bit",
            f"{name}.actions.flit={{energy: 1 pJ, per: {flit} bit, source: isaac, error: x2}}",
        ]
    if timesteps > 1 and rng.random() < 0.4:
        pipeline = rng.choice(("speculate", "wait"))
        overrides.append(f"options.early_exit={{threshold: {rng.choice((0.5, 0.9, 0.99))}, pipeline: {pipeline}}}")
    return rng.choice(("pipelined", "by-timestep", "sequential")), overrides
