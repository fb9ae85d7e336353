"""Work inside a tile, as numba kernels: the fast depth of what ``hwsim.components`` does with SimPy processes."""
