"""Time and memory of the crossbar main job, as ratios against importing the libraries in a fresh process (about 0.8 s).

The goals behind the ratios, on 2 cores: all arrays of vgg9 in 3 ms each, then from the cache; the whole main job of one
sample in 8 s; 500 images of 5 timesteps through non-ideal arrays in 120 s; 3 GB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.perf.test_speed import BASELINE, seconds

pytestmark = pytest.mark.perf
ROOT = Path(__file__).parents[2]

ARRAYS = """
import time
from hwsim.components.registry import load
from hwsim.machines.request import Request
from hwsim.machines.crossbar.run import prepare
from hwsim.workload import load as workload
runner = prepare(load("spikesim"), workload("vgg9"), Request())
layers = runner.chip(0).arrays.values()
for layer in layers:
    _ = layer.encoded
start = time.perf_counter()
arrays = sum(len(layer.solved) for layer in layers)
print(arrays, time.perf_counter() - start)
"""

IMAGES = """
import time
from hwsim.components.registry import load
from hwsim.machines.request import Request, simulated_set
from hwsim.machines.crossbar.run import prepare
from hwsim.network.engine import accuracy
from hwsim.workload import load as workload
runner = prepare(load("spikesim"), workload("vgg9"), Request(timesteps=5))
frozen, samples = runner.frozen, simulated_set(runner.workload)
accuracy(frozen, samples, 2, 5)
start = time.perf_counter()
found = accuracy(frozen, samples, 500, 5)
print(found.fraction, time.perf_counter() - start)
"""


@pytest.fixture(scope="module")
def baseline() -> float:
    return seconds("-c", BASELINE)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with an empty content cache of its own."""
    return os.environ | {"HWSIM_CACHE": str(tmp_path_factory.mktemp("cache"))}


def run(*command: str, environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, check=True, env=environment, stdout=subprocess.PIPE)
    return done.stdout.decode()


def note(**figures: object) -> None:
    print(json.dumps(figures))  # noqa: T201


def test_all_arrays_then_from_the_cache(baseline: float, cache: dict[str, str]) -> None:
    """Both cell slices of every layer, linear ones too: under 3 ms per array on two cores, and next to none again."""
    run("-c", ARRAYS, environment=os.environ | {"HWSIM_CACHE": "off"})  # compiles
    first, again = (run("-c", ARRAYS, environment=cache).split() for _ in range(2))
    arrays, solved, read = int(first[0]), float(first[1]), float(again[1])
    note(arrays=arrays, ms_per_array=round(1e3 * solved / arrays, 2), ratio=round(solved / baseline, 2), cached_s=read)
    assert solved / arrays < baseline * 3e-3 / 0.8
    assert read < solved / 4


def test_main_job_with_cached_arrays(baseline: float, cache: dict[str, str], tmp_path: Path) -> None:
    """One sample of vgg9 as a whole process, and its memory."""
    job = ["-m", "hwsim", "simulate", "spikesim", "vgg9", "--accuracy", "0", "--out", str(tmp_path / "run")]
    run(*job, environment=cache)
    start = time.perf_counter()
    run(*job, environment=cache)
    wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    note(main_job_s=round(wall, 2), ratio=round(wall / baseline, 2), peak_memory_MB=peak // 10**6)
    assert wall < 10 * baseline
    assert peak < 3 * 10**9


def test_five_hundred_images(baseline: float, cache: dict[str, str]) -> None:
    """Through the non-ideal arrays, 5 timesteps each, on two cores."""
    fraction, wall = map(float, run("-c", IMAGES, environment=cache).split())
    note(images=500, timesteps=5, accuracy=fraction, wall_s=round(wall, 1), ratio=round(wall / baseline, 1))
    assert wall < 150 * baseline
