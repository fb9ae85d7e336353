"""Published numbers and outputs of the public tools against what the targets measure; values from tests/data."""

from __future__ import annotations

import pytest

from hwsim.profiles import sata_dataflows
from hwsim.profiles.sata_dataflows import PairRules
from hwsim.reproduce import figures, registry, rule_variants, table_two, tool_runs
from hwsim.reproduce.shapes import layers, published
from hwsim.reproduce.target import REPRODUCED, verdict
from tests.profiles.networks import TABLE_TWO, reference, vgg9

WORKS = sorted(TABLE_TWO)
LAST_FOLD = 4e-6
"""The reference ends the last, partly used column fold of the 10-filter layer as if it were full: 6 T cycles more."""


def test_published_file_says_what_the_reference_says() -> None:
    theirs = reference()["table_II"]["rows"]
    heads = reference()["table_II_workloads_under_2024_head_rules"]["rows"]
    for work, data in published()["table_two"]["works"].items():
        row = theirs[work]
        printed, fed = data["printed"], data["fed"]
        assert data["tool"] == {
            "total": row["recomputed_total_nJ"],
            "baseline": row["recomputed_baseline_nJ"],
            "head": heads[work]["total_nJ"],
        }
        assert (printed["timesteps"], fed["baseline_timesteps"]) == (row["T"], row["baseline_T"])
        assert (fed["sparsity"], fed["baseline_sparsity"]) == (row["sparsity"], row["baseline_sparsity"])
        cells = {"est_nJ": "estimate_nJ", "est_x": "estimate_ratio", "sata_nJ": "sata_nJ", "sata_x": "sata_ratio"}
        for name, key in cells.items():
            assert float(printed[key]) == row["published"][name], (work, key)
        assert printed["accuracy"] == pytest.approx(100 * reference()["published"]["accuracy"][work])
        assert printed["sparsity"] == pytest.approx(100 * reference()["published"]["sparsity"][work])


@pytest.mark.parametrize("work", WORKS)
def test_shipped_tables_are_what_the_estimator_was_fed(work: str) -> None:
    shipped = layers(published()["table_two"]["works"][work]["fed"]["table"])
    sizes = [(layer.H, layer.W, layer.C, layer.M, layer.R, layer.stride_y, layer.pad_y) for layer in shipped]
    assert sizes == [(x.H, x.W, x.C, x.M, x.R, x.stride_y, x.pad_y) for x in TABLE_TWO[work]]


@pytest.mark.parametrize("work", WORKS)
def test_estimated_column(work: str) -> None:
    theirs = reference()["table_II"]["rows"][work]["estimated_nJ_related_work_estimate_py"]
    assert round(table_two.estimated_nJ(work), 2) == theirs


@pytest.mark.parametrize("work", WORKS)
def test_share_of_the_energy_that_follows_the_spikes(work: str) -> None:
    shares = reference()["sparsity_dependent_energy_share_of_total"]
    for baseline in (False, True):
        run = table_two.total(work, baseline)
        gated = run.energy("spike_mac", "accumulate") + run.energy("spad", "access")
        share = gated / run.total_energy_J
        assert share == pytest.approx(shares[f"{work}_base" if baseline else work], rel=1e-9)


@pytest.mark.parametrize("name", sorted(reference()["fig5a_tick_batch_vs_OS"]["rows"]))
def test_rule_set_of_figure_5a_by_part(name: str) -> None:
    row = reference()["fig5a_tick_batch_vs_OS"]["rows"][name]
    network, padding, steps = name.rsplit("_", 2)
    tiny = network == "VGG9-TinyImageNet"
    chosen = vgg9(64, 200) if tiny else vgg9(32, 10)
    rules = PairRules(padding="stored" if padding == "pad1" else "ignored")
    parts = {"dram_i": "ifmap_dram", "dram_w": "weight_dram", "dram_o": "ofmap_dram", "sram_i": "ifmap_sram",
             "sram_w": "weight_sram", "sram_o": "ofmap_sram", "sram_leak": "leakage"}  # fmt: skip
    for theirs, dataflow in (("tick_batch", "tick-batch"), ("os", "os")):
        ours = sata_dataflows.run(chosen, dataflow=dataflow, timesteps=int(steps[1:]), sparsity=0.9, rules=rules)
        tolerance = 1e-12 if tiny else LAST_FOLD
        assert ours.cycles == pytest.approx(row[theirs]["cycles"], rel=tolerance)
        for key, part in parts.items():
            assert ours.memory_J[part] * 1e9 == pytest.approx(row[theirs][key], rel=tolerance), (dataflow, part)


