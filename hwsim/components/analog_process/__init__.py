"""The analog tile call at depth ``process``: a SimPy process per row driver, array, ADC with its mux, combiner.

The slow witness of ``hwsim.kernels.analog_tile.call_kernel``: voltages, currents and codes are messages whose latencies
are the ticks of driving, reading, converting and combining; what is counted is counted where it happens.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from hwsim.components.analog_process.combiner import Combiner, Output
from hwsim.components.analog_process.parts import Adc, Array, RowDriver
from hwsim.components.analog_process.vectors import Vectors
from hwsim.components.analog_process.wiring import Bench
from hwsim.kernels.analog import Analog
from hwsim.kernels.analog_tile import (
    COUNTS,
    TileConfig,
    TileResult,
    TileState,
    TileWork,
    call_kernel,
    check_work,
    columns_in_use,
)

__all__ = ["SECONDS_PER_READ", "AnalogTile", "call_process", "estimate_process_seconds"]

SECONDS_PER_ROW = 1.5e-5
"""Wall time of one row driver for one vector on the machine on which this was written; for estimates only."""

SECONDS_PER_CONVERSION = 2.5e-5
"""Wall time of one conversion, its current and its code."""

SECONDS_PER_READ = 64 * (SECONDS_PER_ROW + SECONDS_PER_CONVERSION)
"""Wall time of one read of an array of 64 x 64."""


def call_process(work: TileWork, config: TileConfig, analog: Analog, state: TileState,
                 order: np.random.Generator | None = None) -> TileResult:  # fmt: skip
    """The tile call at depth ``process``; arguments and result as ``call_kernel``.

    ``order`` shuffles the order in which the processes start, which must not change anything.
    """
    check_work(work, config, analog)
    vectors = Vectors(work, config, analog)
    bench = Bench(vectors, state.adc_backlog if config.sample_hold else 0)
    drivers = [
        RowDriver(bench, block, slice_, row)
        for block in vectors.blocks
        for slice_ in range(analog.slices)
        for row in range(len(vectors.rows[block]))
    ]
    arrays = [Array(bench, block, slice_) for block in vectors.blocks for slice_ in range(analog.slices)]
    adcs = [Adc(bench, array, number) for array in arrays for number in range(config.adcs)]
    combiner, output = Combiner(bench), Output(bench)
    parts: list[Any] = [*drivers, *arrays, *adcs, combiner, output]
    starts = [part.run() for part in parts]
    if order is not None:
        starts = [starts[i] for i in order.permutation(len(starts))]
    for start in starts:
        bench.env.process(start)
    bench.env.run()
    counted: list[Any] = [*drivers, *arrays, *adcs, combiner]
    return _result(bench, drivers, adcs, counted, combiner.psum, output.emissions)


def _result(bench: Bench, drivers: list[RowDriver], adcs: list[Adc], counted: list[Any], psum: np.ndarray,
            emissions: list[int]) -> TileResult:  # fmt: skip
    """Everything the parts have counted, added up; parts that go in step must have spent the same time."""
    counts: Counter[str] = Counter()
    for part in counted:
        counts.update(part.counts)
    assert len({(driver.busy, driver.stall, driver.end) for driver in drivers}) == 1, "row drivers are not in step"
    spans: dict[int, tuple[int, int]] = {}
    for adc in adcs:
        if adc.number == 0:
            for vector, span in adc.spans.items():
                assert spans.setdefault(vector, span) == span, "ADCs are not in step"
    end = drivers[0].end
    return TileResult(
        cycles=end,
        emissions=np.array(emissions, dtype=np.int64),
        counts={name: int(counts[name]) for name in COUNTS},
        array_busy=drivers[0].busy,
        array_stall_adc=drivers[0].stall,
        adc_busy=sum(last - first for first, last in spans.values()),
        state=TileState(max(0, max(adc.free for adc in adcs) - end)),
        psum=psum,
    )


def estimate_process_seconds(work: TileWork, config: TileConfig, analog: Analog) -> float:
    """About how long ``call_process`` will take here; too long rather than too short where vectors are skipped."""
    vectors = (work.p1 - work.p0) * work.planes
    rows = int(work.rows_in_block[work.blocks].sum())
    conversions = len(work.blocks) * columns_in_use(work, analog)
    return vectors * analog.slices * (rows * SECONDS_PER_ROW + conversions * SECONDS_PER_CONVERSION)


class AnalogTile:
    """The tile call at both depths, for ``hwsim.testing.agree``."""

    processes = staticmethod(call_process)
    kernel = staticmethod(call_kernel)
