"""Forward steps of an asynchronous network on one core: the loop of the ideal machine, one compiled call per sample.

A timestep is a loop of forward steps: add the currents of the spikes chosen last, see which neurons have crossed their
threshold, put their spikes into the queue, let the policy choose the next F neurons. Only what can have changed is
looked at: the layers that received current, and those with a neuron that stays above its threshold. A refractory
neuron's potential is kept aside and stands at minus infinity meanwhile, so that adding and comparing need no mask.

Source: Koopman et al., TMLR 2025, in the form of its simulator asynctorch.
"""

from __future__ import annotations

import numpy as np

from hwsim.grid import EXACT_BITS
from hwsim.jit import njit
from hwsim.kernels.forward_state import (
    CHOSEN,
    COUNTED,
    DELIVERED,
    DONE,
    FIRST_CORRECT,
    FIRST_OUTPUT,
    INPUT_SYNAPTIC,
    INPUTS,
    STEPS,
    SYNAPTIC,
    TOO_LARGE,
    Keys,
    Network,
    Options,
    Record,
    State,
)
from hwsim.kernels.policies import INNER, LEAN
from hwsim.kernels.scheduling import Queue, Rule, age, clear, insert, length, select, step_key
from hwsim.rng import draw_uniform

_EXACT = 2.0**EXACT_BITS
_OUTPUT_STEP, _IN_FLIGHT, _CORRECT_STEP = range(3)
_PROPAGATED, _EMITTED = range(2)


@njit(**INNER)
def _drawn(key, timestep, step, index):  # type: ignore[no-untyped-def]
    return draw_uniform(step_key(key, timestep, step), np.uint64(index))


@njit(**(INNER | {"forceinline": False}))
def _add_scattered(total, target, at, weights, start, width, factor):  # type: ignore[no-untyped-def]
    """Not inlined: the loops of dense layers stay small, and fast."""
    for j in range(width):
        total[target[at + j]] += factor * weights[start + j]


@njit(**INNER)
def _add_row(network, total, slot, factor):  # type: ignore[no-untyped-def]
    """total += factor x the sender's weights, over its targets."""
    start, width, first = network.row[slot], network.width[slot], network.first[slot]
    if network.scatter[slot] >= 0:
        _add_scattered(total, network.target, network.scatter[slot], network.weights, start, width, factor)
        return
    target, row = total[first : first + width], network.weights[start : start + width]
    for j in range(width):
        target[j] += factor * row[j]


@njit(**INNER)
def _neuron(network, slot, j):  # type: ignore[no-untyped-def]
    """The neuron that weight ``j`` of a sender's row leads to."""
    at = network.scatter[slot]
    return network.target[at + j] if at >= 0 else network.first[slot] + j


@njit(**INNER)
def _add_part(network, total, slot, factor):  # type: ignore[no-untyped-def]
    """The same for a factor that is not whole: every product is rounded to the grid, half to even."""
    start = network.row[slot]
    for j in range(network.width[slot]):
        neuron = _neuron(network, slot, j)
        grid = network.grid[neuron]
        total[neuron] += np.rint(factor * network.weights[start + j] / grid) * grid


@njit(**INNER)
def _hear(network, heard, slot, times):  # type: ignore[no-untyped-def]
    start = network.row[slot]
    for j in range(network.width[slot]):
        if network.weights[start + j] != 0:
            heard[_neuron(network, slot, j)] += times


@njit(**INNER)
def _take_input(network, options, keys, rule, queue, state, record, frame, t):  # type: ignore[no-untyped-def]
    """One frame: its currents at once, or its events into the queue."""
    target = state.current if options.counted else state.potential
    for i in range(options.inputs):
        value = frame[i]
        if value == 0:
            continue
        if options.input_dropout > 0 and _drawn(keys.inputs, t, 0, i) < options.input_dropout:
            continue
        whole = value == np.rint(value)
        events = np.int64(value) if whole else 1
        if not options.prioritise:
            insert(queue, rule, i, events, 0.0)
            continue
        record.totals[t, INPUTS] += events
        record.totals[t, INPUT_SYNAPTIC] += events * network.fan_out[i]
        if whole:
            _add_row(network, target, i, value)
        else:
            _add_part(network, target, i, value)
        if options.counted:
            _hear(network, state.heard, i, value)


