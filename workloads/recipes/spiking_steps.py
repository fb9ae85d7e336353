"""Forward and backward pass of one sample by forward steps (unlayered backpropagation, Koopman et al., TMLR 2025).

A timestep: the membrane decays once, the whole input frame reaches the first layer, then forward steps follow. A step
evaluates the layers that received currents, puts the neurons that fired into the queue, chooses up to ``group`` of them
and delivers their whole multiplicity. It goes on until the queue is empty and no current above zero is undelivered
("done"), or until ``after`` steps behind the first output spike.

Backward, through every forward step: a chosen spike gets its gradient from the currents that it caused, one that was
not chosen passes its own to the next step unchanged (the skip path). The choice, the order, the refractory flag and the
reset are constants. Where a group has room, its mask is one for all neurons: a neuron that did not fire learns what its
spike would have done. With a group as large as the network this is layered backpropagation exactly.

Neurons are numbered through all layers, the first hidden layer first. The kernels take float32 or float64.
"""

from __future__ import annotations

import numpy as np

from hwsim.jit import njit
from hwsim.rng import draw_uniform
from workloads.recipes.spiking_types import DONE, LAYERED, MOMENTUM, RANDOM, Frames, State, Tape


@njit(nogil=True)
def _grown(array, rows):
    larger = np.empty((rows, array.shape[1]), array.dtype)
    for row in range(len(array)):
        for column in range(array.shape[1]):
            larger[row, column] = array[row, column]
    return larger


@njit(nogil=True)
def _longer(tape, rows):
    """The tape with room for more steps."""
    return Tape(
        _grown(tape.potential, rows), _grown(tape.alive, rows), _grown(tape.evaluated, rows),
        _grown(tape.chosen, rows), _grown(tape.times, rows), _grown(tape.number, rows),
    )  # fmt: skip


@njit(nogil=True)
def add_row(target, low, high, weights, start, factor):
    """target[low:high] += factor * weights[start:start + high - low]."""
    row = weights[start : start + high - low]
    part = target[low:high]
    for i in range(high - low):
        part[i] += factor * row[i]


