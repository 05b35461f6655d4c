"""Contestants of `benchmarks.training`, each a program of its own: the same rows, encoder, heads and epochs."""
