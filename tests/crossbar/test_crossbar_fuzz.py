"""Whatever is set: a result whose numbers are numbers, or a SpecError that names its place; nothing else."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from hwsim.run import simulate
from hwsim.yamlfile import nodes as yamlnodes
from tests.crossbar.networks import write
from tests.machines.tiny import network
from tests.network.snn_builder import Builder

SPIKESIM = (Path(__file__).parents[2] / "arch" / "spikesim.yaml").read_text(encoding="utf-8")
NODES = [node for node in yamlnodes.read_text(SPIKESIM, "spikesim.yaml").walk() if node.path]
PATHS = [node.path for node in NODES if not node.path.startswith(("sources", "library", "description"))]
NUMBERS = {
    node.path: node.text
    for node in NODES
    if node.is_scalar and re.match(r"^[0-9.]+( \S+)?$", node.text) and not re.search("error|library", node.path)
}
WORDS = sorted(set(re.findall(r"[^\s,{}\[\]]+", SPIKESIM)))
ODD = ["", "0", "-1", "1e9", "1e400", "null", "{}", "[]", "[", "0 bit", "1 Mbit", "0 ns", "1 year", "1 Gohm", "1 THz",
       "unlimited", "unknown", "not modelled", "{conv1: 3}", "{value: 1 bit}", "é", "x2",
       "10 %", "1 J", ".nan"]  # fmt: skip
CHOICES = {
    "crossbar.variation": ["0", "0.3", "3"],
    "crossbar.device": ["pcm", "sonos", "rram-wan", "rram-milo"],
    "router.buffer": ["1", "2"],
    "global_buffer.read_ports": ["2"],
    "adc.quantile": ["1", "0.5", "1e-9"],
    "mapping.encoding": ["twos_complement", "offset_binary", "differential_pair"],
    "mapping.scheme": ["im2col"],
    "mapping.inversion": ["true"],
    "mapping.replication": ["{conv1: 3}", "{conv2: 20}", "{out: 2}"],
    "mapping.first_layer": ["digital"],
    "mapping.linear": ["digital"],
    "mapping.placement": ["activity"],
    "mapping.share_tiles": ["true"],
    "noc.topology": ["torus", "tree"],
    "noc.packets": ["zero_checked"],
    "noc.multicast": ["true"],
    "noc.rows": ["4"],
    "noc.columns": ["30"],
    "options.gain": ["off", "global"],
    "options.silent_rows": ["gated"],
    "options.terminals": ["segment", "terminal_and_segment"],
    "options.converters": ["false"],
    "options.cell": ["device"],
    "options.read_noise": ["false"],
    "options.zero_vectors": ["read"],
    "options.sample_hold": ["true"],
    "options.age": ["1 s", "1e12 s"],
    "options.adaptation": ["{images: 1}", "{images: 5, what: mean}"],
    "options.lif_sharing": ["2", "3"],
    "options.early_exit": ["{threshold: 0.9}", "{threshold: 1, pipeline: wait, block: 2}"],
    "options.membrane.step_fraction": ["1", "1e-9", "1e-300"],
}


def plausible(rng: random.Random) -> str:
    """One of the choices, or a number of the file multiplied."""
    if rng.random() < 0.5:
        path = rng.choice(list(CHOICES))
        return f"{path}={rng.choice(CHOICES[path])}"
    path = rng.choice(list(NUMBERS))
    number, _, unit = NUMBERS[path].partition(" ")
    value = float(number) * rng.choice((0.01, 0.5, 1, 2, 3, 100, 1e6) if unit else (0.5, 1, 2, 3))
    return f"{path}={value:g} {unit}".strip()


def overrides(rng: random.Random) -> list[str]:
    """One to four settings; some are nonsense."""
    if rng.random() < 0.25:
        return [f"{rng.choice(PATHS)}={rng.choice(ODD + WORDS)}" for _ in range(rng.choice((1, 1, 2)))]
    drawn = (plausible(rng) for _ in range(rng.choice((1, 2, 3, 4))))
    return list({text.partition("=")[0]: text for text in drawn}.values())


@pytest.fixture(scope="module")
def workloads(tmp_path_factory):
    """A plain network, and one with two arms that are added, average pooling and batch normalisation by timestep."""
    folder = tmp_path_factory.mktemp("w")
    network(folder / "plain.npz", channels=(2, 3), size=4, timesteps=2, normalise="timestep")
    builder, kernel = Builder((2, 4, 4), 2), {"kernel": [3, 3], "padding": [1, 1]}
    fires = {"type": "lif", "threshold": 0.5, "leak": 0.5}
    builder.weighted("conv2d", (2, 2, 3, 3), fires, name="conv1", inputs=["input"], **kernel)
    builder.weighted("conv2d", (2, 2, 3, 3), fires, name="conv2", inputs=["conv1"], **kernel)
    builder.add("add", "sum", inputs=["conv1", "conv2"])
    builder.add("avgpool", inputs=["sum"], kernel=[2, 2])
    builder.add("flatten")
    builder.weighted("linear", (4, 8), {"type": "none"}, name="out")
    write(folder / "arms.npz", builder)
    return folder


PLACED = re.compile(r"(--set|.*arch/spikesim\.yaml:\d+:\d+|tiny0|drawn|layer )")


def check(seeds, workloads):
    """How many were accepted."""
    ran = 0
    for seed in seeds:
        rng = random.Random(seed)
        settings, dataflow = overrides(rng), rng.choice((None, "pipelined", "by-timestep", "sequential"))
        path = workloads / rng.choice(("plain.npz", "arms.npz"))
        try:
            result = simulate(
                "spikesim", path, overrides=settings, accuracy=rng.choice((0, 0, 0, 2)), dataflow=dataflow
            )
        except SpecError as error:
            assert error.problems, settings
            assert all(PLACED.match(str(problem)) for problem in error.problems), (settings, str(error))
            continue
        assert all(math.isfinite(value) and value >= 0 for value in result.totals.values()), settings
        assert all(math.isfinite(row.value) for row in result.rows), settings
        ran += 1
    return ran


def test_any_settings(workloads):
    assert check(range(24), workloads) >= 8


@pytest.mark.slow
def test_many_settings(workloads):
    assert check(range(24, 500), workloads) >= 150
