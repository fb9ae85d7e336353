"""Workloads with wrong keys, values, graphs and shapes, and what each is answered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.broken_files import Cases, message_of, with_spec

CASES: Cases = {}


def spec_case(name: str, expected: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """A case of a changed spec; KEY stands for 'FILE: member spec, key'."""
    CASES[name] = (with_spec(change), expected.replace("KEY ", "FILE: member spec, key "))


spec_case(
    "unknown_key",
    (
        "KEY layers[0].kernal: unknown key 'kernal' in layers[0]\n"
        "  did you mean 'kernel'? Keys allowed here: name, op, inputs, channels, kernel, stride, padding, "
        "dilation, groups, weights, bias, bn, neuron."
    ),
    lambda spec: spec["layers"][0].update(kernal=3),
)
spec_case(
    "unknown_key_at_the_top",
    (
        "KEY timestep: unknown key 'timestep'\n"
        "  did you mean 'timesteps'? Keys allowed here: schema, kind, name, timesteps, input, layers, "
        "output, samples, classes, training."
    ),
    lambda spec: spec.update(timestep=4),
)
spec_case(
    "unknown_op",
    (
        "KEY layers[1].op: op must be one of conv1d, conv2d, linear, avgpool, maxpool, sumpool, flatten, "
        "reshape, add, concat, found 'maxpol'\n"
        "  did you mean 'maxpool'?"
    ),
    lambda spec: spec["layers"][1].update(op="maxpol"),
)
spec_case(
    "matmul_is_later",
    (
        "KEY layers[1].op: op 'matmul' (a product of two activations, spiking attention) comes later: it "
        "is not simulated yet\n"
        "  Ops: conv1d, conv2d, linear, avgpool, maxpool, sumpool, flatten, reshape, add, concat."
    ),
    lambda spec: spec["layers"][1].update(op="matmul"),
)
spec_case(
    "missing_key",
    "KEY layers[3]: key 'channels' is missing; it must be an integer of at least 1",
    lambda spec: spec["layers"][3].pop("channels"),
)
spec_case(
    "negative_size",
    "KEY layers[0].channels: channels must be an integer of at least 1, found -4",
    lambda spec: spec["layers"][0].update(channels=-4),
)
spec_case(
    "kernel_of_three_sizes",
    "KEY layers[0].kernel: kernel must be 1 or 2 integers of at least 1, found [3, 3, 3]",
    lambda spec: spec["layers"][0].update(kernel=[3, 3, 3]),
)
spec_case(
    "no_timesteps",
    "KEY timesteps: timesteps must be an integer from 1 to 1024, found 0",
    lambda spec: spec.update(timesteps=0),
)
spec_case(
    "too_many_timesteps",
    "KEY timesteps: timesteps must be an integer from 1 to 1024, found 1025",
    lambda spec: spec.update(timesteps=1025),
)
spec_case(
    "timesteps_as_truth",
    "KEY timesteps: timesteps must be an integer from 1 to 1024, found true",
    lambda spec: spec.update(timesteps=True),
)
spec_case(
    "leak_above_one",
    "KEY layers[0].neuron.leak: leak must be a number from 0 to 1, or {shift: n}, found 1.5",
    lambda spec: spec["layers"][0]["neuron"].update(leak=1.5),
)
spec_case(
    "leak_of_an_if",
    "KEY layers[0].neuron.leak: leak must be 1 or absent (an if neuron does not leak), found 0.9",
    lambda spec: spec["layers"][0]["neuron"].update(type="if", leak=0.9),
)
spec_case(
    "shift_of_nothing",
    "KEY layers[0].neuron.leak.shift: shift must be an integer from 1 to 30, found 0",
    lambda spec: spec["layers"][0]["neuron"].update(leak={"shift": 0}),
)
spec_case(
    "threshold_below_zero",
    "KEY layers[0].neuron.threshold: threshold must be a number above 0, or {member: name}, found -1",
    lambda spec: spec["layers"][0]["neuron"].update(threshold=-1),
)
spec_case(
    "unknown_neuron",
    ("KEY layers[0].neuron.type: type must be one of lif, if, relu, none, found 'liff'\n  did you mean 'lif'?"),
    lambda spec: spec["layers"][0]["neuron"].update(type="liff"),
)
spec_case(
    "unknown_reset",
    ("KEY layers[0].neuron.reset: reset must be one of zero, subtract, found 'substract'\n  did you mean 'subtract'?"),
    lambda spec: spec["layers"][0]["neuron"].update(reset="substract"),
)
spec_case(
    "wrong_rounding",
    "KEY layers[0].neuron.membrane.rounding: rounding must be nearest_even, found 'down'",
    lambda spec: spec["layers"][0]["neuron"]["membrane"].update(rounding="down"),
)
spec_case(
    "two_layers_of_one_name",
    (
        "KEY layers[1].name: the name 'conv1' is taken by an earlier layer\n"
        "KEY layers[2].inputs: layer 'flat': unknown input 'pool1'\n"
        "  Inputs possible here: input, conv1."
    ),
    lambda spec: spec["layers"][1].update(name="conv1"),
)
spec_case(
    "name_of_the_input",
    (
        "KEY layers[2].name: the name 'input' stands for the network's input\n"
        "KEY layers[3].inputs: layer 'fc': unknown input 'flat'\n"
        "  Inputs possible here: input, conv1, pool1."
    ),
    lambda spec: spec["layers"][2].update(name="input"),
)
spec_case(
    "name_with_a_slash",
    (
        "KEY layers[2].name: name must be a name of letters, digits, '_', '-' and '.', found 'a/b'\n"
        "KEY layers[3].inputs: layer 'fc': unknown input 'flat'\n"
        "  Inputs possible here: input, conv1, pool1, a/b."
    ),
    lambda spec: spec["layers"][2].update(name="a/b"),
)
spec_case(
    "no_layers", "KEY layers: layers must hold at least one layer, found none", lambda spec: spec.update(layers=[])
)
spec_case(
    "unknown_encoding",
    "KEY input.encoding: encoding must be one of direct, poisson, events, counts, found 'rate'",
    lambda spec: spec["input"].update(encoding="rate"),
)
spec_case(
    "unknown_set",
    (
        "KEY samples.tests: unknown key 'tests' in samples\n"
        "  did you mean 'test'? Keys allowed here: calibration, test, demo, file, sha256, sets."
    ),
    lambda spec: spec["samples"].update(tests=spec["samples"].pop("test")),
)
spec_case(
    "data_file_missing",
    "KEY samples.file: the data file 'd.npz' is not beside the workload",
    lambda spec: spec["samples"].update(file="d.npz", sha256="0" * 64, sets={}),
)
spec_case(
    "data_file_elsewhere",
    ("KEY samples.file: file must be the name of a file beside the workload, without a folder, found '../d.npz'"),
    lambda spec: spec["samples"].update(file="../d.npz", sha256="0" * 64, sets={}),
)


spec_case(
    "unknown_input",
    (
        "KEY layers[2].inputs: layer 'flat': unknown input 'pool2'\n"
        "  did you mean 'pool1'? Inputs possible here: input, conv1, pool1."
    ),
    lambda spec: spec["layers"][2].update(inputs=["pool2"]),
)
spec_case(
    "recurrent",
    (
        "KEY layers[0].inputs: layer 'conv1': the edge from 'pool1' is recurrent and refused: time runs "
        "through membranes only"
    ),
    lambda spec: spec["layers"][0].update(inputs=["pool1"]),
)
spec_case(
    "wrong_order",
    (
        "KEY layers[0].inputs: layer 'flat': its input 'pool1' comes later in the list; layers stand in "
        "topological order"
    ),
    lambda spec: spec["layers"].insert(0, spec["layers"].pop(2)),
)
spec_case(
    "two_inputs_of_a_pool",
    (
        "KEY layers[1].inputs: inputs must be one layer name (only add and concat join inputs, maxpool "
        "takes one), found ['conv1', 'input']"
    ),
    lambda spec: spec["layers"][1].update(inputs=["conv1", "input"]),
)
spec_case(
    "linear_over_an_image",
    (
        "KEY layers[3]: layer 'fc': linear takes [K] or [K, positions], but 'pool1' gives [4, 4, 4]\n"
        "  put a flatten between them"
    ),
    lambda spec: spec["layers"][3].update(inputs=["pool1"]),
)
spec_case(
    "kernel_over_the_edge",
    (
        "KEY layers[1]: layer 'pool1': a kernel that reaches over 9 x 9 does not fit the padded input of 8 "
        "x 8; 'conv1' gives [4, 8, 8]"
    ),
    lambda spec: spec["layers"][1].update(kernel=[9, 9]),
)
spec_case(
    "groups_that_do_not_divide",
    "KEY layers[0]: layer 'conv1': groups 2 must divide its 3 input channels and 4 filters",
    lambda spec: spec["layers"][0].update(groups=2),
)
spec_case(
    "weights_after_currents",
    (
        "KEY layers[3]: layer 'fc': its input 'flat' gives currents (no neuron), but weights multiply "
        "spikes, counts or activations only"
    ),
    lambda spec: spec["layers"][0].update(neuron={"type": "none"}),
)
spec_case(
    "layer_that_leads_nowhere",
    "KEY layers[1]: layer 'lost' leads nowhere: it is no input and not the output",
    lambda spec: spec["layers"].insert(1, {"name": "lost", "op": "flatten"}),
)
spec_case(
    "output_that_cannot_fire",
    "KEY output.decision: decision 'fire' needs spikes, but layer 'fc' gives currents",
    lambda spec: spec["output"].update(decision="fire"),
)
spec_case(
    "output_unknown",
    ("KEY output.layer: layer must be one of conv1, pool1, flat, fc, found 'fc3'\n  did you mean 'fc'?"),
    lambda spec: spec["output"].update(layer="fc3"),
)
spec_case(
    "classes_and_output",
    "KEY classes: classes is 11, but the output layer 'fc' gives [10]",
    lambda spec: spec.update(classes=11),
)


def _add(spec: dict[str, Any]) -> None:
    spec["layers"].insert(2, {"name": "join", "op": "add", "inputs": ["conv1", "pool1"]})


def _scales(spec: dict[str, Any]) -> None:
    spec["layers"][1]["op"] = "avgpool"
    spec["layers"].insert(2, {"name": "other", "op": "maxpool", "inputs": ["conv1"], "kernel": 2})
    spec["layers"].insert(3, {"name": "join", "op": "add", "inputs": ["pool1", "other"]})
    spec["layers"][4]["inputs"] = ["join"]


spec_case(
    "shapes_that_do_not_meet",
    ("KEY layers[2]: layer 'join': add takes equal shapes, but 'conv1' gives [4, 8, 8] and 'pool1' gives [4, 4, 4]"),
    _add,
)
spec_case(
    "scales_that_do_not_meet",
    "KEY layers[3]: layer 'join': add needs inputs of one scale, but 'pool1' has 0.25 and 'other' has 1",
    _scales,
)


@pytest.mark.parametrize("name", CASES)
def test_message(name: str, tmp_path: Path) -> None:
    builder, expected = CASES[name]
    path = tmp_path / "w.npz"
    builder(path)
    assert message_of(path) == expected
