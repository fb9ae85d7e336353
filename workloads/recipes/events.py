"""Event data sets made from a seed: ``events_digits``, ``sequences``, ``gestures``, ``digits_rate``.

None of them needs a download. A sample is events (time_us, index); sets are drawn with different seeds, those made
from scikit-learn's digits also from different source images (``datasets.source_digits``). Training samples are drawn
again by every run and not shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from workloads.recipes import event_camera as camera

Sample = tuple[np.ndarray, np.ndarray]
SEEDS = {"train": 0, "test": 1, "calibration": 2, "demo": 3}
SIZES = {"test": 500, "calibration": 200, "demo": 20}


class Events(NamedTuple):
    """Samples: sample n holds events ``offsets[n]:offsets[n + 1]`` of ``time_us`` (int64) and ``index`` (int32)."""

    time_us: np.ndarray
    index: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, number: int) -> Sample:
        """Events of one sample."""
        part = slice(self.offsets[number], self.offsets[number + 1])
        return self.time_us[part], self.index[part]


@dataclass(frozen=True)
class EventSets:
    """A data set: shape of the input, classes, binning, and a function that draws ``count`` samples of a set."""

    name: str
    description: str
    shape: tuple[int, ...]
    classes: int
    timesteps: int
    bin_us: int
    draw: Callable[[str, int], Events] = field(repr=False)
    bits: int = 4

    def written(self) -> dict[str, Events]:
        """The sets that are shipped."""
        return {name: self.draw(name, count) for name, count in SIZES.items()}


def pack(samples: list[Sample], labels: np.ndarray) -> Events:
    """Samples and labels joined."""
    sizes = [len(time) for time, _ in samples]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    time_us, index = (np.concatenate([sample[part] for sample in samples]) for part in (0, 1))
    return Events(time_us.astype(np.int64), index.astype(np.int32), offsets, np.asarray(labels, np.int64))


def spread_labels(count: int, classes: int, generator: np.random.Generator) -> np.ndarray:
    """Labels in random order, each as often as any other (but for a remainder)."""
    return generator.permutation(np.arange(count, dtype=np.int64) % classes)


# --- events_digits: digits before a camera that makes a saccade (like N-MNIST's first 100 ms, Orchard et al. 2015)

SACCADE_US = 100_000
SACCADE_FRAMES = 51


def events_digits() -> EventSets:
    """scikit-learn's digits moved by one saccade, 2x34x34, ten bins of 10 ms."""
    text = (
        "handwritten digits of scikit-learn, 20 to 26 pixels high, before a simulated event camera (34x34, two "
        "polarities) that moves by one saccade of 100 ms, as in N-MNIST; split by source image"
    )
    return EventSets("events_digits_data", text, (2, 34, 34), 10, 10, 10_000, _draw_digits)


