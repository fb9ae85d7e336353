"""What the array has to do for each layer with weights: sizes, words and the pool that follows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.errors import Problem, SpecError
from hwsim.workload.model import INPUT, Geometry, Layer, Workload

MAXIMUM_PLANES = 16
MOVED = ("flatten", "reshape")
"""Operations that only change addresses."""


@dataclass(frozen=True)
class LayerWork:
    """One weighted layer as the array sees it. ``geometry`` is that of one group; ``index`` counts weighted layers.

    ``input_bits``: bits of one input value at one timestep (1 for spikes). ``constant_input``: the same values at every
    timestep (direct coding), stored once. ``mac``: one slot takes a whole input value (PEs with multipliers).
    ``pool``: (kind, window height, window width, output height, output width) of the pools behind the neuron.
    """

    index: int
    layer: Layer
    geometry: Geometry
    groups: int
    input_bits: int
    constant_input: bool
    mac: bool
    weight_bits: int
    psum_bits: int
    neuron: str
    output_bits: int
    pool: tuple[tuple[str, int, int, int, int], ...]
    drained_bits: int
    """Bits of one value and timestep behind the last pool: what goes to DRAM and what the next layer reads."""
    producer: int | None
    """Index of the weighted layer whose outputs this one reads, None for the network's input."""

    @property
    def name(self) -> str:
        """Name of the layer in the workload."""
        return self.layer.name

    @property
    def planes(self) -> int:
        """Bit planes that the input is fed in."""
        return 1 if self.mac else self.input_bits

    @property
    def scaled(self) -> bool:
        """Whether BN factors change with the timestep (BNTT), so that they cannot be folded into the threshold."""
        return self.layer.bn is not None and self.layer.bn.per_timestep

    @property
    def spiking(self) -> bool:
        """Whether LIF units work for this layer."""
        return self.neuron in ("lif", "if")

    def word_bits(self, timesteps: int) -> int:
        """Bits of one stored input word that serves ``timesteps`` timesteps."""
        return self.input_bits if self.constant_input else self.input_bits * timesteps

    def passes(self, timesteps: int, spad_bits: int, word_bits: int, packing: int) -> int:
        """Timesteps handled inside one fold: limited by the psum spad, by the bits of a word in the spike spad, and by
        how many timesteps the machine packs into a word."""
        fitting = word_bits if self.constant_input else word_bits // self.input_bits
        return max(1, min(timesteps, fitting, packing, spad_bits // self.psum_bits))

    def pooled(self, positions: int) -> list[int]:
        """Positions behind each pool, for the first ``positions`` positions of the whole layer: the last ones leave."""
        return [positions * height * width // self.geometry.P for *_, height, width in self.pool] or [positions]


def resolve(
    workload: Workload,
    psum_bits: dict[str, int],
    weight_bits: int,
    mac: bool,
    layers: tuple[int, int] | None,
    stored_padding: bool = False,
) -> list[LayerWork]:
    """The weighted layers [A, B) as array work. Raises SpecError for all that a systolic machine cannot take."""
    weighted = workload.weighted
    first, last = layers or (0, len(weighted))
    index_of = {layer.name: number for number, layer in enumerate(weighted)}
    problems: list[Problem] = []
    works = []
    for number, layer in enumerate(weighted[first:last], start=first):
        source, producer = _source(workload, layer, problems)
        edge = workload.input_edge(layer)
        if edge.signed or edge.kind == "current" or edge.bits > MAXIMUM_PLANES:
            problems.append(
                Problem(
                    f"{workload.name}: layer {layer.name}",
                    f"input is a {edge.kind} edge of {edge.bits} bits{', signed' * edge.signed}; "
                    f"spike PEs take unsigned integers of 1 to {MAXIMUM_PLANES} bits",
                )
            )
        neuron = layer.neuron
        use_mac = mac and edge.bits > 1 and edge.kind != "spike"
        bits = max(1, edge.bits)
        out = workload.edge(layer.name)
        output_bits = psum_bits[layer.name] if out.kind == "current" else max(1, out.bits)
        pools, tail = _pool(workload, layer, problems) if workload.kind != "trace" else ((), layer.name)
        g = layer.geometry
        works.append(
            LayerWork(
                number,
                layer,
                replace(g, C=g.C // g.groups, M=g.M // g.groups, groups=1),
                g.groups,
                bits,
                _is_image(workload, layer, source, bits),
                use_mac,
                layer.weights.bits if layer.weights else weight_bits,
                psum_bits[layer.name],
                neuron.type,
                output_bits,
                pools,
                output_bits if tail == layer.name else _drained_bits(workload, tail, output_bits),
                index_of.get(producer) if producer else None,
            )
        )
    if problems:
        raise SpecError(problems)
    return [replace(work, geometry=with_padding(work.geometry)) for work in works] if stored_padding else works


def with_padding(g: Geometry) -> Geometry:
    """The same layer on an input that holds its padding."""
    return replace(g, H=g.H + 2 * g.pad_y, W=g.W + 2 * g.pad_x, pad_y=0, pad_x=0)


def _is_image(workload: Workload, layer: Layer, source: str, bits: int) -> bool:
    """Whether a layer sees the same values at every timestep: a directly coded image, also in tables and traces."""
    if workload.kind == "network":
        return source == INPUT and workload.input.encoding == "direct"
    return layer is workload.weighted[0] and bits > 1


def _drained_bits(workload: Workload, pool: str, output_bits: int) -> int:
    """Bits of one value behind a pool; currents keep their width."""
    edge = workload.edge(pool)
    return output_bits if edge.kind == "current" else max(1, edge.bits)


def _source(workload: Workload, layer: Layer, problems: list[Problem]) -> tuple[str, str | None]:
    """The edge that feeds a layer, looking through address changes, and the weighted layer behind it."""
    if workload.kind == "trace" or not layer.inputs:  # no graph, or a layer of a table that stands alone
        return (layer.inputs[0] if layer.inputs else INPUT), None
    edge = layer.inputs[0]
    name = edge
    while name != INPUT and not workload.layer(name).has_weights:
        before = workload.layer(name)
        if len(before.inputs) != 1:
            problems.append(
                Problem(
                    f"{workload.name}: layer {before.name}",
                    f"'{before.op}' joins {len(before.inputs)} edges; the systolic machine has no unit "
                    "for that (it drains each layer once, through its pool unit)",
                )
            )
            return edge, None
        name = before.inputs[0]
    return edge, None if name == INPUT else name


def _pool(
    workload: Workload, layer: Layer, problems: list[Problem]
) -> tuple[tuple[tuple[str, int, int, int, int], ...], str]:
    """The pools between a layer and the next weighted one, and the name of the last (the layer's own if none)."""
    pools: list[tuple[str, int, int, int, int]] = []
    name = last = layer.name
    while True:
        users = [user for user in workload.layers if name in user.inputs]
        following = [user for user in users if not user.has_weights]
        if not following:
            return tuple(pools), last
        if len(users) > 1 and any(user.op not in MOVED for user in following):
            problems.append(
                Problem(
                    f"{workload.name}: layer {name}",
                    "is both pooled and used as it is; the systolic machine drains each layer once",
                )
            )
            return tuple(pools), last
        user = following[0]
        if user.op in ("maxpool", "avgpool", "sumpool"):
            height, width = user.output_shape[-2:] if len(user.output_shape) == 3 else (1, user.output_shape[-1])
            pools.append((user.op, *user.kernel, height, width))
            last = user.name
        name = user.name
