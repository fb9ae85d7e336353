"""Psums of analog layers: kernel, NumPy witness, tiles of PEs and exact arithmetic give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.kernels.analog import (
    Analog,
    events_of,
    histogram_currents,
    layer_psums,
    plain_currents,
    plain_patch,
    plain_psums,
    row_activations,
)
from hwsim.kernels.analog_tile import TileConfig, TileState, call_kernel
from hwsim.kernels.gaussian import fill_gaussians, plain_gaussians
from hwsim.rng import draw_key
from tests.analog.cases import NONE, Layer, random_layer

CONFIG = TileConfig(1, 2, 1, 1, adcs=2, sample_hold=False, zero_vectors="read", line_bits=8)


def layers(seed: int, number: int, solved: float = 0.2) -> list[Layer]:
    rng = np.random.default_rng(seed)
    return [random_layer(rng, solved) for _ in range(number)]


def psums(layer: Layer, plain: bool = False) -> tuple[np.ndarray, int]:
    out = np.full((len(layer.x), layer.pixels, layer.shape.filters), np.nan)
    compute = plain_psums if plain else layer_psums
    return out, compute(layer.analog, *layer.events, layer.shape, layer.planes, out, layer.keys)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b))


def test_kernel_equals_plain_numpy() -> None:
    reached = set()
    for layer in layers(1, 80):
        fast, clipped = psums(layer)
        slow, over = psums(layer, plain=True)
        assert same_bits(fast, slow) and clipped == over
        reached.add((layer.analog.codes > 0, layer.analog.noise.size > 0, layer.analog.correction.size > 0))
    assert len(reached) == 8


def test_one_timestep_stands_for_all() -> None:
    for layer in layers(3, 20, solved=0.3):
        times = len(layer.x)
        single = layer.events[0][:1]
        rest = layer.events[1:]
        out, expected = (np.empty((times, layer.pixels, layer.shape.filters)) for _ in range(2))
        layer_psums(layer.analog, single, *rest, layer.shape, layer.planes, out, layer.keys)
        layer.x = np.repeat(layer.x[:1], times, axis=0)
        layer_psums(layer.analog, *layer.events, layer.shape, layer.planes, expected, layer.keys)
        assert same_bits(out, expected)


def test_tiles_add_up_to_the_layer() -> None:
    for layer in layers(4, 60):
        expected, clipped = psums(layer)
        total, over = np.zeros_like(expected), 0
        counts: dict[str, int] = {}
        for t in range(len(layer.x)):
            for p0 in range(0, layer.pixels, 3):
                p1 = min(p0 + 3, layer.pixels)
                for pe in layer.pes:
                    result = call_kernel(layer.work(pe, t, p0, p1), CONFIG, layer.analog, TileState())
                    total[t, p0:p1, pe[1] : pe[2]] += result.psum
                    over += result.counts["clipped"]
                    for name, number in result.counts.items():
                        counts[name] = counts.get(name, 0) + number
        assert same_bits(total, expected) and over == clipped
        vectors = len(layer.x) * layer.pixels * layer.planes
        assert counts["synaptic_operations"] == active_rows(layer) * layer.shape.filters
        assert counts["convert"] == vectors * layer.analog.unit.size
        assert counts["drive"] == active_rows(layer) * layer.analog.slices * len({pe[1] for pe in layer.pes})


def active_rows(layer: Layer) -> int:
    """Bits that are set under the kernel, over all pixels, planes and timesteps."""
    return sum(
        int(value).bit_count()
        for x in layer.x
        for pixel in range(layer.pixels)
        for value in plain_patch(x, layer.shape, pixel)
    )


def test_input_lines_leave_out_the_padding() -> None:
    """Kernel mapping: a block is fetched for the pixels at which its tap meets the image; other blocks for all."""
    partly = 0
    for layer in layers(10, 40, solved=0.0):
        everything = np.ones_like(layer.x[0])
        seen = [plain_patch(everything, layer.shape, pixel).astype(bool) for pixel in range(layer.pixels)]
        for pe in layer.pes:
            found = call_kernel(layer.work(pe, 0, 0, layer.pixels), CONFIG, layer.analog, TileState())
            expected = 0
            for block in pe[0]:
                rows = np.flatnonzero(layer.analog.block_of == block)
                one_tap = len({k // layer.shape.channels for k in rows.tolist()}) == 1
                pixels = sum(bool(patch[rows].any()) or not one_tap for patch in seen)
                partly += pixels < layer.pixels
                expected += pixels * -(-len(rows) * layer.planes // CONFIG.line_bits)
            assert found.counts["input_lines"] == expected
    assert partly > 20


def convolution(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """[T, E F, M] integers, from a padded image and shifted windows; weight [rows x columns x C, M]."""
    s = layer.shape
    image = layer.x.reshape(-1, s.height, s.width, s.channels)
    image = np.pad(image, ((0, 0), (s.pad_y, s.pad_y), (s.pad_x, s.pad_x), (0, 0)))
    total = np.zeros((len(image), s.out_height, s.out_width, s.filters), dtype=np.int64)
    for tap, kernel in enumerate(weight.reshape(s.rows * s.columns, s.channels, s.filters)):
        y, x = tap // s.columns * s.dilation_y, tap % s.columns * s.dilation_x
        seen = image[:, y:, x:][:, :: s.stride_y, :: s.stride_x][:, : s.out_height, : s.out_width]
        total += seen @ kernel
    return total.reshape(len(image), -1, s.filters)


@pytest.mark.parametrize("codes", [0, 10**6])
@pytest.mark.parametrize("pair", [False, True])
def test_ideal_cells_give_the_integer_product(pair: bool, codes: int) -> None:
    """Two slices of 4 bits hold weights of 8 bits: offset binary with a correction, or a differential pair."""
    rng = np.random.default_rng(11)
    for layer in layers(5, 25, solved=0.0):
        rows, filters = len(layer.analog.block_of), layer.shape.filters
        weight = rng.integers(-128, 128, (rows, filters))
        stored = [np.maximum(weight, 0), np.maximum(-weight, 0)] if pair else [weight + 128]
        cells = [part >> 4 * s & 15 for s in range(2) for part in stored]
        worth = [sign * 16.0**s for s in range(2) for sign in ((1, -1) if pair else (1,))]
        unit = np.repeat(np.array(worth), filters)
        layer.analog = layer.analog._replace(
            g=np.concatenate(cells, axis=1).astype(float), unit=np.tile(unit, (layer.analog.blocks, 1)),
            correction=NONE if pair else np.full((rows, filters), 128.0), polarities_slices=len(cells), codes=codes,
            noise=NONE, polarities=2 if pair else 1,
        )  # fmt: skip
        assert same_bits(psums(layer)[0], convolution(layer, weight))


def test_noise_has_the_variance_it_was_given() -> None:
    layer = layers(7, 1, solved=0.0)[0]
    rows, columns = layer.analog.g.shape
    quiet = layer.analog._replace(codes=0, noise=NONE, unit=np.ones_like(layer.analog.unit), current_grid=2.0**-40)
    noisy = quiet._replace(noise=np.full((rows, columns), 0.25))
    layer.x[:] = 2**layer.planes - 1
    layer.x = np.repeat(layer.x[:1], 300, axis=0)
    layer.keys = np.array([[draw_key(1, "n", 0, t, p) for p in range(layer.planes)] for t in range(300)])
    found = []
    for analog in (quiet, noisy):
        layer.analog = analog
        found.append(psums(layer)[0])
    noise = found[1] - found[0]
    bits = np.array([np.count_nonzero(plain_patch(layer.x[0], layer.shape, p)) for p in range(layer.pixels)])
    variance = 0.25 * bits * layer.analog.polarities_slices * sum(4.0**p for p in range(layer.planes))
    measured = (noise**2).mean(axis=(0, 2))
    sure = 6 * np.sqrt(2 / (300 * layer.shape.filters))  # six standard deviations of a mean of squares
    assert np.all(np.abs(measured / variance - 1) < sure)
    assert np.all(np.abs(noise.mean(axis=0)) < 6 * np.sqrt(variance / 300)[:, None])


def test_gaussians() -> None:
    key, number = draw_key(3, "gaussian"), 40_000
    plain = plain_gaussians(key, np.arange(17, 17 + number))
    out, room = np.empty(number), np.empty(number)
    fill_gaussians(key, np.uint64(17), out, room)
    assert same_bits(out, plain)
    high, low = (bits.astype(float) for bits in np.divmod(_draws(key, 17, number), np.uint64(2**32)))
    exact = np.sqrt(-2 * np.log((high + 1) / 2**32)) * np.cos(2 * np.pi * low / 2**32)
    assert np.abs(plain - exact).max() < 1e-9  # the series are cut at 2^-32
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = np.sqrt((plain ** (2 * power)).mean() / number)
        assert abs((plain**power).mean() - moment) < 5 * spread, power


def _draws(key: np.uint64, first: int, number: int) -> np.ndarray:
    from hwsim.rng import draw_bits

    bits = getattr(draw_bits, "py_func", draw_bits)
    with np.errstate(over="ignore"):
        return np.array([bits(key, np.uint64(first + i)) for i in range(number)], dtype=np.uint64)


def test_neighbouring_draws_are_independent() -> None:
    draws = plain_gaussians(draw_key(3, "gaussian"), np.arange(40_000))
    for lag in (1, 2, 7):
        assert abs((draws[lag:] * draws[:-lag]).mean()) < 5 / np.sqrt(40_000)


def test_histogram_counts_every_read_once() -> None:
    total = 0
    for layer in layers(8, 20, solved=0.2):
        groups = layer.analog.polarities_slices
        layer.analog = layer.analog._replace(noise=NONE)
        counts, top = np.zeros((groups, 8), dtype=np.int64), np.linspace(3.0, 6.0, groups)
        expected = counts.copy()
        histogram_currents(layer.analog, *layer.events, layer.shape, layer.planes, top, counts)
        for group, current in _currents(layer):
            place = np.clip((current * (8 / top[group])).astype(int), 0, 7)
            np.add.at(expected[group], place, 1)
        assert np.array_equal(counts, expected)
        total += int(counts.sum())
    assert total > 1000


def _currents(layer: Layer) -> list[tuple[int, np.ndarray]]:
    found = []
    analog: Analog = layer.analog
    for x in layer.x:
        for pixel in range(layer.pixels):
            patch = plain_patch(x, layer.shape, pixel)
            for plane in range(layer.planes):
                active = np.flatnonzero(patch >> plane & 1)
                for block in set(analog.block_of[active].tolist()):
                    current = plain_currents(analog, active[analog.block_of[active] == block], block)
                    found += list(enumerate(current.reshape(analog.polarities_slices, -1)))
    return found


def test_activations_of_rows() -> None:
    for layer in layers(14, 20):
        expected = np.zeros(len(layer.analog.block_of), dtype=np.int64)
        for x in layer.x:
            for pixel in range(layer.pixels):
                for value, row in zip(plain_patch(x, layer.shape, pixel).tolist(), range(len(expected)), strict=True):
                    expected[row] += int(value).bit_count()
        found = row_activations(layer.analog.block_of, events_of(*layer.events), layer.shape, layer.planes)
        assert found.tolist() == expected.tolist() and expected.sum() == active_rows(layer)


def test_unknown_cells_are_counted_all_the_same() -> None:
    for layer in layers(9, 20, solved=0.0):
        pe, known = layer.pes[0], layer.analog._replace(noise=NONE, correction=NONE)
        work = layer.work(pe, 0, 0, layer.pixels)
        expected = call_kernel(work, CONFIG, known, TileState())
        found = call_kernel(work, CONFIG, known._replace(g=NONE), TileState())
        assert expected.cycles == found.cycles and not found.psum.any()
        assert expected.counts | {"clipped": 0} == found.counts
