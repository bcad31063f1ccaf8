"""The stage between refinement and export: metres, and z up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import GeoregisterConfig

if TYPE_CHECKING:
    from .stage import run

__all__ = ["GeoregisterConfig", "run"]

__getattr__ = lazy_names(__name__, {"run": "stage"})
