"""What the parts of a crossbar machine declare, and the family's schedules, mapping and options.

From the inside out: array (drivers, crossbar, mux, ADC) - PE (arrays that read the same pixel, DIFF, shift-adder) -
tile (PEs, input buffer, H-tree, adder) - chip (tiles and one global node on a NoC; the global node holds global adder,
neuron module, pooling and global buffer).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hwsim.components import registry
from hwsim.components.registry import (
    Action,
    Bits,
    Count,
    Family,
    Parameters,
    Seconds,
    Unit,
    Width,
    component,
    family,
)
from hwsim.errors import SpecError
from hwsim.physics.devices import Device, load_device
from hwsim.physics.programming import check_levels

FAMILY = "crossbar"
FAMILIES = (FAMILY,)
OPERANDS = ("weights", "inputs", "outputs", "membranes")
Ohms = Annotated[float, Unit("ohm", measured=True), Field(ge=0)]
Volts = Annotated[float, Unit("V", measured=True), Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(gt=0, le=1024)]
"""Rows or columns of an array: solving its wires takes the cube of them."""


@component("crossbar_array", families=FAMILIES)
class CrossbarArray:
    """One crossbar of programmable resistances, with the resistances of its wires and terminals.

    Area and leakage are those of one array.
    """

    class Parameters(registry.Parameters):
        rows: Side
        columns: Side
        device: str
        cell_bits: Width
        variation: Annotated[float | None, Field(ge=0)] = None
        """Relative standard deviation of a programmed conductance instead of the device's own; 0: none."""
        driver: Ohms
        row_wire: Ohms
        column_wire: Ohms
        sense: Ohms
        read_voltage: Volts
        """On an active row; only cells that are not linear look at it."""
        read_time: Seconds

    actions: ClassVar = {
        "read": Action("an array read once (its column lines settle)"),
        "read_row": Action("an active row of an array in a read"),
    }


@component("row_driver", families=FAMILIES)
class RowDriver:
    """Drives one row with one bit. Area and leakage are those of one row."""

    class Parameters(registry.Parameters):
        bits: Annotated[int, Unit("bit", example="1 bit"), Field(gt=0, le=1)]
        drive_time: Seconds

    actions: ClassVar = {"drive": Action("a row driven to the read voltage")}


@component("column_mux", families=FAMILIES)
class ColumnMux:
    """Hands the columns of an array to an ADC in turn. Area and leakage are those of one ADC's mux."""

    class Parameters(registry.Parameters):
        columns_per_adc: Count

    actions: ClassVar = {"select": Action("a column handed to its ADC")}


@component("adc", families=FAMILIES)
class Adc:
    """Converts a column current. Area and leakage are those of one converter."""

    class Parameters(registry.Parameters):
        bits: Annotated[int, Unit("bit", example="6 bit"), Field(ge=1, le=16)]
        conversion_time: Seconds
        quantile: Annotated[float, Field(gt=0, le=1)] = 0.999
        """The full scale is this quantile of a layer's column currents over the calibration images."""
        calibration_images: Count = 4

    actions: ClassVar = {"convert": Action("a column current converted")}


@component("diff_unit", families=FAMILIES)
class DiffUnit:
    """Digital correction of signed weights (and of the current of cells at g_min). One per PE."""

    class Parameters(registry.Parameters):
        combine_time: Seconds

    actions: ClassVar = {"subtract": Action("a correction subtracted from a sum")}


@component("accumulator", families=FAMILIES)
class Accumulator:
    """Adds codes or partial sums: one in each PE, in each tile, or one for the chip."""

    class Parameters(registry.Parameters):
        psum_bits: Width
        lanes: Count

    actions: ClassVar = {"add": Action("a code or partial sum added")}


@component("tile_buffer", families=FAMILIES)
class TileBuffer:
    """Holds the input rows that a tile's PEs still need."""

    class Parameters(registry.Parameters):
        capacity: Bits
        line: Bits

    actions: ClassVar = {
        "read": Action("a line read", granule="line"),
        "write": Action("a line written", granule="line"),
    }


@component("h_tree", families=FAMILIES)
class HTree:
    """Carries partial sums from the PEs of a tile to its root."""

    class Parameters(registry.Parameters):
        width: Width
        latency: Seconds

    actions: ClassVar = {"move": Action("a word of its width carried to the root", granule="width")}


