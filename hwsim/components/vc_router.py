"""Routers of virtual channels: what one does in a cycle, and the components that declare routers and links.

An input-queued router with credits and wormhole flow control (Dally and Towles, Principles and Practices of
Interconnection Networks, Morgan Kaufmann 2004, chapters 16 to 19). Each input has V virtual channels (VCs), each with a
buffer of B flits. Packets have F flits; of a packet the first one is given a VC of the output and the others follow on
it; the last one leaves it free. A cycle n of a router, in this order:

1.  Credits and flits that come in n are taken. A flit that is the first of its buffer and of its packet is routed (RC)
    by cycle n + RC; the next packet of a buffer, whose predecessor's last flit left in n, by n + 1 + RC.
2.  VA. Routed packets ask for the VCs of their output that they may take (``hwsim.kernels.noc_tables``) and that are
    free: that no packet holds (with ``wait_for_tail_credit``: and whose credits are all back). What is given in n may
    be used from n + VA on.
3.  SA. A flit may ask for its output if its packet has a VC there with a credit; the first flit of a packet for a core
    if that core takes one more packet. An input and an output serve one flit per cycle. A flit that is granted leaves
    its buffer in n; its output's VC has one credit less and, if the flit was the last one, is free from n + 1 on. It is
    in the next buffer in n + SA + ST + the link's cycles; with a core, in as many, if it is the last one.
    The credit for its place is seen upstream in n + 1 + the link's cycles + ``credit_delay``.
4.  A core whose source queue holds a packet sends a flit to its own input: of a new packet on the next VC, in a round
    robin, that has room. The flit is in the buffer in n + 2; the credit comes back in 2 cycles.

A packet that comes to the source queue in n with nothing in its way is with its core in n + T0,

    T0 = sum over H routers of (RC + VA + SA + ST) + links (the one to the core included) + 2 + F - 1

which is H (RC + VA + SA + ST + link) + 2 + F - 1 where all links are alike.

Both allocators are separable, input after output, with one iteration (or more) of iSLIP (McKeown, IEEE/ACM Trans.
Netw. 7(2), 1999): every output that is asked grants the next asker in its round robin, every asker that is granted
accepts the next output in its own. Both pointers then stand behind what was accepted, and only for what was accepted in
the first iteration. VA: outputs are the VCs of outputs, askers are buffers. SA: outputs are output ports, askers are
input ports; if several VCs of an input ask for an output, the next one in the round robin of the input goes, whose
pointer then stands behind it. No stage is speculative. These are the choices of the default router of BookSim 2 (Jiang
et al., ISPASS 2013), beside whose curves of latency and throughput the tests put this router's.

Since VA and SA see a VC only when the packet before has left it, one VC carries a packet of one flit in at most every
second cycle on an output and every RC + VA + 1 cycles in an input: with a single VC a network saturates early.

Multicast. A packet of one flit goes to a set of cores along the union of the paths. It has one branch per output that
it needs of a router; each is given a VC and passes the switch on its own; the place in the buffer is free when the last
one has left. VA serves branches of a buffer in the order of outputs.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hwsim.components import registry
from hwsim.components.registry import Action, Bits, Count, Seconds, component
from hwsim.kernels.noc_tables import MOST_CHANNELS, NocParameters

FAMILIES = ("neuromorphic",)
Cycles = Annotated[int, Field(ge=0)]


@component("vc_router", families=FAMILIES)
class VcRouter:
    """A router with virtual channels. Area and leakage are those of one router."""

    class Parameters(registry.Parameters):
        cycle: Seconds
        virtual_channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
        buffer: Count
        """Flits that each virtual channel of an input has room for."""
        flit: Bits
        message: Bits
        """Sent as as many flits as it fills."""
        routing: Cycles = 1
        vc_allocation: Count = 1
        switch_allocation: Count = 1
        traversal: Count = 1
        credit_delay: Cycles = 2
        """This and the four before: cycles."""
        vc: Literal["dynamic", "by_pair"] = "by_pair"
        """dynamic: any free channel; by_pair: the one that source and destination choose, so that nothing is
        reordered between two cores."""
        iterations: Count = 1
        wait_for_tail_credit: bool = False
        source_queue: Count | None = None
        """Messages that wait at most between a core and its router; none: no limit."""

    actions: ClassVar = {"flit": Action("a flit taken through a router", granule="flit")}


@component("noc_wire", families=FAMILIES)
class NocWire:
    """A link between two routers, in one direction, or between a router and a core. Area and leakage are those of one
    link between routers."""

    class Parameters(registry.Parameters):
        ew_cycles: Count = 1
        ns_cycles: Count = 1
        """Cycles of the routers on links along rows and along columns. Links of a tree lie along both in turns."""
        local_cycles: Count | None = None
        """From a router to a core; none: as ``ew_cycles``."""

    actions: ClassVar = {
        "flit_ew": Action("a flit moved over a link along a row"),
        "flit_ns": Action("a flit moved over a link along a column"),
        "flit_local": Action("a flit moved from a router to a core", required=False),
    }


def noc_parameters(router: dict[str, Any], link: dict[str, Any], *, multicast: bool = False,
                   cores_per_router: int = 1) -> NocParameters:  # fmt: skip
    """Of the parameters of a ``vc_router`` and a ``noc_wire``. Raises ``SpecError``."""
    same = {name: router[name] for name in (
        "virtual_channels", "buffer", "routing", "vc_allocation", "switch_allocation", "traversal", "credit_delay",
        "vc", "iterations", "wait_for_tail_credit", "source_queue")}  # fmt: skip
    flits = -(-router["message"] // router["flit"])
    return NocParameters(**same, **link, flits=flits, multicast=multicast, cores_per_router=cores_per_router)
