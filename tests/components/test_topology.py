"""Paths are the shortest ones, turn once where XY does, and never follow each other in a ring on mesh and tree."""

import itertools

import networkx
import numpy as np
import pytest

from hwsim.components import topology
from hwsim.errors import SpecError

SHAPES = [
    topology.mesh(4, 4), topology.mesh(5, 3), topology.mesh(1, 6), topology.mesh(1, 1),
    topology.torus(4, 4), topology.torus(5, 3), topology.torus(2, 6),
    topology.tree(2), topology.tree(3, 2), topology.tree(0),
]  # fmt: skip


@pytest.mark.parametrize("made", SHAPES, ids=lambda made: f"{made.kind}{made.nodes}")
def test_paths_are_shortest_and_use_links(made):
    shortest = dict(networkx.all_pairs_shortest_path_length(made.graph))
    hops = topology.hop_counts(made)
    for a in made.graph:
        for b in made.graph:
            path = topology.route(made, a, b)
            assert path[0] == a and path[-1] == b
            assert all(made.graph.has_edge(*link) for link in itertools.pairwise(path))
            assert len(path) - 1 == shortest[a][b] == hops[a, b]


def test_a_mesh_goes_along_the_row_first():
    made = topology.mesh(4, 5)
    assert topology.route(made, 1, 18) == [1, 2, 3, 8, 13, 18]
    assert topology.route(made, 18, 1) == [18, 17, 16, 11, 6, 1]
    assert made.graph.nodes[13] == {"row": 2, "column": 3}
    assert (made.centre, made.corner, made.terminals) == (12, 0, tuple(range(20)))


def test_a_torus_goes_the_shorter_way_round_and_up_where_both_are_equal():
    made = topology.torus(4, 5)
    assert topology.route(made, 0, 4) == [0, 4]
    assert topology.route(made, 0, 10) == [0, 5, 10]
    assert topology.route(made, 10, 0) == [10, 15, 0]
    assert topology.route(made, 0, 17) == [0, 1, 2, 17]


def test_a_tree_goes_up_then_down():
    made = topology.tree(2, 3)
    assert made.terminals == tuple(range(4, 13)) and (made.centre, made.corner) == (0, 4)
    assert topology.route(made, 4, 12) == [4, 1, 0, 3, 12]
    assert topology.route(made, 4, 6) == [4, 1, 6]
    assert made.graph.nodes[12] == {"row": 2, "column": 8}


def test_links_are_both_directions_of_every_edge():
    made = topology.mesh(2, 2)
    assert made.links == [(0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 3), (3, 1), (3, 2)]


def test_only_rings_depend_on_themselves():
    assert topology.dependency_cycle(topology.mesh(4, 4)) is None
    assert topology.dependency_cycle(topology.tree(3, 2)) is None
    assert topology.dependency_cycle(topology.torus(3, 3)) is None, "no path goes round: every one has one hop a ring"
    ring = topology.dependency_cycle(topology.torus(1, 5))
    assert sorted(ring) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)] or sorted(b for b, _ in ring) == [0, 1, 2, 3, 4]


def test_paths_of_a_multicast_form_a_tree():
    rng = np.random.default_rng(5)
    for made in SHAPES:
        for _ in range(20):
            source, *targets = rng.integers(0, made.nodes, 6).tolist()
            links = topology.path_links(made, source, targets)
            reached = [b for _, b in links]
            assert len(reached) == len(set(reached)) and source not in reached
            assert set(targets) <= {*reached, source}


@pytest.mark.parametrize(
    ("kind", "places", "nodes"),
    [
        ("mesh", 1, 1),
        ("mesh", 2, 2),
        ("mesh", 3, 4),
        ("mesh", 7, 9),
        ("torus", 12, 12),
        ("tree", 5, 21),
        ("tree", 1, 1),
    ],
)
def test_the_smallest_that_fits(kind, places, nodes):
    made = topology.fitting(kind, places)
    assert made.nodes == nodes and len(made.terminals) >= places


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mesh", 7, 2, 3), "noc: expected at least 7 nodes, found a mesh of 2 x 3 = 6"),
        (("mesh", 7, 2, 0), "noc: rows and columns of the NoC are given together, or neither"),
        (("tree", 7, 2, 4), "noc: a tree has no rows and columns"),
        (("mehs", 7), "noc.topology: unknown topology 'mehs'\n  did you mean 'mesh'?"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(SpecError) as caught:
        topology.fitting(*arguments)
    assert str(caught.value).startswith(message)
