"""Local MNIST and CIFAR-10 files: read as written, refused with a reason when they are something else."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

pytest.importorskip("torch")

from hwsim.errors import SpecError
from workloads.recipes import files, train

COUNT = 300


def idx(array):
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def mnist_folder(tmp_path):
    generator = np.random.default_rng(1)
    for stem, count in (("train", COUNT), ("t10k", 40)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


def cifar_batch(count, seed):
    records = np.random.default_rng(seed).integers(0, 256, (count, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    return records


def test_mnist_is_read_and_split(mnist_folder):
    sets = files.open_set(f"mnist:{mnist_folder}").sets
    assert {name: len(labels) for name, (_, labels) in sets.items()} == {
        "train": COUNT - 266, "test": 40, "calibration": 256, "demo": 10
    }  # fmt: skip
    raw = np.frombuffer((mnist_folder / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    everything = np.concatenate([sets[name][0] for name in ("train", "demo", "calibration")])
    assert everything.shape == (COUNT, 1, 28, 28)
    assert np.array_equal(everything.reshape(-1), raw)


def test_cifar_is_read_channel_by_channel(tmp_path):
    batches = {f"data_batch_{n}.bin": cifar_batch(60, n) for n in range(1, 6)} | {"test_batch.bin": cifar_batch(20, 9)}
    for name, records in batches.items():
        (tmp_path / name).write_bytes(records.tobytes())
    sets = files.open_set(f"cifar10:{tmp_path}").sets
    assert len(sets["train"][1]) == 300 - 266
    images, labels = sets["test"]
    assert np.array_equal(labels, batches["test_batch.bin"][:, 0])
    assert images[3, 2, 31, 5] == batches["test_batch.bin"][3, 1 + 2 * 1024 + 31 * 32 + 5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"\x00\x00\x0d\x03" + bytes(40), "is not an idx file of unsigned bytes"),
        (
            "train-images-idx3-ubyte",
            idx(np.zeros((4, 28, 28), np.uint8))[:-1],
            "holds 3,151 bytes, expected 3,152 bytes",
        ),
        ("train-images-idx3-ubyte", idx(np.zeros((4, 20, 28), np.uint8)), "expected [N, 28, 28] and [N]"),
        ("train-labels-idx1-ubyte.gz", b"not gzip", "cannot be read"),
        ("train-images-idx3-ubyte", b"", "is not an idx file of unsigned bytes"),
    ],
)
def test_broken_idx_files_are_refused(mnist_folder, name, content, message):
    (mnist_folder / name).write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        files.open_set(f"mnist:{mnist_folder}")
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(3074), "holds 3,074 bytes, expected a multiple of 3073"),
        (b"", "holds 0 bytes"),
        (bytes([77]) + bytes(3072), "has label 77, expected 0..9"),
    ],
)
def test_broken_cifar_batches_are_refused(tmp_path, content, message):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        files.read_cifar(path)


@pytest.mark.parametrize("text", ["mnist", "imagenet:folder", "mnist:nowhere"])
def test_unknown_sets_and_folders_are_refused(text):
    with pytest.raises(SpecError):
        files.open_set(text)


def test_command_line_refuses_images_of_another_shape(mnist_folder, tmp_path, capsys):
    code = train.main(["vgg9", "--data", f"mnist:{mnist_folder}", "--checkpoints", str(tmp_path / "kept")])
    assert code == 2
    assert "images are [1, 28, 28], vgg9 takes [3, 32, 32]" in capsys.readouterr().err