@njit(nogil=True)
def dot(weights, start, vector, low, high):
    """Product of a row of weights with vector[low:high], in eight partial sums (they run in parallel)."""
    row = weights[start : start + high - low]
    part = vector[low:high]
    a = b = c = d = e = f = g = h = row[0] * part[0] * 0
    whole = (high - low) // 8 * 8
    for i in range(0, whole, 8):
        a += row[i] * part[i]
        b += row[i + 1] * part[i + 1]
        c += row[i + 2] * part[i + 2]
        d += row[i + 3] * part[i + 3]
        e += row[i + 4] * part[i + 4]
        f += row[i + 5] * part[i + 5]
        g += row[i + 6] * part[i + 6]
        h += row[i + 7] * part[i + 7]
    for i in range(whole, high - low):
        a += row[i] * part[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit(nogil=True)
def _ranks(state, queued, rule, draws, drawn):
    """What the queue is ordered by: a draw, or minus the potential at the crossing and noise."""
    rank = np.zeros(queued)
    for place in range(queued):
        if rule.policy == RANDOM or (rule.policy == MOMENTUM and rule.noise > 0.0):
            rank[place] = draw_uniform(draws, np.uint64(drawn + place))
        if rule.policy == MOMENTUM:
            rank[place] = -(state.key[state.waiting[place]] + rule.noise * rank[place])
    return rank


@njit(nogil=True)
def choose(state, queued, rule, draws, drawn):
    """Moves the first ``group`` of the queue, by (rank, neuron), to ``picked``: their number, the rest's, the draws."""
    group, waiting, picked = rule.group, state.waiting, state.picked
    if queued <= group:
        for place in range(queued):
            picked[place] = waiting[place]
        return queued, 0, drawn
    rank, best, count = _ranks(state, queued, rule, draws, drawn), np.empty(group), 0
    for place in range(queued):
        neuron, value, position = waiting[place], rank[place], count
        while position > 0:
            before, other = best[position - 1], picked[position - 1]
            if before < value or (before == value and other < neuron):
                break
            if position < group:
                best[position], picked[position] = before, other
            position -= 1
        if position < group:
            best[position], picked[position] = value, neuron
            count = min(count + 1, group)
    kept = 0
    for place in range(group):
        state.queue[picked[place]] *= -1  # marks them
    for place in range(queued):
        if state.queue[waiting[place]] > 0:
            waiting[kept] = waiting[place]
            kept += 1
    for place in range(group):
        state.queue[picked[place]] *= -1
    return group, kept, drawn + queued * (rule.policy == RANDOM or rule.noise > 0.0)


@njit(nogil=True)
def _begin(net, state, frames, t, rule, draws, drawn, used):
    """A new timestep: decay, then the weighted input frame; every single event may be dropped."""
    leak, width = net.weights.dtype.type(rule.leak), net.sizes[1]
    for i in range(len(state.membrane)):
        state.membrane[i] *= leak
        state.alive[i] = 1
        state.queue[i] = 0
        state.current[i] = 0
    state.touched[:] = 0
    state.touched[0] = 1
    for entry in range(frames.start[t], frames.start[t + 1]):
        count = frames.count[entry]
        if rule.input_dropout > 0.0:
            kept = 0
            for _ in range(int(count)):
                kept += draw_uniform(draws, np.uint64(drawn)) >= rule.input_dropout
                drawn += 1
            count = net.weights.dtype.type(kept)
        used[entry] = count
        if count > 0:
            add_row(state.current, 0, width, net.weights, frames.place[entry] * width, count)
    return drawn


@njit(nogil=True)
def _evaluate(net, state, tape, step, queued, masked, rule, draws, drawn):
    """V += I, fire and reset in the layers that received currents: the queue's length, the draws, "the output fired".

    ``masked``: the spikes of this step reset their neurons, but nobody counts or sends them.
    """
    layers, threshold, output_fired = len(net.starts), net.weights.dtype.type(rule.threshold), False
    for layer in range(layers):
        tape.evaluated[step, layer] = state.touched[layer]
        if state.touched[layer] == 0:
            continue
        low, high = net.places[layer], net.places[layer + 1]
        for i in range(low, high):
            value = (state.membrane[i] + state.current[i]) * state.alive[i]
            tape.potential[step, i] = value
            tape.alive[step, i] = state.alive[i]
            state.membrane[i] = value
            state.current[i] = 0
        for i in range(low, high):
            if not tape.potential[step, i] > threshold:
                continue
            state.membrane[i] = 0
            state.key[i] = tape.potential[step, i]
            spared = False
            if rule.refractory_dropout > 0.0:
                spared = draw_uniform(draws, np.uint64(drawn)) < rule.refractory_dropout
                drawn += 1
            if not spared:
                state.alive[i] = 0
            if not masked:
                state.spikes[i] += 1
                if state.queue[i] == 0:
                    state.waiting[queued] = i
                    queued += 1
                state.queue[i] += 1
                output_fired = output_fired or layer == layers - 1
    return queued, drawn, output_fired


@njit(nogil=True)
def _send(net, state, tape, step, count):
    """Delivers the ``count`` picked neurons' spikes as currents."""
    state.touched[:] = 0
    for place in range(count):
        i = state.picked[place]
        tape.chosen[step, place], tape.times[step, place] = i, state.queue[i]
        state.sent[i] += state.queue[i]
        layer = net.layer_of[i] + 1
        if layer < len(net.starts):
            state.touched[layer] = 1
            low, high = net.places[layer], net.places[layer + 1]
            line = net.starts[layer] + (i - net.places[layer - 1]) * (high - low)
            add_row(state.current, low, high, net.weights, line, net.weights.dtype.type(state.queue[i]))
        state.queue[i] = 0


@njit(nogil=True)
def _goes_on(net, state, queued, here, rule):
    """Whether another step follows the ``here`` steps of this timestep; a layered pass sets its one layer."""
    layers = len(net.starts)
    if rule.policy == LAYERED:
        state.touched[:] = 0
        if here < layers:
            state.touched[here] = 1
        return here < layers
    going = queued > 0
    for layer in range(1, layers):
        if not going and state.touched[layer]:
            for i in range(net.places[layer], net.places[layer + 1]):
                going = going or state.current[i] > 0
    return going


@njit(nogil=True)
def forward(net, frames, rule, draws):
    """One sample; ``draws``: uint64 key of its random numbers. Returns (state, tape, first, used).

    ``first`` [T + 1]: first step of each timestep. ``used``: input counts after dropout, per entry of the frames.
    """
    layers, neurons, timesteps, kind = len(net.starts), net.places[-1], len(frames.start) - 1, net.weights.dtype
    group, rows = min(rule.group, neurons), 8 * timesteps * layers
    tape = Tape(
        np.empty((rows, neurons), kind), np.empty((rows, neurons), kind), np.zeros((rows, layers), np.uint8),
        np.empty((rows, group), np.int64), np.empty((rows, group), np.int64), np.empty((rows, 2), np.int64),
    )  # fmt: skip
    zeros, integers = np.zeros((4, neurons), kind), np.zeros((5, neurons), np.int64)
    state = State(
        zeros[0], zeros[1], zeros[2], zeros[3], integers[0], integers[1], integers[2], integers[3], integers[4],
        np.zeros(layers, np.uint8),
    )  # fmt: skip
    first, used = np.zeros(timesteps + 1, np.int64), np.empty(len(frames.count), kind)
    step, drawn = 0, 0
    for t in range(timesteps):
        first[t] = step
        drawn = _begin(net, state, frames, t, rule, draws, drawn, used)
        queued, left, going = 0, DONE, True
        while going:
            if step == len(tape.number):
                tape = _longer(tape, 2 * step)
            masked = left == 0
            queued, drawn, output_fired = _evaluate(net, state, tape, step, queued, masked, rule, draws, drawn)
            tape.number[step, 0], tape.number[step, 1] = 0, queued <= group
            if not masked:
                count, queued, drawn = choose(state, queued, rule, draws, drawn)
                tape.number[step, 0] = count
                _send(net, state, tape, step, count)
            step += 1
            going = not masked and _goes_on(net, state, queued, step - first[t], rule)
            if left > 0:
                left -= 1
            elif output_fired:
                left = rule.after if left == DONE else left
    first[timesteps] = step
    return state, tape, first, used


@njit(nogil=True)
def _of_silent(net, tape, step, by_current, by_spike):
    """The group had room: every neuron's spike would have been sent, and caused currents where the next step looked."""
    by_spike[:] = 0
    for layer in range(1, len(net.starts)):
        if tape.evaluated[step + 1, layer]:
            low, before, width = net.places[layer], net.places[layer - 1], net.sizes[layer]
            for i in range(low, net.places[layer + 1]):
                if by_current[i] != 0:
                    line = net.starts[layer] + (i - low) * width
                    add_row(by_spike, before, before + width, net.turned, line, by_current[i])


@njit(nogil=True)
def _of_chosen(net, tape, step, ahead, by_current, by_spike, gradient):
    """Gradients of the spikes that the step sent, and of the weights that they went through."""
    for place in range(tape.number[step, 0]):
        i = tape.chosen[step, place]
        layer = net.layer_of[i] + 1
        if layer == len(net.starts) or not ahead:
            by_spike[i] = 0
            continue
        low, high = net.places[layer], net.places[layer + 1]
        line = net.starts[layer] + (i - net.places[layer - 1]) * (high - low)
        if not tape.number[step, 1]:
            by_spike[i] = dot(net.weights, line, by_current, low, high)
        times = net.weights.dtype.type(tape.times[step, place])
        add_row(gradient, line, line + high - low, by_current, low, times)


@njit(nogil=True)
def _of_evaluation(net, tape, step, rule, by_membrane, by_current, by_spike, by_count):
    """Through the neurons of one step; the arctan surrogate 1 / (pi (1 + (pi x steepness / 2)^2))."""
    kind, layers, output = net.weights.dtype, len(net.starts), net.places[-2]
    scale, pi, one = kind.type(np.pi * rule.steepness / 2.0), kind.type(np.pi), kind.type(1.0)
    zero, threshold = kind.type(0.0), kind.type(rule.threshold)
    for layer in range(layers):
        if not tape.evaluated[step, layer]:
            continue
        for i in range(net.places[layer], net.places[layer + 1]):
            value = tape.potential[step, i]
            distance = scale * (value - threshold)
            caused = by_spike[i]
            if layer == layers - 1:
                caused += by_count[i - output]
            kept = by_membrane[i] if value <= threshold else zero
            found = (kept + caused * (one / (pi * (one + distance * distance)))) * tape.alive[step, i]
            by_membrane[i] = found
            by_current[i] = found


@njit(nogil=True)
def backward(net, frames, rule, tape, first, used, by_count, gradient):
    """Adds one sample's gradient to ``gradient`` (laid out as the weights).

    ``by_count`` [classes]: derivative of the loss by the output neurons' spike counts over the sample.
    """
    values = np.zeros((3, net.places[-1]), net.weights.dtype)
    by_membrane, by_current, by_spike = values[0], values[1], values[2]
    width, leak = net.sizes[1], net.weights.dtype.type(rule.leak)
    for t in range(len(first) - 2, -1, -1):
        by_spike[:] = 0
        for step in range(first[t + 1] - 1, first[t] - 1, -1):
            ahead = step + 1 < first[t + 1]  # what the last step delivers is dropped
            if tape.number[step, 1] and ahead:
                _of_silent(net, tape, step, by_current, by_spike)
            elif tape.number[step, 1]:
                by_spike[:] = 0
            _of_chosen(net, tape, step, ahead, by_current, by_spike, gradient)
            _of_evaluation(net, tape, step, rule, by_membrane, by_current, by_spike, by_count)
        for entry in range(frames.start[t], frames.start[t + 1]):
            if used[entry] > 0:
                line = frames.place[entry] * width
                add_row(gradient, line, line + width, by_current, 0, used[entry])
        for i in range(len(by_membrane)):
            by_membrane[i] *= leak


@njit(nogil=True)
def one_sample(frames, timesteps, number):
    """Sample ``number`` of many that stand behind each other, ``timesteps`` each."""
    start = frames.start[number * timesteps : (number + 1) * timesteps + 1]
    return Frames(start - start[0], frames.place[start[0] : start[-1]], frames.count[start[0] : start[-1]])


@njit(nogil=True)
def learn(net, frames, timesteps, chosen, labels, rule, scale, draws, gradient):
    """Mean loss and hits of the samples ``chosen``; adds their mean gradient to ``gradient``.

    Cross entropy of the softmax over ``scale`` x the output's spike counts; ``draws``: a uint64 key per chosen sample.
    """
    loss, hits, output = 0.0, 0, net.places[-2]
    for place in range(len(chosen)):
        sample, label = one_sample(frames, timesteps, chosen[place]), labels[chosen[place]]
        state, tape, first, used = forward(net, sample, rule, draws[place])
        logits = state.spikes[output:] * scale
        share = np.exp(logits - logits.max())
        share /= share.sum()
        hits += logits.argmax() == label
        loss -= np.log(share[label])
        share[label] -= 1.0
        by_count = (share * (scale / len(chosen))).astype(net.weights.dtype)
        backward(net, sample, rule, tape, first, used, by_count, gradient)
    return loss / len(chosen), hits


@njit(nogil=True)
def infer(net, frames, timesteps, number, rule, draws):
    """Int64 [number, classes]: output spikes; and [number, 3]: hidden spikes emitted, propagated, forward steps."""
    output = net.places[-2]
    counts, work = np.empty((number, net.sizes[-1]), np.int64), np.empty((number, 3), np.int64)
    for n in range(number):
        state, _, first, _ = forward(net, one_sample(frames, timesteps, n), rule, draws[n])
        counts[n] = state.spikes[output:]
        work[n, 0], work[n, 1], work[n, 2] = state.spikes[:output].sum(), state.sent[:output].sum(), first[-1]
    return counts, work
