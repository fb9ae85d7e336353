"""Arrays solved read by read: whole arrays, each network solved once, and what linear arrays and closed forms say."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from hwsim.kernels import analog_solved
from hwsim.kernels.analog import Analog, events_of, layer_psums, plain_currents, plain_patch, plain_psums
from hwsim.kernels.analog_solved import OHMIC, Memory, Solve, array_currents, total_currents
from hwsim.kernels.analog_tile import TileConfig, TileState, call_kernel
from hwsim.physics.nodal import node_voltages
from tests.analog.cases import KINDS, NONE, Layer, random_layer

NO_WIRES = (0.0, 0.0, 0.0, 0.0)
OF_EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=["gated", "sinh", "gated cubic"])
CONFIG = TileConfig(1, 2, 1, 1, adcs=2, sample_hold=False, zero_vectors="skipped", line_bits=8)
Kind = tuple[bool, str]


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """An empty one for each test."""
    made = Memory(1 << 24)
    monkeypatch.setattr(analog_solved, "MEMORY", made)
    return made


def layers(seed: int, number: int, kind: Kind) -> list[Layer]:
    """Layers that are solved per read in this way."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < number:
        layer = random_layer(rng, solved=1.0)
        if (solve_of(layer).gated, solve_of(layer).law) == kind:
            found.append(layer)
    return found


def solve_of(layer: Layer) -> Solve:
    assert layer.analog.solve is not None
    return layer.analog.solve


def change(analog: Analog, **changes: object) -> Analog:
    """With other values in ``solve``."""
    assert analog.solve is not None
    return analog._replace(solve=analog.solve._replace(**changes))  # type: ignore[arg-type]


def psums(layer: Layer, plain: bool = False) -> np.ndarray:
    out = np.full((len(layer.x), layer.pixels, layer.shape.filters), np.nan)
    compute = plain_psums if plain else layer_psums
    compute(layer.analog, *layer.events, layer.shape, layer.planes, out, layer.keys)
    return out


def tile_psums(layer: Layer) -> np.ndarray:
    """The same, tile call by tile call."""
    total = np.zeros((len(layer.x), layer.pixels, layer.shape.filters))
    for t in range(len(layer.x)):
        for p0 in range(0, layer.pixels, 2):
            p1 = min(p0 + 2, layer.pixels)
            for pe in layer.pes:
                result = call_kernel(layer.work(pe, t, p0, p1), CONFIG, layer.analog, TileState())
                total[t, p0:p1, pe[1] : pe[2]] += result.psum
    return total


def random_rows(layer: Layer, rng: np.random.Generator) -> tuple[int, np.ndarray]:
    """A block and some of its rows."""
    block = int(rng.integers(0, layer.analog.blocks))
    rows = np.flatnonzero(layer.analog.block_of == block)
    return block, np.sort(rng.choice(rows, int(rng.integers(1, len(rows) + 1)), replace=False))


def place(layer: Layer, block: int, q: int) -> tuple[int, int, int]:
    """(array, slice, column) of a converted column, written out."""
    group, m = divmod(q, layer.shape.filters)
    part, polarity = divmod(group, layer.analog.polarities)
    column_block, within = divmod(m, solve_of(layer).columns // layer.analog.polarities)
    return column_block * layer.analog.blocks + block, part, within * layer.analog.polarities + polarity


def law_of(kind: str, v: np.ndarray, v0: float) -> np.ndarray:
    """Current over conductance."""
    return {"sinh": lambda: v0 * np.sinh(v / v0), "cubic": lambda: v + v**3 / v0**2, OHMIC: lambda: v}[kind]()


@OF_EACH_KIND
def test_kernel_equals_plain_numpy(kind: Kind) -> None:
    found = 0
    for layer in layers(2, 8, kind):
        fast, slow = psums(layer), psums(layer, plain=True)
        assert np.array_equal(fast, slow)
        found += bool(np.any(fast))
    assert found > 4


@OF_EACH_KIND
def test_without_wires_currents_are_sums_of_cell_currents(kind: Kind) -> None:
    rng = np.random.default_rng(6)
    for layer in layers(6, 6, kind):
        solve, (block, rows) = solve_of(layer), random_rows(layer, rng)
        found = plain_currents(change(layer.analog, resistances=NO_WIRES), rows, block)
        factor = float(law_of(solve.law, np.float64(solve.volts), solve.v0)) / solve.volts
        assert solve.law == OHMIC or factor > 1.2
        for q in range(found.size):
            array, part, column = place(layer, block, q)
            cells = solve.stored[array, part, layer.analog.position_of[rows], column]
            expected = cells.sum() * factor * solve.lsb[block, q]
            assert found[q] == pytest.approx(expected, rel=1e-9, abs=layer.analog.current_grid)


@OF_EACH_KIND
def test_cells_of_large_v0_are_linear(kind: Kind) -> None:
    """Whole arrays, unused columns and rows included, with the silent rows of gated ones open, solved node by node."""
    rng = np.random.default_rng(12)
    for layer in layers(13, 6, kind):
        solve, (block, rows) = solve_of(layer), random_rows(layer, rng)
        found = plain_currents(change(layer.analog, v0=1e6), rows, block)
        on = np.zeros(solve.stored.shape[2])
        on[layer.analog.position_of[rows]] = 1.0
        for q in range(found.size):
            array, part, column = place(layer, block, q)
            cells = solve.stored[array, part] * (on[:, None] if solve.gated else 1.0)
            current = node_voltages(cells, on, *solve.resistances).currents[column]
            expected = current * solve.lsb[block, q]
            assert found[q] == pytest.approx(expected, rel=1e-6, abs=2 * layer.analog.current_grid)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[1] != OHMIC], ids=["sinh", "gated cubic"])
