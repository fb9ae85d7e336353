"""The robustness table: chips against the machines they stand for, cells and questions on tables made by hand."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import SpecError
from hwsim.machines.crossbar.product import ProgrammedNetwork
from hwsim.network.adapt import adapt
from hwsim.network.deviation import deviations
from hwsim.network.engine import accuracy
from hwsim.network.freeze import freeze
from hwsim.network.numerics import Numerics
from hwsim.profiles.islped_arrays import SolvedChip, array_model, placed, weight_change
from hwsim.reproduce import progress, robustness, robustness_plan, robustness_store
from hwsim.reproduce.robustness_analog import SUFFIX, analog, network_of
from hwsim.reproduce.robustness_cells import MACHINES, STUDY, Cell, Machine, Reader, margin
from hwsim.reproduce.robustness_chip import ISLPED, LOSS_ALONE, RESTORED, SPIKESIM, Adaptation, Job, measure, software
from hwsim.reproduce.robustness_observed import OBSERVATIONS
from hwsim.reproduce.robustness_plan import LARGE, NETWORKS, SIZES, SMALL, Table, jobs
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import NOT_REPRODUCED, REPRODUCED, TREND_ONLY, verdict
from hwsim.workload import load, save
from tests.network.snn_builder import LIF, Builder

NET, IMAGES, TIMES = "digits_mlp", 40, 8


# --- one chip --------------------------------------------------------------------------------------------------------


def job(machine: str = ISLPED, network: str = NET, **changes: Any) -> Job:
    base = Job(network, TIMES, IMAGES, machine, 64, 1, ("off", "per_column"))
    return dataclasses.replace(base, **changes)


def test_the_study_s_chip_is_that_of_the_profile() -> None:
    found = measure(job(gains=("off", "global", "per_column"), explain=True))
    for gain in ("off", "global", "per_column"):
        run = hwsim.simulate("spikesim", NET, profile="islped-2022", accuracy=IMAGES, seed=1,
                             overrides=[f"profile.gain={gain}"])  # fmt: skip
        rows = {(row.metric, row.layer, row.component): row.value for row in run.rows}
        assert found["accuracy"][gain][-1] == pytest.approx(100 * rows["accuracy", None, "chip 1"])
        for layer, (factor, rest, lost) in found["weights"][gain].items():
            place = (layer, "chip")
            assert [factor, rest, lost] == [
                rows[metric, *place] for metric in ("weight_factor", "weight_residual", "current_lost")
            ]
    assert software(NET, TIMES, IMAGES)["accuracy"][-1] == pytest.approx(100 * rows["accuracy", None, "software"])
    assert len(found["accuracy"][LOSS_ALONE]) == TIMES
    assert set(found["deviation"]["off"]) == {"fc1", "fc2"} and set(found["activity"]["off"]) == {"fc1"}
    assert len(found["deviation"]["off"]["fc1"]["membrane"]) == TIMES
    json.dumps(found, allow_nan=False)


def test_the_default_machine_s_chip_is_that_of_simulate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    ranges = ProgrammedNetwork.ranges
    monkeypatch.setattr(ProgrammedNetwork, "ranges", lambda *given: asked.append(given[2:]) or ranges(*given))
    found = measure(job(SPIKESIM))["accuracy"]
    assert [(*given, numerics.timesteps) for *given, numerics in asked] == [(4, 0.999, TIMES)] * 2
    monkeypatch.undo()
    run = hwsim.simulate("spikesim", NET, accuracy=IMAGES, seed=1)
    rows = {row.component: row.value for row in run.rows if row.metric == "accuracy"}
    assert found["per_column"][-1] == pytest.approx(100 * rows["chip 1"])
    assert found["off"][-1] == pytest.approx(100 * rows["gain off"])


def test_one_disturbance_at_a_time() -> None:
    exact = software(NET, TIMES, IMAGES)["accuracy"]
    parts = {cause: measure(job(cause=cause)) for cause in ("wires", "variation")}
    for layer in ("fc1", "fc2"):
        wires, variation = (parts[cause]["weights"]["off"][layer] for cause in ("wires", "variation"))
        assert wires[0] < 0.75 and wires[2] > 0.3
        assert variation[0] == pytest.approx(1, abs=0.05) and abs(variation[2]) < 0.02 and variation[1] > 0.05
    assert np.abs(np.subtract(parts["variation"]["accuracy"]["off"], exact)).max() < 12


def test_other_encoding_is_another_chip() -> None:
    pair, offset = (
        measure(job(encoding=encoding))["weights"]["off"] for encoding in ("differential_pair", "offset_binary")
    )
    assert offset["fc1"][2] > pair["fc1"][2]  # more cells at low resistance lose more


def save_normalised(path: Path, encoding: str) -> str:
    """A small network with BN per timestep and samples, in a file."""
    b = Builder((2, 6, 6), TIMES, seed=3, encoding=encoding)
    bn: dict[str, Any] = {"eps": 1e-5, "per_timestep": True}
    for key, low, high in (("gamma", 0.8, 1.2), ("beta", 0.1, 0.5), ("mean", -0.2, 0.2), ("var", 0.1, 0.3)):
        bn[key] = b.member(key, b.random.uniform(low, high, (TIMES, 12)).astype(np.float32))["member"]
    b.weighted("conv2d", (12, 2, 3, 3), LIF, kernel=[3, 3], padding=[1, 1], name="conv", bn=bn)
    b.add("flatten")
    b.weighted("linear", (10, 432), {"type": "none"}, name="out")
    spec = b.spec()
    for name, count in (("test", 30), ("calibration", 12)):
        b.member(f"{name}.inputs", b.random.integers(0, 256, (count, 2, 6, 6)).astype(np.uint8))
        b.member(f"{name}.labels", b.random.integers(0, 10, count))
        spec["samples"][name] = {"inputs": f"{name}.inputs", "labels": f"{name}.labels"}
    save(path, spec, b.arrays)
    return str(path)


@pytest.fixture(scope="module", params=["direct", "poisson"])
def normalised(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_normalised(tmp_path_factory.mktemp("nets") / "normalised.npz", request.param)


def test_adaptation_is_that_of_the_chip_s_weights(normalised: str) -> None:
    what = Adaptation("off", "mean_variance", 8)
    found = measure(job(network=normalised, adaptations=(what,), seed=5, images=30, explain=True))
    net = load(normalised)
    model = array_model(net, 64, 64, encoding="differential_pair")
    weights = SolvedChip(net, freeze(net), placed(net, model), model, 5).network("off").weights()
    for layer in net.weighted:
        change = weight_change(net.weight(layer).reshape(layer.geometry.M, -1), weights[layer.name])
        assert found["weights"]["off"][layer.name][:2] == pytest.approx(change)

    def frozen(statistics: Any) -> Any:
        return freeze(net, Numerics(weights=weights, statistics=statistics))

    made = frozen(adapt(frozen, net.samples("calibration"), 8, "mean_variance", seed=5))
    assert found["accuracy"][what.name][-1] == pytest.approx(100 * accuracy(made, net.samples("test"), 30).fraction)
    seen = deviations(freeze(net), made, net.samples("test"), 4)
    assert found["deviation"][what.name]["conv"]["hardware_mean"] == [
        row.hardware_mean for row in seen if row.layer == "conv"
    ]


def test_adaptation_of_the_profile(tmp_path: Path) -> None:
    network = save_normalised(tmp_path / "n.npz", "direct")
    found = measure(job(network=network, adaptations=(Adaptation("off", "mean", 8),), seed=5, images=30))["accuracy"]
    run = hwsim.simulate("spikesim", network, profile="islped-2022", accuracy=30, seed=5,
                         overrides=["profile.adapt=8"])  # fmt: skip
    rows = {row.component: row.value for row in run.rows if row.metric == "accuracy"}
    assert found["off, mean 8"][-1] == pytest.approx(100 * rows["chip 5"])
    assert found["off"][-1] == pytest.approx(100 * rows["not adapted"])


def test_the_analog_network_of_a_conversion_is_homogeneous() -> None:
    """Factors common to a layer's weights change activations and no decision, which BN and thresholds do not grant."""
    net = network_of(f"vgg5_conversion{SUFFIX}")
    assert net.input.encoding == "direct" and net.timesteps == 1
    assert [layer.neuron.type for layer in net.weighted] == ["relu"] * 4 + ["none"]
    own = {layer.name: net.weight(layer).reshape(layer.geometry.M, -1).astype(np.float64) for layer in net.weighted}
    samples, shrunk = net.samples("test"), {name: 0.4 * matrix for name, matrix in own.items()}
    found = {
        name: accuracy(freeze(net, Numerics(weights=weights)), samples, 12).predictions
        for name, weights in (("own", own), ("shrunk", shrunk))
    }
    assert (found["own"] == found["shrunk"]).all() and (found["own"] == samples.labels[:12]).sum() >= 10
    spiking = load("vgg5_conversion")
    fires = accuracy(freeze(spiking, Numerics(weights=shrunk, timesteps=10)), samples, 3).predictions
    assert len(set(fires)) == 1  # no spike reaches the output
    with pytest.raises(SpecError, match="'conv1' of vgg5_ann is not one of a converted network"):
        analog(load("vgg5_ann"))