@njit(**INNER)
def _emit(network, options, keys, rule, queue, state, record, j, t, step, masking):  # type: ignore[no-untyped-def]
    """Neuron j has crossed its threshold."""
    potential, threshold, slot = state.potential[j], network.threshold[j], j + options.inputs
    masked = masking
    if options.network_dropout > 0 and not masked:
        masked = _drawn(keys.network, t, step, slot) < options.network_dropout
    after = potential - threshold if options.subtract else 0.0
    rests = options.refractory
    if rests and options.refractory_dropout > 0:
        rests = not _drawn(keys.refractory, t, step, slot) < options.refractory_dropout
    if rests:
        state.held[j], state.potential[j] = after, -np.inf
    else:
        state.potential[j] = after
        if after > threshold:
            state.look[network.layer[j]] = 1
    _log_emitted(record, j, t, step, potential, masked)
    if not masked or queue.place[slot] >= 0:  # a masked spike still changes the potential of those that wait
        insert(queue, rule, slot, 0 if masked else 1, potential)
    if masked:
        record.masked[t, j] += 1
        return masked
    record.counts[t, j] += 1
    record.totals[t, COUNTED] += 1
    output = j - network.begin[network.begin.size - 2]
    if output >= 0 and state.scalars[_OUTPUT_STEP] == 0:
        state.scalars[_OUTPUT_STEP] = step
    if output >= 0 and output == options.label and state.scalars[_CORRECT_STEP] == 0:
        state.scalars[_CORRECT_STEP] = step
    return masked


@njit(**INNER)
def _log_emitted(record, j, t, step, potential, masked):  # type: ignore[no-untyped-def]
    at = record.rows[_EMITTED]
    record.rows[_EMITTED] = at + 1
    if at < record.emitted.size:
        row = record.emitted[at]
        row.timestep = t
        row.step = step
        row.neuron = j
        row.potential = potential
        row.masked = masked


@njit(**INNER)
def _log_propagated(record, queue, slot, neuron, t, step):  # type: ignore[no-untyped-def]
    at = record.rows[_PROPAGATED]
    record.rows[_PROPAGATED] = at + 1
    if at < record.propagated.size:
        row = record.propagated[at]
        row.timestep = t
        row.step = step
        row.neuron = neuron
        row.multiplicity = queue.multiplicity[slot]
        row.key = queue.potential[slot]
        row.priority = queue.key[slot]


@njit(**INNER)
def _look(network, options, keys, rule, queue, state, record, t, step, masking):  # type: ignore[no-untyped-def]
    """The neurons of the layers marked, in order."""
    for layer in range(network.begin.size - 1):
        if not state.look[layer]:
            continue
        state.look[layer] = 0
        begin, end = network.begin[layer], network.begin[layer + 1]
        potential, threshold = state.potential[begin:end], network.threshold[begin:end]
        above = 0
        for j in range(potential.size):
            above += potential[j] > threshold[j]
        for j in range(potential.size if above else 0):
            if potential[j] > threshold[j]:
                _emit(network, options, keys, rule, queue, state, record, begin + j, t, step, masking)


@njit(**INNER)
def _count_and_look(network, options, keys, rule, queue, state, record, t, step, masking):  # type: ignore[no-untyped-def]
    """All neurons, each only when it has received enough currents; with barriers it then tells so once."""
    for j in range(network.threshold.size):
        current = state.current[j]
        state.potential[j] += current
        state.received[j] += state.heard[j]
        state.current[j] = state.heard[j] = 0.0
        if not state.received[j] > network.sync[j]:
            continue
        silent, crossing = True, 0.0
        if state.potential[j] > network.threshold[j] and (options.barriers or current != 0):
            crossing = state.potential[j]
            silent = _emit(network, options, keys, rule, queue, state, record, j, t, step, masking)
        if options.barriers and not state.reported[j]:
            state.reported[j] = 1
            if silent and not masking:
                insert(queue, rule, j + options.inputs, 0, crossing)


@njit(**INNER)
def _evaluate(network, options, keys, rule, queue, state, record, t, step):  # type: ignore[no-untyped-def]
    """Who has crossed. Returns whether new spikes were masked because the timestep is being stopped."""
    scalars, totals = state.scalars, record.totals
    masking = options.stop and 0 < scalars[_OUTPUT_STEP] < step - options.steps_after
    if options.counted:
        _count_and_look(network, options, keys, rule, queue, state, record, t, step, masking)
    else:
        _look(network, options, keys, rule, queue, state, record, t, step, masking)
    if scalars[_OUTPUT_STEP] == step:
        totals[t, FIRST_OUTPUT] = totals[t, COUNTED]
    if scalars[_CORRECT_STEP] == step:
        totals[t, FIRST_CORRECT] = totals[t, COUNTED]
    return masking


