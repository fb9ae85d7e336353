"""Switches of the machine: early exit, shared LIF units, membrane bits, MACs, zeros, single buffers, layers."""

from __future__ import annotations

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
    assert ran == [0, 1, 2, 3]
    assert resumed.to_json() == whole.to_json() and resumed.rows == whole.rows
    assert not list(tmp_path.iterdir())


def test_batch_normalisation_through_time_scales_every_neuron(tmp_path):
    """BNTT: factors differ by timestep, so each neuron is scaled at each; plain BN is folded and costs nothing."""
    plain = network(tmp_path / "bn.npz", normalise="layer")
    through_time = network(tmp_path / "bntt.npz", normalise="timestep")
    assert total(simulate_activity("sata", plain)[1], "lif", "scale") == 0
    assert total(simulate_activity("sata", through_time)[1], "lif", "scale") == 3 * 8 * 64
