"""A network moved flit by flit and tick by tick with plain loops: what the router processes must agree with.

It shares nothing with them but the packets, the paths and the names that decide ties.
"""

from collections import deque

from hwsim.components.topology import route


class Copy:
    """A copy of a packet in one router: when each of its flits came, and how many copies still have to leave."""

    def __init__(self, packet, targets, origin, came):
        self.packet, self.targets, self.origin, self.came = packet, targets, origin, came
        self.branches = 0


class Lane:
    """One output: who waits, who is sent, how many of its flits have gone, credits."""

    def __init__(self, credit):
        self.queue, self.current, self.gone, self.credits = deque(), None, 0, credit
        self.ticks = []


def simulate(topology, sent, router_ticks, link_ticks, name, buffer_packets=None):
    """Deliveries (tick, port, payload), sorted, and flits per link, of ``sent``: (tick, sender, packet) in order."""
    lanes = {
        (node, at): Lane(None if at == node else buffer_packets)
        for node in topology.graph
        for at in [*topology.graph[node], node]
    }
    injected = {}
    for tick, sender, packet in sent:
        injected.setdefault((packet.source, tick + 1), []).append((sender, packet))
    entry = {node: (deque(), [None, 0]) for node in topology.graph}
    heads, credits, delivered = {}, {}, []
    left = sum(len({node for node, _ in packet.targets}) for _, _, packet in sent)
    tick = 0
    while left:
        tick += 1
        for lane in credits.pop(tick, []):
            lanes[lane].credits += 1
        arrivals = heads.pop(tick, [])
        for node, (queue, state) in entry.items():
            new = sorted(injected.pop((node, tick), []), key=lambda item: item[0])
            late = bool(queue) or state[0] is not None
            queue.extend(
                (packet, name(node) if late or index else sender) for index, (sender, packet) in enumerate(new)
            )
            if state[0] is None and queue:
                packet, who = queue.popleft()
                copy = Copy(packet, packet.targets, None, [tick + index for index in range(packet.flits)])
                state[:] = [packet, 0]
                arrivals.append((node, who, copy))
            if state[0] is not None:
                state[1] += 1
                if state[1] == state[0].flits:
                    state[0] = None
        for node, _, copy in sorted(arrivals, key=lambda item: item[:2]):
            shares = {}
            for target in copy.targets:
                path = route(topology, node, target[0])
                shares.setdefault(path[1] if len(path) > 1 else node, []).append(target)
            copy.branches = len(shares)
            for at, targets in shares.items():
                lanes[node, at].queue.append((copy, tuple(targets)))
        for (node, at), lane in lanes.items():
            ready = lane.queue and lane.credits != 0 and tick >= lane.queue[0][0].came[0] + router_ticks
            if lane.current is None and ready:
                lane.current, lane.gone = lane.queue.popleft(), 0
                if lane.credits is not None:
                    lane.credits -= 1
            if lane.current is None:
                continue
            copy, targets = lane.current
            packet = copy.packet
            assert tick >= copy.came[lane.gone] + router_ticks, "a flit left before it came"
            lane.gone += 1
            lane.ticks.append(tick)
            if lane.gone == 1 and at != node:
                came = [tick + link_ticks + index for index in range(packet.flits)]
                heads.setdefault(came[0], []).append((at, name(node), Copy(packet, targets, node, came)))
            if lane.gone == packet.flits:
                lane.current = None
                copy.branches -= 1
                if at == node:
                    delivered += [(tick + 1, port, packet.payload) for _, port in targets]
                    left -= 1
                if buffer_packets is not None and copy.origin is not None and not copy.branches:
                    credits.setdefault(tick + link_ticks, []).append((copy.origin, node))
    return sorted(delivered), {link: len(lane.ticks) for link, lane in lanes.items() if link[0] != link[1]}
