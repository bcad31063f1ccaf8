"""The stage between refinement and export: metres, and z up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import AnchorConfig

if TYPE_CHECKING:
    from .stage import describe, run

__all__ = ["AnchorConfig", "describe", "run"]

__getattr__ = lazy_names(__name__, {"describe": "stage", "run": "stage"})
