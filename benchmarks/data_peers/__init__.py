"""Contestants of `benchmarks.data`, each a program of its own: the same rows in, the same rows out."""
