"""What is fixed about a network on chip: parameters, and ports, links and routes of its routers as arrays.

A router has network ports (one per neighbour, by the neighbour's number) and, from ``network_ports`` on, one port for
each core that sits at it. Cores are numbered 0, 1, ...: core c is at the terminal ``c // cores_per_router`` of the
topology. Port p of a router is an input and an output; both belong to the same neighbour.

What may travel on which virtual channel of an output is a *group* of its channels; the groups of an output do not
overlap. On an output to a core all channels are one group. On a link:

    dynamic           all channels
    by_pair           one channel, chosen by a hash of source and destination
    torus             two classes, the lower and the upper half of the channels: a packet is in the lower one until it
                      takes the link from the last node of a ring to the first (the dateline), from there on in the
                      upper one, and in the lower one again in the next dimension (Dally and Seitz, IEEE Trans. Comput.
                      36(5), 1987). dynamic: the class; by_pair: one channel of it

A torus all of whose rings have at most three nodes, and one whose rings wait for nobody, needs no classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import numpy as np

from hwsim.components.topology import Topology, dependency_cycle
from hwsim.errors import Problem, SpecError
from hwsim.jit import njit
from hwsim.rng import draw_bits, draw_key

EW, NS, LOCAL = 0, 1, 2
"""Directions of links; LOCAL: between a router and a core. Links of a tree lie as those of an H-tree, in turns."""
ROUTER_COLUMN, PORT_COLUMN, FLIT_COLUMN, CREDIT_COLUMN, DIRECTION_COLUMN, DATELINE_COLUMN = range(6)
"""Columns of ``NocTables.link``."""
INJECT_CYCLES = 2
"""From the tick in which a core's flit leaves the source queue to the one in which it is in its router's buffer."""
SOURCE_CREDIT_CYCLES = 2
"""From a flit's leave from the buffer behind a core to the tick in which the core may use the room."""
MOST_CHANNELS = 30
MOST_PORTS = 30
MOST_CYCLES = 8192
_SIMPLE = ("mesh", "torus", "tree")
_PAIR_KEY = draw_key(0, "noc/by_pair")


@dataclass(frozen=True)
class NocParameters:
    """A network of virtual-channel routers. Times are cycles of the network.

    buffer        flits that each virtual channel of an input has room for
    flits         of every packet
    routing, vc_allocation, switch_allocation, traversal    cycles of the stages RC, VA, SA, ST
    credit_delay  cycles in which a router takes up a credit that has come
    local_cycles  of the wire from a router to a core; None: as ``ew_cycles``
    vc            which channel of a link a packet may take (see the module)
    iterations    of both allocators
    wait_for_tail_credit  a channel is given to the next packet when its buffer is empty, not when the tail has left
    source_queue  packets that wait at most between a core and its router; None: no limit
    deadlock_free  False: no classes on a torus and no look at rings of links, to see what then happens
    """

    virtual_channels: int = 4
    buffer: int = 8
    flits: int = 1
    routing: int = 1
    vc_allocation: int = 1
    switch_allocation: int = 1
    traversal: int = 1
    credit_delay: int = 2
    ew_cycles: int = 1
    ns_cycles: int = 1
    local_cycles: int | None = None
    vc: Literal["dynamic", "by_pair"] = "dynamic"
    iterations: int = 1
    wait_for_tail_credit: bool = False
    source_queue: int | None = None
    cores_per_router: int = 1
    multicast: bool = False
    deadlock_free: bool = True

    def __post_init__(self) -> None:
        zero = ("routing", "credit_delay")
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name in zero else 1
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            if value < least:
                raise SpecError(Problem(f"noc.{field.name}", f"expected at least {least}, found {value}"))
        if self.virtual_channels > MOST_CHANNELS:
            found = f"expected at most {MOST_CHANNELS}, found {self.virtual_channels}"
            raise SpecError(Problem("noc.virtual_channels", found))
        if self.multicast and self.flits != 1:
            found = f"a multicast has one flit, found {self.flits} flits per packet"
            raise SpecError(Problem("noc.multicast", found, "Use wider flits, or no multicast."))

    @property
    def router_cycles(self) -> int:
        """RC + VA + SA + ST."""
        return self.routing + self.vc_allocation + self.switch_allocation + self.traversal

    def link_cycles(self, direction: int) -> int:
        """Cycles on a link in a direction."""
        local = self.ew_cycles if self.local_cycles is None else self.local_cycles
        return (self.ew_cycles, self.ns_cycles, local)[direction]


