"""Switches of the machine: early exit, shared LIF units, membrane bits, MACs, zeros, single buffers, layers."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import SpecError
from hwsim.network.exit import exit_timesteps
from hwsim.run import simulate, simulate_activity
from tests.machines.tiny import network


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return network(tmp_path_factory.mktemp("w") / "tiny.npz", timesteps=4, samples=6)


def total(activity, component, action):
    return sum(v for (_, _, _, c, a), v in activity.counts.items() if (c, a) == (component, action))


def early(threshold, block=1):
    return [f"options.early_exit={{threshold: {threshold}, block: {block}}}"]


def test_early_exit_stops_where_the_network_says(tiny):
    runner, activity = simulate_activity("sata", tiny, dataflow="os/network", overrides=early(0.9), samples=6)
    full, _ = simulate_activity("sata", tiny, dataflow="os/network", samples=6)
    expected = [exit_timesteps(runner.machine.exit_rule, full.spikes(n).logits) for n in range(6)]
    assert [outcome.timesteps for outcome in activity.outcomes] == expected
    assert len(set(expected)) > 1
    checks = sum(min(stop, 3) for stop in expected)
    assert total(activity, "entropy", "evaluate") == 4 * checks


def test_an_exit_saves_energy_and_time(tiny):
    always = simulate("sata", tiny, dataflow="os/network", overrides=early(1.0), accuracy=0)
    never = simulate("sata", tiny, dataflow="os/network", overrides=early(0.0), accuracy=0)
    assert always.totals["energy_J"] < 0.5 * never.totals["energy_J"]
    assert always.totals["cycles"] < 0.5 * never.totals["cycles"]


def test_the_entropy_unit_takes_its_cycles(tiny):
    slow = ["entropy.cycles_per_class=1000", *early(0.0)]
    fast = simulate("sata", tiny, dataflow="os/network", overrides=early(0.0), accuracy=0)
    waited = simulate("sata", tiny, dataflow="os/network", overrides=slow, accuracy=0)
    assert waited.totals["cycles"] - fast.totals["cycles"] == 3 * 4 * (1000 - 3)


@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is", "ws/inner"))
def test_a_schedule_that_cannot_exit_is_refused(tiny, dataflow):
    with pytest.raises(SpecError, match="early exit needs a dataflow with time 'network' or 'block'"):
        simulate("sata", tiny, dataflow=dataflow, overrides=early(0.5))


def test_blocks_exit_at_their_ends_only(tiny):
    _, activity = simulate_activity("sata", tiny, dataflow="os/block:2", overrides=early(0.9), samples=6)
    assert {outcome.timesteps for outcome in activity.outcomes} <= {2, 4}


@pytest.mark.parametrize("share", (2, 4, 8))
@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is"))
def test_shared_lif_units_take_turns(tiny, share, dataflow):
    """n channels share a unit: 1/n of the units, the same updates, spikes as the network with shared membranes."""
    alone = simulate_activity("sata", tiny, dataflow=dataflow)[0]
    runner, activity = simulate_activity("sata", tiny, dataflow=dataflow, overrides=[f"options.lif_sharing={share}"])
    assert runner.machine.lif_units == alone.machine.lif_units // share
    updates = {"conv1": 8 * 64, "conv2": 16 * 64, "fc1": 24}
    assert total(activity, "lif", "update") == 4 * sum(updates.values())


def test_sharing_must_fit_the_array(tiny):
    with pytest.raises(SpecError, match="16 channels cannot share a LIF unit on an array of 16 x 8 PEs"):
        simulate("sata", tiny, overrides=["options.lif_sharing=16"])


def test_sharing_costs_time_only_where_lif_is_the_bottleneck(tiny):
    """fc2's fold is long, conv1's short: with 8 channels to a unit the excess is a stall, booked as lif."""
    _, plain = simulate_activity("sata", tiny)
    _, shared = simulate_activity("sata", tiny, overrides=["options.lif_sharing=8"])
    stall = {key: sum(v for (_, _, c, s), v in a.cycles.items() if (c, s) == ("array", "stall:lif"))
             for key, a in (("plain", plain), ("shared", shared))}  # fmt: skip
    assert stall["shared"] > stall["plain"]
    assert shared.ticks[0] - plain.ticks[0] == stall["shared"] - stall["plain"]


def test_membrane_bits_change_price_area_and_function(tiny):
    wide = simulate("sata", tiny, accuracy=6)
    narrow = simulate("sata", tiny, accuracy=6, overrides=["lif.membrane_bits=4 bit"])
    assert narrow.totals["area_m2"] < wide.totals["area_m2"]
    update = {r.totals["area_m2"]: sum(row.value for row in r.rows if (row.component, row.action, row.metric) ==
                                       ("lif", "update", "energy")) for r in (wide, narrow)}  # fmt: skip
    assert update[narrow.totals["area_m2"]] < update[wide.totals["area_m2"]]


def array_busy(activity, layer):
    return sum(v for (_, at, c, state), v in activity.cycles.items() if (at, c, state) == (layer, "array", "busy"))


def accumulates(activity, layer):
    return {t: v for (_, at, t, c, a), v in activity.counts.items() if (at, c, a) == (layer, "pe", "accumulate")}


def test_a_held_current_is_computed_once(tiny):
    """conv1: 4 folds of 8 planes x 18 elements, skew 22; at 24 bits the psum spad holds 2 of 4 timesteps, a held sum
    needs none of it. The network's outputs stay (a run asserts them), and so do the other layers."""
    runner, again = simulate_activity("sata", tiny)
    _, held = simulate_activity("sata", tiny, overrides=["options.hold_current=true"])
    assert runner.schedules[0].work.psum_bits == 24
    assert array_busy(again, 0) == 4 * 2 * (2 * 144 + 22)
    assert array_busy(held, 0) == 4 * (144 + 22)
    assert sum(accumulates(again, 0).values()) == 4 * accumulates(held, 0)[0] == 4 * sum(accumulates(held, 0).values())
    assert set(accumulates(again, 0)) == {0, 1, 2, 3} and set(accumulates(held, 0)) == {0}
    assert again.operations[0, 0] == 4 * held.operations[0, 0]
    assert [accumulates(held, layer) for layer in (1, 2)] == [accumulates(again, layer) for layer in (1, 2)]
    assert np.array_equal(again.outcomes[0].output, held.outcomes[0].output)
    assert total(held, "lif", "update") == total(again, "lif", "update")