# --- keeping finished chips ------------------------------------------------------------------------------------------


def test_finished_chips_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"accuracy": [0.1, 99.0], "n": len(made)}

    first = robustness_store.remember(("a", "bc"), make)
    assert robustness_store.remember(("a", "bc"), make) == first == {"accuracy": [0.1, 99.0], "n": 1}
    assert robustness_store.remember(("ab", "c"), make)["n"] == 2
    monkeypatch.setattr(robustness_store, "sources", lambda: "other code")
    assert robustness_store.remember(("a", "bc"), make)["n"] == 3
    (one,) = {file for file in tmp_path.rglob("*.json") if json.loads(file.read_text())["n"] == 3}
    one.write_text('{"accuracy": [0')
    assert robustness_store.remember(("a", "bc"), make)["n"] == 4
    monkeypatch.setenv("HWSIM_CACHE", "off")
    assert [robustness_store.remember(("a",), make)["n"] for _ in range(2)] == [5, 6]


def test_every_setting_of_a_chip_is_in_its_key(normalised: str) -> None:
    changes: list[dict[str, Any]] = [
        {}, {"network": normalised}, {"timesteps": 4}, {"images": 8}, {"machine": SPIKESIM}, {"size": 32}, {"seed": 2},
        {"gains": ("off",)}, {"adaptations": (Adaptation("off", "mean", 8),)}, {"encoding": "diff"},
        {"cause": "wires"}, {"explain": True},
    ]  # fmt: skip
    assert {name for change in changes for name in change} == {field.name for field in dataclasses.fields(Job)}
    assert len({job(**change).key() for change in changes}) == len(changes)


