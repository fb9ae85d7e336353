"""Gains measured with one read or with those of the calibration images, and arrays solved per read in a machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from hwsim.components.registry import load as load_architecture
from hwsim.errors import SpecError
from hwsim.kernels import analog_solved
from hwsim.kernels.analog import plain_patch
from hwsim.machines import prepare
from hwsim.machines.crossbar.programmed import LayerArrays
from hwsim.machines.crossbar.run import Runner
from hwsim.machines.crossbar.tile import shape_of
from hwsim.machines.request import Request, simulated_set
from hwsim.network.engine import accuracy, run_sample
from hwsim.network.numerics import Numerics
from hwsim.physics.gated import active_row_currents
from hwsim.physics.nonlinear import nonlinear_currents
from hwsim.workload import load as load_workload

GATED = "options.silent_rows=gated"
MILO = ("crossbar.device=rram-milo", "options.cell=device")
CALIBRATED = "options.gain_reads=calibration"


def runner(*overrides: str, depth: str = "kernel") -> Runner:
    request = Request(depth=depth, force=True)
    made = prepare(load_architecture("spikesim", overrides), load_workload("digits_mlp"), request)
    assert isinstance(made, Runner)
    return made


@cache
def share(*overrides: str) -> float:
    """Accuracy over 60 images."""
    made = runner(*overrides)
    assert made.frozen is not None
    return accuracy(made.frozen, simulated_set(made.workload), 60, made.timesteps).fraction


def calibration_reads(made: Runner, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """(block, its active rows) of every read of a layer with an active row, image after image."""
    item = made.network.placed[name]
    assert made.ideal is not None
    for image in range(4):
        spikes = run_sample(made.ideal, made.calibration, image, made.timesteps)
        for x in spikes.inputs[name]:
            patch = plain_patch(x.reshape(len(x), -1).T.astype(np.int64), shape_of(item), 0)
            for plane in range(item.planes):
                on = patch >> plane & 1
                for block in range(item.blocks):
                    rows = np.flatnonzero(on & (item.block_of == block))
                    if rows.size:
                        yield block, rows


def currents(layer: LayerArrays, cells: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Ampere per volt out of one array, from physics."""
    m = layer.model
    if m.law:
        connected = cells * active[:, None] if m.gated else cells
        law: Any = m.law
        found = nonlinear_currents(connected, active * m.volts, *m.resistances, law=law, v0=m.v0).currents
        return np.asarray(found / m.volts)
    if m.gated:
        return active_row_currents(cells, active, *m.resistances)
    return np.asarray(active @ layer.solved[_same(layer.stored(), cells)])


def _same(arrays: np.ndarray, cells: np.ndarray) -> int:
    return next(number for number, other in enumerate(arrays) if np.array_equal(other, cells))


@pytest.mark.parametrize("overrides", [(CALIBRATED,), (GATED,), (*MILO, CALIBRATED)], ids=["grounded", "gated", "milo"])
def test_calibrated_columns_give_what_they_should_on_average(overrides: tuple[str, ...]) -> None:
    """Sum over the calibration images of current x gain = sum of target conductances, for every column in use."""
    made = runner(*overrides)
    layer = made.network.arrays["fc2"]
    placed, stored = layer.placed, layer.stored()
    wanted, found = np.zeros((2, len(stored), layer.model.columns))
    codes = layer.layout(layer.encoded.codes)
    for block, rows in calibration_reads(made, "fc2"):
        active = np.zeros(layer.model.rows, dtype=bool)
        active[placed.position_of[rows]] = True
        for number in range(block * placed.slices, (block + 1) * placed.slices):
            target = layer.model.device.g_min_S + codes[number] * layer.model.unit_S
            wanted[number] += active @ target
            found[number] += currents(layer, stored[number], active)
    assert placed.column_blocks == 1 and (found > 0).all()
    np.testing.assert_allclose(found * layer.gains[:, 0], wanted, rtol=1e-9)


