"""Profiles ``sata-2023`` and ``sata-2024`` against the tools' own outputs."""

from __future__ import annotations

import copy

import pytest

from hwsim import profiles
from hwsim.errors import SpecError
from hwsim.profiles.prices import price_file
from tests.profiles.networks import TABLE_TWO, VGG_LIKE, chain, reference, vgg9

EXACT = 1e-12
"""The same arithmetic in float64, in another order."""

GROUPS = {"lif": "lif", "spad": "spad", "spike-mac": "spike_mac"}


def nJ(joules: float) -> float:
    return joules * 1e9


@pytest.mark.parametrize("work", sorted(TABLE_TWO))
@pytest.mark.parametrize("baseline", [False, True])
def test_twelve_totals_of_the_2023_rules(work: str, baseline: bool) -> None:
    row = reference()["table_II"]["rows"][work]
    timesteps, sparsity = row["baseline_T" if baseline else "T"], row["baseline_sparsity" if baseline else "sparsity"]
    result = profiles.get("sata-2023").run(TABLE_TWO[work], timesteps=timesteps, sparsity=sparsity)
    expected = row["recomputed_baseline_nJ" if baseline else "recomputed_total_nJ"]
    assert nJ(result.total_energy_J) == pytest.approx(expected, rel=EXACT)
    assert result.cycles == row["baseline_cycles" if baseline else "total_cycles"]


@pytest.mark.parametrize("work", sorted(TABLE_TWO))
def test_parts_of_the_2023_rules(work: str) -> None:
    row = reference()["table_II"]["rows"][work]
    result = profiles.get("sata-2023").run(TABLE_TWO[work], timesteps=row["T"], sparsity=row["sparsity"])
    assert result.counter("accumulates") == row["mac_ops"]
    assert result.counter("lif_updates") == row["lif_ops"]
    for theirs, ours in GROUPS.items():
        assert nJ(result.energy(ours)) == pytest.approx(row["comp_nJ"][theirs], rel=EXACT)
    assert nJ(result.energy("dram")) == pytest.approx(row["dram_nJ"], rel=EXACT)
    buffers = [nJ(result.energy(f"{name}_buffer")) for name in ("ifmap", "weight", "ofmap")]
    assert sum(buffers) == pytest.approx(row["sram_nJ"], rel=EXACT)
    leakage = [nJ(result.energy(f"{name}_buffer", "leakage")) for name in ("ifmap", "weight", "ofmap")]
    assert sum(buffers) - sum(leakage) == pytest.approx(row["sram_dynamic_nJ"], rel=EXACT)


@pytest.mark.parametrize("work", sorted(TABLE_TWO))
def test_head_totals_of_the_2024_rules(work: str) -> None:
    row = reference()["table_II_workloads_under_2024_head_rules"]["rows"][work]
    result = profiles.get("sata-2024").run(TABLE_TWO[work], timesteps=row["T"], sparsity=row["s"])
    assert (result.cycles, result.counter("accumulates"), result.counter("lif_updates")) == (
        row["cycles"],
        row["mac"],
        row["lif"],
    )
    assert nJ(result.total_energy_J) == pytest.approx(row["total_nJ"], rel=EXACT)
    for theirs, ours in GROUPS.items():
        assert nJ(result.energy(ours)) == pytest.approx(row["comp_nJ"][theirs], rel=EXACT)


def real_run(name: str) -> tuple[dict, profiles.ProfileResult]:  # type: ignore[type-arg]
    """A run of the tool itself, and ours."""
    if name.startswith("VGG9"):
        layers, timesteps, sparsity = vgg9(32, 10), 4, 0.9
    else:
        layers, timesteps, sparsity = VGG_LIKE, 20, 0.91
    result = profiles.get("sata-2024").run(layers, timesteps=timesteps, sparsity=sparsity)
    return reference()["sata_sim_inference_real_runs"][name], result


@pytest.mark.parametrize("name", ["VGG9_CIFAR10_T4_s0.9_true_shapes", "BNTT_workload_T20_s0.91_head"])
def test_real_run_by_part(name: str) -> None:
    theirs, ours = real_run(name)
    for group, component in GROUPS.items():
        parts = theirs["computation"][group]
        gated = ours.energy(component) - ours.energy(component, "clock") - ours.energy(component, "leakage")
        assert nJ(gated) == pytest.approx(parts["energy-operation"], rel=1e-9)  # a difference of larger numbers
        assert nJ(ours.energy(component, "clock")) == pytest.approx(parts["energy-ungated"], rel=EXACT)
        assert nJ(ours.energy(component, "leakage")) == pytest.approx(parts["energy-leakage"], rel=EXACT)
    for operand in ("ifmap", "weight", "ofmap"):
        action = "write" if operand == "ofmap" else "read"
        buffer = theirs["memory"][f"GLB-{operand}"]
        assert nJ(ours.energy(f"{operand}_buffer", action)) == pytest.approx(buffer[f"{operand}-dynamic"], rel=EXACT)
        assert nJ(ours.energy(f"{operand}_buffer", "leakage")) == pytest.approx(buffer[f"{operand}-leakage"], rel=EXACT)
        dram = theirs["memory"]["DRAM-system"][operand]
        assert nJ(ours.energy("dram", f"{operand}_{action}")) == pytest.approx(dram, rel=EXACT)
    total = theirs["computation"]["total"] + theirs["memory"]["total"]
    assert nJ(ours.total_energy_J) == pytest.approx(total, rel=EXACT)


