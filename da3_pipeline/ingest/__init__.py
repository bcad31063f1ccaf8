"""The first stage: everything readable in the given sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import IngestConfig

if TYPE_CHECKING:
    from .stage import run

__all__ = ["IngestConfig", "run"]

__getattr__ = lazy_names(__name__, {"run": "stage"})
