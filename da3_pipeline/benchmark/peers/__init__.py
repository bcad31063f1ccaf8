"""The programs that are compared, each in a process of its own: COLMAP in its best modes, and our own command."""
