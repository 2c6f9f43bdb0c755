"""How fast the package is beside its peers, on a server that answers at once: `python -m benchmarks`."""
