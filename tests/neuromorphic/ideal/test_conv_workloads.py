"""Convolutional workloads on the ideal machine: their matrices, layered inference, and a chip with one core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim import neuromorphic
from hwsim.components import registry
from hwsim.errors import SpecError
from hwsim.machines.neuromorphic.matrices import convolution
from hwsim.machines.neuromorphic.run import prepare
from hwsim.machines.request import Request
from hwsim.network import engine
from hwsim.network.freeze import freeze
from hwsim.workload import load, save
from hwsim.workload.model import Geometry

INPUT = [2, 8, 8]
IF = {"type": "if", "threshold": 0.5, "compare": ">", "reset": "zero", "start": 0.0, "max_spikes": 1}


def conv(name, source, channels, **changes):
    square = {"kernel": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    weights = {"weights": {"member": f"{name}.weight", "bits": 8, "scale": 0.01}, "neuron": dict(IF)}
    return {"name": name, "op": "conv2d", "inputs": [source], "channels": channels} | square | weights | changes


def written(path, pool="avgpool", decision="accumulate", **changes):
    """A strided convolution, a grouped one, a pool, a full connection: one image as currents in one timestep."""
    rng = np.random.default_rng(3)
    shapes = {"conv1": (4, 2, 3, 3), "conv2": (6, 2, 3, 3), "fc1": (3, 24)}
    arrays = {f"{name}.weight": np.clip(rng.normal(6, 50, shape).round(), -127, 127).astype(np.int8)
              for name, shape in shapes.items()}  # fmt: skip
    last = {"type": "none"} if decision == "accumulate" else dict(IF)
    layers = [
        conv("conv1", "input", 4, stride=[2, 2]) | changes,
        conv("conv2", "conv1", 6, groups=2),
        {"name": "pool", "op": pool, "inputs": ["conv2"], "kernel": [2, 2], "stride": [2, 2]},
        {"name": "flat", "op": "flatten", "inputs": ["pool"]},
        {"name": "fc1", "op": "linear", "inputs": ["flat"], "channels": 3, "neuron": last,
         "weights": {"member": "fc1.weight", "bits": 8, "scale": 0.02}},
    ]  # fmt: skip
    arrays |= {"test.inputs": rng.integers(0, 256, (5, *INPUT)).astype(np.uint8), "test.labels": np.arange(5) % 3}
    if "bias" in changes:
        arrays["conv1.bias"] = np.full(4, 0.1)
    inputs = {"shape": INPUT, "kind": "count", "bits": 8, "scale": 1 / 255, "encoding": "direct"}
    save(path, {
        "schema": "hwsim/workload/1", "kind": "network", "name": "conv", "timesteps": 1, "input": inputs, "classes": 3,
        "layers": layers, "output": {"layer": "fc1", "decision": decision},
        "samples": {"test": {"inputs": "test.inputs", "labels": "test.labels"}},
    }, arrays)  # fmt: skip
    return load(path)


@pytest.mark.parametrize("pool", ["avgpool", "sumpool"])
@pytest.mark.parametrize("decision", ["accumulate", "fire"])
def test_layered_inference_is_that_of_the_engine(tmp_path, pool, decision):
    workload = written(tmp_path / "conv.npz", pool, decision)
    frozen, images, seen = neuromorphic.freeze_workload(workload), workload.samples("test").inputs, 0
    assert frozen.sizes == (64, 96, 3)
    for number, image in enumerate(images):
        trace = neuromorphic.run(frozen, image.reshape(1, -1), group=frozen.neurons, policy="layer_order", drain="all")
        theirs = engine.run_sample(freeze(workload), workload.samples("test"), number)
        begin = 0
        for name in ("conv1", "conv2") + (("fc1",) if decision == "fire" else ()):
            spikes = np.asarray(theirs.outputs[name]).reshape(-1)
            assert np.array_equal(trace.counts[0, begin : begin + spikes.size], spikes)
            begin += spikes.size
            seen += spikes.sum()
        if decision == "accumulate":
            assert np.allclose(trace.potentials[0, 160:], np.asarray(theirs.logits)[-1], rtol=0, atol=1e-9)
            assert trace.counts[0, 160:].sum() == 0
    assert seen > 100
    many = neuromorphic.run_many(frozen, images.reshape(5, 1, -1), group=7, policy="random", drain="all")
    assert many.steps.min() > 3 and many.left.sum() == 0


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_matrix_is_the_convolution(stride, groups):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(stride)
    weight = torch.randn(6, 4 // groups, 3, 2, generator=generator, dtype=torch.float64)
    x = torch.randn(1, 4, 7, 9, generator=generator, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(x, weight, stride=(stride, 1), padding=(2, 1), dilation=(1, 2), groups=groups)
    rows, columns = expected.shape[2:]
    geometry = Geometry(4, 7, 9, 6, 3, 2, stride, 1, 2, 1, 1, 2, groups, rows, columns)
    found = convolution(weight.reshape(6, -1).numpy(), geometry) @ x.reshape(-1).numpy()
    assert np.allclose(found, expected.reshape(-1).numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pool": "maxpool"}, "layer fc1: a maximum of spikes is not computed"),
        ({"bias": {"member": "conv1.bias"}}, "layer conv1: a bias"),
        ({"neuron": IF | {"compare": ">="}}, "layer conv1: neurons fire above their threshold"),
        ({"neuron": IF | {"reset": "subtract"}}, "layer conv1: a reset by subtraction"),
        ({"neuron": IF | {"start": 0.25}}, "layer conv1: membranes start at 0"),
    ],
)
def test_what_forward_steps_do_not_compute_is_refused(tmp_path, changes, text):
    with pytest.raises(SpecError, match=text):
        neuromorphic.freeze_workload(written(tmp_path / "conv.npz", **changes))


@pytest.mark.parametrize("depth", ["pass", "kernel", "process"])
@pytest.mark.parametrize("group", [3, 16])
def test_one_core_takes_the_same_steps(tmp_path, depth, group):
    """Convolution kernels shared by their positions on the chip, matrices here: the same spikes in the same order."""
    workload = written(tmp_path / "conv.npz")
    toy = Path(__file__).parents[1] / "machine" / "toy.yaml"
    core = ("neurons=4096", "synapse_memory=1 MiB", "count=1", f"group={group}")
    settings = ["noc.kind=none", "mapping.share_cores=true", *(f"components.core.{setting}" for setting in core)]
    runner = prepare(registry.load(toy, settings), workload, Request(depth=depth))
    frozen, spikes = neuromorphic.freeze_workload(workload), 0
    for number, image in enumerate(workload.samples("test").inputs[:2]):
        made = runner.record(number, depth)
        trace = neuromorphic.run(frozen, image.reshape(1, -1), group=group, policy="fifo", drain="all")
        assert made.propagated[:, 1].astype(int).tolist() == trace.propagated["neuron"].tolist()
        assert made.emitted[:, 1].astype(int).tolist() == trace.emitted["neuron"].tolist()
        assert np.array_equal(made.potential, trace.potentials[0])
        spikes += len(trace.emitted)
    assert spikes > 60
