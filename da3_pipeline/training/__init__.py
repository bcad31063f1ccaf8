"""Training of the networks, and the synthetic scenes it learns from."""