class NocTables(NamedTuple):
    """A network as integers and arrays; P ports per router, V channels, G groups, E cores, R routers.

    shift         a channel of a router is ``port << shift | channel``; ``slots`` = P << shift
    first_class   channels of the lower class of a torus; 0: no classes
    wheel         a power of two above all latencies, less one
    next_port     int8 [R, E]
    link          int64 [R * P, 6]: of an output: the router and its port behind it, cycles from the grant of the switch
                  to the buffer there (or to the core); of an input: cycles after which its credit is seen at the other
                  end; direction; whether it crosses the dateline. Towards a core the router is the same; -1: no link
    group_mask    int64 [P, G]: the channels of a group
    first_core    int64 [R]: number of the first core at a router, -1: none
    home          int64 [E]: the router of a core
    fan           int64 [sets, R]: the outputs that a multicast takes at a router
    """

    routers: int
    network_ports: int
    ports: int
    cores: int
    cores_per_router: int
    channels: int
    shift: int
    slots: int
    buffer: int
    flits: int
    groups: int
    by_pair: bool
    first_class: int
    iterations: int
    wait_for_tail_credit: bool
    routing: int
    allocation: int
    wheel: int
    source_queue: int
    multicast: bool
    next_port: np.ndarray
    link: np.ndarray
    group_mask: np.ndarray
    first_core: np.ndarray
    home: np.ndarray
    fan: np.ndarray


DestinationSet = tuple[int, Sequence[int]]
"""A core, and the cores (at least one, all different) to which it sends a multicast."""


def noc_tables(topology: Topology, parameters: NocParameters, sets: Sequence[DestinationSet] = ()) -> NocTables:
    """The tables of a network. With ``multicast`` every packet goes to one of ``sets``, by its number.

    Raises ``SpecError`` for a topology that is not connected or whose routes do not arrive, where packets could wait
    for each other in a ring, and where a router has too many ports.
    """
    _check_topology(topology)
    classes = _needs_classes(topology, parameters)
    neighbours = [sorted(topology.graph[node]) for node in range(topology.nodes)]
    network_ports = max((len(around) for around in neighbours), default=0)
    ports, channels = network_ports + parameters.cores_per_router, parameters.virtual_channels
    if ports > MOST_PORTS:
        raise SpecError(Problem("noc", f"expected routers of at most {MOST_PORTS} ports, found {ports}"))
    shift = (channels - 1).bit_length()
    home = np.repeat(np.array(topology.terminals, np.int64), parameters.cores_per_router)
    first_core = np.full(topology.nodes, -1, np.int64)
    first_core[list(topology.terminals)] = np.arange(len(topology.terminals)) * parameters.cores_per_router
    next_port = _next_ports(topology, neighbours, network_ports, home, parameters.cores_per_router)
    link = _links(topology, parameters, neighbours, network_ports, ports)
    first_class = (channels + 1) // 2 if classes else 0
    group_mask = _groups(parameters, network_ports, ports, first_class)
    slowest = max(int(link[:, FLIT_COLUMN : CREDIT_COLUMN + 1].max()), INJECT_CYCLES,
                  SOURCE_CREDIT_CYCLES, parameters.routing + 1, parameters.vc_allocation)  # fmt: skip
    if slowest > MOST_CYCLES:
        raise SpecError(Problem("noc", f"expected links and stages of at most {MOST_CYCLES} cycles, found {slowest}"))
    fan = np.zeros((1, topology.nodes), np.int64)
    if parameters.multicast:
        fan = _fans(sets, topology, home, next_port)
    return NocTables(
        topology.nodes, network_ports, ports, len(home), parameters.cores_per_router, channels, shift, ports << shift,
        parameters.buffer, parameters.flits, group_mask.shape[1], parameters.vc == "by_pair", first_class,
        parameters.iterations, parameters.wait_for_tail_credit, parameters.routing, parameters.vc_allocation,
        (1 << slowest.bit_length()) - 1, parameters.source_queue or -1, parameters.multicast,
        next_port, link, group_mask, first_core, home, fan,
    )  # fmt: skip


