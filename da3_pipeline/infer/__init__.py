"""The third stage: a prior's depth and cameras for every frame, in original pixels."""

from __future__ import annotations

from .config import InferConfig
from .prediction_file import save_predictions
from .stage import run

__all__ = ["InferConfig", "run", "save_predictions"]
