"""What the parts of a systolic machine declare: parameters, actions, storages; and the family's dataflows and options.

Actions are those that the machine counts; what each costs stands in the architecture's YAML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from hwsim.components import registry
from hwsim.components.registry import (
    Action,
    Bits,
    Count,
    Family,
    Parameters,
    Width,
    component,
    family,
)

FAMILY = "systolic"
OPERANDS = ("weights", "inputs", "outputs", "psums", "membranes")
Zeros = Literal["ignored", "gated", "skipped"]
ACROSS_LAYERS = (
    "LIF sharing over layers does not fit the machine: each layer would hand its membranes to the next within a "
    "timestep, so all layers that share must run timestep by timestep and have equal numbers of neurons, but the "
    "membranes of the LIF units stay with their PEs through a layer's fold, and the units serve all layers in turn "
    "already"
)
"""Cross-layer sharing of EfficientLIF-Net (Kim et al., arXiv:2305.18360, 2023), and why it is refused."""


@component("pe_array", families=(FAMILY,), physical=False)
class PeArray:
    """The arrangement of PEs: rows, columns, and how a fold runs on them. Area and leakage are those of the PEs."""

    class Parameters(registry.Parameters):
        rows: Count
        columns: Count
        spad_slice: Count = 9
        fold_overlap: bool = False

    actions: ClassVar[dict[str, Action]] = {}


@component("processing_element", families=(FAMILY,))
class ProcessingElement:
    """One PE: accumulator, adder, scratchpads."""

    class Parameters(registry.Parameters):
        weight_bits: Width
        psum_bits: Width
        weight_spad: Bits
        spike_spad: Bits
        psum_spad: Bits

    actions: ClassVar = {
        "accumulate": Action("a weight added to the psum register"),
        "activate": Action("an activation rectified and rounded (no neuron)", required=False),
        "shift": Action("the weight register shifted by one bit plane"),
        "clock": Action("a cycle of what is always clocked"),
        "weight_spad_read": Action("a weight read from its scratchpad"),
        "weight_spad_write": Action("a weight written to its scratchpad"),
        "spike_spad_read": Action("a word of spikes read from its scratchpad"),
        "spike_spad_write": Action("a word of spikes written to its scratchpad"),
        "psum_spad_read": Action("a psum read from its scratchpad"),
        "psum_spad_write": Action("a psum written to its scratchpad"),
    }
    storages = ("weight_spad", "spike_spad", "psum_spad")


@component("multiplier_unit", families=(FAMILY,))
class MultiplierUnit:
    """The multiplier of a PE that takes whole words (``direct_input: mac``); its product goes to the accumulator."""

    class Parameters(Parameters):
        operand_bits: Width

    actions: ClassVar = {"multiply": Action("a word of the input times a weight")}


@component("lif_unit", families=(FAMILY,))
class LifUnit:
    """One LIF unit: adds the current to the leaked membrane, compares, resets."""

    class Parameters(registry.Parameters):
        membrane_bits: Width
        compare_bits: Width
        threshold_bits: Width

    actions: ClassVar = {
        "update": Action("a neuron updated for one timestep"),
        "scale": Action("a current scaled and shifted by the batch normalisation of its timestep", required=False),
        "clock": Action("a cycle of what is always clocked"),
    }


@component("pool_unit", families=(FAMILY, "crossbar"))
class PoolUnit:
    """Pools words of spikes at the drain of the output buffer."""

    class Parameters(registry.Parameters):
        word_bits: Width

    actions: ClassVar = {
        "or": Action("two words of spikes joined (max pooling)"),
        "compare": Action("the larger of two values kept (max pooling of activations)", required=False),
        "add": Action("a count added (average and sum pooling)"),
    }


@component("zero_detector", families=(FAMILY,))
class ZeroDetector:
    """Looks whether all rows (or columns) of a slot are zero; used where zeros are skipped."""

    class Parameters(registry.Parameters):
        width: Width

    actions: ClassVar = {"detect": Action("a slot looked at")}


class EarlyExit(Parameters):
    """Stop when the entropy of the accumulated output, divided by its largest value, falls below the threshold."""

    threshold: float = Field(ge=0, le=1)
    block: Count = 1


class Membrane(Parameters):
    """How a LIF unit stores its ``membrane_bits``: two's complement, in steps of a fraction of the threshold."""

    step_fraction: float = Field(default=1 / 32, gt=0, le=1)
    rounding: Literal["nearest_even"] = "nearest_even"
    saturate: bool = True


