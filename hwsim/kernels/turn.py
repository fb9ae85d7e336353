"""The turn of a core: the tile call of neuromorphic machines. Types, and the kernel depth.

A core holds a run of neurons, in parts: one per layer that it has neurons of. A turn is a pure function of (operands,
the core's state, draws); ``turn`` computes it in closed forms, ``hwsim.components.core_process`` by five processes.

1.  The parts to be evaluated go on to their timestep: V <- leak V, to the grid, once per elapsed timestep; what was
    refractory no longer is; keys of waiting spikes are forgotten.
2.  The spikes handed in add their currents to V, once. A refractory neuron keeps its potential and gets nothing.
3.  Every neuron that got current, and every one that stayed above its threshold, is evaluated: where V is above the
    threshold it fires, is reset, is refractory from now on, and goes into the spike queue (in a masked turn: does not).
4.  The policy takes up to F neurons out of the spike queue. Those with targets on this core will be appended to its
    input queue, in that order; every other core with targets gets a message (with multicast: one for all of them).

Time, in ticks from the start; (a) input queue and synapse memory are a pipeline over the spikes handed in, (b) the
neuron pipeline follows, (c) scheduler and axon output are a pipeline over the spikes chosen::

    wake + idle x neurons that went on x timesteps                                     = b
    a_i = a_(i-1) + axon_in               s_i = max(a_i, s_(i-1)) + ceil(synapses / lanes) x synapse,   a_0 = s_0 = b
    n   = s + updated x update + fired x spike
    c_j = c_(j-1) + choose + ceil(log2(waiting + 1)) x level,   c_0 = n
    o   = max(o before, c_j) + axon_out for every message of spike j; it leaves then
    cycles = max(1, last c, last o)

In a machine that does not skip zeros, synapses and updates are those of all senders and neurons of the parts.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compiled import inner, small
from hwsim.kernels.connections import (
    AT_THRESHOLD,
    DENSE,
    DRIVE,
    FIRST_NEURON,
    FORM,
    GRID,
    LEAK,
    SUBTRACT,
    THRESHOLD,
    Network,
    deliver,
    layer_of,
    targets,
    touch,
)
from hwsim.kernels.core_state import (
    AXON_IN,
    AXON_OUT,
    AXON_OUTPUT,
    CHOOSE,
    COMPETING,
    DRAWS,
    DROPPED,
    FIRST_OF_CORE,
    FIRST_PART,
    GROUP,
    HOT,
    IDLE_UPDATE,
    INPUT_QUEUE,
    INSERT,
    LEAVES,
    MASKED,
    MESSAGE,
    NEURON_PIPELINE,
    PART_CORE,
    PART_GROUPS,
    PART_LAYER,
    PART_NEURON,
    PART_SEEN,
    PART_SYNAPSES,
    PART_TIME,
    PROPAGATED,
    SCHEDULER,
    SLOT,
    SPIKE,
    SYNAPSE,
    SYNAPSE_MEMORY,
    TO,
    UPDATE,
    WAKES,
    Call,
    Chip,
    Cores,
    Turn,
    Work,
    timestep_of,
)
from hwsim.kernels.scheduling import Queue, Rule, age, insert, length, select


@small
def targets_of(network, chip, part, layer):  # type: ignore[no-untyped-def]
    """First and last target + 1 of a part, in its layer."""
    base = network.layer[layer, FIRST_NEURON]
    return chip.part[part, PART_NEURON] - base, chip.part[part + 1, PART_NEURON] - base


@inner
def core_queue(chip, cores, core):  # type: ignore[no-untyped-def]
    """The spike queue of one core."""
    first, end, q = chip.core[core, SLOT], chip.core[core + 1, SLOT], cores.queue
    return Queue(
        q.waiting[first:end], q.place[first:end], q.key[first:end], q.multiplicity[first:end], q.potential[first:end],
        q.arrival[first:end], q.neuron[first:end], q.layer[first:end], q.state[core],
    )  # fmt: skip


@small
def crosses(network, layer, neuron, potential):  # type: ignore[no-untyped-def]
    """Whether a potential makes the neuron fire."""
    threshold = network.neuron[THRESHOLD, neuron]
    return potential > threshold or (network.layer[layer, AT_THRESHOLD] == 1 and potential == threshold)


@small
def _active(chip, cores, part, time):  # type: ignore[no-untyped-def]
    """The timestep that a part works on at a core's ``time``; -1 where it does not."""
    timestep = timestep_of(chip.order, chip.layers, time, chip.part[part, PART_LAYER])
    return timestep if timestep < cores.counts.shape[1] else -1