@component("neuron_module", families=FAMILIES)
class NeuronModule:
    """The digital LIF/IF units of the chip. Area and leakage are those of one lane."""

    class Parameters(registry.Parameters):
        lanes: Count
        update_time: Seconds
        membrane_bits: Annotated[int, Unit("bit", example="22 bit"), Field(ge=2, le=32)]

    actions: ClassVar = {
        "update": Action("a neuron updated for one timestep"),
        "activate": Action("an activation rectified and rounded (no neuron)", required=False),
        "scale": Action("a current scaled by the batch normalisation of its timestep", required=False),
    }


@component("membrane_sram", families=FAMILIES)
class MembraneSram:
    """Holds the membranes of all neurons. Area and leakage are those of one bit."""

    class Parameters(registry.Parameters):
        line: Bits

    actions: ClassVar = {
        "read": Action("a line of membranes read", granule="line"),
        "write": Action("a line of membranes written", granule="line"),
    }


@component("digital_unit", families=FAMILIES)
class DigitalUnit:
    """Multiply-accumulate units for layers that are declared digital, and the adder of residual edges."""

    class Parameters(registry.Parameters):
        lanes: Count

    actions: ClassVar = {
        "accumulate": Action("a product accumulated", required=False),
        "add": Action("two values of joining edges added", required=False),
    }


class Noc(Parameters):
    """The network between tiles and the global node. ``rows`` x ``columns`` 0: the smallest near-square that fits."""

    topology: Literal["mesh", "torus", "tree"] = "mesh"
    rows: Annotated[int, Field(ge=0)] = 0
    columns: Annotated[int, Field(ge=0)] = 0
    global_node: Literal["corner", "centre"] = "centre"
    packets: Literal["bitmap", "zero_checked"] = "bitmap"
    """bitmap: a row of spikes as it stands; zero_checked: flits without a spike are not sent."""
    multicast: bool = False


class Mapping(Parameters):
    """How layers are laid onto arrays, PEs and tiles."""

    scheme: Literal["kernel", "im2col"] = "kernel"
    """kernel: one kernel position per array, rows are channels (SpikeSim); im2col: rows are (channel, y, x) in turn."""
    encoding: Literal["twos_complement", "diff", "offset_binary", "differential_pair"] = "diff"
    inversion: bool = False
    """Weight encoding: columns stored as complement where that leaves more cells at high resistance."""
    pes_per_tile: Count = 8
    share_tiles: bool = False
    """Whether a tile may hold PEs of two layers."""
    replication: dict[str, Annotated[int, Field(gt=0, le=1024)]] = {}  # noqa: RUF012 - pydantic copies it
    placement: Literal["index", "activity"] = "index"
    first_layer: Literal["mapped", "digital"] = "mapped"
    linear: Literal["mapped", "digital"] = "mapped"


class EarlyExit(Parameters):
    """Stop when the entropy of the accumulated output, divided by its largest value, falls below the threshold.

    pipeline  ``speculate``: later timesteps enter meanwhile and what they began counts; ``wait``: they wait
    """

    threshold: Fraction
    block: Count = 1
    pipeline: Literal["speculate", "wait"] = "speculate"


class Membrane(Parameters):
    """How the membrane SRAM stores ``neuron.membrane_bits``: two's complement, steps of a fraction of the threshold."""

    step_fraction: float = Field(default=1 / 4096, gt=0, le=1)
    rounding: Literal["nearest_even"] = "nearest_even"
    saturate: bool = True


class Adaptation(Parameters):
    """Batch normalisation statistics measured anew on the programmed arrays."""

    images: Count
    what: Literal["mean", "mean_variance"] = "mean_variance"


class Options(Parameters):
    """Options of crossbar machines; the defaults are those of ``arch/spikesim.yaml``."""

    gain: Literal["off", "global", "per_column"] = "per_column"
    """How column currents are calibrated after programming: their sum, or each."""
    gain_reads: Literal["all_rows", "calibration"] | None = None
    """The reads that gains are measured with: one with all rows in use on, or those of ``adc.calibration_images``.
    null: ``all_rows`` where silent rows are grounded; ``calibration`` where they are gated, because then a column
    loses several times less in a read with few active rows than with all."""
    silent_rows: Literal["grounded", "gated"] = "grounded"
    terminals: Literal["terminal", "segment", "terminal_and_segment"] = "terminal"
    converters: bool = True
    """False: column currents are used as they are (published accuracy studies)."""
    cell: Literal["linear", "device"] = "linear"
    """device: the cell's own current-voltage law, solved by Newton's method for every read."""
    read_noise: bool = True
    zero_vectors: Literal["read", "skipped"] = "skipped"
    """Whether arrays none of whose rows is active are read."""
    sample_hold: bool = False
    """Whether a column current is held, so that the next read overlaps the conversions."""
    age: Annotated[float, Unit("s", example="1 s"), Field(ge=0)] = 0.0
    """Time since programming, for drift."""
    device_seeds: Count = 1
    """Programmed chips over which the accuracy is averaged."""
    adaptation: Adaptation | None = None
    lif_sharing: Count = 1
    early_exit: EarlyExit | None = None
    membrane: Membrane = Membrane()
    leakage: bool = True
    programming: bool = True
    """Whether energy and time of programming are reported (apart from inference)."""