def test_a_held_current_of_many_timesteps(tiny):
    """Twelve timesteps: passes of 8 and 4, an output word has 8 bits; the second pass is only a marker."""
    _, held = simulate_activity("sata", tiny, timesteps=12, overrides=["options.hold_current=true"])
    assert array_busy(held, 0) == 4 * (144 + 22) + 4 * (1 + 22)
    assert set(accumulates(held, 0)) == {0}


def test_blocks_of_timesteps_compute_a_held_current_again(tiny):
    options = {"dataflow": "os/block:2", "overrides": ["options.hold_current=true"]}
    _, held = simulate_activity("sata", tiny, **options)
    assert array_busy(held, 0) == 2 * 4 * (144 + 22)
    assert set(accumulates(held, 0)) == {0, 2}


@pytest.mark.parametrize("dataflow", ("os", "ws", "is", "ws/inner", "is/inner", "os/network", "ws/block:2"))
def test_a_current_cannot_be_held_outside_the_pes(tiny, dataflow):
    with pytest.raises(SpecError, match=f"with '{dataflow}' it would have to wait outside the PE between timesteps"):
        simulate("sata", tiny, dataflow=dataflow, overrides=["options.hold_current=true"])


@pytest.mark.parametrize("dataflow", ("tick-batch", "ws/inner", "is/inner"))
@pytest.mark.parametrize("zeros", ("ignored", "gated", "skipped"))
def test_accumulates_belong_to_timesteps_whatever_zeros_do(tiny, dataflow, zeros):
    """Time inside a tile leaves no accumulate without a timestep; they add up to those of a timestep per tile."""
    overrides = ["options.zero_weights=gated", f"options.zero_spikes={zeros}"]
    _, inside = simulate_activity("sata", tiny, dataflow=dataflow, overrides=overrides)
    _, outside = simulate_activity("sata", tiny, dataflow="os", overrides=overrides)
    assert [accumulates(inside, layer) for layer in range(4)] == [accumulates(outside, layer) for layer in range(4)]


