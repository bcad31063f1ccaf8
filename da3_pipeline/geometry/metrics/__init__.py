"""How far cameras and depth are from true ones."""
