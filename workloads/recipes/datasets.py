"""Image sets of the recipes: the handwritten digits of scikit-learn, plain, enlarged, and on textured backgrounds.

All images are uint8, [N, channels, height, width]; labels are int64, [N]. The 1,797 source digits are split once, by
source image, so that no test or calibration image shows a digit that was trained on, however it was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

SPLIT_SEED = 20230
SPLIT_SIZES = {"test": 400, "calibration": 200, "demo": 20}
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ImageSets:
    """Named sets of images: ``sets[name] = (images uint8 [N, C, H, W], labels int64 [N])``."""

    name: str
    description: str
    sets: dict[str, tuple[np.ndarray, np.ndarray]]
    composited: bool = False
    sources: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    def training_images(self, epoch: int, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The images of one epoch, shuffled; composited sets are drawn afresh each epoch (seed 1000 + epoch)."""
        generator = np.random.default_rng(1000 + epoch)
        if self.composited:
            assert self.sources is not None, "a composited set keeps its source digits"
            return composite(*self.sources, count or 8000, 1000 + epoch)
        images, labels = self.sets["train"]
        order = generator.permutation(len(labels))[: count or len(labels)]
        return images[order], labels[order]


def source_digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The 8x8 digits of scikit-learn, values 0..16, in the disjoint sets train, test, calibration, demo."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(digits.target))
    sets, start = {}, 0
    for name, size in SPLIT_SIZES.items():
        chosen = order[start : start + size]
        sets[name] = (digits.images[chosen].astype(np.uint8), digits.target[chosen].astype(np.int64))
        start += size
    sets["train"] = (digits.images[order[start:]].astype(np.uint8), digits.target[order[start:]].astype(np.int64))
    return sets


def digits8() -> ImageSets:
    """The digits as they are, 1x8x8, values 0..16."""
    sets = {name: (images[:, None], labels) for name, (images, labels) in source_digits().items()}
    return ImageSets("digits8", "handwritten digits of scikit-learn, 8x8, values 0..16, split by image", sets)


def digits28() -> ImageSets:
    """The digits enlarged to 1x28x28 by cubic interpolation, 24 pixels high on a black frame of 2, values 0..255."""
    sets = {}
    for name, (images, labels) in source_digits().items():
        large = ndimage.zoom(images / 16.0, (1, 3, 3), order=3, grid_mode=True, mode="grid-constant")
        framed = np.pad(np.clip(large, 0.0, 1.0), ((0, 0), (2, 2), (2, 2)))
        sets[name] = (np.rint(framed * 255.0).astype(np.uint8)[:, None], labels)
    text = (
        "handwritten digits of scikit-learn enlarged threefold by cubic interpolation, framed to 28x28, split by image"
    )
    return ImageSets("digits28", text, sets)


def digits32() -> ImageSets:
    """The digits on textured coloured backgrounds, 3x32x32; training images are drawn afresh each epoch."""
    sources = source_digits()
    sizes = {"test": (500, 1), "calibration": (256, 2), "demo": (10, 3)}
    sets = {name: composite(*sources[name], count, seed) for name, (count, seed) in sizes.items()}
    text = (
        "handwritten digits of scikit-learn (8x8) at random height (14 to 28 pixels), place, rotation "
        "(up to 15 degrees) and colour on procedural textured backgrounds, 3x32x32, split by source image"
    )
    return ImageSets("digits32", text, sets, composited=True, sources=sources["train"])


def composite(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` images uint8 [count, 3, 32, 32] and labels from digits [N, 8, 8] of 0..16, each used equally often."""
    generator = np.random.default_rng(seed)
    rounds = -(-count // len(labels))
    chosen = np.concatenate([generator.permutation(len(labels)) for _ in range(rounds)])[:count]
    result = np.empty((count, 3, 32, 32), np.uint8)
    for position, source in enumerate(chosen):
        mask = place_digit(images[source] / 16.0, 32, generator)
        result[position] = colour(mask, texture(32, generator), generator)
    return result, labels[chosen].astype(np.int64)


def place_digit(digit: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """A digit [8, 8] of 0..1 rotated, scaled and placed inside [size, size]; 0..1."""
    height = generator.uniform(14.0, 28.0)
    angle = np.deg2rad(generator.uniform(-15.0, 15.0))
    slack = (size - height) / 2.0
    centre = size / 2.0 - 0.5 + generator.uniform(-slack, slack, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (8.0 / height)
    offset = np.array([3.5, 3.5]) - rotation @ centre
    return np.clip(ndimage.affine_transform(digit, rotation, offset, (size, size), order=3), 0.0, 1.0)


def texture(size: int, generator: np.random.Generator) -> np.ndarray:
    """A zero-mean background pattern [3, size, size]: cloud, stripes or checks, and a gradient, of random strength."""
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    cloud = ndimage.gaussian_filter(generator.standard_normal((3, size, size)), (0, *[generator.uniform(0.6, 4.0)] * 2))
    cloud /= cloud.std() + 1e-9
    angle, frequency, phase = generator.uniform(0, np.pi), generator.uniform(2, 9), generator.uniform(0, 2 * np.pi)
    along, across = rows * np.cos(angle) + columns * np.sin(angle), columns * np.cos(angle) - rows * np.sin(angle)
    waves = np.sin(2 * np.pi * frequency * along + phase)
    if generator.random() < 0.4:
        waves = np.sign(waves * np.sin(2 * np.pi * frequency * across + phase))
    slope = rows * generator.uniform(-1, 1) + columns * generator.uniform(-1, 1)
    tint = generator.uniform(0.4, 1.0, (3, 1, 1))
    strengths = generator.uniform(0.0, [0.10, 0.12, 0.35])
    return strengths[0] * cloud + tint * (strengths[1] * waves + strengths[2] * slope)


def colour(mask: np.ndarray, pattern: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An image uint8 [3, size, size]: the mask in one colour over the pattern in another, brightness 0.3 apart."""
    while True:
        ink, ground = generator.uniform(0.0, 1.0, (2, 3))
        if abs(LUMA @ (ink - ground)) >= 0.3:
            break
    ink_surface = ink[:, None, None] + 0.3 * pattern[::-1, ::-1]
    image = (1.0 - mask) * (ground[:, None, None] + pattern) + mask * ink_surface
    image += generator.normal(0.0, 0.02, image.shape)
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
