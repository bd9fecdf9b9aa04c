"""What a signature costs, beside its peers and the floor that CPython sets:  scripts/benchmark."""
