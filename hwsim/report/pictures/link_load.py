"""The network on chip with the load of its links: where spikes crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.errors import Problem, SpecError
from hwsim.machines.neuromorphic.findings import link_loads_by_pair
from hwsim.report.pictures import canvas
from hwsim.report.pictures.core_subject import CoreSubject, held_layers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPACE = 0.16
"""Half the distance between the two directions of a link, where routers are 1 apart."""


INSIDE = 4
"""Characters of a name that fit into a router's square."""


class Loads(NamedTuple):
    """Of each link the share of cycles in which it carried a flit, mean over samples; places of routers."""

    loads: dict[tuple[int, int], float]
    places: dict[int, tuple[float, float]]
    wraps: set[tuple[int, int]]
    """Links around a torus."""
    names: dict[int, str]
    """What routers' cores hold."""
    kind: str
    caption: str


def collect(subject: CoreSubject) -> Loads:
    """Loads of all links. Raises SpecError for a machine without a network."""
    runner = subject.prepared()
    topology, routing = runner.machine.topology, runner.machine.setup.routing
    if topology is None or routing is None:
        where = runner.architecture.where("noc")
        raise SpecError(Problem(where, "the noc is of kind 'none': there are no links to draw"))
    made = [link_loads_by_pair(runner, record) for record in subject.records(runner)]
    loads = {link: float(np.mean([one[link] for one in made])) for link in made[0]}
    graph = topology.graph.nodes
    places = {node: (float(graph[node]["column"]), -float(graph[node]["row"])) for node in graph}
    if topology.kind == "tree":  # leaves side by side, each node above the middle of its own
        places = _tree_places(topology.terminals, topology.next_hop, places)
    wraps = {link for link in loads if topology.kind == "torus" and _far(places, link)}
    held = held_layers(runner)
    names: dict[int, str] = {}
    for core, name in enumerate(held):
        home = int(routing.tables.home[core])
        names[home] = name if home not in names or names[home] == name else f"{names[home].split(' +')[0]} +"
    total = sum(int(record.flits.sum()) for record in subject.records(runner) if record.flits is not None)
    busiest = max(loads.items(), key=lambda item: item[1], default=((0, 0), 0.0))
    caption = subject.caption(
        runner, f"{topology.kind} of {topology.nodes} routers", f"{total / subject.samples:,.0f} flit-hops a sample",
        f"busiest link {busiest[0][0]} to {busiest[0][1]}: {100 * busiest[1]:.2g} %",
        "events of the input do not cross the network",
    )  # fmt: skip
    return Loads(loads, places, wraps, names, topology.kind, caption)


def _far(places: dict[int, tuple[float, float]], link: tuple[int, int]) -> bool:
    (a, b), (c, d) = places[link[0]], places[link[1]]
    return abs(a - c) + abs(b - d) > 1.5


def _tree_places(
    leaves: tuple[int, ...], next_hop: np.ndarray, places: dict[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    below: dict[int, list[int]] = {leaf: [number] for number, leaf in enumerate(leaves)}
    for number, leaf in enumerate(leaves):
        node = leaf
        while node:
            node = int(next_hop[node, 0])
            below.setdefault(node, []).append(number)
    return {node: (float(np.mean(below[node])), 1.5 * y) for node, (_, y) in places.items()}


def paint(found: Loads, subject: CoreSubject) -> Figure:
    """Routers as squares, links as arrows; colour and width are the load."""
    del subject
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    xs, ys = zip(*found.places.values(), strict=True)
    tall = (max(ys) - min(ys) + 1.6) / (max(xs) - min(xs) + 1.6)
    figure = canvas.figure(
        min(max(1.4 + 6.0 * tall, 2.6), 9.0), f"Load of the links of the {found.kind}", found.caption
    )
    axes = figure.subplots()
    norm = Normalize(0.0, max(max(found.loads.values(), default=0.0), 1e-12))
    for link, load in sorted(found.loads.items(), key=lambda item: item[1]):
        _arrow(axes, found, link, norm(load), colormaps[canvas.MAP])
    small = len(found.places) > 80
    for node, (x, y) in found.places.items():
        used = node in found.names
        axes.plot(x, y, marker="s", markersize=6 if small else 15, color="#cfe3f2" if used else "white",
                  markeredgecolor=canvas.GREY, markeredgewidth=0.7, zorder=3)  # fmt: skip
        if used and not small:
            inside = len(found.names[node]) <= INSIDE
            axes.annotate(found.names[node], (x, y), (0, 0 if inside else -15), textcoords="offset points",
                          ha="center", va="center", fontsize=5.5 if inside else 7, zorder=4)  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlim(min(xs) - 0.8, max(xs) + 0.8)
    axes.set_ylim(min(ys) - 0.8, max(ys) + 0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, canvas.MAP), ax=axes, pad=0.01, shrink=0.8, aspect=30)
    bar.set_label("cycles with a flit")
    canvas.percent_axis(bar.ax.yaxis)
    return figure


def _arrow(axes: Axes, found: Loads, link: tuple[int, int], share: float, colours: object) -> None:
    """One direction of a link, a little to its right; around a torus: a stub at each end."""
    begin, end = np.array(found.places[link[0]]), np.array(found.places[link[1]])
    along = (end - begin) / max(float(np.hypot(*(end - begin))), 1e-9)
    if link in found.wraps:
        along = -along
        pieces = [(begin, begin + 0.6 * along), (end - 0.6 * along, end)]
    else:
        pieces = [(begin, end)]
    side = SPACE * np.array([along[1], -along[0]]) * (0.6 if found.kind == "tree" else 1.0)
    idle = share <= 0.0
    for a, b in pieces:
        axes.annotate("", b + side - 0.18 * along, a + side + 0.18 * along, arrowprops={
            "arrowstyle": "-|>", "color": "#d9d9d9" if idle else colours(share),  # type: ignore[operator]
            "linewidth": 0.6 if idle else 0.8 + 2.4 * share, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7,
        }, zorder=1 if idle else 2)  # fmt: skip