@pytest.mark.parametrize("name", sorted(reference()["fig4b_VGG9_CIFAR10_s0.9"]["rows"]))
def test_rule_set_of_figure_4b(name: str) -> None:
    row = reference()["fig4b_VGG9_CIFAR10_s0.9"]["rows"][name]
    padding, dataflow, steps = name.split("_")
    ours = sata_dataflows.run(
        vgg9(32, 10), dataflow={"tb": "tick-batch", "os": "os"}[dataflow], timesteps=int(steps[1:]), sparsity=0.9,
        rules=PairRules(padding="stored" if padding == "pad1" else "ignored"),
    )  # fmt: skip
    assert ours.movement_J * 1e9 == pytest.approx(row["mem_nJ"], rel=LAST_FOLD)
    assert ours.processing_J * 1e9 == pytest.approx(row["comp_nJ"], rel=LAST_FOLD + 1e-6)
    assert row["cycles"] - ours.cycles == 6 * int(steps[1:])


def test_432_rule_variants() -> None:
    network = layers("vgg9_tinyimagenet")
    found = rule_variants.variants(network, 4, 0.9)
    assert len(found) == 432 == len({(variant.network, variant.rules) for variant in found})
    near = rule_variants.close(found, 62.5)
    assert len(near) == 17
    assert (near[0].network, near[0].rules) == ("VGG9", PairRules())
    at = {(variant.network, variant.rules): variant.saving for variant in found}
    byte = PairRules(spike_word="byte", output_word="byte")
    assert at["VGG9", byte] == pytest.approx(72.8, abs=0.05)
    assert at["VGG9", PairRules(spike_word="byte", output_word="byte", leakage=False)] == pytest.approx(76.4, abs=0.05)
    assert at["VGG9", PairRules(leakage=False)] == pytest.approx(68.7, abs=0.05)
    assert at["VGG9", PairRules(output_word="timesteps")] == pytest.approx(62.1, abs=0.05)
    assert at["VGG9", PairRules(padding="ignored")] == pytest.approx(63.6, abs=0.05)
    assert at["VGG9 convolutions only", PairRules()] == pytest.approx(44.8, abs=0.05)


def test_power_shares_of_figure_5b() -> None:
    theirs = reference()["lif_power_share"]
    for key, bits in (("default_hw_kernels", 8), ("with_16bit_and_gate", 16)):
        neuron, accumulate = figures.powers(bits)
        assert neuron * 1e6 == pytest.approx(theirs[key]["lif_uW"], rel=1e-12)
        assert accumulate * 1e6 == pytest.approx(theirs[key]["mac_uW"], rel=1e-12)
        assert neuron / (neuron + accumulate) == pytest.approx(theirs[key]["share"], rel=1e-12)


def test_early_exit_readings() -> None:
    theirs = reference()["dt_snn"]
    known = registry()
    proportional = known["dt-snn.proportional"].run()
    assert proportional.value == pytest.approx(100 * theirs["published_saving"], abs=1e-9)
    assert proportional.beside[0].ours == pytest.approx(theirs["proportional_model_That_needed"])
    tick_batch = known["dt-snn.tick-batch"].run()
    assert tick_batch.value == pytest.approx(100 * theirs["tick_batch_model_saving_at_That_2.14"], abs=0.05)
    assert tick_batch.beside[1].ours == pytest.approx(100 * theirs["tick_batch_model_saving_at_That_1.46"], abs=0.05)
    assert tick_batch.beside[2].ours == pytest.approx(-1.04, abs=0.005)


def test_real_run_of_the_head() -> None:
    theirs = reference()["sata_sim_inference_real_runs"]["VGG9_CIFAR10_T4_s0.9_true_shapes"]
    total = theirs["computation"]["total"] + theirs["memory"]["total"]
    assert published()["head_run"]["total_nJ"] == pytest.approx(total, rel=1e-15)
    assert tool_runs.vgg9().total_energy_J * 1e9 == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    "group", ["table2.tool", "table2.energy", "table2.improvement", "table2.estimate", "sata-2024"]
)
def test_targets_that_must_be_reproduced(group: str) -> None:
    chosen = [target for target in registry().values() if target.id.startswith(f"{group}.")]
    assert len(chosen) == {"table2.tool": 12, "sata-2024": 8}.get(group, 6)
    assert {target.id: verdict(target, target.run()) for target in chosen} == {t.id: REPRODUCED for t in chosen}
