"""What is written computes what was trained: integer weights, BN, neurons, and the file read back."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from workloads.recipes import ship  # noqa: E402
from workloads.recipes.datasets import ImageSets  # noqa: E402
from workloads.recipes.evaluate import Density, encode, propagate  # noqa: E402
from workloads.recipes.export import network_spec  # noqa: E402
from workloads.recipes.networks import GAMMA_FLOOR, Network, Plan  # noqa: E402

STACK = (6, "pool", 8, "flatten", 12, 10)


def network_of(**changes):
    """A small network with running statistics that are not the initial ones."""
    torch.manual_seed(3)
    network = Network(Plan(STACK, (2, 8, 8), 5, **changes))
    generator = torch.Generator().manual_seed(5)
    network.set_quantised(True)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.weight.uniform_(-0.2, 2.0, generator=generator)
                module.bias.uniform_(-0.3, 0.5, generator=generator)
        for _ in range(20):
            network(torch.rand((8, 2, 8, 8), generator=generator))
    network.keep_gamma_positive()
    return network.eval()


def images_of(count=12):
    return np.random.default_rng(6).integers(0, 256, (count, 2, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("changes", [{}, {"per_channel": False}, {"normalise": "timestep"}, {"neuron": "relu"}])
def test_written_network_computes_what_torch_does(changes):
    network, images = network_of(**changes), images_of()
    spec, arrays = network_spec(network, "small", {})
    density = Density()
    written = propagate(spec, arrays, encode(spec, images), density.visit)
    with torch.no_grad():
        trained = network(torch.from_numpy(images).float() / 255.0)
    assert written.shape[1:] == (12, 10)
    assert torch.allclose(written.float(), trained, rtol=1e-4, atol=1e-4)
    assert all(0.02 < value < 0.98 for value in density.outputs().values())
    assert all(
        array.dtype == np.int8 and np.abs(array).max() == 127 for name, array in arrays.items() if "weight" in name
    )


def test_gains_are_projected_to_positive_values():
    network = network_of()
    arrays = network_spec(network, "small", {})[1]
    assert min(arrays[name].min() for name in arrays if name.endswith("gamma")) == np.float32(GAMMA_FLOOR)


def test_file_reads_back_and_shares_its_images(tmp_path):
    from hwsim.workload import load

    images = {
        name: (images_of(count), np.arange(count) % 10)
        for name, count in (("test", 7), ("calibration", 4), ("demo", 3))
    }
    data = ImageSets("small8", "noise", images)
    for name in ("first", "second"):
        spec, arrays = network_spec(network_of(), name, {"seed": 3})
        path = ship.write(spec, arrays, data, tmp_path)
        workload = load(path)
        assert workload.timesteps == 5 and workload.training["seed"] == 3
        assert np.array_equal(workload.samples("test").inputs, images["test"][0])
        assert np.array_equal(workload.array("conv2.weight"), arrays["conv2.weight"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.npz", "second.npz", "small8.npz"]
