"""Synthetic scenes, ray-cast in torch: exact depth and cameras for training, evaluation and the demonstration."""

from .scenes import HELD_OUT_SEED
from .walk import Walk, render_walk

__all__ = ["HELD_OUT_SEED", "Walk", "render_walk"]
