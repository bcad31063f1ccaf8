"""The second stage: the frames to work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import SelectConfig

if TYPE_CHECKING:
    from .stage import run

__all__ = ["SelectConfig", "run"]

__getattr__ = lazy_names(__name__, {"run": "stage"})
