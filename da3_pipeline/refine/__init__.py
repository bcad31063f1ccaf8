"""The fourth stage: bundle adjustment on verified matches, poses good enough to train on, and a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import RefineConfig

if TYPE_CHECKING:
    from .other_places import restricted
    from .refinement import run

__all__ = ["RefineConfig", "restricted", "run"]

__getattr__ = lazy_names(__name__, {"restricted": "other_places", "run": "refinement"})
