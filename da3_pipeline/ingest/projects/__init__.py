"""What other programs know of their pictures: one small reader a format, and a registry that finds the right one."""
