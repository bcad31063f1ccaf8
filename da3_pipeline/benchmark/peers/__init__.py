"""Programs that run beside us."""