class Options(Parameters):
    """Options of systolic machines; the defaults are those of ``arch/sata.yaml``."""

    zero_spikes: Zeros = "gated"
    zero_weights: Zeros = "ignored"
    lif_sharing: Count = 1
    lif_sharing_over: Literal["channels", "layers"] = "channels"
    """What shares a LIF unit (EfficientLIF-Net): consecutive channels, C#n; 'layers' is refused with the reason."""
    early_exit: EarlyExit | None = None
    double_buffering: bool = True
    hold_current: bool = False
    """The current of a direct-coded input is computed once per tile and stays in the PEs for all its timesteps."""
    membrane: Membrane = Membrane()
    direct_input: Literal["bit_serial", "mac"] = "bit_serial"
    psum_width: Literal["per_layer", "fixed"] = "per_layer"
    """per_layer: ``pe.psum_bits``, or more where a layer's worst sum needs it; fixed: a wider sum is an error."""
    leakage: bool = True
    spike_packing: Annotated[int, Field(ge=1, le=8)] = 8
    """Timesteps whose spikes stand in one word, at most: 1 stores and reads them one by one."""
    padding: Literal["edge", "stored"] = "edge"
    """edge: zeros are made at the array's edge; stored: they stand in DRAM and buffer and are read like inputs."""
    membrane_traffic: bool = True
    """False leaves out what membranes cost between timesteps, as published tools do; no machine could run that."""


class Dataflow(Parameters):
    """What stays in the PEs, and where the loop over timesteps stands (``time: block``: ``block`` at a time)."""

    stationary: Literal["output", "weight", "input"]
    time: Literal["network", "layer", "block", "inner"]
    block: Annotated[int | None, Field(ge=1)] = None

    @model_validator(mode="after")
    def _block_goes_with_time(self) -> Dataflow:
        if (self.block is not None) != (self.time == "block"):
            raise ValueError("'block' is given exactly with 'time: block'")
        return self


def _named(stationary: str, time: str) -> dict[str, Any]:
    return {"stationary": stationary, "time": time, "block": None}


def _check_counts(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    """Area, leakage and clocks go by ``count``, work by the array: they must mean the same machine."""
    parts, share = architecture.components, architecture.options["lif_sharing"]
    if not {"array", "pe", "lif"} <= parts.keys():
        return
    pes = parts["array"].parameters["rows"] * parts["array"].parameters["columns"]
    for name, wanted, rule in (("pe", pes, ""), ("lif", pes // share, " / options.lif_sharing")):
        if parts[name].count != wanted:
            rule = f"array.rows * array.columns{rule}"
            message = f"expected {wanted} of {name}, as many as {rule}, found {parts[name].count}"
            report(f"components.{name}.count", message, f"Write 'count: {rule}'.")


def _check(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    """What no single value shows: options that need another dataflow, component or price."""
    _check_counts(architecture, report)
    options, time = architecture.options, architecture.schedule["time"]
    classes = {part.class_name for part in architecture.components.values()}
    if options["early_exit"] is not None and time not in ("network", "block"):
        message = f"early exit needs a dataflow with time 'network' or 'block', found '{time}'"
        hint = "Use {stationary: output, time: network}, or {..., time: block, block: B}."
        report("options.early_exit", message, hint)
    if options["lif_sharing_over"] == "layers":
        report("options.lif_sharing_over", ACROSS_LAYERS, "Use 'channels', with lif_sharing for how many.")
    for key in ("zero_spikes", "zero_weights"):
        if options[key] == "skipped" and "zero_detector" not in classes:
            report(
                f"options.{key}", "skipping zeros needs a component of class zero_detector", "Add one, or use 'gated'."
            )
    if options["direct_input"] == "mac" and "multiplier_unit" not in classes:
        message = "inputs of several bits taken whole need a component of class multiplier_unit"
        report("options.direct_input", message, "Add one per PE, or use 'bit_serial'.")


SYSTOLIC = family(
    Family(
        FAMILY,
        {
            "tick-batch": _named("output", "inner"),
            "os": _named("output", "layer"),
            "ws": _named("weight", "layer"),
            "is": _named("input", "layer"),
        },
        Dataflow,
        Options,
        OPERANDS,
        check=_check,
    )
)
