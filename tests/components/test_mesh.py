"""The network between tiles: exact times, nothing lost, nothing that depends on who starts first."""

import flit_witness
import networkx
import numpy as np
import pytest

from hwsim.activity import Activity
from hwsim.components import registry, topology
from hwsim.components.memory import Cause
from hwsim.components.mesh import Multicast, Packet, TileNetwork, zero_load_latency
from hwsim.components.ports import Environment, Switchboard
from hwsim.errors import SpecError

CAUSE = Cause(0, 1, 2)


class Run:
    """A network to which packets are sent at given ticks, and what it delivers: (tick, port, payload)."""

    def __init__(self, made, sent, *, order=None, until=None, **options):
        self.env, self.activity = Environment(), Activity()
        self.board = Switchboard(self.env)
        options = {"router_ticks": 2, "link_ticks": 1, **options}
        self.network = TileNetwork(self.env, self.board, self.activity, made, **options)
        self.delivered = []
        self.packets = sent
        senders = {}
        for tick, sender, packet in sent:
            senders.setdefault(sender, []).append((tick, packet))
        ports = sorted({port for _, _, packet in sent for _, port in packet.targets})
        processes = [
            *self.network.processes(),
            *(self._send(sender, items) for sender, items in senders.items()),
            *(self._read(port) for port in ports),
        ]
        for index in range(len(processes)) if order is None else order(len(processes)):
            self.env.process(processes[index])
        self.env.run(until=until)
        assert self.network.waiting() == 0

    def _send(self, sender, items):
        for tick, packet in items:
            if tick > self.env.tick:
                yield self.env.timeout(tick - self.env.tick)
            self.network.send(sender, packet)

    def _read(self, port):
        while True:
            payload = yield self.board.port(port).next()
            self.delivered.append((self.env.tick, port, payload))


def packet(source, destination, payload="p", flits=1, cause=CAUSE):
    return Packet(source, destination, f"out.{destination}", payload, flits, cause)


def traffic(made, count, seed, *, ticks, multicast=0.0):
    """Random packets: (tick, sender, packet) in order of time; several senders at a node, several packets in a tick."""
    rng = np.random.default_rng(seed)
    sent = []
    for index, tick in enumerate(np.sort(rng.integers(0, ticks, count)).tolist()):
        source = int(rng.integers(made.nodes))
        flits, cause = int(rng.integers(1, 6)), Cause(0, int(rng.integers(3)), int(rng.integers(2)))
        if rng.random() < multicast:
            chosen = rng.choice(made.nodes, size=int(rng.integers(1, made.nodes + 1)), replace=False).tolist()
            made_packet = Multicast(source, tuple((at, f"out.{at}") for at in chosen), index, flits, cause)
        else:
            destination = int(rng.integers(made.nodes))
            made_packet = packet(source, destination, index, flits, cause)
        sent.append((tick, f"tile.{source}.{'ab'[int(rng.integers(2))]}", made_packet))
    return sent


