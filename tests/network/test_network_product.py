"""Products and weights of a machine in place of the file's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snn_builder import LIF, Builder
from snn_cases import cases
from snn_check import check_equal
from toy_product import Toy, toy, toys

from hwsim.errors import SpecError
from hwsim.network import engine
from hwsim.network.freeze import Frozen, freeze
from hwsim.network.numerics import Numerics
from hwsim.network.product import Product
from hwsim.workload.model import Samples, Workload

IMAGE = np.random.default_rng(0).integers(0, 256, (2, 6, 6)).astype(np.uint8)


def small(timesteps: int = 4, floats: bool = False) -> Workload:
    """Two convolutions and a linear output."""
    b = Builder((2, 6, 6), timesteps, seed=3)
    b.weighted(
        "conv2d", (6, 2, 3, 3), LIF | {"threshold": 0.5}, kernel=[3, 3], padding=[1, 1], name="one", floats=floats
    )
    b.weighted("conv2d", (8, 6, 3, 3), LIF | {"threshold": 0.3}, kernel=[3, 3], name="two", floats=floats)
    b.add("flatten")
    b.weighted("linear", (10, 128), {"type": "none"}, name="out", floats=floats)
    return b.build()


def same(a: Frozen, b: Frozen, image: np.ndarray = IMAGE) -> bool:
    """Whether both networks do the same with a sample, membranes and logits included."""
    one, two = (engine.run(frozen, image, sample=4, membranes=True) for frozen in (a, b))
    names = [item.name for item in a.weighted]
    assert any(one.outputs[name].any() for name in names)
    equal = [np.array_equal(one.outputs[name], two.outputs[name]) for name in names]
    equal += [np.array_equal(one.membranes[name], two.membranes[name]) for name in one.membranes]
    return all(equal) and np.array_equal(one.logits, two.logits)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.booleans(), st.sampled_from((1, 2)))
def test_engine_equals_plain_network_with_products(case: Any, fresh: bool, every: int) -> None:
    workload, raw, times, numerics = case
    frozen = freeze(workload, numerics)
    made = {
        item.name: toy(frozen, item, factor=0.9, spread=0.3, fresh=fresh, noise=0.5 * fresh)
        for item in frozen.weighted[::every]
    }
    check_equal((workload, raw, times, replace(numerics, products=made)))


@pytest.mark.parametrize("floats", [False, True])
def test_a_product_of_the_ideal_weights_changes_nothing(floats: bool) -> None:
    ideal = freeze(small(floats=floats))
    hardware = freeze(ideal.workload, Numerics(products=toys(ideal)))
    assert all(item.product is not None for item in hardware.weighted)
    for name, item in ideal.layers.items():
        assert hardware.layers[name].current_step == item.current_step
    assert same(ideal, hardware)
    assert not same(ideal, freeze(ideal.workload, Numerics(products=toys(ideal, factor=0.9))))


def test_a_constant_input_is_computed_once_unless_draws_are_fresh() -> None:
    ideal = freeze(small())
    for fresh, rows in ((False, 1), (True, 4)):
        made = toys(ideal, fresh=fresh)
        engine.run(freeze(ideal.workload, Numerics(products=made)), IMAGE)
        assert (made["one"].calls, made["two"].calls) == ([rows], [4])


def test_fresh_draws_reach_an_output_layer_with_a_constant_input() -> None:
    b = Builder((5,), 3, seed=1)
    b.weighted("linear", (4, 5), {"type": "none"}, name="out")
    ideal = freeze(b.build(classes=4))
    image = np.arange(5, dtype=np.uint8)
    noisy = freeze(ideal.workload, Numerics(products=toys(ideal, fresh=True, noise=50.0)))
    steps = np.diff(engine.run(noisy, image).logits, axis=0, prepend=0)
    assert not np.array_equal(steps[0], steps[1]) and np.ptp(steps, axis=0).min() > 0
    assert np.ptp(np.diff(engine.run(ideal, image).logits, axis=0, prepend=0), axis=0).max() < 1e-12
    check_equal((ideal.workload, image, 3, noisy.numerics))


def test_samples_name_the_draws_of_products() -> None:
    ideal = freeze(small())
    noisy = freeze(ideal.workload, Numerics(products=toys(ideal, fresh=True, noise=100.0)))
    logits = [engine.run(noisy, IMAGE, sample=sample).logits for sample in (0, 0, 1)]
    assert np.array_equal(logits[0], logits[1]) and not np.array_equal(logits[0], logits[2])


def test_accuracy_with_products_does_not_depend_on_workers() -> None:
    ideal = freeze(small())
    noisy = freeze(ideal.workload, Numerics(products=toys(ideal, spread=0.5, fresh=True, noise=100.0)))
    images = np.random.default_rng(5).integers(0, 256, (16, 2, 6, 6)).astype(np.uint8)
    samples = Samples(images, np.arange(16) % 10)
    one, three = (engine.accuracy(noisy, samples, workers=workers) for workers in (1, 3))
    np.testing.assert_array_equal(one.predictions, three.predictions)
    expected = [engine.run(noisy, image, sample=number).prediction for number, image in enumerate(images)]
    assert one.predictions.tolist() == expected


def test_the_full_scale_is_the_product_s() -> None:
    ideal = freeze(small())
    made = toy(ideal, ideal.layers["two"])
    made.full_scale = 1000.0  # type: ignore[assignment]  # one number for all filters
    item = freeze(ideal.workload, Numerics(products={"two": made})).layers["two"]
    assert (item.psum_low, item.psum_high, item.psum_step) == (-1000.0, 1000.0, made.step)
    assert item.full_scale == 1000.0 * ideal.layers["two"].scale.max()
    assert item.psum_bits == 32  # fractions: held as float32
    made.step = 2.0
    assert freeze(ideal.workload, Numerics(products={"two": made})).layers["two"].psum_bits == 16


@pytest.mark.parametrize(("step", "full_scale"), [(0.3, 10.0), (2.0**-50, 10.0), (1.0, -1.0)])
def test_products_whose_sums_are_not_exact_are_bugs(step: float, full_scale: float) -> None:
    ideal = freeze(small())
    made = toy(ideal, ideal.layers["two"])
    made.step, made.full_scale = step, full_scale  # type: ignore[assignment]
    with pytest.raises(AssertionError):
        freeze(ideal.workload, Numerics(products={"two": made}))


def test_a_product_of_the_wrong_shape_is_a_bug() -> None:
    class Short(Toy):
        def psums(self, x: np.ndarray, timesteps: int, sample: int) -> np.ndarray:
            return super().psums(x, timesteps, sample)[:, 1:]

    ideal = freeze(small())
    made = toy(ideal, ideal.layers["two"])
    short: Product = Short("two", made.geometry, made.matrix, 1)
    with pytest.raises(AssertionError, match="two"):
        engine.run(freeze(ideal.workload, Numerics(products={"two": short})), IMAGE)


@pytest.mark.parametrize("floats", [False, True])
def test_weights_of_the_machine_replace_those_of_the_file(floats: bool) -> None:
    ideal = freeze(small(floats=floats))
    matrices = {item.name: item.weight.astype(np.float64) for item in ideal.weighted}
    assert same(ideal, freeze(ideal.workload, Numerics(weights=matrices)))
    random = np.random.default_rng(2)
    changed = {name: matrix * random.uniform(0.7, 1.3, matrix.shape) for name, matrix in matrices.items()}
    hardware = freeze(ideal.workload, Numerics(weights=changed))
    assert 0 < hardware.largest_change < 1e-9 and not hardware.layers["two"].integer
    np.testing.assert_allclose(hardware.layers["two"].weight, changed["two"], rtol=1e-9)
    check_equal((ideal.workload, IMAGE, 4, Numerics(weights=changed)))
    # A product of the same weights is the same network.
    products = {
        item.name: Toy(item.name, item.geometry, changed[item.name], 255 if item.name == "one" else 1)
        for item in ideal.weighted
    }
    assert same(hardware, freeze(ideal.workload, Numerics(weights=changed, products=products)))
    assert not same(ideal, hardware)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"products": {"tow": None}}, "no layer with weights named 'tow'; did you mean 'two'"),
        ({"weights": {"flatten2": np.zeros(1)}}, "no layer with weights named 'flatten2'"),
        ({"weights": {"two": np.zeros((8, 53))}}, r"finite, of shape \[8, 54\]; these are of shape \[8, 53\]"),
        ({"weights": {"two": np.full((8, 54), np.nan)}}, r"finite, of shape \[8, 54\]; these are not all finite"),
        ({"statistics": {"two": (np.zeros(8), np.ones(8))}}, "no layer with BN named 'two'"),
    ],
)
def test_numerics_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        freeze(small(), Numerics(**given))


def test_numerics_are_compared_by_the_objects_they_hold() -> None:
    ideal = freeze(small())
    made, matrix = toys(ideal), np.zeros((2, 2))
    one, two = (Numerics(products=made, weights={"a": matrix}) for _ in range(2))
    assert one == two and hash(one) == hash(two) and len({one, two, Numerics()}) == 2
    assert one != Numerics(products=made, weights={"a": matrix.copy()}) and one != Numerics(products=made)
    assert Numerics() == Numerics(timesteps=None) and Numerics() != Numerics(timesteps=3)
    assert one != Numerics(products=made, weights={"a": matrix}, lif_sharing=2) and one != "one"
    assert one != Numerics(weights={"a": matrix})
    pair = (np.zeros(2), np.ones(2))
    assert Numerics(statistics={"a": pair}) == Numerics(statistics={"a": pair}) != Numerics()
    assert Numerics(statistics={"a": pair}) != Numerics(statistics={"a": (pair[0], pair[1].copy())})
    made.clear()  # a later change of the mapping is not seen
    assert len(one.products) == 3
