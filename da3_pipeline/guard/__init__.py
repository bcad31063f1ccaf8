"""Against bytes and names of others: limits, bounded reading, one boundary for what parsers raise, no control codes."""
