"""Resistive crossbars without a simulation: what an array of cells really computes.

>>> import numpy as np
>>> from hwsim import crossbar
>>> crossbar.effective_conductance(np.full((64, 64), 1e-5), driver=1e3, row=5, column=10, sense=1e3).shape
(64, 64)

Conductances in siemens [..., rows, columns], resistances in ohm (0 allowed: no resistance), voltages in volt. Rows are
driven, columns end at a virtual ground. Every function checks its arguments and raises ``SpecError``.
"""

from __future__ import annotations

from hwsim.errors import SpecError
from hwsim.physics.devices import Device, load_device
from hwsim.physics.encoding import Encoded, decode, encode, high_resistance_share
from hwsim.physics.gated import active_row_currents
from hwsim.physics.nodal import NodeVoltages, ir_drop, node_voltages
from hwsim.physics.nonlinear import OperatingPoint, nonlinear_currents
from hwsim.physics.programming import program
from hwsim.physics.resistive import effective_conductance

__all__ = [
    "Device",
    "Encoded",
    "NodeVoltages",
    "OperatingPoint",
    "SpecError",
    "active_row_currents",
    "decode",
    "effective_conductance",
    "encode",
    "high_resistance_share",
    "ir_drop",
    "load_device",
    "node_voltages",
    "nonlinear_currents",
    "program",
]
