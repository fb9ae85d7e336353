"""Fig. 6b: weight encoding and BN adaptation against the non-idealities of crossbars, with 4-bit weights.

The shipped networks were trained with 8-bit weights. Here they are rounded to 4 bits after training (one scale per
filter, symmetric, so that one cell of 4 bits holds a weight in every encoding); neither network is trained again.

'Weight encoding' increases the share of high-resistance cells, says the paper, which does not state its rule. Two
readings stand side by side: storing the complement of a column where that lowers its mean code (``mapping.inversion``),
and SpikeSim's DIFF instead of two's complement.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.reproduce import progress
from hwsim.reproduce.crossbar_machine import ARCHITECTURE, identity, kept, runner
from hwsim.reproduce.measure import decisions
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance

if TYPE_CHECKING:
    from hwsim.network.freeze import Frozen

BITS = 4
TIMESTEPS = {"vgg9": 4, "vgg5": 5}
"""By network; vgg5 was trained for 25, and decides after 5 as well as after 25."""

IMAGES = 100
CALIBRATION = 64
ENCODINGS = ("twos_complement", "diff", "offset_binary", "differential_pair")
DEFAULT = "diff"
GAINS = ("per_column", "off")
READINGS = {
    "inversion": f"complements of columns, on {DEFAULT}",
    "diff": "SpikeSim's DIFF instead of two's complement",
}
"""What 'weight encoding' may be."""

ADAPTED = (("mean", 16), ("mean", CALIBRATION), ("mean_variance", 16), ("mean_variance", CALIBRATION))
"""Which statistics are measured again, on how many images."""

CERTAIN = 2.0
"""Standard errors of the mean of paired differences from which on an improvement counts."""


@dataclass(frozen=True)
class Chip:
    """How weights are stored and currents calibrated; BN statistics of ``what`` measured again on so many images."""

    encoding: str
    inversion: bool
    gain: str
    what: str = ""
    images: int = 0

    @property
    def overrides(self) -> tuple[str, ...]:
        """Of the architecture, apart from the gain: the same arrays serve all gains."""
        return f"mapping.encoding={self.encoding}", f"mapping.inversion={str(self.inversion).lower()}"

    def __str__(self) -> str:
        stored = self.encoding + (" + inversion" if self.inversion else "")
        return f"{stored}, {self.what} on {self.images} images" if self.what else stored


@dataclass(frozen=True)
class Found:
    """What one chip gave: which images [N] it decides rightly; share of cells at g_min; mean code."""

    right: np.ndarray
    high: float
    code: float

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * float(self.right.mean())


def improvement(before: Found, after: Found) -> tuple[float, float, float]:
    """(points of accuracy gained, one standard error of it, relative gain in percent) on the same images."""
    gained = 100 * (after.right.astype(float) - before.right)
    error = float(gained.std(ddof=1)) / len(gained) ** 0.5
    return float(gained.mean()), error, 100 * (after.accuracy / before.accuracy - 1) if before.accuracy else 0.0


# --- the network with 4-bit weights ----------------------------------------------------------------------------------


def requantised(name: str, bits: int, images: int, calibration: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A workload's spec and arrays with weights of ``bits``, one scale per filter: its largest weight is the largest
    code. The first test and calibration samples stand in the file itself.
    """
    from hwsim import workload as workloads

    net = workloads.load(name)
    arrays = {member: net.array(member) for member in net.arrays.headers}
    spec = json.loads(arrays.pop("spec").tobytes())
    for layer in spec["layers"]:
        if "weights" not in layer:
            continue
        own = net.layer(layer["name"])
        assert own.weights is not None
        old = layer["weights"]["scale"]
        if isinstance(old, dict):
            arrays.pop(old["member"])
        codes, scale = quantise(net.weight(own), net.values(own.weights.scale), bits)
        arrays[own.weights.member], arrays[f"{own.name}.scale"] = codes, scale
        layer["weights"] |= {"bits": bits, "scale": {"member": f"{own.name}.scale"}}
    spec["name"] = f"{net.name}_{bits}bit"
    spec["samples"] = {}
    for chosen, count in (("test", images), ("calibration", calibration)):
        if chosen not in net.sample_sets:
            continue
        samples = net.samples(chosen)
        for key, values in (("inputs", samples.inputs), ("labels", samples.labels)):
            arrays[f"{chosen}.{key}"] = np.asarray(values)[:count]
        spec["samples"][chosen] = {key: f"{chosen}.{key}" for key in ("inputs", "labels")}
    return spec, arrays


