"""Local event recordings, written here in their formats: read as written, refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from workloads.recipes import event_files, train_events


def nmnist_bytes(events):
    """Events (x, y, polarity, time_us) as N-MNIST stores them."""
    rows = [[x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255] for x, y, p, t in events]
    return np.array(rows, np.uint8).tobytes()


@pytest.fixture
def nmnist_folder(tmp_path):
    generator = np.random.default_rng(1)
    for name, count in (("Train", 24), ("Test", 3)):
        for label in range(10):
            (tmp_path / name / str(label)).mkdir(parents=True)
            for number in range(count):
                fields = generator.integers(0, [34, 34, 2, 300_000], (50, 4)).tolist()
                (tmp_path / name / str(label) / f"{number:05}.bin").write_bytes(nmnist_bytes(fields))
    return tmp_path


def aedat(packets, header="#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"):
    """Packets (overflow, events (x, y, polarity, valid, time_us)) as an AEDAT 3.1 file."""
    raw = header.encode()
    for overflow, events in packets:
        raw += np.array([1, 0], "<i2").tobytes()
        raw += np.array([8, 4, overflow, len(events), len(events), len(events)], "<i4").tobytes()
        words = [[x << 17 | y << 2 | p << 1 | valid, time] for x, y, p, valid, time in events]
        raw += np.array(words, "<u4").tobytes()
    return raw


@pytest.fixture
def gesture_folder(tmp_path):
    generator = np.random.default_rng(2)
    for part, names in (("train", ("a", "b")), ("test", ("c",))):
        for name in names:
            times = np.sort(generator.integers(0, 2_000_000, 3000))
            fields = generator.integers(0, [128, 128, 2], (3000, 3))
            events = [(*map(int, row), 1, int(time)) for row, time in zip(fields, times, strict=True)]
            (tmp_path / f"{name}.aedat").write_bytes(aedat([(0, events[:1000]), (0, events[1000:])]))
            trials = [f"{n % 11 + 1},{n * 15_000},{n * 15_000 + 14_000}" for n in range(120)]
            text = "\n".join(["class,startTime_usec,endTime_usec", *trials])
            (tmp_path / f"{name}_labels.csv").write_text(text + "\n")
        (tmp_path / f"trials_to_{part}.txt").write_text("".join(f"{name}.aedat\n" for name in names))
    return tmp_path


def test_nmnist_events_are_read(tmp_path):
    path = tmp_path / "one.bin"
    path.write_bytes(nmnist_bytes([(3, 5, 1, 70_000), (33, 0, 0, 400), (0, 33, 1, 8_388_600)]))
    time_us, index = event_files.read_nmnist(path)
    assert time_us.tolist() == [400, 70_000, 8_388_600]
    assert [np.unravel_index(place, (2, 34, 34)) for place in index] == [(0, 0, 33), (1, 5, 3), (1, 33, 0)]


def test_nmnist_folder_is_split(nmnist_folder):
    data = event_files.open_set(f"nmnist:{nmnist_folder}")
    parts = {name: data.draw(name, 1000) for name in ("train", "calibration", "demo", "test")}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 20,
        "calibration": 200,
        "demo": 20,
        "test": 30,
    }
    assert max(part.time_us.max() for part in parts.values()) < 100_000
    seen = [
        part.sample(n)[1].tobytes() + part.sample(n)[0].tobytes() for part in parts.values() for n in range(len(part))
    ]
    assert len(set(seen)) == 270
    assert np.bincount(parts["test"].labels).tolist() == [3] * 10


def test_gestures_are_cut_and_joined(gesture_folder):
    data = event_files.open_set(f"dvsgesture:{gesture_folder}")
    assert (data.shape, data.classes, data.timesteps) == ((2, 32, 32), 11, 50)
    test = data.draw("test", 200)
    assert len(test) == 120 and len(data.draw("train", 1000)) == 20
    assert np.bincount(test.labels, minlength=11).min() == 10 and test.time_us.max() < 14_000


def test_aedat_words(tmp_path):
    path = tmp_path / "one.aedat"
    path.write_bytes(aedat([(0, [(127, 4, 1, 1, 10), (9, 9, 1, 0, 11)]), (1, [(0, 127, 0, 1, 12)])]))
    times, places = event_files.read_aedat(path)
    assert times.tolist() == [10, 2**31 + 12]  # an invalid event is left out; the counter ran over once
    assert [np.unravel_index(place, (2, 32, 32)) for place in places] == [(1, 1, 31), (0, 31, 0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(7), "holds 7 bytes, expected a multiple of 5"),
        (nmnist_bytes([(34, 0, 0, 1)]), "x 34, y 0, expected 0..33"),
    ],
)
def test_broken_nmnist_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        event_files.read_nmnist(path)
    assert message in str(refusal.value)


GOOD = aedat([(0, [(1, 2, 1, 1, 5)])])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#!AER-DAT2.0\r\n", "expected '#!AER-DAT3.1'"),
        (b"#!AER-DAT3.1\r\n#no end\r\n", "has no line '#!END-HEADER'"),
        (GOOD[:-1], "says 1 events of 8 bytes, 7 bytes are left"),
        (GOOD + b"\x01", "ends inside the header of a packet"),
        (aedat([(0, [(128, 0, 1, 1, 5)])]), "has an event at x 128, y 0"),
    ],
)
def test_broken_aedat_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.aedat"
    path.write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        event_files.read_aedat(path)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,start,end\n", "expected 'class,startTime_usec,endTime_usec'"),
        ("class,startTime_usec,endTime_usec\n12,0,5\n", "_labels.csv:2: has class 12, expected 1..11"),
        ("class,startTime_usec,endTime_usec\n1,0\n", "must be three integers, found '1,0'"),
    ],
)
def test_broken_labels_are_refused(tmp_path, text, message):
    (tmp_path / "x.aedat").write_bytes(GOOD)
    (tmp_path / "x_labels.csv").write_text(text)
    with pytest.raises(SpecError) as refusal:
        event_files.read_gestures(tmp_path / "x.aedat")
    assert message in str(refusal.value)


@pytest.mark.parametrize("text", ["nmnist", "mnist:folder", "nmnist:nowhere", "shd:nowhere", "dvsgesture:nowhere"])
def test_unknown_sets_and_folders_are_refused(text):
    with pytest.raises(SpecError):
        event_files.open_set(text)


def test_command_line_refuses_events_of_another_shape(nmnist_folder, capsys):
    assert train_events.main(["sequences_rs", "--data", f"nmnist:{nmnist_folder}"]) == 2
    assert "events on [2, 34, 34] in 10 classes, sequences_rs takes [350] in 20 classes" in capsys.readouterr().err


def write_shd(path, labels, units=None):
    """An SHD file of random spikes; variable-length times and units."""
    h5py = pytest.importorskip("h5py")
    generator = np.random.default_rng(len(labels))
    with h5py.File(path, "w") as file:
        file["labels"] = np.array(labels, np.uint16)
        spikes = file.create_group("spikes")
        times = spikes.create_dataset("times", (len(labels),), h5py.vlen_dtype(np.float16))
        places = spikes.create_dataset("units", (len(labels),), h5py.vlen_dtype(np.uint16))
        for number in range(len(labels)):
            times[number] = np.sort(generator.random(40)).astype(np.float16) * np.float16(1.2)
            places[number] = generator.integers(0, 700, 40) if units is None else np.full(40, units)


def test_shd_is_read(tmp_path):
    write_shd(tmp_path / "shd_train.h5", [n % 20 for n in range(240)])
    write_shd(tmp_path / "shd_test.h5", [19, 0, 5], units=699)
    data = event_files.open_set(f"shd:{tmp_path}")
    test = data.draw("test", 10)
    assert sorted(test.labels) == [0, 5, 19] and set(test.index) == {349}
    assert test.time_us.max() < 1_000_000 and len(data.draw("train", 500)) == 20
    write_shd(tmp_path / "shd_test.h5", [20])
    with pytest.raises(SpecError, match=r"has labels 20\.\.20, expected 0\.\.19"):
        event_files.read_shd(tmp_path / "shd_test.h5")
    write_shd(tmp_path / "shd_test.h5", [1], units=700)
    with pytest.raises(SpecError, match=r"has unit 700, expected 0\.\.699"):
        event_files.read_shd(tmp_path / "shd_test.h5")
    (tmp_path / "shd_test.h5").write_bytes(b"no")
    with pytest.raises(SpecError, match="cannot be read as HDF5"):
        event_files.read_shd(tmp_path / "shd_test.h5")


def test_shd_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(SpecError, match="pip install h5py"):
        event_files.read_shd(tmp_path / "x.h5")
