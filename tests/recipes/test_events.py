"""The event data sets: fixed by their seed, disjoint, and what they claim of space and time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")


from workloads.recipes import event_camera, events
from workloads.recipes.spiking_loop import frames_of

SETS = {
    "events_digits": (events.events_digits, (500, 1000)),
    "sequences": (events.sequences, (900, 1200)),
    "gestures": (events.gestures, (700, 1400)),
    "digits_rate": (events.digits_rate, (200, 400)),
}


def counts(sample_set, size):
    """Events per place and sample, [N, size]."""
    return np.stack([np.bincount(sample_set.sample(n)[1], minlength=size) for n in range(len(sample_set))])


def linear(train, test, features, ridge=10.0):
    """Accuracy on ``test`` of a linear classifier (least squares on one-hot labels, ridge) fitted to ``train``."""
    known, new = (features(part).astype(float) for part in (train, test))
    centre = known.mean(axis=0)
    known, new = known - centre, new - centre
    targets = np.eye(train.labels.max() + 1)[train.labels]
    weights = np.linalg.solve(known.T @ known + ridge * np.eye(known.shape[1]), known.T @ (targets - targets.mean(0)))
    return ((new @ weights).argmax(axis=1) == test.labels).mean()


@pytest.mark.parametrize("name", SETS)
def test_sets_are_fixed_and_in_order(name):
    make, (least, most) = SETS[name]
    data, size = make(), int(np.prod(make().shape))
    first, again, other = data.draw("demo", 22), data.draw("demo", 22), data.draw("test", 22)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.index[:100], other.index[:100])
    assert first.time_us.dtype == np.int64 and first.index.dtype == np.int32
    assert first.index.min() >= 0 and first.index.max() < size
    assert first.time_us.min() >= 0 and first.time_us.max() < data.timesteps * data.bin_us
    assert all((np.diff(first.sample(n)[0]) >= 0).all() for n in range(len(first)))
    assert least < len(first.index) / len(first) < most
    assert set(first.labels) <= set(range(data.classes)) and len(set(first.labels)) >= 8
    frames = frames_of(first, data)
    assert frames.count.max() < 2**data.bits and len(frames.start) == 22 * data.timesteps + 1


def test_sequences_differ_in_time_only():
    data = events.sequences()
    train, test = data.draw("train", 1000), data.draw("test", 400)
    space = linear(train, test, lambda part: counts(part, 350))
    assert space < 0.09, "a class is one of twenty: 0.05 is chance, its standard deviation over 400 samples 0.011"

    def binned(part):  # channels joined by ten, bins by two: 350 features
        result = np.zeros((len(part), 35, 10))
        sample = np.repeat(np.arange(len(part)), np.diff(part.offsets))
        np.add.at(result, (sample, part.index // 10, part.time_us // 20_000), 1.0)
        return result.reshape(len(part), -1)

    assert linear(train, test, binned) > 0.6
    assert np.array_equal(np.sort(events.curves("test"), axis=2), np.tile(np.arange(350) / 349, (10, 20, 1)))


def test_speakers_of_sequences_differ_between_sets_less_than_classes_do():
    known, new = (events.curves(name).reshape(10, 20, 350) for name in ("train", "test"))
    assert not np.array_equal(known, new)
    for one, other in ((known, known), (known, new)):  # mean distance of two speakers: of one class, of two
        apart = np.abs(one[0][:, None] - other[1][None, :]).mean(axis=2)
        assert 0.05 < np.diag(apart).mean() < 0.5 * apart[~np.eye(20, dtype=bool)].mean()
    centre = known.mean(axis=0)
    nearest = np.abs(new[:, :, None] - centre[None, None]).mean(axis=3).argmin(axis=2)
    assert (nearest == np.arange(20)).mean() > 0.85, "a class can be told, whoever speaks"


def test_digits_of_different_sets_come_from_different_images():
    data = events.events_digits()
    train, test = data.draw("train", 800), data.draw("test", 200)

    def coarse(part):  # joined by two pixels
        return counts(part, 2312).reshape(len(part), 2, 17, 2, 17, 2).sum((3, 5)).reshape(len(part), -1)

    assert linear(train, test, coarse) > 0.7  # space tells: minimal temporal structure
    assert np.bincount(test.labels).max() < 40


def test_camera_by_hand():
    movie = np.zeros((3, 1, 2))
    movie[:, 0, 0] = 0.0, 1.0, 0.0
    time_us, index = event_camera.events_of(movie, 1000.0, 0.4, 0, np.random.default_rng(0))
    # up through 0.4 and 0.8 at 400 and 800 us (polarity 1: index 2), down by 0.4 from 0.8 at 1600 us, to 0 at 2000 us
    assert time_us.tolist() == [400, 800, 1600, 1800] and index.tolist() == [2, 2, 0, 0]
    still = event_camera.events_of(np.ones((5, 3, 3)), 1000.0, 0.4, 7, np.random.default_rng(0))
    assert len(still[0]) == 7 and still[0].max() < 4000


def test_gesture_of_a_direction_moves_its_events():
    data = events.gestures()
    part = data.draw("test", 110)
    for label, axis, sign in ((0, 1, -1), (1, 1, 1), (2, 0, -1), (3, 0, 1)):
        moves = []
        for number in np.flatnonzero(part.labels == label):
            time_us, index = part.sample(number)
            place = np.stack(np.unravel_index(index, (2, 32, 32)))[1 + axis]
            moves.append(place[time_us > 300_000].mean() - place[time_us < 100_000].mean())
        assert sign * np.median(moves) > 4


def test_camera_drifts_slowly_around_its_place(monkeypatch):
    generator = np.random.default_rng(0)
    paths = np.stack([events._drift(generator) for _ in range(200)])
    assert np.allclose(paths.mean(axis=1), 0.0, atol=1e-12)
    # sines of strength DRIFT / 1.5, / 2, / 3; the slowest is hardly more than its mean over a half wave
    assert 0.5 * events.DRIFT < paths.std() < 0.62 * events.DRIFT
    assert np.abs(np.diff(paths, axis=1)).max() < 0.6, "pixels per 5 ms"
    data = events.gestures()
    shaken = data.draw("demo", 11)
    monkeypatch.setattr(events, "DRIFT", 0.0)
    assert len(data.draw("demo", 11).index) < len(shaken.index), "a moving camera sees more"


def test_rates_are_even():
    data = events.digits_rate()
    part = data.draw("demo", 5)
    frames = frames_of(part, data)
    assert set(frames.count) == {1.0}, "no pixel sends twice in a timestep"
    sent = counts(part, 256)
    assert sent.max() == events.RATE_SPIKES and len(part.index) == len(frames.count)
