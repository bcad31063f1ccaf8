"""Long captures: memory, time, trajectory and surfaces."""
