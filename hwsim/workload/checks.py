"""The arrays of a workload against its layers: presence, type, shape, and the values themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwsim.errors import Problem, SpecError, nearest
from hwsim.workload.model import BatchNorm, Layer, Member, Value, integer_range, size
from hwsim.workload.npz import Arrays

Shape = tuple[int, ...]
Rule = Callable[[np.ndarray], str]
"""What is wrong with the values of an array; '' if nothing is."""

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


class ArrayChecker:
    """Looks up members for one file; collects problems; remembers what was used."""

    def __init__(self, file: str, arrays: Arrays, problems: list[Problem]) -> None:
        self.file = file
        self.arrays = arrays
        self.problems = problems
        self.used: set[str] = {"spec"}

    def where(self, name: str) -> str:
        """The place of a member in messages."""
        return f"{self.file}: member {name}"

    def wrong(self, name: str, message: str, hint: str = "") -> None:
        """Note a problem of a member."""
        self.problems.append(Problem(self.where(name), message, hint))

    def present(self, name: str, owner: str) -> bool:
        """Whether the file has the member."""
        if not name:
            return False
        self.used.add(name)
        if name in self.arrays.headers:
            return True
        close = nearest(name, self.arrays.headers)
        self.wrong(name, f"is missing ({owner})", f"did you mean '{close}'?" if close else "")
        return False

    def typed(self, name: str, owner: str, dtypes: tuple[str, ...]) -> bool:
        """Whether the member is there with one of these types."""
        if not self.present(name, owner):
            return False
        found = self.arrays.headers[name].dtype.name
        if found in dtypes:
            return True
        expected = "integers" if dtypes == INTEGERS else " or ".join(dtypes)
        self.wrong(name, f"must be {expected} ({owner}), found {found}")
        return False

    def shaped(self, name: str, owner: str, shapes: Sequence[Shape], why: str = "") -> bool:
        """Whether the member has one of these shapes."""
        found = self.arrays.headers[name].shape
        if found in shapes:
            return True
        expected = " or ".join(str(list(shape)) for shape in shapes)
        self.wrong(name, f"must have shape {expected} ({owner}{why}), found {list(found)}")
        return False

    def values(self, name: str, owner: str, rule: Rule) -> None:
        """Read the member and note what ``rule`` finds wrong with its values ('' if nothing)."""
        try:
            array = self.arrays.read(name)
        except SpecError as error:
            self.problems += error.problems
            return
        message = rule(array)
        if message:
            self.wrong(name, f"{message} ({owner})")

    def unused(self) -> None:
        """Every member that nothing refers to."""
        for name in self.arrays.headers:
            if name not in self.used:
                self.wrong(name, "is not used by anything in spec")


def check_layer(checker: ArrayChecker, layer: Layer, timesteps: int) -> None:
    """All members of one weighted layer, or of the neuron of another one."""
    owner = f"layer '{layer.name}'"
    channels = layer.output_shape[0]
    if layer.weights is not None:
        _check_weights(checker, layer, owner)
        _check_value(checker, layer.weights.scale, f"scale of {owner}", [(channels,)], above_zero)
    if layer.bias is not None:
        _check_value(checker, Member(layer.bias), f"bias of {owner}", [(channels,)], finite)
    if layer.bn is not None:
        _check_bn(checker, layer.bn, owner, channels, timesteps)
    shapes = [(channels,), (timesteps, channels)]
    _check_value(checker, layer.neuron.threshold, f"threshold of {owner}", shapes, above_zero)


def weight_shape(layer: Layer) -> Shape:
    """The shape that the weights of this layer must have."""
    per_group = layer.input_shape[0] // layer.groups
    if layer.op == "conv2d":
        return (layer.channels, per_group, *layer.kernel)
    if layer.op == "conv1d":
        return (layer.channels, per_group, layer.kernel[1])
    return (layer.channels, layer.input_shape[0])


def _check_weights(checker: ArrayChecker, layer: Layer, owner: str) -> None:
    weights = layer.weights
    assert weights is not None
    kind = f"weights of {owner}"
    if not checker.typed(weights.member, kind, ("int8", "int16", "float32")):
        return
    why = f": {layer.channels} channels over the {list(layer.input_shape)} that '{layer.inputs[0]}' gives"
    if not checker.shaped(weights.member, kind, [weight_shape(layer)], why):
        return
    found = checker.arrays.headers[weights.member].dtype
    if found.kind == "f":
        if weights.bits != 32 or isinstance(weights.scale, Member) or weights.scale != 1.0:
            checker.wrong(weights.member, f"is float32, so bits must be 32 and scale 1 or absent ({kind})")
        checker.values(weights.member, kind, finite)
    elif weights.bits > 8 * found.itemsize:
        checker.wrong(weights.member, f"is {found.name}, which cannot hold bits {weights.bits} ({kind})")
    else:
        low, high = integer_range(weights.bits, signed=True)
        checker.values(weights.member, kind, within(low, high, f"the {weights.bits} bits of spec"))


def _check_value(checker: ArrayChecker, value: Value, owner: str, shapes: Sequence[Shape], rule: Rule) -> None:
    if not isinstance(value, Member) or not checker.typed(value.name, owner, FLOATS):
        return
    if checker.shaped(value.name, owner, shapes):
        checker.values(value.name, owner, rule)


def _check_bn(checker: ArrayChecker, bn: BatchNorm, owner: str, channels: int, timesteps: int) -> None:
    shape = (timesteps, channels) if bn.per_timestep else (channels,)
    for key in ("gamma", "beta", "mean", "var"):
        member, what = getattr(bn, key), f"BN {key} of {owner}"
        if checker.typed(member, what, FLOATS) and checker.shaped(member, what, [shape]):
            checker.values(member, what, finite if key != "var" else _variance(bn.eps))


def check_spikes(checker: ArrayChecker, layer: Layer) -> None:
    """The recorded inputs of one layer of a trace: np.packbits of the flattened [T, *input_shape] booleans."""
    member, owner = f"spikes.{layer.name}", f"inputs of layer '{layer.name}'"
    if not checker.typed(member, owner, ("uint8",)):
        return
    bits = (layer.timesteps or 0) * size(layer.input_shape)
    why = f": {layer.timesteps} timesteps of {list(layer.input_shape)}, packed"
    checker.shaped(member, owner, [((bits + 7) // 8,)], why)


def finite(array: np.ndarray) -> str:
    """'' if all values are finite."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"holds {int(bad.sum()):,} values that are not finite, the first ({array[index]}) at {list(index)}"


def above_zero(array: np.ndarray) -> str:
    """'' if all values are finite and positive."""
    text = finite(array)
    if text or array.size == 0 or array.min() > 0:
        return text
    return f"must be above 0 everywhere, least is {array.min():.6g}"


def within(low: int, high: int, what: str) -> Rule:
    """A rule: integers in ``low..high``."""

    def rule(array: np.ndarray) -> str:
        if array.size == 0 or (low <= int(array.min()) and int(array.max()) <= high):
            return ""
        return f"holds values from {int(array.min())} to {int(array.max())}, but {what} allow {low} to {high}"

    return rule


def _variance(eps: float) -> Rule:
    def rule(array: np.ndarray) -> str:
        text = finite(array)
        if text or array.size == 0 or (array.min() >= 0 and float(array.min()) + eps > 0):
            return text
        return f"must be a variance: at least 0, and above 0 with eps {eps:g}; least is {array.min():.6g}"

    return rule
