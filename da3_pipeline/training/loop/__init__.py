"""The loop that all trainers share, on Lightning Fabric."""
