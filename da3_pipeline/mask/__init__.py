"""What not to look at: the user's masks are checked, and people are masked where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import MaskConfig

if TYPE_CHECKING:
    from .stage import run

__all__ = ["MaskConfig", "run"]

__getattr__ = lazy_names(__name__, {"run": "stage"})
