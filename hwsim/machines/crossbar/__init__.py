"""Machines of analog crossbars: mapping, programming, simulation, accuracy."""