@inner
def _go_on(network, chip, cores, part, timestep):  # type: ignore[no-untyped-def]
    """The neurons of a part go on to a timestep; returns the updates that this takes."""
    layer, begin, end = chip.part[part, PART_LAYER], chip.part[part, PART_NEURON], chip.part[part + 1, PART_NEURON]
    leak, step, elapsed = network.real[layer, LEAK], network.real[layer, GRID], timestep - cores.part[part, PART_TIME]
    inverse, hot = 1.0 / step, 0
    for n in range(begin, end):
        v = cores.potential[n]
        if v == -np.inf:
            v = cores.held[n]
        for _ in range(elapsed):
            v = np.rint(v * leak * inverse) * step + network.neuron[DRIVE, n]
        cores.potential[n] = v
        if crosses(network, layer, n, v):
            cores.hot[begin + hot] = n
            hot += 1
    cores.part[part, HOT] = hot
    cores.part[part, PART_TIME] = timestep
    return elapsed * (end - begin)


@inner
def _advance(network, chip, cores, call):  # type: ignore[no-untyped-def]
    """Step 1: (neurons that went on, times timesteps; ticks that it takes)."""
    moved = 0
    for part in range(chip.core[call.core, FIRST_PART], chip.core[call.core + 1, FIRST_PART]):
        timestep = _active(chip, cores, part, call.time)
        if cores.part[part, PART_TIME] < timestep:
            updates = _go_on(network, chip, cores, part, timestep)
            cores.counts[chip.part[part, PART_LAYER], timestep, IDLE_UPDATE] += updates
            moved += updates
    cores.core[call.core, NEURON_PIPELINE] += moved * chip.ticks.idle
    return moved, moved * chip.ticks.idle


@inner
def _take(network, chip, cores, call, work, i):  # type: ignore[no-untyped-def]
    """Spike ``i`` of those handed in becomes currents; returns the ticks for which it keeps the synapse memory."""
    layer, part = layer_of(network, work.taken[i, 0]) + 1, chip.core[call.core, FIRST_PART]
    while chip.part[part, PART_LAYER] != layer:
        part += 1
    timestep = cores.part[part, PART_TIME]
    cores.counts[layer, timestep, AXON_IN] += 1
    if _active(chip, cores, part, call.time) < 0:  # so late that its layer is done with all timesteps
        cores.counts[layer, timestep, DROPPED] += 1
        return 0
    seen = cores.seen[chip.part[part, PART_SEEN] : chip.part[part + 1, PART_SEEN]]
    low, high = targets_of(network, chip, part, layer)
    synapses = deliver(
        network, layer, work.taken[i, 0], work.taken[i, 1], low, high, cores.potential, seen, timestep + 1, work.marks
    )
    if network.layer[layer, FORM] == DENSE and synapses:
        work.whole[part] = 1
    if chip.processed:
        return 0
    cores.counts[layer, timestep, SYNAPSE] += synapses
    return (synapses + chip.ticks.lanes - 1) // chip.ticks.lanes * chip.ticks.synapse


@inner
def _integrate(network, chip, cores, call, work, begin):  # type: ignore[no-untyped-def]
    """Step 2: the tick at which the last spike is in."""
    ticks, arrived, done = chip.ticks, begin, begin
    for i in range(call.taken):
        reading = _take(network, chip, cores, call, work, i)
        arrived += ticks.axon_in
        done = max(done, arrived) + reading
        cores.core[call.core, SYNAPSE_MEMORY] += reading
    cores.core[call.core, INPUT_QUEUE] += call.taken * ticks.axon_in
    if chip.processed:
        for part in range(chip.core[call.core, FIRST_PART], chip.core[call.core + 1, FIRST_PART]):
            timestep = _active(chip, cores, part, call.time)
            if timestep >= 0:
                work.whole[part] = 1
                cores.counts[chip.part[part, PART_LAYER], timestep, SYNAPSE] += chip.part[part, PART_SYNAPSES]
                reading = chip.part[part, PART_GROUPS] * ticks.synapse
                cores.core[call.core, SYNAPSE_MEMORY] += reading
                done += reading
    return done


