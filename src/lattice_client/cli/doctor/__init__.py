"""What ``lattice-client doctor`` looks at, check by check."""
