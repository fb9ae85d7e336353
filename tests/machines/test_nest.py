"""The choice of the outer nest: hand-worked sizes of VGG9 on SATA's buffers, and a search by brute force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.errors import SpecError
from hwsim.machines.systolic.nest import NestShape, blocks_of, choose, footprint_elements, footprint_rows, ladder
from hwsim.workload.model import Geometry

KIB = 8 * 1024


def conv(channels, size, filters):
    return Geometry(channels, size, size, filters, 3, 3, 1, 1, 1, 1, 1, 1, 1, size, size)


def fc(inputs, outputs):
    return Geometry(inputs, 1, 1, outputs, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)


def shape(geometry, stationary="output", outer=1, inner=4, **more):
    plain = NestShape(
        geometry=geometry,
        stationary=stationary,
        rows=16,
        columns=8,
        outer_timesteps=outer,
        inner_timesteps=inner,
        planes=1,
        weight_bits=8,
        word_bits=inner,
        output_bits=inner,
        psum_bits=16,
        membrane_bits=8,
        share=1,
        line_bits=256,
        capacity=(144 * KIB, 32 * KIB, 32 * KIB),
        buffers=("weight_buffer", "ifmap_buffer", "ofmap_buffer"),
        buffer_of=(0, 1, 2),
        double_buffering=True,
        constant_input=False,
        membranes_move=outer > 1,
        may_keep=True,
        membranes_stream=False,
        reserved=0,
    )
    return replace(plain, **more)


def test_equal_fits():
    """conv2 of VGG9, T = 4: 64 x 32 x 32 words of 4 bits are 32.0 KiB; conv4's weights are 144.0 KiB. Both stay."""
    conv2 = choose(shape(conv(64, 32, 64)), "conv2")
    assert conv2.inputs_resident and conv2.live_bits[1] == 32 * KIB
    conv4 = choose(shape(conv(128, 16, 128)), "conv4")
    assert conv4.weights_resident and conv4.live_bits[0] == 144 * KIB
    one_less = choose(shape(conv(128, 16, 128), capacity=(144 * KIB - 8, 32 * KIB, 32 * KIB)), "conv4")
    assert not one_less.weights_resident


def test_dram_bits_by_hand():
    """fc1 4096-1024, 4 MiB of weights: once in tick-batch, four times when time runs outside; inputs 4096 x 4 bits."""
    inside = choose(shape(fc(4096, 1024)), "fc1")
    assert inside.dram_bits == 4096 * 1024 * 8 + 4096 * 4
    outside = choose(shape(fc(4096, 1024), outer=4, inner=1), "fc1")
    assert outside.dram_bits == 4 * (4096 * 1024 * 8 + 4096)
    assert outside.membranes_in_buffer


def test_membranes_that_do_not_fit_go_to_dram():
    """conv1 and conv2 of VGG9 have 64 KiB of 8-bit membranes; conv5's 16 KiB stay in the buffer of 32 KiB."""
    large = choose(shape(conv(64, 32, 64), outer=4, inner=1), "conv2")
    assert not large.membranes_in_buffer
    assert large.dram_bits == 64 * 64 * 9 * 8 + 4 * 64 * 32 * 32 + 2 * 3 * 64 * 32 * 32 * 8
    assert choose(shape(conv(128, 8, 256), outer=4, inner=1), "conv5").membranes_in_buffer


def test_psums_of_weight_stationary_wait_in_the_buffer():
    """A block of m filters and p pixels needs m p 16 bits there: all 1024 pixels of 8 filters are 16 KiB."""
    nest = choose(shape(conv(64, 32, 64), stationary="weight", outer=1, inner=1, membranes_move=False), "conv2")
    assert nest.m_block * nest.p_block * 16 <= 32 * KIB
    assert nest.p_block == 1024


def test_what_does_not_fit_is_refused_with_sizes():
    with pytest.raises(SpecError) as error:
        choose(shape(fc(4096, 1024), capacity=(8, 8, 8)), "arch/x.yaml:1:1: layer fc1")
    assert str(error.value) == (
        "arch/x.yaml:1:1: layer fc1: does not fit the buffers even in the smallest blocks: "
        "needs weight_buffer 144, ifmap_buffer 9, ofmap_buffer 8 bytes; they have 1, 1, 1"
    )


def test_single_buffering_halves_a_stream():
    twice = choose(shape(fc(4096, 1024)), "fc1")
    once = choose(shape(fc(4096, 1024), double_buffering=False), "fc1")
    assert once.m_block == 32 and twice.m_block == 16


def test_footprints_by_hand():
    g = conv(3, 8, 4)
    assert footprint_rows(g, 0, 8) == (0, 2)
    assert footprint_rows(g, 8, 24) == (0, 4)
    assert footprint_rows(g, 56, 64) == (6, 8)
    assert footprint_elements(g, 8, 24) == 4 * 8
    line = Geometry(4, 1, 20, 6, 1, 3, 1, 2, 0, 0, 1, 1, 1, 1, 9)
    assert footprint_elements(line, 2, 5) == 7  # columns 4..10


def test_ladders_hold_the_whole_and_one_fold():
    assert ladder(64, 8)[0] == 64 and ladder(64, 8)[-1] == 8
    assert ladder(10, 8) == [10, 8]
    assert blocks_of(10, 4) == [(0, 4), (4, 8), (8, 10)]
