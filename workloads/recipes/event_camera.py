"""A simulated event camera, and what it is shown: images moved by a saccade, shapes that make a gesture.

Every pixel compares its luminance with the level of its last event and sends one event, brighter (polarity 1) or darker
(0), each time they differ by ``contrast`` (Lichtsteiner et al., JSSC 2008; linear instead of logarithmic luminance).
Events are (time_us, index) with index = (polarity * height + row) * width + column, in order of time, then of index.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit

BAR, DISC, SQUARE, CROSS = 0, 1, 2, 3
CELL_US = 200  # times are given in these steps, for small files


@njit(nogil=True)
def watch(movie, frame_us, contrast, time_us, index):
    """Events of a movie [S, H, W] of luminances, ``frame_us`` between frames; fills both arrays, returns their number.

    Between frames luminance is linear. Returns -1 where the arrays are too short.
    """
    steps, height, width = movie.shape
    count = 0
    for row in range(height):
        for column in range(width):
            level = movie[0, row, column]
            for step in range(1, steps):
                before, after = movie[step - 1, row, column], movie[step, row, column]
                while abs(after - level) >= contrast:
                    bright = after > level
                    level += contrast if bright else -contrast
                    share = (level - before) / (after - before)
                    if count == len(time_us):
                        return -1
                    time_us[count] = np.int64(min((step - 1 + share) * frame_us, (steps - 1) * frame_us - 1))
                    index[count] = (np.int64(bright) * height + row) * width + column
                    count += 1
    return count


@njit(nogil=True)
def move_image(image, matrix, centre, path, movie):
    """An image [h, w] under pixel -> image coordinates ``matrix`` [2, 2], displaced by ``path`` [S, 2], into ``movie``.

    Bilinear between pixels, 0 outside.
    """
    tall, wide = image.shape
    steps, height, width = movie.shape
    for step in range(steps):
        for row in range(height):
            for column in range(width):
                down = row - centre[0] - path[step, 0]
                right = column - centre[1] - path[step, 1]
                y = matrix[0, 0] * down + matrix[0, 1] * right + (tall - 1) / 2.0
                x = matrix[1, 0] * down + matrix[1, 1] * right + (wide - 1) / 2.0
                top, left = int(np.floor(y)), int(np.floor(x))
                value = 0.0
                for i in range(2):
                    for j in range(2):
                        if 0 <= top + i < tall and 0 <= left + j < wide:
                            near = (1.0 - abs(y - top - i)) * (1.0 - abs(x - left - j))
                            value += near * image[top + i, left + j]
                movie[step, row, column] = value


@njit(nogil=True)
def move_shape(shape, poses, movie):
    """A shape of luminance 1 on 0; ``poses`` [S, 4]: row, column, half size, angle at every frame."""
    steps, height, width = movie.shape
    for step in range(steps):
        row, column, size, angle = poses[step]
        cosine, sine = np.cos(angle), np.sin(angle)
        for r in range(height):
            for c in range(width):
                y = abs(cosine * (r - row) - sine * (c - column))
                x = abs(sine * (r - row) + cosine * (c - column))
                if shape == DISC:
                    distance = np.sqrt(y * y + x * x) - size
                elif shape == SQUARE:
                    distance = max(y, x) - 0.9 * size
                elif shape == CROSS:
                    distance = min(max(y - 0.4 * size, x - size), max(x - 0.4 * size, y - size))
                else:
                    distance = max(y - 0.4 * size, x - 1.1 * size)
                movie[step, r, c] = min(1.0, max(0.0, 0.5 - distance))


def events_of(
    movie: np.ndarray, frame_us: float, contrast: float, noise: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Events (time_us int64, index int32) of a movie and ``noise`` events at random, in order."""
    room = 4096
    while True:
        time_us, index = np.empty(room, np.int64), np.empty(room, np.int64)
        count = watch(movie, frame_us, contrast, time_us, index)
        if count >= 0:
            break
        room *= 2
    steps, height, width = movie.shape
    stray = generator.integers(0, int(frame_us * (steps - 1)), noise), generator.integers(0, 2 * height * width, noise)
    return in_order(np.concatenate([time_us[:count], stray[0]]), np.concatenate([index[:count], stray[1]]))


def in_order(time_us: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events at times of whole CELL_US, sorted by time, then by index."""
    time_us = time_us.astype(np.int64) // CELL_US * CELL_US
    order = np.lexsort((index, time_us))
    return time_us[order], index[order].astype(np.int32)
