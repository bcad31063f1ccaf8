"""Every benchmark on one page."""