@njit(nogil=True)
def pair_hash(source, destination, cores):  # type: ignore[no-untyped-def]
    """A number below 2^31 that a source and a destination (or set) share with few others: picks their channel."""
    bits = draw_bits(np.uint64(_PAIR_KEY), np.uint64(destination * cores + source))
    return np.int64(bits >> np.uint64(33))


def _check_topology(topology: Topology) -> None:
    """Refuse what is not connected, and routes that are no paths or lead nowhere."""
    import networkx

    nodes = topology.nodes
    if not networkx.is_connected(topology.graph):
        parts = sorted(map(sorted, networkx.connected_components(topology.graph)), key=len)
        hint = f"Router {parts[0][0]} and router {parts[-1][0]} have no path between them."
        raise SpecError(Problem("noc", f"the topology is not connected: {len(parts)} parts", hint))
    if topology.kind in _SIMPLE:
        return
    here, there = np.arange(nodes)[:, None], np.arange(nodes)[None, :]
    linked = networkx.to_numpy_array(topology.graph, nodelist=range(nodes), dtype=bool)
    stray = np.argwhere((here != there) & ~linked[here, topology.next_hop])
    if len(stray):
        a, b = stray[0]
        found = f"router {a} has no link to {topology.next_hop[a, b]}, its next hop to {b}"
        raise SpecError(Problem("noc", found))
    place = np.repeat(here, nodes, axis=1)
    for _ in range(nodes):
        place = topology.next_hop[place, there]
    lost = np.argwhere(place != there)
    if len(lost):
        raise SpecError(Problem("noc", f"the route from router {lost[0][0]} to router {lost[0][1]} does not arrive"))


def _needs_classes(topology: Topology, parameters: NocParameters) -> bool:
    """Whether links need two classes of channels; refuses rings for which that is no help, or no channel there."""
    if not parameters.deadlock_free or topology.kind in ("mesh", "tree"):
        return False
    ring = dependency_cycle(topology)
    if ring is None:
        return False
    found = ", ".join(f"{a} -> {b}" for a, b in ring)
    if topology.kind != "torus":
        raise SpecError(
            Problem("noc", f"packets can wait for each other for ever: links {found}", "Use a mesh, a torus or a tree.")
        )
    if parameters.virtual_channels < 2:
        raise SpecError(
            Problem(
                "noc.virtual_channels",
                f"expected at least 2 on a torus, found 1: packets can wait for each other for ever: links {found}",
                "Use two or more virtual channels, a mesh, or a tree.",
            )
        )
    return True


def _next_ports(topology: Topology, neighbours: list[list[int]], network_ports: int, home: np.ndarray,
                concentration: int) -> np.ndarray:  # fmt: skip
    """int8 [routers, cores]."""
    around = np.full((topology.nodes, max(1, network_ports)), -1, np.int64)
    for node, known in enumerate(neighbours):
        around[node, : len(known)] = known
    ports = np.empty((topology.nodes, len(home)), np.int8)
    _fill_ports(topology.next_hop, around, home, ports)
    core = np.arange(len(home))
    ports[home, core] = network_ports + core % concentration
    return ports


