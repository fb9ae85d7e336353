"""Laws of whole layers: closed forms of cycles and accesses, conservation over tiles, the function against NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.kernels.tile import UNLIMITED, ArrayConfig, TileNeuron, TileState, TileWork, call_kernel, pack_weight
from hwsim.network.neuron import LifParameters
from hwsim.workload.model import Geometry

STATIONARY = ("output", "weight", "input")
SATA = ArrayConfig(rows=16, columns=8, read_ports=UNLIMITED, write_ports=UNLIMITED)


def convolution(channels: int, size: int, filters: int, pad: int = 1, stride: int = 1, dilation: int = 1) -> Geometry:
    out = (size + 2 * pad - 2 * dilation - 1) // stride + 1
    return Geometry(channels, size, size, filters, 3, 3, stride, stride, pad, pad, dilation, dilation, 1, out, out)


def linear(inputs: int, outputs: int) -> Geometry:
    return Geometry(inputs, 1, 1, outputs, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)


def whole(stationary: str, g: Geometry, **changes: object) -> TileWork:
    return TileWork(stationary, g, 0, g.M, 0, g.P, 0, g.K, **changes)  # type: ignore[arg-type]


def counts_only(work: TileWork, config: ArrayConfig, x: np.ndarray | None = None):
    g = work.geometry
    if x is None:
        x = np.zeros((work.timesteps, g.C, g.H, g.W), dtype=np.uint8)
    return call_kernel(work, config, x, None, None, TileState())


@pytest.mark.parametrize(
    ("g", "printed"),
    [
        (convolution(3, 32, 64, pad=0), (22_343, 15_007, 23_051)),
        (convolution(128, 8, 128, pad=0), (56_351, 85_247, 59_759)),
        (linear(256, 40), (1_389, 3_119, 1_247)),
    ],
)
def test_cycles_of_scale_sim(g: Geometry, printed: tuple[int, int, int]) -> None:
    """Total cycles that SCALE-Sim v3 prints (the index of the last write, so one less) on 16 x 8 PEs.

    Samajdar et al., ISPASS 2020; the same closed forms as here: folds x (K + Ra + Ca - 2) and so on.
    """
    found = tuple(counts_only(whole(stationary, g, neuron="none"), SATA).cycles - 1 for stationary in STATIONARY)
    assert found == printed


@pytest.mark.parametrize("timesteps", [1, 3, 4, 6])
@pytest.mark.parametrize("per_fold", [1, 4])
@pytest.mark.parametrize("planes", [1, 8])
def test_cycles_of_the_dataflows(timesteps: int, per_fold: int, planes: int) -> None:
    """Fold cycles with b timesteps and q planes: b q K + Ra + Ca - 2; 2 Ra + Ca + b P - 2; 2 Ra + Ca + b M - 2."""
    g, rows, columns = convolution(5, 7, 19), 16, 8
    passes = [min(per_fold, timesteps - t) for t in range(0, timesteps, per_fold)]
    across = {"output": -(-g.M // columns) * -(-g.P // rows), "weight": -(-g.M // columns) * -(-planes * g.K // rows),
              "input": -(-g.P // columns) * -(-planes * g.K // rows)}  # fmt: skip
    stream = {"output": planes * g.K, "weight": g.P, "input": g.M}
    for stationary in STATIONARY:
        work = whole(stationary, g, neuron="none", timesteps=timesteps, planes=planes, word_bits=planes)
        extra = rows + columns - 2 + (0 if stationary == "output" else rows)
        expected = across[stationary] * sum(b * stream[stationary] + extra for b in passes)
        assert counts_only(work, replace(SATA, timesteps_per_fold=per_fold)).cycles == expected


def test_psums_of_a_layer() -> None:
    """c(K, Ra) writes and c(K, Ra) - 1 reads per output, one line per word where a line holds one psum."""
    g = convolution(5, 7, 19)
    config = replace(SATA, line_bits=16)
    for stationary in ("weight", "input"):
        counts = counts_only(whole(stationary, g), config).counts
        folds = -(-g.K // 16)
        assert counts["psum_line_writes"] == folds * g.P * g.M
        assert counts["psum_line_reads"] == (folds - 1) * g.P * g.M
    counts = counts_only(whole("output", g), config).counts
    assert counts["psum_line_writes"] == counts["psum_line_reads"] == 0


def test_weight_lines_of_a_layer() -> None:
    """Lines of one weight: K M c(P, Ra) c(T, b) when outputs stay, K M per pass when weights stay."""
    g = convolution(5, 7, 19)
    config = replace(SATA, line_bits=8, timesteps_per_fold=4)
    assert counts_only(whole("output", g, timesteps=6), config).counts["weight_lines"] == g.K * g.M * 4 * 2
    assert counts_only(whole("weight", g, timesteps=6), config).counts["weight_lines"] == g.K * g.M * 2
    assert counts_only(whole("input", g, timesteps=6), config).counts["weight_lines"] == g.K * g.M * 7 * 2


def test_input_lines_by_hand() -> None:
    """One channel of 4 x 8 one-bit words in lines of 8 bits (a row each), 3 x 3 kernel, padding 1, 8 pixels per fold.

    Output row 0 reads rows 0 1 (row -1 is padding), rows 1 and 2 read three, row 3 reads two: 10 lines. Two filter
    folds read them twice. In lines of 16 bits rows 0 1 and 2 3 share a line: 1 + 2 + 2 + 1.
    """
    g = Geometry(1, 4, 8, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4, 8)
    config = ArrayConfig(rows=8, columns=1, line_bits=8)
    assert counts_only(whole("output", g), config).counts["input_lines"] == 2 * 10
    assert counts_only(whole("output", g), replace(config, line_bits=16)).counts["input_lines"] == 2 * 6


def test_input_line_register_goes_back() -> None:
    """Two channels of one line each, 1 x 1 kernel, two output rows per fold: the walk takes channel after channel, rows
    inside, so each line is fetched once; with the kernel's two rows outside the rows, lines 0 1 1 2 are 3 accesses per
    channel."""
    g = Geometry(2, 2, 8, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 2, 8)
    config = ArrayConfig(rows=16, columns=1, line_bits=8)
    assert counts_only(whole("output", g), config).counts["input_lines"] == 4
    g = Geometry(2, 3, 8, 1, 2, 1, 1, 1, 0, 0, 1, 1, 1, 2, 8)
    assert counts_only(whole("output", g), config).counts["input_lines"] == 2 * 3


def unfolded(x: np.ndarray, g: Geometry) -> np.ndarray:
    """[T, P, K] inputs under the kernel, K in the order (c, r, s), zero in the padding."""
    padded = np.zeros((len(x), g.C, g.H + 2 * g.pad_y, g.W + 2 * g.pad_x), dtype=np.int64)
    padded[:, :, g.pad_y : g.pad_y + g.H, g.pad_x : g.pad_x + g.W] = x
    rows = np.arange(g.E)[:, None] * g.stride_y + np.arange(g.R) * g.dilation_y
    columns = np.arange(g.F)[:, None] * g.stride_x + np.arange(g.S) * g.dilation_x
    patches = padded[:, :, rows[:, :, None, None], columns[None, None]]  # T C E R F S
    return patches.transpose(0, 2, 4, 1, 3, 5).reshape(len(x), g.P, g.K)


LAYERS = [
    convolution(4, 6, 7),
    convolution(3, 9, 5, pad=0, stride=2),
    convolution(2, 8, 9, pad=2, dilation=2),
    linear(50, 11),
]


@pytest.mark.parametrize("g", LAYERS)
@pytest.mark.parametrize("kind", ["int8", "float"])
def test_function_and_operations_against_numpy(g: Geometry, kind: str) -> None:
    """Currents are the matrix product; every 1 under the kernel is a synaptic operation of each filter."""
    rng = np.random.default_rng(g.K)
    x = (rng.random((3, g.C, g.H, g.W)) < 0.3).astype(np.uint8)
    weight = rng.integers(-127, 128, (g.M, g.K))
    weight = pack_weight(weight) if kind == "int8" else weight / 1024
    unit = TileNeuron(np.ones((1, g.M)), np.zeros((1, g.M)), np.ones((1, g.M)),
                      LifParameters(1, -1, 1, False, False, 1, False, 0, 0, 0, 0, True, 1), 2.0**-20)  # fmt: skip
    patches = unfolded(x, g)
    for stationary in STATIONARY:
        work = whole(stationary, g, timesteps=3, neuron="none", output_bits=16)
        result = call_kernel(work, SATA, x, weight, unit, TileState())
        assert np.array_equal(result.outputs, patches @ weight.T.astype(np.float64))
        assert result.operations_per_timestep.tolist() == (patches.sum(axis=(1, 2)) * g.M).tolist()
        counted = counts_only(work, SATA, x)
        assert counted.counts == result.counts
        assert counted.operations_per_timestep.tolist() == result.operations_per_timestep.tolist()


@pytest.mark.parametrize("stationary", STATIONARY)
def test_conservation_over_tiles(stationary: str) -> None:
    """A layer cut into tiles of filters, pixels and reduction: same outputs, every synaptic operation in one tile."""
    g, rng = convolution(4, 6, 8), np.random.default_rng(1)
    x = (rng.random((4, g.C, g.H, g.W)) < 0.3).astype(np.uint8)
    weight = rng.integers(-9, 10, (g.M, g.K)).astype(np.int8)
    lif = LifParameters(0.5, -1, 1.0, False, True, 1, False, 0, 0, 0, 0, True, 1)
    config = replace(SATA, timesteps_per_fold=3)

    def unit(m0: int, m1: int) -> TileNeuron:
        return TileNeuron(np.ones((1, m1 - m0)), np.zeros((1, m1 - m0)), np.full((1, m1 - m0), 9.0), lif, 1.0)

    one = call_kernel(whole(stationary, g, timesteps=4), config, x, weight, unit(0, g.M), TileState())
    outputs, operations = np.zeros_like(one.outputs), 0
    for m0, m1 in ((0, 3), (3, 8)):
        for p0, p1 in ((0, 10), (10, 36)):
            state = TileState()
            for k0, k1 in ((0, 7), (7, 20), (20, 36)):
                work = TileWork(stationary, g, m0, m1, p0, p1, k0, k1, k0 == 0, k1 == g.K, timesteps=4)  # type: ignore[arg-type]
                result = call_kernel(work, config, x, weight, unit(m0, m1) if k1 == g.K else None, state)
                operations += result.counts["synaptic_operations"]
                state = result.state
            outputs[:, p0:p1, m0:m1] = result.outputs
    assert np.array_equal(outputs, one.outputs)
    assert one.outputs is not None and one.outputs.any() and not one.outputs.all()
    assert operations == one.counts["synaptic_operations"]


def test_gating_saves_no_access() -> None:
    """With gating, cycles and line accesses do not depend on the density of spikes; accumulates do."""
    g, rng = convolution(4, 6, 8), np.random.default_rng(2)
    for stationary in STATIONARY:
        sparse, dense = (counts_only(whole(stationary, g), SATA, (rng.random((1, 4, 6, 6)) < d).astype(np.uint8))
                         for d in (0.1, 0.9))  # fmt: skip
        assert sparse.cycles == dense.cycles
        assert {k: v for k, v in sparse.counts.items() if k.endswith("lines") or "line_" in k} == {
            k: v for k, v in dense.counts.items() if k.endswith("lines") or "line_" in k}  # fmt: skip
        assert sparse.counts["accumulates"] < dense.counts["accumulates"]


def test_wide_weights_stay_exact() -> None:
    """Weights beyond int8 take the float64 path; 16-bit inputs times int8 weights would overflow int32 here."""
    g = linear(3000, 2)
    weight = np.full((2, 3000), 127, dtype=np.int8)
    x = np.full((1, 3000, 1, 1), 65535, dtype=np.uint16)
    unit = TileNeuron(np.ones((1, 2)), np.zeros((1, 2)), np.ones((1, 2)),
                      LifParameters(1, -1, 1, False, False, 1, False, 0, 0, 0, 0, True, 1), 1.0)  # fmt: skip
    work = whole("output", g, neuron="none", planes=16, word_bits=16)
    assert call_kernel(work, SATA, x, weight, unit, TileState()).outputs[0, 0, 0] == 127 * 65535 * 3000
    wide = weight.astype(np.int32) * 100
    assert call_kernel(work, SATA, x, wide, unit, TileState()).outputs[0, 0, 0] == 12700 * 65535 * 3000


@pytest.mark.parametrize(("m0", "columns"), [(1, 8), (0, 7)])
def test_channels_that_share_a_unit_must_meet(m0: int, columns: int) -> None:
    work = replace(whole("output", linear(8, 8)), m0=m0)
    with pytest.raises(AssertionError, match="must meet"):
        counts_only(work, replace(SATA, lif_sharing=2, columns=columns))
