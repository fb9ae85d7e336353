"""What the robustness table measures: which networks, on how many chips, with which gains and adaptations."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from hwsim.network.adapt import WHAT
from hwsim.profiles.islped_arrays import GAINS
from hwsim.reproduce import robustness_store
from hwsim.reproduce.progress import report
from hwsim.reproduce.robustness_analog import SUFFIX, network_of
from hwsim.reproduce.robustness_chip import CAUSES, ISLPED, SPIKESIM, Adaptation, Job, measure, software


class Network(NamedTuple):
    """A network in the table. ``chips``: by array size, how many; ``timesteps``: those that the row shows."""

    method: str
    architecture: str
    timesteps: int
    images: int
    chips: dict[int, int]
    machines: tuple[str, ...] = (ISLPED, SPIKESIM)


SMALL, LARGE = 32, 64
SIZES = (LARGE, SMALL)
MANY, FEW, ONE = {LARGE: 5, SMALL: 2}, {LARGE: 2, SMALL: 2}, {LARGE: 1, SMALL: 1}
LONG_ONES = {LARGE: 2, SMALL: 1}
NETWORKS = {
    "vgg5_ann": Network("ANN", "VGG5", 1, 200, MANY),
    f"vgg5_conversion{SUFFIX}": Network("ANN without BN and bias", "VGG5", 1, 200, FEW, (ISLPED,)),
    "vgg5_conversion": Network("conversion", "VGG5", 50, 200, LONG_ONES),
    "vgg5_t10": Network("surrogate gradient", "VGG5", 10, 200, MANY),
    "vgg5_t20": Network("surrogate gradient", "VGG5", 20, 200, ONE),
    "vgg5": Network("surrogate gradient", "VGG5", 25, 200, ONE),
    "vgg5_t30": Network("surrogate gradient", "VGG5", 30, 200, ONE),
    "vgg5_bntt": Network("BNTT", "VGG5", 10, 200, MANY),
    "vgg9_ann": Network("ANN", "VGG9", 1, 100, FEW),
    "vgg9": Network("surrogate gradient", "VGG9", 4, 100, FEW),
}
"""By workload. Images: the first of the test set."""

LONG_CONVERSION = 100
"""Timesteps of the first chips' run of the converted network; its first half is the row of half as many."""

ADAPTED_IMAGES = (8, 32, 128)
ADAPTED: dict[tuple[str, int], dict[str, tuple[str, ...]]] = {
    (ISLPED, LARGE): {"off": ("vgg5_ann", "vgg5_t10", "vgg5_bntt", "vgg9_ann", "vgg9"),
                      "per_column": ("vgg5_t10", "vgg5_bntt")},
    (ISLPED, SMALL): {"off": ("vgg5_t10", "vgg5_bntt", "vgg9")},
    (SPIKESIM, LARGE): {"off": ("vgg5_t10", "vgg5_bntt"), "per_column": ("vgg5_t10", "vgg5_bntt")},
}  # fmt: skip
"""(machine, array size) -> gain -> networks whose BN is adapted on the first chip."""

CAUSE_NETWORKS = ("vgg5_ann", f"vgg5_conversion{SUFFIX}", "vgg5_conversion", "vgg5_t10", "vgg5_bntt")
"""Networks whose first chip of the study is also made with wires alone, variation alone, and another encoding."""

OTHER_ENCODING = "offset_binary"
SPIKESIM_GAINS = ("off", "per_column")


def jobs() -> list[Job]:
    """All chips, those of the study first."""
    made = [_job(ISLPED, name, size, seed) for size in SIZES for name in on(ISLPED) for seed in _seeds(name, size)]
    made += [other for name in CAUSE_NETWORKS for other in _disturbed(name)]
    made += [_job(SPIKESIM, name, size, seed) for size in SIZES for name in on(SPIKESIM) for seed in _seeds(name, size)]
    return made


def on(machine: str) -> list[str]:
    """Networks that are measured on a machine."""
    return [name for name, network in NETWORKS.items() if machine in network.machines]


def _seeds(name: str, size: int) -> range:
    return range(1, NETWORKS[name].chips[size] + 1)


def _job(machine: str, name: str, size: int, seed: int) -> Job:
    network, first = NETWORKS[name], seed == 1
    timesteps = LONG_CONVERSION if first and network.method == "conversion" else network.timesteps
    wanted = ADAPTED.get((machine, size), {}) if first else {}
    adaptations = tuple(
        Adaptation(gain, what, images)
        for gain, names in wanted.items()
        if name in names
        for what in WHAT
        for images in ADAPTED_IMAGES
    )
    gains = GAINS if machine == ISLPED else SPIKESIM_GAINS
    return Job(name, timesteps, network.images, machine, size, seed, gains, adaptations, explain=first)


def _disturbed(name: str) -> list[Job]:
    """The first chip of the study with one disturbance alone, and with the other encoding."""
    network = NETWORKS[name]
    common: dict[str, Any] = {"machine": ISLPED, "size": LARGE, "seed": 1, "gains": ("off", "per_column")}
    made = [Job(name, network.timesteps, network.images, **common, cause=cause) for cause in CAUSES if cause != "all"]
    return [*made, Job(name, network.timesteps, network.images, **common, encoding=OTHER_ENCODING)]


WORKERS = 2
"""Chips at a time; much of one is not parallel in itself, and each takes about 2 GB."""


class Table(NamedTuple):
    """Everything measured: by network, timesteps -> accuracy of the software; and the numbers of each chip."""

    software: dict[str, list[float]]
    chips: dict[Job, dict[str, Any]]


@functools.cache
def table() -> Table:
    """The whole table; chips that are known from an earlier run are not made again."""
    exact: dict[str, dict[str, Any]] = {}
    chips: dict[Job, dict[str, Any]] = {}
    planned = jobs()
    longest = {name: max(job.timesteps for job in planned if job.network == name) for name in NETWORKS}
    total = len(NETWORKS) + len(planned)
    for name, network in NETWORKS.items():
        report(len(exact), total, f"{name}: software")
        key = ("software", name, str(longest[name]), str(network.images), _hash(name))
        exact[name] = robustness_store.remember(key, functools.partial(software, name, longest[name], network.images))
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for job, found in zip(planned, pool.map(_kept, planned), strict=True):
            chips[job] = found
            report(len(exact) + len(chips), total, job.title)
    finally:
        pool.shutdown(cancel_futures=True)  # after an interruption: what runs is finished and kept, no more is begun
    return Table({name: found["accuracy"] for name, found in exact.items()}, chips)


def _kept(job: Job) -> dict[str, Any]:
    return robustness_store.remember(job.key(), functools.partial(measure, job))


def _hash(name: str) -> str:
    net = network_of(name)
    return f"{net.sha256} {net.data_sha256}"
