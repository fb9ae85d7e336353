"""The analog network behind a converted SNN: the same weights, relu instead of IF neurons, the image as it is.

Without BN and bias it is positively homogeneous: a factor common to all weights of a layer changes no decision. The
study's own ANN may or may not have been one; it does not tell.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim import workload as workloads
from hwsim.errors import SpecError
from hwsim.workload.model import Edge, Neuron, Workload

SUFFIX = " as ANN"
BITS = 16
HEADROOM = 2.0
"""Range of an activation over the largest one that the conversion met."""


def network_of(name: str) -> Workload:
    """A workload by name; the analog network of a converted one where the name ends in ``SUFFIX``."""
    found = workloads.load(name.removesuffix(SUFFIX))
    return analog(found) if name.endswith(SUFFIX) else found


def analog(converted: Workload) -> Workload:
    """relu with ``BITS`` bits wherever ``converted`` has IF neurons. SpecError where it has bias, BN or no threshold.

    A threshold is the largest current that the layer met when its inputs were rates, so that the product of the
    thresholds up to a layer is the largest activation of the analog network.
    """
    edges = {"input": replace(converted.input, encoding="direct").edge}
    layers, largest = [], 1.0
    for layer in converted.layers:
        made, edge = layer, edges[layer.inputs[0]]
        if layer.has_weights and layer.name != converted.output_layer:
            if layer.bias is not None or layer.bn is not None or layer.neuron.type != "if":
                raise SpecError(f"layer '{layer.name}' of {converted.name} is not one of a converted network")
            largest *= float(converted.values(layer.neuron.threshold))
            scale = HEADROOM * largest / (2**BITS - 1)
            made = replace(layer, neuron=Neuron("relu", bits=BITS, scale=scale))
            edge = Edge("analog", BITS, scale, 0, 2**BITS - 1)
        elif layer.has_weights:
            edge = converted.edge(layer.name)
        edges[layer.name] = edge
        layers.append(made)
    return replace(
        converted, name=converted.name + SUFFIX, timesteps=1, layers=tuple(layers), edges=edges,
        input=replace(converted.input, encoding="direct"),
    )  # fmt: skip
