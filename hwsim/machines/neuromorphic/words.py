"""A neuromorphic machine in words: the schedule, and what a reader of a result should know."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.connections import BAND, CONVOLUTION, FORM
from hwsim.machines.neuromorphic.build import Machine
from hwsim.units import show

_SYNC = {
    "asynchronous": "no synchronisation: a core works whenever something waits for it",
    "barrier": "a barrier ends each phase",
    "timer": "a timer starts each phase",
}
_FORMS = {CONVOLUTION: "convolution", BAND: "band"}


def describe(machine: Machine) -> list[str]:
    """Cores, synchronisation, and where each layer is."""
    placement, setup, core = machine.placement, machine.setup, machine.architecture.components["core"].parameters
    noc = machine.architecture.noc
    kind = "no network" if machine.topology is None else f"{noc['kind']} of {_plural(machine.topology.nodes, 'router')}"
    lines = [
        f"{_plural(placement.cores, 'core')} of {core['neurons']:,} neurons, {placement.mapped} in use; {kind}; "
        f"{_SYNC[machine.sync]}",
        _groups(machine),
    ]
    chip, network = setup.chip, machine.network
    for number, layer in enumerate(machine.stored.layers):
        holders = chip.part[chip.layer_part[number] : chip.layer_part[number + 1], 0]
        neurons = int(network.first[number + 1] - network.first[number])
        form = _FORMS.get(int(network.layer[number, FORM]), "dense")
        where = f"core {holders[0]}" if len(holders) == 1 else f"cores {holders[0]} to {holders[-1]}"
        lines.append(f"{layer.name}: {neurons:,} neurons, {form}, on {where}")
    if placement.used_bits is not None:
        used = placement.used_bits / (core["synapse_memory"] * placement.memory)
        mean, most = 100 * float(np.mean(used)), 100 * float(used.max())
        lines.append(f"synapse memory of cores in use: {mean:.0f} % full on average, {most:.0f} % at most")
    return [*lines, *machine.rounding]


def _groups(machine: Machine) -> str:
    if machine.sync != "asynchronous":
        return "a turn takes and sends all spikes of its phase; core.group acts without synchronisation only"
    scheduler = machine.architecture.components["scheduler"].class_name
    return f"F: {machine.parameter('core', 'group')}; spikes are chosen by a {scheduler}"


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def notes(machine: Machine) -> list[str]:
    """What is free, changed or enlarged."""
    made, placement, built = [], machine.placement, machine.architecture.components["core"].count
    if placement.cores > built or machine.growth > 1:
        parts = []
        if placement.cores > built:
            parts.append(f"{placement.cores} cores instead of {built}")
        if machine.growth > 1:
            parts.append(f"cores {machine.growth:.3g} times as large")
        what = " and ".join(parts)
        made.append(f"capacity scaled: {what}, at the chip's own prices per core; no such chip was built")
    if machine.stored.workload.input.edge.bits > 1:
        made.append("an event of the input carries a number: one synapse is counted for it, whatever its size")
    for layer, bits in machine.stored.requantised.items():
        made.append(f"weights of {layer} requantised from {bits} to {machine.parameter('core', 'weight_bits')} bits")
    if machine.sync == "asynchronous":
        if machine.architecture.components["sync"].parameters["input"] == "when_quiet":
            made.append("a frame of the input enters when nothing of the one before is left; seeing that is free here")
        if machine.options["stop"] == "output":
            made.append("a timestep ends with a message of the output core to all others")
    elif machine.options["stop"] == "output":
        made.append("options.stop 'output' acts without synchronisation only")
    if machine.topology is not None:
        cycle = show(machine.parameter("router", "cycle"), "s")
        made.append(f"events of the input do not cross the network; its routers have cycles of {cycle}")
    return made
