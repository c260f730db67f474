"""The holdfast command: run, seed, watch and check a system."""
