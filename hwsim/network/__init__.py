"""The network itself: exact sums, one definition of the neuron, a fast engine and a plain witness."""
