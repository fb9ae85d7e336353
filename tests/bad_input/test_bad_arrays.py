"""Workloads whose arrays do not fit their spec, and what each is answered with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.workload import save
from tests.bad_input.broken_files import Cases, case, message_of, with_arrays
from tests.workload.workload_builder import tiny_arrays, tiny_spec, write_raw

CASES: Cases = {}


def array_case(name: str, expected: str, **changed: np.ndarray | None) -> None:
    """A case of changed arrays; MEMBER stands for 'FILE: member'."""
    CASES[name] = (with_arrays(**changed), expected.replace("MEMBER ", "FILE: member "))


F32 = np.float32
array_case(
    "missing_weights",
    ("MEMBER fc.weight: is missing (weights of layer 'fc')\n  did you mean 'fc.weights'?"),
    fc__weight=None,
    fc__weights=np.zeros((10, 64), np.int8),
)
array_case("unused_member", "MEMBER leftover: is not used by anything in spec", leftover=np.zeros(3, F32))
array_case(
    "wide_weights",
    ("MEMBER fc.weight: holds values from 8 to 8, but the 4 bits of spec allow -8 to 7 (weights of layer 'fc')"),
    fc__weight=np.full((10, 64), 8, np.int8),
)
array_case(
    "weights_of_another_layer",
    (
        "MEMBER fc.weight: must have shape [10, 64] (weights of layer 'fc': 10 channels over the [64] that "
        "'flat' gives), found [10, 256]"
    ),
    fc__weight=np.zeros((10, 256), np.int8),
)
array_case(
    "weights_of_a_wrong_type",
    "MEMBER fc.weight: must be int8 or int16 or float32 (weights of layer 'fc'), found int64",
    fc__weight=np.zeros((10, 64), np.int64),
)
array_case(
    "float_weights_with_bits",
    "MEMBER fc.weight: is float32, so bits must be 32 and scale 1 or absent (weights of layer 'fc')",
    fc__weight=np.zeros((10, 64), F32),
)
array_case(
    "nan_bias",
    ("MEMBER conv1.bias: holds 2 values that are not finite, the first (nan) at [1] (bias of layer 'conv1')"),
    conv1__bias=np.array([0, np.nan, 1, np.inf], F32),
)
array_case(
    "scale_of_zero",
    "MEMBER conv1.scale: must be above 0 everywhere, least is 0 (scale of layer 'conv1')",
    conv1__scale=np.array([0.1, 0, 0.1, 0.1], F32),
)
array_case(
    "short_bn", "MEMBER bn.gamma: must have shape [4] (BN gamma of layer 'conv1'), found [3]", bn__gamma=np.ones(3, F32)
)
array_case(
    "negative_variance",
    (
        "MEMBER bn.var: must be a variance: at least 0, and above 0 with eps 1e-05; least is -1 (BN var of "
        "layer 'conv1')"
    ),
    bn__var=np.array([1, 1, -1, 1], F32),
)
array_case(
    "label_out_of_range",
    ("MEMBER test.labels: holds values from 0 to 10, but 10 classes allow 0 to 9 (labels of sample set 'test')"),
    test__labels=np.array([0, 1, 2, 10, 4]),
)
array_case(
    "labels_as_floats",
    "MEMBER test.labels: must be integers (labels of sample set 'test'), found float64",
    test__labels=np.zeros(5),
)
array_case(
    "fewer_inputs_than_labels",
    "MEMBER test.inputs: must have shape [5, 3, 8, 8] (inputs of sample set 'test'), found [4, 3, 8, 8]",
    test__inputs=np.zeros((4, 3, 8, 8), np.uint8),
)
array_case(
    "inputs_too_wide",
    (
        "MEMBER test.inputs: holds values from 256 to 256, but the 8 bits of the input allow 0 to 255 "
        "(inputs of sample set 'test')"
    ),
    test__inputs=np.full((5, 3, 8, 8), 256, np.int16),
)


@case(
    CASES,
    "FILE: member fc.weight: holds 640 values that are not finite, the first (nan) at [0, 0] (weights of layer 'fc')",
)
def nan_weights(path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    spec["layers"][3]["weights"] = {"member": "fc.weight", "bits": 32}
    arrays["fc.weight"] = np.full((10, 64), np.nan, F32)
    write_raw(path, spec, arrays)


@case(CASES, "FILE: member fc.weight: is int8, which cannot hold bits 12 (weights of layer 'fc')")
def bits_beyond_the_type(path: Path) -> None:
    spec = tiny_spec()
    spec["layers"][3]["weights"]["bits"] = 12
    write_raw(path, spec, tiny_arrays())


@case(CASES, "FILE: member threshold: must have shape [4] or [4, 4] (threshold of layer 'conv1'), found [3, 4]")
def thresholds_of_other_timesteps(path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    spec["layers"][0]["neuron"]["threshold"] = {"member": "threshold"}
    write_raw(path, spec, arrays | {"threshold": np.ones((3, 4), F32)})


@case(
    CASES,
    "FILE: member spec, key samples.sha256: the data file 'd.npz' is not the one that this workload "
    "was made with: sha256 5b59c7756e441370..., expected abababababababab...",
)
def other_data_file(path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    data = {name: arrays.pop(name) for name in ("test.inputs", "test.labels")}
    save(path.parent / "d.npz", {"schema": "hwsim/workload/1", "kind": "data", "name": "d"}, data)
    spec["samples"] = {"file": "d.npz", "sha256": "ab" * 32, "sets": spec["samples"]}
    write_raw(path, spec, arrays)


@case(
    CASES,
    "FILE: member e.index: holds values from 0 to 192, but [3, 8, 8] inputs allow 0 to 191 (indices of "
    "sample set 'test')\n"
    "FILE: member e.time_us: must not be negative, least is -1 (times of sample set 'test')\n"
    "FILE: member e.offsets: must rise from 0 to the number of events, 3 (offsets of sample set 'test')",
)
def events_in_disorder(path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    spec["input"] = {"shape": [3, 8, 8], "kind": "spike", "bits": 1, "encoding": "events", "bin_us": 1000}
    spec["samples"] = {"test": {key: f"e.{key}" for key in ("time_us", "index", "offsets")} | {"labels": "test.labels"}}
    del arrays["test.inputs"]
    events = {
        "e.time_us": np.array([5, -1, 7], np.int64),
        "e.index": np.array([0, 192, 1], np.int32),
        "e.offsets": np.array([0, 2, 1, 3, 3, 2], np.int64),
    }
    write_raw(path, spec, arrays | events)


@case(
    CASES,
    "FILE: member spec, key timesteps: timesteps must be an integer from 1 to 1024, found '4'\n"
    "FILE: member spec, key layers[0].neuron.leek: unknown key 'leek' in layers[0].neuron\n"
    "  did you mean 'leak'? Keys allowed here: type, leak, threshold, compare, reset, start, "
    "max_spikes, signed, membrane.\n"
    "FILE: member spec, key layers[1].kernel: kernel must be 1 or 2 integers of at least 1, found 0\n"
    "FILE: member test.labels: holds values from 0 to 99, but 10 classes allow 0 to 9 (labels of "
    "sample set 'test')",
)
def many_problems_at_once(path: Path) -> None:
    spec, arrays = tiny_spec(), tiny_arrays()
    spec["timesteps"] = "4"
    spec["layers"][0]["neuron"]["leek"] = 0.5
    spec["layers"][1]["kernel"] = 0
    arrays["test.labels"] = np.array([0, 1, 2, 3, 99])
    write_raw(path, spec, arrays)


@pytest.mark.parametrize("name", CASES)
def test_message(name: str, tmp_path: Path) -> None:
    builder, expected = CASES[name]
    path = tmp_path / "w.npz"
    builder(path)
    assert message_of(path) == expected
