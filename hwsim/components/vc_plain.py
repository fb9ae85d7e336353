"""A router of virtual channels in plain Python: what ``hwsim.components.vc_router`` says, word for word, and slow.

The witness of ``hwsim.kernels.noc``. It keeps no sets and no queues of what is due: every cycle it looks at every
buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hwsim.kernels.noc_tables import DATELINE_COLUMN, DIRECTION_COLUMN, PORT_COLUMN, NocTables, pair_hash


class Packet(NamedTuple):
    """A packet by its number, on its way from a core to a core (multicast: to the set of cores of that number)."""

    number: int
    source: int
    target: int


class Flit(NamedTuple):
    """The flit ``position`` (0: the first) of a packet, coming to input ``port`` on ``channel``."""

    port: int
    channel: int
    packet: Packet
    position: int


class Credit(NamedTuple):
    """Room for one flit behind ``channel`` of output ``port``; of an output to a core: behind the core."""

    port: int
    channel: int


class Arrival(NamedTuple):
    """The last flit of a packet has come to a core."""

    core: int
    packet: int


class Entry(NamedTuple):
    """The last flit of a packet has left the source queue of a core, where there is room for one more."""

    core: int
    packet: int


Sent = tuple[int, Flit | Credit | Arrival | Entry]
"""A router's port, and what leaves it there."""


@dataclass(slots=True)
class Branch:
    """What the first packet of a buffer needs of one output: a channel, with which it may send from cycle ``since``."""

    output: int
    channel: int | None = None
    since: int = 0


@dataclass(slots=True)
class Buffer:
    """A virtual channel of an input: its flits; of its first packet the flits that have not left (0: no packet), the
    cycle in which it is routed, and then its branches."""

    flits: deque[Flit] = field(default_factory=deque)
    left: int = 0
    routed: int = 0
    branches: list[Branch] | None = None


@dataclass(slots=True)
class OutputChannel:
    """A virtual channel of an output: the buffer (port, channel) that holds it, and room behind it in flits."""

    credits: int
    holder: tuple[int, int] | None = None
    sent: int = 0


@dataclass(slots=True)
class Source:
    """The queue of a core: packets, room behind each channel, and the channel and number of the next flit."""

    credits: list[int]
    queue: deque[Packet] = field(default_factory=deque)
    channel: int = 0
    position: int = 0


Routed = list[tuple[int, int, Buffer]]
"""Buffers with a routed packet: input, channel."""


def next_in_ring(members: Iterable[int], start: int, size: int) -> int:
    """The first of some numbers below ``size`` at or after ``start``, in a ring."""
    return min(members, key=lambda member: (member - start) % size)


def outputs_of(tables: NocTables, node: int, target: int) -> list[int]:
    """The ports by which a packet to a core (multicast: a set) leaves a router."""
    if not tables.multicast:
        return [int(tables.next_port[node, target])]
    return [port for port in range(tables.ports) if tables.fan[target, node] >> port & 1]


def allowed_channels(tables: NocTables, node: int, p: int, v: int, port: int, packet: Packet) -> tuple[int, ...]:
    """The channels of an output that a packet in the buffer ``v`` of input ``p`` may take."""
    channels = tuple(range(tables.channels))
    if port >= tables.network_ports:
        return channels
    if tables.first_class:
        link = tables.link[node * tables.ports : (node + 1) * tables.ports]
        straight = p < tables.network_ports and link[p, DIRECTION_COLUMN] == link[port, DIRECTION_COLUMN]
        upper = link[port, DATELINE_COLUMN] or (straight and v >= tables.first_class)
        channels = channels[tables.first_class :] if upper else channels[: tables.first_class]
    if tables.by_pair:
        return (channels[pair_hash(packet.source, packet.target, tables.cores) % len(channels)],)
    return channels


