"""A second count of a whole run on crossbars, in plain Python: from the spikes and the architecture to every access.

Nothing of the mapping, of the processes or of the kernels is used. Blocks, PEs, tiles, places on the network, windows,
packets and paths are worked out here again from the rules; what does not depend on time must then be equal.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise


def up(a, b):
    return -(-a // b)


class Grid:
    """Node numbers and paths of a mesh, a torus (XY routing, the shorter way, upwards where equal) or a 4-ary tree."""

    def __init__(self, noc, places):
        self.kind = noc["topology"]
        if self.kind == "tree":
            depth = next(d for d in range(99) if 4**d >= places)
            first = sum(4**d for d in range(depth))
            self.nodes, self.terminals = first + 4**depth, list(range(first, first + 4**depth))
            self.centre, self.corner = 0, first
            self.links = 2 * (self.nodes - 1)
            return
        columns = noc["columns"] or math.isqrt(places - 1) + 1
        rows = noc["rows"] or up(places, columns)
        self.sides = rows, columns
        self.nodes, self.terminals = rows * columns, list(range(rows * columns))
        self.centre, self.corner = rows // 2 * columns + columns // 2, 0
        near = {(node, other) for node in self.terminals for other in self.neighbours(node)}
        self.links = len(near)

    def neighbours(self, node):
        rows, columns = self.sides
        y, x = divmod(node, columns)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            b, a = y + dy, x + dx
            if self.kind == "torus":
                b, a = b % rows, a % columns
            if 0 <= b < rows and 0 <= a < columns and (b, a) != (y, x):
                yield b * columns + a

    def path(self, a, b):
        """Nodes from a to b, both included."""
        if self.kind == "tree":
            return self.climb(a, b)
        rows, columns = self.sides
        (y, x), (v, u) = divmod(a, columns), divmod(b, columns)
        nodes = [a]
        while x != u:
            x = self.step(x, u, columns)
            nodes.append(y * columns + x)
        while y != v:
            y = self.step(y, v, rows)
            nodes.append(y * columns + x)
        return nodes

    def step(self, here, there, size):
        if self.kind == "mesh":
            return here + (1 if there > here else -1)
        ahead = (there - here) % size
        return (here + (1 if 2 * ahead <= size else -1)) % size

    def climb(self, a, b):
        up_a, up_b = [a], [b]
        while up_a[-1]:
            up_a.append((up_a[-1] - 1) // 4)
        while up_b[-1]:
            up_b.append((up_b[-1] - 1) // 4)
        common = next(node for node in up_a if node in up_b)
        return up_a[: up_a.index(common) + 1] + up_b[: up_b.index(common)][::-1]


class LaidOut:
    """One weighted layer: row blocks, PEs and tiles of each copy."""

    def __init__(self, recount, layer, index):
        m, array = recount.mapping, recount.parts["crossbar"].parameters
        g = self.g = layer.geometry
        self.layer, self.index, self.name = layer, index, layer.name
        self.planes = max(1, recount.workload.input_edge(layer).bits)
        pair = 2 if m["encoding"] == "differential_pair" else 1
        stored = layer.weights.bits if layer.weights is not None else 8
        stored -= m["encoding"] in ("diff", "differential_pair")
        self.slices = up(stored, array["cell_bits"])
        self.pair, width, size = pair, array["columns"] // pair, array["rows"]
        taps = [(r, s) for r in range(g.R) for s in range(g.S)]
        kernel = m["scheme"] == "kernel"
        self.blocks = defaultdict(list)
        if kernel:
            for (r, s), c in ((tap, c) for tap in taps for c in range(g.C)):
                self.blocks[(r, s), c // size].append((c, r, s))
        else:
            for number, (c, (r, s)) in enumerate((c, tap) for c in range(g.C) for tap in taps):
                self.blocks[number // size].append((c, r, s))
        groups = [[key] for key in self.blocks]
        if kernel and len(taps) > 1:
            groups = [[(tap, part) for tap in taps] for part in range(up(g.C, size))]
        columns = [(a, min(a + width, g.M)) for a in range(0, g.M, width)]
        self.pes = [(group, cols) for cols in columns for group in groups]
        first, linear = index == 0 and m["first_layer"] == "digital", layer.op == "linear" and m["linear"] == "digital"
        self.copies = m["replication"].get(layer.name, 1)
        made = 0 if first or linear else self.copies
        self.tiles = [(copy, n, pes) for copy in range(made) for n, pes in recount.place(self)]

    def channels(self, pes):
        used = [c for pe in pes for block in self.pes[pe][0] for c, _, _ in self.blocks[block]]
        return min(used), max(used) + 1

    def windows(self, y):
        g = self.g
        first = y * g.stride_y - g.pad_y
        last = first + (g.R - 1) * g.dilation_y
        low, high = max(0, min(first, g.H - 1)), min(g.H - 1, max(last, 0))
        return range(low, high + 1)

    def wanted(self, copy):
        return {row for y in range(copy, self.g.E, self.copies) for row in self.windows(y)}

    @property
    def arrays(self):
        return self.slices * sum(len(self.pes[pe][0]) for _, _, pes in self.tiles for pe in pes)


class Recount:
    """``counts`` (layer, timestep, component, action) -> times, ``operations`` layer -> times, ``units``; sample 0."""

    def __init__(self, runner, timesteps=None):
        self.workload, self.spikes, self.total = runner.workload, runner.spikes(0), runner.timesteps
        self.times = timesteps or self.total
        spec = runner.architecture
        self.parts, self.mapping, self.noc, self.options = spec.components, spec.mapping, spec.noc, spec.options
        self.flit = self.parameter("router", "flit")
        self.counts, self.operations, self.traffic = Counter(), Counter(), Counter()
        self.open_tile, self.used_tiles = (0, 0), 0
        first, last = runner.request.layers or (0, len(self.workload.weighted))
        weighted = list(enumerate(self.workload.weighted))[first:last]
        self.layers = [LaidOut(self, layer, index) for index, layer in weighted]
        self.by_name = {item.name: item for item in self.layers}
        self.grid = Grid(self.noc, self.used_tiles + 1)
        self.packets = []
        self.made = set(self.by_name)
        for layer in self.workload.layers:
            if not layer.has_weights and not self.alone(layer) and any(name in self.made for name in layer.inputs):
                self.made.add(layer.name)
        for item in self.layers:
            for t in range(self.times):
                self.feed(item, t)
                for y in range(item.g.E):
                    self.compute(item, t, y)
        for t in range(self.times):
            self.between(t)
        self.route()

    def parameter(self, part, name):
        return self.parts[part].parameters[name]

    def add(self, layer, t, component, action, times):
        if times:
            self.counts[layer, t, component, action] += times

    def place(self, item):
        """(tile, PEs) of one copy; a new tile for each copy unless tiles are shared."""
        tile, free = self.open_tile if self.mapping["share_tiles"] else (0, 0)
        found = defaultdict(list)
        for pe in range(len(item.pes)):
            if not free:
                tile, free, self.used_tiles = self.used_tiles, self.mapping["pes_per_tile"], self.used_tiles + 1
            found[tile].append(pe)
            free -= 1
        self.open_tile = tile, free
        return list(found.items())

    # inputs of a layer ---------------------------------------------------------------------------------------------

    def feed(self, item, t):
        g, lines = item.g, self.parameter("global_buffer", "line")
        x = self.input(item, t)
        for y in range(g.H):
            if not item.tiles:
                self.add(item.index, t, "global_buffer", "read", up(g.C * g.W * item.planes, lines))
                continue
            lanes = [(n, item.channels(pes)) for copy, n, pes in item.tiles if y in item.wanted(copy)]
            for _, (low, high) in lanes:
                bits = (high - low) * g.W * item.planes
                self.add(item.index, t, "tile_buffer", "write", up(bits, self.parameter("tile_buffer", "line")))
            whole = min((low for _, (low, _) in lanes), default=0), max((high for _, (_, high) in lanes), default=0)
            if self.noc["multicast"]:
                sent = [([n for n, _ in lanes], whole)] if lanes else []
            else:
                sent = [([n], channels) for n, channels in lanes]
            for tiles, (low, high) in sent:
                bits = (high - low) * g.W * item.planes
                self.add(item.index, t, "global_buffer", "read", up(bits, lines))
                self.packets.append((item.index, t, None, tiles, self.row_flits(x, item, y, low, high)))
            for n, (low, high) in lanes:
                self.traffic[n] += self.row_flits(x, item, y, low, high)

    def input(self, item, t):
        return self.spikes.inputs.at(item.name, t).reshape(item.g.C, item.g.H, item.g.W).tolist()

    def row_flits(self, x, item, y, low, high):
        """Flits of a row, position by position; one without a spike is not sent where they are looked for."""
        values = [x[c][y][col] for col in range(item.g.W) for c in range(low, high)]
        if self.noc["packets"] == "bitmap":
            return max(1, up(len(values) * item.planes, self.flit))
        bits = (place * item.planes + bit for place, value in enumerate(values) if value for bit in range(item.planes))
        return max(1, len({bit // self.flit for bit in bits}))

    # tiles, adders, neurons ----------------------------------------------------------------------------------------

    def compute(self, item, t, y):
        if item.tiles:
            seen = Counter()
            for copy, n, pes in item.tiles:
                if copy == y % item.copies:
                    for pe in pes:
                        self.read(item, t, y, *item.pes[pe])
                    self.tile(item, t, n, [item.pes[pe][1] for pe in pes], seen)
        else:
            done = sum(1 for x in range(item.g.F) for value in self.pixel(item, t, y, x) if value) * item.g.M
            self.add(item.index, t, "digital", "accumulate", done)
            self.operations[item.index] += done
        self.neurons(item.layer, item.index, t, item.g.F, item.g.M)

    def pixel(self, item, t, y, x, rows=None):
        """What the rows under the kernel hold; zero in the padding."""
        g, image = item.g, self.input(item, t) if not hasattr(self, "at") or self.at != (item.name, t) else self.image
        self.at, self.image = (item.name, t), image
        rows = [(c, r, s) for c in range(g.C) for r in range(g.R) for s in range(g.S)] if rows is None else rows
        for c, r, s in rows:
            b, a = y * g.stride_y - g.pad_y + r * g.dilation_y, x * g.stride_x - g.pad_x + s * g.dilation_x
            yield image[c][b][a] if 0 <= b < g.H and 0 <= a < g.W else 0

    def read(self, item, t, y, group, columns):
        g, filters = item.g, columns[1] - columns[0]
        line, skips = self.parameter("tile_buffer", "line"), self.options["zero_vectors"] == "skipped"
        events = blocks = fetched = 0
        for x in range(g.F):
            for key in group:
                rows = item.blocks[key]
                values = list(self.pixel(item, t, y, x, rows))
                for plane in range(item.planes):
                    active = sum(value >> plane & 1 for value in values)
                    events += active
                    blocks += active > 0 or not skips
                if not self.padded(item, y, x, rows):
                    fetched += up(len(rows) * item.planes, line)
        self.operations[item.index] += events * filters
        conversions = blocks * item.slices * filters * item.pair
        for component, action, times in (
            ("crossbar", "read", blocks * item.slices), ("crossbar", "read_row", events * item.slices),
            ("driver", "drive", events * item.slices), ("pe_adder", "add", conversions),
            ("diff", "subtract", blocks * filters if item.pair == 1 else 0), ("tile_buffer", "read", fetched),
            ("mux", "select", conversions * self.options["converters"]),
            ("adc", "convert", conversions * self.options["converters"]),
            ("h_tree", "move", up(g.F * filters * self.parameter("tile_adder", "psum_bits"),
                                  self.parameter("h_tree", "width"))),
        ):  # fmt: skip
            self.add(item.index, t, component, action, times)

    def padded(self, item, y, x, rows):
        """Whether a block of one kernel position has nothing to fetch there."""
        g, (_, r, s) = item.g, rows[0]
        if {row[1:] for row in rows} != {(r, s)}:
            return False
        b, a = y * g.stride_y - g.pad_y + r * g.dilation_y, x * g.stride_x - g.pad_x + s * g.dilation_x
        return not (0 <= b < g.H and 0 <= a < g.W)

    def tile(self, item, t, tile, parts, seen):
        """Sums of the same columns meet in the tile, those of several tiles in the global adder."""
        each = {columns: columns[1] - columns[0] for columns in parts}
        self.add(item.index, t, "tile_adder", "add",
                 item.g.F * (sum(each[columns] for columns in parts) - sum(each.values())))  # fmt: skip
        bits = sum(each.values()) * item.g.F * self.parameter("tile_adder", "psum_bits")
        flits = max(1, up(bits, self.flit))
        self.packets.append((item.index, t, tile, None, flits))
        self.traffic[tile] += flits
        for columns, filters in each.items():
            self.add(item.index, t, "global_adder", "add", filters * item.g.F if seen[columns] else 0)
            seen[columns] += 1

    def neurons(self, layer, cause, t, width, channels):
        if layer.neuron.type in ("lif", "if"):
            units = width * up(channels, self.options["lif_sharing"])
            lines = up(units * self.parameter("neuron", "membrane_bits"), self.parameter("membranes", "line"))
            self.add(cause, t, "neuron", "update", width * channels)
            self.add(cause, t, "membranes", "read", lines if t > 0 else 0)
            self.add(cause, t, "membranes", "write", lines if t < self.total - 1 else 0)
        elif layer.neuron.type == "relu":
            self.add(cause, t, "neuron", "activate", width * channels)
        elif layer.has_weights:
            self.add(cause, t, "global_adder", "add", width * channels)
        if layer.bn is not None and layer.bn.per_timestep:
            self.add(cause, t, "neuron", "scale", width * channels)

    # what is between layers with weights ---------------------------------------------------------------------------

    def shape(self, name):
        shape = self.workload.input.shape if name == "input" else self.layer(name).output_shape
        return tuple(shape) if len(shape) == 3 else (shape[0], 1, shape[1] if len(shape) == 2 else 1)

    def layer(self, name):
        return next(layer for layer in self.workload.layers if layer.name == name)

    def origin(self, name):
        """The weighted layer for which a row of an edge is booked: the first one behind it."""
        if name in self.by_name:
            return self.by_name[name].index
        behind = [self.origin(source) for source in self.layer(name).inputs if source in self.made]
        return next((index for index in behind if index is not None), None)

    def between(self, t):
        line = self.parameter("global_buffer", "line")
        for item in self.layers:  # what nothing makes, because the layer stands alone in a table or trace
            if self.alone(item.layer) and (t == 0 or item.layer.timesteps != 1):
                g = item.g
                self.add(item.index, t, "global_buffer", "write", up(g.C * g.H * g.W * item.planes, line))
        edges = ["input", *(layer.name for layer in self.workload.layers)]
        for name in edges:
            readers = [item for item in self.layers if item.layer.inputs == (name,) and not self.alone(item.layer)]
            takers = [other for other in self.workload.layers
                      if not other.has_weights and other.name in self.made and name in other.inputs]  # fmt: skip
            (channels, rows, columns), origin = self.shape(name), None
            if name in self.made:
                origin = self.origin(name)
                if name not in self.by_name:
                    self.operate(self.layer(name), t, origin)
                if readers:
                    lines = up(channels * columns * readers[0].planes, line)
                    self.add(origin, t, "global_buffer", "write", rows * lines)
            elif readers or takers:
                planes = readers[0].planes if readers else max(1, self.workload.edge(name).bits)
                if t == 0 or not self.constant(name):
                    self.add(readers[0].index if readers else -1, t, "global_buffer", "write",
                             up(channels * rows * columns * planes, line))  # fmt: skip

    def alone(self, layer):
        return self.workload.kind == "trace" or not layer.inputs

    def constant(self, name):
        """Whether an edge in front of all simulated layers holds the same at every timestep."""
        if name == "input":
            return self.workload.input.encoding == "direct"
        layer = self.layer(name)
        return not layer.has_weights and layer.neuron.type == "none" and all(map(self.constant, layer.inputs))

    def operate(self, layer, t, origin):
        channels, height, width = self.shape(layer.inputs[0])
        bits, (outs, rows, columns) = max(1, self.workload.edge(layer.inputs[0]).bits), self.shape(layer.name)
        for y in range(rows):
            if layer.op.endswith("pool"):
                used = range(height)
                if len(layer.input_shape) == 3:
                    kernel, stride, padding = (v if isinstance(v, int) else v[0]
                                               for v in (layer.kernel, layer.stride, layer.padding))  # fmt: skip
                    used = [b for b in range(y * stride - padding, y * stride - padding + kernel) if 0 <= b < height]
                action = "add" if layer.op != "maxpool" else "or" if bits == 1 else "compare"
                words = up(channels * width * len(used) * bits, self.parameter("pool", "word_bits"))
                self.add(origin, t, "pool", action, words)
            elif layer.op == "add":
                self.add(origin, t, "digital", "add", outs * columns * (len(layer.inputs) - 1))
            if layer.neuron.type != "none":
                self.neurons(layer, origin, t, columns, outs)

    # the network ---------------------------------------------------------------------------------------------------

    def route(self):
        centre = self.grid.centre if self.noc["global_node"] == "centre" else self.grid.corner
        free = [node for node in self.grid.terminals if node != centre]
        tiles = list(range(self.used_tiles))
        if self.mapping["placement"] == "activity":
            tiles.sort(key=lambda tile: (-self.traffic[tile], tile))
            free.sort(key=lambda node: (len(self.grid.path(centre, node)), node))
        self.node = dict(zip(tiles, free, strict=False))
        for layer, t, source, targets, flits in self.packets:
            paths = [self.grid.path(self.node[source], centre)] if targets is None else [
                self.grid.path(centre, self.node[n]) for n in targets]  # fmt: skip
            self.add(layer, t, "router", "flit", flits * len({node for path in paths for node in path}))
            self.add(layer, t, "link", "flit", flits * len({link for path in paths for link in pairwise(path)}))

    @property
    def units(self):
        """How many of each component exist."""
        arrays = sum(item.arrays for item in self.layers)
        converters = arrays * up(self.parameter("crossbar", "columns"), self.parameter("mux", "columns_per_adc"))
        pes = sum(len(pes) for item in self.layers for _, _, pes in item.tiles)
        share = self.options["lif_sharing"]
        membranes = sum(math.prod(self.shape(layer.name)[1:]) * up(self.shape(layer.name)[0], share)
                        for layer in self.workload.layers
                        if layer.name in self.made and layer.neuron.type in ("lif", "if"))  # fmt: skip
        return {
            "crossbar": arrays, "driver": arrays * self.parameter("crossbar", "rows"), "mux": converters,
            "adc": converters, "diff": pes, "pe_adder": pes, "tile_adder": self.used_tiles,
            "tile_buffer": self.used_tiles, "h_tree": self.used_tiles, "router": self.grid.nodes,
            "link": self.grid.links, "neuron": self.parameter("neuron", "lanes"),
            "membranes": membranes * self.parameter("neuron", "membrane_bits"),
        }  # fmt: skip