@small
def _evaluate(network, chip, cores, part, n, work, fired):  # type: ignore[no-untyped-def]
    """One neuron; returns how many have fired by now."""
    layer, v = chip.part[part, PART_LAYER], cores.potential[n]
    if v == -np.inf:
        return fired
    cores.largest[layer] = max(cores.largest[layer], abs(v))
    if not crosses(network, layer, n, v):
        return fired
    rest = v - network.neuron[THRESHOLD, n] if network.layer[layer, SUBTRACT] else 0.0
    if chip.refractory:
        cores.held[n] = rest
        cores.potential[n] = -np.inf
    else:
        cores.potential[n] = rest
        if crosses(network, layer, n, rest):
            cores.hot[chip.part[part, PART_NEURON] + cores.part[part, HOT]] = n
            cores.part[part, HOT] += 1
    work.fired[fired] = n
    work.crossing[n - chip.core[chip.part[part, PART_CORE], FIRST_OF_CORE]] = v
    return fired + 1


@inner
def _sort(values, count):  # type: ignore[no-untyped-def]
    """The first ``count`` values in ascending order (Shell's sort: nothing to do where they are)."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            value, at = values[i], i
            while at >= gap and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value
        gap //= 2


@inner
def _evaluate_all(network, chip, cores, call, work):  # type: ignore[no-untyped-def]
    """Step 3: (neurons that fired, neurons looked at)."""
    fired, looked, marks = 0, 0, work.marks
    first, end = chip.core[call.core, FIRST_PART], chip.core[call.core + 1, FIRST_PART]
    for part in range(first, end):
        if _active(chip, cores, part, call.time) >= 0:
            for i in range(cores.part[part, HOT]):
                touch(cores.hot[chip.part[part, PART_NEURON] + i], marks)
            cores.part[part, HOT] = 0
    part = first
    for i in range(marks.touched[0]):
        n = marks.touched[1 + i]
        marks.mark[n] = 0
        while n >= chip.part[part + 1, PART_NEURON]:
            part += 1
        while n < chip.part[part, PART_NEURON]:
            part -= 1
        if not work.whole[part]:
            fired = _evaluate(network, chip, cores, part, n, work, fired)
            cores.counts[chip.part[part, PART_LAYER], cores.part[part, PART_TIME], UPDATE] += 1
            looked += 1
    marks.touched[0] = 0
    for part in range(first, end):
        if work.whole[part]:
            work.whole[part] = 0
            begin, stop = chip.part[part, PART_NEURON], chip.part[part + 1, PART_NEURON]
            for n in range(begin, stop):
                fired = _evaluate(network, chip, cores, part, n, work, fired)
            cores.counts[chip.part[part, PART_LAYER], cores.part[part, PART_TIME], UPDATE] += stop - begin
            looked += stop - begin
    _sort(work.fired, fired)
    return fired, looked


@inner
def _fire(network, chip, cores, call, queue, rule, work, fired):  # type: ignore[no-untyped-def]
    """Spikes go into the queue, or are thrown away in a masked turn; returns how many are the output layer's."""
    output, base = 0, chip.core[call.core, COMPETING] - chip.core[call.core, FIRST_OF_CORE]
    for i in range(fired):
        n = work.fired[i]
        layer = layer_of(network, n)
        timestep = timestep_of(chip.order, chip.layers, call.time, layer)
        cores.counts[layer, timestep, SPIKE] += 1
        output += layer == chip.layers - 1
        if call.masked:
            cores.counts[layer, timestep, MASKED] += 1
        else:
            cores.counts[layer, timestep, INSERT] += 1
            insert(queue, rule, n + base, 1, work.crossing[n - chip.core[call.core, FIRST_OF_CORE]])
    return output


@inner
def _compete(network, chip, cores, call, queue, rule, work):  # type: ignore[no-untyped-def]
    """Inputs go into the spike queue."""
    for i in range(call.taken):
        insert(queue, rule, work.taken[i, 0] + network.inputs, work.taken[i, 1], 0.0)
    cores.counts[0, call.time, AXON_IN] += call.taken
    cores.counts[0, call.time, INSERT] += call.taken
    cores.core[call.core, INPUT_QUEUE] += call.taken * chip.ticks.axon_in
    return call.taken * chip.ticks.axon_in


