"""The stage between refinement and export: metres, and z up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import AnchorConfig

if TYPE_CHECKING:
    from .stage import run

__all__ = ["AnchorConfig", "run"]

__getattr__ = lazy_names(__name__, {"run": "stage"})
