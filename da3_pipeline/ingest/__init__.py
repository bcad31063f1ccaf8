"""Stage 1: read a capture."""

from .config import IngestConfig
from .stage import run

__all__ = ["IngestConfig", "run"]
