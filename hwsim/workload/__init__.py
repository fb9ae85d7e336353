"""Workloads: trained networks, recorded spikes and shape tables, in files and in memory."""

from hwsim.workload.files import find, load, save, shipped
from hwsim.workload.model import Edge, Geometry, Layer, Neuron, Samples, Workload

__all__ = ["Edge", "Geometry", "Layer", "Neuron", "Samples", "Workload", "find", "load", "save", "shipped"]
