"""Random small tile calls: every dataflow, format, zero mode, sharing, port width, shared buffer and entry state."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.kernels.call import dense_cycles
from hwsim.kernels.tile import ArrayConfig, TileNeuron, TileState, TileWork
from hwsim.network.neuron import LifParameters
from hwsim.workload.model import Geometry

Case = tuple[TileWork, ArrayConfig, np.ndarray, np.ndarray | None, TileNeuron | None, TileState]
STATIONARY = ("output", "weight", "input")


def pick(rng: np.random.Generator, *choices: Any) -> Any:
    """One of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def geometry(rng: np.random.Generator, share: int) -> Geometry:
    """A linear layer, one over positions, or a small convolution."""
    filters = int(rng.integers(1, 4)) * share if rng.random() < 0.7 else int(rng.integers(1, 10))
    kind = rng.random()
    if kind < 0.2:
        return Geometry(int(rng.integers(1, 30)), 1, 1, filters, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)
    if kind < 0.3:
        positions = int(rng.integers(2, 6))
        return Geometry(int(rng.integers(1, 20)), 1, positions, filters, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, positions)
    while True:
        channels, height, width, rows, columns, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x = (
            int(rng.integers(low, high)) for low, high in
            ((1, 4), (1, 7), (1, 7), (1, 4), (1, 4), (1, 3), (1, 3), (0, 3), (0, 3), (1, 3), (1, 3)))  # fmt: skip
        e = (height + 2 * pad_y - dilation_y * (rows - 1) - 1) // stride_y + 1
        f = (width + 2 * pad_x - dilation_x * (columns - 1) - 1) // stride_x + 1
        if e > 0 and f > 0 and e * f * channels * rows * columns <= 400:
            return Geometry(channels, height, width, filters, rows, columns, stride_y, stride_x, pad_y, pad_x,
                            dilation_y, dilation_x, 1, e, f)  # fmt: skip


