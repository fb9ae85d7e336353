"""A second count of a whole run, in plain Python: from the nest that the run reports to every access, word by word.

Nothing of the planner, of the processes or of the kernels is used; the chosen nest (loop order, block sizes, what is
resident, where membranes wait) and the geometry of the layers are read from the schedules, all else is worked out here
from the rules: line registers, folds, passes, bit planes, pools.
"""

from __future__ import annotations

from collections import Counter
from itertools import product


def up(a, b):
    return -(-a // b)


def cut(start, end, step):
    return [(a, min(a + step, end)) for a in range(start, end, step)]


def lines_of(words, word_bits, line_bits, register):
    """Accesses of stored words, in this order, through a line register (a list of one)."""
    accesses = 0
    for word in words:
        for line in range(word * word_bits // line_bits, ((word + 1) * word_bits - 1) // line_bits + 1):
            accesses += line != register[0]
            register[0] = line
    return accesses


class Recount:
    """``counts`` (layer, component, action) -> times; ``busy`` layer -> array cycles; ``stalled`` layer -> cycles that
    the array waits for the ports of the buffers. One sample, nothing skipped."""

    def __init__(self, runner, timesteps=None):
        self.machine, self.schedules = runner.machine, runner.schedules
        flow = self.machine.dataflow
        self.total = runner.timesteps
        self.rows, self.columns, self.share = self.machine.rows, self.machine.columns, self.machine.share
        self.line = self.machine.srams[0].line_bits
        self.ports = {(b.name, action): ports for b in self.machine.srams
                      for action, ports in (("read", b.read_ports), ("write", b.write_ports))}  # fmt: skip
        self.counts, self.busy, self.stalled, self.memory = Counter(), Counter(), Counter(), {}
        self.looks = self.machine.exit_rule is not None
        self.kept = {}
        buffers = list(self.machine.buffers.values())
        room = sum(s.capacity_bits for s in self.machine.srams if s.name == self.machine.buffers["weights"])
        works = [schedule.work for schedule in self.schedules]
        weights = sum(work.geometry.M * work.geometry.K * work.groups * work.weight_bits for work in works)
        alone = buffers.count(self.machine.buffers["weights"]) == 1
        self.keeps = flow.time in ("network", "block") and alone and weights <= room
        stretch = {"network": 1, "block": flow.block}.get(flow.time, self.total)
        for start in range(0, timesteps or self.total, stretch):
            for schedule in self.schedules:
                self.segment(schedule, start, min(self.total, start + stretch), flow)

    # one layer, one stretch of time -------------------------------------------------------------------------------

    def segment(self, schedule, start, end, flow):
        self.s, self.work, self.g = schedule, schedule.work, schedule.work.geometry
        self.there = {"weights": set(), "inputs": set(), "outputs": set()}
        if self.keeps:  # weights of the whole network stay through all stretches
            self.there["weights"] = self.kept.setdefault(self.work.index, set())
        inner = flow.time in ("inner", "block")
        spans = [(start, end)] if inner else [(t, t + 1) for t in range(start, end)]
        extent = {"m": (self.g.M, schedule.nest.m_block), "p": (self.g.P, schedule.nest.p_block),
                  "k": (self.g.K, schedule.nest.k_block)}  # fmt: skip
        for group, (t0, t1) in product(range(self.work.groups), spans):
            ranges = [cut(0, *extent[name]) for name in schedule.nest.order]
            for blocks in product(*ranges):
                at = dict(zip(schedule.nest.order, blocks, strict=True))
                self.fetch(group, t0, t1, at)
                self.array(t0, t1, at)
                if at["k"][1] == self.g.K:
                    self.drain(t0, t1, at)

    def add(self, component, action, times):
        if times:
            self.counts[self.work.index, component, action] += times

    def transfer(self, bits, buffer, into):
        """Bits between DRAM and a buffer, one transfer: bursts at one end, lines at the other."""
        self.add("dram", "read" if into else "write", up(bits, self.machine.dram.burst_bits))
        self.add(buffer, "write" if into else "read", up(bits, self.line))

    def new_block(self, operand, key, stays):
        """Whether a block must be fetched: a buffer keeps the last block, or all of a resident operand."""
        found = key in self.there[operand]
        if not stays:
            self.there[operand].clear()
        self.there[operand].add(key)
        return not found

    def fetch(self, group, t0, t1, at):
        (m0, m1), (p0, p1), (k0, k1) = at["m"], at["p"], at["k"]
        g, work, nest = self.g, self.work, self.s.nest
        if self.new_block("weights", (group, m0, k0), nest.weights_resident or self.keeps):
            self.transfer((m1 - m0) * (k1 - k0) * work.weight_bits, self.machine.buffers["weights"], into=True)
        time = None if work.constant_input else t0
        word = work.input_bits * (1 if work.constant_input else t1 - t0)
        if nest.inputs_resident:
            if self.new_block("inputs", (group, time), True):
                self.transfer(g.C * g.H * g.W * word, self.machine.buffers["inputs"], into=True)
        elif self.new_block("inputs", (group, time, p0, k0), False):
            channels = {k // (g.R * g.S) for k in range(k0, k1)}
            self.transfer(self.positions(p0, p1) * len(channels) * word, self.machine.buffers["inputs"], into=True)
        new = self.new_block("outputs", (group, m0, p0, t0), False)
        if new and self.s.membranes == "dram" and t0 > 0:
            self.transfer(self.membranes(m0, m1) * (p1 - p0) * self.machine.membrane_bits,
                          self.machine.buffers["outputs"], into=True)  # fmt: skip

    def membranes(self, m0, m1):
        return len({m // self.share for m in range(m0, m1)})

    def positions(self, p0, p1):
        """Stored input positions per channel that pixels p0:p1 need: whole rows, or columns of a one-row input."""
        g = self.g
        ys = [p // g.F * g.stride_y - g.pad_y + r * g.dilation_y for p in range(p0, p1) for r in range(g.R)]
        xs = [p % g.F * g.stride_x - g.pad_x + s * g.dilation_x for p in range(p0, p1) for s in range(g.S)]
        if g.H == 1 and g.W > 1:
            return max(0, min(g.W, max(xs) + 1) - max(0, min(xs)))
        return max(0, min(g.H, max(ys) + 1) - max(0, min(ys))) * g.W

    def drain(self, t0, t1, at):
        (m0, m1), (p0, p1) = at["m"], at["p"]
        work, buffer = self.work, self.machine.buffers["outputs"]
        accumulated = work.neuron == "none"
        if not accumulated or t1 == self.total or self.looks:
            span = 1 if accumulated else t1 - t0
            read = (m1 - m0) * (p1 - p0) * work.output_bits * span
            self.add(buffer, "read", up(read, self.line))
            leave = p0, p1
            for kind, wy, wx, height, width in work.pool:
                leave = tuple(p * height * width // (self.g.E * self.g.F) for p in (p0, p1))
                values = (m1 - m0) * (leave[1] - leave[0]) * (wy * wx - 1)
                if kind == "maxpool" and work.output_bits > 1:
                    self.add("pool", "compare", values * (t1 - t0))
                elif kind == "maxpool":
                    self.add("pool", "or", values * up(work.output_bits * span, 8))
                else:
                    self.add("pool", "add", values * (t1 - t0))
            written = (m1 - m0) * (leave[1] - leave[0]) * self.drained_bits() * span
            self.add("dram", "write", up(written, self.machine.dram.burst_bits))
        if self.s.membranes == "dram" and t1 < self.total and work.spiking:
            self.transfer(self.membranes(m0, m1) * (p1 - p0) * self.machine.membrane_bits, buffer, into=False)

    def drained_bits(self):
        """A window of spikes adds up to a count of more bits; an OR does not."""
        bits = self.work.output_bits
        high = 2**bits - 1
        for kind, wy, wx, *_ in self.work.pool:
            high *= 1 if kind == "maxpool" else wy * wx
        return high.bit_length()

    # the array ----------------------------------------------------------------------------------------------------

    def array(self, t0, t1, at):
        times = t1 - t0
        stationary = self.machine.dataflow.stationary
        word = 8 if self.work.constant_input else 8 // self.work.input_bits
        word = min(word, self.machine.options["spike_packing"])
        limit = min(word, self.machine.psum_spad_bits // self.work.psum_bits) if stationary == "output" else word
        b = max(1, min(times, limit))
        passes = [end - start for start, end in cut(0, times, b)]
        self.last = at["k"][1] == self.g.K
        self.first = at["k"][0] == 0
        self.t0, self.t1 = t0, t1
        {"output": self.output, "weight": self.weight, "input": self.input}[stationary](passes, at)
        if self.last and self.work.spiking:
            size = (at["m"][1] - at["m"][0]) * (at["p"][1] - at["p"][0])
            self.add("lif", "update", size * times)

    def begin(self, cycles):
        """A fold-pass of so many cycles of the array; ``lines`` says what its buffers move meanwhile."""
        self.busy[self.work.index] += cycles
        self.cycles, self.moved = cycles, Counter()

    def end(self):
        """It lasts until the slowest port has moved all the lines of its buffer."""
        slowest = max(up(times, self.ports[port]) for port, times in self.moved.items())
        self.stalled[self.work.index] += max(0, slowest - self.cycles)

    def output(self, passes, at):
        (k0, k1), depth, planes = at["k"], at["k"][1] - at["k"][0], self.work.planes
        for (ma, mb), (pa, pb) in product(cut(*at["m"], self.columns), cut(*at["p"], self.rows)):
            used, columns = (mb - ma) * (pb - pa), mb - ma
            for number, b in enumerate(passes):
                self.begin(planes * b * depth + self.rows + self.columns - 2)
                self.lines("weights", "read", up(depth * columns * self.work.weight_bits, self.line))
                self.lines("inputs", "read", self.walk([(k0, k1)], pa, pb, b))
                psums = columns * up((pb - pa) * b * self.work.psum_bits, self.line)
                self.lines("outputs", "read", 0 if self.first else psums)
                self.lines("outputs", "write", 0 if self.last else psums)
                self.add("pe", "shift", (planes - 1) * depth * b * used)
                self.add("pe", "weight_spad_write", depth * used)
                self.add("pe", "spike_spad_write", depth * used)
                self.add("pe", "spike_spad_read", planes * depth * b * used)
                for action in ("psum_spad_read", "psum_spad_write"):
                    self.add("pe", action, up(depth, 9) * b * used if b > 1 else 0)
                self.finish(number, len(passes), b, (ma, mb), (pa, pb), spill=False)
                self.end()

    def weight(self, passes, at):
        (p0, p1), pixels = at["p"], at["p"][1] - at["p"][0]
        for (ma, mb), (number, b) in product(cut(*at["m"], self.columns), enumerate(passes)):
            columns, folds = mb - ma, self.element_folds(at["k"])
            for index, elements in enumerate(folds):
                self.begin(b * pixels + 2 * self.rows + self.columns - 2)
                self.lines("weights", "read", up(len(elements) * columns * self.work.weight_bits, self.line))
                self.lines("inputs", "read", self.walk(self.runs(elements), p0, p1, b))
                self.psums(columns * up(pixels * b * self.work.psum_bits, self.line), index)
                self.add("pe", "shift", sum(plane > 0 for plane, _ in elements) * columns)
                self.add("pe", "weight_spad_write", len(elements) * columns)
                if index == len(folds) - 1:
                    self.finish(number, len(passes), b, (ma, mb), (p0, p1), spill=pixels > self.rows)
                self.end()

    def input(self, passes, at):
        (m0, m1), filters = at["m"], at["m"][1] - at["m"][0]
        for (pa, pb), (number, b) in product(cut(*at["p"], self.columns), enumerate(passes)):
            columns, folds = pb - pa, self.element_folds(at["k"])
            for index, elements in enumerate(folds):
                self.begin(b * filters + 2 * self.rows + self.columns - 2)
                self.lines("weights", "read", up(len(elements) * filters * self.work.weight_bits, self.line))
                self.lines("inputs", "read", self.walk(self.runs(elements), pa, pb, b))
                self.psums(columns * up(filters * b * self.work.psum_bits, self.line), index)
                self.add("pe", "shift", sum(plane > 0 for plane, _ in elements) * columns)
                self.add("pe", "spike_spad_write", len(elements) * columns)
                self.add("pe", "spike_spad_read", len(elements) * columns * b * filters)
                if index == len(folds) - 1:
                    self.finish(number, len(passes), b, (m0, m1), (pa, pb), spill=filters > self.rows)
                self.end()

    def element_folds(self, k):
        """The (plane, k) elements of each fold, least significant plane first."""
        elements = [(plane, element) for plane in range(self.work.planes) for element in range(*k)]
        return [elements[a:b] for a, b in cut(0, len(elements), self.rows)]

    def runs(self, elements):
        """Ranges of consecutive k, one for each plane that the fold touches."""
        found = {}
        for plane, k in elements:
            found.setdefault(plane, []).append(k)
        return [(ks[0], ks[-1] + 1) for ks in found.values()]

    def psums(self, lines, index):
        """Every reduction fold writes its sums, every one but the very first reads those before it."""
        self.lines("outputs", "write", lines)
        self.lines("outputs", "read", 0 if self.first and index == 0 else lines)

    def lines(self, operand, action, times):
        self.add(self.machine.buffers[operand], action, times)
        self.moved[self.machine.buffers[operand], action] += times

    def finish(self, number, passes, b, filters, pixels, spill):
        """Complete sums of a pass meet membranes and give outputs."""
        if not self.last:
            return
        work, away, ends = self.work, self.s.membranes != "pe", number == passes - 1
        if work.spiking:
            membranes = self.membrane_lines(self.membranes(*filters), pixels[1] - pixels[0])
            reads = (away and self.t0 > 0) if number == 0 else spill
            writes = (away and self.t1 < self.total) if ends else spill
            self.lines("outputs", "read", membranes * reads)
            self.lines("outputs", "write", membranes * writes)
        if work.neuron == "none" and not (ends and (self.t1 == self.total or self.looks)):
            return
        bits = work.output_bits * (1 if work.neuron == "none" else b)
        words = (m * self.g.E * self.g.F + p for m in range(*filters) for p in range(*pixels))
        self.lines("outputs", "write", lines_of(words, bits, self.line, [None]))

    def membrane_lines(self, units, pixels):
        """Runs of membranes: one for each channel, or group of channels, over the pixels; input stationary, where a
        pixel has a column, one for each pixel."""
        runs, each = (pixels, units) if self.machine.dataflow.stationary == "input" else (units, pixels)
        return runs * up(each * self.machine.membrane_bits, self.line)

    def walk(self, runs, pa, pb, b):
        """Input lines of one fold-pass: per channel, kernel row and output row the words between the outermost used."""
        work = self.work
        bits = work.input_bits * (1 if work.constant_input else b)
        key = (work.index, tuple(runs), pa, pb, bits)
        if key not in self.memory:
            register = [None]
            self.memory[key] = sum(lines_of(self.words(ka, kb, pa, pb), bits, self.line, register) for ka, kb in runs)
        return self.memory[key]

    def words(self, ka, kb, pa, pb):
        g = self.g
        kernel_rows = {}
        for k in range(ka, kb):
            kernel_rows.setdefault((k // (g.R * g.S), k // g.S % g.R), []).append(k % g.S)
        for (c, r), columns in kernel_rows.items():
            for e in sorted({p // g.F for p in range(pa, pb)}):
                y = e * g.stride_y - g.pad_y + r * g.dilation_y
                xs = [p % g.F * g.stride_x - g.pad_x + s * g.dilation_x
                      for p in range(pa, pb) if p // g.F == e for s in columns]  # fmt: skip
                if 0 <= y < g.H:
                    for x in range(max(0, min(xs)), min(g.W - 1, max(xs)) + 1):
                        yield (c * g.H + y) * g.W + x
