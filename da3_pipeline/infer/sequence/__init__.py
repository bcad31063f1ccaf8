"""A capture of any length through passes of bounded size."""