@njit(nogil=True)
def _fill_ports(next_hop, around, home, ports):  # type: ignore[no-untyped-def]
    """The number that the next hop to a core's router has among the neighbours of each router, -1: it is none."""
    of_node = np.full(next_hop.shape[0], -1, np.int8)
    for node in range(next_hop.shape[0]):
        for number in range(around.shape[1]):
            if around[node, number] >= 0:
                of_node[around[node, number]] = number
        for core in range(home.size):
            ports[node, core] = of_node[next_hop[node, home[core]]]
        for number in range(around.shape[1]):
            if around[node, number] >= 0:
                of_node[around[node, number]] = -1


def _links(topology: Topology, parameters: NocParameters, neighbours: list[list[int]], network_ports: int,
           ports: int) -> np.ndarray:  # fmt: skip
    """int64 [routers * ports, 6]."""
    link = np.zeros((topology.nodes * ports, 6), np.int64)
    link[:, ROUTER_COLUMN] = -1
    leave = parameters.switch_allocation + parameters.traversal
    node_of = topology.graph.nodes
    place = [(node_of[node]["row"], node_of[node]["column"]) for node in range(topology.nodes)]
    for a, around in enumerate(neighbours):
        for port, b in enumerate(around):
            in_column = place[a][1] == place[b][1]
            direction = max(place[a][0], place[b][0]) % 2 if topology.kind == "tree" else int(in_column)
            cycles = parameters.link_cycles(direction)
            jump = max(abs(place[a][0] - place[b][0]), abs(place[a][1] - place[b][1]))
            link[a * ports + port] = (b, neighbours[b].index(a), leave + cycles, 1 + cycles + parameters.credit_delay,
                                      direction, topology.kind == "torus" and jump > 1)  # fmt: skip
        for port in range(network_ports, ports):
            cycles = leave + parameters.link_cycles(LOCAL)
            link[a * ports + port] = a, port, cycles, SOURCE_CREDIT_CYCLES, LOCAL, 0
    return link


def _groups(parameters: NocParameters, network_ports: int, ports: int, first_class: int) -> np.ndarray:
    """int64 [ports, groups]."""
    channels = parameters.virtual_channels
    every = (1 << channels) - 1
    low = (1 << first_class) - 1
    if parameters.vc == "by_pair":
        masks = [1 << channel for channel in range(channels)]
    else:
        masks = [low, every & ~low] if first_class else [every]
    table = np.zeros((ports, len(masks)), np.int64)
    table[:network_ports] = masks
    table[network_ports:, 0] = every
    return table


def _fans(sets: Sequence[DestinationSet], topology: Topology, home: np.ndarray, next_port: np.ndarray) -> np.ndarray:
    """int64 [sets, routers]."""
    for number, (source, cores) in enumerate(sets):
        assert 0 <= source < len(home) and len(set(cores)) == len(cores) > 0, (number, source, cores)
        assert min(cores) >= 0 and max(cores) < len(home), (number, source, cores)
    fan = np.zeros((max(1, len(sets)), topology.nodes), np.int64)
    offset = np.cumsum([0, *(len(cores) for _, cores in sets)])
    targets = np.array([core for _, cores in sets for core in cores], np.int64)
    start = home[np.array([source for source, _ in sets], np.int64)]
    _fill_fans(start, offset.astype(np.int64), targets, home, next_port, topology.next_hop, fan)
    return fan


@njit(nogil=True)
def _fill_fans(start, offset, targets, home, next_port, next_hop, fan):  # type: ignore[no-untyped-def]
    """Walk every path of every set, until it meets one that was walked before."""
    for number in range(start.size):
        for index in range(offset[number], offset[number + 1]):
            core, router = targets[index], start[number]
            while True:
                fan[number, router] |= np.int64(1) << np.int64(next_port[router, core])
                if router == home[core]:
                    break
                router = np.int64(next_hop[router, home[core]])
