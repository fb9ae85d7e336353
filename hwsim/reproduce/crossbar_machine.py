"""EDP over timesteps and the area of the neuron module from the crossbar machine itself: its schedules, nothing fitted.

Also what the other targets on that machine share: one sample's costs by layer and component, kept in the content cache,
so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hwsim
from hwsim.reproduce import progress
from hwsim.reproduce.edp import grows_linearly, law_of
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

if TYPE_CHECKING:
    from hwsim.machines.crossbar.run import Runner

ARCHITECTURE = "spikesim"
ROOM = ("tile_buffer.capacity=4 KiB", "global_buffer.capacity=512 KiB")
"""What images of 64 x 64 need beyond the shipped buffers; the global one where a layer waits for a whole image."""

SETTINGS = " ".join(f"--set '{text}'" for text in ROOM)
SHIPPED = "vgg9"
TIMESTEPS = (1, 2, 3, 4)
VARIANTS: dict[str, tuple[str, ...]] = {
    "pipelined (default)": (),
    "by-timestep": ("dataflow=by-timestep",),
    "sequential": ("dataflow=sequential",),
    "pipelined, 8 copies of the first layer": ("mapping.replication={conv1: 8}",),
    "pipelined, first layer digital": ("mapping.first_layer=digital",),
}
OWN_PER_TIMESTEP = ("neuron", "membranes", "pool")
"""Parts that work for a layer in every timestep even where its psums are the same in all of them."""

SOURCES = (
    "activity.py", "architecture", "components", "cost.py", "grid.py", "kernels", "machines", "network", "physics",
    "reproduce/crossbar_machine.py", "reproduce/dynamic_crossbar.py", "reproduce/encoding.py", "rng.py", "units.py",
    "workload",
)  # fmt: skip
"""Parts of the package that decide what is kept."""


@dataclass(frozen=True)
class Spent:
    """What one sample cost.

    energy   [layers + 1, components] J; the last row is what belongs to no layer, leakage with it
    latency  [layers] s, ticks in which a layer was the oldest unfinished one
    """

    components: tuple[str, ...]
    energy: np.ndarray
    latency: np.ndarray
    timesteps: int

    @property
    def energy_J(self) -> float:
        """Of the sample."""
        return float(self.energy.sum())

    @property
    def latency_s(self) -> float:
        """Until the chip is idle again."""
        return float(self.latency.sum())

    @property
    def edp_Js(self) -> float:
        """Their product."""
        return self.energy_J * self.latency_s

    @property
    def first_energy(self) -> float:
        """Share of the energy that the first layer has."""
        return float(self.energy[0].sum()) / self.energy_J

    @property
    def first_latency(self) -> float:
        """Share of the latency for which the first layer is the oldest unfinished one."""
        return float(self.latency[0]) / self.latency_s

    @property
    def repeated_J(self) -> float:
        """Energy of making the first layer's psums, in all timesteps."""
        chosen = [index for index, name in enumerate(self.components) if name not in OWN_PER_TIMESTEP]
        return float(self.energy[0, chosen].sum())


# --- running and keeping ---------------------------------------------------------------------------------------------


