"""The parts of a PE array as SimPy processes: depth ``process`` of the systolic tile call."""
