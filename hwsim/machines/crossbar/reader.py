"""The read port of the global buffer, which the feeders of all layers share: rows leave it one after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

from hwsim.components.memory import Process
from hwsim.components.mesh import Multicast, Packet
from hwsim.machines.crossbar.chip import Chip

READER = "global_buffer"
"""Its port."""


class Fetched(NamedTuple):
    """To a feeder: a row that it asked for has left the global buffer, for these of its lanes."""

    lanes: tuple[int, ...]


class Fetch(NamedTuple):
    """A row of a layer's input to be read and sent on: as a packet, or to the port of a part beside the buffer."""

    layer: str
    t: int
    lines: int
    send: Packet | Multicast | tuple[str, Any]
    lanes: tuple[int, ...]
    answer: str


class BufferReader:
    """Reads rows in the order in which they are asked for, a line a tick and port, and sends them on when read."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.path = chip, READER
        self.port = chip.board.port(READER)
        self.ports = int(chip.machine.parameter("global_buffer", "read_ports"))

    def serve(self) -> Process:
        """Serve one row after the other."""
        chip = self.chip
        while True:
            fetch: Fetch = yield self.port.next()
            ticks = -(-fetch.lines // self.ports)
            chip.count(fetch.layer, fetch.t, "global_buffer", "read", fetch.lines)
            chip.spend(fetch.layer, "global_buffer", "busy", ticks)
            chip.touch(fetch.layer, ticks)
            yield chip.env.timeout(ticks)
            if isinstance(fetch.send, tuple):
                chip.board.send(self.path, *fetch.send)
            else:
                chip.network.send(self.path, fetch.send)
            chip.board.send(self.path, fetch.answer, Fetched(fetch.lanes))