def test_single_buffers_take_longer(tiny):
    one = simulate("sata", tiny, accuracy=0, dataflow="ws", overrides=["options.double_buffering=false",
                                                                     "weight_buffer.capacity=1 KiB"])  # fmt: skip
    two = simulate("sata", tiny, accuracy=0, dataflow="ws", overrides=["weight_buffer.capacity=2 KiB"])
    assert one.totals["cycles"] > two.totals["cycles"]


def test_bandwidth_unlimited_is_never_slower(tiny):
    cycles = [simulate("sata", tiny, accuracy=0, dataflow="os", overrides=[f"dram.bandwidth={value}"]).totals["cycles"]
              for value in ("unlimited", "12.8 GB/s", "0.4 GB/s")]  # fmt: skip
    assert cycles[0] < cycles[1] < cycles[2]


def test_skipped_zeros_save_cycles_and_need_a_detector(tiny):
    _, kept = simulate_activity("sata", tiny, dataflow="os")
    _, skipped = simulate_activity("sata", tiny, dataflow="os", overrides=["options.zero_spikes=skipped"])
    assert skipped.ticks[0] < kept.ticks[0]
    assert total(skipped, "zero_detector", "detect") > 0 == total(kept, "zero_detector", "detect")
    assert total(skipped, "pe", "accumulate") == total(kept, "pe", "accumulate")


def test_ignored_zeros_cost_like_ones(tiny):
    _, kept = simulate_activity("sata", tiny, dataflow="os")
    _, ignored = simulate_activity("sata", tiny, dataflow="os", overrides=["options.zero_spikes=ignored"])
    dense = 4 * (8 * 64 * 18 * 8 + 16 * 64 * 72 + 24 * 256 + 4 * 24)
    assert total(ignored, "pe", "accumulate") == dense > total(kept, "pe", "accumulate")
    assert ignored.ticks == kept.ticks


def test_some_layers_only(tiny):
    _, activity = simulate_activity("sata", tiny, layers=(1, 3))
    assert {layer for _, layer, *_ in activity.counts} == {1, 2}
    with pytest.raises(SpecError, match="tiny0 has layers with weights 0 to 3"):
        simulate("sata", tiny, layers=(2, 9))


def test_float_weights_run_too(tmp_path):
    path = network(tmp_path / "f.npz", kind="float")
    result = simulate("sata", path, accuracy=0)
    assert result.totals["energy_J"] > 0


def test_more_timesteps_than_the_scratchpad_holds(tiny):
    """Ten timesteps at 16-bit psums: passes of 4, 4 and 2 with the membrane kept, weights read once per pass."""
    _, few = simulate_activity("sata", tiny, timesteps=4, layers=(1, 2))
    _, many = simulate_activity("sata", tiny, timesteps=10, layers=(1, 2))
    reads = [sum(v for (_, _, t, c, a), v in activity.counts.items() if (c, a) == ("weight_buffer", "read"))
             for activity in (few, many)]  # fmt: skip
    assert reads[1] == 3 * reads[0]


def test_words_taken_whole_cost_multiplications_and_save_planes(tiny):
    """conv1 sees 8-bit pixels: eight planes of accumulates, or one multiplication each; the spikes are the same."""
    serial = simulate("sata", tiny, accuracy=0)
    whole = simulate("sata", tiny, accuracy=0, overrides=["options.direct_input=mac"])
    _, counted = simulate_activity("sata", tiny, overrides=["options.direct_input=mac"], layers=(0, 1))
    assert total(counted, "multiplier", "multiply") == total(counted, "pe", "accumulate") > 0
    assert total(counted, "pe", "shift") == 0
    assert whole.totals["cycles"] < serial.totals["cycles"]
    assert whole.totals["area_m2"] > serial.totals["area_m2"]


