"""Every broken device of ``devices.yaml`` is refused with exactly the message written there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.physics.devices import load_device
from hwsim.physics.encoding import encode
from hwsim.physics.programming import program
from hwsim.yamlfile import nodes as yamlnodes

HERE = Path(__file__).parent
CORPUS: dict[str, dict[str, Any]] = yamlnodes.read(HERE / "devices.yaml").plain()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The valid file, alone in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(HERE / "toy_device.yaml", tmp_path)
    return tmp_path / "toy_device.yaml"


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(SpecError) as caught:
        call(*arguments, **named)
    return str(caught.value)


@pytest.mark.parametrize("name", CORPUS)
def test_the_message_is_word_for_word(name: str, toy: Path) -> None:
    case = CORPUS[name]
    text = toy.read_text(encoding="utf-8")
    for edit in case.get("edits", []):
        assert edit["from"] in text, "the edit must change the valid file"
        text = text.replace(edit["from"], edit["to"], 1)
    toy.write_text(text, encoding="utf-8")
    assert refused(load_device, "toy_device.yaml", case.get("set", [])) == case["say"]


def test_the_corpus_is_not_thinned_out() -> None:
    assert len(CORPUS) >= 35


def test_the_unbroken_file_is_accepted(toy: Path) -> None:
    device = load_device("toy_device.yaml")
    assert (device.g_min_S, device.g_max_S, device.levels) == (1 / 200e3, 1 / 20e3, 16)


def test_an_unknown_name_lists_the_shipped_devices() -> None:
    assert refused(load_device, "rrram") == (
        "rrram: no such file, and no shipped device of the name 'rrram'\n"
        "  did you mean 'rram'? Shipped devices: pcm, rram, rram-milo, rram-wan, sonos."
    )
    assert refused(load_device, "rrram", where="a.yaml:3:4").startswith("a.yaml:3:4: no such file, and no shipped")


def test_an_encoding_that_the_device_cannot_hold(toy: Path) -> None:
    device = load_device("toy_device.yaml")
    weights = np.array([[3, -4]])
    assert refused(encode, weights, 8, 5, "diff", levels=device.levels, where="a.yaml:3:4") == (
        "a.yaml:3:4: a cell of 5 bits needs 32 levels, the device holds 16\n"
        "  Take cells of at most 4 bits, or another device."
    )
    assert refused(program, device, weights * 0, 32, seed=0, stream="array") == (
        "needs cells of 32 levels, the device 'toy' holds 16\n  Take fewer bits per cell, or another device."
    )


@pytest.mark.parametrize(
    ("weights", "bits", "cell_bits", "scheme", "said"),
    [
        ([[1]], 8, 4, "dif", "unknown encoding 'dif'\n  did you mean 'diff'? Encodings: twos_complement, diff, "
         "offset_binary, differential_pair."),
        ([[1]], 1, 1, "diff", "expected weights of 2 to 16 bits, found 1"),
        ([[1]], 17, 4, "diff", "expected weights of 2 to 16 bits, found 17"),
        ([[1]], 4, 5, "diff", "expected cells of 1 to 4 bits, found 5"),
        ([[1]], 4, 0, "diff", "expected cells of 1 to 4 bits, found 0"),
        ([[8]], 4, 2, "twos_complement", "weights of 4 bits lie in -8 .. 7, found 8 .. 8"),
        ([[-9, 7]], 4, 2, "diff", "weights of 4 bits lie in -8 .. 7, found -9 .. 7"),
        ([[-16, 7]], 5, 4, "differential_pair", "the encoding 'differential_pair' holds magnitudes up to 15, found the "
         "weight -16\n  Quantise to -15 .. 15, or take another encoding or more bits per cell."),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(weights: list, bits: int, cell_bits: int, scheme: str, said: str) -> None:
    assert refused(encode, np.array(weights), bits, cell_bits, scheme) == said
