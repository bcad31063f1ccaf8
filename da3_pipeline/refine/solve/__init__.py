"""The numerics of a solution: tracks, triangulation, bundle adjustment, and the score that needs no truth."""
