"""Scenes whose cameras and surfaces are known, as benchmarks lay them out on disk: a reader a file."""
