"""The unit that decides, after a block of timesteps, whether a sample may stop."""

from __future__ import annotations

from typing import ClassVar

from hwsim.activity import Activity
from hwsim.components import registry
from hwsim.components.memory import FAMILIES, Process
from hwsim.components.ports import Environment, Switchboard
from hwsim.components.registry import Action, Count, Width, component


@component("entropy_unit", families=(*FAMILIES, "crossbar"))
class EntropyUnit:
    """The confidence of a decision: softmax by table look-up and its entropy, class by class."""

    class Parameters(registry.Parameters):
        cycles_per_class: Count
        operand_bits: Width

    actions: ClassVar = {"evaluate": Action("one class of one check")}

    def __init__(
        self,
        env: Environment,
        board: Switchboard,
        sample: int,
        activity: Activity,
        classes: int,
        ticks_per_class: int,
        layer: int,
    ) -> None:
        self.env, self.board, self.sample, self.activity = env, board, sample, activity
        self.classes, self.ticks_per_class, self.layer = classes, ticks_per_class, layer
        self._port = board.port("entropy")

    def serve(self) -> Process:
        """Answer each question after the cycles that the classes take."""
        while True:
            decide, timesteps = yield self._port.next()
            ticks = self.classes * self.ticks_per_class
            yield self.env.timeout(ticks)
            self.activity.count(self.sample, self.layer, timesteps - 1, "entropy", "evaluate", self.classes)
            self.activity.spend(self.sample, self.layer, "entropy", "busy", ticks)
            self.board.send("entropy", "sequencer.exit", decide(timesteps))
