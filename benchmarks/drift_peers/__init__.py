"""Contestants of `benchmarks.drift`, each a program of its own: the same rows, the same windows, alarms out."""