def test_nonlinear_cells_obey_their_law(kind: Kind) -> None:
    """Behind one driver per row and nothing else, a row's voltage u solves V - u = driver x sum of its currents."""
    rng = np.random.default_rng(7)
    for layer in layers(7, 6, kind):
        solve, (block, rows) = solve_of(layer), random_rows(layer, rng)
        driver = 2e4
        found = plain_currents(change(layer.analog, resistances=(driver, 0.0, 0.0, 0.0)), rows, block)
        for q in range(found.size):
            array, part, column = place(layer, block, q)
            total = 0.0
            for cells in solve.stored[array, part, layer.analog.position_of[rows]]:
                low, high = 0.0, solve.volts
                for _ in range(80):
                    u = 0.5 * (low + high)
                    current = cells.sum() * law_of(solve.law, np.float64(u), solve.v0)
                    low, high = (u, high) if u + driver * current < solve.volts else (low, u)
                total += cells[column] * law_of(solve.law, np.float64(u), solve.v0) / solve.volts
            expected = total * solve.lsb[block, q]
            assert found[q] == pytest.approx(expected, rel=1e-9, abs=layer.analog.current_grid)


@OF_EACH_KIND
def test_nothing_is_solved_twice(kind: Kind, memory: Memory) -> None:
    """Not in the tile calls after the network, with other converters, or by the witness."""
    reads = 0
    for layer in layers(8, 5, kind):
        made = memory.made
        expected = psums(layer)
        reads += memory.made - made
        made = memory.made
        assert np.array_equal(tile_psums(layer), expected)
        psums(layer, plain=True)
        scale = change(layer.analog, lsb=solve_of(layer).lsb * 3.0, stored=solve_of(layer).stored.copy())
        layer.analog = scale._replace(codes=5)
        psums(layer)
        assert memory.made == made
    assert reads > 20


@OF_EACH_KIND
def test_what_is_known_belongs_to_its_network(kind: Kind) -> None:
    """The same active rows of other cells, wires, laws, voltages are another network."""
    layer = next(layer for layer in layers(9, 20, kind) if layer.analog.blocks > 1)
    solve, rows = solve_of(layer), np.arange(1, dtype=np.int64)
    others = [solve, solve._replace(resistances=(2e3, 5.0, 10.0, 1e3))]
    if solve.law != OHMIC:
        others += [solve._replace(gated=not solve.gated), solve._replace(volts=0.2), solve._replace(v0=0.5),
                   solve._replace(law={"sinh": "cubic", "cubic": "sinh"}[solve.law])]  # fmt: skip
    found = [array_currents(other, 0, 0, [rows]).tobytes() for other in others]
    found += [array_currents(solve, 1, 0, [rows]).tobytes(), array_currents(solve, 0, 0, [rows + 1]).tobytes()]
    assert len(set(found)) == len(found)


def test_memory_keeps_within_its_limit(memory: Memory) -> None:
    """And results do not depend on what it holds."""
    layer = max(layers(10, 12, KINDS[0]), key=lambda layer: np.count_nonzero(layer.x))
    expected = psums(layer)
    assert memory.made > 5 and memory.bytes > 0
    memory.limit_bytes = 2 * memory.bytes // memory.made
    memory.keep("one more", np.zeros(4))
    assert memory.get("one more") is not None and memory.bytes <= memory.limit_bytes
    assert np.array_equal(psums(layer), expected) and memory.bytes <= memory.limit_bytes


def test_memory_of_several_threads(memory: Memory) -> None:
    def keep(seed: int) -> None:
        for key in np.random.default_rng(seed).permutation(300).tolist():
            memory.keep(key, np.full(2, float(key)))

    threads = [threading.Thread(target=keep, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.made == 300 and all(memory.get(key)[0] == key for key in range(300))  # type: ignore[index]


@OF_EACH_KIND
def test_many_reads_are_solved_like_one(kind: Kind, memory: Memory) -> None:
    """Threads share the work, results do not depend on how."""
    layer, rng = layers(11, 1, kind)[0], np.random.default_rng(1)
    solve = solve_of(layer)._replace(stored=rng.uniform(5e-6, 5e-5, (1, 1, 9, 9)), names=(b"nine",))
    sets = [np.flatnonzero(bits) for bits in np.unique(rng.random((40, 9)) < 0.4, axis=0) if bits.any()]
    together = array_currents(solve, 0, 0, sets)
    assert memory.made == len(sets) > 30
    for position, currents in zip(sets, together, strict=True):
        alone = analog_solved._solved(solve, solve.stored[0, 0], position)
        assert np.array_equal(alone, currents)


@OF_EACH_KIND
def test_total_currents(kind: Kind) -> None:
    for layer in layers(14, 5, kind):
        analog, solve = layer.analog, solve_of(layer)
        expected = np.zeros((len(solve.stored), solve.slices, solve.columns))
        for x in layer.x:
            for pixel in range(layer.pixels):
                patch = plain_patch(x, layer.shape, pixel)
                for plane in range(layer.planes):
                    active = np.flatnonzero(patch >> plane & 1)
                    for block in np.unique(analog.block_of[active]).tolist():
                        position = np.sort(analog.position_of[active[analog.block_of[active] == block]])
                        for array in range(block, len(expected), analog.blocks):
                            for part in range(solve.slices):
                                expected[array, part] += array_currents(solve, array, part, [position.astype(int)])[0]
        bare = solve._replace(lsb=NONE)
        events = events_of(*layer.events)
        found = total_currents(bare, analog.block_of, analog.position_of, events, layer.shape, layer.planes)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
