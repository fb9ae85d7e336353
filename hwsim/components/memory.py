"""The DRAM channel and the on-chip buffers, as processes that meet the rest only at ports."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import simpy
from pydantic import field_validator

from hwsim.activity import Activity
from hwsim.components import registry
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.registry import Action, Bandwidth, Bits, Count, Seconds, component

FAMILIES = ("systolic",)
Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Cause:
    """For whom an action is done: the indices that its count is booked under."""

    sample: int
    layer: int
    timestep: int


@dataclass(frozen=True)
class Transfer:
    """A request to move ``bits``; the answer goes to port ``answer_to``. ``overlapped_ticks``: moved so far."""

    bits: int
    answer_to: str
    cause: Cause
    write: bool = False
    overlapped_ticks: int = 0


@dataclass(frozen=True)
class Room:
    """A request for (or, with ``bits`` negative, the return of) room in a buffer."""

    bits: int
    answer_to: str = ""


@component("dram_channel", families=FAMILIES)
class DramChannel:
    """One DRAM channel: a latency per transfer, then bursts at the bandwidth, in the order in which they arrive."""

    class Parameters(registry.Parameters):
        bandwidth: Bandwidth
        latency: Seconds
        burst: Bits

    actions: ClassVar = {
        "read": Action("a burst read", granule="burst"),
        "write": Action("a burst written", granule="burst"),
    }

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        path: str,
        activity: Activity,
        *,
        burst_bits: int,
        bits_per_tick: Fraction | None,
        latency_ticks: int,
    ) -> None:
        self.env, self.board, self.path, self.activity = env, board, path, activity
        self.burst_bits, self.bits_per_tick, self.latency_ticks = burst_bits, bits_per_tick, latency_ticks
        self.port = board.port(path)

    def transfer_ticks(self, bursts: int) -> int:
        """Ticks that the data pins are busy; none where the bandwidth is unlimited."""
        if self.bits_per_tick is None:
            return 0
        bits = Fraction(bursts * self.burst_bits) / self.bits_per_tick
        return -(-bits.numerator // bits.denominator)

    def serve(self) -> Process:
        """Answer transfers one after the other: the access latency, then the bursts."""
        while True:
            request = yield self.port.next()
            bursts = -(-request.bits // self.burst_bits)
            ticks = self.transfer_ticks(bursts)
            yield self.env.timeout(self.latency_ticks + ticks)
            cause = request.cause
            action = "write" if request.write else "read"
            self.activity.count(cause.sample, cause.layer, cause.timestep, self.path, action, bursts)
            self.activity.spend(cause.sample, cause.layer, self.path, "busy", self.latency_ticks + ticks)
            self.board.send(self.path, request.answer_to, ticks)


@component("sram", families=(*FAMILIES, "crossbar"))
class Sram:
    """An on-chip buffer: room for blocks, a write port for fills, a read port for drains.

    Consecutive bytes of one line by one port are one access. The array's own accesses are part of its tile calls and
    are counted there; fills and drains use the other port.
    """

    class Parameters(registry.Parameters):
        capacity: Bits
        line: Bits
        banks: Count = 1
        read_ports: Count = 1
        write_ports: Count = 1

        @field_validator("line")
        @classmethod
        def _fits(cls, line: int, info: Any) -> int:
            capacity = info.data.get("capacity")
            if capacity is not None and capacity % line:
                raise ValueError(f"a capacity of {capacity // 8} B is no whole number of lines of {line // 8} B")
            return line

    actions: ClassVar = {
        "read": Action("a line read", granule="line"),
        "write": Action("a line written", granule="line"),
    }

    def __init__(
        self, env: Environment, board: Switchboard, path: str, activity: Activity, *, capacity_bits: int, line_bits: int
    ) -> None:
        self.env, self.board, self.path, self.activity = env, board, path, activity
        self.line_bits = line_bits
        self.free_bits = capacity_bits
        self.capacity_bits = capacity_bits
        self._room = board.port(f"{path}.room")
        self._fill = board.port(f"{path}.fill")
        self._drain = board.port(f"{path}.drain")

    def processes(self) -> list[Process]:
        """The buffer's three processes: room keeper, write port, read port."""
        return [self._keep_room(), self._serve_port(self._fill, "write"), self._serve_port(self._drain, "read")]

    def _keep_room(self) -> Process:
        """Grant room in the order of asking; a large request is not overtaken by a later small one."""
        waiting: deque[Room] = deque()
        while True:
            message = yield self._room.next()
            if message.bits < 0:
                self.free_bits -= message.bits
                assert self.free_bits <= self.capacity_bits, f"{self.path}: more room returned than taken"
            else:
                waiting.append(message)
            while waiting and waiting[0].bits <= self.free_bits:
                request = waiting.popleft()
                self.free_bits -= request.bits
                self.board.send(self.path, request.answer_to, request.bits)

    def _serve_port(self, port: Any, action: str) -> Process:
        while True:
            request = yield port.next()
            lines = -(-request.bits // self.line_bits)
            rest = max(0, lines - request.overlapped_ticks)
            if rest:
                yield self.env.timeout(rest)
            cause = request.cause
            self.activity.count(cause.sample, cause.layer, cause.timestep, self.path, action, lines)
            self.board.send(self.path, request.answer_to, lines)
