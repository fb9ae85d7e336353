"""Profile ``scalesim``: against the tool's outputs, and against an array moved register by register."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import profiles
from hwsim.errors import SpecError
from hwsim.profiles import LayerShape, conv, flush_buffer, linear
from tests.profiles.networks import reference
from tests.profiles.systolic_witness import WITNESSES, flush_misses, windows

LAYERS = {"Conv1": conv("Conv1", 32, 3, 64), "Conv4": conv("Conv4", 8, 128, 128), "FC": linear("FC", 256, 40)}


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_runs_of_the_tool(dataflow: str, layer: str) -> None:
    theirs = reference()["scale_sim_v3_16x8"][dataflow][layer]
    result = profiles.get("scalesim").run([LAYERS[layer]], dataflow=dataflow, dram=True, tool_artefacts=True)
    counters = result.layers[0].counters
    names = {
        "total": "cycles",
        "if_reads": "ifmap_sram_reads",
        "w_reads": "weight_sram_reads",
        "of_writes": "ofmap_sram_writes",
        "dram_if": "ifmap_dram_reads",
        "dram_w": "weight_dram_reads",
        "dram_of": "ofmap_dram_writes",
    }
    found = {key: counters[name] for key, name in names.items() if key in theirs}
    assert found == {key: theirs[key] for key in found}


def test_artefacts_are_off_by_default() -> None:
    plain = profiles.get("scalesim").run([LAYERS["Conv1"]]).layers[0].counters
    assert (plain["cycles"], plain["last_write_cycle"]) == (22_344, 22_343)
    assert (plain["ofmap_sram_writes"], plain["ofmap_sram_writes_reported"]) == (57_600, 68_544)


def test_groups_run_one_after_the_other() -> None:
    grouped = LayerShape("g", 8, 8, 6, 4, 3, 3, groups=2)
    half = LayerShape("h", 8, 8, 3, 2, 3, 3)
    for dataflow in ("os", "ws", "is"):
        both = profiles.get("scalesim").run([grouped], dataflow=dataflow, dram=True).layers[0].counters
        one = profiles.get("scalesim").run([half], dataflow=dataflow, dram=True).layers[0].counters
        assert {key: both[key] for key in both if key != "last_write_cycle"} == {
            key: 2 * one[key] for key in one if key != "last_write_cycle"
        }


def test_padding_is_stored_or_ignored() -> None:
    padded = conv("p", 8, 3, 4, pad=1)
    run = profiles.get("scalesim").run
    assert run([padded]).layers[0].counters == run([conv("p", 10, 3, 4)]).layers[0].counters
    assert run([padded], padding="ignored").layers[0].counters == run([conv("p", 8, 3, 4)]).layers[0].counters


sizes = st.integers(1, 7)


@st.composite
def small_layers(draw: st.DrawFn) -> LayerShape:
    R, S = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    H, W = draw(st.integers(R, 6)), draw(st.integers(S, 6))
    strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return LayerShape("x", H, W, draw(st.integers(1, 3)), draw(st.integers(1, 9)), R, S, *strides)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(layer=small_layers(), rows=sizes, columns=sizes, dataflow=st.sampled_from(["os", "ws", "is"]))
def test_closed_forms_equal_an_array_moved_by_hand(layer: LayerShape, rows: int, columns: int, dataflow: str) -> None:
    random = np.random.default_rng(1)
    inputs = random.integers(0, 5, (layer.C, layer.H, layer.W))
    weights = random.integers(-3, 4, (layer.K, layer.M))
    a = windows(inputs, (layer.R, layer.S), (layer.stride_y, layer.stride_x))
    witness = WITNESSES[dataflow](a, weights, rows, columns)
    assert (witness.product == a @ weights).all()
    result = profiles.get("scalesim").run([layer], dataflow=dataflow, rows=rows, columns=columns)
    counters = result.layers[0].counters
    assert counters == {
        "folds": witness.folds,
        "cycles": witness.cycles,
        "compute_cycles": witness.cycles,
        "last_write_cycle": witness.last_write,
        "ifmap_sram_reads": witness.ifmap_reads,
        "weight_sram_reads": witness.weight_reads,
        "ofmap_sram_writes": witness.ofmap_writes,
        "ofmap_sram_writes_reported": witness.ofmap_writes
        + (witness.folds * (rows + columns) if dataflow == "os" else 0),
    }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(layer=small_layers(), rows=sizes, columns=sizes, buffer_words=st.sampled_from([100, 200, 300]))
def test_flush_rule_equals_a_set_that_is_cleared(layer: LayerShape, rows: int, columns: int, buffer_words: int) -> None:
    layer = layer.as_scalesim()
    words = np.arange(1, layer.C * layer.H * layer.W + 1).reshape(layer.C, layer.H, layer.W)
    lanes = [
        [word or None for word in lane]
        for lane in windows(words, (layer.R, layer.S), (layer.stride_y, layer.stride_x)).tolist()
    ]
    column_folds, row_folds = -(-layer.M // columns), -(-layer.P // rows)
    capacity = buffer_words // 2
    assert flush_buffer.ifmap_misses(layer, rows, columns, buffer_words) == flush_misses(
        lanes, rows, column_folds, 1, capacity
    )
    filters: list[list[object]] = [[(m, k) for k in range(layer.K)] for m in range(layer.M)]
    assert flush_buffer.weight_misses(layer, rows, columns, buffer_words) == flush_misses(
        filters, columns, 1, row_folds, capacity
    )


@pytest.mark.parametrize(("kibibytes", "misses"), [(32, 649_682), (8, 1_814_723)])
def test_flush_rule_on_a_real_layer_takes_under_a_second(kibibytes: int, misses: int) -> None:
    layer = conv("Conv2", 32, 64, 64)
    flush_buffer.ifmap_misses(conv("warm-up", 4, 1, 1), 16, 8, 1024)
    start = time.perf_counter()
    assert flush_buffer.ifmap_misses.__wrapped__(layer, 16, 8, kibibytes * 1024) == misses
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataflow": "rs"}, "unknown dataflow 'rs'"),
        ({"timesteps": 4}, "timesteps must be 1, not 4"),
        ({"columns": 0}, "16 x 0"),
        ({"ifmap_buffer_words": 99}, "at least 100 words"),
        ({"padding": "mirror"}, "not 'mirror'"),
    ],
)
def test_mistakes_are_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        profiles.get("scalesim").run([LAYERS["FC"]], **options)
