"""Shipped shape tables: they load, and their sizes are those that the literature gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.workload import load

FOLDER = Path(__file__).parents[2] / "workloads" / "shapes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_every_network_that_the_papers_name_is_there() -> None:
    images = [f"{net}_{data}" for net in ("vgg5", "vgg9", "vgg16", "resnet18") for data in ("cifar10", "tinyimagenet")]
    works = [
        f"table2_{work}{fed}" for work in ("sbp", "bntt", "direct", "tssl", "lth", "tdbn") for fed in ("", "_as_fed")
    ]
    others = ["vgg5_mnist", "resnet19_cifar10", "spikegrad_mnist", "spikegrad_cifar10", "vgg7_cifar10", "mlp_528"]
    assert {*images, *works, *others} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_table_loads_and_says_its_densities(name: str) -> None:
    net = load(FOLDER / f"{name}.yaml")
    assert (net.name, net.kind) == (name, "shapes")
    assert all(layer.density is not None and 0 < layer.density <= 1 for layer in net.weighted)
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert "notes: >-" in text
    assert net.timesteps == load(name).timesteps


@pytest.mark.parametrize(
    ("name", "operations", "weights"),
    [
        ("vgg9_cifar10", 194_717_696, 5_938_880),
        ("vgg16_cifar10", 313_201_664, 14_715_584),
        ("resnet18_cifar10", 555_422_720, 11_164_352),
        ("vgg5_mnist", 50_236_416, 6_654_528),
        ("mlp_528", 164_500, 164_500),
        ("spikegrad_mnist", 1_371_000, 210_375),
    ],
)
def test_dense_operations_and_weights(name: str, operations: int, weights: int) -> None:
    """VGG16 (0.31 G) and ResNet18 (0.56 G, 11.17 M parameters with BN) as usually quoted for 32x32; no biases."""
    net = load(name)
    assert sum(layer.geometry.dense_operations for layer in net.weighted) == operations
    assert sum(layer.geometry.weight_count for layer in net.weighted) == weights


def test_spikegrad_topologies() -> None:
    filters = [layer.channels for layer in load("spikegrad_cifar10").weighted]
    assert filters == [128, 256, 512, 1024, 512, 1024, 512, 10]
    assert [layer.channels for layer in load("spikegrad_mnist").weighted] == [15, 40, 300, 10]


def test_larger_images_have_the_first_linear_layer_of_their_size() -> None:
    first = {name: next(layer for layer in load(name).weighted if layer.op == "linear") for name in NAMES}
    assert first["vgg9_cifar10"].geometry.K == 4096
    assert first["vgg9_tinyimagenet"].geometry.K == 16384
    assert first["table2_direct"].geometry.K == 32768
    assert first["table2_direct_as_fed"].geometry.K == 8192


def test_residual_networks_have_their_blocks() -> None:
    nineteen = load("resnet19_cifar10").weighted
    assert sum(layer.kernel == (3, 3) for layer in nineteen) == 17
    assert [layer.channels for layer in nineteen if layer.kernel == (1, 1) and layer.op == "conv2d"] == [256, 512]
    eighteen = load("resnet18_tinyimagenet").weighted
    assert [layer.output_shape[1] for layer in eighteen if "block2_conv2" in layer.name] == [64, 32, 16, 8]
