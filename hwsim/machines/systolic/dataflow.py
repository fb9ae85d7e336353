"""A systolic dataflow is a pair: what is stationary, and where time runs."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import SpecError, did_you_mean

STATIONARY = ("output", "weight", "input")
TIME = ("network", "layer", "block", "inner")


@dataclass(frozen=True)
class Dataflow:
    """``stationary`` x ``time``. ``block``: timesteps of one block where time runs in blocks over the whole network."""

    name: str
    stationary: str
    time: str
    block: int = 1

    @property
    def can_exit(self) -> bool:
        """Whether the output exists before all timesteps of the first layer are done."""
        return self.time in ("network", "block")

    def describe(self) -> str:
        """The pair in words."""
        where = {
            "network": "time outermost, over the whole network",
            "layer": "time outermost in each layer",
            "block": f"blocks of {self.block} timesteps over the whole network",
            "inner": "time inside each fold",
        }
        return f"{self.stationary}-stationary, {where[self.time]}"


def name_of(stationary: str, time: str, block: int) -> str:
    """The shortest name of a pair: 'tick-batch', 'ws', 'os/block:3'."""
    for name, pair in NAMED.items():
        if pair == (stationary, time):
            return name
    short = next(key for key, value in SHORT.items() if value == stationary)
    return f"{short}/{time}:{block}" if time == "block" else f"{short}/{time}"


SHORT = {"os": "output", "ws": "weight", "is": "input"}
NAMED = {
    "os": ("output", "layer"),
    "ws": ("weight", "layer"),
    "is": ("input", "layer"),
    "tick-batch": ("output", "inner"),
}
EXAMPLES = ("os", "ws", "is", "tick-batch", "os/network", "ws/inner", "os/block:2")


def parse(text: str, where: str = "--dataflow") -> Dataflow:
    """'os', 'ws', 'is', 'tick-batch', or STATIONARY/TIME such as 'os/network', 'weight/inner', 'os/block:2'."""
    if text in NAMED:
        return Dataflow(text, *NAMED[text])
    first, slash, rest = text.partition("/")
    time, _, block = rest.partition(":")
    stationary = SHORT.get(first, first)
    if not slash or stationary not in STATIONARY or time not in TIME or (time == "block") != block.isdigit():
        raise SpecError(
            f"{where}: unknown dataflow '{text}'\n  {did_you_mean(text, EXAMPLES, 'Known dataflows')} "
            "Any of os, ws, is with /network, /layer, /inner or /block:N."
        )
    if time == "block" and int(block) < 1:
        raise SpecError(f"{where}: a block of timesteps must be at least 1, found '{text}'")
    return Dataflow(text, stationary, time, int(block) if block else 1)


def as_override(text: str) -> str:
    """A dataflow's name as an override of an architecture."""
    flow = parse(text)
    if text in NAMED:
        return f"dataflow={text}"
    block = f", block: {flow.block}" if flow.time == "block" else ""
    return f"dataflow={{stationary: {flow.stationary}, time: {flow.time}{block}}}"
