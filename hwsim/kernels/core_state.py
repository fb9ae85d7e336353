"""What a core is, for kernels: its constants, its state, the operands and the results of a turn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.kernels.compiled import small
from hwsim.kernels.connections import Marks
from hwsim.kernels.scheduling import Queue

COUNTS = ("axon_in", "synapse", "update", "idle_update", "spike", "axon_out", "insert", "choose",
          "masked", "propagated", "left", "late", "dropped")  # fmt: skip
"""
axon_in      spikes taken from the input queue, or events of the input
synapse      synapses read
update       neurons evaluated; idle_update: neurons that went on to a timestep
spike        neurons that fired, masked ones included
axon_out     messages sent; insert, choose: spikes put into and taken out of the spike queue
masked       spikes thrown away after a stop
propagated   spikes chosen, with their multiplicity
left         spikes thrown away, with their multiplicity, because a stop found them waiting
late         spikes of a timestep that was over where they were taken
dropped      messages that a stop found waiting, or that came after it, or that nobody has taken at the end
"""
(AXON_IN, SYNAPSE, UPDATE, IDLE_UPDATE, SPIKE, AXON_OUT, INSERT, CHOOSE, MASKED, PROPAGATED, LEFT, LATE,
 DROPPED) = range(len(COUNTS))  # fmt: skip

UNITS = ("input_queue", "synapse_memory", "neuron_pipeline", "scheduler", "axon_output")
"""Roles inside a core, by which its busy ticks are told apart."""
INPUT_QUEUE, SYNAPSE_MEMORY, NEURON_PIPELINE, SCHEDULER, AXON_OUTPUT = range(len(UNITS))

ASYNCHRONOUS, PER_LAYER, PER_TIMESTEP = range(3)
"""What a core's time is: the timestep it works on; phases in which one layer is evaluated after the other; phases in
which layer l works on timestep phase - l."""


class Ticks(NamedTuple):
    """Ticks of a core's units; ``lanes``: synapses that are read at once."""

    axon_in: int
    lanes: int
    synapse: int
    update: int
    idle: int
    spike: int
    choose: int
    level: int
    axon_out: int
    wake: int


FIRST_OF_CORE, SLOT, FIRST_PART, GROUP, COMPETING, REACH, NEEDED_SLOTS, STOP_SET = range(8)
"""Columns of ``Chip.core``; the first three also of row C, where they are the ends.

FIRST_OF_CORE, SLOT, FIRST_PART   first neuron, first slot in the arrays of the spike queues, first part
GROUP         F
COMPETING     inputs that compete for the slots of a group on this core: their slots stand before those of its neurons
REACH         most messages that one spike of this core makes
NEEDED_SLOTS  output slots that a turn reserves
STOP_SET      the set of all other cores, where messages are routed and multicast
"""
PART_CORE, PART_LAYER, PART_NEURON, PART_SEEN, PART_SYNAPSES, PART_GROUPS = range(6)
"""Columns of ``Chip.part``: its core and layer; its first neuron; where its cells begin in ``Cores.seen``; its
synapses, and how often the lanes are filled to read all of them (used where zeros are processed). Row P: the ends."""


class Chip(NamedTuple):
    """The cores and what is mapped to them. C cores, P parts in the order of their neurons; 0 and 1 for no and yes."""

    ticks: Ticks
    core: np.ndarray
    """int64 [C + 1, 8]."""
    part: np.ndarray
    """int64 [P + 1, 6]."""
    layer_part: np.ndarray
    """int64 [L + 1]: first part of each layer."""
    spread: np.ndarray
    """int64 [N]: where messages are routed and multicast: the set of cores that a neuron's spikes go to; -1: none."""
    set_size: np.ndarray
    """int64 [sets]."""
    order: int
    """ASYNCHRONOUS, PER_LAYER or PER_TIMESTEP."""
    layers: int
    refractory: int
    processed: int
    """Zeros are processed."""
    multicast: int
    stop: int
    """Stop on output."""
    steps_after: int
    carry: int
    gated: int
    """Cores sleep between turns."""
    routed: int
    """Messages go through a network, whose source queue keeps their slots; else they leave for good."""


HOT, PART_TIME = range(2)
"""Columns of ``Cores.part``: how many of its neurons are in ``hot``; its timestep, -1 before the first."""
BUSY_TICKS, WAKES, DRAWS = 0, len(UNITS), len(UNITS) + 1
"""Columns of ``Cores.core``: busy ticks of each unit; how often it woke up; ``sample_key`` of its draws, as bits."""


class Cores(NamedTuple):
    """The state of all cores."""

    potential: np.ndarray
    """float64 [N]; minus infinity while refractory."""
    held: np.ndarray
    """float64 [N]: the potential of a refractory neuron."""
    hot: np.ndarray
    """int64 [N]: from its part's first neuron on, the part's neurons that will fire without further current."""
    part: np.ndarray
    """int64 [P, 2]."""
    seen: np.ndarray
    """int64: see ``connections.deliver``."""
    queue: Queue
    """The slots of all cores; ``state`` is [C, 3]."""
    counts: np.ndarray
    """int64 [L, T, len(COUNTS)]."""
    core: np.ndarray
    """int64 [C, len(UNITS) + 2]."""
    largest: np.ndarray
    """float64 [L]: largest magnitude that a potential had when it was evaluated."""


class Call(NamedTuple):
    """Which turn: the core's timestep or phase, its number therein (from 1; 0: inputs only compete), and how it is."""

    core: int
    time: int
    step: int
    taken: int
    """Spikes handed in: ``Work.taken``."""
    compete: int
    """1: those are inputs that go into the spike queue; nothing is evaluated."""
    masked: int
    asleep: int