def kept(key: Sequence[str], make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``make`` gave for this key when it was first called with these sources (``hwsim.physics.cache``)."""
    from hwsim.physics.cache import remember

    return remember(("reproduce", sources(), *key), make)


@functools.cache
def sources() -> str:
    """Hash of ``SOURCES`` as they are installed."""
    package = Path(hwsim.__file__).parent
    total = hashlib.sha256()
    for part in SOURCES:
        place = package / part
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.suffix in (".py", ".yaml"):
                total.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def identity(workload: str, overrides: Sequence[str], timesteps: int) -> tuple[str, ...]:
    """What decides the numbers of a machine, apart from sources."""
    from hwsim import workload as workloads
    from hwsim.components.registry import load
    from hwsim.physics.devices import load_device

    net, architecture = workloads.load(workload), load(ARCHITECTURE, overrides)
    device = load_device(architecture.component("crossbar").parameters["device"])
    return (architecture.sha256, repr(device), net.sha256, net.data_sha256 or "", str(timesteps))


@functools.lru_cache(maxsize=1)  # a chip takes some hundred megabytes
def runner(workload: str, overrides: tuple[str, ...], timesteps: int) -> Runner:
    """The shipped machine, changed by ``overrides``, made ready for a workload."""
    from hwsim import workload as workloads
    from hwsim.components.registry import load
    from hwsim.machines.crossbar.run import prepare
    from hwsim.machines.request import Request

    made = prepare(load(ARCHITECTURE, overrides), workloads.load(workload), Request(timesteps=timesteps))
    made.check_prices()
    return made


def run(workload: str, timesteps: int, overrides: tuple[str, ...] = (), number: int = 0) -> Spent:
    """Simulate sample ``number`` on an idle machine, or take it from the cache."""
    key = ("sample", *identity(workload, overrides, timesteps), str(number))
    found = kept(key, lambda: _simulate(runner(workload, overrides, timesteps), number))
    names = tuple(bytes(found["components"]).decode().split())
    return Spent(names, found["energy"], found["latency"], int(found["timesteps"]))


def _simulate(machine: Runner, number: int) -> dict[str, np.ndarray]:
    from hwsim.cost import Labels, price

    activity = machine.run_one(number)
    activity.layers = layers = [layer.name for layer in machine.workload.weighted]
    names = list(machine.architecture.components)
    energy, latency = np.zeros((len(layers) + 1, len(names))), np.zeros(len(layers))
    for row in price(machine.price_list(), activity, Labels("", ARCHITECTURE, machine.workload.name)).rows:
        place = len(layers) if row.layer is None else layers.index(row.layer)
        if row.metric == "energy":
            assert row.component is not None
            energy[place, names.index(row.component)] += row.value
        elif row.metric == "latency" and row.layer is not None:
            latency[place] += row.value
    return {
        "components": np.frombuffer(" ".join(names).encode(), dtype=np.uint8), "energy": energy, "latency": latency,
        "timesteps": np.array(activity.outcomes[0].timesteps),
    }  # fmt: skip


# --- hooks -----------------------------------------------------------------------------------------------------------


def series() -> dict[int, tuple[float, float]]:
    """Timesteps -> (J, s) of one image of the published network's shapes on the default schedule."""
    found = _over_time(published("spikesim")["edp"]["workload"], ROOM, TIMESTEPS)
    return {timesteps: (spent.energy_J, spent.latency_s) for timesteps, spent in found.items()}


@functools.cache
def neuron_area(n: int) -> float:
    """Area in m2 of membranes and neuron lanes on the machine made for the published network, ``n`` channels a unit."""
    workload = published("spikesim")["lif_area"]["workload"]
    made = runner(workload, (*ROOM, f"options.lif_sharing={n}"), 1)
    counts, parts = made.machine.instances(made.neurons), made.architecture.components
    return sum(float(counts[name] * parts[name].area.value) for name in ("membranes", "neuron"))


# --- targets ---------------------------------------------------------------------------------------------------------


def targets() -> list[Target]:
    """Schedules and mappings of the published network's shapes, and of the shipped network with its spikes."""
    data = published("spikesim")["edp"]
    common: dict[str, Any] = {
        "published": data["growth"], "unit": "1", "tolerance": Tolerance("printed", step=0.1), "quick": False,
        "architecture": ARCHITECTURE,
    }  # fmt: skip
    first, last = TIMESTEPS[0], TIMESTEPS[-1]
    what = f"EDP at T={last} / EDP at T={first} on the default schedule; other schedules and mappings beside it"
    variants = "; ".join(text for texts in VARIANTS.values() for text in texts)
    notes = (
        "nothing is fitted; energy and latency of executable schedules, prices of arch/spikesim.yaml",
        "'psums of the first layer once an image' is derived from the rows, no machine here does it: its inputs are "
        "the same in every timestep, so that all its work but the neurons' is repeated",
        "trend: the paper says that energy and latency grow linearly with T",
    )
    plain, shipped = data["workload"], SHIPPED
    return [
        Target(f"spikesim-edp.schedules-{plain}", published()["paper"], data["place"], what,
               run=functools.partial(_schedules, plain, ROOM), workload=plain,
               options=f"{SETTINGS}; varied: {variants}",
               assumptions=("a shape table, its spikes drawn with 10 % density: one drawn sample",
                            "buffers larger than shipped: images of 64 x 64 need it", *notes), **common),
        Target(f"spikesim-edp.schedules-{shipped}", published()["paper"], data["place"], what,
               run=functools.partial(_schedules, shipped, ()), workload=shipped, options=f"varied: {variants}",
               assumptions=("another network than the published one, with its own spikes on non-ideal arrays: test "
                            "image 0", *notes), **common),
    ]  # fmt: skip


def _over_time(
    workload: str, overrides: tuple[str, ...], timesteps: Sequence[int], label: str = "EDP"
) -> dict[int, Spent]:
    found = {}
    for place, count in enumerate(timesteps):
        progress.report(place, len(timesteps), f"{label}: {workload}, T={count}")
        found[count] = run(workload, count, overrides)
    return found


def _schedules(workload: str, room: tuple[str, ...]) -> Measured:
    """The default over all timesteps, the others at the first and last."""
    whole = _over_time(workload, room, TIMESTEPS)
    rows = _dominant_rows(whole)
    ends = (TIMESTEPS[0], TIMESTEPS[-1])
    for name, overrides in VARIANTS.items():
        found = whole if not overrides else _over_time(workload, (*room, *overrides), ends, name)
        rows += _variant_rows(name, found[ends[0]], found[ends[1]])
    default = {count: (spent.energy_J, spent.latency_s) for count, spent in whole.items()}
    return Measured(law_of(default).growth, trend=grows_linearly(default), beside=tuple(rows))


def _variant_rows(name: str, first: Spent, last: Spent) -> list[Beside]:
    energy, latency = last.energy_J / first.energy_J, last.latency_s / first.latency_s
    times = TIMESTEPS[-1] - TIMESTEPS[0]
    return [
        Beside(f"{name}: EDP growth", None, energy * latency, "1"),
        Beside(f"{name}: energy growth", None, energy, "1"),
        Beside(f"{name}: latency growth", None, latency, "1"),
        Beside(f"{name}: of the energy at T=1, not of T", None, 100 * (1 - (energy - 1) / times), "%"),
        Beside(f"{name}: of the latency at T=1, not of T", None, 100 * (1 - (latency - 1) / times), "%"),
        Beside(f"{name}: energy at T=1", None, first.energy_J * 1e6, "uJ"),
        Beside(f"{name}: latency at T=1", None, first.latency_s * 1e3, "ms"),
        Beside(f"{name}: first layer's energy at T=1", None, 100 * first.first_energy, "%"),
        Beside(f"{name}: first layer's latency at T=1", None, 100 * first.first_latency, "%"),
    ]


def _dominant_rows(series: Mapping[int, Spent]) -> list[Beside]:
    """What makes the energy, and what would be if the first layer's psums were made once an image."""
    first, last = series[TIMESTEPS[0]], series[TIMESTEPS[-1]]
    steps = last.timesteps
    growth = (last.energy_J - last.repeated_J * (1 - 1 / steps)) / first.energy_J
    parts = sorted(zip(first.energy.sum(axis=0), first.components, strict=True), reverse=True)
    theirs = published("spikesim")["edp"]["growth"]
    return [
        *(Beside(f"share of the energy at T=1, {name}", None, 100 * joules / first.energy_J, "%")
          for joules, name in parts[:6]),
        Beside("psums of the first layer once an image, energy growth", None, growth, "1"),
        Beside("psums of the first layer once an image, EDP growth if latency goes as T", theirs, growth * steps, "1"),
    ]  # fmt: skip
