"""Arrays of non-linear cells."""

from __future__ import annotations

import numpy as np
import pytest
from dense_network import MASKS, dense_voltages
from scipy.optimize import root

from hwsim.crossbar import SpecError, effective_conductance, nonlinear_currents
from hwsim.physics import nonlinear

OHM = np.array([900.0, 30.0, 50.0, 400.0])


def current(law, g, v, v0):
    return g * v0 * np.sinh(v / v0) if law == "sinh" else g * (v + v**3 / v0**2)


def case(seed, m, n):
    rng = np.random.default_rng(seed)
    return rng.uniform(1e-5, 3e-4, (m, n)) * (rng.random((m, n)) < 0.9), rng.uniform(-0.3, 0.3, m)


@pytest.mark.parametrize("law", ["sinh", "cubic"])
@pytest.mark.parametrize("mask", MASKS)
def test_satisfies_kirchhoff_and_the_law_of_the_cell(mask, law):
    """The array whose cells are resistors of what was found, v / i, has the voltages that were found."""
    ohm = tuple(np.array(mask) * OHM)
    for seed, (m, n) in enumerate(((4, 5), (5, 3), (1, 4), (4, 1))):
        cells, volts = case(seed, m, n)
        found = nonlinear_currents(cells, volts, *ohm, law=law, v0=0.1)
        np.testing.assert_allclose(found.cells, current(law, cells, found.drops, 0.1), rtol=1e-9, atol=1e-17)
        chord = np.where(cells > 0.0, current(law, 1.0, found.drops, 0.1) / found.drops, 0.0) * cells
        v, u, currents = dense_voltages(chord, volts, *ohm)
        np.testing.assert_allclose(found.drops, v - u, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(found.currents, currents, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("law", ["sinh", "cubic"])
def test_small_voltages_see_a_linear_array(law):
    cells, volts = case(1, 12, 9)
    linear = volts @ effective_conductance(cells, *OHM)
    gaps = []
    for scale in (1e-1, 1e-2, 1e-3):
        found = nonlinear_currents(cells, volts * scale, *OHM, law=law, v0=0.1).currents / scale
        gaps.append(float(np.abs(found - linear).max() / np.abs(linear).max()))
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-6
    assert gaps[0] / gaps[1] == pytest.approx(100, rel=0.1)  # both laws are odd: the deviation is quadratic


@pytest.mark.parametrize("law", ["sinh", "cubic"])
def test_agrees_with_a_general_solver(law):
    """The nodal equations of a 2 x 2 array, as they stand in a textbook, solved by scipy."""
    g, volts, (driver, row, column, sense), v0 = np.array([[2e-4, 1e-4], [5e-5, 3e-4]]), (0.3, 0.2), OHM, 0.15

    def law_of_nodes(x):
        v, u = x[:4].reshape(2, 2), x[4:].reshape(2, 2)
        i = current(law, g, v - u, v0)
        rows = [[(volts[k] - v[k, 0]) / driver - (v[k, 0] - v[k, 1]) / row - i[k, 0],
                 (v[k, 0] - v[k, 1]) / row - i[k, 1]] for k in range(2)]  # fmt: skip
        columns = [[i[0, k] - (u[0, k] - u[1, k]) / column for k in range(2)],
                   [i[1, k] + (u[0, k] - u[1, k]) / column - u[1, k] / sense for k in range(2)]]  # fmt: skip
        return 1e4 * np.ravel(rows + columns)

    solved = root(law_of_nodes, np.zeros(8), tol=1e-13)
    assert np.abs(law_of_nodes(solved.x)).max() < 1e-10
    found = nonlinear_currents(g, volts, *OHM, law=law, v0=v0)
    np.testing.assert_allclose(found.currents, solved.x[6:] / sense, rtol=1e-9)
    np.testing.assert_allclose(found.drops.ravel(), solved.x[:4] - solved.x[4:], rtol=1e-9)


def test_power_is_conserved():
    cells, volts = case(3, 10, 8)
    found = nonlinear_currents(cells, volts, *OHM, v0=0.1)
    through, (driver, row, column, sense) = found.cells, OHM
    along = np.cumsum(through[:, ::-1], axis=1)[:, ::-1]  # current in the wire before each row node
    down = np.cumsum(through, axis=0)
    lost = (through * found.drops).sum() + driver * (along[:, 0] ** 2).sum() + row * (along[:, 1:] ** 2).sum()
    lost += column * (down[:-1] ** 2).sum() + sense * (down[-1] ** 2).sum()
    assert lost == pytest.approx((volts * along[:, 0]).sum(), rel=1e-11)


def test_steep_cells_converge():
    cells, volts = case(4, 16, 16)
    found = nonlinear_currents(cells, volts, *OHM, v0=0.004)
    assert found.steps < 40
    np.testing.assert_allclose(found.cells, current("sinh", cells, found.drops, 0.004), rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("law", ["sinh", "cubic"])
def test_few_steps_even_where_full_steps_would_diverge(law):
    """Cells of very different size, sources of both signs, up to 50 times v0: undamped, every tenth array runs away."""
    rng = np.random.default_rng(8)
    steps = []
    for _ in range(60):
        shape = rng.integers(2, 6, 2)
        cells, volts = 10 ** rng.uniform(-7, -3, shape), rng.uniform(-1, 1, shape[0])
        ohm = 10 ** rng.uniform(0, 5, 4) * (rng.random(4) < 0.6)
        steps.append(nonlinear_currents(cells, volts, *ohm, law=law, v0=0.02).steps)
    assert max(steps) < 60
    cells, volts = case(6, 8, 8)
    assert nonlinear_currents(cells, volts, *OHM, law=law, v0=0.1).steps <= 5  # quadratic convergence


def test_patterns_are_independent_of_each_other_and_of_threads():
    cells, _ = case(5, 9, 7)
    patterns = np.random.default_rng(5).uniform(-0.2, 0.2, (9, 6))
    patterns[:, 2] = 0.0
    together = nonlinear_currents(cells, patterns, *OHM, v0=0.1, threads=4)
    assert together.currents.shape == (7, 6) and together.cells.shape == (9, 7, 6) and together.steps.shape == (6,)
    assert (together.currents[:, 2] == 0.0).all() and together.steps[2] == 0
    for p in range(6):
        alone = nonlinear_currents(cells, patterns[:, p], *OHM, v0=0.1, threads=1)
        assert all(np.array_equal(one, other[..., p]) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "sinus", "v0": 0.1}, "did you mean 'sinh'"),
        ({"v0": 0.0}, "v0: expected finite volt > 0"),
        ({"v0": np.nan}, "v0: expected finite volt > 0"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(SpecError, match=message):
        nonlinear_currents(np.full((2, 2), 1e-5), [0.1, 0.1], *OHM, **options)


def test_no_convergence_is_said(monkeypatch):
    monkeypatch.setattr(nonlinear, "newton", lambda *arguments: -1)
    with pytest.raises(SpecError, match=r"v0 = 0\.1 V at 0\.2 V"):
        nonlinear_currents(np.full((2, 2), 1e-5), [0.1, 0.2], *OHM, v0=0.1)