def test_an_interrupted_run_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    """Finished samples in the run folder are taken over; the result is the same bytes."""
    from hwsim.machines.systolic.run import Runner

    whole = simulate("sata", tiny, samples=4, accuracy=0)
    ran, run_one = [], Runner.run_one

    def stop_at_two(self, number, machine=None):
        if number == 2:
            raise KeyboardInterrupt
        return count(self, number, machine)

    def count(self, number, machine=None):
        ran.extend([number] if machine is None else [])
        return run_one(self, number, machine)

    monkeypatch.setattr(Runner, "run_one", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        simulate("sata", tiny, samples=4, accuracy=0, out=tmp_path)
    monkeypatch.setattr(Runner, "run_one", count)
    resumed = simulate("sata", tiny, samples=4, accuracy=0, out=tmp_path)
    assert ran == [0, 1, 2, 3, 0]  # the last one for the intervals of time, which need sample 0 itself
    assert resumed.to_json() == whole.to_json() and resumed.rows == whole.rows
    assert not list(tmp_path.iterdir())


def test_batch_normalisation_through_time_scales_every_neuron(tmp_path):
    """BNTT: factors differ by timestep, so each neuron is scaled at each; plain BN is folded and costs nothing."""
    plain = network(tmp_path / "bn.npz", normalise="layer")
    through_time = network(tmp_path / "bntt.npz", normalise="timestep")
    assert total(simulate_activity("sata", plain)[1], "lif", "scale") == 0
    assert total(simulate_activity("sata", through_time)[1], "lif", "scale") == 3 * 8 * 64


def test_an_exit_that_can_never_be_taken_is_refused(tiny):
    notes = simulate("sata", tiny, dataflow="os/block:4", overrides=early(0.5), accuracy=0).notes
    assert "early exit looks every 4 timesteps, that is at the end: it saves nothing" in notes
    with pytest.raises(SpecError, match="early exit looks every 6 timesteps; the run has 4"):
        simulate("sata", tiny, dataflow="os/block:2", overrides=early(0.5, block=3))
    with pytest.raises(SpecError, match="needs the whole network"):
        simulate("sata", tiny, dataflow="os/network", overrides=early(0.5), layers=(0, 1))


def buffer_reads(activity, buffer):
    return sum(v for (_, _, _, c, a), v in activity.counts.items() if (c, a) == (buffer, "read"))


def test_spikes_may_be_stored_timestep_by_timestep(tiny):
    """Words of one timestep: four passes instead of one, so weights are read four times; the spikes are the same.

    Input lines do not change here: a channel of 8 x 8 words of 4 bits is one line of 256 bits, so 8 channels are 8
    lines for each of 4 x 2 folds; of 1 bit, four channels share a line, 2 lines in each of four passes.
    """
    _, packed = simulate_activity("sata", tiny, layers=(1, 2))
    _, single = simulate_activity("sata", tiny, layers=(1, 2), overrides=["options.spike_packing=1"])
    assert buffer_reads(single, "weight_buffer") == 4 * buffer_reads(packed, "weight_buffer")
    assert buffer_reads(single, "ifmap_buffer") == buffer_reads(packed, "ifmap_buffer") == 8 * 4 * 2
    assert total(single, "pe", "accumulate") == total(packed, "pe", "accumulate")


@pytest.mark.parametrize("dataflow", ("tick-batch", "os", "ws", "is"))
def test_padding_may_be_stored(tiny, dataflow):
    """10 x 10 instead of 8 x 8 positions: more is fetched and read, the array's cycles and sums stay."""
    _, edge = simulate_activity("sata", tiny, dataflow=dataflow, layers=(1, 2))
    stored_option = ["options.padding=stored"]
    _, stored = simulate_activity("sata", tiny, dataflow=dataflow, layers=(1, 2), overrides=stored_option)
    fetched = [a.counts[0, 1, -1 if dataflow == "tick-batch" else 0, "dram", "read"] for a in (edge, stored)]
    assert fetched[1] > fetched[0]
    assert total(stored, "pe", "accumulate") == total(edge, "pe", "accumulate")
    busy = [a.cycles[0, 1, "array", "busy"] for a in (edge, stored)]
    assert busy[0] == busy[1]


def test_membranes_without_traffic_are_an_accounting_and_say_so(tiny):
    counted = simulate("sata", tiny, dataflow="os", accuracy=0)
    free = simulate("sata", tiny, dataflow="os", accuracy=0, overrides=["options.membrane_traffic=false"])
    assert free.totals["energy_J"] < counted.totals["energy_J"]
    assert any("an accounting, not a schedule" in note for note in free.notes)
    assert not any("an accounting, not a schedule" in note for note in counted.notes)