class Schedule(Parameters):
    """What may overlap: ``all`` layers and timesteps; ``layers`` of one timestep; or ``none``."""

    overlap: Literal["all", "layers", "none"]


NEEDED = (
    "crossbar", "driver", "mux", "adc", "diff", "pe_adder", "tile_adder", "global_adder", "tile_buffer", "h_tree",
    "router", "link", "neuron", "membranes", "pool", "global_buffer",
)  # fmt: skip
"""Components that a crossbar machine has, by name."""


STEEPEST = 20
"""Largest read voltage in units of a cell's v0: a sinh cell then carries 10^7 times the current of a linear one."""


def device_of(architecture: Any) -> Device:
    """The memory cell of a machine: a shipped name, or a file, looked for beside the architecture first.

    Raises SpecError where it is neither, or is not sound.
    """
    name = architecture.components["crossbar"].parameters["device"]
    beside = architecture.path.parent / name
    return load_device(beside if beside.is_file() else name, where=architecture.where("components.crossbar.device"))


def _check_device(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    """The device exists, is sound and holds what the encoding asks for."""
    array = architecture.components["crossbar"].parameters
    bits = array["cell_bits"]
    try:
        device = device_of(architecture)
        check_levels(device, 1 << min(bits, 62))
        if architecture.options["cell"] == "device" and array["read_voltage"] > STEEPEST * device.v0_V:
            volts = f"{array['read_voltage']:g} V is more than {STEEPEST} times v0 = {device.v0_V:g} V"
            report("components.crossbar.read_voltage", f"{volts} of {device.name}, beyond any use of its law",
                   "Lower the read voltage, or use 'cell: linear'.")  # fmt: skip
    except SpecError as error:
        for problem in error.problems:
            place = "cell_bits" if not problem.where else "device"
            known = ("", architecture.where("components.crossbar.device"))
            elsewhere = "" if problem.where in known else f"{problem.where}: "
            report(f"components.crossbar.{place}", elsewhere + problem.message, problem.hint)


def _check(architecture: Any, report: Callable[[str, str, str], None]) -> None:
    """What no single value shows."""
    parts, options = architecture.components, architecture.options
    mapping = architecture.mapping
    if "crossbar" in parts:
        array = parts["crossbar"].parameters
        pair = 2 if mapping["encoding"] == "differential_pair" else 1
        _check_device(architecture, report)
        if array["columns"] < pair:
            report("components.crossbar.columns", "a differential pair needs two columns", "Use more columns.")
    for name, part in parts.items():
        if part.count != 1:
            report(f"components.{name}.count", "how many there are follows from the workload and its mapping",
                   "Leave count out.")  # fmt: skip
    if {"router", "link"} <= set(parts):
        flits = [parts[name].parameters["flit"] for name in ("router", "link")]
        if flits[0] != flits[1]:
            report("components.link.flit", f"a link moves the flits of the routers: expected {flits[0]} bit, "
                   f"found {flits[1]} bit", "Set router.flit and link.flit to the same size.")  # fmt: skip
    if options["early_exit"] is not None and "entropy" not in parts:
        hint = "Add a component 'entropy' of class entropy_unit."
        report("options.early_exit", "early exit needs an entropy unit", hint)
    if "digital" in (mapping["first_layer"], mapping["linear"]) and "digital" not in parts:
        key = "first_layer" if mapping["first_layer"] == "digital" else "linear"
        report(f"mapping.{key}", "a layer declared digital needs a component 'digital' of class digital_unit",
               "Add one, or use 'mapped'.")  # fmt: skip
    noc = architecture.noc
    if bool(noc["rows"]) != bool(noc["columns"]):
        report("noc", "rows and columns of the NoC are given together, or neither", "Leave both out to fit the tiles.")


CROSSBAR = family(
    Family(
        FAMILY,
        {
            "pipelined": {"overlap": "all"},
            "by-timestep": {"overlap": "layers"},
            "sequential": {"overlap": "none"},
        },
        Schedule,
        Options,
        OPERANDS,
        blocks={"noc": Noc, "mapping": Mapping},
        check=_check,
    )
)
