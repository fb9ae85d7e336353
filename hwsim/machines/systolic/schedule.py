"""For each layer: the bits that decide its nest, where its membranes wait, how many timesteps a fold holds."""

from __future__ import annotations

from hwsim.machines.systolic.build import SPIKE_WORD_BITS, Machine
from hwsim.machines.systolic.layers import LayerWork
from hwsim.machines.systolic.nest import NestShape, ceil_div
from hwsim.machines.systolic.plan import OPERANDS, Schedule, schedule_layer


def make_schedules(machine: Machine, works: list[LayerWork], timesteps: int) -> list[Schedule]:
    """The schedules of all layers. Raises SpecError where a layer does not fit even in the smallest blocks."""
    resident = _membranes_stay(machine, works, timesteps)
    keep = _weights_stay(machine, works)
    return [_schedule(machine, work, timesteps, resident, keep) for work in works]


def _schedule(machine: Machine, work: LayerWork, timesteps: int, resident_bits: int, keep_weights: bool) -> Schedule:
    flow = machine.dataflow
    inner = {"inner": timesteps, "block": min(flow.block, timesteps)}.get(flow.time, 1)
    outer = timesteps if flow.time == "layer" else 1
    stretches = ceil_div(timesteps, inner) if flow.time in ("block", "inner") else timesteps
    place = "pe"
    if work.spiking and stretches > 1 and not _fits_pes(machine, work, flow.time):
        place = "buffer" if resident_bits else "dram"
        if flow.time == "layer":
            place = "move"
    if not machine.options["membrane_traffic"]:
        place = "pe"
    shape = NestShape(
        geometry=work.geometry,
        stationary=flow.stationary,
        rows=machine.rows,
        columns=machine.columns,
        outer_timesteps=outer,
        inner_timesteps=inner,
        planes=work.planes,
        weight_bits=work.weight_bits,
        word_bits=work.word_bits(inner),
        output_bits=work.output_bits * (inner if work.neuron != "none" else 1),
        psum_bits=work.psum_bits,
        membrane_bits=machine.membrane_bits,
        share=machine.share,
        line_bits=machine.srams[0].line_bits,
        capacity=tuple(buffer.capacity_bits for buffer in machine.srams),
        buffers=tuple(buffer.name for buffer in machine.srams),
        buffer_of=tuple(_index(machine, operand) for operand in OPERANDS),  # type: ignore[arg-type]
        double_buffering=machine.double_buffering,
        constant_input=work.constant_input,
        membranes_move=place == "move",
        may_keep=machine.membrane_in_buffer,
        membranes_stream=place == "dram",
        reserved=resident_bits,
        keep_weights=keep_weights,
        hold_current=bool(machine.options["hold_current"]) and work.constant_input,
    )
    # sums leave the array of other dataflows at once; a held one stays in the accumulator
    waits_in_spad = flow.stationary == "output" and not shape.hold_current
    spad_bits = machine.psum_spad_bits if waits_in_spad else 1 << 30
    per_fold = work.passes(inner, spad_bits, SPIKE_WORD_BITS, machine.options["spike_packing"])
    where = machine.architecture.where("components")
    exits = machine.exit_rule is not None
    return schedule_layer(work, shape, per_fold, place, f"{where}: layer {work.name}", exits)


def _index(machine: Machine, operand: str) -> int:
    return [buffer.name for buffer in machine.srams].index(machine.buffers[operand])


def _fits_pes(machine: Machine, work: LayerWork, time: str) -> bool:
    """Whether each LIF unit serves one neuron per channel that it shares, and nothing else runs between timesteps
    (groups run one after the other, each through all timesteps)."""
    g = work.geometry
    if time != "layer":
        return False
    sums = (g.P, g.M) if machine.dataflow.stationary == "input" else (g.M, g.P)
    return sums[0] <= machine.columns and sums[1] <= machine.rows


def _weights_stay(machine: Machine, works: list[LayerWork]) -> bool:
    """Whether time runs outside the layers and the weight buffer, if no other operand is in it, holds all weights."""
    if machine.dataflow.time not in ("network", "block"):
        return False
    names = list(machine.buffers.values())
    buffer = next(b for b in machine.srams if b.name == machine.buffers["weights"])
    bits = sum(work.geometry.weight_count * work.groups * work.weight_bits for work in works)
    return names.count(buffer.name) == 1 and bits <= buffer.capacity_bits


def _membranes_stay(machine: Machine, works: list[LayerWork], timesteps: int) -> int:
    """Bits reserved for all membranes of the network where time runs outside the layers: the buffer holds them if they
    take at most half of it, else they go to DRAM."""
    if machine.dataflow.time not in ("network", "block") or not machine.membrane_in_buffer:
        return 0
    bits = sum(
        ceil_div(work.geometry.M * work.groups, machine.share) * work.geometry.P * machine.membrane_bits
        for work in works
        if work.spiking
    )
    buffer = next(b for b in machine.srams if b.name == machine.buffers["outputs"])
    stretches = timesteps if machine.dataflow.time == "network" else ceil_div(timesteps, machine.dataflow.block)
    return bits if stretches > 1 and 2 * bits <= buffer.capacity_bits else 0