def part(rng: np.random.Generator, size: int, unit: int = 1) -> tuple[int, int]:
    """A range inside 0:size that begins at a multiple of ``unit`` and ends at one or at ``size``; often the whole."""
    if rng.random() < 0.6:
        return 0, size
    units = -(-size // unit)
    first = int(rng.integers(0, units))
    last = int(rng.integers(first + 1, units + 1))
    return first * unit, min(last * unit, size)


def config(rng: np.random.Generator, stationary: str, share: int, mac: bool, weightless: bool) -> ArrayConfig:
    """An array of at most 4 x 4 PEs in which ``share`` channels meet."""
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    if stationary == "input":
        rows = share * -(-rows // share)
    else:
        columns = share * -(-columns // share)
    zeros = ("ignored", "gated", "skipped")
    return ArrayConfig(
        rows, columns, spad_slice=pick(rng, 1, 3, 9), line_bits=pick(rng, 8, 16, 64, 256),
        read_ports=pick(rng, 1, 1, 2), write_ports=pick(rng, 1, 1, 3), psum_bits=pick(rng, 8, 16, 24),
        weight_bits=pick(rng, 4, 8, 9), membrane_bits=pick(rng, 8, 12), lif_sharing=share,
        fold_overlap=bool(rng.random() < 0.3), zero_spikes=pick(rng, *zeros),
        zero_weights="ignored" if weightless else pick(rng, *zeros),
        timesteps_per_fold=int(rng.integers(1, 5)), mac=mac,
        buffer_of=pick(rng, (0, 1, 2), (0, 1, 2), (0, 0, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)),
    )  # fmt: skip


def work(rng: np.random.Generator, g: Geometry, stationary: str, share: int, mac: bool) -> TileWork:
    """Ranges and formats; k-parts take the first, the last, both or neither end of the reduction."""
    m0, m1 = part(rng, g.M, share)
    p0, p1 = part(rng, g.P)
    k0, k1 = part(rng, g.K)
    constant = bool(rng.random() < 0.3)
    bits = pick(rng, 1, 1, 2, 3)
    return TileWork(
        stationary, g, m0, m1, p0, p1, k0, k1, first_k=k0 == 0 or bool(rng.random() < 0.2),
        last_k=k1 == g.K or bool(rng.random() < 0.2), timesteps=int(rng.integers(1, 6)), planes=1 if mac else bits,
        word_bits=bits, constant_input=constant, output_bits=pick(rng, 1, 1, 3, 8, 0),
        membrane_in=bool(rng.random() < 0.5), membrane_out=bool(rng.random() < 0.5),
        neuron=pick(rng, "lif", "lif", "lif", "if", "relu", "none"), signed_input=bool(bits > 1 and rng.random() < 0.3),
        hold_current=bool(stationary == "output" and constant and rng.random() < 0.5),
    )  # fmt: skip


def inputs(rng: np.random.Generator, job: TileWork, bits: int) -> np.ndarray:
    """Input words, often sparse, sometimes empty."""
    g = job.geometry
    times = 1 if job.constant_input and rng.random() < 0.7 else job.timesteps
    size = (times, g.C, g.H, g.W)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if job.signed_input else (0, 2**bits)
    x = rng.integers(low, high, size) * (rng.random(size) < pick(rng, 0.0, 0.1, 0.3, 0.9))
    if job.constant_input:
        x[:] = x[:1]
    return x.astype(np.int16 if job.signed_input else pick(rng, np.uint8, np.uint16))


def weights(rng: np.random.Generator, g: Geometry) -> np.ndarray:
    """Integer weights of 8 or more bits, or float weights on a grid; many zeros."""
    sparse = rng.random((g.M, g.K)) < pick(rng, 0.05, 0.3, 1.0)
    kind = pick(rng, "int8", "int32", "wide", "float")
    if kind == "float":
        return rng.integers(-(2**20), 2**20, (g.M, g.K)) * 2.0**-22 * sparse
    high = 2000 if kind == "wide" else 127
    matrix = rng.integers(-high, high + 1, (g.M, g.K)) * sparse
    matrix = matrix.astype(np.int8 if kind == "int8" else np.int32)
    return np.asfortranarray(matrix) if rng.random() < 0.5 else matrix


def neuron(rng: np.random.Generator, job: TileWork, share: int, scale: float) -> TileNeuron:
    """Parameters under which some neurons fire and some do not."""
    filters = job.m1 - job.m0
    step = 2.0**-20
    graded = bool(rng.random() < 0.2)
    lif = LifParameters(
        leak=1.0 if job.neuron == "if" else 0.5, shift=pick(rng, -1, -1, 2), current_step=step,
        compare_ge=bool(rng.random() < 0.5), reset_subtract=bool(rng.random() < 0.5), max_spikes=3 if graded else 1,
        signed=bool(graded and rng.random() < 0.5), quant_step=pick(rng, 0.0, 1 / 32), quant_low=-128.0,
        quant_high=127.0, quant_rounding=0, quant_saturate=True, share=share,
    )  # fmt: skip
    rows = [pick(rng, 1, job.timesteps) for _ in range(3)]
    return TileNeuron(
        rng.uniform(0.2, 1.0, (rows[0], filters)) * scale,
        np.rint(rng.normal(0, 0.1, (rows[0], filters)) / step) * step,
        np.rint(rng.uniform(0.2, 1.0, (rows[2], filters)) / step) * step, lif, step, pick(rng, 0.0, 0.25),
        relu_scale=0.25, relu_high=15.0,
    )  # fmt: skip


def state(rng: np.random.Generator, job: TileWork, share: int, matrix: np.ndarray | None) -> TileState:
    """Entry state: LIF backlog, membranes, partial sums."""
    filters, pixels = job.m1 - job.m0, job.p1 - job.p0
    backlog = pick(rng, 0, 0, int(rng.integers(1, 60)))
    if matrix is None:
        return TileState(backlog)
    psum = None
    if not job.first_k:
        psum = rng.integers(-300, 300, (job.timesteps, pixels, filters))
        if job.hold_current:
            psum[:] = psum[:1]
        psum = psum.astype(np.int32) if matrix.dtype.kind == "i" else psum * 2.0**-22
    membrane = None
    if job.neuron in ("lif", "if") and rng.random() < 0.6:
        membrane = rng.integers(-64, 64, (pixels, -(-filters // share))) / 32
    return TileState(backlog, membrane, psum)


def random_case(rng: np.random.Generator, stationary: str) -> Case:
    """One call; the weights are unknown in one of five."""
    share = pick(rng, 1, 1, 2, 3)
    mac, weightless = bool(rng.random() < 0.15), bool(rng.random() < 0.2)
    g = geometry(rng, share)
    job = work(rng, g, stationary, share, mac)
    array = config(rng, stationary, share, mac, weightless)
    x = inputs(rng, job, job.word_bits)
    matrix = None if weightless else weights(rng, g)
    unit = None
    if matrix is not None and job.last_k:
        unit = neuron(rng, job, share, 0.5 / max(1.0, float(np.abs(matrix).max(initial=0)) * g.K**0.5))
    return job, array, x, matrix, unit, state(rng, job, share, matrix)


def small_cases(seed: int, stationary: str, count: int, cycles: int) -> list[Case]:
    """``count`` random calls of at most ``cycles`` cycles (if nothing is skipped, stalls included)."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    while len(cases) < count:
        case = random_case(rng, stationary)
        if dense_cycles(case[0], case[1]) <= cycles:
            cases.append(case)
    return cases
