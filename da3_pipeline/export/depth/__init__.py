"""The prior's depth: judged against tracks, written, and turned into seeds."""