def test_real_vgg9_counters_of_every_layer() -> None:
    theirs, ours = real_run("VGG9_CIFAR10_T4_s0.9_true_shapes")
    assert ours.cycles == 9_830_759
    for (layer, stat), result in zip(theirs["cycle_stat"].items(), ours.layers, strict=True):
        counters = result.counters
        found = {
            "DRAM Filter Reads": counters["weight_dram_reads"],
            "DRAM IFMAP Reads": counters["ifmap_dram_reads"],
            "DRAM OFMAP Writes": counters["ofmap_dram_writes"],
            "SRAM Filter Reads": counters["weight_sram_reads"],
            "SRAM IFMAP Reads": counters["ifmap_sram_reads"],
            "SRAM OFMAP Writes": counters["ofmap_sram_writes"] // 4,  # the stat file is of one timestep
            "SRAM Filter Cycles": counters["weight_fill_cycles"],
        }
        assert found == {key: stat[key] for key in found}, layer
        last_write = stat["SRAM OFMAP Cycles"] + stat["SRAM OFMAP Start Cycle"]
        assert counters["compute_cycles"] == 4 * last_write, layer


@pytest.mark.parametrize("name", ["T2", "T4", "T8"])
def test_committed_timestep_sweep_with_eyeriss_like_scratchpads(name: str) -> None:
    """Words of T bits, 8-bit outputs, an 8 KiB ifmap buffer, large scratchpads, and the 2023 count of operations."""
    theirs = reference()["sata_committed_T_sweep_eyerisslike_spads"][name]
    timesteps = int(name[1:])
    prices = copy.deepcopy(price_file("sata_2024"))
    prices["rules"]["linear_as_padded_convolution"] = True
    prices["processing_element"]["spad"] = {"gated": "3597.12 uW", "always_on": "911.77 uW", "leakage": "7256 nW"}
    prices["memory"]["ifmap_buffer"] = {"capacity": "8 KiB", "read": "6.65794 pJ", "leakage": "1.81265 mW"}
    result = profiles.get("sata-2024").run(
        VGG_LIKE, timesteps=timesteps, sparsity=0.9, ifmap_bits=timesteps, ofmap_bits=8, prices=prices
    )
    pe = sum(result.energy(component) for component in GROUPS.values())
    assert nJ(pe) == pytest.approx(theirs["computation"]["total"], rel=EXACT)
    memory = theirs["memory"]
    assert nJ(result.energy("dram")) == pytest.approx(memory["dram_total"], rel=EXACT)
    assert nJ(result.energy("ifmap_buffer")) == pytest.approx(memory["GLB-ifmap"]["ifmap-total"], rel=EXACT)
    assert nJ(result.energy("weight_buffer")) == pytest.approx(memory["GLB-weight"]["weight-total"], rel=EXACT)


def test_rows_add_up_to_the_totals() -> None:
    result = profiles.get("sata-2023").run(VGG_LIKE, timesteps=20, sparsity=0.91)
    rows = list(result.rows())
    assert sum(row.value for row in rows if row.metric == "energy") == pytest.approx(result.total_energy_J, rel=EXACT)
    assert sum(
        row.value
        for row in rows
        if (row.component, row.action) == ("spike_mac", "accumulate") and row.metric == "count"
    ) == (190_041_292)
    assert all(row.source for row in rows)
    assert result.latency_s == pytest.approx(result.cycles / 400e6, rel=EXACT)


def test_sparsity_changes_gated_energy_only() -> None:
    dense = profiles.get("sata-2024").run(VGG_LIKE, timesteps=4, sparsity=0.0)
    sparse = profiles.get("sata-2024").run(VGG_LIKE, timesteps=4, sparsity=0.9)
    changed = {"spike_mac": "accumulate", "spad": "access"}
    for before, after in zip(dense.layers, sparse.layers, strict=True):
        for key, joules in before.energy_J.items():
            assert (after.energy_J[key] < joules) == (changed.get(key[0]) == key[1])
        assert {k: v for k, v in before.counters.items() if k != "accumulates"} == {
            k: v for k, v in after.counters.items() if k != "accumulates"
        }


def test_densities_equal_to_one_sparsity_give_the_same_counts() -> None:
    one = profiles.get("sata-2023").run(VGG_LIKE, timesteps=3, sparsity=0.75)
    each = profiles.get("sata-2023").run(VGG_LIKE, timesteps=3, densities=[0.25] * len(VGG_LIKE))
    assert one.layers == each.layers
    mixed = profiles.get("sata-2023").run(VGG_LIKE, timesteps=3, densities=[1.0] + [0.0] * (len(VGG_LIKE) - 1))
    assert mixed.counter("accumulates") == 3 * 32 * 32 * 64 * 27


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 1.5}, "between 0 and 1"),
        ({"densities": [0.1]}, "1 densities for 9 layers"),
        ({"dataflow": "os"}, "one dataflow"),
        ({"rows": -1}, "at least 1"),
        ({"timesteps": 0}, "timesteps must be at least 1"),
        ({"padding": "both"}, "'stored' or 'ignored'"),
    ],
)
def test_mistakes_are_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        profiles.get("sata-2023").run(VGG_LIKE, **options)


def test_kernel_that_does_not_fit() -> None:
    with pytest.raises(SpecError, match="does not fit"):
        profiles.get("sata-2023").run(chain((2, 3, 4)))


def test_unknown_profile() -> None:
    with pytest.raises(SpecError, match="did you mean 'sata-2023'"):
        profiles.get("sata2023")