@small
def choosing_ticks(ticks, waiting):  # type: ignore[no-untyped-def]
    """Ticks in which one of ``waiting`` spikes is chosen: choose + ceil(log2(waiting + 1)) x level."""
    levels = 0
    while 1 << levels < waiting + 1:
        levels += 1
    return ticks.choose + levels * ticks.level


@inner
def _address(network, chip, core, neuron, number, ready, work, messages):  # type: ignore[no-untyped-def]
    """Messages of chosen spike ``number`` to other cores: (how many by now, when the last one leaves, 1 if the spike
    has targets on this core)."""
    layer, local, before = layer_of(network, neuron) + 1, 0, messages
    if layer == chip.layers:
        return messages, ready, 0
    for part in range(chip.layer_part[layer], chip.layer_part[layer + 1]):
        at = chip.part[part, PART_CORE]
        low, high = targets_of(network, chip, part, layer)
        if not targets(network, layer, neuron, low, high, work.marks):
            continue
        if at == core:
            local = 1
        elif neuron >= 0 and not (messages > before and chip.multicast and chip.routed):
            if messages == before or not chip.multicast:
                ready += chip.ticks.axon_out
            work.sent[messages, TO] = chip.spread[neuron] if chip.multicast and chip.routed else at
            work.sent[messages, MESSAGE], work.sent[messages, LEAVES] = number, ready
            messages += 1
    return messages, ready, local


@inner
def _send(network, chip, cores, call, queue, work, chosen, waiting, begin):  # type: ignore[no-untyped-def]
    """Times of the spikes chosen and their messages: (end, messages, spikes with targets here)."""
    scheduled, out, messages, locals_ = begin, begin, 0, 0
    for j in range(chosen):
        slot = work.chosen[j]
        neuron, layer = queue.neuron[slot], max(queue.layer[slot], 0)
        timestep = timestep_of(chip.order, chip.layers, call.time, layer)
        choosing = choosing_ticks(chip.ticks, waiting - j)
        scheduled += choosing
        cores.core[call.core, SCHEDULER] += choosing
        cores.counts[layer, timestep, CHOOSE] += 1
        if neuron >= 0:
            cores.counts[layer, timestep, PROPAGATED] += queue.multiplicity[slot]
        before, ready = messages, max(out, scheduled)
        messages, left, local = _address(network, chip, call.core, neuron, j, ready, work, messages)
        cores.core[call.core, AXON_OUTPUT] += left - ready
        if messages > before:
            out = left
            cores.counts[layer, timestep, AXON_OUT] += 1 if chip.multicast else messages - before
        if local:
            work.local[locals_] = j
            locals_ += 1
    return max(scheduled, out), messages, locals_


@inner
def turn(network: Network, chip: Chip, rule: Rule, cores: Cores, call: Call, work: Work) -> Turn:
    """One turn: reads and writes ``cores`` and ``work``."""
    core = call.core
    queue = core_queue(chip, cores, core)
    now = 0
    if call.asleep:
        now = chip.ticks.wake
        cores.core[core, WAKES] += 1
    going_on = _advance(network, chip, cores, call)
    if going_on[0]:
        age(queue, rule)
    now += going_on[1]
    fired, looked, output = 0, 0, 0
    if call.compete:
        now += _compete(network, chip, cores, call, queue, rule, work)
    else:
        now = _integrate(network, chip, cores, call, work, now)
        fired, looked = _evaluate_all(network, chip, cores, call, work)
        evaluating = looked * chip.ticks.update + fired * chip.ticks.spike
        cores.core[core, NEURON_PIPELINE] += evaluating
        now += evaluating
        output = _fire(network, chip, cores, call, queue, rule, work, fired)
    waiting = length(queue)
    draws = np.uint64(cores.core[core, DRAWS])
    chosen = select(queue, rule, chip.core[core, GROUP], draws, call.time, call.step, network.inputs, work.chosen)
    now, messages, locals_ = _send(network, chip, cores, call, queue, work, chosen, waiting, now)
    return Turn(max(now, 1), looked, fired, chosen, messages, locals_, output, 0)
