"""Every broken crossbar machine of ``crossbar.yaml`` is refused with exactly the message written there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate
from hwsim.yamlfile import nodes as yamlnodes
from tests.crossbar.networks import write
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "arch"
CORPUS: dict[str, dict[str, Any]] = yamlnodes.read(HERE / "crossbar.yaml").plain()
FIRES = {"type": "if", "threshold": 0.5}


def convolution(name: str, **changes: Any) -> None:
    """A network of one convolution (4 filters, 3 x 3, 4 channels of 4 x 4) and one linear layer."""
    given = changes.pop("input", {})
    builder = Builder((4, 4, 4), 2, **given)
    shape = (4, 4 // changes.get("groups", 1), 3, 3)
    neuron = FIRES | changes.pop("neuron", {})
    builder.weighted("conv2d", shape, neuron, name="conv", inputs=["input"], kernel=[3, 3], padding=[1, 1], **changes)
    builder.add("flatten", inputs=["conv"])
    builder.weighted("linear", (4, 64), {"type": "none"}, name="out")
    write(Path(f"{name}.npz"), builder, inputs=np.zeros((1, 4, 4, 4)), name=name)


def residual() -> None:
    """Two arms that are added."""
    builder = Builder((1, 4, 4), 2)
    for name in ("left", "right"):
        builder.weighted("conv2d", (2, 1, 1, 1), FIRES, name=name, inputs=["input"], kernel=[1, 1])
    builder.add("add", "sum", inputs=["left", "right"])
    builder.add("flatten", inputs=["sum"])
    builder.weighted("linear", (4, 32), {"type": "none"}, name="out")
    write(Path("residual.npz"), builder, name="residual")


WORKLOADS = {
    "tiny": lambda: network(Path("tiny.npz"), size=4),
    "float": lambda: network(Path("float.npz"), size=4, kind="float"),
    "grouped": lambda: convolution("grouped", groups=2),
    "signed": lambda: convolution("signed", input={"signed": True}),
    "signed_spikes": lambda: convolution("signed_spikes", neuron={"signed": True}),
    "residual": residual,
    "table": lambda: Path("table.yaml").write_text(
        "schema: hwsim/shapes/1\nname: table\ntimesteps: 2\ndensity: 0.3\nlayers:\n"
        "  - {name: conv1, op: conv2d, input: [4, 6, 6], channels: 4, kernel: 3, padding: 1}\n"
    ),
}
"""How each workload of the corpus is written into the current folder."""


def prepare(folder: Path) -> None:
    """The valid files, alone in a folder."""
    for name in ("toy_crossbar.yaml", "toy_device.yaml"):
        shutil.copy(HERE / name, folder)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the valid files, which is the current one."""
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


def said(case: dict[str, Any]) -> str:
    """The message that a case is answered with."""
    for edit in case.get("edits", []):
        path = Path(edit.get("file", "toy_crossbar.yaml"))
        text = path.read_text(encoding="utf-8")
        assert edit["from"] in text, "the edit must change the valid file"
        path.write_text(text.replace(edit["from"], edit["to"], 1), encoding="utf-8")
    name = case.get("workload", "tiny")
    WORKLOADS[name]()
    workload = f"{name}.yaml" if name == "table" else f"{name}.npz"
    request = {key: tuple(value) if isinstance(value, list) else value for key, value in case.get("run", {}).items()}
    with pytest.raises(SpecError) as caught:
        simulate("toy_crossbar.yaml", workload, overrides=case.get("set", []), accuracy=0, **request)
    return str(caught.value).replace(f"{SHIPPED}/", "arch/")


def test_the_unbroken_files_are_accepted(toy: Path) -> None:
    WORKLOADS["tiny"]()
    assert simulate("toy_crossbar.yaml", "tiny.npz", accuracy=0).totals["cycles"] > 0


@pytest.mark.parametrize("name", CORPUS)
def test_the_message_is_word_for_word(name: str, toy: Path) -> None:
    assert said(CORPUS[name]) == CORPUS[name]["say"]


def test_the_corpus_is_not_thinned_out() -> None:
    assert len(CORPUS) >= 60
