"""Scenes with known truth, and priors and networks simulated from it."""