def test_columns_that_are_not_read_keep_the_gain_of_all_rows() -> None:
    """Inputs of fc1 that are 0 in all calibration images: the gains of its other columns do not change either."""
    usual, made = runner(), runner(CALIBRATED)
    silent = made.network.arrays["fc1"]
    assert silent.reads is not None
    shape, inputs = silent.reads.of("fc1")
    none = [events._replace(first=np.zeros_like(events.first)) for events in inputs]
    silent.reads = silent.reads._replace(key=("none",), of=lambda name: (shape, none))
    assert np.array_equal(silent.gains, usual.network.arrays["fc1"].gains)
    assert not np.array_equal(made.network.arrays["fc2"].gains, usual.network.arrays["fc2"].gains)


def test_gated_arrays_need_gains_of_their_own_reads() -> None:
    """With all rows on a column loses several times what it loses in a usual read: the gain is far too large then."""
    assert share(GATED, "options.gain_reads=all_rows") < 0.4
    assert share(GATED) == share(GATED, CALIBRATED) > 0.75
    assert share() == share("options.gain_reads=all_rows") > 0.75
    assert share(CALIBRATED) > 0.75


def test_gain_off_is_off() -> None:
    layer = runner(CALIBRATED, "options.gain=off").network.arrays["fc2"]
    assert (layer.gains == 1.0).all()


def test_global_gain_is_one_number() -> None:
    calibrated, usual = (
        runner("options.gain=global", f"options.gain_reads={reads}").network.arrays["fc2"].gains
        for reads in ("calibration", "all_rows")
    )
    assert np.ptp(calibrated) == np.ptp(usual) == 0.0 and calibrated.flat[0] != usual.flat[0]


@pytest.mark.parametrize("overrides", [(GATED,), MILO, (*MILO, GATED)], ids=["gated", "milo", "gated milo"])
def test_chip_reads_what_the_network_has_read(overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample on the chip: outputs are compared with the network's at the end, and nothing is solved again."""
    memory = analog_solved.Memory(1 << 24)
    monkeypatch.setattr(analog_solved, "MEMORY", memory)
    made = runner(*overrides)
    made.spikes(0)
    solved = memory.made
    activity = made.run_one(0)
    assert solved > 0 and memory.made == solved
    assert activity.outcomes[0].prediction is not None


def test_runs_repeat_themselves() -> None:
    """With caches on disk and in memory cold, then warm; another chip is another."""
    outputs = [runner(*MILO).run_one(0).outcomes[0].output for _ in range(2)]
    assert np.array_equal(outputs[0], outputs[1])
    other = prepare(load_architecture("spikesim", MILO), load_workload("digits_mlp"), Request(seed=1))
    assert not np.array_equal(other.run_one(0).outcomes[0].output, outputs[0])


def test_depth_process_reads_the_same_arrays() -> None:
    kernel, process = (runner(*MILO, GATED, depth=depth).run_one(1) for depth in ("kernel", "process"))
    assert np.array_equal(kernel.outcomes[0].output, process.outcomes[0].output)
    assert kernel.ticks == process.ticks and kernel.counts == process.counts


def test_law_and_voltage_reach_the_ranges() -> None:
    """They decide currents, so that ranges measured with others are not found in the cache."""
    steps = [
        runner("crossbar.device=rram-milo", *more).network.ranges(None, 0, 0.999, Numerics())["fc1"].tolist()
        for more in ((), (MILO[1],), (MILO[1], "crossbar.read_voltage=0.5 V"))
    ]
    assert steps[0] != steps[1] != steps[2] != steps[0]


def test_linear_cells_are_not_solved() -> None:
    made = runner("options.cell=device")
    assert made.machine.model.law == "" and any("cells of rram are linear" in note for note in made.notes())
    assert not any("linear" in note for note in (*runner().notes(), *runner(*MILO).notes()))
    assert runner(*MILO).machine.model.law == "cubic"


def test_absurd_read_voltage_is_refused() -> None:
    with pytest.raises(SpecError, match=r"crossbar\.read_voltage.*more than 20 times v0 = 4\.6 V of rram-milo"):
        load_architecture("spikesim", (*MILO, "crossbar.read_voltage=100 V"))
    load_architecture("spikesim", (MILO[0], "crossbar.read_voltage=100 V"))
