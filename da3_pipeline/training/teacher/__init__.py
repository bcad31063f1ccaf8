"""The teacher: a monocular network of relative depth, and what its depth is worth in metres."""