def quantise(weights: np.ndarray, scale: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers [M, ...] of a scale (scalar or [M]) rounded to ``bits``: (codes int8, scale float32 [M]), symmetric."""
    largest = 2 ** (bits - 1) - 1
    real = weights.reshape(len(weights), -1) * np.broadcast_to(scale, len(weights))[:, None]
    top = np.abs(real).max(axis=1)
    made = np.where(top > 0, top / largest, 1.0).astype(np.float32)
    codes = np.clip(np.rint(real / made[:, None].astype(np.float64)), -largest, largest)
    return codes.astype(np.int8).reshape(weights.shape), made


@contextlib.contextmanager
def derived(name: str) -> Iterator[str]:
    """The path of the derived workload, in a temporary folder."""
    from hwsim.workload import save

    spec, arrays = requantised(name, BITS, IMAGES, CALIBRATION)
    with tempfile.TemporaryDirectory(prefix="hwsim-") as folder:
        path = Path(folder) / f"{spec['name']}.npz"
        save(path, spec, arrays)
        yield str(path)


# --- chips -----------------------------------------------------------------------------------------------------------


def table_chips(gain: str) -> list[Chip]:
    """All encodings, without and with inversion, not adapted."""
    return [Chip(encoding, inversion, gain) for encoding in ENCODINGS for inversion in (False, True)]


def adapted_chips(gain: str) -> list[Chip]:
    """The default encoding with inversion, and for comparison a differential pair, which needs no correction."""
    chips = [Chip(DEFAULT, True, gain), *(Chip(DEFAULT, True, gain, *how) for how in ADAPTED)]
    return [*chips, Chip("differential_pair", False, gain), Chip("differential_pair", False, gain, *ADAPTED[-1])]


@functools.cache
def software(name: str) -> dict[int, float]:
    """Bits -> accuracy in percent in exact arithmetic with the weights as shipped and rounded, on the same images."""
    from hwsim import workload as workloads
    from hwsim.network.freeze import freeze
    from hwsim.network.numerics import Numerics

    def accuracy(path: str) -> np.ndarray:
        return _right(freeze(workloads.load(path), Numerics(timesteps=TIMESTEPS[name])))

    with derived(name) as path:
        key = ("software", *identity(path, (), TIMESTEPS[name]), workloads.load(name).sha256)
        found = kept(key, lambda: {"shipped": accuracy(name), "rounded": accuracy(path)})
    return {8: 100 * float(found["shipped"].mean()), BITS: 100 * float(found["rounded"].mean())}


@functools.cache
def measured(name: str, chips: tuple[Chip, ...]) -> dict[Chip, Found]:
    """What chips of one network give; each kept by itself."""
    found = {}
    with derived(name) as path:
        for place, chip in enumerate(chips):
            progress.report(place, len(chips), f"{name}, {BITS} bit: {chip}, gain {chip.gain}")
            found[chip] = _measure(path, chip, TIMESTEPS[name])
        runner.cache_clear()  # its arrays stand in a file that goes
    return found


def _measure(path: str, chip: Chip, timesteps: int) -> Found:
    def make() -> dict[str, np.ndarray]:
        made = runner(path, chip.overrides, timesteps)
        high, code = made.network.shares
        return {"right": _right(_frozen(path, chip, timesteps)), "shares": np.array([high, code])}

    data = kept(("encoding", *identity(path, chip.overrides, timesteps), repr(chip)), make)
    return Found(data["right"], *data["shares"].tolist())


def _frozen(path: str, chip: Chip, timesteps: int) -> Frozen:
    """The network as the chip computes it."""
    from hwsim.network.adapt import adapt

    made = runner(path, chip.overrides, timesteps)
    products = made.products(made.chip(made.request.seed, gain=chip.gain))
    if not chip.what:
        return made.freeze_with(products)
    statistics = adapt(lambda found: made.freeze_with(products, found), made.calibration, chip.images, chip.what,
                       timesteps=timesteps, seed=made.request.seed)  # fmt: skip
    return made.freeze_with(products, statistics)


def _right(frozen: Frozen) -> np.ndarray:
    """bool [N]: which test images are decided rightly after all timesteps."""
    outputs, labels = decisions(frozen, IMAGES)
    return np.asarray(outputs[:, -1].argmax(axis=1) == labels)


# --- targets ---------------------------------------------------------------------------------------------------------


def targets() -> list[Target]:
    """Both readings of weight encoding by network and gain, and BN adaptation by gain."""
    data = published("spikesim")["weight_encoding"]
    common: dict[str, Any] = {
        "paper": published()["paper"], "place": data["place"], "quick": False, "architecture": ARCHITECTURE,
        "unit": "points", "tolerance": Tolerance("absolute", 1.0),
    }  # fmt: skip
    made = []
    for gain in GAINS:
        made += [
            Target(f"spikesim-fig6b.{reading}-{name}-{gain}", published=data["improved"], workload=name,
                   what=f"accuracy that weight encoding gains, read as {words}; gain {gain}",
                   run=functools.partial(_encoding, reading, name, gain),
                   options=f"--set options.gain={gain} mapping.encoding=E mapping.inversion=false and true",
                   assumptions=(*_set_up(name), "'improved by 40.13 %' may be points or relative: both beside",
                                f"trend: gained by more than {CERTAIN:g} standard errors"), **common)
            for reading, words in READINGS.items() for name in TIMESTEPS
        ]  # fmt: skip
        made.append(Target(
            f"spikesim-fig6b.adaptation-{gain}", published=data["loss_adapted"], workload="vgg9",
            what=f"accuracy lost to software after BN adaptation (mean and variance, {CALIBRATION} images), "
            f"{DEFAULT} with inversion, gain {gain}",
            run=functools.partial(_adaptation, gain),
            options=f"--set options.gain={gain} mapping.inversion=true options.adaptation={{images: N, what: W}}",
            assumptions=(*_set_up("vgg9"), "the paper does not say how many images are forwarded",
                         f"trend: adaptation gains more than {CERTAIN:g} standard errors"), **common,
        ))  # fmt: skip
    return made


def _set_up(name: str) -> tuple[str, ...]:
    return (
        f"trained with 8-bit weights, rounded to {BITS} bits afterwards: one scale per filter, one cell a weight",
        f"T={TIMESTEPS[name]}, {IMAGES} test images of digits, one chip; the paper: VGG16 on TinyImageNet",
        "arrays of 64 x 64 of arch/spikesim.yaml: parasitics, 10 % variation, ADC of 6 bit",
    )


def _changes(reading: str, gain: str) -> dict[str, tuple[Chip, Chip]]:
    """Label -> (before, after); the first is the target's."""
    if reading == "inversion":
        return {f"{encoding} -> with inversion": (Chip(encoding, False, gain), Chip(encoding, True, gain))
                for encoding in sorted(ENCODINGS, key=lambda name: name != DEFAULT)}  # fmt: skip
    before = Chip("twos_complement", False, gain)
    return {
        f"{before} -> {DEFAULT}": (before, Chip(DEFAULT, False, gain)),
        f"{before} -> {DEFAULT} with inversion": (before, Chip(DEFAULT, True, gain)),
    }


def _encoding(reading: str, name: str, gain: str) -> Measured:
    found, data = measured(name, tuple(table_chips(gain))), published("spikesim")["weight_encoding"]
    exact, changes = software(name), _changes(reading, gain)
    rows = [Beside(f"software accuracy, {bits}-bit weights", None, share, "%") for bits, share in exact.items()]
    gained = {label: improvement(found[before], found[after]) for label, (before, after) in changes.items()}
    for label, (points, error, relative) in gained.items():
        rows += [
            Beside(f"{label}, gained", data["improved"], points, "points"),
            Beside(f"{label}, one standard error", None, error, "points"),
            Beside(f"{label}, relative", data["improved"], relative, "%"),
        ]
    shown = {chip for pair in changes.values() for chip in pair}
    for chip in (chip for chip in found if chip in shown):
        rows += [
            Beside(f"{chip}: accuracy", None, found[chip].accuracy, "%"),
            Beside(f"{chip}: lost to software", None, exact[BITS] - found[chip].accuracy, "points"),
            Beside(f"{chip}: cells at highest resistance", None, 100 * found[chip].high, "%"),
            Beside(f"{chip}: mean code", None, found[chip].code, "1"),
        ]
    points, error, _ = next(iter(gained.values()))
    return Measured(points, trend=points > CERTAIN * error, beside=tuple(rows))


def _adaptation(gain: str) -> Measured:
    found, exact = measured("vgg9", tuple(adapted_chips(gain))), software("vgg9")
    rows = [Beside(f"software accuracy, {bits}-bit weights", None, share, "%") for bits, share in exact.items()]
    for chip, one in found.items():
        points, error, _ = improvement(found[Chip(chip.encoding, chip.inversion, gain)], one)
        rows += [
            Beside(f"{chip}: accuracy", None, one.accuracy, "%"),
            Beside(f"{chip}: lost to software", None, exact[BITS] - one.accuracy, "points"),
            Beside(f"{chip}: gained by adaptation", None, points, "points"),
            Beside(f"{chip}: one standard error", None, error, "points"),
        ]
    last = Chip(DEFAULT, True, gain, *ADAPTED[-1])
    points, error, _ = improvement(found[Chip(DEFAULT, True, gain)], found[last])
    return Measured(exact[BITS] - found[last].accuracy, trend=points > CERTAIN * error, beside=tuple(rows))
