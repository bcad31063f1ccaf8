"""Training of the Gaussian head on a backbone that stays as it is."""
