"""Rendered captures that are hard in one way each."""
