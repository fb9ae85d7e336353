"""Which routers are linked, and the one path between any two of them.

Routing is deterministic and depends on node and destination only, so it is a table of next hops. Mesh and torus: first
along the row, then along the column (XY routing, see Dally and Seitz, IEEE Trans. Comput. 36(5), 1987); on a torus each
the shorter way round, towards higher indices where both are equal. Tree: up to the first common ancestor, then down.
All paths are shortest ones. Nodes are 0, 1, ...; a link is (from node, to node), one for each direction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwsim.errors import Problem, SpecError, did_you_mean

if TYPE_CHECKING:
    import networkx

Link = tuple[int, int]
NODE_LIMIT = 4096
"""Nodes of a network: routes are a table of all pairs."""
ARITY = 4
"""Children of a node of a tree where nothing else is said: what an H-tree in the plane has."""


@dataclass(frozen=True, eq=False)
class Topology:
    """Routers and links.

    graph      undirected; nodes have the attributes ``row`` and ``column`` (of a tree: depth and place from the left)
    next_hop   int32 [nodes, nodes]: where a packet at the first index goes next on its way to the second one
    terminals  nodes that have a tile: all of a mesh or torus, the leaves of a tree
    centre     the middle node, or a tree's root
    corner     node 0, or a tree's first leaf
    """

    kind: str
    graph: networkx.Graph
    next_hop: np.ndarray
    terminals: tuple[int, ...]
    centre: int
    corner: int

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.next_hop)

    @property
    def links(self) -> list[Link]:
        """All links, in order."""
        return sorted(link for a, b in self.graph.edges for link in ((a, b), (b, a)))


def mesh(rows: int, columns: int) -> Topology:
    """A mesh; node ``row * columns + column``."""
    return _grid("mesh", rows, columns)


def torus(rows: int, columns: int) -> Topology:
    """A mesh whose rows and columns are rings."""
    return _grid("torus", rows, columns)


def tree(depth: int, arity: int = ARITY) -> Topology:
    """A tree with ``arity ** depth`` leaves; the root is node 0, the children of v are ``arity * v + 1 ...``."""
    import networkx

    assert depth >= 0 and arity >= 2, (depth, arity)
    graph = networkx.balanced_tree(arity, depth)
    nodes = graph.number_of_nodes()
    first = [sum(arity**above for above in range(level)) for level in range(depth + 1)]
    for level, start in enumerate(first):
        for place in range(arity**level):
            graph.nodes[start + place].update(row=level, column=place)
    parent = np.maximum(np.arange(nodes) - 1, 0) // arity
    next_hop = np.repeat(parent[:, None], nodes, axis=1).astype(np.int32)
    for destination in range(nodes):
        below = destination
        next_hop[below, below] = below
        while below:
            above = int(parent[below])
            next_hop[above, destination] = below
            below = above
    return Topology("tree", graph, next_hop, tuple(range(first[-1], nodes)), 0, first[-1])


def fitting(kind: str, places: int, rows: int = 0, columns: int = 0, where: str = "noc") -> Topology:
    """A topology of that kind with at least ``places`` terminals; ``rows`` 0: ceil(sqrt(places)) columns.

    ``where`` names the place in the architecture; raises ``SpecError`` where the given size is too small or unusable.
    """
    assert places >= 1, places
    kinds: dict[str, Callable[[int, int], Topology]] = {"mesh": mesh, "torus": torus}
    if kind == "tree" and (rows or columns):
        raise SpecError(Problem(where, "a tree has no rows and columns", "Leave them out: the tiles decide its depth."))
    if max(places, rows * columns) > NODE_LIMIT:
        found = f"expected at most {NODE_LIMIT} nodes, found {max(places, rows * columns)}"
        raise SpecError(Problem(where, found, "Use larger arrays, more PEs per tile, or fewer layers (--layers A:B)."))
    if kind == "tree":
        return tree(next(depth for depth in range(places) if ARITY**depth >= places))
    if kind not in kinds:
        raise SpecError(
            Problem(f"{where}.topology", f"unknown topology '{kind}'", did_you_mean(kind, (*kinds, "tree")))
        )
    if bool(rows) != bool(columns):
        hint = "Leave both out to fit the tiles."
        raise SpecError(Problem(where, "rows and columns of the NoC are given together, or neither", hint))
    if not rows:
        columns = math.isqrt(places - 1) + 1
        rows = -(-places // columns)
    if rows * columns < places:
        found = f"expected at least {places} nodes, found a {kind} of {rows} x {columns} = {rows * columns}"
        raise SpecError(Problem(where, found, "Use more rows or columns, or leave both out to fit the tiles."))
    return kinds[kind](rows, columns)


def route(topology: Topology, a: int, b: int) -> list[int]:
    """The nodes from ``a`` to ``b``, both included."""
    path = [a]
    while path[-1] != b:
        path.append(int(topology.next_hop[path[-1], b]))
    return path


def hop_counts(topology: Topology) -> np.ndarray:
    """int32 [nodes, nodes]: links on the path between two nodes."""
    destination = np.arange(topology.nodes)[None, :]
    place = np.repeat(destination.T, topology.nodes, axis=1)
    hops = np.zeros(place.shape, np.int32)
    while (moving := place != destination).any():
        hops += moving
        place = topology.next_hop[place, destination]
    return hops


def path_links(topology: Topology, source: int, destinations: Iterable[int]) -> set[Link]:
    """The links of all paths from a node, each once: what a multicast uses."""
    paths = (route(topology, source, destination) for destination in destinations)
    return {link for path in paths for link in itertools.pairwise(path)}


def dependency_cycle(topology: Topology) -> list[Link] | None:
    """Links that wait for each other in a ring, or None.

    A link depends on another if some path takes it right after the first one. Without a ring no set of packets in
    limited buffers can wait for each other for ever (Dally and Seitz, IEEE Trans. Comput. 36(5), 1987).
    """
    import networkx

    nodes, found = topology.nodes, np.zeros(0, np.int64)
    here, block = np.arange(nodes)[:, None], max(1, 2**20 // topology.nodes)
    for first in range(0, nodes, block):  # all destinations at once would be several tables of all pairs
        destination = np.arange(first, min(first + block, nodes))[None, :]
        second = topology.next_hop[:, destination[0]].astype(np.int64)
        third = topology.next_hop[second, destination]
        turns = (second != here) & (second != destination)
        # three nodes as one number, because np.unique over rows is thirty times slower
        found = np.union1d(found, ((here * nodes + second) * nodes + third)[turns])
    paths = np.stack([found // nodes**2, found // nodes % nodes, found % nodes], axis=1).tolist()
    dependencies = networkx.DiGraph([((a, b), (b, c)) for a, b, c in paths])
    # find_cycle alone takes seconds to say no
    if networkx.is_directed_acyclic_graph(dependencies):
        return None
    return [link for link, _ in networkx.find_cycle(dependencies)]


def _grid(kind: str, rows: int, columns: int) -> Topology:
    import networkx

    assert rows >= 1 and columns >= 1, (rows, columns)
    ring = kind == "torus"
    pairs = networkx.grid_2d_graph(rows, columns, periodic=ring)
    graph = networkx.relabel_nodes(pairs, {(row, column): row * columns + column for row, column in pairs})
    for node in graph:
        graph.nodes[node].update(row=node // columns, column=node % columns)
    # from, towards, both as (row, column): filled in place, because tables of all pairs in between would be as large
    next_hop = np.empty((rows, columns, rows, columns), np.int32)
    across, down = _following(columns, ring), _following(rows, ring) * columns
    first = np.arange(rows, dtype=np.int32) * columns
    for column in range(columns):
        next_hop[:, column] = first[:, None, None] + across[column]
        next_hop[:, column, :, column] = down + column
    centre, nodes = (rows // 2) * columns + columns // 2, rows * columns
    return Topology(kind, graph, next_hop.reshape(nodes, nodes), tuple(range(nodes)), centre, 0)


def _following(size: int, ring: bool) -> np.ndarray:
    """int32 [from, towards]: the next place on the way in one dimension of ``size`` places."""
    place = np.arange(size, dtype=np.int32)
    ahead = place[None, :] - place[:, None]
    if ring:
        ahead %= size
        ahead = np.where(2 * ahead <= size, ahead, -ahead)
    return (place[:, None] + np.sign(ahead)) % size
