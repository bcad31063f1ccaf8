"""A capture of any length from chunks of bounded size."""
