"""Local event recordings: N-MNIST (.bin), SHD (HDF5, needs h5py) and DVS-gesture (AEDAT 3.1 with labels), checked.

Formats: Orchard et al. 2015 (N-MNIST), Cramer et al. 2020 (SHD), Amir et al. 2017 (DVS-gesture). Calibration and demo
samples are taken from the end of the training set in a fixed random order, so that all sets are disjoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, SpecError
from workloads.recipes.event_camera import in_order
from workloads.recipes.events import Events, EventSets, Sample, pack

HELD_BACK = {"calibration": 200, "demo": 20}
NMNIST_SIDE, NMNIST_BYTES = 34, 5
SHD_UNITS, SHD_CHANNELS, SHD_CLASSES = 700, 350, 20
DVS_SIDE, DVS_COARSE, DVS_CLASSES = 128, 32, 11
PACKET_HEADER, POLARITY_EVENT = 28, 1


def refuse(place: Path | str, message: str) -> SpecError:
    """One problem of one file."""
    return SpecError(Problem(str(place), message))


def read_nmnist(path: Path) -> Sample:
    """One N-MNIST file, five bytes per event: x, y, then polarity (1 bit) and microseconds (23 bits), big end first."""
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        raise refuse(path, f"cannot be read: {error}") from None
    if len(raw) % NMNIST_BYTES:
        raise refuse(path, f"holds {len(raw):,} bytes, expected a multiple of {NMNIST_BYTES} (N-MNIST events)")
    x, y, high, middle, low = raw.reshape(-1, NMNIST_BYTES).astype(np.int64).T
    if len(x) and max(x.max(), y.max()) >= NMNIST_SIDE:
        raise refuse(path, f"has an event at x {x.max()}, y {y.max()}, expected 0..{NMNIST_SIDE - 1}")
    polarity, time_us = high >> 7, ((high & 127) << 16) | (middle << 8) | low
    return in_order(time_us, (polarity * NMNIST_SIDE + y) * NMNIST_SIDE + x)


def read_shd(path: Path, numbers: Sequence[int] | None = None) -> tuple[list[Sample], np.ndarray]:
    """Samples (``numbers``, or all) and all labels of an SHD file; two neighbouring units make one channel."""
    try:
        import h5py
    except ImportError:
        raise refuse(path, "is HDF5: install h5py to read it (pip install h5py)") from None
    try:
        with h5py.File(path, "r") as file:
            for key in ("spikes/times", "spikes/units", "labels"):
                if key not in file:
                    raise refuse(path, f"has no dataset '{key}'; an SHD file has spikes/times, spikes/units, labels")
            times, units, labels = file["spikes/times"], file["spikes/units"], np.asarray(file["labels"], np.int64)
            if not len(times) == len(units) == len(labels):
                raise refuse(path, f"has {len(times)} times, {len(units)} units and {len(labels)} labels")
            chosen = range(len(labels)) if numbers is None else numbers
            samples = [_shd_sample(path, number, times[number], units[number]) for number in chosen]
    except OSError as error:
        raise refuse(path, f"cannot be read as HDF5: {error}") from None
    if len(labels) and not (labels.min() >= 0 and labels.max() < SHD_CLASSES):
        raise refuse(path, f"has labels {labels.min()}..{labels.max()}, expected 0..{SHD_CLASSES - 1}")
    return samples, labels


def _shd_sample(path: Path, number: int, seconds: Any, units: Any) -> Sample:
    times, channels = np.asarray(seconds, np.float64), np.asarray(units, np.int64)
    if times.shape != channels.shape:
        raise refuse(path, f"sample {number} has {len(times)} times and {len(channels)} units")
    if len(channels) and not (channels.min() >= 0 and channels.max() < SHD_UNITS):
        raise refuse(path, f"sample {number} has unit {channels.max()}, expected 0..{SHD_UNITS - 1}")
    return in_order(np.rint(times * 1e6), channels * SHD_CHANNELS // SHD_UNITS)


def read_aedat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (microseconds) and places of the polarity events of an AEDAT 3.1 file, 128x128 made 32x32."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise refuse(path, f"cannot be read: {error}") from None
    if not raw.startswith(b"#!AER-DAT3.1"):
        raise refuse(path, f"begins with {raw[:12]!r}, expected '#!AER-DAT3.1'")
    end = raw.find(b"#!END-HEADER")
    place = raw.find(b"\n", end) + 1
    if end < 0 or place == 0:
        raise refuse(path, "has no line '#!END-HEADER'")
    times, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    while place < len(raw):
        if place + PACKET_HEADER > len(raw):
            raise refuse(path, f"ends inside the header of a packet, at byte {place:,}")
        kind = int.from_bytes(raw[place : place + 2], "little")
        size, _, overflow, _, number, _ = np.frombuffer(raw, "<i4", 6, place + 4).astype(np.int64)
        place += PACKET_HEADER
        if size <= 0 or number < 0 or place + size * number > len(raw):
            text = f"says {number:,} events of {size} bytes, {len(raw) - place:,} bytes are left"
            raise refuse(path, f"the packet at byte {place - PACKET_HEADER:,} {text}")
        if kind == POLARITY_EVENT:
            if size != 8:
                raise refuse(path, f"has polarity events of {size} bytes, expected 8")
            words = np.frombuffer(raw, "<u4", 2 * number, place).astype(np.int64).reshape(-1, 2)
            _polarity(path, words[(words[:, 0] & 1) == 1], int(overflow), times, places)
        place += size * number
    return np.concatenate(times), np.concatenate(places)


def _polarity(path: Path, words: np.ndarray, overflow: int, times: list[np.ndarray], places: list[np.ndarray]) -> None:
    """Appends one packet: bit 0 valid, 1 polarity, 2..16 y, 17..31 x; then the time."""
    polarity, y, x = (words[:, 0] >> 1) & 1, (words[:, 0] >> 2) & 0x7FFF, words[:, 0] >> 17
    if len(x) and max(x.max(), y.max()) >= DVS_SIDE:
        raise refuse(path, f"has an event at x {x.max()}, y {y.max()}, expected 0..{DVS_SIDE - 1}")
    shrink = DVS_SIDE // DVS_COARSE
    times.append((overflow << 31) | words[:, 1])
    places.append((polarity * DVS_COARSE + y // shrink) * DVS_COARSE + x // shrink)


def read_gestures(path: Path) -> tuple[list[Sample], np.ndarray]:
    """The trials of one recording: NAME.aedat and NAME_labels.csv (class from 1, startTime_usec, endTime_usec)."""
    csv = path.with_name(f"{path.stem}_labels.csv")
    try:
        lines = csv.read_text().split("\n")
    except OSError as error:
        raise refuse(csv, f"cannot be read: {error}") from None
    if lines[0].strip().replace(" ", "") != "class,startTime_usec,endTime_usec":
        raise refuse(csv, f"begins with '{lines[0].strip()[:60]}', expected 'class,startTime_usec,endTime_usec'")
    time_us, places = read_aedat(path)
    samples, labels = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        parts = line.split(",")
        if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
            raise refuse(f"{csv}:{number}", f"must be three integers, found '{line.strip()[:60]}'")
        label, start, end = (int(part) for part in parts)
        if not 1 <= label <= DVS_CLASSES:
            raise refuse(f"{csv}:{number}", f"has class {label}, expected 1..{DVS_CLASSES}")
        inside = (time_us >= start) & (time_us < end)
        samples.append(in_order(time_us[inside] - start, places[inside]))
        labels.append(label - 1)
    return samples, np.array(labels, np.int64)


def nmnist(folder: Path) -> EventSets:
    """N-MNIST from Train/0..9/*.bin and Test/0..9/*.bin; the first 100 ms in ten bins."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for part, name in (("train", "Train"), ("test", "Test")):
        found[part] = [
            (path, label) for label in range(10) for path in sorted((folder / name / str(label)).glob("*.bin"))
        ]
        if not found[part]:
            raise refuse(folder, f"has no files {name}/0..9/*.bin")

    def read(part: str, numbers: np.ndarray) -> Events:
        chosen = [found[part][number] for number in numbers]
        return pack(
            [_until(read_nmnist(path), 100_000) for path, _ in chosen], np.array([label for _, label in chosen])
        )

    sizes = {part: len(files) for part, files in found.items()}
    return EventSets("nmnist_data", "N-MNIST, first 100 ms", (2, 34, 34), 10, 10, 10_000, _sets(folder, sizes, read))


def shd(folder: Path) -> EventSets:
    """SHD from shd_train.h5 and shd_test.h5; 350 channels, the first second in 100 bins."""
    files = {part: folder / f"shd_{part}.h5" for part in ("train", "test")}
    for path in files.values():
        if not path.is_file():
            raise refuse(folder, f"has no file {path.name}")
    sizes = {part: len(read_shd(path, [])[1]) for part, path in files.items()}

    def read(part: str, numbers: np.ndarray) -> Events:
        samples, labels = read_shd(files[part], [int(number) for number in numbers])
        return pack([_until(sample, 1_000_000) for sample in samples], labels[numbers])

    text = "Spiking Heidelberg Digits, 700 channels joined to 350, first second"
    return EventSets("shd_data", text, (350,), 20, 100, 10_000, _sets(folder, sizes, read))


def dvs_gesture(folder: Path) -> EventSets:
    """DVS-gesture from trials_to_train.txt, trials_to_test.txt and the files they name; the first second in 50 bins."""
    loaded = {}
    for part in ("train", "test"):
        listing = folder / f"trials_to_{part}.txt"
        if not listing.is_file():
            raise refuse(folder, f"has no file {listing.name}")
        recordings = [read_gestures(folder / name) for name in listing.read_text().split()]
        samples = [_until(sample, 1_000_000) for trials, _ in recordings for sample in trials]
        if not samples:
            raise refuse(listing, "names no recordings")
        loaded[part] = samples, np.concatenate([labels for _, labels in recordings])

    def read(part: str, numbers: np.ndarray) -> Events:
        samples, labels = loaded[part]
        return pack([samples[number] for number in numbers], labels[numbers])

    sizes = {part: len(samples) for part, (samples, _) in loaded.items()}
    text = "DVS-gesture, 128x128 joined to 32x32, first second of each trial"
    return EventSets("dvsgesture_data", text, (2, 32, 32), 11, 50, 20_000, _sets(folder, sizes, read))


READERS: dict[str, Callable[[Path], EventSets]] = {"nmnist": nmnist, "shd": shd, "dvsgesture": dvs_gesture}


def open_set(text: str) -> EventSets:
    """``nmnist:DIR``, ``shd:DIR`` or ``dvsgesture:DIR``."""
    kind, separator, folder = text.partition(":")
    if kind not in READERS or not separator:
        raise SpecError(f"--data {text}: expected {', '.join(f'{name}:DIR' for name in READERS)}")
    return READERS[kind](Path(folder))


def _until(sample: Sample, end_us: int) -> Sample:
    """The events before ``end_us``."""
    inside = sample[0] < end_us
    return sample[0][inside], sample[1][inside]


def _sets(
    folder: Path, sizes: dict[str, int], read: Callable[[str, np.ndarray], Events]
) -> Callable[[str, int], Events]:
    """Draws the first ``count`` samples, in an order that is always the same, of a set."""
    held = sum(HELD_BACK.values())
    if sizes["train"] <= held:
        raise refuse(folder, f"has {sizes['train']} training samples, expected more than {held}")
    order = {part: np.random.default_rng(0).permutation(size) for part, size in sizes.items()}
    parts = {"test": ("test", order["test"]), "train": ("train", order["train"][:-held])}
    parts["calibration"] = ("train", order["train"][-held : -HELD_BACK["demo"]])
    parts["demo"] = ("train", order["train"][-HELD_BACK["demo"] :])

    def draw(name: str, count: int) -> Events:
        part, numbers = parts[name]
        return read(part, numbers[:count])

    return draw