TO, MESSAGE, LEAVES, ENTRY = range(4)
"""Columns of ``Work.sent``: the core, or set of cores, that a message is for; number of the chosen spike that it
carries; the tick of the turn in which it leaves; the entry of ``Control`` in which it travels."""


class Work(NamedTuple):
    """Operands and results of a turn, and room to work in."""

    taken: np.ndarray
    """int64 [at least those that are taken at once, 2]: who has sent a spike that is handed in (-inputs .. -1: an
    input), and how many spikes that is."""
    fired: np.ndarray
    """int64 [neurons of a core]: those that fired, ascending."""
    crossing: np.ndarray
    """float64 [neurons of a core]: for those that fired, the potential before the reset."""
    chosen: np.ndarray
    """int64 [slots]: slots chosen, in order."""
    sent: np.ndarray
    """int64 [messages and stops of a turn, 4]."""
    local: np.ndarray
    """int64: numbers of the chosen spikes that have targets on this core."""
    whole: np.ndarray
    """uint8 [P]: parts all of whose neurons are evaluated; zero between turns."""
    marks: Marks


class Turn(NamedTuple):
    """What came out; the rest stands in ``Work`` and ``Cores``."""

    cycles: int
    updated: int
    fired: int
    chosen: int
    messages: int
    local: int
    output: int
    """Spikes of the output layer, masked ones included."""
    stops: int


(TIME, STEP, STOPPED, OUTPUT_STEP, RUNNING, BUSY, HEAD, TAIL, QUEUED, LOCAL_HEAD, LOCAL_TAIL, RETURNED, SLOTS, ENDED,
 GO, FRAME, FRAMES, OWED, MASKING, FREED) = range(20)  # fmt: skip
"""Columns of ``Control.core``.

TIME        timestep or phase that the core is in; STEP: turns therein
STOPPED     latest timestep that a stop has ended; OUTPUT_STEP: step in which an output neuron fired first, 0: none
RUNNING     1 during a turn; BUSY: 1 during a turn and while there is something to do; MASKING: 1 in a masked turn
HEAD, TAIL, QUEUED    the input queue: first and last entry, how many; LOCAL_HEAD, LOCAL_TAIL: what the turn will append
SLOTS, RETURNED       output slots that are free, and that the turn's end will free
ENDED       tick in which the last turn ended; -1: none yet
GO          latest phase that was started
FRAME, FRAMES         next frame of the input to be taken, frames that have come
OWED        1: a turn is due although nothing waits
FREED       places of the input queue that the network has not been told of
"""

NEURON, AMOUNT, DUE, COPIES, NEXT, BOUND, WHEN = range(7)
"""Columns of ``Control.entry``: a spike (or a stop) in a queue or on its way. NEURON: who has sent it, or STOP; AMOUNT:
how many spikes; DUE: timestep or phase in which it is to be taken; COPIES: cores that it is still on its way to, 1 too
where it has come from another core; NEXT: the next in its list. At depth ``pass``, until it leaves its core, BOUND: the
core, or set of cores, that it is for; WHEN: the tick in which it leaves (without a network: in which it arrives)."""
STOP = -(2**40)

ENTRY_COMES, FRAME_COMES, GO_COMES, SLOT_COMES = range(4)
"""Kinds of messages to a core: an entry, the next frame of the input, the start of a phase; an entry has left the
source queue of the network."""

LOG = ("start", "end", "core", "time", "step", "taken", "updated", "fired", "chosen", "messages", "output", "waiting",
       "queued", "masked")  # fmt: skip
"""Columns of ``Control.turns``. ``waiting``, ``queued``: spikes in spike and input queue when the turn began."""

FREE_ENTRY, FREE_ENTRIES, IN_FLIGHT, BUSY_CORES, TURNS, EMITTED, PROPAGATED_ROWS = range(7)
"""Entries of ``Control.state``: first free entry, how many are free; messages on their way (frames and starts of phases
too), busy cores (both 0: quiet); rows of the three logs."""


class Frames(NamedTuple):
    """The input of a sample, as each core of the first layer gets it."""

    start: np.ndarray
    """int64 [cores of the first layer, T + 1]: events of timestep t are start[core, t] .. start[core, t + 1]."""
    event: np.ndarray
    """int64 [*, 2]: input, -inputs .. -1, and how often."""


class Control(NamedTuple):
    """What the cores are doing, what waits for them, and what they have done."""

    core: np.ndarray
    """int64 [C, 20]."""
    entry: np.ndarray
    """int64 [*, 7]: see ``NEURON``; a list of free ones among them."""
    state: np.ndarray
    """int64 [7]."""
    turns: np.ndarray
    """int64 [*, len(LOG)]."""
    emitted: np.ndarray
    """float64 [*, 3]: turn, neuron, potential at crossing."""
    propagated: np.ndarray
    """float64 [*, 4]: turn, neuron, multiplicity, the key by which it was chosen."""


@small
def timestep_of(order, layers, time, layer):  # type: ignore[no-untyped-def]
    """Timestep that ``layer`` works on at a core's ``time``; not 0 .. T - 1 where it does not."""
    if order == ASYNCHRONOUS:
        return time
    if order == PER_TIMESTEP:
        return time - layer
    return time // layers if time % layers == layer else -1


@small
def due_time(order, time):  # type: ignore[no-untyped-def]
    """Time at which what is sent at ``time`` is to be taken."""
    return time if order == ASYNCHRONOUS else time + 1
