"""Layers on cores: in order, split where they must be, refused where they do not fit, with what would do."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.kernels.connections import CONVOLUTION, FORM
from hwsim.machines.neuromorphic.connect import banded, connect
from hwsim.machines.neuromorphic.mapping import (
    Limits,
    Part,
    _Sizer,
    axons_out,
    place,
    reaching,
    scratch,
    senders_of,
)
from hwsim.machines.neuromorphic.stored import store
from tests.network.snn_builder import Builder
from tests.neuromorphic.machine.cases import dense_network
from tests.neuromorphic.machine.test_layered_identity import Chain

LIMITS = Limits(cores=8, neurons=10, synapse_bits=4000, weight_bits=8)


def dense(*sizes):
    return dense_network([np.ones((b, a)) for a, b in pairwise(sizes)], 1.0, 1.0)


def placed(network, limits=LIMITS, *, scaled=False, more_cores=True):
    names = [f"fc{number}" for number in range(network.layers)]
    return place(network, names, limits, scaled=scaled, more_cores=more_cores, where="arch.yaml:1:1", workload="net")


def test_a_layer_begins_on_a_core_of_its_own_unless_cores_are_shared():
    assert placed(dense(5, 4, 3)).first.tolist() == [0, 4, 7]
    assert placed(dense(5, 4, 3), replace(LIMITS, share_cores=True)).first.tolist() == [0, 7]


def test_neurons_and_memory_split_a_layer():
    assert placed(dense(5, 24)).first.tolist() == [0, 10, 20, 24]
    narrow = placed(dense(100, 12))  # 800 bits for each neuron
    assert narrow.first.tolist() == [0, 5, 10, 12]
    assert narrow.used_bits.tolist() == [4000, 4000, 1600]


def test_shared_cores_are_filled_before_the_next_one():
    first = placed(dense(5, 6, 7, 8), replace(LIMITS, share_cores=True)).first
    assert first.tolist() == [0, 10, 20, 21]


def test_axons_in_are_senders_outside():
    network = dense(5, 4, 3)
    limits = replace(LIMITS, share_cores=True, axons_in=8)
    assert placed(network, limits).first.tolist() == [0, 4, 7]
    assert placed(network, replace(limits, axons_in=9)).first.tolist() == [0, 7]


def test_axons_out_are_pairs_of_neuron_and_core():
    network = dense(5, 4, 20)
    assert axons_out(network, np.array([0, 4, 14, 24])).tolist() == [8, 0, 0]
    with pytest.raises(SpecError) as error:
        placed(network, replace(LIMITS, axons_out=7))
    assert "layer fc0 of net: core 0 needs 8 axons out; a core has 7" in str(error.value)
    assert "No number of cores would do; 'capacity: scaled' enlarges them" in str(error.value)
    larger = placed(network, replace(LIMITS, axons_out=7), scaled=True)
    assert larger.memory == pytest.approx(8 / 7) and larger.mapped == 3


def test_fewer_neurons_on_each_core_send_less():
    """A band: every neuron reaches few cores, so that the cores of a narrower cut send less each."""
    network, limits = banded([64, 64, 64], 2, threshold=1.0), replace(LIMITS, cores=100, neurons=64, axons_out=12)
    with pytest.raises(SpecError) as error:
        placed(network, limits)
    found = re.search(
        r"core 0 needs 64 axons out; .*\n.*at most (\d+) neurons on each .*, (\d+) cores would", str(error.value)
    )
    assert found is not None, error.value
    made = placed(network, replace(limits, neurons=int(found[1])))
    assert made.mapped == int(found[2]) and axons_out(network, made.first).max() <= 12


def test_too_many_cores_says_which_layer_what_is_left_and_how_many_would_do():
    with pytest.raises(SpecError) as error:
        placed(dense(5, 24, 30), replace(LIMITS, cores=4))
    text = str(error.value)
    assert text.startswith("arch.yaml:1:1: layer fc1 of net does not fit on 4 cores of 10 neurons, 4,000 bits of syn")
    assert "(neurons run out): 20 neurons with 3,840 bits of synapses are left; 6 cores would do" in text
    assert "'capacity: scaled' adds them" in text


@pytest.mark.parametrize(("limits", "text"), [
    ({}, "1 core of 10 neurons, 4,000 bits of synapses (a layer begins on a core of its own): 4 neurons with"),
    ({"share_cores": True}, "(neurons run out): 3 neurons with"),
    ({"share_cores": True, "synapse_bits": 700, "neurons": 20}, "(synapses run out): 3 neurons with"),
    ({"share_cores": True, "axons_in": 16}, "4,000 bits of synapses and 16 axons in (axons in run out): 4"),
])  # fmt: skip
def test_it_is_said_what_has_run_out(limits, text):
    with pytest.raises(SpecError) as error:
        placed(dense(8, 9, 4), replace(LIMITS, cores=1, **limits))
    assert text in str(error.value)


def test_a_neuron_that_fits_no_core_is_named():
    with pytest.raises(SpecError, match=r"layer fc0 of net: one neuron needs 4,800 bits of synapses \(600 of 8 bit\)"):
        placed(dense(600, 3))
    with pytest.raises(SpecError, match=r"layer fc0 of net: one neuron needs 50 axons in; a core has 20"):
        placed(dense(50, 3), replace(LIMITS, axons_in=20))


def test_scaled_adds_cores_or_memory():
    more = placed(dense(5, 24, 30), replace(LIMITS, cores=4), scaled=True)
    assert (more.mapped, more.cores, more.memory, more.room) == (6, 6, 1.0, 1.0)
    larger = placed(dense(600, 3), scaled=True)
    assert larger.memory == pytest.approx(4800 / 4000) and larger.mapped == 3
    one = placed(dense(5, 24, 30), replace(LIMITS, cores=1), scaled=True, more_cores=False)
    assert (one.mapped, one.cores, one.room) == (1, 1, 5.4)
    assert one.memory == pytest.approx((5 * 24 + 24 * 30) * 8 / 4000)


def convolution(**keys):
    b = Builder((2, 6, 6), 1, bits=1, scale=1.0, kind="spike")
    neuron = {"type": "lif", "leak": 0.5, "threshold": 1.0}
    b.weighted("conv2d", (4, 2, 3, 3), neuron, name="conv", kernel=[3, 3], padding=[1, 1], **keys)
    b.add("flatten")
    b.weighted("linear", (3, 144), {"type": "none"}, name="out")
    return connect(store(b.build(classes=3), None, 1))


def test_kernels_are_stored_once_per_core_and_filter_or_once_per_synapse():
    network = convolution()
    shared = _Sizer(network, LIMITS)
    assert shared.synapses(Part(0, 0, 36)) == 18 and shared.synapses(Part(0, 30, 40)) == 36
    assert _Sizer(network, replace(LIMITS, shared_kernels=False)).synapses(Part(0, 0, 36)) == 36 * 18


def test_axons_of_a_part_of_a_convolution():
    """The first two rows of a filter see three rows of both channels."""
    sizer = _Sizer(convolution(), LIMITS)
    assert sizer.axons(Part(0, 0, 12)) == 2 * 18
    assert sizer.axons(Part(0, 0, 1)) == 2 * 4
    assert sizer.axons(Part(0, 0, 144)) == 72


def test_a_band_has_as_many_senders_per_neuron_as_targets_per_sender():
    network = banded([40, 40], 7, threshold=1.0)
    sizer = _Sizer(network, LIMITS)
    assert sizer.synapses(Part(0, 0, 40)) == 280
    assert [sizer.axons(Part(0, n, n + 1)) for n in range(40)] == [7] * 40


def test_senders_of_convolutions_behind_pools_are_those_that_reach_them():
    """Counted by what outputs see, and by whom every sender reaches."""
    found = 0
    for seed in range(40):
        workload = Chain(seed).made()
        network = connect(store(workload, None, workload.timesteps))
        sizer, rng = _Sizer(network, LIMITS), np.random.default_rng(seed)
        for layer in range(network.layers):
            low, high = sorted(rng.integers(0, sizer.sizes[layer] + 1, 2).tolist())
            if low == high:
                continue
            reached = reaching(network, layer, senders_of(network, layer), low, high, scratch(network))
            assert sizer.axons(Part(layer, low, high)) == reached.sum(), (seed, layer, low, high)
            found += network.layer[layer, FORM] == CONVOLUTION
    assert found > 15
