"""Machines of asynchronous, barrier- or timer-synchronised neuromorphic cores."""
