"""Profile ``spikesim-ela``: every digit that the tool's script printed, and what it does with other networks."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import profiles
from hwsim.errors import SpecError
from hwsim.profiles import LayerShape, conv, linear
from hwsim.profiles import spikesim_ela as ela
from hwsim.profiles.prices import price_file
from hwsim.profiles.run import pooled_sizes
from hwsim.profiles.spikesim import tool_run
from hwsim.workload import save
from hwsim.workload.importers import import_file
from hwsim.workload.model import Layer
from tests.profiles.spikesim_runs import RUNS, mapped, reference

SUMS = 1e-12
"""The same arithmetic in float64, in another order."""


IDS = [
    f"{r['name']}-X{r['xbar_size']}-{r['pe_per_tile']}-{r['clk_MHz']}-{r['device']}-T{r['time_steps']}" for r in RUNS
]


@pytest.mark.parametrize("run", RUNS, ids=IDS)
def test_every_printed_digit(run: dict[str, Any]) -> None:
    found = tool_run(
        mapped(run), size=run["xbar_size"], kernel=run["kernel"], pes_per_tile=run["pe_per_tile"],
        clock_MHz=run["clk_MHz"], device=run["device"], timesteps=run["time_steps"],
    )  # fmt: skip
    assert list(found.lines) == run["stdout"]
    assert found.tiles == run["n_tiles"]
    assert found.energy_pJ == run["energy_total_pJ"]
    assert list(found.energy_layerwise_pJ) == run["energy_layerwise_pJ"]
    area = run["area_um2"]
    assert found.area_um2 == (area["neuron_mem"], area["PE_plus_DIFF"], area["digital"], area["total_printed"])
    if run["latency_ns"] is not None:  # the script stopped before it
        assert (found.latency_ns, found.edp_pJ_ns) == (run["latency_ns"], run["EDP_pJ_ns"])


def test_the_formula_beyond_twelve_layers() -> None:
    derived = {row["T"]: row for row in reference()["vgg16_tinyimagenet_derived"]["rows"]}
    runs = [run for run in RUNS if len(run["in_ch"]) == 13]
    assert len(runs) == len(derived) == 4
    first = tool_run(mapped(runs[0]))
    for run in runs:
        row, found = derived[run["time_steps"]], tool_run(mapped(run), timesteps=run["time_steps"])
        assert (found.energy_pJ, found.latency_ns, found.edp_pJ_ns) == (
            row["energy_pJ"],
            row["latency_ns"],
            row["EDP_pJ_ns"],
        )
        assert found.edp_pJ_ns / first.edp_pJ_ns == row["EDP_ratio_vs_T1"]


def test_default_printout() -> None:
    """The shipped example; the file holds it with 'um'."""
    found = tool_run(mapped(RUNS[0]), timesteps=5)
    assert [line.replace("µ", "u") for line in found.lines] == reference()["default_stdout"]


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_parts_of_a_pe_cycle(size: int) -> None:
    theirs = reference()["pe_cycle_energy_breakdown_pJ_k3_rram"][str(size)]
    prices = ela.prices_of(price_file("spikesim"), "rram")
    ours = {part: value for (part, _), value in ela.pe_cycle_parts_pJ(prices, size, 9).items()}
    names = {
        "H-tree": "h_tree",
        "mem_fetch": "memory",
        "neuron": "neuron",
        "crossbars": "crossbar",
        "ADC": "adc",
        "MUX": "mux",
        "DIFF(Sub)": "diff",
        "Temp_Buff": "temporary_buffer",
        "Tile_buff": "tile_buffer",
    }
    assert sorted(ours) == sorted(names.values())
    assert {name: ours[part] for name, part in names.items()} == {name: theirs[name] for name in names}
    assert sum(ours[part] for part in names.values()) == theirs["TOTAL"]  # the reference's order of the sum
    assert ela.pe_cycle_pJ(prices, size, 9) == pytest.approx(theirs["TOTAL"], rel=SUMS)  # the script's


def test_parts_of_the_area() -> None:
    theirs = reference()["area_breakdown_default"]
    prices = ela.prices_of(price_file("spikesim"), "rram")
    ours = ela.area_parts_um2(prices, mapped(RUNS[0]), 64, 9, 8, 1)
    tile = theirs["per_tile_um2"]
    assert ours["crossbar"] / 8 == pytest.approx(theirs["of which crossbars"], rel=SUMS)
    assert (ours["adc"] / 8, ours["mux"] / 8) == pytest.approx((theirs["ADC"], theirs["MUX"]), rel=SUMS)
    assert ours["crossbar"] + ours["adc"] + ours["mux"] == pytest.approx(tile["PEs"], rel=SUMS)
    names = {"diff": "DIFF(Sub)", "temporary_buffer": "Temp_Buff", "tile_buffer": "Tile_buff", "h_tree": "H-tree"}
    assert [ours[part] for part in names] == pytest.approx([tile[name] for name in names.values()], rel=SUMS)


# --- as a profile ----------------------------------------------------------------------------------------------------


def simulated(workload: str = "vgg9_cifar10", *overrides: str, **options: Any) -> hwsim.Result:
    given = {"timesteps": 5} | options
    return hwsim.simulate("spikesim", workload, profile="spikesim-ela", overrides=list(overrides), **given)


def as_printed(result: hwsim.Result) -> tuple[float, float, float]:
    """(pJ, ns, um2)"""
    totals = result.totals
    return totals["energy_J"] * 1e12, totals["latency_s"] * 1e9, totals["area_m2"] * 1e12


SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "X=32": ({"xbar_size": 32}, ("crossbar.rows=32", "crossbar.columns=32")),
    "X=128": ({"xbar_size": 128}, ("crossbar.rows=128", "components.crossbar.columns=128")),
    "4 PEs": ({"pe_per_tile": 4}, ("mapping.pes_per_tile=4",)),
    "500 MHz": ({"clk_MHz": 500}, ("technology.clock=500 MHz",)),
    "sram": ({"device": "sram"}, ("profile.device=sram",)),
    "before pooling": ({"name": "VGG9/CIFAR10 unpooled out_dim"}, ("profile.pooling=before",)),
    "kernel given": ({}, ("profile.kernel=3",)),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_the_architecture_reach_the_tool(setting: str) -> None:
    wanted, overrides = SETTINGS[setting]
    default = {"name": "VGG9/CIFAR10", "xbar_size": 64, "pe_per_tile": 8, "clk_MHz": 250, "device": "rram",
               "time_steps": 5}  # fmt: skip
    (run, *_) = (run for run in RUNS if all(run[key] == value for key, value in (default | wanted).items()))
    result = simulated("vgg9_cifar10", *overrides)
    theirs = run["energy_total_pJ"], run["latency_ns"], run["area_um2"]["total_printed"]
    assert as_printed(result) == pytest.approx(theirs, rel=SUMS)
    printed = "; ".join(line.strip() for line in run["stdout"])
    assert f"the script prints: {printed}" in result.notes


@pytest.mark.parametrize(
    ("workload", "name", "timesteps"),
    [
        ("vgg5_cifar10", "VGG5/CIFAR10", 5),
        ("vgg9_tinyimagenet", "VGG9/TinyImageNet(64x64)", 4),
        ("vgg16_tinyimagenet", "VGG16/TinyImageNet(64x64)", 2),
        ("vgg9", "VGG9/CIFAR10", 3),
    ],
)
def test_shipped_networks(workload: str, name: str, timesteps: int) -> None:
    (run,) = (run for run in RUNS if (run["name"], run["time_steps"]) == (name, timesteps) and run["xbar_size"] == 64)
    result = simulated(workload, timesteps=timesteps)
    energy, latency, area = as_printed(result)
    assert energy == pytest.approx(run["energy_total_pJ"], rel=SUMS)
    assert area == pytest.approx(run["area_um2"]["total_printed"], rel=SUMS)
    by_layer = [joules * 1e12 for joules in result.energy_by("layer").values()]
    assert by_layer == pytest.approx(run["energy_layerwise_pJ"], rel=SUMS)
    if run["latency_ns"] is None:
        assert any("stops with an IndexError beyond 12" in note for note in result.notes)
    else:
        assert latency == pytest.approx(run["latency_ns"], rel=SUMS)


def test_rows_add_up_to_the_totals() -> None:
    result = simulated()
    parts = {metric: math.fsum(row.value for row in result.rows if row.metric == metric)
             for metric in ("energy", "area", "latency")}  # fmt: skip
    names = {"energy": "energy_J", "area": "area_m2", "latency": "latency_s"}
    assert all(parts[metric] == pytest.approx(result.totals[name], rel=SUMS) for metric, name in names.items())
    assert result.totals["cycles"] == 26 * 604160
    assert result.totals["cycles"] / 250e6 == pytest.approx(result.totals["latency_s"], rel=SUMS)
    assert all(row.source for row in result.rows if row.metric in ("energy", "area", "count"))
    assert {row.sample for row in result.rows if row.metric == "area"} == {None}, "area belongs to no sample"
    cycles = [row.value for row in result.rows if (row.component, row.action) == ("pe", "activation")]
    assert cycles == [5 * n for n in (1024, 256, 512, 256, 512, 1024, 256)]


def test_a_layer_by_hand(tmp_path: Path) -> None:
    """20 channels to 12 filters of 5 x 5 on a 9 x 7 map, arrays of 8, from an imported shape table: P = 3 x 2."""
    table = tmp_path / "odd.yaml"
    table.write_text(
        "schema: hwsim/shapes/1\nname: odd\ntimesteps: 3\ndensity: 0.2\nlayers:\n"
        "  - {name: a, op: conv2d, input: [20, 9, 7], channels: 12, kernel: 5, padding: 2}\n",
        encoding="utf-8",
    )
    spec, arrays = import_file(str(table))
    save(str(tmp_path / "odd.npz"), spec, arrays)
    result = simulated(str(tmp_path / "odd.npz"), "crossbar.rows=8", "crossbar.columns=8", "mapping.pes_per_tile=4",
                       "technology.clock=100 MHz", timesteps=3)  # fmt: skip
    pe = 25 * 1.76423 + 2.03084 + 0.094245
    cycle = 157.12 + 4.64 + 5.096 + pe + 16 * 1.15e-6 + 0.2 + 397
    tile = 13411.41498 + 484.643999 + 0.7391 * 8192 + 4 * (25 * 26.2144 + 693.633 + 45.9) + 433660
    memory = 0.7391 * 22 * (20 * 63 + 12 * 63)
    expected = 3 * 6 * 63 * cycle, 3 * 63 * 12 * 260.0, 2 * tile + memory
    assert as_printed(result) == pytest.approx(expected, rel=SUMS)
    assert any("square maps" in note for note in result.notes)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    size=st.integers(1, 300), kernel=st.integers(1, 7), per_tile=st.integers(1, 20), timesteps=st.integers(1, 9),
    channels=st.lists(st.integers(1, 600), min_size=2, max_size=15),
)  # fmt: skip
def test_any_chain_of_layers(size: int, kernel: int, per_tile: int, timesteps: int, channels: list[int]) -> None:
    pairs = list(zip(sorted(channels), sorted(channels)[1:], strict=False))  # growing: in the script's order
    chain = [conv(f"c{i}", 8, c, m, kernel=kernel, pad=kernel // 2) for i, (c, m) in enumerate(pairs)]
    run = profiles.get("spikesim-ela").run
    options = {"rows": size, "pes_per_tile": per_tile}
    once, often = run(chain, **options), run(chain, timesteps=timesteps, **options)
    assert often.total_energy_J == pytest.approx(timesteps * once.total_energy_J, rel=SUMS)
    assert once.area_m2 == often.area_m2
    P = chain[0].P
    last = chain[-1].M * P
    done = [3 * layer.M * P // 4 for layer in chain[:-1]]
    assert often.cycles == 26 * timesteps * (sum(done) + last)
    blocks = [math.ceil(c / size) * math.ceil(m / size) for c, m in pairs]
    assert once.counter("pe_activations") == P * sum(blocks)
    assert f"No. of Tiles {math.ceil(sum(blocks) / per_tile):.1f}" in once.printed


# --- where the tool stops --------------------------------------------------------------------------------------------


def test_falling_number_of_pes_is_an_error_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        simulated("resnet18_tinyimagenet")
    (problem,) = caught.value.problems
    assert problem.where.endswith("resnet18_tinyimagenet.yaml: layer 'stage2_block1_shortcut'")
    assert "2 PEs after 4 of layer 'stage2_block1_conv2'" in problem.message
    assert problem.hint == "--set profile.order=ignore goes on with its formulas"
    result = simulated("resnet18_tinyimagenet", "profile.order=ignore")
    assert any(note.startswith("layer 'stage2_block1_shortcut' has 2 PEs after 4") for note in result.notes)
    assert any("9 positions also for stage2_block1_shortcut" in note for note in result.notes)
    assert not any("the script prints:" in note for note in result.notes)


def test_equal_numbers_are_in_order_and_rounding_decides() -> None:
    """64 then 3 channels: one PE each, so the first check passes; the second, without rounding up, does not."""
    result = profiles.get("spikesim-ela").run([conv("a", 8, 64, 64, pad=1), conv("b", 8, 3, 64, pad=1)])
    assert any("prints no latency" in note for note in result.notes)
    assert result.printed[-1] == "Check layer order"
    fits = profiles.get("spikesim-ela").run([conv("b", 8, 3, 64, pad=1), conv("a", 8, 64, 64, pad=1)])
    assert fits.printed[-1].startswith(" Final Latency")
    assert not any("prints no latency" in note for note in fits.notes)


def test_a_network_smaller_than_one_array_never_ends_in_the_tool() -> None:
    layers = [conv("a", 8, 3, 16, pad=1), conv("b", 8, 16, 32, pad=1)]
    result = profiles.get("spikesim-ela").run(layers)
    assert any("does not end" in note for note in result.notes)
    assert result.printed[-1] == "Layers in order" and result.cycles > 0
    alone = profiles.get("spikesim-ela").run([conv("a", 8, 64, 64, pad=1)])
    assert alone.printed[-1].startswith(" Final Latency")
    result = profiles.get("spikesim-ela").run(layers, rows=16)
    assert not any("does not end" in note for note in result.notes)


def test_twelve_layers_are_the_most() -> None:
    layers = [conv(f"c{i}", 4, 64, 64, pad=1) for i in range(13)]
    run = profiles.get("spikesim-ela").run
    assert run(layers[:12]).printed[-1].startswith(" Final Latency")
    assert run(layers).printed[-1] == "Layers in order"


def test_linear_layers_are_left_out_and_said() -> None:
    layers = [conv("a", 8, 64, 64, pad=1), linear("fc", 4096, 10)]
    result = profiles.get("spikesim-ela").run(layers)
    assert [layer.name for layer in result.layers] == ["a"]
    assert any("not mapped: fc" in note for note in result.notes)


def test_a_pooled_layer_counts_what_its_pooling_leaves() -> None:
    layers = [conv("a", 8, 64, 64, pad=1), conv("b", 4, 64, 64, pad=1)]
    run = profiles.get("spikesim-ela").run
    after, before = (run(layers, pooling=pooling, pooled_sizes=[(4, 4), (4, 4)]) for pooling in ("after", "before"))
    assert [layer.counters["pe_activations"] for layer in after.layers] == [16, 16]
    assert [layer.counters["pe_activations"] for layer in before.layers] == [64, 16]
    assert any("profile.pooling" in note for note in after.notes)


def test_pools_are_followed_while_nothing_else_takes_the_output() -> None:
    def layer(name: str, op: str, taken: str, shape: tuple[int, ...]) -> Layer:
        return Layer(name, op, (taken,), output_shape=shape)

    chain = [layer("a", "conv2d", "input", (8, 16, 12)), layer("p", "maxpool", "a", (8, 8, 6)),
             layer("q", "avgpool", "p", (8, 4, 3)), layer("b", "conv2d", "q", (8, 4, 3)),
             layer("r", "maxpool", "b", (8, 2, 1)), layer("c", "conv2d", "b", (8, 4, 3)),
             layer("d", "conv2d", "c", (8, 4, 3)), layer("fc", "linear", "d", (10,))]  # fmt: skip
    net: Any = SimpleNamespace(layers=chain)
    chosen = [part for part in chain if part.has_weights]
    assert pooled_sizes(net, chosen) == [(4, 3), (4, 3), (4, 3), (4, 3), (1, 1)]


@pytest.mark.parametrize(
    ("overrides", "options", "message"),
    [
        (["crossbar.rows=32"], {}, "array of 32 x 64: profile spikesim-ela knows square arrays only"),
        (["profile.device=srm"], {}, "no price for device 'srm'; did you mean 'sram'"),
        (["adc.bits=4 bit"], {}, "reads crossbar.rows, crossbar.columns, mapping.pes_per_tile and"),
        (["adc.bits=4 bit"], {}, "profile.device, profile.kernel, profile.pooling, profile.order"),
        (["profile.kernl=5"], {}, "has no setting 'kernl'; did you mean 'kernel'"),
        (["profile.kernel=x"], {}, "kernel must be a whole number of at least 1, not 'x'"),
        (["profile.kernel=0"], {}, "kernel must be a whole number of at least 1, not '0'"),
        (["profile.pooling=never"], {}, "pooling must be after or before, not 'never'"),
        (["profile.order=sort"], {}, "order must be stop or ignore, not 'sort'"),
        ([], {"dataflow": "os"}, "has one dataflow, 'ela', not 'os'"),
        ([], {"layers": (7, 9)}, "maps convolutions only, and there is none"),
    ],
)
def test_mistakes_are_said(overrides: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        simulated("vgg9_cifar10", *overrides, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (LayerShape("g", 8, 8, 4, 4, 3, 3, groups=2), {}, "knows no grouped convolutions"),
        (conv("a", 8, 4, 4), {"rows": 0}, "must all be above zero"),
        (conv("a", 8, 4, 4), {"pes_per_tile": 0}, "must all be above zero"),
        (conv("a", 8, 4, 4), {"clock_Hz": 0.0}, "must all be above zero"),
        (conv("a", 8, 4, 4), {"timesteps": 0}, "timesteps must be at least 1"),
        (conv("a", 8, 4, 4), {"pooled_sizes": []}, "0 output sizes for 1 layers"),
    ],
)
def test_mistakes_in_python(layer: LayerShape, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        profiles.get("spikesim-ela").run([layer], **options)


def test_other_architectures_and_settings_of_other_profiles() -> None:
    with pytest.raises(SpecError, match="component 'crossbar' is missing"):
        hwsim.simulate("sata", "vgg9_cifar10", profile="spikesim-ela")
    with pytest.raises(SpecError, match="component 'array' is missing"):
        hwsim.simulate("spikesim", "vgg9_cifar10", profile="sata-2024")
    with pytest.raises(SpecError, match="has no setting 'kernel'; It has no settings"):
        hwsim.simulate("sata", "vgg9_cifar10", profile="sata-2024", overrides=["profile.kernel=3"])
