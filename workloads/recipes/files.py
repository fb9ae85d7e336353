"""Local MNIST (idx, plain or .gz) and CIFAR-10 (binary version) files, checked by magic number and size."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from hwsim.errors import Problem, SpecError
from workloads.recipes.datasets import ImageSets

CIFAR_RECORD = 1 + 3 * 32 * 32
HELD_BACK = {"calibration": 256, "demo": 10}


def read_idx(path: Path) -> np.ndarray:
    """One idx file of unsigned bytes (LeCun's MNIST format: 0, 0, 8, dimensions, big-endian sizes, data)."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise SpecError(Problem(str(path), f"cannot be read: {error}")) from None
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or not 1 <= raw[3] <= 4:
        raise SpecError(
            Problem(str(path), "is not an idx file of unsigned bytes: the magic number must be 00 00 08 and 01..04")
        )
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[place : place + 4], "big") for place in range(4, start, 4))
    if len(raw) != start + math.prod(shape):
        expected = f"{start + math.prod(shape):,} bytes for shape {list(shape)}"
        raise SpecError(Problem(str(path), f"holds {len(raw):,} bytes, expected {expected}"))
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One CIFAR-10 binary batch: records of a label byte and 3x32x32 bytes -> images [N, 3, 32, 32], labels [N]."""
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SpecError(Problem(str(path), f"cannot be read: {error}")) from None
    if len(raw) == 0 or len(raw) % CIFAR_RECORD:
        message = f"holds {len(raw):,} bytes, expected a multiple of {CIFAR_RECORD} (label, then 3x32x32 bytes)"
        raise SpecError(Problem(str(path), message))
    records = raw.reshape(-1, CIFAR_RECORD)
    if records[:, 0].max() > 9:
        raise SpecError(
            Problem(str(path), f"has label {records[:, 0].max()}, expected 0..9 (the CIFAR-10 binary version)")
        )
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def mnist(folder: Path) -> ImageSets:
    """MNIST from train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, each plain or .gz."""
    loaded = {}
    for name, stem in (("train", "train"), ("test", "t10k")):
        images = read_idx(_existing(folder, f"{stem}-images-idx3-ubyte"))
        labels = read_idx(_existing(folder, f"{stem}-labels-idx1-ubyte"))
        if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            found = f"images {list(images.shape)} and labels {list(labels.shape)}"
            raise SpecError(Problem(str(folder), f"{stem}: found {found}, expected [N, 28, 28] and [N]"))
        loaded[name] = (images[:, None], labels.astype(np.int64))
    return ImageSets("mnist", "MNIST", _hold_back(loaded, folder))


def cifar10(folder: Path) -> ImageSets:
    """CIFAR-10 from data_batch_1.bin .. data_batch_5.bin and test_batch.bin."""
    parts = [read_cifar(_existing(folder, f"data_batch_{number}.bin")) for number in range(1, 6)]
    train = (np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts]))
    loaded = {"train": train, "test": read_cifar(_existing(folder, "test_batch.bin"))}
    return ImageSets("cifar10", "CIFAR-10", _hold_back(loaded, folder))


def open_set(text: str) -> ImageSets:
    """``mnist:DIR`` or ``cifar10:DIR``."""
    kind, separator, folder = text.partition(":")
    readers = {"mnist": mnist, "cifar10": cifar10}
    if kind not in readers or not separator:
        raise SpecError(f"--data {text}: expected mnist:DIR or cifar10:DIR")
    return readers[kind](Path(folder))


def _existing(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise SpecError(Problem(str(folder), f"has no file {name} (nor {name}.gz)"))


def _hold_back(
    loaded: dict[str, tuple[np.ndarray, np.ndarray]], folder: Path
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Takes calibration and demo images from the end of the training images, so that all sets are disjoint."""
    images, labels = loaded["train"]
    end = len(labels)
    if end <= sum(HELD_BACK.values()):
        raise SpecError(
            Problem(str(folder), f"has {end} training images, expected more than {sum(HELD_BACK.values())}")
        )
    for name, count in HELD_BACK.items():
        loaded[name] = (images[end - count : end], labels[end - count : end])
        end -= count
    loaded["train"] = (images[:end], labels[:end])
    return loaded
