"""Open-loop traffic on a network on chip: latency and throughput against injection, as NoC simulators measure them.

In every cycle every core makes a packet with the same probability, whatever the network does, and puts it into a source
queue without limit; a permutation, or chance, says to whom it goes (Dally and Towles, Principles and Practices of
Interconnection Networks, 2004, sections 3.2 and 23.1). Latency is from there to the arrival of the last flit, over all
packets made in a window after a warm-up; packets go on being made until those have arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hwsim.components.topology import Topology
from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.jit import njit
from hwsim.kernels.bits import part
from hwsim.kernels.noc import next_cycle, noc_tick, queue_packet
from hwsim.kernels.noc_state import (
    DESTINATION,
    ENTERED,
    INJECTED,
    PACKET_ROW,
    SOURCE,
    NocState,
    Pointers,
    new_state,
    pointers,
    router_flits,
    with_packets,
)  # fmt: skip
from hwsim.kernels.noc_tables import NocParameters, noc_tables
from hwsim.rng import draw_key, draw_uniform

PATTERNS = ("uniform", "transpose", "bitcomp", "tornado", "neighbour", "shuffle")
"""Of a k x k grid, node y * k + x:

uniform    any core, its own included, with the same probability
transpose  (x, y) to (y, x)
bitcomp    (x, y) to (k - 1 - x, k - 1 - y): all bits of the node's number the other way round
tornado    each coordinate ceil(k / 2) - 1 further, modulo k
neighbour  each coordinate one further, modulo k
shuffle    node n of N to 2 n modulo N - 1, the last one to itself: its bits rotated to the left (odd N: modulo N)
"""
WARMUP_CYCLES, WINDOW_CYCLES, DRAIN_CYCLES = 3000, 10_000, 20_000

MADE, CAME, TICKS, NETWORK_TICKS, ACCEPTED, LONGEST, ALL_MADE, ALL_CAME, DOUBLED, ASTRAY, REORDERED = range(11)
"""What is counted: packets of the window made, arrived, their summed latencies with and without the source queue,
packets that arrived in the window, the longest latency; packets made and arrived in all, arrivals of packets that were
not under way, at a wrong core, and after a younger one of their pair."""


class Point(NamedTuple):
    """What one rate gave.

    offered, accepted  flits per core and cycle; accepted in the window
    latency            mean cycles from the source queue to the last flit, of ``packets`` of the window; NaN: none
    network_latency    the same without the source queue (from the cycle in which the last flit left it)
    longest            the longest latency
    stable             whether all packets of the window arrived
    cycles, flit_hops  of the whole run
    reordered          packets of the whole run that arrived after a younger one of their pair
    """

    offered: float
    accepted: float
    latency: float
    network_latency: float
    longest: int
    packets: int
    stable: bool
    cycles: int
    flit_hops: int
    reordered: int


class Audit(NamedTuple):
    """What became of packets: how many were made; did not arrive, arrived twice, at a wrong core, after a younger one
    of their pair; in so many cycles, as so many flit-hops."""

    made: int
    lost: int
    doubled: int
    astray: int
    reordered: int
    cycles: int
    flit_hops: int


def destinations(topology: Topology, pattern: str | Sequence[int], cores_per_router: int = 1) -> np.ndarray:
    """int64 [cores]: to whom each core sends, -1 for anybody. A sequence is taken as it is.

    Raises ``SpecError`` for an unknown pattern, and for one that the topology has no coordinates for.
    """
    cores = len(topology.terminals) * cores_per_router
    if not isinstance(pattern, str):
        table = np.array(pattern, np.int64)
        if table.shape != (cores,) or table.min() < -1 or table.max() >= cores:
            raise SpecError(Problem("traffic", f"expected {cores} cores, each 0 to {cores - 1} or -1 for anybody"))
        return table
    if pattern not in PATTERNS:
        raise SpecError(Problem("traffic", f"unknown traffic '{pattern}'", did_you_mean(pattern, PATTERNS)))
    core = np.arange(cores)
    if pattern == "uniform":
        return np.full(cores, -1)
    if pattern == "bitcomp":
        return cores - 1 - core
    if pattern == "shuffle":
        return np.where(core == cores - 1, core, 2 * core % (cores - 1)) if cores % 2 == 0 else 2 * core % cores
    rows = 1 + max(topology.graph.nodes[node]["row"] for node in topology.graph)
    columns = 1 + max(topology.graph.nodes[node]["column"] for node in topology.graph)
    square = "" if pattern != "transpose" or rows == columns else " with as many rows as columns"
    if topology.kind == "tree" or cores != rows * columns or square:
        raise SpecError(Problem("traffic", f"'{pattern}' is for a mesh or torus{square}, one core per router"))
    y, x = np.divmod(core, columns)
    if pattern == "transpose":
        return x * columns + y
    step_x, step_y = (1, 1) if pattern == "neighbour" else ((columns + 1) // 2 - 1, (rows + 1) // 2 - 1)
    return (y + step_y) % rows * columns + (x + step_x) % columns


def latency_curve(topology: Topology, parameters: NocParameters, rates: Sequence[float], *,
                  traffic: str | Sequence[int] = "uniform", warmup: int = WARMUP_CYCLES, window: int = WINDOW_CYCLES,
                  drain: int = DRAIN_CYCLES, seed: int = 0) -> list[Point]:  # fmt: skip
    """A ``Point`` per rate (flits per core and cycle, at most 1 packet per core and cycle).

    traffic                 one of ``PATTERNS``, or for each core the one it sends to (-1: anybody)
    warmup, window, drain   cycles before the window, of it, and after it at most; source queues are not limited,
                            whatever ``parameters`` say

    Raises ``SpecError``.
    """
    phases = warmup, window, drain
    _start(topology, parameters, rates, traffic)
    return [_measure(*_start(topology, parameters, [rate], traffic), rate, phases, seed) for rate in rates]


def knee(points: Sequence[Point], zero_load: float) -> float:
    """The offered rate at which latency is twice that at zero load, on straight lines between points; NaN: nowhere."""
    before = None
    for point in sorted(points):
        if point.latency > 2 * zero_load:
            if before is None:
                return point.offered
            share = (2 * zero_load - before.latency) / (point.latency - before.latency)
            return before.offered + share * (point.offered - before.offered)
        before = point
    return float("nan")


def audit(topology: Topology, parameters: NocParameters, packets: int, rate: float, *,
          traffic: str | Sequence[int] = "uniform", seed: int = 0) -> Audit:  # fmt: skip
    """Send at least so many packets, stop, and wait until nothing moves any more. Arguments as of ``latency_curve``."""
    state, fixed = _start(topology, parameters, [rate], traffic)
    run = _Run(state, fixed, rate, seed)
    while run.log.counts[ALL_MADE] < packets:
        missing = packets - int(run.log.counts[ALL_MADE])
        run.advance(run.cycle + 1 + int(missing * parameters.flits / (rate * len(fixed))))
    run.probability = 0.0
    while next_cycle(run.state, run.cycle) >= 0:
        run.advance(run.cycle + 1000)
    c = run.log.counts
    lost = int(c[ALL_MADE]) - (int(c[ALL_CAME]) - int(c[DOUBLED]))
    return Audit(int(c[ALL_MADE]), lost, int(c[DOUBLED]), int(c[ASTRAY]), int(c[REORDERED]), run.cycle,
                 int(router_flits(run.state).sum()))  # fmt: skip


def _start(topology: Topology, parameters: NocParameters, rates: Sequence[float],
           traffic: str | Sequence[int]) -> tuple[NocState, np.ndarray]:  # fmt: skip
    """An empty network and whom its cores send to, where that and the rates make sense."""
    if parameters.multicast:
        raise SpecError(Problem("traffic", "a multicast network has sets of cores, not traffic patterns"))
    for rate in rates:
        if not 0 < rate <= parameters.flits:
            found = f"expected a rate above 0 and at most {parameters.flits} flits per core and cycle, found {rate}"
            raise SpecError(Problem("traffic", found))
    tables = noc_tables(topology, replace(parameters, source_queue=None))
    return new_state(tables), destinations(topology, traffic, parameters.cores_per_router)


def _measure(state: NocState, fixed: np.ndarray, rate: float, phases: tuple[int, int, int], seed: int) -> Point:
    """Warm up, measure, and go on until the packets of the window have arrived."""
    warmup, window, drain = phases
    run = _Run(state, fixed, rate, seed, warmup, warmup + window)
    run.advance(warmup + window + drain)
    c, packets = run.log.counts, int(run.log.counts[CAME])
    total, network = (float(c[column] / packets) if packets else float("nan") for column in (TICKS, NETWORK_TICKS))
    accepted = float(c[ACCEPTED] * state.t.flits / (window * len(fixed)))
    return Point(rate, accepted, total, network, int(c[LONGEST]), packets, bool(c[CAME] == c[MADE]), run.cycle,
                 int(router_flits(run.state).sum()), int(c[REORDERED]))  # fmt: skip


class _Run:
    """A network under traffic. The window is from cycle ``first`` to before ``last``; -1: none."""

    def __init__(self, state: NocState, fixed: np.ndarray, rate: float, seed: int, first: int = -1,
                 last: int = -1) -> None:  # fmt: skip
        self.state, self.fixed, self.window = state, fixed, (first, last)
        self.keys = draw_key(seed, "traffic/packet"), draw_key(seed, "traffic/destination")
        self.probability = rate / state.t.flits
        self.cycle = 0
        self.log = _Log(len(state.packet), len(fixed))

    def advance(self, end: int) -> None:
        """Until cycle ``end``, or until all packets of the window have arrived."""
        while self.cycle < end:
            self.state = self.log.room_for(self.state)
            log = self.log
            arrays = log.free, log.left, log.place, log.made, log.seen, log.counts
            self.cycle, complete = _run(
                self.state, self.keys, self.probability, self.fixed, self.cycle, end, self.window, arrays
            )
            if complete:
                break


class _Log:
    """Numbers of packets that are free (the first ``left``), which are under way as the how manieth of their pair
    (``place``, 0: not), and what is counted."""

    def __init__(self, packets: int, cores: int) -> None:
        self.free, self.left = np.arange(packets), np.array([packets])
        self.place = np.zeros(packets, np.int64)
        self.made, self.seen = np.zeros((cores, cores), np.int64), np.zeros((cores, cores), np.int64)
        self.counts = np.zeros(11, np.int64)

    def room_for(self, state: NocState) -> NocState:
        """With more packets, where there are not enough for a cycle."""
        packets, left = len(state.packet), int(self.left[0])
        if left >= state.t.cores:
            return state
        more = max(packets, state.t.cores)
        self.free = np.concatenate(
            [self.free[:left], np.arange(packets, packets + more), np.zeros(packets - left, int)]
        )
        self.left[0] += more
        self.place = np.concatenate([self.place, np.zeros(more, np.int64)])
        return with_packets(state, packets + more)


@njit(nogil=True)
def _run(s, keys, probability, fixed, cycle, end, window, arrays):  # type: ignore[no-untyped-def]
    """Cycles until ``end``, or until numbers run out, or all packets of the window have arrived: (the next cycle,
    whether that was why). ``arrays`` are those of a ``_Log``."""
    free, left, place, made, _, counts = arrays
    t, a, cores, (first, last) = s.t, pointers(s), fixed.size, window
    while cycle < end:
        if first >= 0 and cycle >= last and counts[CAME] == counts[MADE]:
            return cycle, True
        if left[0] < cores:
            break
        for source in range(cores):
            index = np.uint64(cycle * cores + source)
            if draw_uniform(keys[0], index) >= probability:
                continue
            target = fixed[source]
            if target < 0:
                target = np.int64(draw_uniform(keys[1], index) * cores)
            left[0] -= 1
            packet = free[left[0]]
            made[source, target] += 1
            place[packet] = made[source, target]
            queue_packet(t, a, packet, source, target, cycle)
            counts[ALL_MADE] += 1
            counts[MADE] += first <= cycle < last
        for row in range(noc_tick(s, cycle)):
            _arrive(a, a.ejected[2 * row], a.ejected[2 * row + 1], cycle, window, arrays)
        cycle += 1
    return cycle, False


@part
def _arrive(a: Pointers, core, packet, cycle, window, arrays):  # type: ignore[no-untyped-def]
    """Count an arrival, and free the packet's number."""
    free, left, place, _, seen, counts = arrays
    first, last = window
    counts[ALL_CAME] += 1
    if place[packet] == 0:
        counts[DOUBLED] += 1
        return
    of = packet * PACKET_ROW
    source, target, start = a.packet[of + SOURCE], a.packet[of + DESTINATION], a.packet[of + INJECTED]
    counts[ASTRAY] += target != core
    counts[REORDERED] += place[packet] < seen[source, target]
    seen[source, target] = max(place[packet], seen[source, target])
    place[packet] = 0
    free[left[0]] = packet
    left[0] += 1
    counts[ACCEPTED] += first <= cycle < last
    if first <= start < last:
        counts[CAME] += 1
        counts[TICKS] += cycle - start
        counts[NETWORK_TICKS] += cycle - a.packet[of + ENTERED]
        counts[LONGEST] = max(counts[LONGEST], cycle - start)
