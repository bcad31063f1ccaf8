"""Stage 2: choose the frames to work on."""

from .config import SelectConfig
from .stage import run

__all__ = ["SelectConfig", "run"]