class PlainRouter:
    """The state of router ``node`` of a network; ``tick`` is one cycle of it. ``sink_room``: packets that each core of
    the network takes at first (-1, or no such list: any number)."""

    def __init__(self, tables: NocTables, node: int, sink_room: Sequence[int] = ()) -> None:
        self.tables, self.node = tables, node
        ports, channels = range(tables.ports), range(tables.channels)
        self.buffers = [[Buffer() for _ in channels] for _ in ports]
        self.outputs = [[OutputChannel(tables.buffer) for _ in channels] for _ in ports]
        first = int(tables.first_core[node])
        self.cores = range(first, first + tables.cores_per_router) if first >= 0 else range(0)
        self.sources = {core: Source([tables.buffer] * tables.channels) for core in self.cores}
        self.sink_room = {core: sink_room[core] if sink_room else -1 for core in self.cores}
        slots = tables.slots
        self._grant_turn, self._accept_turn = [0] * slots, [0] * slots
        self._switch_grant, self._switch_accept, self._switch_channel = ([0] * tables.ports for _ in range(3))
        self._source_turn = dict.fromkeys(self.cores, 0)

    def flit(self, flit: Flit, now: int) -> None:
        """A flit comes."""
        buffer = self.buffers[flit.port][flit.channel]
        buffer.flits.append(flit)
        assert len(buffer.flits) <= self.tables.buffer, (self.node, flit)
        if not buffer.left:
            buffer.left, buffer.routed = self.tables.flits, now + self.tables.routing

    def credit(self, credit: Credit) -> None:
        """A credit comes."""
        if credit.port >= self.tables.network_ports:
            self.sources[self.core_at(credit.port)].credits[credit.channel] += 1
        else:
            self.outputs[credit.port][credit.channel].credits += 1

    def core_at(self, port: int) -> int:
        """The core at a port."""
        return self.cores[port - self.tables.network_ports]

    def _there(self, port: int) -> int:
        """The port of the router behind a port."""
        return int(self.tables.link[self.node * self.tables.ports + port, PORT_COLUMN])

    def tick(self, now: int) -> tuple[list[Sent], bool]:
        """What leaves in a cycle, and whether the next cycle has to be looked at even if nothing comes."""
        packets = [(p, v, buffer) for p, row in enumerate(self.buffers) for v, buffer in enumerate(row) if buffer.left]
        for _, _, buffer in packets:
            if buffer.branches is None and buffer.routed <= now:
                target = buffer.flits[0].packet.target
                buffer.branches = [Branch(output) for output in outputs_of(self.tables, self.node, target)]
        routed = [(p, v, buffer) for p, v, buffer in packets if buffer.branches is not None]
        granted = self._allocate_channels(routed, now)
        sent = self._allocate_switch(routed, now) + self._send_all(now)
        # a stage of more than one cycle may still be at work
        later = any(
            buffer.routed > now if buffer.branches is None else any(branch.since > now for branch in buffer.branches)
            for row in self.buffers
            for buffer in row
            if buffer.left
        )
        return sent, granted or bool(sent) or later

    def _free(self, port: int, channel: int) -> bool:
        """Whether a packet may be given a channel."""
        output = self.outputs[port][channel]
        empty = output.credits == self.tables.buffer or port >= self.tables.network_ports
        return output.holder is None and (empty or not self.tables.wait_for_tail_credit)

    def _index(self, port: int, channel: int) -> int:
        return port << self.tables.shift | channel

    def _allocate_channels(self, routed: Routed, now: int) -> bool:
        """VA: iSLIP for each output; packets that share no channel do not see each other. Whether one was given."""
        asking: dict[tuple[int, tuple[int, ...]], dict[int, Branch]] = {}
        for p, v, buffer in routed:
            for branch in buffer.branches or ():
                if branch.channel is None:
                    packet, output = buffer.flits[0].packet, branch.output
                    group = allowed_channels(self.tables, self.node, p, v, output, packet)
                    asking.setdefault((output, group), {})[self._index(p, v)] = branch
        found = [self._match(*place, asking[place], now) for place in sorted(asking)]
        return any(found)

    def _match(self, port: int, group: tuple[int, ...], branches: dict[int, Branch], now: int) -> bool:
        """Give free channels of a group to buffers (by index) that ask; whether one was given."""
        size, found = self.tables.slots, False
        for iteration in range(self.tables.iterations):
            asking = [index for index, branch in branches.items() if branch.channel is None]
            offers: dict[int, list[int]] = {}
            for channel in group:
                if asking and self._free(port, channel):
                    out = self._index(port, channel)
                    offers.setdefault(next_in_ring(asking, self._grant_turn[out], size), []).append(out)
            for index, outs in offers.items():
                out = next_in_ring(outs, self._accept_turn[index], size)
                if iteration == 0:
                    self._grant_turn[out], self._accept_turn[index] = index + 1, out + 1
                channel = out - self._index(port, 0)
                p = index >> self.tables.shift
                self.outputs[port][channel].holder = (p, index - self._index(p, 0))
                branches[index].channel, branches[index].since = channel, now + self.tables.allocation
                found = True
        return found

    def _may_send(self, buffer: Buffer, branch: Branch, now: int) -> bool:
        """Whether the first flit of a buffer may take the switch."""
        if branch.channel is None or branch.since > now or not buffer.flits:
            return False
        if branch.output >= self.tables.network_ports:
            return buffer.flits[0].position > 0 or self.sink_room[self.core_at(branch.output)] != 0
        return self.outputs[branch.output][branch.channel].credits > 0

    def _allocate_switch(self, routed: Routed, now: int) -> list[Sent]:
        """SA: iSLIP between inputs and outputs, an input with the next of its channels."""
        ports = range(self.tables.ports)
        able: dict[tuple[int, int], dict[int, Branch]] = {}
        for p, v, buffer in routed:
            for branch in buffer.branches or ():
                if self._may_send(buffer, branch, now):
                    able.setdefault((branch.output, p), {})[v] = branch
        inputs, outputs = set(ports), {output for output, _ in able}
        sent: list[Sent] = []
        for iteration in range(self.tables.iterations):
            offers: dict[int, list[int]] = {}
            for port in sorted(outputs):
                candidates = [p for p in sorted(inputs) if (port, p) in able]
                if candidates:
                    p = next_in_ring(candidates, self._switch_grant[port], len(ports))
                    offers.setdefault(p, []).append(port)
            for p in sorted(offers):
                port = next_in_ring(offers[p], self._switch_accept[p], len(ports))
                if iteration == 0:
                    self._switch_grant[port], self._switch_accept[p] = p + 1, port + 1
                inputs.remove(p)
                outputs.remove(port)
                sent += self._depart(p, able[port, p], now)
        return sent

    def _depart(self, p: int, able: dict[int, Branch], now: int) -> list[Sent]:
        """One flit of an input leaves by one branch; its buffer is popped when it has left by all of them."""
        channels = self.tables.channels
        v = next_in_ring(able, self._switch_channel[p], channels)
        self._switch_channel[p] = v + 1
        buffer, branch = self.buffers[p][v], able[v]
        assert branch.channel is not None and buffer.branches is not None
        flit, port = buffer.flits[0], branch.output
        last = flit.position == self.tables.flits - 1
        output = self.outputs[port][branch.channel]
        output.sent += 1
        sent: list[Sent] = []
        if port < self.tables.network_ports:
            output.credits -= 1
            there = self._there(port)
            sent.append((port, Flit(there, branch.channel, flit.packet, flit.position)))
        else:
            core = self.core_at(port)
            if flit.position == 0 and self.sink_room[core] > 0:
                self.sink_room[core] -= 1
            if last:
                sent.append((port, Arrival(core, flit.packet.number)))
        if last:
            output.holder = None
            buffer.branches.remove(branch)
        if not last or not buffer.branches:
            buffer.flits.popleft()
            buffer.left -= 1
            sent.append((p, Credit(self._there(p), v)))
        if not buffer.left:
            buffer.branches = None
            if buffer.flits:
                buffer.left, buffer.routed = self.tables.flits, now + 1 + self.tables.routing
        return sent

    def _send_all(self, now: int) -> list[Sent]:
        """One flit of each core that has one and room for it."""
        sent: list[Sent] = []
        for core, source in self.sources.items():
            port = self.tables.network_ports + core - self.cores[0]
            if not source.queue:
                continue
            packet = source.queue[0]
            if source.position == 0:
                able = [w for w in self._first_channels(packet) if source.credits[w] > self._reserve()]
                if not able:
                    continue
                source.channel = next_in_ring(able, self._source_turn[core], self.tables.channels)
                self._source_turn[core] = source.channel + 1
            if source.credits[source.channel] == 0:
                continue
            source.credits[source.channel] -= 1
            sent.append((port, Flit(port, source.channel, packet, source.position)))
            source.position += 1
            if source.position == self.tables.flits:
                source.position = 0
                source.queue.popleft()
                sent.append((port, Entry(core, packet.number)))
        return sent

    def _reserve(self) -> int:
        """Flits for which a channel must have more room than for, before a core begins a packet on it."""
        return self.tables.buffer - 1 if self.tables.wait_for_tail_credit else 0

    def _first_channels(self, packet: Packet) -> list[int]:
        """Channels on which a core may send a packet."""
        channels = list(range(self.tables.channels))
        if self.tables.by_pair:
            return [channels[pair_hash(packet.source, packet.target, self.tables.cores) % len(channels)]]
        return channels
