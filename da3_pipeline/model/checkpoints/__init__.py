"""Weights: the published format, and where files come from."""
