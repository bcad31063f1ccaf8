"""The visual geometry benchmark: data sets x methods, pose, depth and surface of each, in tables and on one page."""
