"""Pose accuracy and time, COLMAP beside us."""
