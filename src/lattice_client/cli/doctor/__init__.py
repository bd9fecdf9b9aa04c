"""The checks of ``lattice-client doctor``."""