def _draw_digits(name: str, count: int) -> Events:
    from workloads.recipes.datasets import source_digits

    images, labels = source_digits()[name]
    generator = np.random.default_rng(34_000 + SEEDS[name])
    rounds = -(-count // len(labels))
    chosen = np.concatenate([generator.permutation(len(labels)) for _ in range(rounds)])[:count]
    return pack([_saccade(images[source] / 16.0, generator) for source in chosen], labels[chosen])


def _saccade(digit: np.ndarray, generator: np.random.Generator) -> Sample:
    """Events of one digit [8, 8] of 0..1: down and to the right by about five pixels, slow at both ends."""
    smooth = ndimage.zoom(digit, 3, order=3, grid_mode=True, mode="grid-constant").clip(0.0, 1.0)
    height, angle = generator.uniform(20.0, 26.0), np.deg2rad(generator.uniform(-10.0, 10.0))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (24.0 / height)
    reach, heading = generator.uniform(4.5, 5.5), np.deg2rad(generator.uniform(55.0, 65.0))
    share = (1.0 - np.cos(np.linspace(0.0, np.pi, SACCADE_FRAMES))) / 2.0 - 0.5
    path = share[:, None] * reach * np.array([np.sin(heading), np.cos(heading)])
    movie = np.empty((SACCADE_FRAMES, 34, 34))
    camera.move_image(smooth, rotation, 16.5 + generator.uniform(-1.5, 1.5, 2), path, movie)
    return camera.events_of(movie, SACCADE_US / (SACCADE_FRAMES - 1), 0.22, 10, generator)


# --- sequences: the same channels in different order

SEQUENCE_CHANNELS, SEQUENCE_CLASSES, SEQUENCE_US = 350, 20, 200_000
CURVE_SEED = 350_000
CHANNEL_EVENTS = 3.0
JITTER, STRAY = 0.05, 0.3
SPEAKERS, ACCENT = 10, 0.35


def sequences() -> EventSets:
    """350 channels, 20 classes that differ in time only, 20 bins of 10 ms."""
    text = (
        "350 channels that fire three times on average in every sample of every class, seven in ten events around the "
        "channel's time, the others at random; a class is a curve of time over channel, which ten speakers bend in "
        "their own ways, other speakers in every set, and which a sample warps and jitters. Counts per channel hold "
        "nothing of the class"
    )
    return EventSets("sequences_data", text, (350,), SEQUENCE_CLASSES, 20, 10_000, _draw_sequences)


def curves(name: str) -> np.ndarray:
    """Time of each channel in the classes of a set's speakers, 0..1, [speakers, classes, channels].

    A class is waves of random phase; a speaker adds ``ACCENT`` times as strong ones. Ranks, so all times equally used.
    """
    generator = np.random.default_rng(CURVE_SEED)
    classes = np.stack([_waves(generator) for _ in range(SEQUENCE_CLASSES)])
    generator = np.random.default_rng(CURVE_SEED + 10 + SEEDS[name])
    accents = np.stack([_waves(generator) for _ in range(SPEAKERS * SEQUENCE_CLASSES)])
    spoken = classes + ACCENT * accents.reshape(SPEAKERS, SEQUENCE_CLASSES, SEQUENCE_CHANNELS)
    return spoken.argsort(axis=-1).argsort(axis=-1) / (SEQUENCE_CHANNELS - 1)


def _waves(generator: np.random.Generator) -> np.ndarray:
    """A smooth random function of the channel, [channels]."""
    along, waves = np.linspace(0.0, 1.0, SEQUENCE_CHANNELS), np.zeros(SEQUENCE_CHANNELS)
    for frequency in (0.5, 1.0, 1.5, 2.0, 3.0):
        strength, phase = generator.normal(0.0, 1.0), generator.uniform(0.0, 2.0 * np.pi)
        waves += strength * np.sin(2.0 * np.pi * frequency * along + phase)
    return waves


def _draw_sequences(name: str, count: int) -> Events:
    generator = np.random.default_rng(CURVE_SEED + 1 + SEEDS[name])
    labels, times = spread_labels(count, SEQUENCE_CLASSES, generator), curves(name)
    speakers = generator.integers(0, SPEAKERS, count)
    samples = [_sequence(times[speaker, label], generator) for speaker, label in zip(speakers, labels, strict=True)]
    return pack(samples, labels)


def _sequence(times: np.ndarray, generator: np.random.Generator) -> Sample:
    """One sample: 0 to 4 events on each channel, whatever the class; nothing falls outside the window."""
    repeats = generator.poisson(CHANNEL_EVENTS, SEQUENCE_CHANNELS)
    index = np.repeat(np.arange(SEQUENCE_CHANNELS), repeats)
    stretch, bend, shift = generator.uniform(0.60, 0.72), generator.uniform(-0.6, 0.6), generator.uniform(0.10, 0.18)
    drift = generator.uniform(-0.15, 0.15) * np.sin(
        np.linspace(0.0, np.pi, SEQUENCE_CHANNELS) + generator.uniform(0.0, 6.3)
    )
    bent = np.clip(times + bend * times * (1.0 - times) + drift, 0.0, 1.0)
    time = shift + stretch * bent[index] + np.clip(generator.normal(0.0, JITTER, len(index)), -0.09, 0.09)
    stray = generator.random(len(index)) < STRAY
    time[stray] = generator.uniform(0.01, 0.99, int(stray.sum()))
    return camera.in_order(time * SEQUENCE_US, index)


# --- gestures: shapes that move in eleven ways

GESTURE_US, GESTURE_FRAMES = 400_000, 81
DRIFT = 2.5
GESTURES = (
    "left", "right", "up", "down", "clockwise", "counter-clockwise", "wave sideways", "wave up and down", "grow",
    "shrink", "spin",
)  # fmt: skip


def gestures() -> EventSets:
    """Four shapes moving in eleven ways, 2x32x32, 20 bins of 20 ms."""
    text = (
        "bar, disc, square or cross moving in one of eleven ways ("
        + ", ".join(GESTURES)
        + ") before a simulated event camera (32x32, two polarities) that is not held still, for 400 ms"
    )
    return EventSets("gestures_data", text, (2, 32, 32), len(GESTURES), 20, 20_000, _draw_gestures)


def _draw_gestures(name: str, count: int) -> Events:
    generator = np.random.default_rng(32_000 + SEEDS[name])
    labels = spread_labels(count, len(GESTURES), generator)
    return pack([_gesture(GESTURES[label], generator) for label in labels], labels)


def _gesture(kind: str, generator: np.random.Generator) -> Sample:
    """Events of one shape; its place, size, speed, angle and phase are random, and so is the camera's drift."""
    movie = np.empty((GESTURE_FRAMES, 32, 32))
    shapes = (camera.BAR, camera.SQUARE, camera.CROSS, camera.DISC)[: 3 if kind == "spin" else 4]  # discs cannot spin
    shape, poses = int(generator.choice(shapes)), _poses(kind, generator)
    poses[:, :2] += _drift(generator)
    camera.move_shape(shape, poses, movie)
    return camera.events_of(movie, GESTURE_US / (GESTURE_FRAMES - 1), 0.45, 120, generator)


def _drift(generator: np.random.Generator) -> np.ndarray:
    """Where an unsteady camera moves the picture, in pixels around 0, [frames, 2]: slow waves are the largest."""
    time, path = np.linspace(0.0, 1.0, GESTURE_FRAMES), np.zeros((GESTURE_FRAMES, 2))
    for frequency in (0.5, 1.0, 2.0):
        for axis in range(2):
            strength = DRIFT * generator.normal(0.0, 1.0) / (1.0 + frequency)
            path[:, axis] += strength * np.sin(2.0 * np.pi * (frequency * time + generator.uniform()))
    return path - path.mean(axis=0)


def _poses(kind: str, generator: np.random.Generator) -> np.ndarray:
    """Row, column, half size and angle over time, [frames, 4]."""
    time = np.linspace(0.0, 1.0, GESTURE_FRAMES)
    row, column = (np.full(GESTURE_FRAMES, value) for value in generator.uniform(11.0, 20.0, 2))
    size = np.full(GESTURE_FRAMES, generator.uniform(3.5, 6.5))
    angle = np.full(GESTURE_FRAMES, generator.uniform(-0.5, 0.5))
    speed, turn = generator.uniform(0.35, 0.9), generator.uniform(0.0, 2.0 * np.pi)
    away = (time - 0.5) * 16.0 * speed
    swing = 5.0 * speed * np.sin(2.0 * np.pi * 2.5 * speed * time + turn)
    if kind in ("left", "right"):
        column = column + (away if kind == "right" else -away)
    elif kind in ("up", "down"):
        row = row + (away if kind == "down" else -away)
    elif kind in ("clockwise", "counter-clockwise"):
        round_ = turn + (1.0 if kind == "clockwise" else -1.0) * 2.0 * np.pi * 1.5 * speed * time
        row, column = row + 6.0 * np.sin(round_), column + 6.0 * np.cos(round_)
    elif kind == "wave sideways":
        column = column + swing
    elif kind == "wave up and down":
        row = row + swing
    elif kind in ("grow", "shrink"):
        size = 2.5 + 8.0 * speed * (time if kind == "grow" else 1.0 - time)
    else:
        angle = turn + 2.0 * np.pi * 1.5 * speed * time
    return np.stack([row, column, size, angle], axis=1)


# --- digits_rate: still digits as regular spike trains

RATE_BINS, RATE_SPIKES, RATE_BIN_US = 8, 4, 1_000


def digits_rate() -> EventSets:
    """scikit-learn's digits at 16x16, a pixel sends up to four spikes in eight bins of 1 ms."""
    text = (
        "handwritten digits of scikit-learn, 16x16; every pixel sends 0 to 4 spikes, by its brightness, evenly over "
        "eight timesteps; split by source image"
    )
    return EventSets("digits_rate_data", text, (1, 16, 16), 10, RATE_BINS, RATE_BIN_US, _draw_rates, bits=1)


def _draw_rates(name: str, count: int) -> Events:
    from workloads.recipes.datasets import source_digits

    images, labels = source_digits()[name]
    generator = np.random.default_rng(16_000 + SEEDS[name])
    rounds = -(-count // len(labels))
    chosen = np.concatenate([generator.permutation(len(labels)) for _ in range(rounds)])[:count]
    return pack([_rates(images[source] / 16.0, generator) for source in chosen], labels[chosen])


def _rates(digit: np.ndarray, generator: np.random.Generator) -> Sample:
    """Spikes of one digit [8, 8] of 0..1, shifted by up to one pixel; a pixel's first spike has a random phase."""
    large = ndimage.zoom(digit, 2, order=3, grid_mode=True, mode="grid-constant")
    large = ndimage.shift(large, generator.uniform(-1.0, 1.0, 2), order=1).clip(0.0, 1.0)
    spikes = np.rint(large.reshape(-1) * RATE_SPIKES).astype(np.int64)
    index = np.repeat(np.arange(spikes.size), spikes)
    number = np.arange(len(index)) - np.repeat(np.cumsum(spikes) - spikes, spikes)
    bins = np.floor((number + generator.random(spikes.size)[index]) * RATE_BINS / spikes[index])
    return camera.in_order(bins * RATE_BIN_US, index)
