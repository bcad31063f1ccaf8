"""The third stage: a prior's depth and cameras for every frame, in original pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import InferConfig

if TYPE_CHECKING:
    from .prediction_file import save_predictions
    from .sequence.chunk_store import discard_chunks
    from .stage import run

__all__ = ["InferConfig", "discard_chunks", "run", "save_predictions"]

__getattr__ = lazy_names(
    __name__, {"discard_chunks": "sequence.chunk_store", "run": "stage", "save_predictions": "prediction_file"}
)