def test_sources_of_a_chip_exist() -> None:
    package = Path(hwsim.__file__).parent
    assert all((package / part).exists() for part in robustness_store.SOURCES)
    assert len(robustness_store.sources()) == 64


def test_a_stopped_table_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chips finished before the stop are not made again, and progress counts them."""
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    made: list[Job] = []

    def make(one: Job) -> dict[str, Any]:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(one)
        return {"accuracy": {}}

    monkeypatch.setattr(robustness_plan, "measure", make)
    monkeypatch.setattr(robustness_plan, "WORKERS", 1)
    monkeypatch.setattr(robustness_plan, "software", lambda *_: {"accuracy": []})
    monkeypatch.setattr(Job, "key", lambda self: (repr(self),))
    table = robustness_plan.table.__wrapped__
    with pytest.raises(KeyboardInterrupt):
        table()
    planned = jobs()
    assert made == planned[:3]
    monkeypatch.setattr(robustness_plan, "measure", lambda one: made.append(one) or {"accuracy": {}})
    told: list[tuple[int, int, str]] = []
    with progress.listening(lambda *news: told.append(news)):
        assert list(table().chips) == planned
    assert made == planned
    total = len(NETWORKS) + len(planned)
    done = [*range(len(NETWORKS)), *range(len(NETWORKS) + 1, total + 1)]
    assert [news[0] for news in told] == done and {news[1] for news in told} == {total}
    progress.report(1, 2, "nobody listens")
    assert len(told) == total


# --- the plan --------------------------------------------------------------------------------------------------------


def test_plan() -> None:
    planned = jobs()
    assert len(planned) == len(set(planned)) == len({one.title for one in planned})
    for name, network in NETWORKS.items():
        net = network_of(name)
        assert net.name == name and len(net.samples("test")) >= network.images
        assert network.method == "conversion" or net.timesteps == network.timesteps
        adapted = {a.images for one in planned for a in one.adaptations if one.network == name}
        assert not adapted or (
            len(net.samples("calibration")) >= max(adapted) and any(layer.bn for layer in net.weighted)
        )
    chips = [one for one in planned if one.cause == "all" and one.encoding == "differential_pair"]
    for machine, name in itertools.product((ISLPED, SPIKESIM), NETWORKS):
        if machine not in NETWORKS[name].machines:
            continue
        seeds = {size: [one.seed for one in chips if (one.machine, one.network, one.size) == (machine, name, size)]
                 for size in SIZES}  # fmt: skip
        assert all(found == list(range(1, NETWORKS[name].chips[size] + 1)) for size, found in seeds.items())
    assert {
        one.timesteps for one in planned if one.network == "vgg5_conversion" and one.seed == 1 and one in chips
    } == {100}
    assert NETWORKS["vgg5_t10"].chips[LARGE] == NETWORKS["vgg5_ann"].chips[LARGE] == 5


# --- cells and questions ---------------------------------------------------------------------------------------------

Hardware = Callable[[Job, str, int], float]
"""(chip, reading, timestep) -> accuracy in percent"""


def made_table(hardware: Hardware, growth: float = 1.5, exact: float = 98.0) -> Table:
    """A table of the whole plan, with accuracies by rule."""
    chips: dict[Job, dict[str, Any]] = {}
    for one in jobs():
        readings = [*one.gains, *(adaptation.name for adaptation in one.adaptations)]
        readings += [LOSS_ALONE, RESTORED] if one.explain and one.machine == ISLPED else []
        curve = {name: [hardware(one, name, t) for t in range(1, one.timesteps + 1)] for name in readings}
        rises = list(np.linspace(0.2, 0.2 * growth, one.timesteps))
        inside = {
            name: [1.0] * one.timesteps
            for name in ("current", "ideal_mean", "hardware_mean", "ideal_variance", "hardware_variance")
        } | {"membrane": rises}  # fmt: skip
        weights = {gain: {"conv1": [0.4, 0.2, 0.6], "fc1": [0.3, 0.1, 0.5]} for gain in one.gains}
        layers = {"conv1": inside, "fc1": inside}
        explained = dict.fromkeys(readings, layers) if one.explain else {}
        active = {name: {"conv1": 0.5} for name in readings} if one.explain else {}
        chips[one] = {"accuracy": curve, "weights": weights, "activity": active, "deviation": explained}
    return Table({name: [exact] * max(100, n.timesteps) for name, n in NETWORKS.items()}, chips)


def as_published(one: Job, reading: str, t: int) -> float:
    """What the study says, in numbers far enough apart."""
    name = one.network
    if name == "vgg5_bntt":
        images = int(reading.split()[-1]) if "," in reading else 0
        return {0: 10.0, 8: 60.0, 32: 80.0, 128: 96.0}[images]
    if name in ("vgg5_ann", "vgg5_conversion") or name.endswith(SUFFIX):
        return 95.0
    worse = 20.0 if one.size == LARGE else 0.0
    base = {"vgg5_t10": 80.0, "vgg5_t20": 60.0, "vgg5": 55.0, "vgg5_t30": 50.0, "vgg9_ann": 90.0, "vgg9": 40.0}[name]
    return base - worse


def all_alike(one: Job, reading: str, t: int) -> float:
    return 98.0


@pytest.fixture
def given_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Table], None]]:
    yield lambda made: monkeypatch.setattr(robustness, "table", lambda: made)


@pytest.mark.parametrize("machine", MACHINES)
def test_questions_find_what_the_study_says(machine: Machine) -> None:
    reader = Reader(made_table(as_published))
    answers = {o.key: o.ask(reader, machine) for o in OBSERVATIONS}
    assert all(seen.holds for seen in answers.values() if seen is not None)
    adapted = {key for key in answers if key.startswith("adaptation")}
    assert {key for key, seen in answers.items() if seen is None} == (adapted if machine.gain == "global" else set())


def test_questions_find_nothing_where_nothing_is() -> None:
    reader = Reader(made_table(all_alike, growth=0.9))
    answers = {o.key: o.ask(reader, STUDY) for o in OBSERVATIONS}
    assert {key for key, seen in answers.items() if seen is not None and seen.holds} == {
        "ann-conversion", "conversion-timesteps",
    }  # fmt: skip
    dead = Reader(made_table(lambda *_: 10.0, growth=0.9))
    assert {o.key for o in OBSERVATIONS if (seen := o.ask(dead, STUDY)) is not None and seen.holds} == {"bntt-chance"}


def but(network: str, percent: float, size: int = 0) -> Hardware:
    """As the study says, but for one network (at one array size)."""
    return lambda one, reading, t: (
        percent if one.network == network and size in (0, one.size) else as_published(one, reading, t)
    )


def but_reading(name: str, percent: float) -> Hardware:
    """As the study says, but for one adaptation."""
    return lambda one, reading, t: percent if reading == name else as_published(one, reading, t)


OPPOSITES: dict[str, Hardware] = {
    "ann-conversion": but("vgg5_conversion", 80.0),
    "surrogate-vgg5": but("vgg5", 94.0),
    "surrogate-vgg9": but("vgg9", 69.0),
    "bntt": but("vgg5_bntt", 34.0),
    "bntt-chance": but("vgg5_bntt", 17.0, SMALL),
    "array-size": but("vgg9_ann", 71.0, SMALL),
    "harder": but("vgg9_ann", 93.0),
    "timesteps": but("vgg5_t30", 57.0, LARGE),
    "conversion-timesteps": lambda one, reading, t: (
        75.0 if one.network == "vgg5_conversion" and t > 50 else as_published(one, reading, t)
    ),
    "below-ann": but("vgg5_t20", 96.0, SMALL),
    "adaptation-mean": but_reading("off, mean 128", 12.0),
    "adaptation-images": but_reading("off, mean 32", 50.0),
    "adaptation-beats-ann": but_reading("off, mean 128", 94.0),
    "adaptation-both": but_reading("off, mean_variance 128", 12.0),
}


@pytest.mark.parametrize("key", OPPOSITES)
def test_each_question_can_be_answered_no(key: str) -> None:
    reader = Reader(made_table(OPPOSITES[key]))
    observation = next(o for o in OBSERVATIONS if o.key == key)
    seen = observation.ask(reader, STUDY)
    assert seen is not None and not seen.holds


def test_every_question_has_an_opposite_and_a_place() -> None:
    keys = {o.key for o in OBSERVATIONS}
    assert keys == set(OPPOSITES) | {"accumulation"} == set(published("robustness")["places"])
    assert set(published("robustness")["values"]) <= keys


def test_cells_worked_out_by_hand() -> None:
    def by_seed(one: Job, reading: str, t: int) -> float:
        return 50.0 + 10 * one.seed + t

    reader = Reader(made_table(by_seed, exact=80.0))
    cell = reader.cell(STUDY, "vgg5_t10", LARGE)
    assert cell == Cell(80.0, 90.0, pytest.approx(250**0.5), 5, 200)
    assert cell.drop == pytest.approx(-12.5)
    assert reader.cell(STUDY, "vgg5_t10", LARGE, timesteps=3).hardware == 83.0
    assert reader.cell(STUDY, "vgg5_t10", SMALL).chips == 2
    assert reader.cell(STUDY, "vgg5_t30", LARGE).spread == 0.0
    longer = reader.cell(STUDY, "vgg5_conversion", LARGE, timesteps=100)
    assert (longer.hardware, longer.chips) == (160.0, 1) and reader.cell(STUDY, "vgg5_conversion", LARGE).chips == 2
    assert Cell(98.0, 19.9, 0.0, 1, 200).usable is False and Cell(98.0, 20.0, 0.0, 1, 200).usable
    edge = 1.959963985 * (10 * 90 / 200) ** 0.5
    assert (
        Cell(98.0, 10 + edge - 0.01, 0.0, 1, 200).at_chance and not Cell(98.0, 10 + edge + 0.01, 0.0, 1, 200).at_chance
    )
    pair = Cell(80.0, 40.0, 0.0, 1, 100), Cell(80.0, 64.0, 0.0, 1, 100)
    first, second = 100 * (40 * 60 / 100) ** 0.5 / 80, 100 * (64 * 36 / 100) ** 0.5 / 80
    assert margin(*pair) == pytest.approx(1.959963985 * (first**2 + second**2) ** 0.5, rel=1e-9)


def test_targets_on_a_table(given_table: Callable[[Table], None]) -> None:
    targets = {target.id: target for target in robustness.targets()}
    assert all(not target.quick for target in targets.values())
    given_table(made_table(as_published))
    verdicts = {name: verdict(target, target.run()) for name, target in targets.items()}
    assert verdicts.pop("robustness.table") == REPRODUCED
    assert set(verdicts.values()) == {TREND_ONLY}, verdicts
    given_table(made_table(all_alike, growth=0.9))
    measured = {name: target.run() for name, target in targets.items()}
    assert measured["robustness.table"].value == 2
    assert verdict(targets["robustness.table"], measured["robustness.table"]) == NOT_REPRODUCED
    assert measured["robustness.causes"].value == pytest.approx(55.0)
    beside = {row.what: row.ours for row in measured["robustness.table"].beside}
    assert beside["islped-2022, gain off, 64x64, VGG5 surrogate gradient T=10: hardware"] == 98.0
    assert len(beside) == len(measured["robustness.table"].beside), "two rows of one name"


def test_published_drops_are_those_of_the_tables() -> None:
    """Relative drops worked out from the printed accuracies."""
    printed = {
        "vgg5_ann": (99.34, 99.20), "vgg5_conversion": (99.26, 99.07), "vgg5": (99.32, 98.52),
        "vgg5_bntt": (99.45, 11.35), "vgg9_ann": (91.90, 86.29), "vgg9": (86.70, 14.94),
    }  # fmt: skip
    drops = published("robustness")["drops"]
    for name, (before, after) in printed.items():
        assert drops[name][64] == pytest.approx(100 * (before - after) / before, abs=0.06), name
    values = published("robustness")["values"]
    assert values["surrogate-vgg9"] == pytest.approx(drops["vgg9"][64] - drops["vgg9_ann"][64])
    assert values["bntt"] == pytest.approx(drops["vgg5_bntt"][64] - drops["vgg5"][64])
    assert values["array-size"] == pytest.approx(drops["vgg9_ann"][64] - drops["vgg9_ann"][32])