@njit(**INNER)
def _choose_next(network, options, keys, rule, queue, state, record, t, step):  # type: ignore[no-untyped-def]
    """The next F neurons, with all the spikes they have waiting."""
    count = select(queue, rule, options.group, keys.scheduling, t, step, options.inputs, state.chosen)
    state.scalars[_IN_FLIGHT] = count
    for position in range(count):
        slot = state.chosen[position]
        times, neuron = queue.multiplicity[slot], slot - options.inputs
        state.sent[position] = times
        _log_propagated(record, queue, slot, neuron, t, step)
        record.totals[t, CHOSEN if neuron >= 0 else INPUTS] += times
        record.totals[t, SYNAPTIC if neuron >= 0 else INPUT_SYNAPTIC] += times * network.fan_out[slot]
        if options.counted and network.width[slot]:
            _add_row(network, state.current, slot, np.float64(times))
            heard = times
            if options.barriers:  # a sender is heard once
                heard, state.told[slot] = 1 - state.told[slot], 1
            _hear(network, state.heard, slot, heard)


@njit(**INNER)
def _arrive(network, options, state, record, t):  # type: ignore[no-untyped-def]
    """The currents of the spikes chosen last."""
    for position in range(state.scalars[_IN_FLIGHT]):
        slot, times = state.chosen[position], state.sent[position]
        if slot >= options.inputs and network.fan_out[slot]:
            record.totals[t, DELIVERED] += times
        if network.width[slot] and not options.counted:
            _add_row(network, state.potential, slot, np.float64(times))
            state.look[network.layer[network.first[slot]]] = 1


@njit(**INNER)
def _currents_wait(network, options, state):  # type: ignore[no-untyped-def]
    """Whether the spikes chosen last are a reason for another step: any of them, or only a current above 0."""
    found, count = False, state.scalars[_IN_FLIGHT]
    if options.drain:
        for position in range(count):
            found |= network.fan_out[state.chosen[position]] > 0
        return found
    if not options.counted:
        for position in range(count):
            if network.width[state.chosen[position]]:
                _add_row(network, state.current, state.chosen[position], np.float64(state.sent[position]))
    for j in range(state.current.size):
        found |= state.current[j] > 0
    if not options.counted:
        for j in range(state.current.size):
            state.current[j] = 0.0
    return found


@njit(**INNER)
def _begin(network, options, rule, queue, state, t):  # type: ignore[no-untyped-def]
    """A timestep begins: potentials decay, what was known of the last timestep is forgotten."""
    for j in range(state.potential.size):
        decayed = state.potential[j] * network.leak[j]
        state.potential[j] = np.rint(decayed / network.grid[j]) * network.grid[j]
        state.received[j] = 0.0
        state.reported[j] = 0
    for slot in range(state.told.size):
        state.told[slot] = 0
    for layer in range(state.look.size):
        state.look[layer] = 1
    for item in range(state.scalars.size):
        state.scalars[item] = 0
    if options.carry:
        age(queue, rule)
    else:
        clear(queue)


@njit(**INNER)
def _end(network, options, queue, state, record, t):  # type: ignore[no-untyped-def]
    """A timestep ends. Returns whether all potentials are within exact sums."""
    exact = True
    for j in range(state.potential.size):
        if state.potential[j] == -np.inf:
            state.potential[j] = state.held[j]
        record.potentials[t, j] = state.potential[j]
        state.current[j] = state.heard[j] = 0.0
        exact &= abs(state.potential[j]) <= _EXACT * network.grid[j]
    for at in range(length(queue)):
        slot = queue.waiting[at]
        if slot >= options.inputs:
            record.queue[t, slot - options.inputs] = queue.multiplicity[slot]
        else:
            record.input_queue[t, slot] = queue.multiplicity[slot]
    return exact


@njit(**LEAN)
def run_sample(
    network: Network,
    options: Options,
    keys: Keys,
    rule: Rule,
    queue: Queue,
    state: State,
    record: Record,
    frames: np.ndarray,
) -> int:
    """All timesteps of one sample. Writes ``queue``, ``state`` and ``record``; returns ``DONE`` or ``TOO_LARGE``.

    frames  float64 [T, inputs]: multiplicities of the input, at least 0
    """
    for t in range(frames.shape[0]):
        _begin(network, options, rule, queue, state, t)
        _take_input(network, options, keys, rule, queue, state, record, frames[t], t)
        if not options.prioritise:
            _choose_next(network, options, keys, rule, queue, state, record, t, 0)
        step, going = 0, True
        while going:
            step += 1
            _arrive(network, options, state, record, t)
            masking = _evaluate(network, options, keys, rule, queue, state, record, t, step)
            _choose_next(network, options, keys, rule, queue, state, record, t, step)
            going = not masking and (length(queue) > 0 or _currents_wait(network, options, state))
        record.totals[t, STEPS] = step
        if not _end(network, options, queue, state, record, t):
            return TOO_LARGE
    return DONE
