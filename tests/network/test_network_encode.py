"""From stored samples to integers per timestep."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.network.encode import encode, take
from hwsim.workload.model import InputSpec, Samples


def test_direct_is_one_timestep_for_all() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    out = encode(InputSpec((3, 2, 2), "count", 8, 1 / 255, "direct"), image, 5)
    assert out.shape == (1, 3, 2, 2) and out.dtype == np.uint8
    np.testing.assert_array_equal(out[0], image)


def test_poisson_spikes_with_the_probability_of_the_pixel() -> None:
    spec = InputSpec((1, 50, 50), "count", 8, 1 / 255, "poisson")
    image = np.repeat(np.array([0, 51, 255], dtype=np.uint8), (1000, 1000, 500)).reshape(1, 50, 50)
    out = encode(spec, image, 40, seed=1, sample=3).reshape(40, -1)
    assert out[:, :1000].sum() == 0 and out[:, 2000:].all()
    assert abs(out[:, 1000:2000].mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 40000)
    np.testing.assert_array_equal(out, encode(spec, image, 40, seed=1, sample=3).reshape(40, -1))
    # The first timesteps are those of a shorter run; another sample or seed draws anew.
    np.testing.assert_array_equal(out[:7], encode(spec, image, 7, seed=1, sample=3).reshape(7, -1))
    for seed, sample in ((2, 3), (1, 4)):
        assert not np.array_equal(out, encode(spec, image, 40, seed, sample).reshape(40, -1))


def test_events_fall_into_bins() -> None:
    spec = InputSpec((1, 2, 2), "count", 2, 1.0, "events", bin_us=10)
    time = np.array([0, 9, 9, 9, 9, 10, 25, 30], dtype=np.int64)
    place = np.array([0, 3, 3, 3, 3, 1, 2, 0], dtype=np.int32)
    out = encode(spec, (time, place), 3)
    assert out.reshape(3, 4).tolist() == [
        [1, 0, 0, 3],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
    ]  # 4 events clip to 2 bits; 30 is late
    spikes = encode(InputSpec((1, 2, 2), "spike", 1, 1.0, "events", bin_us=10), (time, place), 1)
    assert spikes.reshape(4).tolist() == [1, 0, 0, 1]


def test_counts_are_taken_as_they_are() -> None:
    spec = InputSpec((2,), "count", 4, 1.0, "counts", signed=True)
    raw = np.array([[1, -8], [7, 0], [2, 2]])
    out = encode(spec, raw, 2)
    assert out.dtype == np.int32 and out.tolist() == [[1, -8], [7, 0]]
    with pytest.raises(SpecError, match="counts of 3 timesteps, not 4"):
        encode(spec, raw, 4)
    with pytest.raises(SpecError, match="from -8 to 7, found 0 to 8"):
        encode(spec, np.array([[0, 8]]), 1)
    with pytest.raises(SpecError, match=r"shape \[1, 2\], found \[1, 3\]"):
        encode(spec, np.zeros((1, 3), dtype=int), 1)


def test_samples_are_taken_by_number() -> None:
    labels = np.zeros(2, dtype=np.int64)
    samples = Samples(None, labels, np.array([1, 2, 3]), np.array([7, 8, 9]), np.array([0, 1, 3]))
    time, place = take(samples, 1)
    assert (time.tolist(), place.tolist()) == ([2, 3], [8, 9])
    assert take(Samples(np.array([[1], [2]]), labels), 1).tolist() == [2]