@pytest.mark.parametrize(
    "made",
    [topology.mesh(4, 4), topology.mesh(5, 3), topology.torus(4, 3), topology.tree(2, 3)],
    ids=["4x4", "5x3", "torus", "tree"],
)
@pytest.mark.parametrize(("router_ticks", "link_ticks"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("buffer_packets", [None, 1])
def test_zero_load_latency_of_every_pair(made, router_ticks, link_ticks, buffer_packets):
    if made.kind == "torus":
        buffer_packets = None
    pairs = [(a, b, flits) for a in made.graph for b in made.graph for flits in (1, 5)]
    # one packet at a time: 200 ticks are more than any of them takes
    sent = [(200 * index, "tile", packet(a, b, index, flits)) for index, (a, b, flits) in enumerate(pairs)]
    run = Run(made, sent, router_ticks=router_ticks, link_ticks=link_ticks, buffer_packets=buffer_packets)
    assert [payload for _, _, payload in run.delivered] == list(range(len(pairs)))
    for (tick, port, index), (a, b, flits) in zip(run.delivered, pairs, strict=True):
        hops = networkx.shortest_path_length(made.graph, a, b)
        assert port == f"out.{b}"
        assert tick - 200 * index == zero_load_latency(hops, flits, router_ticks, link_ticks)
        assert tick - 200 * index == hops * (router_ticks + link_ticks) + flits - 1 + router_ticks + 2


def test_one_packet_by_hand():
    # sent 10, in router 0 at 11, on the link at 13, in router 1 at 14, on its tile port at 16, tail at 18, seen at 19
    run = Run(topology.mesh(1, 2), [(10, "tile", packet(0, 1, flits=3))])
    assert run.delivered == [(19, "out.1", "p")]


def test_two_packets_for_one_link_by_hand():
    # a: sent 0, in router 0 at 1, on its link at 3, in router 1 at 4, ready 6: link 1->2 in 6..8. b: sent 3 at node 1,
    # in router 1 at 4 as well, ready 6; names decide, "router.0" < "tile": link 1->2 in 9..11.
    # a: router 2 at 7, tile port 9..11, seen 12. b: router 2 at 10, tile port 12..14, seen 15 (12 + 3 of waiting).
    run = Run(topology.mesh(1, 3), [(0, "tile", packet(0, 2, "a", 3)), (3, "tile", packet(1, 2, "b", 3))])
    assert run.delivered == [(12, "out.2", "a"), (15, "out.2", "b")]
    load = run.network.loads()[1, 2]
    assert (load.packets, load.flits, load.busy_ticks, load.waited_ticks) == (2, 6, 6, 3)
    # one tick earlier it is the first: b in 5..7, a in 8..10
    run = Run(topology.mesh(1, 3), [(0, "tile", packet(0, 2, "a", 3)), (2, "tile", packet(1, 2, "b", 3))])
    assert run.delivered == [(11, "out.2", "b"), (14, "out.2", "a")]


def test_two_packets_of_one_tile_go_through_its_port_one_after_the_other():
    # b enters at 1 + 4 instead of 1, goes another way and waits for nothing else
    made = topology.mesh(1, 3)
    run = Run(made, [(0, "tile", packet(1, 0, "a", 4)), (0, "tile", packet(1, 2, "b", 1))])
    alone = zero_load_latency(1, 4, 2, 1), zero_load_latency(1, 1, 2, 1)
    assert run.delivered == [(alone[0], "out.0", "a"), (4 + alone[1], "out.2", "b")]
    assert (run.network.entered()[1].packets, run.network.entered()[1].waited_ticks) == (2, 4)


def test_three_packets_for_one_tile_by_hand():
    # Into the middle of a cross from three sides, 2 flits each, heads in router 4 at tick 4, ready at 6: tile port
    # 6..7, 8..9, 10..11 in the order of the names router.1 < router.3 < router.5; seen one tick after the tail left.
    sent = [(0, "tile", packet(at, 4, at, 2)) for at in (5, 1, 3)]
    run = Run(topology.mesh(3, 3), sent)
    assert run.delivered == [(8, "out.4", 1), (10, "out.4", 3), (12, "out.4", 5)]
    left = run.network.left()[4]
    assert (left.packets, left.flits, left.waited_ticks) == (3, 6, 0 + 2 + 4)


def test_limited_buffers_hold_packets_back_by_hand():
    # Node 3 of a line sends 20 flits to itself: in router 3 at 1, tile port 3..22. a (1 flit, from node 2, sent 1): in
    # router 2 at 2, link 2->3 at 4, in router 3 at 5, waits for the tile port: 23, seen 24; its credit is sent at 23
    # and seen at 24. b (1 flit, from node 2, sent 2) gets that credit: link at 24, router 3 at 25, port 27, seen 28.
    sent = [(0, "tile", packet(3, 3, "long", 20)), (1, "tile", packet(2, 3, "a")), (2, "tile", packet(2, 3, "b"))]
    run = Run(topology.mesh(1, 4), sent, buffer_packets=1)
    assert run.delivered == [(23, "out.3", "long"), (24, "out.3", "a"), (28, "out.3", "b")]
    run = Run(topology.mesh(1, 4), sent, buffer_packets=2)
    assert run.delivered == [(23, "out.3", "long"), (24, "out.3", "a"), (25, "out.3", "b")]


def test_ten_thousand_packets_arrive_once_each_and_in_order():
    made = topology.mesh(5, 4)
    sent = traffic(made, 10_000, 1, ticks=8_000)
    run = Run(made, sent)
    assert sorted(payload for _, _, payload in run.delivered) == list(range(10_000))
    wanted, hops = {}, topology.hop_counts(made)
    for tick, sender, item in sent:
        wanted.setdefault((sender, item.destination), []).append(item.payload)
        assert sent[item.payload] == (tick, sender, item)
    found = {}
    for tick, port, payload in run.delivered:
        start, sender, item = sent[payload]
        found.setdefault((sender, item.destination), []).append(payload)
        assert port == item.port
        assert tick - start >= run.network.latency(hops[item.source, item.destination], item.flits)
    assert found == wanted


def test_counts_add_up():
    made = topology.mesh(4, 3)
    run = Run(made, traffic(made, 500, 2, ticks=700), router="r", link="l")
    hops = topology.hop_counts(made)
    counts, busy, links = {}, {}, dict.fromkeys(made.links, 0)
    for _, _, item in run.packets:
        cause, distance = item.cause, int(hops[item.source, item.destination])
        key = (cause.sample, cause.layer, cause.timestep)
        counts[*key, "r", "flit"] = counts.get((*key, "r", "flit"), 0) + item.flits * (distance + 1)
        if distance:
            counts[*key, "l", "flit"] = counts.get((*key, "l", "flit"), 0) + item.flits * distance
            busy[0, cause.layer, "l", "busy"] = busy.get((0, cause.layer, "l", "busy"), 0) + item.flits * distance
        for link in topology.path_links(made, item.source, [item.destination]):
            links[link] += item.flits
    assert run.activity.counts == counts and run.activity.cycles == busy
    assert {link: load.flits for link, load in run.network.loads().items()} == links
    flits = sum(item.flits for _, _, item in run.packets)
    assert sum(load.flits for load in run.network.entered()) == flits == sum(load.flits for load in run.network.left())


def test_names_of_routers_have_the_order_of_nodes():
    # 2 and 10 send to 6 in a 4 x 4 mesh and are in router 6 in one tick; as text without padding 10 would be first
    run = Run(topology.mesh(4, 4), [(0, "tile", packet(10, 6, "b")), (0, "tile", packet(2, 6, "a"))])
    assert [payload for _, _, payload in run.delivered] == ["a", "b"]
    assert run.network.path_of(2) == "router.02"


@pytest.mark.parametrize("buffer_packets", [None, 1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_flit_by_flit(seed, buffer_packets):
    kinds = [topology.mesh(3, 3), topology.mesh(1, 4), topology.tree(2, 2), topology.mesh(4, 2)]
    if buffer_packets is None:
        kinds.append(topology.torus(3, 4))
    made = kinds[seed % len(kinds)]
    router_ticks, link_ticks = 1 + seed % 3, 1 + seed // 3
    sent = traffic(made, 150, seed, ticks=(40, 150, 400)[seed % 3], multicast=0.2)
    options = {"router_ticks": router_ticks, "link_ticks": link_ticks, "buffer_packets": buffer_packets}
    run = Run(made, sent, **options)
    delivered, flits = flit_witness.simulate(made, sent, router_ticks, link_ticks, run.network.path_of, buffer_packets)
    assert sorted(run.delivered) == delivered
    assert {link: load.flits for link, load in run.network.loads().items()} == flits


@pytest.mark.parametrize("buffer_packets", [None, 1])
def test_the_start_order_of_processes_changes_nothing(buffer_packets):
    made = topology.mesh(3, 4)
    sent = traffic(made, 300, 3, ticks=60, multicast=0.1)
    traces = []
    for seed in range(6):
        shuffled = np.random.default_rng(seed).permutation
        run = Run(made, sent, order=shuffled, buffer_packets=buffer_packets)
        # sorted, because which of the readers runs first in a tick is theirs to decide
        traces.append((sorted(run.delivered), run.activity.counts, run.network.loads(), run.env.tick))
    assert all(trace == traces[0] for trace in traces)


def test_multicast_reaches_all_over_the_union_of_paths():
    made = topology.mesh(4, 4)
    targets = (0, 3, 6, 9, 12, 15, 5)
    cast = Multicast(5, tuple((at, f"out.{at}") for at in targets), "all", 3, CAUSE)
    run = Run(made, [(0, "tile", cast)])
    hops = topology.hop_counts(made)
    assert sorted(run.delivered) == sorted((run.network.latency(hops[5, at], 3), f"out.{at}", "all") for at in targets)
    used = {link for link, load in run.network.loads().items() if load.packets}
    assert used == topology.path_links(made, 5, targets)
    assert all(load.packets == 1 for load in run.network.loads().values() if load.packets)
    assert run.activity.counts[0, 1, 2, "link", "flit"] == 3 * len(used)
    assert run.activity.counts[0, 1, 2, "router", "flit"] == 3 * (len(used) + 1)


def test_two_ports_of_one_node_share_one_copy():
    run = Run(topology.mesh(1, 2), [(0, "tile", Multicast(0, ((1, "x"), (1, "y")), "p", 2, CAUSE))])
    tick = zero_load_latency(1, 2, 2, 1)
    assert sorted(run.delivered) == [(tick, "x", "p"), (tick, "y", "p")]
    assert run.network.left()[1].packets == 1


@pytest.mark.parametrize(("buffer_packets", "limit"), [(None, 2), (2, 4)])
def test_events_of_a_packet_hop(buffer_packets, limit):
    made = topology.mesh(1, 11)
    sent = [[(0, "tile", packet(0, end, flits=2))] for end in (5, 10)]
    five, ten = (Run(made, item, buffer_packets=buffer_packets).env.scheduled for item in sent)
    assert ten - five == 5 * limit


@pytest.mark.parametrize("buffer_packets", [1, 2])
def test_a_crowded_mesh_with_small_buffers_empties(buffer_packets):
    made = topology.mesh(4, 4)
    sent = traffic(made, 2_000, 7, ticks=20, multicast=0.1)
    run = Run(made, sent, buffer_packets=buffer_packets)
    assert len(run.delivered) == sum(len(item.targets) for _, _, item in sent)


def test_limited_buffers_on_rings_are_refused():
    env = Environment()
    with pytest.raises(
        SpecError, match=r"components.router.buffer: limited buffers on a torus can wait for each other"
    ):
        TileNetwork(
            env, Switchboard(env), Activity(), topology.torus(4, 4), router_ticks=1, link_ticks=1, buffer_packets=2
        )


def test_declared_for_crossbar_machines():
    registry.catalogue.cache_clear()
    declared = registry.catalogue().components
    assert {name: declared[name].families for name in ("noc_link", "noc_router")} == {
        "noc_link": ("crossbar",), "noc_router": ("crossbar",),
    }  # fmt: skip
    for name in ("noc_link", "noc_router"):
        assert {key: action.granule for key, action in declared[name].actions.items()} == {"flit": "flit"}
    assert declared["noc_router"].parameters(flit=256, latency=1e-9).buffer is None
