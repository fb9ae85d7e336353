"""Speed goals, run on demand: ``pytest -m perf -s``. Goals are ratios against a baseline of the same run.

The baseline is what any such tool pays before it starts: importing NumPy, Numba, SimPy, NetworkX and SciPy in a fresh
process. The figures that were measured stand in ``tests/perf/figures.md``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwsim import simulate
from hwsim.run import simulate_activity

pytestmark = pytest.mark.perf
ROOT = Path(__file__).parents[2]
DATAFLOWS = ("tick-batch", "os", "ws", "is")
BASELINE = "import numpy, numba, simpy, networkx, scipy.linalg"


def seconds(*command: str, repeat: int = 3) -> float:
    """Least wall time of a fresh process, after one warm-up."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times[1:])


@pytest.fixture(scope="module")
def baseline() -> float:
    return seconds("-c", BASELINE)


def note(**figures: object) -> None:
    print(json.dumps(figures))  # noqa: T201


def job(dataflow: str, folder: Path) -> list[str]:
    arguments = ["-m", "hwsim", "simulate", "arch/sata.yaml", "workloads/vgg9.npz", "--accuracy", "0"]
    return [*arguments, "--dataflow", dataflow, "--out", str(folder / dataflow)]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_main_job_as_a_whole_process(baseline: float, dataflow: str, tmp_path: Path) -> None:
    """Under 3 s where importing the libraries takes about 0.8 s: under four times the baseline."""
    wall = seconds(*job(dataflow, tmp_path))
    note(main_job=dataflow, wall_s=round(wall, 2), baseline_s=round(baseline, 2), ratio=round(wall / baseline, 2))
    assert wall < 4 * baseline


def test_memory_of_the_main_job(tmp_path: Path) -> None:
    """Under 1 GB of resident memory in every dataflow (children of this process, largest)."""
    for dataflow in DATAFLOWS:
        subprocess.run([sys.executable, *job(dataflow, tmp_path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    note(peak_memory_MB=peak // 10**6)
    assert peak < 10**9


def test_help_is_cheap(baseline: float) -> None:
    """``--help`` under 0.15 s: it imports none of the libraries above."""
    wall = seconds("-m", "hwsim", "--help", repeat=7)
    note(help_s=round(wall, 3), ratio=round(wall / baseline, 3))
    assert wall < 0.2 * baseline


@pytest.mark.parametrize("dataflow", (*DATAFLOWS, "os/network", "os/block:2", "ws/inner", "is/inner"))
def test_events_of_a_sample(dataflow: str) -> None:
    """At most 250 thousand SimPy events per vgg9 sample: a count, not a time."""
    _, activity = simulate_activity("sata", "vgg9", dataflow=dataflow)
    note(events=activity.events, dataflow=dataflow)
    assert activity.events < 250_000


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_hundred_samples(baseline: float, dataflow: str) -> None:
    """Under 60 s for 100 samples of vgg9 where the baseline is about 0.8 s."""
    simulate("sata", "vgg9", accuracy=0, dataflow=dataflow)
    start = time.perf_counter()
    simulate("sata", "vgg9", accuracy=0, dataflow=dataflow, samples=100)
    wall = time.perf_counter() - start
    note(samples=100, dataflow=dataflow, wall_s=round(wall, 1), ratio=round(wall / baseline, 1))
    assert wall < 75 * baseline


@pytest.mark.parametrize("dataflow", ("os", "ws"))
def test_cost_is_linear_in_timesteps(dataflow: str) -> None:
    """From T = 4 to T = 64, sixteen times the work takes at most 20 times the time.

    Not so in tick-batch: there all spike words of a block wait in a buffer of 32 KiB, and from T = 32 on they only fit
    in blocks so small that the machine itself does much more (its figures are printed by the next test).
    """
    times = curve(dataflow)
    assert times[64] < 20 * times[4]


def test_cost_of_tick_batch_follows_the_work_of_the_machine() -> None:
    """Up to T = 16 less than linear. Beyond, time follows the tiles: not linear in T, by what the buffers force."""
    times = curve("tick-batch")
    assert times[16] < 4 * times[4]


def curve(dataflow: str) -> dict[int, float]:
    """Seconds of one vgg9 sample over the number of timesteps."""
    simulate_activity("sata", "vgg9", dataflow=dataflow, timesteps=2)
    times = {}
    for timesteps in (1, 4, 16, 64):
        start = time.perf_counter()
        _, activity = simulate_activity("sata", "vgg9", dataflow=dataflow, timesteps=timesteps)
        times[timesteps] = time.perf_counter() - start
        note(dataflow=dataflow, timesteps=timesteps, wall_s=round(times[timesteps], 2), events=activity.events)
    return times


def test_cost_is_linear_in_spikes(tmp_path: Path) -> None:
    """Ten times the spikes cost at most twelve times the time of a layer's tile calls."""
    times = {}
    for density in (0.03, 0.3):
        table = tmp_path / f"d{density}.yaml"
        table.write_text(
            "schema: hwsim/shapes/1\nname: d\ntimesteps: 4\nlayers:\n  - {name: c, op: conv2d, input: [128, 32, 32], "
            f"channels: 128, kernel: 3, stride: 1, padding: 1, density: {density}}}\n"
        )
        simulate_activity("sata", table)
        start = time.perf_counter()
        simulate_activity("sata", table)
        times[density] = time.perf_counter() - start
        note(density=density, wall_s=round(times[density], 3))
    assert times[0.3] < 12 * times[0.03]


def test_cost_is_linear_in_layers(tmp_path: Path) -> None:
    """Eight times the layers cost at most ten times the time."""
    layer = (
        "  - {{name: c{0}, op: conv2d, input: [64, 16, 16], channels: 64, kernel: 3, stride: 1, padding: 1, "
        "density: 0.1}}\n"
    )
    times = {}
    for count in (4, 32):
        table = tmp_path / f"n{count}.yaml"
        table.write_text(
            "schema: hwsim/shapes/1\nname: n\ntimesteps: 4\nlayers:\n" + "".join(layer.format(i) for i in range(count))
        )
        simulate_activity("sata", table)
        start = time.perf_counter()
        simulate_activity("sata", table)
        times[count] = time.perf_counter() - start
        note(layers=count, wall_s=round(times[count], 3))
    assert times[32] < 10 * times[4]


def test_the_kernel_against_its_witness(tmp_path: Path) -> None:
    """The tile calls of a small network: depth 'kernel' at least 20 times faster than depth 'process'."""
    from tests.machines.tiny import network

    path = network(tmp_path / "tiny.npz", channels=(8, 8), size=6, timesteps=2)
    times = {}
    for depth in ("kernel", "process"):
        simulate_activity("sata", path, depth=depth)
        start = time.perf_counter()
        simulate_activity("sata", path, depth=depth)
        times[depth] = time.perf_counter() - start
        note(depth=depth, wall_s=round(times[depth], 3))
    assert times["process"] > 20 * times["kernel"]
